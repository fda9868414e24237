//! Callbacks: what a workflow reports of a run, signed by the rules of Standard Webhooks with the workflow's secret.
//!
//! The address names the run, the signature proves who calls, the time in it that the call is new, and its `webhook-id`, kept
//! with the run that it has ended, that it is not somebody's who has listened: the same call ends nothing twice.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::runs::{self, Run, Status};
use super::{NOT_FOUND, endpoint};
use crate::delivery::tokens::KeyRing;
use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::platform::webhooks::secrets;
use crate::platform::webhooks::signatures::{self, Signed};
use crate::{Database, Error, OrganizationId, Result, Tx, WorkflowId, WorkflowRunId};

/// Characters of a `webhook-id`.
const ID_MAXIMUM: usize = 255;

/// How a run has ended, as its workflow says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `success`, `error` or `cancelled`.
    pub status: Status,
    /// What it has measured.
    #[serde(default)]
    pub metrics: Map<String, Value>,
    /// What went wrong.
    #[serde(default)]
    pub error_data: Option<Map<String, Value>>,
    /// When it began, where the workflow knows better.
    #[serde(default)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; now unless given.
    #[serde(default)]
    pub completed_at: Option<DateTime<Utc>>,
}

/// The run that the token of a callback's address names.
///
/// Errors: [`Error::NotFound`] for a token that is not ours.
pub fn address(keys: &KeyRing, token: &str) -> Result<(OrganizationId, WorkflowRunId)> {
    let (organization, run) = keys.open_callback_token(token).map_err(|_| RUN_NOT_FOUND)?;
    Ok((OrganizationId(organization), WorkflowRunId(run)))
}

/// Takes a report. Nothing in it is looked at before its signature is found to be right; `read` makes a report of the body then.
///
/// Errors: [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Invalid`], [`Error::Conflict`] (`callback_replayed`,
/// `workflow_run_finished`), and those of `read`.
pub async fn take<E: From<Error>>(
    db: &Database,
    keys: &KeyRing,
    (organization, run): (OrganizationId, WorkflowRunId),
    signed: Signed<'_>,
    body: &[u8],
    read: impl FnOnce(&[u8]) -> Result<Report, E>,
) -> Result<Run, E> {
    let tx = db.begin(organization).await?;
    verify(&tx, keys, run, signed, body).await?;
    let report = read(body)?;
    let taken = apply(&tx, run, signed.id, report).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn verify(tx: &Tx, keys: &KeyRing, run: WorkflowRunId, signed: Signed<'_>, body: &[u8]) -> Result<()> {
    let row = tx.query_opt(include_str!("callbacks/find_workflow.sql"), &[&run]).await?.ok_or(RUN_NOT_FOUND)?;
    let workflow: WorkflowId = row.try_get::<_, Option<WorkflowId>>("workflow_id")?.ok_or(NOT_FOUND)?;
    let organization = tx.organization()?;
    let rows = tx.query(secrets::READ, &[&endpoint(workflow), &organization]).await?;
    let secrets = secrets::open(keys, organization, endpoint(workflow), &rows);
    // The machine's time: the caller's clock is a machine's as well.
    let now: i64 = row.try_get("unix_now")?;
    signatures::verify(&secrets, signed, body, now).map_err(|wrong| {
        tracing::warn!(%organization, %run, ?wrong, "a callback is not believed");
        Error::Unauthorized
    })
}

async fn apply(tx: &Tx, run: WorkflowRunId, id: &str, report: Report) -> Result<Run> {
    let mut fields = Fields::default();
    if report.status == Status::Running {
        fields.refuse("status", "not_an_end", "status is success, error or cancelled");
    }
    let metrics = Value::Object(report.metrics);
    let error_data = report.error_data.map(Value::Object);
    runs::check_json(&mut fields, "metrics", &metrics);
    runs::check_json(&mut fields, "error_data", &error_data.clone().unwrap_or_default());
    fields.required_line("webhook-id", id, ID_MAXIMUM);
    fields.finish()?;
    let completed_at = report.completed_at.unwrap_or_else(|| tx.now());
    let locked = tx.query_opt(include_str!("callbacks/lock.sql"), &[&run]).await?.ok_or(RUN_NOT_FOUND)?;
    if locked.try_get::<_, Option<&str>>("callback_id")? == Some(id) {
        return Err(replayed());
    }
    if !locked.try_get::<_, bool>("is_open")? {
        return Err(Error::conflict("workflow_run_finished", "the run has ended already"));
    }
    let finished = tx
        .query_one(
            include_str!("callbacks/finish.sql"),
            &[&run, &report.status.name(), &metrics, &error_data, &report.started_at, &completed_at, &id],
        )
        .await;
    match finished {
        Ok(row) => runs::from_row(&row),
        Err(error) if violated_constraint(&error) == Some("workflow_runs_callback_key") => Err(replayed()),
        Err(error) => Err(error),
    }
}

fn replayed() -> Error {
    Error::conflict("callback_replayed", "a callback with this webhook-id was taken before")
}

const RUN_NOT_FOUND: Error = Error::NotFound("workflow run");
