//! Serves `ANY /v1/enrichment` and `ANY /v1/verifications` and everything below them.

use std::sync::Arc;

use functions::adapters::data_providers::{self, HttpAsker};
use functions::adapters::mail_exchanges::MailExchanges;
use functions::adapters::sqs::SqsQueue;
use functions::api::enrichment::{self, Enrichment};
use functions::api::verifications::{self, Verifications};
use functions::environment::{optional, required};
use shared::audience::enrichment::EnrichmentQueue;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let db = environment.database().await?;
        let queue: Arc<dyn EnrichmentQueue> =
            Arc::new(SqsQueue::new(&environment.aws, required("ENRICHMENT_QUEUE_URL")?));
        let secret = optional("PROVIDER_SECRET_ARN");
        let credentials = data_providers::read_credentials(&environment.aws, secret.as_deref()).await?;
        let verifications = Verifications {
            db: db.clone(),
            queue: queue.clone(),
            hosts: Arc::new(MailExchanges::of_machine()?),
            asker: Arc::new(HttpAsker::new(environment.webhook_reach(), credentials)),
            keys: environment.token_keys().await?.into(),
        };
        Ok(enrichment::router(Enrichment { db, queue }).merge(verifications::router(verifications)))
    })
}
