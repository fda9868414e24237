//! Runs long work chunk by chunk. The queue brings a hint; the job's row says what is done and where to go on.
//!
//! Each chunk is a transaction that moves the job's cursor. Before the function's time is up it asks for its own
//! continuation; killed before that, the hint comes back by itself, since it was never acknowledged.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use shared::audience::custom_fields::filling;
use shared::audience::{bulk_acts, contact_exports};
use shared::outreach::activation::{self, Chunk};
use shared::outreach::enrolling;
use shared::platform::exports::{self, ArchiveStore};
use shared::platform::jobs::{self, Job, JobKind, JobQueue};
use shared::{Database, Result, Tx};
use tokio::time::Instant;

use super::batch;
use crate::adapters::sqs::JobHint;

/// No chunk is begun after this long: what is left of the function's 60 s is enough for the one under way.
const BUDGET: Duration = Duration::from_secs(30);
/// A hint that failed comes again when a connection that was lost holds nothing any more: a minute after its last statement.
pub const RETRY: Duration = Duration::from_secs(75);

/// What the function needs: the database, the queue for its own continuation, and where archives are put together.
pub struct JobRunner {
    db: Database,
    queue: Arc<dyn JobQueue>,
    archives: Arc<dyn ArchiveStore>,
    budget: Duration,
}

impl JobRunner {
    /// A runner that begins chunks for half of the function's time.
    #[must_use]
    pub fn new(db: Database, queue: Arc<dyn JobQueue>, archives: Arc<dyn ArchiveStore>) -> Self {
        Self { db, queue, archives, budget: BUDGET }
    }

    /// The same with another budget; with none, one chunk an event.
    #[must_use]
    pub fn with_budget(self, budget: Duration) -> Self {
        Self { budget, ..self }
    }
}

/// Handles one event. A hint for a job that has ended, or that somebody else is on, does nothing.
///
/// Errors: the queue brings the event again, and after five times to the dead letters.
pub async fn handle(runner: &JobRunner, event: SqsEvent) -> Result<()> {
    let deadline = Instant::now() + runner.budget;
    for message in &event.records {
        let hint: JobHint = batch::json(message)?;
        work_on(runner, hint, deadline).await?;
    }
    Ok(())
}

async fn work_on(runner: &JobRunner, hint: JobHint, deadline: Instant) -> Result<()> {
    loop {
        let tx = runner.db.begin(hint.organization_id).await?;
        let Some(job) = jobs::lock_for_chunk(&tx, hint.job_id).await? else {
            return tx.rollback().await;
        };
        let chunk = run_chunk(runner, &tx, &job).await?;
        tx.commit().await?;
        if chunk == Chunk::Last {
            tracing::info!(job_id = %job.id, "the job has ended");
            return Ok(());
        }
        if Instant::now() >= deadline {
            return runner.queue.enqueue(hint.organization_id, hint.job_id).await;
        }
    }
}

async fn run_chunk(runner: &JobRunner, tx: &Tx, job: &Job) -> Result<Chunk> {
    match job.kind {
        JobKind::CampaignActivation => activation::run_chunk(tx, job).await,
        JobKind::CampaignEnrollment => enrolling::run_chunk(tx, job).await,
        JobKind::ContactBulkAct => bulk_acts::run_chunk(tx, job).await,
        JobKind::ContactExport => contact_exports::run_chunk(tx, &*runner.archives, job).await,
        JobKind::CustomFieldFilling => filling::run_chunk(tx, job).await,
        JobKind::OrganizationExport => exports::run_chunk(tx, &*runner.archives, job).await,
    }
}
