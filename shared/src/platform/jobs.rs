//! Long work: a row that says what, how far and whether it ended, continued in short chunks.

pub mod sweeping;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::outreach::activation::Chunk;
use crate::{Error, JobId, OrganizationId, Result, Tx};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Enrolls a campaign's audience, then activates it.
    CampaignActivation,
    /// Enrolls more people in a campaign that runs.
    CampaignEnrollment,
    /// Writes all data of the organization into an archive.
    OrganizationExport,
    /// Fills a custom field with what contacts had before it was defined.
    CustomFieldFilling,
    /// Does the same to many contacts.
    ContactBulkAct,
    /// Writes contacts into a CSV file.
    ContactExport,
}

impl JobKind {
    /// The kind's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CampaignActivation => "campaign_activation",
            Self::CampaignEnrollment => "campaign_enrollment",
            Self::OrganizationExport => "organization_export",
            Self::CustomFieldFilling => "custom_field_filling",
            Self::ContactBulkAct => "contact_bulk_act",
            Self::ContactExport => "contact_export",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        match name {
            "campaign_activation" => Ok(Self::CampaignActivation),
            "campaign_enrollment" => Ok(Self::CampaignEnrollment),
            "organization_export" => Ok(Self::OrganizationExport),
            "custom_field_filling" => Ok(Self::CustomFieldFilling),
            "contact_bulk_act" => Ok(Self::ContactBulkAct),
            "contact_export" => Ok(Self::ContactExport),
            other => Err(Error::internal(format!("unknown kind of job: {other}"))),
        }
    }
}

/// A job as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    #[serde(serialize_with = "kind_name")]
    #[schemars(with = "String")]
    pub kind: JobKind,
    /// What it works on.
    pub subject_id: Uuid,
    /// `pending`, `running`, `completed` or `failed`.
    pub state: String,
    /// How many rows are done.
    pub progress: i64,
    /// How many rows there are, once known.
    pub total: Option<i64>,
    /// What became of the rows that are done, by name.
    pub outcomes: BTreeMap<String, i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub completed_at: Option<DateTime<Utc>>,
    /// Where the next chunk begins.
    #[serde(skip)]
    pub cursor: Value,
    /// What it was asked for.
    #[serde(skip)]
    pub input: Value,
}

fn kind_name<S: serde::Serializer>(kind: &JobKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// Jobs of an organization that may wait or run at a time before it can ask for another.
pub const UNFINISHED_MAXIMUM: i64 = 20;

/// Where jobs wait for the function that runs them. A hint: the row is the truth.
pub trait JobQueue: Send + Sync {
    /// Asks for the next chunk of a job.
    fn enqueue(&self, organization: OrganizationId, job: JobId) -> BoxFuture<'_, Result<()>>;
}

/// Creates a job, or returns the unfinished one of the same kind for the same subject.
pub async fn create(tx: &Tx, kind: JobKind, subject: Uuid, total: Option<i64>) -> Result<Job> {
    let inserted = tx
        .query_opt(
            include_str!("jobs/insert.sql"),
            &[&tx.organization()?, &JobId::fresh(), &kind.name(), &subject, &total],
        )
        .await?;
    match inserted {
        Some(row) => from_row(&row),
        None => from_row(&tx.query_one(include_str!("jobs/unfinished.sql"), &[&kind.name(), &subject]).await?),
    }
}

/// Creates a job of its own for what was asked, beside others of its kind: its subject is itself.
///
/// Errors: [`Error::Conflict`] (`too_many_jobs`), so that nobody's jobs stand in front of everybody else's.
pub async fn create_for(tx: &Tx, kind: JobKind, input: &Value, total: Option<i64>) -> Result<Job> {
    if tx.query_one(include_str!("jobs/count_unfinished.sql"), &[]).await?.try_get::<_, i64>("jobs")?
        >= UNFINISHED_MAXIMUM
    {
        let message = format!("{UNFINISHED_MAXIMUM} jobs are under way; ask again when one of them has ended");
        return Err(Error::conflict("too_many_jobs", message));
    }
    let id = JobId::fresh();
    let params: [&(dyn ToSql + Sync); 5] = [&tx.organization()?, &id, &kind.name(), input, &total];
    from_row(&tx.query_one(include_str!("jobs/insert_for.sql"), &params).await?)
}

/// One job.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: JobId) -> Result<Job> {
    let row = tx.query_opt(include_str!("jobs/find.sql"), &[&id]).await?.ok_or(Error::not_found("job"))?;
    from_row(&row)
}

/// The newest jobs, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<JobId>, limit: i64) -> Result<Vec<Job>> {
    tx.query(include_str!("jobs/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Locks a job for the chunk that this transaction does; `None` when it has ended or somebody else is on it.
pub async fn lock_for_chunk(tx: &Tx, id: JobId) -> Result<Option<Job>> {
    tx.query_opt(include_str!("jobs/lock_for_chunk.sql"), &[&id]).await?.as_ref().map(from_row).transpose()
}

/// Notes that a chunk is done: `done` more rows, and where the next one begins.
pub async fn advance(tx: &Tx, id: JobId, done: i64, cursor: &Value) -> Result<()> {
    tx.execute(include_str!("jobs/advance.sql"), &[&id, &done, cursor]).await?;
    Ok(())
}

/// Adds to what became of the job's rows. The job is the one that this transaction has locked, and is told once a chunk.
pub async fn note(tx: &Tx, job: &Job, outcomes: &[(&str, i64)]) -> Result<()> {
    let mut all = job.outcomes.clone();
    for (name, count) in outcomes.iter().filter(|(_, count)| *count != 0) {
        *all.entry((*name).to_owned()).or_default() += count;
    }
    let all = serde_json::to_value(all).map_err(Error::internal)?;
    tx.execute(include_str!("jobs/note.sql"), &[&job.id, &all]).await?;
    Ok(())
}

/// What became of a chunk; one that has come to an error which another try would meet again ends the job, and says why. For chunks that
/// come to such an error before they write anything.
///
/// Errors: the others, after which the chunk is to be done again.
pub async fn or_end(tx: &Tx, job: &Job, done: Result<Chunk>) -> Result<Chunk> {
    match done {
        Ok(chunk) => Ok(chunk),
        Err(error) => {
            let reason = final_error(&error).ok_or(error)?;
            finish(tx, job.id, Some(&reason)).await?;
            Ok(Chunk::Last)
        }
    }
}

/// What whoever asked for a job reads where another try would come to the same error; none where the chunk is to be done again.
#[must_use]
pub(crate) fn final_error(error: &Error) -> Option<String> {
    match error {
        Error::NotFound(what) => Some(format!("the {what} was deleted")),
        Error::Conflict { message, .. } => Some(message.clone()),
        Error::Invalid(fields) => fields.first().map(|field| field.message.clone()),
        _ => None,
    }
}

/// Ends a job, with the reason if it failed.
pub async fn finish(tx: &Tx, id: JobId, error: Option<&str>) -> Result<()> {
    tx.execute(include_str!("jobs/finish.sql"), &[&id, &error, &tx.now()]).await?;
    Ok(())
}

fn from_row(row: &tokio_postgres::Row) -> Result<Job> {
    Ok(Job {
        id: row.try_get("id")?,
        kind: JobKind::parse(row.try_get("kind")?)?,
        subject_id: row.try_get("subject_id")?,
        state: row.try_get("state")?,
        progress: row.try_get("progress")?,
        total: row.try_get("total")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        completed_at: row.try_get("completed_at")?,
        cursor: row.try_get("cursor")?,
        input: row.try_get("input")?,
        outcomes: serde_json::from_value(row.try_get("outcomes")?).map_err(Error::internal)?,
    })
}
