//! Runs: each time that a workflow is started, or says that it has started by itself.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;

use super::endpoint;
use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::platform::webhooks::{EventType, outbox};
use crate::{Error, Result, Tx, WorkflowId, WorkflowRunId};

/// Characters of an execution's id.
const EXECUTION_ID_MAXIMUM: usize = 255;
/// Bytes of what goes in or comes out of a run, as JSON.
const JSON_BYTES: usize = 65_536;

/// What has started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A call, of an event or of another program.
    Webhook,
    /// A time.
    Schedule,
    /// A person.
    Manual,
}

impl Trigger {
    const ALL: [Self; 3] = [Self::Webhook, Self::Schedule, Self::Manual];

    fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Schedule => "schedule",
            Self::Manual => "manual",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown trigger of a run: {name}")))
    }
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RunStatus")]
pub enum Status {
    /// It is under way, as far as is known.
    Running,
    /// It has done what it was to do.
    Success,
    /// It has failed.
    Error,
    /// Somebody has stopped it.
    Cancelled,
}

impl Status {
    const ALL: [Self; 4] = [Self::Running, Self::Success, Self::Error, Self::Cancelled];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown status of a run: {name}")))
    }
}

/// A run as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: WorkflowRunId,
    /// Of which workflow; null once that is deleted.
    pub workflow_id: Option<WorkflowId>,
    /// What the workflow was called then.
    pub workflow_name: String,
    /// What the run is called where it runs.
    pub execution_id: String,
    /// What has started it.
    pub trigger: Trigger,
    /// How it stands.
    pub status: Status,
    /// What it was started with.
    pub input: Value,
    /// What it has measured, as it says.
    pub metrics: Value,
    /// What went wrong, as it says; `{"code": "not_started"}` where it could not be called, `{"code": "timed_out"}` where it has said
    /// nothing for too long.
    pub error_data: Option<Value>,
    /// When it began.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was noted.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// A run to be started or noted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// Of this workflow…
    #[serde(default)]
    pub workflow_id: Option<WorkflowId>,
    /// … or of the one with this name.
    #[serde(default)]
    pub workflow_name: Option<String>,
    /// What it is called where it runs, once in the organization; the run's own id unless given.
    #[serde(default)]
    pub execution_id: Option<String>,
    /// What has started it.
    pub trigger: Trigger,
    /// What it is started with.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// When it began elsewhere. Given, it is only noted; otherwise a workflow that has an address is started.
    #[serde(default)]
    pub started_at: Option<DateTime<Utc>>,
}

/// Notes a run, and starts its workflow where it has an address and the run has not begun elsewhere.
///
/// Errors: [`Error::Invalid`] (also for a workflow that is not there), [`Error::Conflict`] (`execution_id_taken`, `workflow_disabled`).
pub async fn create(tx: &Tx, new: NewRun) -> Result<Run> {
    let mut fields = Fields::default();
    let execution_id = fields.line("execution_id", new.execution_id.as_deref(), EXECUTION_ID_MAXIMUM);
    let input = Value::Object(new.input);
    check_json(&mut fields, "input", &input);
    if new.workflow_id.is_some() == new.workflow_name.is_some() {
        fields.refuse("workflow_id", "required", "either workflow_id or workflow_name says which workflow it is");
    }
    fields.finish()?;
    let workflow = find_workflow(tx, new.workflow_id, new.workflow_name.as_deref()).await?;
    let id = WorkflowRunId::fresh();
    let starts = new.started_at.is_none() && workflow.has_url;
    if starts && !workflow.is_enabled {
        let message = "the workflow is disabled and is not started; enable it first";
        return Err(Error::conflict("workflow_disabled", message));
    }
    let event = if starts {
        let data = json!({ "workflow_id": workflow.id, "workflow_name": workflow.name, "input": input });
        Some(outbox::emit_to(tx, endpoint(workflow.id), EventType::WorkflowRun, id.0, &data).await?.0)
    } else {
        None
    };
    let (organization, execution_id) = (tx.organization()?, execution_id.unwrap_or_else(|| id.to_string()));
    let started_at = new.started_at.unwrap_or_else(|| tx.now());
    let (name, trigger) = (&workflow.name, new.trigger.name());
    let inserted = tx
        .query_one(
            include_str!("runs/insert.sql"),
            &[&organization, &id, &workflow.id, name, &execution_id, &trigger, &input, &event, &started_at],
        )
        .await;
    match inserted {
        Ok(row) => from_row(&row),
        Err(error) if violated_constraint(&error) == Some("workflow_runs_execution_id_key") => {
            Err(Error::conflict("execution_id_taken", "there is a run of this execution_id already"))
        }
        Err(error) => Err(error),
    }
}

/// Which runs to list; what is absent does not narrow.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Of this workflow.
    pub workflow_id: Option<WorkflowId>,
    /// In this status.
    pub status: Option<Status>,
    /// Started by this.
    pub trigger: Option<Trigger>,
    /// The one that is called so where it runs.
    pub execution_id: Option<String>,
    /// Begun at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Begun before this time.
    pub to: Option<DateTime<Utc>>,
}

/// The newest runs, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, filter: &Filter, before: Option<WorkflowRunId>, limit: i64) -> Result<Vec<Run>> {
    let Filter { workflow_id, status, trigger, execution_id, from, to } = filter;
    let (status, trigger) = (status.map(Status::name), trigger.map(Trigger::name));
    tx.query(include_str!("runs/list.sql"), &[&before, workflow_id, &status, &trigger, execution_id, from, to, &limit])
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// One run.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: WorkflowRunId) -> Result<Run> {
    let row = tx.query_opt(include_str!("runs/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::NotFound("workflow run"))?)
}

/// What matters of the workflow of a run.
struct Facts {
    id: WorkflowId,
    name: String,
    has_url: bool,
    is_enabled: bool,
}

async fn find_workflow(tx: &Tx, id: Option<WorkflowId>, name: Option<&str>) -> Result<Facts> {
    let row = tx.query_opt(include_str!("runs/find_workflow.sql"), &[&id, &name]).await?;
    let field = if id.is_some() { "workflow_id" } else { "workflow_name" };
    let row = row.ok_or_else(|| Error::invalid(field, "unknown_workflow", "there is no such workflow"))?;
    Ok(Facts {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        has_url: row.try_get("has_url")?,
        is_enabled: row.try_get("is_enabled")?,
    })
}

pub(super) fn check_json(fields: &mut Fields, field: &str, value: &Value) {
    if value.to_string().len() > JSON_BYTES {
        fields.refuse(field, "too_long", format!("{field} has {JSON_BYTES} bytes at most"));
    }
}

pub(super) fn from_row(row: &Row) -> Result<Run> {
    Ok(Run {
        id: row.try_get("id")?,
        workflow_id: row.try_get("workflow_id")?,
        workflow_name: row.try_get("workflow_name")?,
        execution_id: row.try_get("execution_id")?,
        trigger: Trigger::parse(row.try_get("trigger_source")?)?,
        status: Status::parse(row.try_get("status")?)?,
        input: row.try_get("input")?,
        metrics: row.try_get("metrics")?,
        error_data: row.try_get("error_data")?,
        started_at: row.try_get("started_at")?,
        completed_at: row.try_get("completed_at")?,
        created_at: row.try_get("created_at")?,
    })
}
