//! A round: some people, one kind of fault, and what must be true afterwards.
//!
//! Time is virtual. People's clock stands still between two ticks; a tick moves it by a minute, and moves what the machine
//! has written of its own time back by the same minute, so that leases run out, hints come again and the breaker probes
//! without anybody waiting.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use shared::ids::{CampaignId, OrganizationId};
use uuid::Uuid;

use super::draws::Draws;
use super::kinds::Kind;
use super::queue::{Letter, Queue};
use super::tenants::{Manner, Tenant};
use super::world::World;
use crate::TestDb;
use crate::aws_stand_in::provider_id;
use crate::installation::SEND_QUEUE;
use crate::runtime_api::{Outcome, events};

/// SQS gives a function ten messages at once.
const BATCH: usize = 10;
/// Minutes in which faults are injected.
const MINUTES: usize = 4;
/// Minutes after which a round that still has something to do is stuck.
const MOST_MINUTES: i64 = 600;
/// What is still allowed after the last wait is over (invariant 7).
const CONVERGENCE_MINUTES: i64 = 2;

/// What a round is about.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The fault.
    pub kind: Kind,
    /// Of the whole run.
    pub seed: u64,
    /// Of the kind's rounds, this one.
    pub number: usize,
    /// How many people there are.
    pub people: usize,
}

/// What came of a round.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// How often the fault did happen.
    pub injected: usize,
    /// Messages that there were.
    pub messages: usize,
    /// Of those that were sent.
    pub sent: usize,
    /// Whose outcome was unknown when everything had come to rest.
    pub unknown: usize,
    /// What is left for a person at the end.
    pub review: usize,
    /// Minutes of virtual time until everything had come to rest after the last fault.
    pub minutes: i64,
    /// What must not be.
    pub violations: Vec<String>,
}

/// From when on nothing may be handed over to whom.
pub(super) struct Stop {
    pub(super) organization: OrganizationId,
    pub(super) campaign: Option<CampaignId>,
    pub(super) recipient: Option<String>,
    /// The attempts that had begun before it was committed.
    pub(super) begun: BTreeSet<String>,
}

/// A round under way.
pub(super) struct Round<'r, 'w> {
    pub(super) world: &'r mut World<'w>,
    pub(super) db: &'r TestDb,
    pub(super) plan: Plan,
    pub(super) draws: Draws,
    pub(super) now: DateTime<Utc>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) queue: Queue,
    pub(super) reports: Queue,
    pub(super) withheld: Vec<(Uuid, &'static str, String)>,
    /// Reports that the queue was told to be done with: the message and the name of the event.
    pub(super) told: Vec<(Uuid, &'static str)>,
    pub(super) first_mail: usize,
    /// Mails that the provider's events have been made of.
    pub(super) reported: usize,
    /// When each mail since the first was handed over.
    pub(super) handed_at: Vec<DateTime<Utc>>,
    pub(super) striking: bool,
    pub(super) strikes: usize,
    pub(super) has_struck_feedback: bool,
    pub(super) stops: Vec<Stop>,
    pub(super) poison: usize,
    /// The database as it was, to be restored to that.
    pub(super) backup: Option<TestDb>,
    /// Every hint that there was, of the kind that has them come again.
    pub(super) hints: Vec<String>,
    pub(super) ledger: Ledger,
}

impl<'r, 'w> Round<'r, 'w> {
    /// Runs a round to its end and says what came of it.
    pub(super) async fn run(world: &'r mut World<'w>, db: &'r TestDb, plan: Plan) -> Ledger {
        let mut round = Self::new(world, db, plan).await;
        round.inject().await;
        round.come_to_rest().await;
        round.resolve().await;
        round.check().await;
        round.leave().await;
        round.ledger
    }

    async fn new(world: &'r mut World<'w>, db: &'r TestDb, plan: Plan) -> Self {
        let mut draws = Draws::of(plan.seed, plan.kind.name(), plan.number as u64);
        let now: DateTime<Utc> = plan.kind.transition().map_or("2026-03-04T10:00:00Z", |(_, at)| at).parse().unwrap();
        world.set_clock(now).await;
        let mut tenants = Vec::new();
        for (n, manner) in manners(plan, &mut draws).into_iter().enumerate() {
            let slug = format!("t{}", shared::ids::fresh().simple());
            let slug = format!("{}{n}", &slug[..24]);
            tenants.push(Tenant::new(world, &slug, manner, now).await);
        }
        if plan.kind == Kind::Workers16OneCap {
            tenants[0].add_campaign_of_the_same_sender(world, now.date_naive()).await;
        }
        let strikes = draws.within(3..=5);
        let first_mail = world.aws().mail_count();
        Self {
            world,
            db,
            plan,
            draws,
            now,
            tenants,
            queue: Queue::default(),
            reports: Queue::default(),
            withheld: Vec::new(),
            told: Vec::new(),
            first_mail,
            reported: first_mail,
            handed_at: Vec::new(),
            striking: true,
            strikes,
            has_struck_feedback: false,
            stops: Vec::new(),
            poison: 0,
            backup: None,
            hints: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// The minutes in which faults happen.
    async fn inject(&mut self) {
        let (minutes, step) = match self.plan.kind {
            Kind::Ses429Storm => (10, 1),
            Kind::DbRestoredOneHour => (5, 20),
            kind if kind.transition().is_some() => (8, 10),
            _ => (MINUTES, 1),
        };
        self.begin().await;
        for minute in 0..minutes {
            self.each_minute(minute).await;
            self.tick(step).await;
            self.work().await;
            self.report(false).await;
        }
        self.striking = false;
        self.end_of_faults().await;
    }

    /// Runs until nothing moves any more, and sees how long that takes.
    async fn come_to_rest(&mut self) {
        let mut allowed = self.outstanding_minutes().await + CONVERGENCE_MINUTES;
        for minute in 1..=MOST_MINUTES {
            self.tick(1).await;
            self.work().await;
            self.report(false).await;
            if self.breaker_is_open().await {
                // While it is open nothing is due, and what waits behind it comes after its own wait.
                allowed = minute + self.outstanding_minutes().await + CONVERGENCE_MINUTES;
            }
            let restless = self.restless().await;
            if restless.is_empty() {
                self.ledger.minutes = minute;
                break;
            }
            if minute == allowed || minute == MOST_MINUTES {
                self.violation(format!("I7: after {minute} minutes: {}", restless.join(", ")));
                break;
            }
        }
        // What is not due yet comes to its time as well: later in the day, or on the next.
        // Those behind the cap would take weeks, and show nothing more.
        let most = if self.plan.kind == Kind::Workers16OneCap { 0 } else { 50 };
        for _ in 0..most {
            if !self.waits_for_its_time().await {
                break;
            }
            self.tick(180).await;
            self.work().await;
            self.report(false).await;
        }
    }

    /// What is in doubt is resolved by the events that come, or by a person.
    async fn resolve(&mut self) {
        self.ledger.unknown = self.count("state = 'unknown'").await;
        if self.plan.kind != Kind::EventsNever && self.plan.kind != Kind::EventsLate3d {
            self.report(true).await;
        }
        // The grace is thirty minutes; events have come meanwhile or they have not.
        self.age(31 * 60).await;
        self.tick(1).await;
        self.work().await;
        let waiting = self.count("state in ('unknown', 'sending')").await;
        if waiting > 0 {
            self.violation(format!("I7: {waiting} messages are in doubt and nobody is asked"));
        }
        if self.plan.kind == Kind::EventsLate3d {
            self.now += Duration::days(3);
            self.world.set_clock(self.now).await;
            self.ledger.injected += self.withheld.len();
            self.report(true).await;
        }
        if self.plan.kind == Kind::EventsNever {
            self.ledger.injected += self.withheld.len();
            self.withheld.clear();
        }
        self.ledger.review = self.count("state = 'review'").await;
        self.ledger.sent = self.count("state = 'sent'").await;
        self.ledger.messages = self.count("true").await;
    }

    /// Leaves nothing behind that the next round would find to do.
    async fn leave(&mut self) {
        self.world.aws().answer_as_usual();
        self.world.points.forget();
        self.world.wire.mend();
        let ids = self.organizations_as_text();
        self.world
            .run(&format!(
                "update enrollments set status = 'stopped', next_due_at = null, waiting_message_id = null
                  where organization_id = any ('{ids}') and status in ('pending', 'in_progress');
                 update messages set state = 'cancelled', slot_day = null, enqueue_again_at = null
                  where organization_id = any ('{ids}') and state in ('scheduled', 'sending', 'unknown');
                 update campaigns set status = 'archived' where organization_id = any ('{ids}');
                 update provider_accounts set breaker = 'closed', reason = null, failures = 0, probe_at = null;"
            ))
            .await;
    }

    /// Moves time by so many minutes, and runs the scheduler.
    pub(super) async fn tick(&mut self, minutes: i64) {
        self.age(minutes * 60).await;
        self.now += Duration::minutes(minutes);
        self.world.set_clock(self.now).await;
        self.schedule().await;
        self.fetch();
    }

    /// Takes in what the scheduler has enqueued.
    pub(super) fn fetch(&mut self) {
        for message in self.world.aws().drain_queue(SEND_QUEUE) {
            self.arrive(message.body);
        }
    }

    /// Delivers what waits in the queue.
    async fn work(&mut self) {
        self.before_work().await;
        while !self.queue.is_empty() {
            let size = if self.striking { self.draws.within(3..=BATCH) } else { BATCH };
            let batch = self.queue.take(size);
            self.deliver(batch).await;
            self.stamp();
        }
    }

    /// Notes when the mails since the last time were handed over.
    pub(super) fn stamp(&mut self) {
        let handed = self.world.aws().mail_count() - self.first_mail;
        self.handed_at.resize(handed, self.now);
    }

    /// Hands a batch to the sender as the queue does, and keeps what it does not acknowledge.
    pub(super) async fn hand_over(&mut self, batch: Vec<Letter>) {
        let event = event_of(&batch);
        let outcome = self.world.call("sender", &event).await;
        self.settle(batch, &outcome);
    }

    /// Gives back what was not acknowledged.
    pub(super) fn settle(&mut self, batch: Vec<Letter>, outcome: &Outcome) {
        let failed = unacknowledged(outcome);
        for (n, letter) in batch.into_iter().enumerate() {
            if failed.as_ref().is_none_or(|failed| failed.contains(&events::message_id(n))) {
                self.queue.give_back(letter);
            }
        }
    }

    /// Makes the provider's events of what it has accepted since the last time, and hands them to the feedback function.
    /// Those of mails whose outcome is not known are held back until `all` shall come, and half of them are lost then.
    pub(super) async fn report(&mut self, all: bool) {
        let mails = self.world.aws().mails_from(self.reported);
        let sent = self.ids_in("state = 'sent'").await;
        for (n, mail) in mails.iter().enumerate() {
            let provider = provider_id(self.reported + n + 1);
            let Some(message) = mail.tags.get("message_id").and_then(|id| id.parse::<Uuid>().ok()) else { continue };
            if !mail.accepted {
                continue;
            }
            let ending = if self.draws.one_in(12) { "Bounce" } else { "Delivery" };
            for kind in ["Send", ending] {
                let report = report(mail.tags.clone(), kind, &provider, self.now);
                let held = matches!(self.plan.kind, Kind::EventsNever | Kind::EventsLate3d);
                if held || (!sent.contains(&message) && self.plan.kind != Kind::SesEventFirst) {
                    self.withheld.push((message, name_of(kind), report));
                } else {
                    self.put_report(message, name_of(kind), report);
                }
            }
        }
        self.reported += mails.len();
        if all {
            let lost: BTreeMap<Uuid, bool> = self
                .withheld
                .iter()
                .map(|(message, ..)| *message)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|message| (message, message.as_u128() % 2 == 0))
                .collect();
            for (message, kind, report) in std::mem::take(&mut self.withheld) {
                if self.plan.kind == Kind::EventsLate3d || !lost[&message] {
                    self.put_report(message, kind, report);
                }
            }
        }
        if self.plan.kind == Kind::EventsShuffled {
            self.ledger.injected += usize::from(self.reports.waiting().len() > 1);
            self.draws.shuffle(self.reports.waiting());
        }
        self.hand_over_reports().await;
    }

    fn put_report(&mut self, message: Uuid, kind: &'static str, report: String) {
        if self.plan.kind == Kind::EventsTwice {
            self.ledger.injected += 1;
            self.reports.put(report.clone());
        }
        self.reports.put(report);
        self.told.push((message, kind));
    }

    async fn hand_over_reports(&mut self) {
        while !self.reports.is_empty() {
            let batch = self.reports.take(BATCH);
            let event = event_of(&batch);
            let outcome = self.feed_back(&event).await;
            let failed = unacknowledged(&outcome);
            for (n, letter) in batch.into_iter().enumerate() {
                if failed.as_ref().is_none_or(|failed| failed.contains(&events::message_id(n))) {
                    self.reports.give_back(letter);
                }
            }
        }
    }

    /// Lets so many seconds of the machine's time pass.
    pub(super) async fn age(&self, seconds: i64) {
        let ids = self.organizations_as_text();
        self.world
            .run(&format!(
                "update messages
                    set attempted_at = attempted_at - interval '{seconds} s', enqueue_again_at = enqueue_again_at - interval '{seconds} s'
                  where organization_id = any ('{ids}') and state in ('scheduled', 'sending', 'unknown');
                 update provider_accounts set probe_at = probe_at - interval '{seconds} s' where probe_at is not null;"
            ))
            .await;
    }

    /// How long the longest of the waits takes that lie ahead, in minutes: of a lost hint, a backoff, a sender's lease.
    async fn outstanding_minutes(&self) -> i64 {
        let rows = self.world.rows(include_str!("checks/outstanding.sql"), &[&self.organizations()]).await;
        rows[0].get(0)
    }

    async fn breaker_is_open(&self) -> bool {
        !self.world.rows("select from provider_accounts where breaker = 'open'", &[]).await.is_empty()
    }

    /// What still moves and should have moved (invariant 7).
    async fn restless(&self) -> Vec<String> {
        let rows = self.world.rows(include_str!("checks/restless.sql"), &[&self.organizations(), &self.now]).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Whether somebody is to be written to later.
    async fn waits_for_its_time(&self) -> bool {
        self.count("state = 'scheduled'").await > 0
            || !self.world.rows(include_str!("checks/to_come.sql"), &[&self.organizations()]).await.is_empty()
    }

    pub(super) async fn count(&self, condition: &str) -> usize {
        self.ids_in(condition).await.len()
    }

    /// The messages of this round of which this is true.
    pub(super) async fn ids_in(&self, condition: &str) -> BTreeSet<Uuid> {
        let sql = format!("select id from messages where organization_id = any ($1) and ({condition})");
        self.world.rows(&sql, &[&self.organizations()]).await.iter().map(|row| row.get(0)).collect()
    }

    pub(super) fn organizations(&self) -> Vec<Uuid> {
        self.tenants.iter().map(|tenant| tenant.organization.0).collect()
    }

    fn organizations_as_text(&self) -> String {
        let ids: Vec<String> = self.organizations().iter().map(ToString::to_string).collect();
        format!("{{{}}}", ids.join(","))
    }

    pub(super) fn violation(&mut self, what: String) {
        self.ledger.violations.push(what);
    }
}

/// Who sends in a round: two organizations, unless the kind is about something else.
fn manners(plan: Plan, draws: &mut Draws) -> Vec<Manner> {
    let usual = Manner {
        people: plan.people,
        daily_limit: 10_000,
        zone: "UTC",
        window: ("09:00", "18:00", "{monday,tuesday,wednesday,thursday,friday}"),
        minutes: MINUTES - 1,
        steps: 1,
        active: true,
        counts_recipients: false,
    };
    let all_days = "{monday,tuesday,wednesday,thursday,friday,saturday,sunday}";
    match plan.kind {
        Kind::Workers16OneCap => {
            // Those behind the cap have been due for longest.
            let capped =
                Manner { daily_limit: draws.within(3..=9), people: plan.people * 4 / 5, minutes: 1, ..usual.clone() };
            vec![capped, Manner { people: plan.people - plan.people * 4 / 5, ..usual }]
        }
        Kind::EnrollTwice => {
            let people = (plan.people / 4).max(1);
            vec![Manner { people, active: false, ..usual }; 4]
        }
        // Some are written to before the backup, most in the hour that is lost.
        Kind::DbRestoredOneHour => {
            let second = (plan.people / 4).max(1);
            let first = Manner { people: plan.people - second, minutes: 70, ..usual.clone() };
            vec![first, Manner { people: second, minutes: 70, counts_recipients: true, ..usual }]
        }
        // A reply answers the first mail while the second is on its way.
        Kind::RaceReply => vec![Manner { people: plan.people.div_ceil(2), steps: 2, minutes: 2, ..usual }],
        kind => match kind.transition() {
            Some((zone, _)) => {
                // Half may go on either side of midnight, where the day changes; the window ends within the morning.
                let window =
                    if kind == Kind::SkippedDay { ("00:00", "23:59", all_days) } else { ("00:30", "05:00", all_days) };
                vec![Manner { zone, window, minutes: 70, daily_limit: (plan.people / 2).max(1), ..usual }]
            }
            None => {
                let second = (plan.people / 4).max(1);
                let first = Manner { people: plan.people - second, ..usual.clone() };
                vec![first, Manner { people: second, counts_recipients: true, ..usual }]
            }
        },
    }
}

/// A batch as the function gets it. What is no JSON arrives as a text that no function expects.
pub(super) fn event_of(batch: &[Letter]) -> Value {
    let bodies: Vec<Value> = batch
        .iter()
        .map(|letter| serde_json::from_str(&letter.body).unwrap_or_else(|_| Value::String(letter.body.clone())))
        .collect();
    events::queue_batch(&bodies)
}

/// The ids that a function wants to be kept; all of them where it has not answered.
fn unacknowledged(outcome: &Outcome) -> Option<BTreeSet<String>> {
    let Outcome::Answered(answer) = outcome else { return None };
    let failures = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
    Some(failures.iter().filter_map(|failure| Some(failure["itemIdentifier"].as_str()?.to_owned())).collect())
}

/// The name under which the ledger keeps an event of this type.
fn name_of(kind: &str) -> &'static str {
    match kind {
        "Send" => "sent",
        "Bounce" => "bounced",
        _ => "delivered",
    }
}

/// An event as SES publishes it through SNS into a queue.
pub(super) fn report(tags: BTreeMap<String, String>, kind: &str, provider_id: &str, at: DateTime<Utc>) -> String {
    let tags: BTreeMap<String, [String; 1]> = tags.into_iter().map(|(name, value)| (name, [value])).collect();
    let part = match kind {
        "Send" => json!({}),
        "Bounce" => {
            json!({ "bounceType": "Permanent", "timestamp": at.to_rfc3339(), "feedbackId": format!("bounce-{provider_id}") })
        }
        _ => json!({ "timestamp": at.to_rfc3339() }),
    };
    let message = json!({
        "eventType": kind,
        "mail": { "messageId": provider_id, "timestamp": at.to_rfc3339(), "tags": tags },
        kind.to_lowercase(): part,
    });
    json!({ "Type": "Notification", "Message": message.to_string() }).to_string()
}
