//! Activation: the members of the campaign's list at this moment, or those whom its segment means at this moment, become its
//! audience, once and for all. Who is meant by a segment changes with everything that is known of people, so they are kept, by one
//! statement, until they are enrolled.
//!
//! A small audience is enrolled in the request. A large one is enrolled by a job in chunks, each a transaction that also
//! moves the job's cursor: killed anywhere and begun again it comes to the same end, and the unique key of campaign and
//! contact makes a second enrollment impossible. The campaign becomes active with the last chunk and sends nothing before.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::campaigns::{self, Campaign, Status};
use super::enrolling::Beginning;
use super::preflight;
use crate::audience::segments::selecting;
use crate::delivery::due_times::OffsetClock;
use crate::delivery::provider_account::AccountState;
use crate::platform::audit::{self, Actor};
use crate::platform::config;
use crate::platform::jobs::{self, Job, JobKind};
use crate::platform::plans::{self, Limit};
use crate::platform::webhooks::EventType;
use crate::{CampaignId, Error, Result, Tx};

/// Members of a list that one transaction looks at: large enough to share its round trips, small enough to hold the locks
/// of its contacts for well under a second.
pub const CHUNK: i64 = 5_000;

/// What an activation has come to.
#[derive(Debug)]
pub enum Activation {
    /// Everybody is enrolled and the campaign is active.
    Done(Box<Campaign>),
    /// A job enrolls them; it is to be enqueued once this is committed.
    Running(Box<Job>),
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
    /// People's time at which the campaign starts: from it the first step's delay counts, and every offset.
    began_at: DateTime<Utc>,
    /// The member looked at last.
    after: Uuid,
    /// How many people have been dealt out to the senders.
    dealt: i64,
}

/// Activates a draft. While a job is on it, asking again returns that job. `account` is what the mail provider has said.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`]: `preflight_failed` with what is wrong, `campaign_not_draft` or
/// `plan_limit_reached`.
pub async fn activate(tx: &Tx, id: CampaignId, account: Option<&AccountState>) -> Result<Activation> {
    let campaign = campaigns::hold(tx, id).await?;
    if campaign.status == Status::Activating {
        let job = jobs::create(tx, JobKind::CampaignActivation, id.0, None).await?;
        return Ok(Activation::Running(Box::new(job)));
    }
    campaign.require_draft()?;
    let preflight = preflight::check(tx, &campaign, account).await?;
    if !preflight.can_activate {
        return Err(Error::conflict("preflight_failed", preflight.summary()));
    }
    plans::check(tx, Limit::ActiveCampaigns).await?;
    let inline_limit = config::read(tx, "outreach").await?.number("activation_inline_limit")?;
    let members = if campaign.segment_id.is_some() {
        let question = preflight::audience(tx, &campaign).await?;
        selecting::keep(tx, &question, id).await?
    } else {
        preflight.members
    };
    if members > inline_limit {
        tx.execute(include_str!("activation/set_activating.sql"), &[&id]).await?;
        let job = jobs::create(tx, JobKind::CampaignActivation, id.0, Some(members)).await?;
        return Ok(Activation::Running(Box::new(job)));
    }
    let mut cursor = Cursor::begin(tx.now());
    while enroll(tx, &campaign, &mut cursor, None).await? == CHUNK {}
    Ok(Activation::Done(Box::new(set_active(tx, id, cursor.began_at).await?)))
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
    set_active(tx, id, cursor.began_at).await?;
    jobs::finish(tx, job.id, None).await?;
    audit::record(tx, Actor::System, "campaign.activated", id.0, &json!({"enrolled": cursor.dealt}), None).await?;
    Ok(Chunk::Last)
}

/// Enrolls the next members of the campaign's list, or of whom its segment meant, and returns how many were looked at; fewer than [`CHUNK`] at the end.
async fn enroll(tx: &Tx, campaign: &Campaign, cursor: &mut Cursor, until: Option<DateTime<Utc>>) -> Result<i64> {
    let clock = OffsetClock { started_at: cursor.began_at, paused: Duration::zero() };
    let beginning = Beginning::read(tx, campaign.id, clock, cursor.began_at).await?;
    let members = match (campaign.list_id, campaign.segment_id) {
        (Some(list), _) => {
            tx.query(include_str!("activation/lock_members.sql"), &[&list, &until, &cursor.after, &CHUNK]).await?
        }
        (None, Some(_)) => {
            tx.query(include_str!("activation/lock_kept.sql"), &[&campaign.id, &cursor.after, &CHUNK]).await?
        }
        (None, None) => return Err(Error::internal("a campaign without a list or a segment is activated")),
    };
    let Some(last) = members.last() else { return Ok(0) };
    cursor.after = last.try_get("id")?;
    cursor.dealt += beginning.enroll(tx, &members, cursor.dealt).await?.dealt;
    i64::try_from(members.len()).map_err(Error::internal)
}

async fn set_active(tx: &Tx, id: CampaignId, began_at: DateTime<Utc>) -> Result<Campaign> {
    tx.execute(include_str!("activation/set_active.sql"), &[&id, &began_at]).await?;
    tx.execute(include_str!("activation/forget_audience.sql"), &[&id]).await?;
    campaigns::tell(tx, EventType::CampaignActivated, id, Status::Active).await?;
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
