//! Sweeping: imports whose hint was lost are brought again, and those that a day of hints has not moved fail.

use std::time::Duration;

use serde::Serialize;

use super::ImportQueue;
use crate::{Database, ImportId, OrganizationId, Result};

/// An import notes each of its chunks within seconds; as long as its hint comes back by itself, nobody else brings one.
const HINT_LOST: Duration = Duration::from_secs(45 * 60);
/// An import that a day of hints has not moved is not moved by another one.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);
/// What whoever started such an import reads.
const ABANDONED: &str = "abandoned: no row could be imported for a day; start it again";
/// Hints that a run brings at most; the next one goes on.
const HINTS: i64 = 1_000;

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Imports that are at their end: the hint that is brought with it ends them.
    pub given_up: u64,
    /// Imports whose hint was brought again.
    pub resumed: u64,
}

/// Brings lost hints again, and gives up what they have not moved. `db` logs in as martlet_maintenance. By the machine's clock.
///
/// Errors: the database or the queue is not available; what was committed stays.
pub async fn sweep(db: &Database, queue: &dyn ImportQueue) -> Result<Swept> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("sweeping/organizations_with_imports.sql"), &[&HINT_LOST.as_secs_f64()]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    if organizations.is_empty() {
        return Ok(Swept::default());
    }
    let tx = db.begin_for(&organizations).await?;
    let given_up = tx.execute(include_str!("sweeping/give_up.sql"), &[&GIVEN_UP.as_secs_f64(), &ABANDONED]).await?;
    let silent = tx.query(include_str!("sweeping/silent_imports.sql"), &[&HINT_LOST.as_secs_f64(), &HINTS]).await?;
    tx.commit().await?;
    for row in &silent {
        let (organization, import): (OrganizationId, ImportId) = (row.try_get("organization_id")?, row.try_get("id")?);
        queue.enqueue(organization, import).await?;
    }
    Ok(Swept { given_up, resumed: silent.len() as u64 })
}
