//! The outbox: what is to be told, written in the transaction in which it happens.
//!
//! Nothing is written that no endpoint wants, which the statement that writes looks at. It locks nothing but the organization's
//! row as every foreign key does, so it may stand anywhere in the order of locks; at the end is best, where the states that it
//! tells of are final.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::EventType;
use crate::delivery::messages::MessageKey;
use crate::{OrganizationId, Result, Tx, WebhookDeliveryId, WebhookEndpointId, WebhookEventId, WorkflowRunId};

/// Notes that something has happened. `data` is an object of ids and states; of a person it has the id as `contact_id`, by which
/// it is found when they are erased, and never what they wrote.
pub async fn emit(
    tx: &Tx,
    organization: OrganizationId,
    event_type: EventType,
    subject: Uuid,
    data: &Value,
) -> Result<()> {
    tx.execute(
        include_str!("outbox/emit.sql"),
        &[&organization, &WebhookEventId::fresh(), &event_type.name(), &subject, &tx.now(), data],
    )
    .await?;
    Ok(())
}

/// What has happened to a message.
#[derive(Debug, Clone)]
pub struct MessageEvent {
    /// To which one.
    pub message: MessageKey,
    /// What.
    pub event_type: EventType,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// What is told beside the message's own ids, its state and its address: an object.
    pub more: Value,
}

impl MessageEvent {
    /// An event of which there is nothing more to tell.
    #[must_use]
    pub fn new(message: MessageKey, event_type: EventType, occurred_at: DateTime<Utc>) -> Self {
        Self { message, event_type, occurred_at, more: Value::Object(serde_json::Map::new()) }
    }
}

/// The same for a batch of messages, in one statement, which reads what is to be told of them only where somebody wants to know.
/// The platform's own mail is nobody's business.
pub async fn emit_of_messages(tx: &Tx, events: &[MessageEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let organizations: Vec<OrganizationId> = events.iter().map(|event| event.message.organization).collect();
    let messages: Vec<_> = events.iter().map(|event| event.message.id).collect();
    let ids: Vec<WebhookEventId> = events.iter().map(|_| WebhookEventId::fresh()).collect();
    let types: Vec<&str> = events.iter().map(|event| event.event_type.name()).collect();
    let times: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
    let more: Vec<&Value> = events.iter().map(|event| &event.more).collect();
    tx.execute(include_str!("outbox/emit_of_messages.sql"), &[&organizations, &messages, &ids, &types, &times, &more])
        .await?;
    Ok(())
}

/// Writes what is meant for one endpoint alone, with its delivery, which is due at once.
pub(crate) async fn emit_to(
    tx: &Tx,
    endpoint: WebhookEndpointId,
    event_type: EventType,
    subject: Uuid,
    data: &Value,
) -> Result<(WebhookEventId, WebhookDeliveryId)> {
    let (event, delivery) = (WebhookEventId::fresh(), WebhookDeliveryId::fresh());
    tx.execute(
        include_str!("outbox/emit_to.sql"),
        &[&tx.organization()?, &event, &event_type.name(), &subject, &tx.now(), data, &delivery, &endpoint],
    )
    .await?;
    Ok((event, delivery))
}

/// Makes a delivery of each of these events for each endpoint that wants it, and of what starts a workflow a run; returns how many
/// deliveries that are. The caller has taken the events, so that nobody else does the same.
pub(super) async fn deliver(tx: &Tx, organizations: &[OrganizationId], events: &[WebhookEventId]) -> Result<usize> {
    if events.is_empty() {
        return Ok(0);
    }
    let rows = tx.query(include_str!("outbox/find_endpoints.sql"), &[&organizations, &events]).await?;
    let mut whose: Vec<OrganizationId> = Vec::with_capacity(rows.len());
    let (mut what, mut to, mut ids, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        whose.push(row.try_get("organization_id")?);
        what.push(row.try_get::<_, WebhookEventId>("event_id")?);
        to.push(row.try_get::<_, WebhookEndpointId>("endpoint_id")?);
        ids.push(WebhookDeliveryId::fresh());
        runs.push(row.try_get::<_, bool>("is_workflow")?.then(WorkflowRunId::fresh));
    }
    tx.execute(include_str!("outbox/insert_deliveries.sql"), &[&whose, &ids, &what, &to]).await?;
    if runs.iter().any(Option::is_some) {
        tx.execute(include_str!("outbox/insert_runs.sql"), &[&whose, &runs, &what, &to]).await?;
    }
    Ok(rows.len())
}
