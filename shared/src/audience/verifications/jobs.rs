//! Checks the addresses of many contacts, a chunk at a time. One job runs in an organization at once.
//!
//! A chunk takes the job for a while and reads its contacts and what is known of them in one transaction, asks DNS and the provider in
//! none, and keeps the answers in another, which looks whether the job is still its own. Whoever dies in between leaves a job that is
//! free when the lease is over, and a chunk that is checked again: an address is asked about at least once, and each time has been
//! counted against the budget before.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::checking::{self, Finding, Means, Prepared};
use super::{Check, Status, keep};
use crate::audience::email_address::EmailAddress;
use crate::audience::enrichment::{Continuation, RunStatus, broken_selection};
use crate::audience::selection::{Bounds, Selection};
use crate::error::violated_constraint;
use crate::platform::config;
use crate::{ContactId, Database, Error, OrganizationId, Result, Tx, VerificationJobId, ids};

/// Contacts of a chunk.
const CHUNK: i64 = 50;
/// How long DNS and the provider are waited for together: a host that has not answered until then is not known, and a
/// provider is asked again by the next job.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a chunk is its worker's: longer than all of it takes, and over before its hint is delivered again, also where the worker
/// has failed and says so.
const LEASE: Duration = Duration::from_secs(3 * 60);
/// How long a provider is left alone that was busy.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// How long one is left alone that has answered none of so many questions.
const OUT_WAIT: Duration = Duration::from_secs(10 * 60);
const MANY: usize = 10;

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
    stop(tx, id, None).await?;
    find(tx, id).await
}

/// Stops a job that runs; says why where nobody has asked for it.
async fn stop(tx: &Tx, id: VerificationJobId, why: Option<&str>) -> Result<()> {
    tx.execute(include_str!("jobs/cancel.sql"), &[&id, &tx.now(), &why]).await?;
    Ok(())
}

/// Lets a cancelled job go on where it stood, or one that has stood still for twenty minutes, and tells whether it does: its hint is
/// to be sent then. One that runs has its hint.
///
/// Errors: [`Error::NotFound`]; [`Error::Conflict`] for one that is completed, that nobody knows any more whom it is for, or
/// while another runs.
pub async fn resume(tx: &Tx, id: VerificationJobId) -> Result<(VerificationJob, bool)> {
    let job = find(tx, id).await?;
    job.status.check_resumable(job.selection.is_some())?;
    let resumed = tx.execute(include_str!("jobs/resume.sql"), &[&id]).await.map_err(while_another_runs)?;
    Ok((find(tx, id).await?, resumed > 0))
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
    let Some(chunk) = begin_chunk(db, means, organization, id).await? else { return Ok(Continuation::Ended) };
    let Chunk { attempt, begins_after, ends_with, is_last, prepared, skipped } = chunk;
    let findings = prepared.check(db, organization, means, Instant::now() + PATIENCE).await?;
    // Where nobody is left to be asked about, the job ends at once.
    let rest = if is_last { Duration::ZERO } else { rest(&findings) };
    let tx = db.begin(organization).await?;
    let findings = keep(&tx, means.keys, findings).await?;
    let of = |status: Status| -> i64 {
        let count = findings.iter().filter(|finding: &&Finding| finding.checks.status() == status).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let (valid, invalid, unverified) = (of(Status::Valid), of(Status::Invalid), of(Status::Unverified));
    let params: [&(dyn ToSql + Sync); 8] =
        [&id, &begins_after, &ends_with, &valid, &invalid, &unverified, &skipped, &attempt];
    if tx.execute(include_str!("jobs/advance.sql"), &params).await? == 0 {
        // Somebody else has it now, or it was cancelled: it is theirs to say how it goes on. What was found out, and paid for, stays.
        tx.commit().await?;
        return Ok(Continuation::Ended);
    }
    tx.commit().await?;
    Ok(Continuation::After(rest))
}

/// How long the provider is left alone after a chunk: for a while where it was busy, and longer where of many questions it has answered
/// none, so that one that is out does not use up the budget, and the job, for nothing.
fn rest(findings: &[Finding]) -> Duration {
    let count = |reason| findings.iter().filter(|finding| finding.reason == Some(reason)).count();
    // What only the provider says.
    let is_told = |finding: &Finding| {
        finding.checks.deliverable == Check::Passed
            || matches!(finding.reason, Some("no_such_mailbox" | "provider_unsure"))
    };
    match () {
        () if count("provider_busy") > 0 => BUSY_WAIT,
        () if count("provider_unavailable") >= MANY && !findings.iter().any(is_told) => OUT_WAIT,
        () => Duration::ZERO,
    }
}

/// A chunk that is ours for a while.
struct Chunk {
    attempt: Uuid,
    begins_after: Option<ContactId>,
    ends_with: ContactId,
    /// Whether there is nobody behind it.
    is_last: bool,
    prepared: Prepared,
    skipped: i64,
}

/// Takes the job and reads what its next chunk is about; `None` where it ends, has ended or is somebody else's. A job whose list or
/// segment is gone is cancelled.
async fn begin_chunk(
    db: &Database,
    means: Means<'_>,
    organization: OrganizationId,
    id: VerificationJobId,
) -> Result<Option<Chunk>> {
    let tx = db.begin(organization).await?;
    let attempt = ids::fresh();
    let taken = tx.query_opt(include_str!("jobs/claim.sql"), &[&id, &attempt, &LEASE.as_secs_f64()]).await?;
    let job = taken.as_ref().map(from_row).transpose()?;
    let Some(VerificationJob { selection: Some(selection), bounds, again, .. }) = job else {
        tx.commit().await?;
        return Ok(None);
    };
    let contacts = match selection.read(&tx, bounds, CHUNK).await {
        Ok(contacts) => contacts,
        Err(error) => {
            stop(&tx, id, Some(broken_selection(error)?)).await?;
            tx.commit().await?;
            return Ok(None);
        }
    };
    let Some(ends_with) = contacts.last().copied() else {
        tx.execute(include_str!("jobs/complete.sql"), &[&id, &tx.now()]).await?;
        tx.commit().await?;
        return Ok(None);
    };
    let (emails, skipped) = addresses(&tx, &contacts, again).await?;
    let prepared = checking::prepare(&tx, means.keys, emails).await?;
    tx.commit().await?;
    let is_last = i64::try_from(contacts.len()).map_err(Error::internal)? < CHUNK;
    Ok(Some(Chunk { attempt, begins_after: bounds.after, ends_with, is_last, prepared, skipped }))
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
