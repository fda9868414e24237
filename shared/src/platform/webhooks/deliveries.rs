//! Deliveries: the record of what an endpoint was told, and telling it again.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{EventType, endpoints, outbox};
use crate::{Error, Result, Tx, WebhookDeliveryId, WebhookEndpointId, WebhookEventId};

/// Deliveries that one request replays.
pub const REPLAY_MAXIMUM: i64 = 1_000;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeliveryState")]
pub enum State {
    /// It is due, or waits for its next attempt.
    Pending,
    /// The endpoint has taken it.
    Delivered,
    /// The endpoint has not taken it in any attempt.
    Failed,
    /// There was nobody to tell it any more: the endpoint is disabled, or its person is erased.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Cancelled];

    /// The state's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown state of a delivery: {name}")))
    }
}

/// A delivery as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Delivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// What is told: the `webhook-id` of every attempt.
    pub event_id: WebhookEventId,
    /// What has happened; null for what this release does not know.
    #[serde(rename = "type")]
    pub event_type: Option<EventType>,
    /// Who is told: a webhook endpoint, or a workflow.
    pub endpoint_id: WebhookEndpointId,
    /// Where it stands.
    pub state: State,
    /// How often it was posted since it was made or replayed.
    pub attempts: i32,
    /// When it is posted again.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was posted last.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub attempted_at: Option<DateTime<Utc>>,
    /// When it came to an end.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub finished_at: Option<DateTime<Utc>>,
    /// The status that the endpoint has answered with last.
    pub answer_status: Option<i16>,
    /// What else it said, at most 1 KiB of it.
    pub answer_body: Option<String>,
    /// Why the last attempt failed or none is made any more, as a stable name.
    pub error: Option<String>,
    /// How long the last attempt took, in milliseconds.
    pub duration_ms: Option<i32>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// A delivery with what is told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeliveryInFull {
    /// Where it stands.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// When it happened.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub occurred_at: DateTime<Utc>,
    /// The payload's `data`; empty once its person is erased.
    pub data: Value,
}

/// Which deliveries to list; what is absent does not narrow.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// To this endpoint or workflow.
    pub endpoint_id: Option<WebhookEndpointId>,
    /// In this state.
    pub state: Option<State>,
    /// Of this type.
    #[serde(rename = "type")]
    pub event_type: Option<EventType>,
}

/// The newest deliveries, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, filter: &Filter, before: Option<WebhookDeliveryId>, limit: i64) -> Result<Vec<Delivery>> {
    let state = filter.state.map(State::name);
    let event_type = filter.event_type.map(EventType::name);
    tx.query(include_str!("deliveries/list.sql"), &[&before, &filter.endpoint_id, &state, &event_type, &limit])
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// One delivery.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: WebhookDeliveryId) -> Result<DeliveryInFull> {
    let row = tx.query_opt(include_str!("deliveries/find.sql"), &[&id]).await?.ok_or(NOT_FOUND)?;
    Ok(DeliveryInFull {
        delivery: from_row(&row)?,
        occurred_at: row.try_get("occurred_at")?,
        data: row.try_get("data")?,
    })
}

/// Tells it again, under the same `webhook-id`, as if it were new.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`webhook_delivery_pending`, `webhook_endpoint_disabled`, `webhook_event_erased`).
pub async fn replay(tx: &Tx, id: WebhookDeliveryId) -> Result<Delivery> {
    // The endpoint before its deliveries, as whoever disables it locks them.
    let endpoint = find(tx, id).await?.delivery.endpoint_id;
    let is_enabled = hold_enabled(tx, endpoint).await?;
    let row = tx.query_opt(include_str!("deliveries/lock.sql"), &[&id]).await?.ok_or(NOT_FOUND)?;
    if row.try_get::<_, &str>("state")? == State::Pending.name() {
        return Err(Error::conflict("webhook_delivery_pending", "the delivery is on its way"));
    }
    if !is_enabled {
        return Err(disabled());
    }
    if row.try_get("is_erased")? {
        let message = "the person whom the event was about is erased, and nothing is left to tell";
        return Err(Error::conflict("webhook_event_erased", message));
    }
    restart(tx, &[id]).await?;
    Ok(find(tx, id).await?.delivery)
}

/// Tells an endpoint again what it has not taken since a time, the oldest first and at most [`REPLAY_MAXIMUM`]; returns how many
/// deliveries that are.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`webhook_endpoint_disabled`).
pub async fn replay_failed(tx: &Tx, endpoint: WebhookEndpointId, since: DateTime<Utc>) -> Result<usize> {
    endpoints::lock(tx, endpoint, "webhook").await?;
    require_enabled(tx, endpoint).await?;
    let rows = tx.query(include_str!("deliveries/lock_failed.sql"), &[&endpoint, &since, &REPLAY_MAXIMUM]).await?;
    let ids: Vec<WebhookDeliveryId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    restart(tx, &ids).await?;
    Ok(ids.len())
}

/// Sends an endpoint an event that says nothing, so that somebody may see whether it arrives. It is posted once.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`webhook_endpoint_disabled`).
pub async fn test(tx: &Tx, endpoint: WebhookEndpointId) -> Result<Delivery> {
    endpoints::find(tx, endpoint).await?;
    require_enabled(tx, endpoint).await?;
    let data = json!({ "endpoint_id": endpoint });
    let (_, delivery) = outbox::emit_to(tx, endpoint, EventType::WebhookTest, endpoint.0, &data).await?;
    Ok(find(tx, delivery).await?.delivery)
}

/// Makes deliveries due that this transaction has locked, and lets the runs that they start be under way again.
async fn restart(tx: &Tx, ids: &[WebhookDeliveryId]) -> Result<()> {
    tx.execute(include_str!("deliveries/restart.sql"), &[&ids]).await?;
    tx.execute(include_str!("deliveries/reopen_runs.sql"), &[&ids]).await?;
    Ok(())
}

async fn require_enabled(tx: &Tx, endpoint: WebhookEndpointId) -> Result<()> {
    if hold_enabled(tx, endpoint).await? { Ok(()) } else { Err(disabled()) }
}

/// Whether an endpoint is told anything. It stays so until this transaction ends.
async fn hold_enabled(tx: &Tx, endpoint: WebhookEndpointId) -> Result<bool> {
    let row = tx.query_opt(include_str!("deliveries/hold_enabled.sql"), &[&endpoint]).await?;
    row.map_or(Ok(false), |row| Ok(row.try_get(0)?))
}

fn disabled() -> Error {
    Error::conflict("webhook_endpoint_disabled", "the endpoint is disabled, or has no address, and is told nothing")
}

const NOT_FOUND: Error = Error::NotFound("webhook delivery");

fn from_row(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        id: row.try_get("id")?,
        event_id: row.try_get("event_id")?,
        event_type: EventType::parse(row.try_get("type")?),
        endpoint_id: row.try_get("endpoint_id")?,
        state: State::parse(row.try_get("state")?)?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        attempted_at: row.try_get("attempted_at")?,
        finished_at: row.try_get("finished_at")?,
        answer_status: row.try_get("answer_status")?,
        answer_body: row.try_get("answer_body")?,
        error: row.try_get("error")?,
        duration_ms: row.try_get("duration_ms")?,
        created_at: row.try_get("created_at")?,
    })
}
