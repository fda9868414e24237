//! Sweeping: jobs whose hint was lost are brought again, and those that nobody does any more fail, so that another one can be asked
//! for.

use std::time::Duration;

use serde::Serialize;

use super::JobQueue;
use crate::{Database, JobId, OrganizationId, Result};

/// An export notes each of its parts within a minute; its hint is delivered five times within half an hour, and asking for the export
/// again brings another one.
const SILENCE: Duration = Duration::from_secs(3 * 3_600);
/// A job notes each of its chunks within a minute; as long as its hint comes back by itself, nobody else brings one.
const HINT_LOST: Duration = Duration::from_secs(45 * 60);
/// A job that a day of hints has not moved is not moved by another one.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);
/// What whoever asked for such a job reads.
const ABANDONED: &str = "abandoned: nothing was done for a day; ask for it again";
/// Hints that a run brings at most; the next one goes on.
const HINTS: i64 = 1_000;
/// What its owner reads.
const ERROR: &str = "abandoned: nothing was written for three hours; ask for another export";

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Exports that have failed.
    pub exports: u64,
    /// Other jobs that have failed.
    pub failed: u64,
    /// Jobs whose hint was brought again.
    pub resumed: u64,
}

/// Ends the exports of which nothing was written for hours, and the other jobs of which nothing was done for a day; brings the hints of
/// the others again that nobody is on. By the machine's clock.
///
/// Errors: the database or the queue is not available; what was committed stays.
pub async fn sweep(db: &Database, queue: &dyn JobQueue) -> Result<Swept> {
    let exports = fail_exports(db).await?;
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("sweeping/organizations_with_jobs.sql"), &[&HINT_LOST.as_secs_f64()]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    if organizations.is_empty() {
        return Ok(Swept { exports, ..Swept::default() });
    }
    let tx = db.begin_for(&organizations).await?;
    let failed =
        tx.execute(include_str!("sweeping/fail_jobs.sql"), &[&GIVEN_UP.as_secs_f64(), &ABANDONED, &tx.now()]).await?;
    let silent = tx.query(include_str!("sweeping/silent_jobs.sql"), &[&HINT_LOST.as_secs_f64(), &HINTS]).await?;
    tx.commit().await?;
    for row in &silent {
        let (organization, job): (OrganizationId, JobId) = (row.try_get("organization_id")?, row.try_get("id")?);
        queue.enqueue(organization, job).await?;
    }
    Ok(Swept { exports, failed, resumed: silent.len() as u64 })
}

async fn fail_exports(db: &Database) -> Result<u64> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("sweeping/organizations.sql"), &[&SILENCE.as_secs_f64()]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    if organizations.is_empty() {
        return Ok(0);
    }
    let tx = db.begin_for(&organizations).await?;
    let exports =
        tx.execute(include_str!("sweeping/fail_exports.sql"), &[&SILENCE.as_secs_f64(), &ERROR, &tx.now()]).await?;
    tx.commit().await?;
    Ok(exports)
}
