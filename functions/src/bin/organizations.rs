//! Serves `ANY /v1/organizations` and everything below it, `/v1/onboarding` and `/v1/subscription`.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::api::exports::{self, Exports};
use functions::api::{organizations, subscriptions};
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let db = environment.database().await?;
        let exports = Exports {
            db: db.clone(),
            store: Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?)),
            queue: Arc::new(SqsQueue::new(&environment.aws, required("JOB_QUEUE_URL")?)),
        };
        Ok(organizations::router(db.clone()).merge(subscriptions::router(db)).merge(exports::router(exports)))
    })
}
