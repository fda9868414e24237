//! Emptying: what has lain in the bin for its time is gone for good.

use chrono::Duration;
use serde::Serialize;
use tokio::time::Instant;

use super::KEPT_DAYS;
use crate::{Database, OrganizationId, Result};

/// Contacts that one transaction takes out.
const BATCH: i64 = 1_000;

/// What one run has taken out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Emptied {
    /// Contacts.
    pub contacts: u64,
}

/// Takes out of every bin what was deleted longer ago than it is kept, until the deadline. By people's clock.
pub async fn empty(db: &Database, deadline: Instant) -> Result<Emptied> {
    let tx = db.begin_for(&[]).await?;
    let before = tx.now() - Duration::days(KEPT_DAYS);
    let rows = tx.query(include_str!("emptying/organizations.sql"), &[&before]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    let mut emptied = Emptied::default();
    for organization in organizations {
        while Instant::now() < deadline {
            let tx = db.begin_for(&[organization]).await?;
            let gone = tx.execute(include_str!("emptying/delete.sql"), &[&before, &BATCH]).await?;
            tx.commit().await?;
            emptied.contacts += gone;
            if gone < BATCH.unsigned_abs() {
                break;
            }
        }
    }
    Ok(emptied)
}
