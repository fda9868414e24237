//! Sweeping: counts of requests of credentials and addresses that have made none for a while.

use serde::Serialize;
use tokio::time::Instant;

use crate::{Database, Result};

/// Counts of each kind in one transaction.
const CHUNK: i32 = 5_000;

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Counts that are gone.
    pub counts: i64,
    /// Whether none is left; else the next run goes on.
    pub is_finished: bool,
}

/// Deletes them chunk by chunk, until `deadline`. `db` logs in as martlet_maintenance. By the machine's clock.
pub async fn sweep(db: &Database, deadline: Instant) -> Result<Swept> {
    let mut counts = 0;
    while Instant::now() < deadline {
        let tx = db.begin_for(&[]).await?;
        let gone: i64 = tx.query_one(include_str!("sweeping/delete.sql"), &[&CHUNK]).await?.try_get(0)?;
        tx.commit().await?;
        counts += gone;
        if gone < i64::from(CHUNK) {
            return Ok(Swept { counts, is_finished: true });
        }
    }
    Ok(Swept { counts, is_finished: false })
}
