//! Workflows: programs elsewhere, of n8n for instance, that are started from here and report how it went.
//!
//! A workflow is an endpoint of [`super::webhooks`] with a name: what starts it is posted, signed and tried again by the same
//! machinery, and it signs its reports with the same secret. One without an address starts by itself and only reports.

pub mod callbacks;
pub mod runs;
pub mod sweeping;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::webhooks::endpoints::{self, DisabledReason, Status};
use super::webhooks::secrets::{self, Secret};
use super::webhooks::{EventType, Reach};
use crate::delivery::tokens::KeyRing;
use crate::error::violated_constraint;
use crate::fields::{Fields, given, patched};
use crate::{Error, OrganizationId, Result, Tx, WebhookEndpointId, WorkflowId, WorkflowRunId};

/// Workflows of one organization.
const MAXIMUM: i64 = 50;
/// Characters of a name.
const NAME_MAXIMUM: usize = 255;
/// Characters of a description.
const DESCRIPTION_MAXIMUM: usize = 500;

/// A workflow as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Workflow {
    /// Its id; also that of its deliveries' endpoint.
    pub id: WorkflowId,
    /// Its name, which no other workflow of the organization has.
    pub name: String,
    /// Where it is started; null when it starts by itself and only reports.
    pub url: Option<String>,
    /// What starts it beside a request.
    pub event_types: Vec<EventType>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is started.
    pub status: Status,
    /// Why not.
    pub disabled_reason: Option<DisabledReason>,
    /// Since when not.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// Since when every attempt to start it has failed; null while the last one has succeeded.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when the secret before the present one is good as well; null when there is none.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub previous_secret_expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// A workflow to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWorkflow {
    /// Its name.
    pub name: String,
    /// Where it is started; absent when it starts by itself and only reports.
    #[serde(default)]
    pub url: Option<String>,
    /// What starts it beside a request; nothing unless given.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkflowFields {
    /// Its name.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Where it is started; null for nowhere.
    #[serde(deserialize_with = "patched")]
    pub url: Option<Option<String>>,
    /// What starts it beside a request.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    pub event_types: Option<Vec<String>>,
    /// What it is for.
    #[serde(deserialize_with = "patched")]
    pub description: Option<Option<String>>,
    /// `enabled` or `disabled`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Status")]
    pub status: Option<Status>,
}

impl WorkflowFields {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [
            ("name", self.name.is_some()),
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

/// Makes a workflow, and returns it with its secret, which is never shown again.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`too_many_workflows`, `workflow_name_taken`).
pub async fn create(tx: &Tx, keys: &KeyRing, reach: Reach, new: &NewWorkflow) -> Result<(Workflow, Secret)> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", &new.name, NAME_MAXIMUM);
    let url = new.url.as_deref().and_then(|url| endpoints::check_url(&mut fields, url, reach));
    let event_types = endpoints::check_event_types(&mut fields, Some(&new.event_types));
    let description = fields.text("description", new.description.as_deref(), DESCRIPTION_MAXIMUM);
    fields.finish()?;
    tx.query_one(include_str!("webhooks/endpoints/hold_still.sql"), &[]).await?;
    let present: i64 = tx.query_one(include_str!("workflows/count.sql"), &[]).await?.try_get(0)?;
    if present >= MAXIMUM {
        let message = format!("an organization has {MAXIMUM} workflows at most; delete one first");
        return Err(Error::conflict("too_many_workflows", message));
    }
    let (organization, id) = (tx.organization()?, WorkflowId::fresh());
    tx.execute(
        include_str!("webhooks/endpoints/insert.sql"),
        &[&organization, &id, &"workflow", &url, &event_types, &description],
    )
    .await?;
    let inserted = tx.query_opt(include_str!("workflows/insert.sql"), &[&organization, &id, &name]).await?;
    inserted.ok_or_else(name_taken)?;
    let secret = secrets::create(tx, keys, endpoint(id)).await?;
    Ok((find(tx, id).await?, secret))
}

/// One workflow.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: WorkflowId) -> Result<Workflow> {
    let row = tx.query_opt(include_str!("workflows/find.sql"), &[&id]).await?.ok_or(NOT_FOUND)?;
    from_row(&row)
}

/// The newest workflows, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<WorkflowId>, limit: i64) -> Result<Vec<Workflow>> {
    tx.query(include_str!("workflows/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Changes the fields that are given. One that is disabled, or has no address any more, is not started; what waits for it is
/// cancelled.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] (`workflow_name_taken`).
pub async fn update(tx: &Tx, reach: Reach, id: WorkflowId, changes: WorkflowFields) -> Result<Workflow> {
    let mut fields = Fields::default();
    let name = changes.name.as_deref().map(|name| fields.required_line("name", name, NAME_MAXIMUM));
    let url = changes.url.map(|url| url.and_then(|url| endpoints::check_url(&mut fields, &url, reach)));
    let loses_address = matches!(url, Some(None));
    let event_types = changes.event_types.and_then(|types| endpoints::check_event_types(&mut fields, Some(&types)));
    let description = changes.description.map(|text| fields.text("description", text.as_deref(), DESCRIPTION_MAXIMUM));
    fields.finish()?;
    endpoints::lock(tx, endpoint(id), "workflow").await?;
    let renamed = tx.execute(include_str!("workflows/rename.sql"), &[&id, &name]).await;
    renamed.map_err(|error| match violated_constraint(&error) {
        Some("workflows_name_key") => name_taken(),
        _ => error,
    })?;
    tx.execute(
        include_str!("workflows/update_endpoint.sql"),
        &[&id, &url.is_some(), &url.flatten(), &event_types, &description.is_some(), &description.flatten()],
    )
    .await?;
    if loses_address {
        endpoints::cancel(tx, endpoint(id), "no_address").await?;
    }
    match changes.status {
        Some(Status::Enabled) => endpoints::enable(tx, endpoint(id)).await?,
        Some(Status::Disabled) => endpoints::disable(tx, endpoint(id)).await?,
        None => {}
    }
    find(tx, id).await
}

/// Deletes a workflow; its runs stay, under the name that it had.
///
/// Errors: [`Error::NotFound`].
pub async fn delete(tx: &Tx, id: WorkflowId) -> Result<()> {
    endpoints::lock(tx, endpoint(id), "workflow").await?;
    endpoints::remove(tx, endpoint(id)).await
}

/// Makes another secret, and returns the workflow with it. The one before is good for another day.
///
/// Errors: [`Error::NotFound`].
pub async fn rotate_secret(tx: &Tx, keys: &KeyRing, id: WorkflowId) -> Result<(Workflow, Secret)> {
    endpoints::lock(tx, endpoint(id), "workflow").await?;
    let secret = secrets::rotate(tx, keys, endpoint(id)).await?;
    Ok((find(tx, id).await?, secret))
}

/// Where a run's end is reported, below the public URL.
#[must_use]
pub fn callback_path(keys: &KeyRing, organization: OrganizationId, run: WorkflowRunId) -> String {
    format!("/v1/workflows/callbacks/{}", keys.callback_token(organization.0, run.0))
}

/// The endpoint of a workflow.
fn endpoint(id: WorkflowId) -> WebhookEndpointId {
    WebhookEndpointId(id.0)
}

fn name_taken() -> Error {
    Error::conflict("workflow_name_taken", "another workflow has this name")
}

const NOT_FOUND: Error = Error::NotFound("workflow");

fn from_row(row: &Row) -> Result<Workflow> {
    Ok(Workflow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        event_types: endpoints::event_types(row)?.unwrap_or_default(),
        description: row.try_get("description")?,
        status: endpoints::status(row)?,
        disabled_reason: endpoints::disabled_reason(row)?,
        disabled_at: row.try_get("disabled_at")?,
        failing_since: row.try_get("failing_since")?,
        previous_secret_expires_at: row.try_get("previous_secret_expires_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
