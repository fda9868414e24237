//! Serves `ANY /v1/contacts`, `/v1/tags` and `/v1/custom-fields` and everything below them.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::api::contacts::{self, Contacts};
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(contacts::router(Contacts {
            db: environment.database().await?,
            keys: environment.token_keys().await?.into(),
            store: Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?)),
            queue: Arc::new(SqsQueue::new(&environment.aws, required("JOB_QUEUE_URL")?)),
        }))
    })
}
