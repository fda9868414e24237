//! Sweeping: keys whose day is over, of organizations that bring no new ones.

use serde::Serialize;
use tokio::time::Instant;

use crate::{Database, OrganizationId, Result};

/// Keys of one transaction. An answer may be long, and lies outside its row.
const CHUNK: i64 = 1_000;
/// Organizations of one transaction, whose ids travel in the message that opens it.
const ORGANIZATIONS: usize = 100;

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Keys that are gone.
    pub keys: u64,
    /// Whether all were asked for that had expired in the beginning; else the next run goes on.
    pub is_finished: bool,
}

/// Deletes the keys that have expired, chunk by chunk, until `deadline`. One that is being taken again is passed over.
pub async fn sweep(db: &Database, deadline: Instant) -> Result<Swept> {
    let organizations = organizations(db).await?;
    let mut keys = 0;
    for batch in organizations.chunks(ORGANIZATIONS) {
        loop {
            if Instant::now() >= deadline {
                return Ok(Swept { keys, is_finished: false });
            }
            let tx = db.begin_for(batch).await?;
            let swept = tx.execute(include_str!("sweeping/delete.sql"), &[&CHUNK]).await?;
            tx.commit().await?;
            keys += swept;
            if swept < CHUNK.unsigned_abs() {
                break;
            }
        }
    }
    Ok(Swept { keys, is_finished: true })
}

async fn organizations(db: &Database) -> Result<Vec<OrganizationId>> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("sweeping/organizations.sql"), &[]).await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
