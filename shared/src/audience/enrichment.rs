//! Learns about the people behind contacts: a job has a task for each contact, and asks whoever the installation has set up.
//!
//! One job runs in an organization at a time. What is learned stands in persons; contacts are never overwritten. What has been
//! asked is counted against the budget of the day before it is asked, and may be given to other organizations where the operator
//! allows it: then by a keyed hash of the address, so that nobody sees who asked.

mod running;
mod sources;
pub mod sweeping;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

pub use self::running::{Means, run_chunk};
use super::selection::{Bounds, Selection};
use crate::error::violated_constraint;
use crate::platform::jobs;
use crate::{ContactId, EnrichmentJobId, Error, OrganizationId, Result, Tx, VerificationJobId};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JobStatus")]
pub enum RunStatus {
    /// It is being worked on, or waits for something.
    Running,
    /// It has come to its end.
    Completed,
    /// It was stopped.
    Cancelled,
}

impl RunStatus {
    /// Reads its name in the database.
    pub(super) fn parse(name: &str) -> Result<Self> {
        match name {
            "running" => Ok(Self::Running),
            "completed" => Ok(Self::Completed),
            "cancelled" => Ok(Self::Cancelled),
            other => Err(Error::internal(format!("unknown status of a job: {other}"))),
        }
    }

    /// Whether a job that stands so may go on.
    ///
    /// Errors: [`Error::Conflict`].
    pub(super) fn check_resumable(self, has_selection: bool) -> Result<()> {
        match self {
            Self::Completed => Err(Error::conflict("job_is_completed", "the job is completed")),
            _ if !has_selection => Err(Error::conflict(
                "selection_is_gone",
                "the job's selection named somebody who was erased; begin another one",
            )),
            _ => Ok(()),
        }
    }
}

/// How a job goes on after a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// With another chunk, after this time.
    After(Duration),
    /// Not at all: it has ended, or somebody else is on it.
    Ended,
}

/// Why a job has cancelled itself whose selection can't be read any more: `selection_is_broken`, where what it refers to is gone.
///
/// Errors: any other, as it came.
pub(crate) fn broken_selection(error: Error) -> Result<&'static str> {
    jobs::final_error(&error).map(|_| "selection_is_broken").ok_or(error)
}

/// What waits for the function that learns and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The next chunk of an enrichment.
    EnrichmentJobId(EnrichmentJobId),
    /// The next chunk of a verification.
    VerificationJobId(VerificationJobId),
}

/// Where work waits. A hint: the row is the truth.
pub trait EnrichmentQueue: Send + Sync {
    /// Asks for the next chunk, not before `delay` is over; what is longer than the queue can wait is asked for sooner.
    fn enqueue(&self, organization: OrganizationId, work: Work, delay: Duration) -> BoxFuture<'_, Result<()>>;
}

/// A job as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EnrichmentJob {
    /// Its id.
    pub id: EnrichmentJobId,
    /// How it stands.
    pub status: RunStatus,
    /// Whose contacts; null once it named somebody who was erased.
    pub selection: Option<Selection>,
    /// Whether a persona is to be written as well, where a text model is set up.
    pub with_persona: bool,
    /// Whether people are asked about who are known already.
    pub again: bool,
    /// How many tasks there are; more come while `is_filled` is not true.
    pub total: i64,
    /// Whether every contact has its task.
    pub is_filled: bool,
    /// Tasks by which something was learned.
    pub completed: i64,
    /// Tasks that have failed.
    pub failed: i64,
    /// Tasks of people whom the provider does not know, or who are known already.
    pub skipped: i64,
    /// Answers that cost nothing, since the same was asked before.
    pub from_cache: i64,
    /// What it has cost, in millionths of the provider's currency.
    pub cost: i64,
    /// What it waits for: `budget` or `provider`; null where it does not.
    pub waits_for: Option<String>,
    /// Until when it does.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub waits_until: Option<DateTime<Utc>>,
    /// Why it was cancelled, where nobody did it.
    pub error: Option<String>,
    /// When it began.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub ended_at: Option<DateTime<Utc>>,
    #[serde(skip)]
    bounds: Bounds,
}

/// What a job is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnrichmentJob {
    /// Whose contacts.
    pub selection: Selection,
    /// Whether a persona is to be written as well.
    #[serde(default)]
    pub with_persona: bool,
    /// Whether people are asked about who are known already.
    #[serde(default)]
    pub again: bool,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It waits for its turn.
    Queued,
    /// Somebody is on it.
    Processing,
    /// Something was learned.
    Completed,
    /// Nothing could be asked; `error_code` says why.
    Failed,
    /// There was nothing to ask, or nobody knows the person; `error_code` says which.
    Skipped,
}

impl TaskStatus {
    const ALL: [Self; 5] = [Self::Queued, Self::Processing, Self::Completed, Self::Failed, Self::Skipped];

    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A task as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EnrichmentTask {
    /// Whom it is about.
    pub contact_id: ContactId,
    /// How it stands.
    pub status: TaskStatus,
    /// How often somebody was on it.
    pub attempts: i16,
    /// Why it has not completed, or had to be tried again.
    pub error_code: Option<String>,
    /// Whether the answer cost nothing, since the same was asked before.
    pub is_cached: bool,
    /// What it has cost, in millionths of the provider's currency.
    pub cost: i64,
    /// When it ended.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which tasks a list shows.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskFilter {
    /// Those that stand so.
    pub status: Option<TaskStatus>,
}

/// Begins a job. It is to be enqueued once this is committed.
///
/// Errors: [`Error::Conflict`] while another runs, and what [`Selection::check`] says.
pub async fn create(tx: &Tx, new: &NewEnrichmentJob) -> Result<EnrichmentJob> {
    new.selection.check(tx).await?;
    let selection = serde_json::to_value(&new.selection).map_err(Error::internal)?;
    let params: [&(dyn ToSql + Sync); 7] = [
        &tx.organization()?,
        &EnrichmentJobId::fresh(),
        &selection,
        &new.with_persona,
        &new.again,
        &Bounds::until_now().up_to,
        &tx.now(),
    ];
    let row = tx.query_one(include_str!("enrichment/insert.sql"), &params).await.map_err(while_another_runs)?;
    from_row(&row)
}

/// One job.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: EnrichmentJobId) -> Result<EnrichmentJob> {
    let row = tx.query_opt(include_str!("enrichment/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("enrichment job"))?)
}

/// The newest jobs, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<EnrichmentJobId>, limit: i64) -> Result<Vec<EnrichmentJob>> {
    tx.query(include_str!("enrichment/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// The tasks of a job in the order of their contacts, at most `limit`, behind `after`.
///
/// Errors: [`Error::NotFound`].
pub async fn tasks(
    tx: &Tx,
    id: EnrichmentJobId,
    filter: &TaskFilter,
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<EnrichmentTask>> {
    find(tx, id).await?;
    let status = filter.status.map(TaskStatus::name);
    let rows = tx.query(include_str!("enrichment/list_tasks.sql"), &[&id, &status, &after, &limit]).await?;
    rows.iter()
        .map(|row| {
            let status: &str = row.try_get("status")?;
            let known = TaskStatus::ALL.into_iter().find(|known| known.name() == status);
            Ok(EnrichmentTask {
                contact_id: row.try_get("contact_id")?,
                status: known.ok_or_else(|| Error::internal("unknown status of a task"))?,
                attempts: row.try_get("attempts")?,
                error_code: row.try_get("error_code")?,
                is_cached: row.try_get("is_cached")?,
                cost: row.try_get("cost")?,
                ended_at: row.try_get("ended_at")?,
            })
        })
        .collect()
}

/// Stops a job; what has been asked already is still learned. One that has ended stays as it is.
///
/// Errors: [`Error::NotFound`].
pub async fn cancel(tx: &Tx, id: EnrichmentJobId) -> Result<EnrichmentJob> {
    stop(tx, id, None).await?;
    find(tx, id).await
}

/// Stops a job that runs; says why where nobody has asked for it.
async fn stop(tx: &Tx, id: EnrichmentJobId, why: Option<&str>) -> Result<()> {
    tx.execute(include_str!("enrichment/cancel.sql"), &[&id, &tx.now(), &why]).await?;
    Ok(())
}

/// How long after its end a cancelled job may go on, and its tasks are kept for certain.
pub const TASKS_KEPT: TimeDelta = TimeDelta::days(90);

/// Lets a cancelled job go on where it stood, or one that has stood still for twenty minutes, and tells whether it does: its hint is
/// to be sent then. One that runs has its hint.
///
/// Errors: [`Error::NotFound`]; [`Error::Conflict`] for one that is completed, that nobody knows any more whom it is for, that
/// ended so long ago that its tasks may be gone, or while another runs.
pub async fn resume(tx: &Tx, id: EnrichmentJobId) -> Result<(EnrichmentJob, bool)> {
    let job = find(tx, id).await?;
    job.status.check_resumable(job.selection.is_some())?;
    let kept_since = tx.now() - TASKS_KEPT;
    if job.ended_at.is_some_and(|ended_at| ended_at < kept_since) {
        return Err(Error::conflict("job_is_too_old", "the job's tasks are not kept any more; begin another one"));
    }
    let resumed =
        tx.execute(include_str!("enrichment/resume.sql"), &[&id, &kept_since]).await.map_err(while_another_runs)?;
    Ok((find(tx, id).await?, resumed > 0))
}

fn while_another_runs(error: Error) -> Error {
    if violated_constraint(&error) == Some("enrichment_jobs_running_key") {
        return Error::conflict("enrichment_is_running", "another enrichment of this organization is running");
    }
    error
}

fn from_row(row: &Row) -> Result<EnrichmentJob> {
    let selection: Option<serde_json::Value> = row.try_get("selection")?;
    Ok(EnrichmentJob {
        id: row.try_get("id")?,
        status: RunStatus::parse(row.try_get("status")?)?,
        selection: selection.map(serde_json::from_value).transpose().map_err(Error::internal)?,
        with_persona: row.try_get("with_persona")?,
        again: row.try_get("again")?,
        total: row.try_get("total")?,
        is_filled: row.try_get("is_filled")?,
        completed: row.try_get("completed")?,
        failed: row.try_get("failed")?,
        skipped: row.try_get("skipped")?,
        from_cache: row.try_get("from_cache")?,
        cost: row.try_get("cost")?,
        waits_for: row.try_get("waits_for")?,
        waits_until: row.try_get("waits_until")?,
        error: row.try_get("error")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
        bounds: Bounds { after: row.try_get("filled_to")?, up_to: row.try_get("up_to")? },
    })
}
