//! Learns about people and checks addresses, chunk by chunk, driven by the queue of enrichment.

use std::sync::Arc;

use functions::adapters::data_providers::{self, HttpAsker};
use functions::adapters::mail_exchanges::MailExchanges;
use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::environment::{optional, required};
use functions::events::enricher::{Enricher, RETRY, handle};
use functions::events::hints;

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let secret = optional("PROVIDER_SECRET_ARN");
            let credentials = data_providers::read_credentials(&environment.aws, secret.as_deref()).await?;
            let queue = Arc::new(SqsQueue::new(&environment.aws, required("ENRICHMENT_QUEUE_URL")?));
            let enricher = Enricher {
                db: environment.database().await?,
                queue: queue.clone(),
                hosts: Arc::new(MailExchanges::of_machine()?),
                asker: Arc::new(HttpAsker::new(environment.webhook_reach(), credentials)),
                store: Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?)),
                keys: environment.token_keys().await?,
            };
            Ok((enricher, queue))
        },
        async |(enricher, queue), event| {
            hints::follow(&**queue, RETRY, event, async |event| handle(enricher, event).await).await
        },
    )
}
