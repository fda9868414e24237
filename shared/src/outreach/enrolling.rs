//! Enrolling: how people become part of a campaign, with its activation or while it runs.
//!
//! An audience is frozen: who is in a campaign does not follow from a list or a segment any more. But a person may add to it while it
//! is active or paused, and whoever is added is counted as everybody is: each step's outcomes add up to the people enrolled, and the
//! campaign is completed when the last of them has come to an end. Nobody is enrolled twice, nor mailed twice under another contact.
//!
//! Additions are a job over a [`Selection`], as other acts on many are. A chunk passes the campaign's gate, as claims do: sending goes on
//! meanwhile, and nobody pauses, archives or completes the campaign between what is looked at and what is written.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use super::activation::Chunk;
use super::campaigns::{self, Campaign, Status};
use super::settings::{self, CampaignSettings};
use super::steps::{self, Step};
use super::{campaign_senders, dealing};
use crate::audience::selection::{Bounds, Selection};
use crate::delivery::due_times::{OffsetClock, Timing, Turn};
use crate::delivery::senders;
use crate::platform::audit::{self, Actor};
use crate::platform::jobs::{self, Job, JobKind};
use crate::{CampaignId, ContactId, EnrollmentId, Error, Result, SenderId, StepId, Tx};

/// Contacts of a chunk: their locks are held for well under a second.
const CHUNK: i64 = 2_000;

/// How people begin a campaign at one moment.
pub(super) struct Beginning {
    campaign: CampaignId,
    first: StepId,
    timing: Timing,
    at: DateTime<Utc>,
    settings: CampaignSettings,
    senders: Vec<SenderId>,
}

/// What became of those who were to be enrolled.
pub(super) struct Enrolled {
    /// How many may be written to, and had a sender dealt out: this moves the senders' cycle.
    pub dealt: i64,
    /// How many of these were not in the campaign before.
    pub enrolled: i64,
}

impl Beginning {
    /// Reads what a campaign's people begin with at a moment of people's time.
    ///
    /// Errors: [`Error::Conflict`] (`no_senders`) where its senders have been deleted.
    pub(super) async fn read(tx: &Tx, campaign: CampaignId, clock: OffsetClock, at: DateTime<Utc>) -> Result<Self> {
        let steps = steps::list(tx, campaign).await?;
        let first = steps.first().ok_or_else(|| Error::internal("people are to begin a campaign without steps"))?;
        let senders = cycle(tx, campaign).await?;
        if senders.is_empty() {
            return Err(Error::conflict("no_senders", "the campaign has no sender any more"));
        }
        let settings = settings::find(tx, campaign).await?;
        Ok(Self { campaign, first: first.id, timing: first.timing(clock), at, settings, senders })
    }

    /// Enrolls people, of whom the rows have `id` and `timezone`, after so many have been dealt out.
    ///
    /// The caller has locked them, and their suppression is looked up in a statement after that: whoever unsubscribes at
    /// this moment either is seen here or finds the enrollment and stops it.
    pub(super) async fn enroll(&self, tx: &Tx, people: &[Row], dealt: i64) -> Result<Enrolled> {
        let mut contacts: Vec<ContactId> = Vec::with_capacity(people.len());
        let mut ids: Vec<EnrollmentId> = Vec::with_capacity(people.len());
        let mut due: Vec<DateTime<Utc>> = Vec::with_capacity(people.len());
        for row in people {
            let id = EnrollmentId::fresh();
            contacts.push(row.try_get("id")?);
            ids.push(id);
            due.push(self.due_at(id, row.try_get("timezone")?));
        }
        let Self { campaign, at, senders, .. } = self;
        let row = tx
            .query_one(
                include_str!("enrolling/enroll.sql"),
                &[&tx.organization()?, campaign, &contacts, &ids, senders, &dealt, &due, at],
            )
            .await?;
        Ok(Enrolled { dealt: row.try_get("dealt")?, enrolled: row.try_get("enrolled")? })
    }

    fn due_at(&self, enrollment: EnrollmentId, timezone: Option<&str>) -> DateTime<Utc> {
        let turn = Turn { campaign: self.campaign, enrollment, timezone, step: self.first };
        turn.due_at(self.timing, self.at, &self.settings)
    }
}

/// The senders in the order in which people are dealt out to them, each with its share of the campaign's strategy.
async fn cycle(tx: &Tx, campaign: CampaignId) -> Result<Vec<SenderId>> {
    let strategy = settings::sender_strategy(tx, campaign).await?;
    let pool = campaign_senders::list(tx, campaign).await?;
    let zones: Vec<(SenderId, &str)> = pool.iter().map(|sender| (sender.id, sender.timezone.as_str())).collect();
    let used = senders::used_today(tx, &zones).await?;
    let used = |sender| used.get(&sender).copied().unwrap_or_default();
    let shares: Vec<_> = pool.iter().map(|sender| (sender.id, strategy.share(sender, used(sender.id)))).collect();
    Ok(dealing::cycle(&shares))
}

/// What the job keeps of what was asked.
#[derive(Debug, Serialize, Deserialize)]
struct Input {
    campaign_id: CampaignId,
    selection: Selection,
    up_to: ContactId,
}

/// How far it has come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    after: Option<ContactId>,
    /// How many people the campaign has dealt out to its senders, from whoever was in it when the job began; none before.
    dealt: Option<i64>,
}

/// Asks for everybody whom the selection has now to be enrolled in a campaign that runs. The job is to be enqueued once this is
/// committed.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] (`campaign_not_running`, `steps_have_passed`, `no_senders`).
pub async fn create(tx: &Tx, campaign: CampaignId, selection: Selection) -> Result<Job> {
    let found = campaigns::pass(tx, campaign).await?;
    beginning(tx, &found).await?;
    selection.check(tx).await?;
    let bounds = Bounds::until_now();
    let total = selection.count(tx, bounds).await?;
    let input = Input { campaign_id: campaign, selection, up_to: bounds.up_to };
    let input = serde_json::to_value(input).map_err(Error::internal)?;
    jobs::create_for(tx, JobKind::CampaignEnrollment, &input, Some(total)).await
}

/// Does one chunk of a job that this transaction has locked: its outcomes are `enrolled`, `already`, `suppressed`, `written_before` and
/// `unknown`. Where the campaign takes nobody any more, the job fails and says so; whoever was enrolled stays.
pub async fn run_chunk(tx: &Tx, job: &Job) -> Result<Chunk> {
    jobs::or_end(tx, job, enroll_chunk(tx, job).await).await
}

async fn enroll_chunk(tx: &Tx, job: &Job) -> Result<Chunk> {
    let Input { campaign_id, selection, up_to } = Input::deserialize(&job.input).map_err(Error::internal)?;
    let Cursor { after, dealt } = Cursor::deserialize(&job.cursor).map_err(Error::internal)?;
    let campaign = campaigns::pass(tx, campaign_id).await?;
    let beginning = beginning(tx, &campaign).await?;
    let asked = selection.read(tx, Bounds { after, up_to }, CHUNK).await?;
    let Some(last) = asked.last() else {
        jobs::finish(tx, job.id, None).await?;
        let details = json!({"job_id": job.id, "outcomes": job.outcomes});
        audit::record(tx, Actor::System, "campaign.people_added", campaign_id.0, &details, None).await?;
        return Ok(Chunk::Last);
    };
    let mut people = tx.query(include_str!("enrolling/lock_contacts.sql"), &[&asked]).await?;
    let found = people.len();
    let written_to = written_to(tx, campaign_id, &asked).await?;
    people.retain(|row| row.try_get("id").is_ok_and(|id| !written_to.contains(&id)));
    let dealt = match dealt {
        Some(dealt) => dealt,
        None => tx.query_one(include_str!("enrolling/count.sql"), &[&campaign_id]).await?.try_get("people")?,
    };
    let Enrolled { dealt: fit, enrolled } = beginning.enroll(tx, &people, dealt).await?;
    let count = |rows: usize| i64::try_from(rows).map_err(Error::internal);
    let outcomes = [
        ("enrolled", enrolled),
        ("already", fit - enrolled),
        ("suppressed", count(people.len())? - fit),
        ("written_before", count(found - people.len())?),
        ("unknown", count(asked.len() - found)?),
    ];
    jobs::note(tx, job, &outcomes).await?;
    let cursor = Cursor { after: Some(*last), dealt: Some(dealt + fit) };
    let cursor = serde_json::to_value(cursor).map_err(Error::internal)?;
    jobs::advance(tx, job.id, count(asked.len())?, &cursor).await?;
    Ok(Chunk::More)
}

/// How people begin a campaign that runs already.
///
/// Errors: [`Error::Conflict`] where it takes nobody.
async fn beginning(tx: &Tx, campaign: &Campaign) -> Result<Beginning> {
    let (Status::Active | Status::Paused, Some(clock)) = (campaign.status, campaign.clock()) else {
        let rule = "people are added to an active or paused campaign; a draft enrolls its list or segment when it is activated";
        return Err(campaign.conflict("campaign_not_running", rule));
    };
    // The campaign's clock stands still while it is paused.
    let now = campaign.paused_at.unwrap_or(tx.now());
    check_time_left(&steps::list(tx, campaign.id).await?, clock, now)?;
    Beginning::read(tx, campaign.id, clock, tx.now()).await
}

/// A step by the campaign's clock goes right after the step before where its time has come. Whoever begins now would get several
/// mails at once.
///
/// Errors: [`Error::Conflict`] (`steps_have_passed`).
fn check_time_left(steps: &[Step], clock: OffsetClock, now: DateTime<Utc>) -> Result<()> {
    let passed =
        steps.iter().skip(1).find(|step| matches!(step.timing(clock), Timing::Offset(reached) if reached <= now));
    match passed {
        None => Ok(()),
        Some(step) => Err(Error::conflict(
            "steps_have_passed",
            format!(
                "the time of step {} has come by the campaign's clock: whoever begins now would get it right after the first mail",
                step.position
            ),
        )),
    }
}

/// Those whose address has had a mail of the campaign under a contact that was deleted.
async fn written_to(tx: &Tx, campaign: CampaignId, asked: &[ContactId]) -> Result<BTreeSet<ContactId>> {
    let rows = tx.query(include_str!("enrolling/find_written_to.sql"), &[&asked, &campaign]).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}
