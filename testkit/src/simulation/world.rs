//! What stands outside of Martlet in a simulation: the clock, the queue and the provider.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chrono::{DateTime, TimeZone as _, Utc};
use futures_util::future::BoxFuture;
use shared::Result;
use shared::delivery::messages::MessageKey;
use shared::delivery::scheduling::{Hint, SendQueue};
use shared::delivery::sending::{Answer, Mail, Mailer};

use super::recipients::draw;
use crate::Scene;

/// A Monday before the window opens.
pub(super) fn monday_morning() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 8, 50, 0).unwrap()
}

/// Makes people's clock a row of a table. A function that is replaced at each tick would have every statement planned anew.
pub(super) async fn place_clock(scene: &Scene, at: DateTime<Utc>) {
    let owner = scene.db.owner().await;
    owner
        .batch_execute(&format!(
            "create table simulated_clock as select timestamptz '{}' as at;
             grant select on simulated_clock to public;
             create or replace function clock_now() returns timestamptz language sql stable
                as $$ select at from public.simulated_clock $$",
            at.to_rfc3339()
        ))
        .await
        .unwrap();
}

pub(super) async fn move_clock(scene: &Scene, at: DateTime<Utc>) {
    scene.run("update simulated_clock set at = $1", &[&at]).await;
}

/// Lets the planner know how the tables have grown, as autovacuum does, which has no time for that here.
pub(super) async fn look_after(scene: &Scene) {
    let owner = scene.db.owner().await;
    for table in ["contacts", "enrollments", "messages", "message_events", "limit_usage", "list_members"] {
        owner.batch_execute(&format!("analyze {table}")).await.unwrap();
    }
}

/// When somebody is due next.
pub(super) async fn next_due(scene: &Scene) -> Option<DateTime<Utc>> {
    // Asked of each sender, as an index has it: once a tick.
    let sql = "select min(first.next_due_at)
                 from campaign_senders s
                cross join lateral (
                      select e.next_due_at
                        from enrollments e
                       where e.organization_id = s.organization_id and e.campaign_id = s.campaign_id
                         and e.sender_id = s.sender_id and e.next_due_at is not null
                       order by e.next_due_at
                       limit 1) as first";
    scene.rows(sql, &[]).await[0].get(0)
}

/// The queue: gives out its hints in the order in which they become visible.
#[derive(Default)]
pub(super) struct Outbox(Mutex<Vec<Hint>>);

impl Outbox {
    pub(super) fn take(&self) -> Vec<Hint> {
        let mut hints = std::mem::take(&mut *self.0.lock().unwrap());
        hints.sort_by_key(|hint| (hint.delay, hint.message.id));
        hints
    }
}

impl SendQueue for Outbox {
    fn enqueue<'a>(&'a self, hints: &'a [Hint]) -> BoxFuture<'a, Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(hints);
        Box::pin(async { Ok(hints.len()) })
    }
}

/// A mail that the provider has accepted.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) message: MessageKey,
    pub(super) provider_message_id: String,
    pub(super) to: String,
    pub(super) sent_at: DateTime<Utc>,
    /// The how manieth mail to this person.
    pub(super) nth: u64,
}

/// The provider: refuses a few addresses, leaves a few answers unclear, and accepts the rest.
pub(super) struct Provider {
    seed: u64,
    pub(super) now: DateTime<Utc>,
    accepted: Mutex<Vec<Accepted>>,
    mails: Mutex<BTreeMap<String, u64>>,
    acceptances: Mutex<BTreeMap<MessageKey, u64>>,
    /// Who must get nothing any more, and what they got nevertheless.
    stopped: BTreeMap<String, DateTime<Utc>>,
    after_stop: Mutex<u64>,
}

impl Provider {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            now: monday_morning(),
            accepted: Mutex::default(),
            mails: Mutex::default(),
            acceptances: Mutex::default(),
            stopped: BTreeMap::new(),
            after_stop: Mutex::default(),
        }
    }

    /// What has been accepted since it was last asked.
    pub(super) fn take_accepted(&self) -> Vec<Accepted> {
        std::mem::take(&mut *self.accepted.lock().unwrap())
    }

    /// From now on nothing may go to this person.
    pub(super) fn stop(&mut self, to: &str, at: DateTime<Utc>) {
        self.stopped.entry(to.to_owned()).or_insert(at);
    }

    /// Messages that were accepted more than once.
    pub(super) fn duplicates(&self) -> usize {
        self.acceptances.lock().unwrap().values().filter(|times| **times > 1).count()
    }

    /// Mails accepted in all.
    pub(super) fn total(&self) -> u64 {
        self.acceptances.lock().unwrap().values().sum()
    }

    /// Mails to somebody who had replied, left, or whose address had bounced.
    pub(super) fn after_stop(&self) -> u64 {
        *self.after_stop.lock().unwrap()
    }

    fn answer(&self, mail: &Mail) -> Answer {
        let to = mail.to.clone();
        let nth = {
            let mut mails = self.mails.lock().unwrap();
            let nth = mails.entry(to.clone()).or_default();
            *nth += 1;
            *nth
        };
        if draw(self.seed, &to, "refused", 0) < 0.002 {
            let detail = "the simulated provider refuses the address".to_owned();
            return Answer::Refused { code: "MessageRejected".to_owned(), detail, address_at_fault: true };
        }
        *self.acceptances.lock().unwrap().entry(mail.message).or_default() += 1;
        if self.stopped.contains_key(&to) {
            *self.after_stop.lock().unwrap() += 1;
        }
        let provider_message_id = format!("simulated-{}", mail.attempt);
        let unclear = draw(self.seed, &to, "unclear", nth) < 0.001;
        self.accepted.lock().unwrap().push(Accepted {
            message: mail.message,
            provider_message_id: provider_message_id.clone(),
            to,
            sent_at: self.now,
            nth,
        });
        if unclear { Answer::Unclear("the answer is lost".to_owned()) } else { Answer::Accepted(provider_message_id) }
    }
}

impl Mailer for Provider {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Answer> {
        let answer = self.answer(mail);
        Box::pin(async { answer })
    }
}
