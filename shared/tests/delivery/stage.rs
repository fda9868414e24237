//! A scene with everything that the send path needs around it.

use std::ops::Deref;
use std::sync::Mutex;
use std::time::Duration as Wait;

use chrono::{DateTime, Duration, Utc};
use futures_util::future::BoxFuture;
use shared::delivery::feedback::{self, Applied, Event, EventKind};
use shared::delivery::inbound::{self, Incoming, Taken};
use shared::delivery::messages::MessageKey;
use shared::delivery::scheduling::{self, Planned};
use shared::delivery::sending::{self, Answer, Delivered, Letterhead, Mail, Mailer};
use shared::delivery::sweeping::{self, Swept};
use shared::delivery::unsubscribing::{self, Wish};
use shared::delivery::visitors::{Manner, Visit, Visitor};
use shared::outreach::statistics;
use shared::{CampaignId, Database};
use testkit::{FakeMailer, FakeQueue, Scene};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The send path of one test: real database, fake queue and provider, a clock that the test moves.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) queue: FakeQueue,
    pub(crate) mailer: FakeMailer,
    pub(crate) letterhead: Letterhead,
    pools: Mutex<Vec<(&'static str, Database)>>,
}

/// What a person reads mail with.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0";

/// One of the people who open mails and follow links.
pub(crate) fn person(last: u8) -> Visitor {
    Visitor::new(Some([192, 0, 2, last].into()), BROWSER, Manner::Get)
}

/// Whoever unsubscribes here.
pub(crate) fn mail_program() -> Visitor {
    Visitor::new(Some([192, 0, 2, 7].into()), "A mail program", Manner::Get)
}

/// A pool that nobody else uses; it goes back to the stage, since to log in takes longer than most of what a test does.
pub(crate) struct Lent<'a> {
    stage: &'a Stage,
    role: &'static str,
    db: Database,
}

impl Deref for Lent<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.db
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.stage.pools.lock().unwrap().push((self.role, self.db.clone()));
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let letterhead = Letterhead {
            keys: testkit::key_ring(),
            reply_domain: "reply.example.test".to_owned(),
            public_url: "https://mail.example.test".to_owned(),
        };
        Self {
            scene: Scene::new().await,
            queue: FakeQueue::default(),
            mailer: FakeMailer::default(),
            letterhead,
            pools: Mutex::default(),
        }
    }

    /// A pool of one worker's own, logged in as `role`.
    pub(crate) fn worker(&self, role: &'static str) -> Lent<'_> {
        let mut pools = self.pools.lock().unwrap();
        let free = pools.iter().position(|(name, _)| *name == role).map(|n| pools.swap_remove(n).1);
        Lent { stage: self, role, db: free.unwrap_or_else(|| self.scene.db.as_role(role)) }
    }

    /// One person is in two campaigns of two steps, and the first mail of each is sent.
    pub(crate) async fn with_two_mails_to_one_person() -> (Self, Vec<MessageKey>) {
        let stage = Self::new().await;
        let sender = stage.scene.sender(1, 1_000, 0).await;
        let first = stage.scene.running_campaign(1, &[sender], 2, 1_000).await;
        let second = stage.scene.running_campaign(0, &[sender], 2, 1_000).await;
        stage
            .scene
            .run(
                "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
                 values ($1, gen_random_uuid(), $2, $3, $4, clock_now())",
                &[&stage.scene.organization, &second.campaign, &first.contacts[0], &sender],
            )
            .await;
        stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
        stage.tick().await;
        stage.deliver_queued().await;
        let messages = stage.messages().await;
        assert_eq!(stage.scene.states().await, "sent=2");
        (stage, messages)
    }

    /// Plans what is due, nothing ahead.
    pub(crate) async fn tick(&self) -> Planned {
        self.tick_ahead(Duration::zero()).await
    }

    /// Plans what is due up to `horizon` ahead.
    pub(crate) async fn tick_ahead(&self, horizon: Duration) -> Planned {
        let db = self.worker("martlet_scheduler");
        scheduling::enqueue_due(&db, &self.queue, horizon, Instant::now() + Wait::from_secs(60)).await.unwrap()
    }

    /// Delivers what waits in the queue, ten at a time.
    pub(crate) async fn deliver_queued(&self) -> Vec<Delivered> {
        let mut batches = Vec::new();
        for hints in self.queue.drain().chunks(10) {
            batches.push(self.deliver(hints).await);
        }
        batches
    }

    /// Delivers one batch of hints.
    pub(crate) async fn deliver(&self, hints: &[MessageKey]) -> Delivered {
        let db = self.worker("martlet_sender");
        sending::deliver(&db, &self.mailer, &self.letterhead, hints).await.unwrap()
    }

    /// Finds what was lost.
    pub(crate) async fn sweep(&self) -> Swept {
        sweeping::sweep(&self.worker("martlet_scheduler"), &self.queue).await.unwrap()
    }

    /// Moves people's clock.
    pub(crate) async fn at(&self, at: DateTime<Utc>) {
        let sql = format!(
            "create or replace function clock_now() returns timestamptz language sql stable as $$ select timestamptz '{}' $$",
            at.to_rfc3339()
        );
        self.scene.run(&sql, &[]).await;
    }

    /// How much of each counter is used, summed.
    pub(crate) async fn slots_used(&self, scope: &str) -> i64 {
        self.scene.number("select coalesce(sum(used), 0)::bigint from limit_usage where scope = $1", &[&scope]).await
    }

    /// Every message, by the number of its recipient and then by age.
    pub(crate) async fn messages(&self) -> Vec<MessageKey> {
        let sql = "select organization_id, id from messages order by length(recipient), recipient, id";
        let rows = self.scene.rows(sql, &[]).await;
        rows.iter().map(|row| MessageKey { organization: row.get(0), id: row.get(1) }).collect()
    }

    /// One column of one message, as text.
    pub(crate) async fn message(&self, key: MessageKey, column: &str) -> Option<String> {
        let sql = format!("select {column}::text from messages where organization_id = $1 and id = $2");
        self.scene.rows(&sql, &[&key.organization, &key.id]).await[0].get(0)
    }

    /// The names of the people's states, in order of their addresses, as `status` or `status/reason`.
    pub(crate) async fn people(&self) -> String {
        let sql = "select concat_ws('/', e.status, e.stop_reason) from enrollments e
                     join contacts c on c.organization_id = e.organization_id and c.id = e.contact_id
                    order by length(c.email), c.email, e.campaign_id";
        let rows = self.scene.rows(sql, &[]).await;
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join(" ")
    }

    /// A report on a message, under the id that the provider has given, or would have given, to its last attempt. Opens and
    /// clicks are by a person, where they come late enough.
    pub(crate) async fn event(&self, key: MessageKey, kind: EventKind) -> Event {
        let sql = "select coalesce(provider_message_id, 'ses-' || attempt_token), coalesce(sent_at, clock_now())
                     from messages where organization_id = $1 and id = $2";
        let row = &self.scene.rows(sql, &[&key.organization, &key.id]).await[0];
        let sent_at: DateTime<Utc> = row.get(1);
        Event {
            message: key,
            kind,
            provider_message_id: row.get::<_, Option<String>>(0).unwrap_or_else(|| "ses-none".to_owned()),
            occurred_at: sent_at + Duration::seconds(2),
            sent_at,
            dedupe_key: kind.name().to_owned(),
            details: serde_json::Value::Null,
            visit: match kind {
                EventKind::Opened => Some(Visit { visitor: person(1), link: None }),
                EventKind::Clicked => Some(Visit { visitor: person(1), link: Some("https://example.com/".to_owned()) }),
                _ => None,
            },
        }
    }

    /// Applies a batch of reports.
    pub(crate) async fn apply(&self, events: &[Event]) -> Applied {
        feedback::apply(&self.worker("martlet_feedback"), events).await.unwrap()
    }

    /// Takes a mail in that was sent to the reply address of `answered`.
    pub(crate) async fn receive(&self, answered: MessageKey, mime_id: &str, headers: &str) -> Taken {
        let token = self.letterhead.keys.reply_token(answered.organization.0, answered.id.0);
        self.receive_at(&format!("{token}@reply.example.test"), mime_id, headers).await
    }

    /// Takes a mail in that was sent to `address`.
    pub(crate) async fn receive_at(&self, address: &str, mime_id: &str, headers: &str) -> Taken {
        let raw = format!(
            "From: Person <person1@people.test>\r\nTo: {address}\r\nSubject: Re: Hello\r\nMessage-ID: <{mime_id}>\r\n{headers}\r\nGladly.\r\n"
        );
        let mail = Incoming {
            recipients: &[address.to_owned()],
            raw: raw.as_bytes(),
            object_key: &format!("inbound/{mime_id}"),
            received_at: self.now().await,
        };
        inbound::take(&self.worker("martlet_inbound"), &self.letterhead.keys, &mail).await.unwrap()
    }

    /// Unsubscribes by the link of a message.
    pub(crate) async fn unsubscribe(&self, key: MessageKey) {
        self.unsubscribe_as(key, &Wish::default()).await;
    }

    /// Unsubscribes as somebody wishes.
    pub(crate) async fn unsubscribe_as(&self, key: MessageKey, wish: &Wish) {
        let db = self.worker("martlet_app");
        let tx = db.begin(key.organization).await.unwrap();
        unsubscribing::unsubscribe(&tx, key.id, wish, &mail_program()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// People's time.
    pub(crate) async fn now(&self) -> DateTime<Utc> {
        self.scene.rows("select clock_now()", &[]).await[0].get(0)
    }

    /// Makes everything that waits for the machine's clock due now.
    pub(crate) async fn pass_machine_time(&self) {
        self.scene.run("update messages set enqueue_again_at = now() where enqueue_again_at is not null", &[]).await;
    }

    /// Makes what is being sent, or in doubt, older by `interval`.
    pub(crate) async fn age_attempts(&self, interval: &str) {
        let sql = format!(
            "update messages set attempted_at = attempted_at - interval '{interval}' where attempted_at is not null"
        );
        self.scene.run(&sql, &[]).await;
    }

    /// Returns when `count` sessions of this database wait for a lock.
    pub(crate) async fn until_waiting(&self, count: i64) {
        let sql = "select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                    where not l.granted and a.datname = current_database()";
        for _ in 0..2_000 {
            if self.scene.number(sql, &[]).await >= count {
                return;
            }
            tokio::time::sleep(Wait::from_millis(5)).await;
        }
        panic!("nobody waits for a lock");
    }

    /// Checks what must be true at any moment at which nobody is at work.
    pub(crate) async fn check(&self, when: &str) {
        for (what, sql) in CHECKS {
            let wrong = self.scene.rows(sql, &[]).await;
            let shown: Vec<String> = wrong.iter().map(|row| row.get::<_, String>(0)).collect();
            assert!(shown.is_empty(), "{when}: {what}: {shown:?}");
        }
        for row in self.scene.rows("select organization_id, id from campaigns where status <> 'draft'", &[]).await {
            let db = self.worker("martlet_app");
            let tx = db.begin(row.get(0)).await.unwrap();
            let statistics = statistics::read(&tx, row.get::<_, CampaignId>(1)).await.unwrap();
            tx.commit().await.unwrap();
            assert!(statistics.balanced, "{when}: the accounting is not balanced: {statistics:#?}");
            assert_eq!(
                statistics.totals.not_reached.skipped, 0,
                "{when}: somebody went past a step without an outcome"
            );
        }
    }
}

/// The key of a message in a row that begins with it.
pub(crate) fn key(row: &tokio_postgres::Row) -> MessageKey {
    MessageKey { organization: row.get(0), id: row.get(1) }
}

/// What must be true at any moment at which nobody is at work, as statements that return what is wrong.
const CHECKS: [(&str, &str); 9] = [
    ("the daily counts differ from what is counted anew", crate::statistics::DIFFERENCES),
    (
        "a counter differs from the messages that hold its slots",
        "with held as (
             select m.organization_id, k.scope, k.scope_id, k.day, count(*) as n
               from messages m
              cross join lateral (values
                    ('campaign', campaign_id, slot_day, campaign_id is not null),
                    ('sender', sender_id, slot_day, sender_id is not null),
                    ('domain', slot_domain, slot_day, slot_domain is not null),
                    ('organization', organization_id, slot_day, slot_domain is not null),
                    ('person', contact_id, (send_at at time zone 'UTC')::date, slot_counts_person and contact_id is not null)
                    ) as k (scope, scope_id, day, is_counted)
              where m.slot_day is not null and k.is_counted
              group by 1, 2, 3, 4
         ), used as (
             -- Of a person who is gone nobody gives a slot back any more, nor needs it.
             select * from limit_usage u
              where u.scope <> 'recipient_domain'
                and (u.scope <> 'person' or exists (select from contacts c where c.id = u.scope_id))
         )
         select format('%s %s: %s used, %s held', scope, day, coalesce(used, 0), coalesce(n, 0))
           from held full join used using (organization_id, scope, scope_id, day)
          where coalesce(used, 0) <> coalesce(n, 0)",
    ),
    (
        "a recipient's domain has another count in an hour than messages that hold its slots",
        "select format('%s %s %s used, %s held', organization_id, starts_at, coalesce(used, 0), coalesce(n, 0))
           from (select organization_id, day + make_interval(hours => hour) as starts_at, sum(used) as used
                   from limit_usage where scope = 'recipient_domain' group by 1, 2) as u
           full join (select organization_id, date_trunc('hour', send_at at time zone 'UTC') as starts_at, count(*) as n
                        from messages
                       where slot_day is not null and slot_counts_recipient_domain and recipient <> 'erased'
                       group by 1, 2) as held using (organization_id, starts_at)
          where coalesce(used, 0) <> coalesce(n, 0)",
    ),
    (
        "the provider account has another count in an hour than messages that hold its slots",
        "select format('%s: %s used, %s held', starts_at, coalesce(used, 0), coalesce(n, 0))
           from (select starts_at, used from provider_account_usage where period = 'hour') as u
           full join (select date_trunc('hour', send_at) as starts_at, count(*) as n
                        from messages where slot_day is not null and slot_domain is not null group by 1) as held
          using (starts_at)
          where coalesce(used, 0) <> coalesce(n, 0)
            -- Older ones are swept.
            and starts_at > clock_now() - interval '2 days'",
    ),
    (
        "a limit is passed",
        "select format('%s %s: %s of %s', u.scope, u.day, u.used, coalesce(s.daily_limit, c.daily_limit))
           from limit_usage u
           left join senders s on u.scope = 'sender' and s.organization_id = u.organization_id and s.id = u.scope_id
           left join campaign_settings c
             on u.scope = 'campaign' and c.organization_id = u.organization_id and c.campaign_id = u.scope_id
          where u.scope in ('sender', 'campaign') and u.used > coalesce(s.daily_limit, c.daily_limit)",
    ),
    (
        "somebody on the way is neither due nor waits for an open message",
        "select format('%s step %s due %s waits for %s (%s)', e.status, e.current_step, e.next_due_at, m.recipient, m.state)
           from enrollments e
           left join messages m on m.organization_id = e.organization_id and m.id = e.waiting_message_id
          where e.status in ('pending', 'in_progress')
            and (e.next_due_at is not null)
                = coalesce(m.state in ('sending', 'unknown', 'review') or (m.state = 'scheduled' and m.slot_day is not null), false)",
    ),
    (
        "a message that waits for a slot has nobody who is due for it",
        "select format('%s %s', m.recipient, e.status)
           from messages m
           left join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
          where m.state = 'scheduled' and m.slot_day is null and m.kind = 'campaign'
            and (e.next_due_at is null or e.status not in ('pending', 'in_progress'))",
    ),
    (
        "a planned message will never be brought again",
        "select recipient from messages where state = 'scheduled' and slot_day is not null and enqueue_again_at is null",
    ),
    (
        "a message that is over holds what only a living one holds",
        "select format('%s %s', recipient, state)
           from messages
          where (state in ('failed', 'cancelled', 'suppressed', 'expired') and slot_day is not null)
             or (state <> 'scheduled' and enqueue_again_at is not null)
             or (state = 'sent' and sent_at is null)",
    ),
];

/// A provider whose answers wait until the test lets them go.
pub(crate) struct HeldMailer {
    answer: Answer,
    called: Semaphore,
    released: Semaphore,
}

impl HeldMailer {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer, called: Semaphore::new(0), released: Semaphore::new(0) }
    }

    /// Returns when an attempt is in the provider's hands.
    pub(crate) async fn until_called(&self) {
        self.called.acquire().await.unwrap().forget();
    }

    /// Lets one attempt be answered.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }
}

impl Mailer for HeldMailer {
    fn send<'a>(&'a self, _mail: &'a Mail) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.called.add_permits(1);
            self.released.acquire().await.unwrap().forget();
            self.answer.clone()
        })
    }
}
