//! What each kind of fault does in a round. A fault counts when it has happened, not when it was planned.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use shared::delivery::messages::MessageKey;
use uuid::Uuid;

use super::kinds::Kind;
use super::queue::{Letter, MOST_RECEIPTS};
use super::races;
use super::round::{Round, event_of, report};
use super::wire::Trouble;
use crate::TestDb;
use crate::aws_stand_in::MailAnswer;
use crate::runtime_api::{Environment, Outcome, events};

/// What `db_slow` adds to a COMMIT.
const SLOW: Duration = Duration::from_secs(2);
/// A number of answers that no round uses up.
const PLENTY: usize = 100_000;
/// Of `workers_16_one_cap`.
const WORKERS: usize = 16;

impl Round<'_, '_> {
    /// Before the first minute.
    pub(super) async fn begin(&mut self) {
        match self.plan.kind {
            Kind::Workers16OneCap => {
                // Each process writes once what the provider tells of its account, and would wait for that here.
                self.world.set_clock(self.now - chrono::Duration::days(1)).await;
                self.schedule_at_once(WORKERS).await;
                self.world.set_clock(self.now).await;
            }
            Kind::EnrollTwice => self.activate_twice().await,
            _ => {}
        }
    }

    /// Before each of the minutes.
    pub(super) async fn each_minute(&mut self, minute: usize) {
        let strikes = minute > 0 && self.strikes > 0;
        match self.plan.kind {
            Kind::ClockPlus1h | Kind::ClockMinus1h if strikes => {
                self.strikes -= 1;
                self.ledger.injected += 1;
                self.now += chrono::Duration::hours(if self.plan.kind == Kind::ClockPlus1h { 1 } else { -1 });
            }
            Kind::RacePause => {
                // What was paused in the minute before goes on, and can be paused again.
                self.check_stops();
                self.stops.clear();
                self.resume().await;
            }
            kind if kind.transition().is_some() && minute == 3 => self.ledger.injected += 1,
            Kind::Ses429Storm => {
                let throttled = MailAnswer::Refuse(429, "TooManyRequestsException", "Maximum sending rate exceeded.");
                self.world.aws().answer_next_mails(std::iter::repeat_n(throttled, PLENTY));
            }
            Kind::SesDailyQuota if strikes => {
                let used_up = MailAnswer::Refuse(429, "TooManyRequestsException", "Daily message quota exceeded.");
                self.world.aws().answer_next_mails(std::iter::repeat_n(used_up, PLENTY));
            }
            Kind::SesPaused if strikes => {
                let paused = MailAnswer::Refuse(400, "SendingPausedException", "Sending is paused.");
                self.world.aws().answer_next_mails(std::iter::repeat_n(paused, PLENTY));
            }
            _ => {}
        }
    }

    /// When no more faults happen.
    pub(super) async fn end_of_faults(&mut self) {
        self.world.aws().answer_as_usual();
        self.world.points.forget();
        self.world.wire.mend();
        if self.plan.kind == Kind::EventsForged {
            self.forge().await;
        }
        if let Some(backup) = self.backup.take() {
            self.restore(&backup).await;
            backup.drop_beside().await;
        }
        if self.plan.kind == Kind::RacePause {
            self.check_stops();
            self.stops.clear();
            self.resume().await;
        }
        self.ledger.injected += match self.plan.kind {
            Kind::Ses429Storm | Kind::SesDailyQuota | Kind::SesPaused => {
                let mails = self.world.aws().mails_from(self.first_mail);
                mails.iter().filter(|mail| !mail.accepted).count()
            }
            _ => 0,
        };
    }

    /// Runs the scheduler.
    pub(super) async fn schedule(&mut self) {
        let kind = self.plan.kind;
        match kind {
            Kind::SchedulerTwice if self.striking => {
                self.ledger.injected += 1;
                self.schedule_at_once(2).await;
            }
            Kind::Workers16OneCap if self.striking => {
                self.ledger.injected += 1;
                if self.ledger.injected == 1 {
                    self.schedule_beside_one_that_is_held().await;
                } else {
                    self.schedule_at_once(WORKERS).await;
                }
            }
            Kind::KillSchedulerAfterCommit if self.strikes_now() => {
                let scheduler = self.world.environment("scheduler", 0).await;
                let tick = events::tick();
                if self.kill_at(&scheduler, "scheduler", "after_commit", &tick).await.is_none() {
                    self.world.retire("scheduler", 0);
                }
            }
            _ if is_of_the_database(kind) && self.striking && self.draws.one_in(2) => {
                self.call_in_trouble("scheduler", &events::tick(), 4).await;
            }
            _ => {
                // One that fails is followed by another in a minute.
                self.world.call("scheduler", &events::tick()).await;
            }
        }
    }

    /// One scheduler has given out the cap and not committed when people of another campaign of the same sender become due:
    /// the others find them, and wait for the counter.
    async fn schedule_beside_one_that_is_held(&mut self) {
        let mut schedulers = Vec::new();
        for number in 0..WORKERS {
            schedulers.push(self.world.environment("scheduler", number).await);
        }
        let tick = events::tick();
        let held = self.world.points.hold("scheduler", "granted");
        let mut first = pin!(schedulers[0].invoke(&tick));
        let held = tokio::select! {
            _ = &mut first => {
                self.world.points.forget();
                return;
            }
            held = held => held,
        };
        let (organization, now) = (self.tenants[0].organization, self.now.to_rfc3339());
        self.world
            .run(&format!(
                "update enrollments set next_due_at = '{now}' where organization_id = '{organization}' and next_due_at > '{now}'"
            ))
            .await;
        let mut others = pin!(join_all(schedulers[1..].iter().map(|scheduler| scheduler.invoke(&tick))));
        let done = tokio::select! {
            _ = &mut others => true,
            () = races::somebody_waits_for_a_counter(self) => false,
        };
        drop(held);
        first.await;
        if !done {
            others.await;
        }
    }

    async fn schedule_at_once(&mut self, how_many: usize) {
        let mut schedulers = Vec::new();
        for number in 0..how_many {
            schedulers.push(self.world.environment("scheduler", number).await);
        }
        let tick = events::tick();
        join_all(schedulers.iter().map(|scheduler| scheduler.invoke(&tick))).await;
    }

    /// The database is what it was before the last hour, and hints come again that it has not had back.
    async fn restore(&mut self, backup: &TestDb) {
        let lost = self.world.aws().mail_count() - self.first_mail;
        self.world.restore(self.db, backup).await;
        self.world.set_clock(self.now).await;
        self.age(3_600).await;
        self.world.run("update ledger_runs set confirmed_at = confirmed_at - interval '1 hour'").await;
        // What was written of events was lost with the rest.
        self.told.clear();
        let known = self.count("state = 'sent'").await;
        for hints in std::mem::take(&mut self.hints).chunks(10) {
            let hints: Vec<Value> = hints.iter().map(|hint| serde_json::from_str(hint).unwrap()).collect();
            let batch = events::queue_batch(&hints);
            // The first process finds its connection cut.
            let mut outcome = self.world.call("sender", &batch).await;
            if !matches!(outcome, Outcome::Answered(_)) {
                outcome = self.world.call("sender", &batch).await;
            }
            if !matches!(outcome, Outcome::Answered(_)) {
                self.violation(format!("the sender does not work on a restored database: {outcome:?}"));
            }
        }
        self.stamp();
        if self.world.aws().mail_count() - self.first_mail > lost {
            self.violation("a restored ledger was sent by before anybody had looked at it".to_owned());
        }
        self.ledger.injected += usize::from(lost > known);
    }

    /// A message comes to the queue.
    pub(super) fn arrive(&mut self, body: String) {
        match self.plan.kind {
            Kind::DbRestoredOneHour => self.hints.push(body.clone()),
            Kind::QueueTriple => {
                self.ledger.injected += 1;
                (0..2).for_each(|_| self.queue.put(body.clone()));
            }
            Kind::QueueLost10 if self.striking && self.draws.one_in(10) => {
                self.ledger.injected += 1;
                return;
            }
            _ => {}
        }
        self.queue.put(body);
    }

    /// All that has come is in the queue.
    pub(super) async fn before_work(&mut self) {
        if !self.striking {
            return;
        }
        match self.plan.kind {
            Kind::DbRestoredOneHour if self.backup.is_none() && self.world.aws().mail_count() > self.first_mail => {
                self.backup = Some(self.world.backup(self.db).await);
            }
            Kind::QueueShuffle | Kind::QueueTriple => {
                let waiting = self.queue.waiting();
                let moves = usize::from(waiting.len() > 1 && self.plan.kind == Kind::QueueShuffle);
                self.draws.shuffle(waiting);
                self.ledger.injected += moves;
            }
            Kind::PoisonMessage if !self.queue.is_empty() => {
                self.ledger.injected += 1;
                self.poison += 1;
                self.queue.put("{\"organization_id\":\"nobody\"}".to_owned());
                self.draws.shuffle(self.queue.waiting());
            }
            _ => {}
        }
    }

    /// A batch comes to the sender.
    pub(super) async fn deliver(&mut self, batch: Vec<Letter>) {
        let kind = self.plan.kind;
        match kind {
            Kind::KillBeforeClaim if self.strikes_now() => self.kill_sender("before_claim", batch).await,
            Kind::KillAfterClaim if self.strikes_now() => self.kill_sender("after_claim", batch).await,
            Kind::KillAfterRecord if self.strikes_now() => self.kill_sender("after_record", batch).await,
            Kind::KillBeforeAck if self.strikes_now() => self.kill_sender("before_ack", batch).await,
            Kind::KillInCall if self.strikes_now() => self.kill_in_call(MailAnswer::Hang, batch).await,
            Kind::KillAfterAccept if self.strikes_now() => self.kill_in_call(MailAnswer::AcceptAndHang, batch).await,
            _ if is_of_the_database(kind) && self.strikes_now() => {
                let event = event_of(&batch);
                let outcome = self.call_in_trouble("sender", &event, 2).await;
                self.settle(batch, &outcome);
            }
            Kind::MigrateDuringSend if self.strikes_now() => self.migrate_beside(batch).await,
            Kind::QueueVisibility if self.strikes_now() => self.deliver_twice_at_once(batch).await,
            Kind::QueueRedrivenTwice if self.strikes_now() => self.redrive_twice(batch).await,
            Kind::SesRefusesConnections if self.strikes_now() => self.refuse_connections(batch).await,
            Kind::SesEventFirst if self.strikes_now() => self.event_first(batch).await,
            Kind::RaceUnsubscribe | Kind::RaceSuppress | Kind::RacePause | Kind::RaceReply if self.strikes_now() => {
                races::race(self, batch).await;
            }
            _ => match self.answer(kind) {
                Some(answer) if self.strikes_now() => self.deliver_to(answer, batch).await,
                _ => self.hand_over(batch).await,
            },
        }
    }

    /// What the provider does to one mail after the other, for the kinds that are about its answers.
    fn answer(&mut self, kind: Kind) -> Option<MailAnswer> {
        Some(match kind {
            Kind::Ses500 if self.draws.one_in(2) => MailAnswer::AcceptAndFail(500),
            Kind::Ses500 => MailAnswer::Refuse(500, "InternalFailure", "try again"),
            Kind::Ses503 if self.draws.one_in(2) => MailAnswer::AcceptAndFail(503),
            Kind::Ses503 => MailAnswer::Refuse(503, "ServiceUnavailable", "try again"),
            Kind::SesAcceptReset => MailAnswer::AcceptAndReset,
            Kind::SesAcceptHang => MailAnswer::AcceptAndHang,
            Kind::SesTruncated => MailAnswer::AcceptAndBreakOff,
            Kind::SesGarbage200 => MailAnswer::AcceptAndMumble,
            Kind::SesClosesIdle => MailAnswer::AcceptAndClose,
            _ => return None,
        })
    }

    /// Whether one of the round's strikes is due now; it is used up by that.
    fn strikes_now(&mut self) -> bool {
        let strikes = self.striking && self.strikes > 0;
        self.strikes -= usize::from(strikes);
        strikes
    }

    /// Some of the batch's mails are answered so.
    async fn deliver_to(&mut self, answer: MailAnswer, batch: Vec<Letter>) {
        let times = self.draws.within(1..=batch.len());
        let before = self.world.aws().mail_count();
        self.world.aws().answer_next_mails(std::iter::repeat_n(answer, times));
        self.hand_over(batch).await;
        self.ledger.injected += (self.world.aws().mail_count() - before).min(times);
        self.world.aws().answer_as_usual();
    }

    async fn kill_sender(&mut self, point: &'static str, batch: Vec<Letter>) {
        let sender = self.world.environment("sender", 0).await;
        let event = event_of(&batch);
        let outcome = self.kill_at(&sender, "sender", point, &event).await;
        match outcome {
            Some(outcome) => self.settle(batch, &outcome),
            None => batch.into_iter().for_each(|letter| self.queue.give_back(letter)),
        }
    }

    /// Kills a process in a point; what it has answered, where it did not come there.
    async fn kill_at(
        &mut self,
        environment: &Arc<Environment>,
        function: &'static str,
        point: &'static str,
        event: &Value,
    ) -> Option<Outcome> {
        let arrival = self.world.points.hold(function, point);
        let mut invocation = pin!(environment.invoke(event));
        let held = tokio::select! {
            done = &mut invocation => {
                self.world.points.forget();
                return Some(done.outcome);
            }
            held = arrival => held,
        };
        environment.kill();
        let outcome = invocation.await.outcome;
        drop(held);
        if !matches!(outcome, Outcome::Ended(_)) {
            return Some(outcome);
        }
        self.ledger.injected += 1;
        None
    }

    async fn kill_in_call(&mut self, answer: MailAnswer, batch: Vec<Letter>) {
        let sender = self.world.environment("sender", 0).await;
        let event = event_of(&batch);
        let before = self.world.aws().mail_count();
        self.world.aws().answer_next_mails([answer]);
        let killed = {
            let mut invocation = pin!(sender.invoke(&event));
            tokio::select! {
                done = &mut invocation => Some(done.outcome),
                () = self.world.aws().mail_arrives(before + 1) => {
                    sender.kill();
                    invocation.await;
                    None
                }
            }
        };
        self.world.aws().answer_as_usual();
        match killed {
            Some(outcome) => self.settle(batch, &outcome),
            None => {
                self.ledger.injected += 1;
                batch.into_iter().for_each(|letter| self.queue.give_back(letter));
            }
        }
    }

    /// Calls a function while something is wrong with its database.
    async fn call_in_trouble(&mut self, function: &'static str, event: &Value, most_commits: usize) -> Outcome {
        let commit = self.draws.within(0..=most_commits);
        let trouble = match self.plan.kind {
            Kind::DbStop => Trouble::StopBefore(commit),
            Kind::DbCutAtCommit if self.draws.one_in(2) => Trouble::CutBefore(commit),
            Kind::DbCutAtCommit => Trouble::CutAfter(commit),
            Kind::DbSlow => Trouble::Slow(commit, SLOW),
            _ => Trouble::Exhausted,
        };
        if trouble == Trouble::Exhausted {
            // The connection that is kept would be enough.
            self.world.wire.cut();
        }
        self.world.wire.trouble(trouble);
        let outcome = self.world.call(function, event).await;
        // A server that is stopped refuses several times, and was stopped once.
        self.ledger.injected += self.world.wire.mend().min(1);
        outcome
    }

    async fn deliver_twice_at_once(&mut self, batch: Vec<Letter>) {
        let senders = [self.world.environment("sender", 0).await, self.world.environment("sender", 1).await];
        let event = event_of(&batch);
        let (one, other) = join(senders[0].invoke(&event), senders[1].invoke(&event)).await;
        self.ledger.injected += 1;
        self.settle(batch.clone(), &one.outcome);
        self.settle(batch, &other.outcome);
    }

    /// A next release's changes of tables, each in a transaction of its own, are made while a process sends. Then a process
    /// that was started after them gets the same batch, as if the queue had not seen the first one's answer.
    async fn migrate_beside(&mut self, batch: Vec<Letter>) {
        let sender = self.world.environment("sender", 0).await;
        let event = event_of(&batch);
        let name = format!("next_{}", shared::ids::fresh().simple());
        let migration = match self.draws.within(0..=2) {
            0 => format!(
                "alter table messages add column {name} text, add constraint {name}_check check (attempts >= 0);
                 create index {name}_idx on messages (organization_id, {name});
                 drop index {name}_idx;"
            ),
            1 => format!("alter table enrollments add column {name} timestamptz default now();"),
            _ => format!(
                "create table {name} (organization_id uuid not null references organizations (id) on delete cascade, id uuid);
                 alter table limit_usage add column {name} integer not null default 0;"
            ),
        };
        let migrate = async {
            // As the migrations of a release do: they don't stand before everybody for long.
            self.world.run(&format!("begin; set local lock_timeout = '10s'; {migration} commit;")).await;
        };
        let (invocation, ()) = join(sender.invoke(&event), migrate).await;
        self.ledger.injected += 1;
        self.settle(batch.clone(), &invocation.outcome);
        self.world.retire("sender", 1);
        let started_later = self.world.environment("sender", 1).await;
        let outcome = started_later.invoke(&event).await.outcome;
        self.settle(batch, &outcome);
    }

    async fn redrive_twice(&mut self, batch: Vec<Letter>) {
        self.world.wire.cut();
        self.world.wire.trouble(Trouble::Refused);
        let event = event_of(&batch);
        for _ in 0..MOST_RECEIPTS {
            let outcome = self.world.call("sender", &event).await;
            if matches!(outcome, Outcome::Answered(_)) {
                self.violation("the sender has worked without a database".to_owned());
            }
        }
        self.queue.bury(batch);
        self.world.wire.mend();
        self.ledger.injected += self.queue.redrive(2);
    }

    async fn refuse_connections(&mut self, batch: Vec<Letter>) {
        let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let nobody = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let sender = self.world.environment_with("sender", 9, &[("AWS_ENDPOINT_URL_SESV2", &nobody)]).await;
        let before = self.count("outcome_code = 'provider_busy'").await;
        let outcome = sender.invoke(&event_of(&batch)).await.outcome;
        self.world.retire("sender", 9);
        self.settle(batch, &outcome);
        self.ledger.injected += self.count("outcome_code = 'provider_busy'").await.saturating_sub(before);
    }

    /// The provider's event is there before its answer.
    async fn event_first(&mut self, batch: Vec<Letter>) {
        let sender = self.world.environment("sender", 0).await;
        let event = event_of(&batch);
        let before = self.world.aws().mail_count();
        let expected = self.planned(&batch).await;
        self.world.aws().answer_next_mails(std::iter::repeat_n(MailAnswer::AcceptAndHold, expected));
        let mut invocation = pin!(sender.invoke(&event));
        let early = tokio::select! {
            done = &mut invocation => Some(done.outcome),
            () = self.world.aws().mail_arrives(before + expected.max(1)) => None,
        };
        let outcome = match early {
            Some(outcome) => outcome,
            None => {
                self.ledger.injected += expected;
                self.report(false).await;
                self.world.aws().answer_as_usual();
                invocation.await.outcome
            }
        };
        self.world.aws().answer_as_usual();
        self.settle(batch, &outcome);
    }

    /// How many of the batch are planned, and will be handed over if nothing is against it.
    async fn planned(&self, batch: &[Letter]) -> usize {
        let ids: Vec<Uuid> = batch.iter().filter_map(|letter| Some(key_of(letter)?.id.0)).collect();
        let sql = "select from messages where id = any ($1) and state = 'scheduled' and slot_day is not null and send_at <= $2";
        self.world.rows(sql, &[&ids, &self.now]).await.len()
    }

    /// Hands events to the feedback function.
    pub(super) async fn feed_back(&mut self, event: &Value) -> Outcome {
        let kind = self.plan.kind;
        match kind {
            Kind::KillFeedback if self.strikes_now() => {
                let feedback = self.world.environment("feedback", 0).await;
                let point = *self.draws.pick(&["commit", "after_commit"]);
                match self.kill_at(&feedback, "feedback", point, event).await {
                    Some(outcome) => outcome,
                    None => self.world.call("feedback", event).await,
                }
            }
            // Not twice in a row: five times would be a dead letter, as they are in life when nobody mends the database.
            _ if is_of_the_database(kind) && self.striking && !self.has_struck_feedback => {
                self.has_struck_feedback = true;
                self.call_in_trouble("feedback", event, 0).await
            }
            _ => {
                self.has_struck_feedback = false;
                self.world.call("feedback", event).await
            }
        }
    }

    /// Events under ids that the provider never gave: of mails that it has sent under others, and of mails that were never
    /// handed over.
    async fn forge(&mut self) {
        let before = self.fingerprint().await;
        let rows = self
            .world
            .rows(
                "select organization_id, id from messages where organization_id = any ($1) and (state = 'sent' or attempts = 0)",
                &[&self.organizations()],
            )
            .await;
        let mut forged = Vec::new();
        for row in rows {
            let (organization, message): (Uuid, Uuid) = (row.get(0), row.get(1));
            let tags = BTreeMap::from([
                ("organization_id".to_owned(), organization.to_string()),
                ("message_id".to_owned(), message.to_string()),
            ]);
            let kind = *self.draws.pick(&["Send", "Bounce", "Delivery"]);
            forged.push(serde_json::from_str::<Value>(&report(tags, kind, "forged", self.now)).unwrap());
        }
        for batch in forged.chunks(10) {
            self.world.call("feedback", &events::queue_batch(batch)).await;
            self.ledger.injected += batch.len();
        }
        if self.fingerprint().await != before {
            self.violation("a forged event has changed something".to_owned());
        }
    }

    /// Everything that an event may change.
    async fn fingerprint(&self) -> String {
        let rows = self.world.rows(include_str!("checks/fingerprint.sql"), &[&self.organizations()]).await;
        rows[0].get(0)
    }

    async fn activate_twice(&mut self) {
        for tenant in self.tenants.clone() {
            let key = tenant.api_key(self.db).await;
            let path = format!("/v1/campaigns/{}/activate", tenant.campaign);
            let event = events::http_request("POST", &path, Some(&key), Some(&json!({})));
            let both = [self.world.environment("campaigns", 0).await, self.world.environment("campaigns", 1).await];
            let (one, other) = join(both[0].invoke(&event), both[1].invoke(&event)).await;
            let statuses = [one.outcome.answer(), other.outcome.answer()].map(|answer| answer["statusCode"].clone());
            if !statuses.iter().any(|status| status == 200) {
                self.violation(format!("a campaign was activated twice and neither succeeded: {statuses:?}"));
            }
            self.ledger.injected += 1;
        }
    }
}

fn is_of_the_database(kind: Kind) -> bool {
    matches!(kind, Kind::DbStop | Kind::DbCutAtCommit | Kind::DbSlow | Kind::DbExhausted)
}

/// The message that a hint is about.
pub(super) fn key_of(letter: &Letter) -> Option<MessageKey> {
    serde_json::from_str(&letter.body).ok()
}
