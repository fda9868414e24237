//! Serves `ANY /v1/webhooks` and everything below it.

use std::sync::Arc;

use functions::adapters::sqs::SqsQueue;
use functions::api::webhooks::{self, Webhooks};
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(webhooks::router(Webhooks {
            db: environment.database().await?,
            keys: environment.token_keys().await?.into(),
            queue: Arc::new(SqsQueue::new(&environment.aws, required("WEBHOOK_QUEUE_URL")?)),
            reach: environment.webhook_reach(),
        }))
    })
}
