//! Restoration: a database that was brought back from a backup does not know what has left since then.
//!
//! Nobody tells us of it, so each run of the scheduler counts one up in the database and remembers the number outside
//! ([`Memory`]). A database whose number is smaller than the remembered one is older than what was done with it. Whatever may
//! have left meanwhile is held then, as `review`: every planned message, and the next step of everybody whose turn may have come.
//!
//! Senders do not wait for that run. Nothing is planned or handed over by a ledger that was confirmed longer ago than
//! `breaker/read.sql` allows: by the time it has been restored, a backup is older. Reports are taken in the meantime. What is
//! held, [`scheduling::hold`](super::scheduling::hold) says.

use chrono::Duration;
use futures_util::future::BoxFuture;

use super::scheduling;
use crate::{Database, Error, Result};

/// What is remembered outside of the database, and outlives it.
pub trait Memory: Send + Sync {
    /// The number that was kept last, by anybody; none where nothing ever was.
    fn recall(&self) -> BoxFuture<'_, Result<Option<i64>>>;

    /// Keeps a number in the place of the one before.
    fn keep(&self, runs: i64) -> BoxFuture<'_, Result<()>>;
}

/// What a run has found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// Whether the database was restored to an earlier time.
    pub is_restored: bool,
    /// Messages that wait for a person because of that.
    pub held: u64,
}

/// Confirms that this is the database that was written to last, having held what is in doubt where it was not.
///
/// Errors: where the memory can't be read or written nothing is confirmed, and after some minutes nothing is handed over.
pub async fn confirm(db: &Database, memory: &dyn Memory, horizon: Duration) -> Result<Standing> {
    // Asked before the database: what is remembered now was committed before.
    let remembered = memory.recall().await?.unwrap_or_default();
    let remembered = if crate::fault_points::defect("nothing_remembered") { 0 } else { remembered };
    let tx = db.begin_for(&[]).await?;
    let known: i64 = tx.query_one("select runs from ledger_runs", &[]).await?.try_get(0)?;
    tx.commit().await?;
    let mut standing = Standing { is_restored: remembered > known, held: 0 };
    if standing.is_restored {
        tracing::error!(
            remembered,
            known,
            "the database was restored: what may have left since then waits for a person"
        );
        standing.held = scheduling::hold(db, horizon, remembered).await?;
    }
    let tx = db.begin_for(&[]).await?;
    let counted = tx.query_opt(include_str!("restoration/count.sql"), &[&remembered, &standing.is_restored]).await?;
    tx.commit().await?;
    let runs: i64 = counted.ok_or_else(another_came)?.try_get(0)?;
    // Never before the commit: the memory would be ahead of a database that has lost nothing.
    memory.keep(runs).await?;
    let tx = db.begin_for(&[]).await?;
    let confirmed = tx.execute("update ledger_runs set confirmed_at = now() where runs >= $1", &[&runs]).await?;
    tx.commit().await?;
    if confirmed == 0 { Err(another_came()) } else { Ok(standing) }
}

/// The next run looks at it.
fn another_came() -> Error {
    Error::Unavailable("the database has been replaced while it was looked at".into())
}
