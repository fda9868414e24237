//! Learns about people and checks addresses. The queue brings a hint; the job's row says what is done and where to go on.
//!
//! A chunk asks others between two transactions. Before the function's time is up it asks for its own continuation, and so it
//! does where a job waits: for a provider that is busy, or for the budget of the next day.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use shared::audience::enrichment::{self, Continuation, EnrichmentQueue, Work};
use shared::audience::imports::ObjectStore;
use shared::audience::providers::Asker;
use shared::audience::verifications::checking::{self, MailHosts};
use shared::audience::verifications::jobs;
use shared::delivery::tokens::KeyRing;
use shared::{Database, Result};
use tokio::time::Instant;

use super::batch;
use crate::adapters::sqs::EnrichmentHint;

/// No chunk is begun after this long: what is left of the function's 120 s is enough for the one under way.
const BUDGET: Duration = Duration::from_secs(30);
/// A hint that failed comes again when the lease of its chunk is over, three minutes after it was taken.
pub const RETRY: Duration = Duration::from_secs(200);

/// What the function holds while it is warm.
pub struct Enricher {
    /// Logged in as martlet_app.
    pub db: Database,
    /// For its own continuation.
    pub queue: Arc<dyn EnrichmentQueue>,
    /// DNS.
    pub hosts: Arc<dyn MailHosts>,
    /// The way out to providers.
    pub asker: Arc<dyn Asker>,
    /// Where files of persons lie.
    pub store: Arc<dyn ObjectStore>,
    /// Hashes addresses, and recognizes forgotten ones.
    pub keys: KeyRing,
}

/// Handles one event. A hint for a job that has ended does nothing.
///
/// Errors: the queue brings the event again, and after five times to the dead letters.
pub async fn handle(enricher: &Enricher, event: SqsEvent) -> Result<()> {
    let deadline = Instant::now() + BUDGET;
    for message in &event.records {
        let hint: EnrichmentHint = batch::json(message)?;
        work_on(enricher, hint, deadline).await?;
    }
    Ok(())
}

async fn work_on(enricher: &Enricher, hint: EnrichmentHint, deadline: Instant) -> Result<()> {
    let EnrichmentHint { organization_id, work } = hint;
    loop {
        match run_chunk(enricher, hint).await? {
            Continuation::Ended => return Ok(()),
            Continuation::After(Duration::ZERO) if Instant::now() < deadline => {}
            Continuation::After(delay) => return enricher.queue.enqueue(organization_id, work, delay).await,
        }
    }
}

async fn run_chunk(enricher: &Enricher, hint: EnrichmentHint) -> Result<Continuation> {
    let Enricher { db, hosts, asker, store, keys, .. } = enricher;
    match hint.work {
        Work::EnrichmentJobId(job) => {
            let means = enrichment::Means { asker: &**asker, store: &**store, keys };
            enrichment::run_chunk(db, means, hint.organization_id, job).await
        }
        Work::VerificationJobId(job) => {
            let means = checking::Means { hosts: &**hosts, asker: &**asker, keys };
            jobs::run_chunk(db, means, hint.organization_id, job).await
        }
    }
}
