//! Endpoints: where an organization is told, and of what.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::secrets::{self, Secret};
use super::{EventType, Reach, Target};
use crate::delivery::tokens::KeyRing;
use crate::fields::{Fields, given, patched};
use crate::{Error, OrganizationId, Result, Tx, WebhookEndpointId};

/// Endpoints of one organization. Each event is told to all of them.
const MAXIMUM: i64 = 20;
/// Deliveries, or runs, that are deleted with their endpoint in one request.
const DELETED_AT_ONCE: i64 = 1_000;
/// Characters of a description.
const DESCRIPTION_MAXIMUM: usize = 500;

/// Whether an endpoint is told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EndpointStatus")]
pub enum Status {
    /// It is.
    Enabled,
    /// It is not, until a person enables it.
    Disabled,
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// A person did it.
    Person,
    /// It has answered 410: it is no more.
    Gone,
    /// Nothing has reached it for days.
    Failing,
}

/// An endpoint as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Endpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Where events are posted.
    pub url: String,
    /// Of what it is told; null for everything, also what there will be later.
    pub event_types: Option<Vec<EventType>>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is told anything.
    pub status: Status,
    /// Why not.
    pub disabled_reason: Option<DisabledReason>,
    /// Since when not.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// Since when every attempt has failed; null while the last one has succeeded.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when the secret before the present one signs as well; null when there is none.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub previous_secret_expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// An endpoint to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where events are posted: `https`, to an address that everybody can reach.
    pub url: String,
    /// Of what it is told; everything unless given.
    #[serde(default)]
    pub event_types: Option<Vec<String>>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointFields {
    /// Where events are posted.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// Of what it is told; null for everything.
    #[serde(deserialize_with = "patched")]
    pub event_types: Option<Option<Vec<String>>>,
    /// What it is for.
    #[serde(deserialize_with = "patched")]
    pub description: Option<Option<String>>,
    /// `enabled` or `disabled`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Status")]
    pub status: Option<Status>,
}

impl EndpointFields {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [
            ("url", self.url.is_some()),
            ("event_types", self.event_types.is_some()),
            ("description", self.description.is_some()),
            ("status", self.status.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect()
    }
}

/// Makes an endpoint, and returns it with its secret, which is never shown again.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`too_many_webhook_endpoints`).
pub async fn create(tx: &Tx, keys: &KeyRing, reach: Reach, new: &NewEndpoint) -> Result<(Endpoint, Secret)> {
    let mut fields = Fields::default();
    let url = check_url(&mut fields, &new.url, reach);
    let event_types = check_event_types(&mut fields, new.event_types.as_deref());
    let description = fields.text("description", new.description.as_deref(), DESCRIPTION_MAXIMUM);
    fields.finish()?;
    // Whoever else makes one waits.
    tx.query_one(include_str!("endpoints/hold_still.sql"), &[]).await?;
    let present: i64 = tx.query_one(include_str!("endpoints/count.sql"), &[]).await?.try_get(0)?;
    if present >= MAXIMUM {
        let message = format!("an organization has {MAXIMUM} webhook endpoints at most; delete one first");
        return Err(Error::conflict("too_many_webhook_endpoints", message));
    }
    let id = WebhookEndpointId::fresh();
    tx.execute(
        include_str!("endpoints/insert.sql"),
        &[&tx.organization()?, &id, &"webhook", &url, &event_types, &description],
    )
    .await?;
    let secret = secrets::create(tx, keys, id).await?;
    Ok((find(tx, id).await?, secret))
}

/// One endpoint.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: WebhookEndpointId) -> Result<Endpoint> {
    from_row(&tx.query_opt(include_str!("endpoints/find.sql"), &[&id]).await?.ok_or(NOT_FOUND)?)
}

/// The newest endpoints, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<WebhookEndpointId>, limit: i64) -> Result<Vec<Endpoint>> {
    tx.query(include_str!("endpoints/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Changes the fields that are given. With another address it is forgotten since when the old one failed. One that is disabled is told nothing any more: what waited for it is cancelled, and can be
/// replayed once it is enabled, which also forgets since when it failed.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn update(tx: &Tx, reach: Reach, id: WebhookEndpointId, changes: EndpointFields) -> Result<Endpoint> {
    let mut fields = Fields::default();
    let url = changes.url.as_deref().map(|url| check_url(&mut fields, url, reach));
    let event_types = changes.event_types.map(|types| check_event_types(&mut fields, types.as_deref()));
    let description = changes.description.map(|text| fields.text("description", text.as_deref(), DESCRIPTION_MAXIMUM));
    fields.finish()?;
    lock(tx, id, "webhook").await?;
    tx.execute(
        include_str!("endpoints/update.sql"),
        &[&id, &url, &event_types.is_some(), &event_types.flatten(), &description.is_some(), &description.flatten()],
    )
    .await?;
    match changes.status {
        Some(Status::Enabled) => enable(tx, id).await?,
        Some(Status::Disabled) => disable(tx, id).await?,
        None => {}
    }
    find(tx, id).await
}

/// Deletes an endpoint and the record of what it was told.
///
/// Errors: [`Error::NotFound`].
pub async fn delete(tx: &Tx, id: WebhookEndpointId) -> Result<()> {
    lock(tx, id, "webhook").await?;
    remove(tx, id).await
}

/// Makes another secret, and returns the endpoint with it. The one before signs for another day.
///
/// Errors: [`Error::NotFound`].
pub async fn rotate_secret(tx: &Tx, keys: &KeyRing, id: WebhookEndpointId) -> Result<(Endpoint, Secret)> {
    lock(tx, id, "webhook").await?;
    let secret = secrets::rotate(tx, keys, id).await?;
    Ok((find(tx, id).await?, secret))
}

/// Locks an endpoint of this kind before what hangs on it.
///
/// Errors: [`Error::NotFound`].
pub(crate) async fn lock(tx: &Tx, id: WebhookEndpointId, kind: &str) -> Result<()> {
    let found = tx.query_opt(include_str!("endpoints/lock.sql"), &[&id, &kind]).await?;
    found.map(|_| ()).ok_or(if kind == "webhook" { NOT_FOUND } else { Error::NotFound("workflow") })
}

/// Lets an endpoint be told again. The caller has locked it.
pub(crate) async fn enable(tx: &Tx, id: WebhookEndpointId) -> Result<()> {
    tx.execute(include_str!("endpoints/enable.sql"), &[&id]).await?;
    Ok(())
}

/// Disables an endpoint in a person's name. The caller has locked it.
pub(crate) async fn disable(tx: &Tx, id: WebhookEndpointId) -> Result<()> {
    tx.execute(include_str!("endpoints/disable.sql"), &[&id]).await?;
    cancel(tx, id, "endpoint_disabled").await
}

/// Cancels what waits for an endpoint, for a reason, and ends the runs that were to be started by it. The caller has locked it.
pub(crate) async fn cancel(tx: &Tx, id: WebhookEndpointId, reason: &str) -> Result<()> {
    cancel_deliveries(tx, tx.organization()?, id, reason).await?;
    tx.execute(include_str!("endpoints/end_runs.sql"), &[&tx.organization()?, &id, &tx.now()]).await?;
    Ok(())
}

/// Cancels what waits for an endpoint, for a reason. The caller has locked it.
pub(super) async fn cancel_deliveries(
    tx: &Tx,
    organization: OrganizationId,
    id: WebhookEndpointId,
    reason: &str,
) -> Result<()> {
    tx.execute(include_str!("endpoints/cancel_deliveries.sql"), &[&organization, &id, &reason]).await?;
    Ok(())
}

/// Deletes an endpoint and what hangs on it; with more than a request deletes, maintenance does it within the hour, and nobody sees
/// the endpoint any more. The caller has locked it.
pub(crate) async fn remove(tx: &Tx, id: WebhookEndpointId) -> Result<()> {
    let hanging = tx.query_one(include_str!("endpoints/count_hanging.sql"), &[&id, &DELETED_AT_ONCE]).await?;
    if hanging.try_get::<_, i64>(0)? >= DELETED_AT_ONCE {
        tx.execute(include_str!("endpoints/mark_deleting.sql"), &[&id]).await?;
        tx.execute(include_str!("endpoints/free_name.sql"), &[&id]).await?;
        return Ok(());
    }
    cancel(tx, id, "endpoint_deleted").await?;
    tx.execute(include_str!("endpoints/delete.sql"), &[&id]).await?;
    Ok(())
}

pub(crate) fn check_url(fields: &mut Fields, url: &str, reach: Reach) -> Option<String> {
    match Target::parse(url.trim(), reach) {
        Ok(target) => Some(target.url().to_owned()),
        Err(wrong) => {
            fields.refuse("url", wrong.code(), format!("url is not an address that we post to: {wrong}"));
            None
        }
    }
}

pub(crate) fn check_event_types(fields: &mut Fields, names: Option<&[String]>) -> Option<Vec<&'static str>> {
    let mut known = Vec::new();
    for name in names? {
        match EventType::parse(name).filter(|known| known.can_be_wanted()) {
            Some(event_type) => known.push(event_type.name()),
            None => {
                fields.refuse(
                    "event_types",
                    "unknown_event_type",
                    "event_types names types of events, each as the list of them has it",
                );
                break;
            }
        }
    }
    known.sort_unstable();
    known.dedup();
    Some(known)
}

/// Of what an endpoint is told, as its row says; null for everything.
pub(crate) fn event_types(row: &Row) -> Result<Option<Vec<EventType>>> {
    let names: Option<Vec<String>> = row.try_get("event_types")?;
    // A name that this release doesn't know is one that it doesn't tell of.
    Ok(names.map(|names| names.iter().filter_map(|name| EventType::parse(name)).collect()))
}

pub(crate) fn status(row: &Row) -> Result<Status> {
    Ok(if row.try_get::<_, &str>("status")? == "enabled" { Status::Enabled } else { Status::Disabled })
}

pub(crate) fn disabled_reason(row: &Row) -> Result<Option<DisabledReason>> {
    match row.try_get::<_, Option<&str>>("disabled_reason")? {
        None => Ok(None),
        Some("person") => Ok(Some(DisabledReason::Person)),
        Some("gone") => Ok(Some(DisabledReason::Gone)),
        Some("failing") => Ok(Some(DisabledReason::Failing)),
        Some(other) => Err(Error::internal(format!("unknown reason of a disabled endpoint: {other}"))),
    }
}

const NOT_FOUND: Error = Error::NotFound("webhook endpoint");

fn from_row(row: &Row) -> Result<Endpoint> {
    Ok(Endpoint {
        id: row.try_get("id")?,
        url: row.try_get("url")?,
        event_types: event_types(row)?,
        description: row.try_get("description")?,
        status: status(row)?,
        disabled_reason: disabled_reason(row)?,
        disabled_at: row.try_get("disabled_at")?,
        failing_since: row.try_get("failing_since")?,
        previous_secret_expires_at: row.try_get("previous_secret_expires_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
