//! Tells organizations elsewhere of what has happened, driven by the queue of webhooks.

use std::sync::Arc;

use functions::adapters::sqs::SqsQueue;
use functions::adapters::webhook_poster::WebhookPoster;
use functions::environment::required;
use functions::events::dispatcher::{self, Dispatcher};

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            Ok(Dispatcher {
                db: environment.database().await?,
                keys: environment.token_keys().await?,
                poster: Arc::new(WebhookPoster::new(environment.webhook_reach())),
                queue: Arc::new(SqsQueue::new(&environment.aws, required("WEBHOOK_QUEUE_URL")?)),
                public_url: required("PUBLIC_URL")?,
            })
        },
        dispatcher::handle,
    )
}
