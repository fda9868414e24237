//! Folding: what the triggers have written as deltas becomes one row of counters per day and dimensions.
//!
//! Reading sums both tables, so folding changes no answer, whenever it runs or is killed; it keeps them quick.

use serde::Serialize;
use tokio::time::Instant;

use crate::{Database, OrganizationId, Result, Tx};

/// Held by whoever folds; somebody else leaves the work to them.
const FOLDING_LOCK: i64 = 0x4d41_5254_464f_4c44;
/// Deltas of one transaction: well under a second's work.
const CHUNK: i64 = 10_000;
/// Organizations of one transaction, whose ids travel in the message that opens it.
const ORGANIZATIONS: usize = 100;

/// What one run has folded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// Deltas that are now in the counters.
    pub deltas: u64,
    /// Whether none is left of those that were there in the beginning; else the next run goes on.
    pub is_finished: bool,
}

/// Folds what there is, chunk by chunk, until `deadline`.
pub async fn fold(db: &Database, deadline: Instant) -> Result<Folded> {
    let organizations = organizations(db).await?;
    let mut deltas = 0;
    for batch in organizations.chunks(ORGANIZATIONS) {
        loop {
            if Instant::now() >= deadline {
                return Ok(Folded { deltas, is_finished: false });
            }
            let tx = db.begin_for(batch).await?;
            let folded = fold_chunk(&tx, CHUNK).await?;
            tx.commit().await?;
            let Some(folded) = folded else { return Ok(Folded { deltas, is_finished: false }) };
            deltas += folded.unsigned_abs();
            if folded < CHUNK {
                break;
            }
        }
    }
    Ok(Folded { deltas, is_finished: true })
}

/// Folds at most `chunk` deltas of the organizations of this transaction and returns how many; none while somebody else
/// folds.
pub async fn fold_chunk(tx: &Tx, chunk: i64) -> Result<Option<i64>> {
    let is_held: bool = tx.query_one(include_str!("folding/hold.sql"), &[&FOLDING_LOCK]).await?.try_get(0)?;
    if !is_held {
        return Ok(None);
    }
    Ok(Some(tx.query_one(include_str!("folding/fold.sql"), &[&chunk]).await?.try_get(0)?))
}

async fn organizations(db: &Database) -> Result<Vec<OrganizationId>> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("folding/organizations.sql"), &[]).await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
