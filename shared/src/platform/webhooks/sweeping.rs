//! Sweeping: events and their deliveries that were kept for long enough.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;

use crate::platform::config;
use crate::{Database, OrganizationId, Result};

/// Events of one transaction, each with a delivery for every endpoint.
const CHUNK: i64 = 1_000;
/// Organizations of one transaction, whose ids travel in the message that opens it.
const ORGANIZATIONS: usize = 100;

/// What one run has swept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Events that are gone, and with them their deliveries.
    pub events: u64,
    /// Whether all were asked for that were too old in the beginning; else the next run goes on.
    pub is_finished: bool,
}

/// Deletes events that are too old, chunk by chunk, until `deadline`. By the machine's clock.
pub async fn sweep(db: &Database, deadline: Instant) -> Result<Swept> {
    let (kept_since, organizations) = old(db).await?;
    let mut events = 0;
    for batch in organizations.chunks(ORGANIZATIONS) {
        loop {
            if Instant::now() >= deadline {
                return Ok(Swept { events, is_finished: false });
            }
            let tx = db.begin_for(batch).await?;
            let swept = tx.execute(include_str!("sweeping/delete.sql"), &[&CHUNK, &kept_since]).await?;
            tx.commit().await?;
            events += swept;
            if swept < CHUNK.unsigned_abs() {
                break;
            }
        }
    }
    Ok(Swept { events, is_finished: true })
}

async fn old(db: &Database) -> Result<(DateTime<Utc>, Vec<OrganizationId>)> {
    let tx = db.begin_for(&[]).await?;
    let kept_for = config::read(&tx, "webhooks").await?.duration("keep_for")?;
    let since = tx.query_one(include_str!("sweeping/kept_since.sql"), &[&kept_for.as_secs_f64()]).await?;
    let since: DateTime<Utc> = since.try_get(0)?;
    let rows = tx.query(include_str!("sweeping/organizations.sql"), &[&since]).await?;
    tx.commit().await?;
    Ok((since, rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?))
}
