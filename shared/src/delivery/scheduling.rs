//! Planning: what is due becomes a message with a slot, committed first and enqueued then.
//!
//! Quota is reserved here and only here. Nothing is claimed by due time alone: each sender of each campaign gets at most
//! its free slots, so what cannot be granted never stands in front of what can.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Duration, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::gates::{self, Gate};
use super::limits::{self, Slot};
use super::messages::MessageKey;
use super::slots::{CampaignRules, Ledger, Pair, SenderRules};
use crate::db::Stage;
use crate::outreach::settings::CampaignSettings;
use crate::{
    CampaignId, ContactId, Database, EnrollmentId, Error, MessageId, OrganizationId, Result, SenderId, StepId, Tx,
};

/// How far ahead slots are given out: two ticks of the schedule, so that a late tick leaves no hole.
const HORIZON: Duration = Duration::minutes(2);
/// One claim grants at most this much: large enough to share its round trips, small enough to hold its locks shortly.
const BATCH: i64 = 1_000;
/// One sender gets at most this much of a claim, so that one without a gap does not take the whole of it.
const PER_SENDER: i64 = 200;
/// Organizations of one claim: their gates and rows are locked together.
const ORGANIZATIONS: usize = 200;
/// A message that nobody has taken this long after its time is enqueued again: its hint was lost.
const LOST_AFTER: Duration = Duration::minutes(5);

/// A hint for the sender, and how long it shall wait in the queue.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    /// The message.
    pub message: MessageKey,
    /// Spacing, at most the queue's fifteen minutes.
    pub delay: std::time::Duration,
}

/// Where planned messages wait for the sender. A hint that is lost is sent again by the sweeper.
pub trait SendQueue: Send + Sync {
    /// Enqueues hints, in as few calls as the queue allows; returns how many it took.
    fn enqueue<'a>(&'a self, hints: &'a [Hint]) -> BoxFuture<'a, Result<usize>>;
}

/// What one run has planned.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Planned {
    /// Messages that got a slot.
    pub granted: usize,
    /// Hints that the queue took.
    pub enqueued: usize,
}

/// How far ahead slots are given out here: on the local stack nothing, since its time stands still between two steps.
#[must_use]
pub fn horizon(stage: Stage) -> Duration {
    match stage {
        Stage::Deployed => HORIZON,
        Stage::Local => Duration::zero(),
    }
}

/// Plans everything that is due, batch by batch, until nothing more can be granted or `deadline` has come.
pub async fn enqueue_due(
    db: &Database,
    queue: &dyn SendQueue,
    horizon: Duration,
    deadline: Instant,
) -> Result<Planned> {
    let mut planned = Planned::default();
    let organizations = organizations_with_due(db, horizon).await?;
    let mut waiting: VecDeque<&[OrganizationId]> = organizations.chunks(ORGANIZATIONS).collect();
    while let Some(organizations) = waiting.pop_front() {
        if Instant::now() >= deadline {
            break;
        }
        let hints = claim(db, organizations, horizon).await?;
        if hints.is_empty() {
            continue;
        }
        planned.granted += hints.len();
        // Committed before this line: what the queue does not take, the sweeper brings again.
        planned.enqueued += queue.enqueue(&hints).await?;
        // Behind the others: whoever has much due does not use up the run alone.
        waiting.push_back(organizations);
    }
    Ok(planned)
}

async fn organizations_with_due(db: &Database, horizon: Duration) -> Result<Vec<OrganizationId>> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("scheduling/organizations.sql"), &[&(tx.now() + horizon)]).await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Grants one batch of slots to the people of these organizations and returns the hints to enqueue.
async fn claim(db: &Database, organizations: &[OrganizationId], horizon: Duration) -> Result<Vec<Hint>> {
    let tx = db.begin_for(organizations).await?;
    let now = tx.now();
    let until = now + horizon;
    let wanted = wanted(&tx, now, until).await?;
    if wanted.is_empty() {
        tx.commit().await?;
        return Ok(Vec::new());
    }
    pass_gates(&tx, &wanted).await?;
    let open = still_open(&tx, wanted).await?;
    let people = lock_due(&tx, &open, until).await?;
    let granted = grant(&tx, &open, people, now, until).await?;
    let hints = write(&tx, &granted, now).await?;
    tx.commit().await?;
    Ok(hints)
}

/// A pair with due people, and how many of them it could get slots for.
struct Wanted {
    pair: Pair,
    maximum_lateness: Duration,
    free: i64,
}

/// The pairs that have somebody due, an open window and room under their limits, read without locks.
async fn wanted(tx: &Tx, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for row in tx.query(include_str!("scheduling/pairs.sql"), &[&until]).await? {
        // One tenant's unreadable settings keep nobody else waiting.
        let (pair, maximum_lateness) = match pair(&row) {
            Ok(readable) => readable,
            Err(error) => {
                tracing::error!(?error, "a campaign cannot be planned");
                continue;
            }
        };
        if pair.campaign_rules.window.is_open(now) {
            wanted.push(Wanted { pair, maximum_lateness, free: 0 });
        }
    }
    let counters: Vec<_> =
        wanted.iter().flat_map(|w| [w.pair.campaign_counter(now), w.pair.sender_counter(now)]).collect();
    let ledger = Ledger::new(limits::read(tx, &counters).await?);
    for wanted in &mut wanted {
        wanted.free = ledger.free(&wanted.pair, now, until, PER_SENDER);
    }
    wanted.retain(|wanted| wanted.free > 0);
    Ok(wanted)
}

fn pair(row: &Row) -> Result<(Pair, Duration)> {
    let settings = CampaignSettings::from_row(row)?;
    let zone: &str = row.try_get("sender_timezone")?;
    let pair = Pair {
        organization: row.try_get("organization_id")?,
        campaign: row.try_get("campaign_id")?,
        sender: row.try_get("sender_id")?,
        campaign_rules: CampaignRules {
            window: *settings.window(),
            daily_limit: settings.daily_limit.into(),
            gap: settings.gap(),
        },
        sender_rules: SenderRules {
            daily_limit: row.try_get::<_, i32>("sender_daily_limit")?.into(),
            gap: Duration::seconds(row.try_get::<_, i32>("sender_gap_seconds")?.into()),
            zone: zone.parse().map_err(|_| Error::internal(format!("a sender's time zone is {zone}")))?,
        },
    };
    Ok((pair, settings.maximum_lateness()))
}

async fn pass_gates(tx: &Tx, wanted: &[Wanted]) -> Result<()> {
    let gates: Vec<Gate> = wanted
        .iter()
        .flat_map(|Wanted { pair, .. }| {
            [Gate::Organization(pair.organization), Gate::Campaign(pair.campaign), Gate::Sender(pair.sender)]
        })
        .collect();
    gates::pass(tx, &gates).await
}

/// Drops the pairs that were paused before we had passed their gates, asked in a statement after the locks.
async fn still_open(tx: &Tx, wanted: Vec<Wanted>) -> Result<BTreeMap<(CampaignId, SenderId), Wanted>> {
    let (organizations, pairs): (Vec<_>, Vec<_>) =
        wanted.iter().map(|w| (w.pair.organization, (w.pair.campaign, w.pair.sender))).unzip();
    let (campaigns, senders): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let rows = tx.query(include_str!("scheduling/still_open.sql"), &[&organizations, &campaigns, &senders]).await?;
    let open: Vec<(CampaignId, SenderId)> =
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_>>()?;
    Ok(wanted
        .into_iter()
        .map(|w| ((w.pair.campaign, w.pair.sender), w))
        .filter(|(key, _)| open.contains(key))
        .collect())
}

/// Somebody whose next step is due, locked by this transaction.
struct Due {
    organization: OrganizationId,
    enrollment: EnrollmentId,
    campaign: CampaignId,
    contact: ContactId,
    sender: SenderId,
    recipient: String,
    step: StepId,
    due: DateTime<Utc>,
}

/// Locks the people that are due, contacts before enrollments, and reads them in a statement after the locks.
async fn lock_due(tx: &Tx, open: &BTreeMap<(CampaignId, SenderId), Wanted>, until: DateTime<Utc>) -> Result<Vec<Due>> {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Wanted { pair, free, .. } in open.values() {
        columns.0.push(pair.organization);
        columns.1.push(pair.campaign);
        columns.2.push(pair.sender);
        columns.3.push(*free);
    }
    let rows = tx
        .query(
            include_str!("scheduling/candidates.sql"),
            &[&columns.0, &columns.1, &columns.2, &columns.3, &until, &BATCH],
        )
        .await?;
    let mut organizations = Vec::with_capacity(rows.len());
    let mut enrollments: Vec<EnrollmentId> = Vec::with_capacity(rows.len());
    let mut contacts: Vec<ContactId> = Vec::with_capacity(rows.len());
    for row in &rows {
        organizations.push(row.try_get::<_, OrganizationId>(0)?);
        enrollments.push(row.try_get(1)?);
        contacts.push(row.try_get(2)?);
    }
    let locked = tx.query(include_str!("scheduling/lock_contacts.sql"), &[&organizations, &contacts]).await?;
    let contacts: Vec<ContactId> = locked.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let params: [&(dyn ToSql + Sync); 4] = [&organizations, &enrollments, &until, &contacts];
    let locked = tx.query(include_str!("scheduling/lock_enrollments.sql"), &params).await?;
    let mut organizations: Vec<OrganizationId> = Vec::with_capacity(locked.len());
    let mut enrollments: Vec<EnrollmentId> = Vec::with_capacity(locked.len());
    for row in &locked {
        organizations.push(row.try_get(0)?);
        enrollments.push(row.try_get(1)?);
    }
    let rows = tx.query(include_str!("scheduling/read_due.sql"), &[&organizations, &enrollments, &until]).await?;
    rows.iter()
        .map(|row| {
            Ok(Due {
                organization: row.try_get("organization_id")?,
                enrollment: row.try_get("enrollment_id")?,
                campaign: row.try_get("campaign_id")?,
                contact: row.try_get("contact_id")?,
                sender: row.try_get("sender_id")?,
                recipient: row.try_get("email")?,
                step: row.try_get("step_id")?,
                due: row.try_get("next_due_at")?,
            })
        })
        .collect()
}

/// A person with a slot.
struct Granted {
    due: Due,
    slot: Slot,
    send_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Gives out slots under the locked counters, oldest first.
async fn grant(
    tx: &Tx,
    open: &BTreeMap<(CampaignId, SenderId), Wanted>,
    people: Vec<Due>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Granted>> {
    let mut counters: Vec<_> = people
        .iter()
        .filter_map(|due| open.get(&(due.campaign, due.sender)))
        .flat_map(|w| [w.pair.campaign_counter(now), w.pair.sender_counter(now)])
        .collect();
    counters.sort_unstable();
    counters.dedup();
    let mut ledger = Ledger::new(limits::lock(tx, &counters).await?);
    let mut granted = Vec::new();
    for due in people {
        let Some(wanted) = open.get(&(due.campaign, due.sender)) else { continue };
        if let Some((slot, send_at)) = ledger.grant(&wanted.pair, due.due, now, until) {
            granted.push(Granted { due, slot, send_at, expires_at: send_at + wanted.maximum_lateness });
        }
    }
    Ok(granted)
}

/// Writes the messages, makes their enrollments wait for them, and counts their slots.
async fn write(tx: &Tx, granted: &[Granted], now: DateTime<Utc>) -> Result<Vec<Hint>> {
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<MessageId> = granted.iter().map(|_| MessageId::fresh()).collect();
    let column = |value: fn(&Granted) -> uuid::Uuid| granted.iter().map(value).collect::<Vec<_>>();
    let recipients: Vec<&str> = granted.iter().map(|g| g.due.recipient.as_str()).collect();
    let days: Vec<_> = granted.iter().map(|g| g.slot.day).collect();
    let send_ats: Vec<_> = granted.iter().map(|g| g.send_at).collect();
    let expires: Vec<_> = granted.iter().map(|g| g.expires_at).collect();
    // The sweeper works by the machine's clock: what counts for it is how far ahead the slot lies.
    let lost_after: Vec<f64> = granted
        .iter()
        .map(|g| (g.send_at - now + LOST_AFTER).num_milliseconds())
        .map(|milliseconds| f64::from(i32::try_from(milliseconds).unwrap_or(i32::MAX)) / 1_000.0)
        .collect();
    let rows = tx
        .query(
            include_str!("scheduling/insert_messages.sql"),
            &[
                &column(|g| g.due.organization.0),
                &ids,
                &column(|g| g.due.enrollment.0),
                &column(|g| g.due.campaign.0),
                &column(|g| g.due.step.0),
                &column(|g| g.due.contact.0),
                &column(|g| g.due.sender.0),
                &recipients,
                &days,
                &send_ats,
                &expires,
                &lost_after,
            ],
        )
        .await?;
    let by_enrollment: BTreeMap<EnrollmentId, &Granted> = granted.iter().map(|g| (g.due.enrollment, g)).collect();
    let mut written = Vec::with_capacity(rows.len());
    let mut waiting = (Vec::new(), Vec::new(), Vec::new());
    let mut hints = Vec::with_capacity(rows.len());
    for row in &rows {
        let (organization, message, enrollment): (OrganizationId, MessageId, EnrollmentId) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let Some(granted) = by_enrollment.get(&enrollment) else { continue };
        waiting.0.push(organization);
        waiting.1.push(enrollment);
        waiting.2.push(message);
        written.push((granted.slot, granted.send_at));
        let delay = (granted.send_at - now).to_std().unwrap_or_default();
        hints.push(Hint { message: MessageKey { organization, id: message }, delay });
    }
    if written.len() < granted.len() {
        // A step that already has an outcome is never sent again; its enrollment should not have been due.
        tracing::error!(refused = granted.len() - written.len(), "people were due for a step that has an outcome");
    }
    tx.execute(include_str!("scheduling/wait_for_messages.sql"), &[&waiting.0, &waiting.1, &waiting.2]).await?;
    limits::reserve(tx, &written).await?;
    Ok(hints)
}
