//! Random days of a small installation, by seed: whatever happens in whatever order, the invariants hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use chrono::{DateTime, Duration, Utc};
use futures_util::future::BoxFuture;
use shared::delivery::feedback::{Event, EventKind};
use shared::delivery::messages::MessageKey;
use shared::delivery::messages::resolving::{self, Choice};
use shared::delivery::sending::{self, Answer, Mail, Mailer};
use shared::platform::audit::Actor;
use shared::{ApiKeyId, CampaignId, EnrollmentId, Error, MessageId, SenderId};
use testkit::scene::wednesday_morning;

use crate::scheduling::foreign_campaign;
use crate::stage::Stage;

/// Days that are lived through in each run of the tests.
const SEEDS: u64 = 4;
/// What happens in each of them.
const HAPPENINGS: usize = 90;

#[tokio::test]
async fn whatever_happens_the_invariants_hold() {
    for seed in 1..=SEEDS {
        let named = Named(seed);
        live(seed).await;
        drop(named);
    }
}

/// Names the seed of a run that fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}", self.0);
        }
    }
}

/// Numbers that follow from the seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// A provider whose answers follow from the seed, and that knows what it really accepted.
struct Provider {
    dice: Mutex<Dice>,
    works: Mutex<bool>,
    accepted: Mutex<Vec<(MessageKey, String)>>,
    handed: Mutex<Vec<MessageKey>>,
}

impl Mailer for Provider {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.handed.lock().unwrap().push(mail.message);
            let id = format!("ses-{}", mail.attempt);
            let accept = || self.accepted.lock().unwrap().push((mail.message, id.clone()));
            let roll = if *self.works.lock().unwrap() { 0 } else { self.dice.lock().unwrap().below(100) };
            let refused = |address_at_fault| Answer::Refused {
                code: "MessageRejected".to_owned(),
                detail: "no".to_owned(),
                address_at_fault,
            };
            match roll {
                0..70 => {
                    accept();
                    Answer::Accepted(id)
                }
                70..78 => Answer::Later("429".to_owned()),
                78..82 => refused(false),
                82..85 => refused(true),
                85..87 => Answer::AccountClosed("paused".to_owned()),
                87..95 => {
                    accept();
                    Answer::Unclear("reset".to_owned())
                }
                _ => Answer::Unclear("timeout".to_owned()),
            }
        })
    }
}

/// One life.
struct Life {
    seed: u64,
    stage: Stage,
    provider: Provider,
    dice: Dice,
    now: DateTime<Utc>,
    hints: Vec<MessageKey>,
    /// Everything that was ever hinted at, for hints that come again.
    known: Vec<MessageKey>,
    campaigns: Vec<CampaignId>,
    senders: Vec<SenderId>,
    closed_campaigns: BTreeSet<CampaignId>,
    closed_senders: BTreeSet<SenderId>,
    /// Addresses that must not be written to any more, by organization.
    stopped: BTreeSet<(shared::OrganizationId, String)>,
    replied: BTreeSet<EnrollmentId>,
}

async fn live(seed: u64) {
    let stage = Stage::new().await;
    let senders = vec![
        stage.scene.sender(1, 12, 30).await,
        stage.scene.sender(2, 15, 0).await,
        stage.scene.sender(3, 20, 5).await,
    ];
    let first = stage.scene.running_campaign(20, &senders, 3, 25).await;
    let second = stage.scene.running_campaign(20, &senders[1..], 2, 18).await;
    let scene = &stage.scene;
    scene.run("update senders set timezone = 'Asia/Tokyo' where id = $1", &[&senders[2]]).await;
    scene
        .run(
            "update campaign_settings set timezone = 'America/New_York', gap_seconds = 0 where campaign_id = $1",
            &[&second.campaign],
        )
        .await;
    scene
        .run(
            "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
             select organization_id, gen_random_uuid(), $2, contact_id, $3, clock_now()
               from enrollments where campaign_id = $1 order by contact_id limit 10",
            &[&first.campaign, &second.campaign, &senders[1]],
        )
        .await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 10).await;
    let mut life = Life {
        seed,
        provider: Provider {
            dice: Mutex::new(Dice(seed ^ 0xfeed)),
            works: Mutex::new(false),
            accepted: Mutex::default(),
            handed: Mutex::default(),
        },
        dice: Dice(seed),
        now: wednesday_morning(),
        hints: Vec::new(),
        known: Vec::new(),
        campaigns: vec![first.campaign, second.campaign],
        senders,
        closed_campaigns: BTreeSet::new(),
        closed_senders: BTreeSet::new(),
        stopped: BTreeSet::new(),
        replied: BTreeSet::new(),
        stage,
    };
    for n in 0..HAPPENINGS {
        life.happen().await;
        if n % 15 == 14 {
            life.stage.check(&format!("seed {seed}, after happening {n}")).await;
        }
    }
    life.come_to_an_end().await;
}

impl Life {
    async fn happen(&mut self) {
        match self.dice.below(22) {
            0..4 => self.plan().await,
            4..10 => self.deliver().await,
            10..12 => self.find_again().await,
            12..14 => self.report().await,
            14 => self.unsubscribe().await,
            15 => self.reply().await,
            16 => self.pause_or_resume().await,
            17 => self.all_at_once().await,
            18..20 => self.choose().await,
            _ => {
                let minutes = [1, 20, 90, 400, 1_500][self.dice.below(5)];
                self.now += Duration::minutes(minutes);
                self.stage.at(self.now).await;
            }
        }
    }

    async fn plan(&mut self) {
        let horizon = Duration::minutes(if self.dice.one_in(2) { 2 } else { 0 });
        self.stage.tick_ahead(horizon).await;
        self.take_hints();
    }

    /// Takes hints out of the queue: some are lost, some come twice, and in any order.
    fn take_hints(&mut self) {
        for hint in self.stage.queue.drain() {
            self.known.push(hint);
            if !self.dice.one_in(10) {
                self.hints.push(hint);
            }
            if self.dice.one_in(5) {
                self.hints.push(hint);
            }
        }
        if !self.known.is_empty() && self.dice.one_in(3) {
            let again = self.known[self.dice.below(self.known.len())];
            self.hints.push(again);
        }
        self.dice.shuffle(&mut self.hints);
    }

    fn some_hints(&mut self) -> Vec<MessageKey> {
        let count = (1 + self.dice.below(10)).min(self.hints.len());
        self.hints.split_off(self.hints.len() - count)
    }

    async fn deliver(&mut self) {
        let hints = self.some_hints();
        let before = self.provider.handed.lock().unwrap().len();
        let db = self.stage.worker("martlet_sender");
        let delivered = sending::deliver(&db, &self.provider, &self.stage.letterhead, &hints).await.unwrap();
        assert!(delivered.unrecorded.is_empty());
        self.nothing_has_left_after_a_stop(before).await;
    }

    /// I4, for stops that had committed before the hints were taken.
    async fn nothing_has_left_after_a_stop(&self, before: usize) {
        let handed: Vec<MessageKey> = self.provider.handed.lock().unwrap()[before..].to_vec();
        for key in handed {
            let sql = "select recipient, campaign_id, sender_id, enrollment_id from messages where organization_id = $1 and id = $2";
            let row = &self.stage.scene.rows(sql, &[&key.organization, &key.id]).await[0];
            let seed = self.seed;
            assert!(!self.stopped.contains(&(key.organization, row.get(0))), "seed {seed}: sent to a stopped address");
            assert!(!self.closed_campaigns.contains(&row.get(1)), "seed {seed}: sent for a paused campaign");
            assert!(!self.closed_senders.contains(&row.get(2)), "seed {seed}: sent from a paused sender");
            assert!(!self.replied.contains(&row.get(3)), "seed {seed}: sent to somebody who has replied");
        }
    }

    async fn find_again(&mut self) {
        self.stage.pass_machine_time().await;
        self.stage.scene.run("update provider_accounts set probe_at = now() where probe_at is not null", &[]).await;
        if self.dice.one_in(2) {
            self.stage.age_attempts("3 minutes").await;
        }
        self.stage.sweep().await;
        self.take_hints();
    }

    fn accepted(&mut self) -> Option<(MessageKey, String)> {
        let accepted = self.provider.accepted.lock().unwrap();
        if accepted.is_empty() {
            return None;
        }
        let n = self.dice.below(accepted.len());
        Some(accepted[n].clone())
    }

    async fn some_events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..self.dice.below(8) {
            let Some((message, provider_message_id)) = self.accepted() else { break };
            let kind = match self.dice.below(20) {
                0..9 => EventKind::Delivered,
                9..16 => EventKind::Sent,
                16 => EventKind::SoftBounced,
                17 => EventKind::Bounced,
                18 => EventKind::Complained,
                _ => EventKind::Rejected,
            };
            let event = Event { provider_message_id, ..self.stage.event(message, kind).await };
            events.push(event);
        }
        events
    }

    async fn report(&mut self) {
        let events = self.some_events().await;
        self.stage.apply(&events).await;
        self.note_stops(&events).await;
        if self.dice.one_in(3) {
            self.stage.apply(&events).await;
        }
    }

    async fn note_stops(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| matches!(event.kind, EventKind::Bounced | EventKind::Complained)) {
            let recipient = self.stage.message(event.message, "recipient").await.unwrap();
            self.stopped.insert((event.message.organization, recipient));
        }
    }

    async fn unsubscribe(&mut self) {
        let Some((message, _)) = self.accepted() else { return };
        self.stage.unsubscribe(message).await;
        let recipient = self.stage.message(message, "recipient").await.unwrap();
        self.stopped.insert((message.organization, recipient));
    }

    async fn reply(&mut self) {
        let Some((message, _)) = self.accepted() else { return };
        self.stage.receive(message, &format!("{}@people.test", self.dice.next()), "").await;
        let enrollment = self.stage.message(message, "enrollment_id").await.unwrap();
        self.replied.insert(enrollment.parse().unwrap());
    }

    async fn pause_or_resume(&mut self) {
        let db = self.stage.worker("martlet_app");
        let tx = db.begin(self.stage.scene.organization).await.unwrap();
        if self.dice.one_in(2) {
            let campaign = self.campaigns[self.dice.below(self.campaigns.len())];
            if self.closed_campaigns.remove(&campaign) {
                shared::outreach::campaigns::resume(&tx, campaign).await.unwrap();
            } else if shared::outreach::campaigns::pause(&tx, campaign).await.is_ok() {
                self.closed_campaigns.insert(campaign);
            }
        } else {
            let sender = self.senders[self.dice.below(self.senders.len())];
            if self.closed_senders.remove(&sender) {
                shared::delivery::senders::resume(&tx, sender).await.unwrap();
            } else {
                shared::delivery::senders::pause(&tx, sender, None).await.unwrap();
                self.closed_senders.insert(sender);
            }
        }
        tx.commit().await.unwrap();
    }

    /// A person resolves some of what is in review, and guesses right: what was accepted is not sent again.
    async fn choose(&mut self) {
        self.stage.age_attempts("40 minutes").await;
        self.find_again().await;
        let sql = "select id from messages where organization_id = $1 and state = 'review' and skipped_at is null order by recipient, id";
        let organization = self.stage.scene.organization;
        for row in self.stage.scene.rows(sql, &[&organization]).await {
            let id: MessageId = row.get(0);
            let was_accepted = self.provider.accepted.lock().unwrap().iter().any(|(message, _)| message.id == id);
            let choice = if was_accepted || self.dice.one_in(2) { Choice::Skip } else { Choice::Resend };
            if self.dice.one_in(3) {
                continue;
            }
            let tx = self.stage.worker("martlet_app").begin(organization).await.unwrap();
            match resolving::resolve_one(&tx, id, choice, Actor::ApiKey(ApiKeyId::fresh())).await {
                Ok(_) => tx.commit().await.unwrap(),
                Err(Error::Conflict { code, .. }) => assert_eq!(code, "message_not_waited_for"),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// Several workers at the same moment, two of them with the same hints.
    async fn all_at_once(&mut self) {
        let hints = self.some_hints();
        let other = self.some_hints();
        let events = self.some_events().await;
        let leaver = self.accepted();
        let before = self.provider.handed.lock().unwrap().len();
        let (stage, provider) = (&self.stage, &self.provider);
        let deliver = |hints: Vec<MessageKey>| async move {
            let db = stage.worker("martlet_sender");
            sending::deliver(&db, provider, &stage.letterhead, &hints).await.unwrap();
        };
        let unsubscribe = async {
            if let Some((message, _)) = &leaver {
                stage.unsubscribe(*message).await;
            }
        };
        tokio::join!(
            deliver(hints.clone()),
            deliver(hints),
            deliver(other),
            stage.tick(),
            stage.tick(),
            stage.sweep(),
            stage.apply(&events),
            unsubscribe,
        );
        self.nothing_has_left_after_a_stop(before).await;
        self.note_stops(&events).await;
        if let Some((message, _)) = leaver {
            let recipient = self.stage.message(message, "recipient").await.unwrap();
            self.stopped.insert((message.organization, recipient));
        }
        self.take_hints();
    }

    /// The faults are over: everything is open, the provider works, and two weeks pass.
    async fn come_to_an_end(mut self) {
        let seed = self.seed;
        *self.provider.works.lock().unwrap() = true;
        let scene = &self.stage.scene;
        scene.run("update campaigns set status = 'active' where status = 'paused'", &[]).await;
        scene.run("update senders set status = 'active'", &[]).await;
        self.stage.check(&format!("seed {seed}, when the faults are over")).await;
        self.closed_campaigns.clear();
        self.closed_senders.clear();
        for _ in 0..16 {
            self.stage.age_attempts("40 minutes").await;
            self.find_again().await;
            self.stage.tick().await;
            self.hints.extend(self.stage.queue.drain());
            while !self.hints.is_empty() {
                self.deliver().await;
            }
            self.now += Duration::hours(14);
            self.stage.at(self.now).await;
            self.stage.scene.run("update senders set daily_limit = 1000, gap_seconds = 0", &[]).await;
            self.stage.scene.run("update campaign_settings set daily_limit = 1000, gap_seconds = 0, window_start = '00:00', window_end = '00:00', send_days = '{monday,tuesday,wednesday,thursday,friday,saturday,sunday}'", &[]).await;
            self.resolve_what_was_accepted().await;
        }
        self.stage.check(&format!("seed {seed}, at the end")).await;
        let mut accepted: BTreeMap<MessageKey, usize> = BTreeMap::new();
        for (message, _) in self.provider.accepted.lock().unwrap().iter() {
            *accepted.entry(*message).or_default() += 1;
        }
        for (message, times) in &accepted {
            assert_eq!(*times, 1, "seed {seed}: accepted more than once");
            let state = self.stage.message(*message, "state").await.unwrap();
            assert!(matches!(state.as_str(), "sent" | "failed"), "seed {seed}: an accepted mail is {state}");
        }
        let sent = self.stage.scene.rows("select organization_id, id from messages where state = 'sent'", &[]).await;
        for row in sent {
            let key = MessageKey { organization: row.get(0), id: row.get(1) };
            assert!(accepted.contains_key(&key), "seed {seed}: sent and never accepted");
        }
        let open = "select count(*) from messages where state in ('sending', 'scheduled', 'unknown')";
        assert_eq!(self.stage.scene.number(open, &[]).await, 0, "seed {seed}: {}", self.stage.scene.states().await);
        let going = "select count(*) from enrollments e where status in ('pending', 'in_progress')
                        and not exists (select from messages m where m.id = e.waiting_message_id and m.state = 'review')";
        assert_eq!(self.stage.scene.number(going, &[]).await, 0, "seed {seed}: somebody is still on the way");
    }

    /// Reports at last what the provider has accepted and nobody knows of.
    async fn resolve_what_was_accepted(&self) {
        let accepted = self.provider.accepted.lock().unwrap().clone();
        let mut events = Vec::new();
        for (message, provider_message_id) in accepted {
            let state = self.stage.message(message, "state").await.unwrap();
            if state == "unknown" || state == "review" || state == "sending" {
                let event = self.stage.event(message, EventKind::Delivered).await;
                events.push(Event { provider_message_id, ..event });
            }
        }
        self.stage.apply(&events).await;
    }
}
