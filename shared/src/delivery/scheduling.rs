//! Planning: what is due becomes a message with a slot, committed first and enqueued then.
//!
//! Quota is reserved here and only here. Nothing is claimed by due time alone: each sender of each campaign gets at most
//! its free slots, so what cannot be granted never stands in front of what can. Whoever is due at an hour that is not theirs,
//! or is held back by a limit of their own (the person's, or their address's domain's), is due again when that ends, and
//! makes room for those behind.
//!
//! While the provider account's breaker is open nothing is planned: what is due stays due, instead of growing too late
//! with a slot. Only where no mail with a slot is left to probe the account with, one is planned.

mod holding;
mod moving;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Duration, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

pub use self::holding::hold;
use self::moving::{Hour, Later};
use super::breaker::{self, Breaker};
use super::constraints::Binding;
use super::due_times::{Timing, Turn};
use super::gates::{self, Gate};
use super::limits::{self, Counter, Slot, Usage, recipient_domain_key};
use super::messages::MessageKey;
use super::provider_account::usage::{self, Account};
use super::slots::{Ledger, Pair, Recipient};
use crate::db::Stage;
use crate::outreach::settings::{CampaignSettings, TimezoneMode};
use crate::{
    CampaignId, ContactId, Database, EnrollmentId, Error, MessageId, OrganizationId, Result, SenderId, StepId, Tx,
};

/// How far ahead slots are given out: a tick of the schedule and a third, so that a late one leaves no hole. Not further: what a
/// backlog has been promised of the account's rate, nobody else gets who becomes due meanwhile.
const HORIZON: Duration = Duration::seconds(80);
/// One claim grants at most this much: large enough to share its round trips, small enough to hold its locks shortly.
const BATCH: i64 = 1_000;
/// What is granted to probe an account with whose breaker is open.
const PROBE: i64 = 1;
/// One sender gets at most this much of a claim, so that one without a gap does not take the whole of it.
const PER_SENDER: i64 = 200;
/// Organizations of one claim: their gates and rows are locked together.
const ORGANIZATIONS: usize = 200;
/// Nobody whom a limit of their own holds back is left alone for longer than this: limits may be changed.
const LONGEST_DEFERRAL: Duration = Duration::hours(24);
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
    let Work { organizations, batch } = work(db, horizon).await?;
    let mut waiting: VecDeque<&[OrganizationId]> = organizations.chunks(ORGANIZATIONS).collect();
    while let Some(organizations) = waiting.pop_front() {
        if Instant::now() >= deadline {
            break;
        }
        let Claimed { hints, moved } = claim(db, organizations, horizon, batch).await?;
        crate::fault_points::reach("after_commit");
        planned.granted += hints.len();
        // Committed before this line: what the queue does not take, the sweeper brings again.
        planned.enqueued += if hints.is_empty() { 0 } else { queue.enqueue(&hints).await? };
        if batch == PROBE && planned.granted > 0 {
            break;
        }
        // Behind the others: whoever has much due does not use up the run alone.
        if !hints.is_empty() || moved > 0 {
            waiting.push_back(organizations);
        }
    }
    Ok(planned)
}

/// Who has something due, and how much one claim may grant.
struct Work {
    organizations: Vec<OrganizationId>,
    batch: i64,
}

async fn work(db: &Database, horizon: Duration) -> Result<Work> {
    let tx = db.begin_for(&[]).await?;
    let breaker = Breaker::from_rows(&tx.query(breaker::READ, &[&breaker::ACCOUNT]).await?)?;
    let batch = if breaker.is_closed() { BATCH } else { PROBE };
    let nothing = Work { organizations: Vec::new(), batch };
    if !breaker.ledger_is_confirmed() {
        // Nobody's next time is moved either: whoever was due at the backup is held.
        tx.commit().await?;
        return Ok(nothing);
    }
    if batch == PROBE && tx.query_one(include_str!("scheduling/mail_waits.sql"), &[]).await?.try_get(0)? {
        tx.commit().await?;
        return Ok(nothing);
    }
    let rows = tx.query(include_str!("scheduling/organizations.sql"), &[&(tx.now() + horizon)]).await?;
    let minute = tx.now().timestamp().div_euclid(60);
    tx.commit().await?;
    let mut organizations: Vec<OrganizationId> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    // Where the account has room for a part of them only, each minute begins with others.
    if let Ok(count @ 1..) = i64::try_from(organizations.len().div_ceil(ORGANIZATIONS)) {
        let first = usize::try_from(minute.rem_euclid(count)).map_err(Error::internal)?;
        organizations.rotate_left(first * ORGANIZATIONS);
    }
    Ok(Work { organizations, batch })
}

/// What a claim has come to.
#[derive(Default)]
struct Claimed {
    hints: Vec<Hint>,
    /// People who are due again behind the horizon: they have made room for others.
    moved: usize,
}

/// Grants one batch of slots to the people of these organizations and returns the hints to enqueue.
async fn claim(db: &Database, organizations: &[OrganizationId], horizon: Duration, batch: i64) -> Result<Claimed> {
    let tx = db.begin_for(organizations).await?;
    let now = tx.now();
    let until = now + horizon;
    let (wanted, account) = wanted(&tx, now, until).await?;
    if wanted.is_empty() {
        tx.commit().await?;
        return Ok(Claimed::default());
    }
    pass_gates(&tx, &wanted).await?;
    let open = still_open(&tx, wanted).await?;
    let people = lock_due(&tx, &open, until, batch).await?;
    let given = grant(&tx, &open, account, people, now, until).await?;
    let moved = given.later.write(&tx, until).await?;
    let hints = write(&tx, &given, now).await?;
    crate::fault_points::reach("granted");
    tx.commit().await?;
    Ok(Claimed { hints, moved })
}

/// A pair with due people, and how many of them it could get slots for.
struct Wanted {
    pair: Pair,
    settings: CampaignSettings,
    free: i64,
}

/// The pairs that have somebody due, an open window and room under their limits, and the provider account, read without
/// locks.
async fn wanted(tx: &Tx, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<(Vec<Wanted>, Account)> {
    let mut wanted = Vec::new();
    for row in tx.query(include_str!("scheduling/pairs.sql"), &[&until]).await? {
        // One tenant's unreadable settings keep nobody else waiting.
        let (pair, settings) = match Pair::from_row(&row, now) {
            Ok(readable) => readable,
            Err(error) => {
                tracing::error!(?error, "a campaign cannot be planned");
                continue;
            }
        };
        if settings.timezone_mode() == TimezoneMode::Recipient || pair.campaign_rules.window.is_open(now) {
            wanted.push(Wanted { pair, settings, free: 0 });
        }
    }
    let counters: BTreeSet<_> = wanted.iter().flat_map(|wanted| wanted.pair.counters(now)).collect();
    let counters: Vec<_> = counters.into_iter().collect();
    let account = usage::read(tx, now).await?;
    let ledger = Ledger::new(limits::read(tx, &counters).await?, account.clone());
    for wanted in &mut wanted {
        wanted.free = ledger.free(&wanted.pair, now, until, PER_SENDER);
    }
    wanted.retain(|wanted| wanted.free > 0);
    Ok((wanted, account))
}

impl Wanted {
    /// How many people are looked at: more than it has slots where some of them may have to step aside.
    fn candidates(&self) -> i64 {
        let may_step_aside = self.pair.has_personal_limits() || self.settings.has_hours_of_each_person();
        if may_step_aside { PER_SENDER } else { self.free }
    }
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
    timezone: Option<String>,
    step: StepId,
    timing: Timing,
    due: DateTime<Utc>,
}

impl Due {
    fn turn(&self) -> Turn<'_> {
        let Self { campaign, enrollment, step, .. } = *self;
        Turn { campaign, enrollment, timezone: self.timezone.as_deref(), step }
    }

    fn recipient(&self) -> Recipient {
        Recipient { contact: self.contact, domain: recipient_domain_key(&self.recipient) }
    }
}

/// Locks and reads the people that are due. Of each organization in turn, whoever has waited longest.
async fn lock_due(
    tx: &Tx,
    open: &BTreeMap<(CampaignId, SenderId), Wanted>,
    until: DateTime<Utc>,
    batch: i64,
) -> Result<Vec<Due>> {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for wanted in open.values() {
        columns.0.push(wanted.pair.organization);
        columns.1.push(wanted.pair.campaign);
        columns.2.push(wanted.pair.sender);
        columns.3.push(wanted.candidates());
    }
    let rows = if crate::fault_points::defect("claim_by_due_time") {
        tx.query(crate::fault_points::CANDIDATES_BY_DUE_TIME, &[&until, &BATCH]).await?
    } else {
        let params: [&(dyn ToSql + Sync); 6] = [&columns.0, &columns.1, &columns.2, &columns.3, &until, &batch];
        tx.query(include_str!("scheduling/candidates.sql"), &params).await?
    };
    let (mut due, _) = lock_people(tx, &rows, until).await?;
    let mut turns: BTreeMap<OrganizationId, usize> = BTreeMap::new();
    // The account's mails are few: it is not the longest queue that gets them.
    due.sort_by_cached_key(|due| {
        let turn = turns.entry(due.organization).or_default();
        *turn += 1;
        *turn
    });
    Ok(due)
}

/// Locks people by the columns `enrollment_id` and `contact_id`, contacts before enrollments, and reads them in a statement
/// after the locks; those who are still due, oldest first. Also how many of them somebody else has locked.
async fn lock_people(tx: &Tx, rows: &[Row], until: DateTime<Utc>) -> Result<(Vec<Due>, usize)> {
    let enrollments: Vec<EnrollmentId> =
        rows.iter().map(|row| row.try_get("enrollment_id")).collect::<Result<_, _>>()?;
    let contacts: Vec<ContactId> = rows.iter().map(|row| row.try_get("contact_id")).collect::<Result<_, _>>()?;
    let locked = tx.query(include_str!("scheduling/lock_contacts.sql"), &[&contacts]).await?;
    let people = locked
        .iter()
        .map(|row| Ok((row.try_get("id")?, (row.try_get("email")?, row.try_get("timezone")?))))
        .collect::<Result<BTreeMap<ContactId, (String, Option<String>)>>>()?;
    let contacts: Vec<ContactId> = people.keys().copied().collect();
    let params: [&(dyn ToSql + Sync); 3] = [&enrollments, &until, &contacts];
    let locked = tx.query(include_str!("scheduling/lock_enrollments.sql"), &params).await?;
    let enrollments: Vec<EnrollmentId> = locked.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let passed_over = rows.len() - enrollments.len();
    let rows = tx.query(include_str!("scheduling/read_due.sql"), &[&enrollments, &until]).await?;
    let due = rows
        .iter()
        .map(|row| {
            let contact = row.try_get("contact_id")?;
            // Whoever is due has a contact that is locked.
            let (recipient, timezone) = people
                .get(&contact)
                .cloned()
                .ok_or_else(|| Error::internal("somebody is due whose contact is not locked"))?;
            Ok(Due {
                organization: row.try_get("organization_id")?,
                enrollment: row.try_get("enrollment_id")?,
                campaign: row.try_get("campaign_id")?,
                contact,
                sender: row.try_get("sender_id")?,
                recipient,
                timezone,
                step: row.try_get("step_id")?,
                timing: Timing::from_row(row)?,
                due: row.try_get("next_due_at")?,
            })
        })
        .collect::<Result<Vec<Due>>>()?;
    Ok((due, passed_over))
}

/// A person with a slot.
struct Granted {
    due: Due,
    slot: Slot,
    expires_at: DateTime<Utc>,
}

/// What a claim gives to the people that it has locked.
#[derive(Default)]
struct Given {
    granted: Vec<Granted>,
    /// Those whose hour has not come, and those whom a limit of their own holds back.
    later: Later,
    /// Whether the account takes only so many mails a second.
    has_rate: bool,
}

/// Gives out slots under the locked counters, in the order of the people.
async fn grant(
    tx: &Tx,
    open: &BTreeMap<(CampaignId, SenderId), Wanted>,
    account: Account,
    people: Vec<Due>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Given> {
    let used = lock_counters(tx, open, &people, now, until).await?;
    // Last of all. An account without bounds is not held: its hours are counted, and nobody waits for anybody.
    let account = if account.is_bounded() { usage::lock(tx, now).await? } else { account };
    let mut given = Given { has_rate: account.mails_per_second.is_some(), ..Given::default() };
    let mut ledger = Ledger::new(used, account);
    for due in people {
        let Some(Wanted { pair, settings, .. }) = open.get(&(due.campaign, due.sender)) else { continue };
        let (window, from) = match moving::hour(due.turn(), due.timing, due.due, settings, now, until) {
            Hour::Due { window, from } => (window, from),
            Hour::Later(at) => {
                given.later.push(due.enrollment, at);
                continue;
            }
        };
        let pair = pair.within(window);
        match ledger.grant(&pair, due.recipient(), from, now, until) {
            Ok(slot) => {
                let expires_at = slot.send_at + settings.maximum_lateness();
                given.granted.push(Granted { due, slot, expires_at });
            }
            Err(Binding { name, frees_at, .. }) if name.is_personal() => {
                let latest = now + LONGEST_DEFERRAL;
                let at = pair.campaign_rules.window.snap(frees_at.unwrap_or(latest).min(latest));
                given.later.push(due.enrollment, at);
            }
            Err(_) => {}
        }
    }
    Ok(given)
}

/// Locks every counter that these people's slots may be counted on, in the order of the keys.
async fn lock_counters(
    tx: &Tx,
    open: &BTreeMap<(CampaignId, SenderId), Wanted>,
    people: &[Due],
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<BTreeMap<Counter, Usage>> {
    let (mut counters, mut windows) = (BTreeSet::new(), BTreeSet::new());
    for due in people {
        let Some(Wanted { pair, .. }) = open.get(&(due.campaign, due.sender)) else { continue };
        counters.extend(pair.counters(now));
        for at in [now, until] {
            counters.extend(pair.personal_counters(due.recipient(), at));
        }
        windows.extend(pair.days_before(due.recipient(), now));
    }
    let (counters, windows): (Vec<_>, Vec<_>) = (counters.into_iter().collect(), windows.into_iter().collect());
    let mut used = limits::lock(tx, &counters).await?;
    used.extend(limits::read_days_before(tx, &windows).await?);
    Ok(used)
}

/// Writes the messages, makes their enrollments wait for them, and counts their slots.
async fn write(tx: &Tx, given: &Given, now: DateTime<Utc>) -> Result<Vec<Hint>> {
    let granted = &given.granted;
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<MessageId> = granted.iter().map(|g| MessageId::of_step(g.due.enrollment, g.due.step)).collect();
    let column = |value: fn(&Granted) -> uuid::Uuid| granted.iter().map(value).collect::<Vec<_>>();
    let recipients: Vec<&str> = granted.iter().map(|g| g.due.recipient.as_str()).collect();
    let days: Vec<_> = granted.iter().map(|g| g.slot.day).collect();
    let domains: Vec<_> = granted.iter().map(|g| g.slot.domain).collect();
    let for_recipient_domain: Vec<_> = granted.iter().map(|g| g.slot.recipient_domain.is_some()).collect();
    let for_person: Vec<_> = granted.iter().map(|g| g.slot.person.is_some()).collect();
    let send_ats: Vec<_> = granted.iter().map(|g| g.slot.send_at).collect();
    let expires: Vec<_> = granted.iter().map(|g| g.expires_at).collect();
    // The sweeper works by the machine's clock: what counts for it is how far ahead the slot lies.
    let lost_after: Vec<f64> = granted
        .iter()
        .map(|g| (g.slot.send_at - now + LOST_AFTER).num_milliseconds())
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
                &domains,
                &for_recipient_domain,
                &for_person,
            ],
        )
        .await?;
    let by_enrollment: BTreeMap<EnrollmentId, &Granted> = granted.iter().map(|g| (g.due.enrollment, g)).collect();
    let mut written = Vec::with_capacity(rows.len());
    let mut waiting = (Vec::new(), Vec::new());
    let mut hints = Vec::with_capacity(rows.len());
    for row in &rows {
        let (organization, message, enrollment): (OrganizationId, MessageId, EnrollmentId) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let Some(granted) = by_enrollment.get(&enrollment) else { continue };
        waiting.0.push(enrollment);
        waiting.1.push(message);
        written.push(granted.slot);
        let delay = (granted.slot.send_at - now).to_std().unwrap_or_default();
        hints.push(Hint { message: MessageKey { organization, id: message }, delay });
    }
    if written.len() < granted.len() {
        // A step that already has an outcome is never sent again; its enrollment should not have been due.
        tracing::error!(refused = granted.len() - written.len(), "people were due for a step that has an outcome");
    }
    tx.execute(include_str!("scheduling/wait_for_messages.sql"), &[&waiting.0, &waiting.1]).await?;
    limits::reserve(tx, &written).await?;
    if given.has_rate {
        usage::count_seconds(tx, written.iter().map(|slot| slot.send_at)).await?;
    }
    Ok(hints)
}
