//! Deleting: endpoints with more deliveries, or runs, than a request deletes. Maintenance does it chunk by chunk.

use serde::Serialize;
use tokio::time::Instant;

use crate::{Database, OrganizationId, Result, WebhookDeliveryId, WebhookEndpointId};

/// Deliveries, or runs, of one transaction.
const CHUNK: i64 = 1_000;

/// What one run has deleted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Endpoints and workflows that are gone.
    pub endpoints: u64,
    /// Deliveries that went with them.
    pub deliveries: u64,
    /// Whether all that were asked for are gone; else the next run goes on.
    pub is_finished: bool,
}

/// Deletes what hangs on the endpoints that are being deleted, and then themselves, until `deadline`.
pub async fn finish(db: &Database, deadline: Instant) -> Result<Deleted> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("deleting/organizations.sql"), &[]).await?;
    tx.commit().await?;
    let mut deleted = Deleted { is_finished: true, ..Deleted::default() };
    for row in &rows {
        let organization: OrganizationId = row.try_get(0)?;
        while deleted.is_finished && step(db, organization, &mut deleted).await? {
            deleted.is_finished = Instant::now() < deadline;
        }
    }
    Ok(deleted)
}

/// One transaction; whether there is more to do for the organization.
async fn step(db: &Database, organization: OrganizationId, deleted: &mut Deleted) -> Result<bool> {
    let tx = db.begin_for(&[organization]).await?;
    // The endpoint before its deliveries, as everybody locks them. Whoever else is at it goes on by themselves.
    let Some(row) = tx.query_opt(include_str!("deleting/lock_endpoint.sql"), &[&organization]).await? else {
        tx.commit().await?;
        return Ok(false);
    };
    let endpoint: WebhookEndpointId = row.try_get("id")?;
    let rows = tx.query(include_str!("deleting/lock_deliveries.sql"), &[&organization, &endpoint, &CHUNK]).await?;
    let deliveries: Vec<WebhookDeliveryId> = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
    tx.execute(include_str!("deleting/end_runs.sql"), &[&organization, &deliveries, &tx.now()]).await?;
    deleted.deliveries +=
        tx.execute(include_str!("deleting/delete_deliveries.sql"), &[&organization, &deliveries]).await?;
    // What a run was to be started by is gone first, so that it has ended where nobody has started it.
    if (deliveries.len() as u64) < CHUNK.unsigned_abs() {
        let left = tx.execute(include_str!("deleting/leave_runs.sql"), &[&organization, &endpoint, &CHUNK]).await?;
        if left < CHUNK.unsigned_abs() {
            let gone = tx.execute(include_str!("deleting/delete_endpoint.sql"), &[&organization, &endpoint]).await?;
            deleted.endpoints += gone;
        }
    }
    tx.commit().await?;
    Ok(true)
}
