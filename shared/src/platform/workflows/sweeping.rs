//! Sweeping: runs that nobody reports an end of are timed out, and old ones are deleted.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;

use crate::platform::config;
use crate::{Database, OrganizationId, Result};

/// Runs of one transaction.
const CHUNK: i64 = 1_000;
/// Organizations of one transaction, whose ids travel in the message that opens it.
const ORGANIZATIONS: usize = 100;

/// What one run of it has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Runs that are timed out.
    pub timed_out: u64,
    /// Runs that are gone.
    pub deleted: u64,
    /// Whether all were asked for that were due in the beginning; else the next run goes on.
    pub is_finished: bool,
}

/// What is silent or older than these times is due, by the machine's clock.
struct Bounds {
    silent_since: DateTime<Utc>,
    kept_since: DateTime<Utc>,
}

/// Times out and deletes runs, chunk by chunk, until `deadline`.
pub async fn sweep(db: &Database, deadline: Instant) -> Result<Swept> {
    let (bounds, organizations) = due(db).await?;
    let mut swept = Swept { is_finished: true, ..Swept::default() };
    for batch in organizations.chunks(ORGANIZATIONS) {
        loop {
            if Instant::now() >= deadline {
                return Ok(Swept { is_finished: false, ..swept });
            }
            let tx = db.begin_for(batch).await?;
            let timed_out =
                tx.execute(include_str!("sweeping/time_out.sql"), &[&CHUNK, &bounds.silent_since, &tx.now()]).await?;
            let deleted = tx.execute(include_str!("sweeping/delete.sql"), &[&CHUNK, &bounds.kept_since]).await?;
            tx.commit().await?;
            swept.timed_out += timed_out;
            swept.deleted += deleted;
            if timed_out.max(deleted) < CHUNK.unsigned_abs() {
                break;
            }
        }
    }
    Ok(swept)
}

async fn due(db: &Database) -> Result<(Bounds, Vec<OrganizationId>)> {
    let tx = db.begin_for(&[]).await?;
    let settings = config::read(&tx, "workflows").await?;
    let (timeout, keep_for) = (settings.duration("run_timeout")?, settings.duration("keep_for")?);
    let row =
        tx.query_one(include_str!("sweeping/bounds.sql"), &[&timeout.as_secs_f64(), &keep_for.as_secs_f64()]).await?;
    let bounds = Bounds { silent_since: row.try_get("silent_since")?, kept_since: row.try_get("kept_since")? };
    let rows =
        tx.query(include_str!("sweeping/organizations.sql"), &[&bounds.silent_since, &bounds.kept_since]).await?;
    tx.commit().await?;
    Ok((bounds, rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?))
}
