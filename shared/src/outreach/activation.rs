//! Activation: the members of the campaign's list at this moment become its audience, once and for all.
//!
//! A small audience is enrolled in the request. A large one is enrolled by a job in chunks, each a transaction that also
//! moves the job's cursor: killed anywhere and begun again it comes to the same end, and the unique key of campaign and
//! contact makes a second enrollment impossible. The campaign becomes active with the last chunk and sends nothing before.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::campaigns::{self, Campaign, Status};
use super::{campaign_senders, preflight, settings, steps};
use crate::delivery::provider_account::AccountState;
use crate::delivery::schedule::{StepDelay, due_after};
use crate::platform::audit::{self, Actor};
use crate::platform::config;
use crate::platform::jobs::{self, Job, JobKind};
use crate::{CampaignId, EnrollmentId, Error, ListId, Result, SenderId, Tx};

/// Members of a list that one transaction looks at: large enough to share its round trips, small enough to hold the locks
/// of its contacts for well under a second.
pub const CHUNK: i64 = 5_000;

/// What an activation has come to.
#[derive(Debug)]
pub enum Activation {
    /// Everybody is enrolled and the campaign is active.
    Done(Box<Campaign>),
    /// A job enrolls them; it is to be enqueued once this is committed.
    Running(Job),
}

/// Whether a job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// There may be more to do.
    More,
    /// The job has ended.
    Last,
}

/// How far the audience has been enrolled.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// People's time from which the first step's delay counts, the same for every chunk.
    began_at: DateTime<Utc>,
    /// The member looked at last.
    after: Uuid,
    /// How many people have been dealt out to the senders.
    dealt: i64,
}

/// Activates a draft. While a job is on it, asking again returns that job. `account` is what the mail provider has said.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`]: `preflight_failed` with what is wrong, or `campaign_not_draft`.
pub async fn activate(tx: &Tx, id: CampaignId, account: Option<&AccountState>) -> Result<Activation> {
    let campaign = campaigns::hold(tx, id).await?;
    if campaign.status == Status::Activating {
        return Ok(Activation::Running(jobs::create(tx, JobKind::CampaignActivation, id.0, None).await?));
    }
    campaign.require_draft()?;
    let preflight = preflight::check(tx, &campaign, account).await?;
    if !preflight.can_activate {
        return Err(Error::conflict("preflight_failed", preflight.summary()));
    }
    let inline_limit = config::read(tx, "outreach").await?.number("activation_inline_limit")?;
    if preflight.members > inline_limit {
        tx.execute(include_str!("activation/set_activating.sql"), &[&id]).await?;
        let job = jobs::create(tx, JobKind::CampaignActivation, id.0, Some(preflight.members)).await?;
        return Ok(Activation::Running(job));
    }
    let mut cursor = Cursor::begin(tx.now());
    while enroll(tx, &campaign, &mut cursor, None).await? == CHUNK {}
    Ok(Activation::Done(Box::new(set_active(tx, id).await?)))
}

/// Does one chunk of a job that this transaction has locked: enrolls the next members, and activates the campaign when
/// there are none left. A job whose campaign is not being activated fails.
pub async fn run_chunk(tx: &Tx, job: &Job) -> Result<Chunk> {
    let id = CampaignId(job.subject_id);
    let campaign = match campaigns::hold(tx, id).await {
        Ok(campaign) if campaign.status == Status::Activating => campaign,
        Ok(_) | Err(Error::NotFound(_)) => {
            jobs::finish(tx, job.id, Some("the campaign is not being activated")).await?;
            return Ok(Chunk::Last);
        }
        Err(error) => return Err(error),
    };
    let mut cursor = Cursor::read(job, tx.now())?;
    // The job was made in the transaction that began the activation: what came to the list later is not in the audience.
    let members = enroll(tx, &campaign, &mut cursor, Some(job.created_at)).await?;
    jobs::advance(tx, job.id, members, &serde_json::to_value(&cursor).map_err(Error::internal)?).await?;
    if members == CHUNK {
        return Ok(Chunk::More);
    }
    set_active(tx, id).await?;
    jobs::finish(tx, job.id, None).await?;
    audit::record(tx, Actor::System, "campaign.activated", id.0, &json!({"enrolled": cursor.dealt}), None).await?;
    Ok(Chunk::Last)
}

/// Enrolls the next members of the campaign's list and returns how many were looked at; fewer than [`CHUNK`] at the end.
///
/// The contacts are locked first and their suppression is looked up in a statement after that: whoever unsubscribes at
/// this moment either is seen here or finds the enrollment and stops it.
async fn enroll(tx: &Tx, campaign: &Campaign, cursor: &mut Cursor, until: Option<DateTime<Utc>>) -> Result<i64> {
    let list: ListId = campaign.list_id.ok_or_else(|| Error::internal("a campaign without a list is activated"))?;
    let due = first_due_at(tx, campaign.id, cursor.began_at).await?;
    let senders: Vec<SenderId> =
        campaign_senders::list(tx, campaign.id).await?.iter().map(|sender| sender.id).collect();
    let rows = tx.query(include_str!("activation/lock_members.sql"), &[&list, &until, &cursor.after, &CHUNK]).await?;
    let members: Vec<Uuid> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    let Some(last) = members.last() else { return Ok(0) };
    let ids: Vec<EnrollmentId> = members.iter().map(|_| EnrollmentId::fresh()).collect();
    let row = tx
        .query_one(
            include_str!("activation/enroll.sql"),
            &[&tx.organization()?, &campaign.id, &members, &ids, &senders, &cursor.dealt, &due, &cursor.began_at],
        )
        .await?;
    cursor.after = *last;
    cursor.dealt += row.try_get::<_, i64>("dealt")?;
    i64::try_from(members.len()).map_err(Error::internal)
}

async fn first_due_at(tx: &Tx, campaign: CampaignId, began_at: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let steps = steps::list(tx, campaign).await?;
    let first = steps.first().ok_or_else(|| Error::internal("a campaign without steps is activated"))?;
    let delay = StepDelay { days: first.delay_days.unsigned_abs(), hours: first.delay_hours.unsigned_abs() };
    Ok(due_after(began_at, delay, settings::find(tx, campaign).await?.window()))
}

async fn set_active(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    tx.execute(include_str!("activation/set_active.sql"), &[&id, &tx.now()]).await?;
    campaigns::find(tx, id).await
}

impl Cursor {
    fn begin(began_at: DateTime<Utc>) -> Self {
        Self { began_at, after: Uuid::nil(), dealt: 0 }
    }

    /// Where the job goes on; a job that nobody has begun yet begins now.
    fn read(job: &Job, now: DateTime<Utc>) -> Result<Self> {
        if job.cursor.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Self::begin(now));
        }
        Self::deserialize(&job.cursor).map_err(Error::internal)
    }
}
