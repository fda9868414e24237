//! Sweeping: enrichments and verifications whose hint was lost are brought again, old tasks and old answers of providers go.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use tokio::time::Instant;

use super::{EnrichmentQueue, TASKS_KEPT, Work};
use crate::platform::config;
use crate::{Database, EnrichmentJobId, OrganizationId, Result, Tx, VerificationJobId};

/// A job notes each of its chunks, and each hint by which it only waits, of which there is one every quarter of an hour; as long as its
/// hint comes back by itself, nobody else brings one.
const HINT_LOST: Duration = Duration::from_secs(45 * 60);
/// Hints that a run brings at most of each kind of job; the next one goes on.
const HINTS: i64 = 1_000;
/// Whoever resumes a job at the last moment has this long to do so.
const GRACE: TimeDelta = TimeDelta::days(1);
/// Tasks of one transaction.
const TASKS: i64 = 5_000;
/// Answers of one transaction.
const ANSWERS: i32 = 5_000;

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Jobs whose hint was brought again.
    pub resumed: u64,
    /// Tasks of jobs that ended long ago.
    pub tasks: u64,
    /// Answers of providers that are too old to be given to anybody.
    pub answers: u64,
    /// Whether all was swept that was there; else the next run goes on.
    pub is_finished: bool,
}

/// Brings lost hints again, then deletes what is too old, chunk by chunk, until `deadline`. `db` logs in as martlet_maintenance. By the
/// machine's clock, but for the end of jobs, which is people's.
///
/// Errors: the database or the queue is not available; what was committed stays.
pub async fn sweep(db: &Database, queue: &dyn EnrichmentQueue, deadline: Instant) -> Result<Swept> {
    let resumed = bring_hints(db, queue).await?;
    let (tasks, no_tasks) = sweep_tasks(db, deadline).await?;
    let (answers, no_answers) = sweep_answers(db, deadline).await?;
    Ok(Swept { resumed, tasks, answers, is_finished: no_tasks && no_answers })
}

/// However often it was brought in vain: whoever asked for a job can cancel it, and nobody has to resume it.
async fn bring_hints(db: &Database, queue: &dyn EnrichmentQueue) -> Result<u64> {
    let tx = db.begin_for(&[]).await?;
    let since = HINT_LOST.as_secs_f64();
    let organizations =
        organizations(&tx.query(include_str!("sweeping/organizations_with_jobs.sql"), &[&since]).await?)?;
    tx.commit().await?;
    if organizations.is_empty() {
        return Ok(0);
    }
    let tx = db.begin_for(&organizations).await?;
    let enrichments = tx.query(include_str!("sweeping/silent_enrichments.sql"), &[&since, &HINTS]).await?;
    let verifications = tx.query(include_str!("sweeping/silent_verifications.sql"), &[&since, &HINTS]).await?;
    tx.commit().await?;
    for row in &enrichments {
        let work = Work::EnrichmentJobId(row.try_get::<_, EnrichmentJobId>("id")?);
        queue.enqueue(row.try_get("organization_id")?, work, Duration::ZERO).await?;
    }
    for row in &verifications {
        let work = Work::VerificationJobId(row.try_get::<_, VerificationJobId>("id")?);
        queue.enqueue(row.try_get("organization_id")?, work, Duration::ZERO).await?;
    }
    Ok((enrichments.len() + verifications.len()) as u64)
}

async fn sweep_tasks(db: &Database, deadline: Instant) -> Result<(u64, bool)> {
    let tx = db.begin_for(&[]).await?;
    let before = tx.now() - TASKS_KEPT - GRACE;
    let organizations =
        organizations(&tx.query(include_str!("sweeping/organizations_with_tasks.sql"), &[&before]).await?)?;
    tx.commit().await?;
    let mut tasks = 0;
    for organization in organizations {
        loop {
            if Instant::now() >= deadline {
                return Ok((tasks, false));
            }
            let tx = db.begin_for(&[organization]).await?;
            // One job a transaction: the first whose tasks are there still, with as many of them as go at a time.
            let Some(row) = tx.query_opt(include_str!("sweeping/lock_job.sql"), &[&before]).await? else {
                tx.commit().await?;
                break;
            };
            tasks += sweep_job(&tx, row.try_get("id")?).await?;
            tx.commit().await?;
        }
    }
    Ok((tasks, true))
}

async fn sweep_job(tx: &Tx, job: EnrichmentJobId) -> Result<u64> {
    let gone = tx.execute(include_str!("sweeping/delete_tasks.sql"), &[&job, &TASKS]).await?;
    if gone < TASKS.unsigned_abs() {
        tx.execute(include_str!("sweeping/note.sql"), &[&job]).await?;
    }
    Ok(gone)
}

async fn sweep_answers(db: &Database, deadline: Instant) -> Result<(u64, bool)> {
    let mut answers = 0;
    while Instant::now() < deadline {
        let tx = db.begin_for(&[]).await?;
        let kept_for = config::read(&tx, "enrichment").await?.duration("answers_kept_for")?;
        let sql = include_str!("sweeping/sweep_answers.sql");
        let gone: i64 = tx.query_one(sql, &[&kept_for.as_secs_f64(), &ANSWERS]).await?.try_get(0)?;
        tx.commit().await?;
        answers += gone.unsigned_abs();
        if gone < i64::from(ANSWERS) {
            return Ok((answers, true));
        }
    }
    Ok((answers, false))
}

fn organizations(rows: &[tokio_postgres::Row]) -> Result<Vec<OrganizationId>> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
