//! Sweeping: sign-ups that nobody has confirmed for a week, with the organizations that they made.

use serde::Serialize;
use tokio::time::Instant;

use crate::{Database, Result};

/// Accounts of one transaction.
const CHUNK: i32 = 100;

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Accounts that are gone. Their organizations are being deleted, and due.
    pub accounts: i64,
    /// Whether none is left; else the next run goes on.
    pub is_finished: bool,
}

/// Deletes them chunk by chunk, until `deadline`. `db` logs in as martlet_maintenance.
pub async fn sweep(db: &Database, deadline: Instant) -> Result<Swept> {
    let mut accounts = 0;
    while Instant::now() < deadline {
        let tx = db.begin_for(&[]).await?;
        let gone: i64 = tx.query_one(include_str!("sweeping/abandon.sql"), &[&CHUNK]).await?.try_get(0)?;
        tx.commit().await?;
        accounts += gone;
        if gone < i64::from(CHUNK) {
            return Ok(Swept { accounts, is_finished: true });
        }
    }
    Ok(Swept { accounts, is_finished: false })
}
