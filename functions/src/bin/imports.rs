//! Serves `ANY /v1/imports` and everything below it.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::api::imports::{Imports, router};
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(router(Imports {
            db: environment.database().await?,
            store: Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?)),
            queue: Arc::new(SqsQueue::new(&environment.aws, required("IMPORT_QUEUE_URL")?)),
        }))
    })
}
