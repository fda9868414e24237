//! Sweeping: exports that nobody does any more fail, so that another one can be asked for.

use std::time::Duration;

use serde::Serialize;

use crate::{Database, OrganizationId, Result};

/// An export notes each of its parts within a minute; its hint is delivered five times within half an hour, and asking for the export
/// again brings another one.
const SILENCE: Duration = Duration::from_secs(3 * 3_600);
/// What its owner reads.
const ERROR: &str = "abandoned: nothing was written for three hours; ask for another export";

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Exports that have failed.
    pub exports: u64,
}

/// Ends the exports of which nothing was written for hours. By the machine's clock.
pub async fn sweep(db: &Database) -> Result<Swept> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("sweeping/organizations.sql"), &[&SILENCE.as_secs_f64()]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    if organizations.is_empty() {
        return Ok(Swept::default());
    }
    let tx = db.begin_for(&organizations).await?;
    let exports =
        tx.execute(include_str!("sweeping/fail_exports.sql"), &[&SILENCE.as_secs_f64(), &ERROR, &tx.now()]).await?;
    tx.commit().await?;
    Ok(Swept { exports })
}
