//! Checks the addresses of many contacts, a chunk at a time. One job runs in an organization at once.
//!
//! A chunk reads its contacts and what is known of them in one transaction, asks DNS and the provider in none, and keeps the
//! answers in another, which looks whether the job still stands where the chunk began: of two workers at the same chunk one counts.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::checking::{self, Finding, Means};
use super::{Check, Status, keep};
use crate::audience::email_address::EmailAddress;
use crate::audience::enrichment::{Continuation, RunStatus};
use crate::audience::selection::{Bounds, Selection};
use crate::error::violated_constraint;
use crate::platform::config;
use crate::{ContactId, Database, Error, OrganizationId, Result, Tx, VerificationJobId};

/// Contacts of a chunk.
const CHUNK: i64 = 100;

/// A job as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VerificationJob {
    /// Its id.
    pub id: VerificationJobId,
    /// How it stands.
    pub status: RunStatus,
    /// Whose addresses; null once it named somebody who was erased.
    pub selection: Option<Selection>,
    /// Whether addresses are checked that were checked lately.
    pub again: bool,
    /// How many contacts there were when it began.
    pub total: Option<i64>,
    /// Addresses that have passed every check.
    pub valid: i64,
    /// Addresses that have failed one.
    pub invalid: i64,
    /// Addresses of which not everything is known.
    pub unverified: i64,
    /// Addresses that were checked lately, and were not checked again.
    pub skipped: i64,
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
pub struct NewVerificationJob {
    /// Whose addresses.
    pub selection: Selection,
    /// Whether addresses are checked that were checked lately.
    #[serde(default)]
    pub again: bool,
}

/// Begins a job. It is to be enqueued once this is committed.
///
/// Errors: [`Error::Conflict`] while another runs, and what [`Selection::check`] says.
pub async fn create(tx: &Tx, new: &NewVerificationJob) -> Result<VerificationJob> {
    new.selection.check(tx).await?;
    let bounds = Bounds::until_now();
    let total = new.selection.count(tx, bounds).await?;
    let selection = serde_json::to_value(&new.selection).map_err(Error::internal)?;
    let params: [&(dyn ToSql + Sync); 7] =
        [&tx.organization()?, &VerificationJobId::fresh(), &selection, &new.again, &bounds.up_to, &total, &tx.now()];
    let row = tx.query_one(include_str!("jobs/insert.sql"), &params).await.map_err(while_another_runs)?;
    from_row(&row)
}

/// One job.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: VerificationJobId) -> Result<VerificationJob> {
    let row = tx.query_opt(include_str!("jobs/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("verification job"))?)
}

/// The newest jobs, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<VerificationJobId>, limit: i64) -> Result<Vec<VerificationJob>> {
    tx.query(include_str!("jobs/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Stops a job; what is being checked at this moment is not kept. One that has ended stays as it is.
///
/// Errors: [`Error::NotFound`].
pub async fn cancel(tx: &Tx, id: VerificationJobId) -> Result<VerificationJob> {
    tx.execute(include_str!("jobs/cancel.sql"), &[&id, &tx.now()]).await?;
    find(tx, id).await
}

/// Lets a cancelled job go on where it stood. One that runs is as it was: its hint is to be repeated.
///
/// Errors: [`Error::NotFound`]; [`Error::Conflict`] for one that is completed, that nobody knows any more whom it is for, or
/// while another runs.
pub async fn resume(tx: &Tx, id: VerificationJobId) -> Result<VerificationJob> {
    let job = find(tx, id).await?;
    job.status.check_resumable(job.selection.is_some())?;
    tx.execute(include_str!("jobs/resume.sql"), &[&id]).await.map_err(while_another_runs)?;
    find(tx, id).await
}

/// Does the next chunk of a job, and says how it goes on.
///
/// Errors: the database is not available. The chunk is to be done again then.
pub async fn run_chunk(
    db: &Database,
    means: Means<'_>,
    organization: OrganizationId,
    id: VerificationJobId,
) -> Result<Continuation> {
    let tx = db.begin(organization).await?;
    let Some(row) = tx.query_opt(include_str!("jobs/lock.sql"), &[&id]).await? else {
        tx.commit().await?;
        return Ok(Continuation::Ended);
    };
    let job = from_row(&row)?;
    let Some(selection) = &job.selection else { return Ok(Continuation::Ended) };
    let contacts = selection.read(&tx, job.bounds, CHUNK).await?;
    let Some(last) = contacts.last().copied() else {
        tx.execute(include_str!("jobs/complete.sql"), &[&id, &tx.now()]).await?;
        tx.commit().await?;
        return Ok(Continuation::Ended);
    };
    let (emails, skipped) = addresses(&tx, &contacts, job.again).await?;
    let prepared = checking::prepare(&tx, means.keys, emails).await?;
    tx.commit().await?;

    let findings = prepared.check(means).await;
    let tx = db.begin(organization).await?;
    keep(&tx, &findings).await?;
    let of = |status: Status| -> i64 {
        let count = findings.iter().filter(|finding: &&Finding| finding.checks.status() == status).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let (valid, invalid, unverified) = (of(Status::Valid), of(Status::Invalid), of(Status::Unverified));
    let params: [&(dyn ToSql + Sync); 7] = [&id, &job.bounds.after, &last, &valid, &invalid, &unverified, &skipped];
    if tx.execute(include_str!("jobs/advance.sql"), &params).await? == 0 {
        // Somebody else has done the chunk, or the job was cancelled: it is theirs to say how it goes on.
        tx.rollback().await?;
        return Ok(Continuation::Ended);
    }
    tx.commit().await?;
    Ok(Continuation::After(Duration::ZERO))
}

/// The addresses of contacts that are to be checked, and how many were checked lately.
async fn addresses(tx: &Tx, contacts: &[ContactId], again: bool) -> Result<(Vec<EmailAddress>, i64)> {
    let fresh_for = config::read(tx, "verification").await?.duration("fresh_for")?;
    let since = tx.now() - TimeDelta::from_std(fresh_for).map_err(Error::internal)?;
    let rows = tx.query(include_str!("jobs/read_addresses.sql"), &[&contacts, &since, &Check::Pending.name()]).await?;
    let (mut emails, mut skipped) = (Vec::with_capacity(rows.len()), 0);
    for row in &rows {
        let is_fresh: bool = row.try_get("is_fresh")?;
        if is_fresh && !again {
            skipped += 1;
            continue;
        }
        // What contacts have was read as an address before.
        emails.extend(EmailAddress::parse(row.try_get("email")?).ok());
    }
    Ok((emails, skipped))
}

fn while_another_runs(error: Error) -> Error {
    if violated_constraint(&error) == Some("verification_jobs_running_key") {
        return Error::conflict("verification_is_running", "another verification of this organization is running");
    }
    error
}

fn from_row(row: &Row) -> Result<VerificationJob> {
    let selection: Option<serde_json::Value> = row.try_get("selection")?;
    Ok(VerificationJob {
        id: row.try_get("id")?,
        status: RunStatus::parse(row.try_get("status")?)?,
        selection: selection.map(serde_json::from_value).transpose().map_err(Error::internal)?,
        again: row.try_get("again")?,
        total: row.try_get("total")?,
        valid: row.try_get("valid")?,
        invalid: row.try_get("invalid")?,
        unverified: row.try_get("unverified")?,
        skipped: row.try_get("skipped")?,
        error: row.try_get("error")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
        bounds: Bounds { after: row.try_get("done_to")?, up_to: row.try_get("up_to")? },
    })
}
