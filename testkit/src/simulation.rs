//! A campaign of weeks in seconds: the scheduler's and the sender's own code on a real database, a clock that is moved, and a
//! queue, a provider and recipients in memory that do what a seed says.
//!
//! One seeded source of ids and one clock: the same seed comes to the same report, byte by byte.

mod recipients;
mod report;
mod world;

use chrono::{DateTime, Duration, Utc};
use shared::delivery::sending::Letterhead;
use shared::delivery::{scheduling, sending, sweeping};
use shared::outreach::activation::{self, Activation, Chunk};
use shared::platform::jobs;
use shared::{CampaignId, Database};

use self::recipients::Recipients;
use self::world::{Outbox, Provider};
use crate::Scene;

pub use self::report::{Day, Report, Violations};

/// The people's time that passes between two runs of the scheduler here. In life it is a minute; a plan is made so far ahead.
const TICK: Duration = Duration::minutes(10);
/// What passes where nothing could be planned: at night, or where a day's limits are used up.
const IDLE: Duration = Duration::hours(1);
/// Hints that are delivered at one moment.
const AT_ONCE: usize = 50;
/// The machine's time has no part in this: nothing is that slow.
const NEVER: std::time::Duration = std::time::Duration::from_secs(3_600);

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What people do, and every id, is drawn from this.
    pub seed: u64,
    /// Contacts of the campaign.
    pub people: usize,
    /// Steps of its sequence, three days apart.
    pub steps: usize,
    /// Days at most.
    pub days: u16,
}

/// Senders of the campaign: each writes to this many people.
const PEOPLE_A_SENDER: usize = 250;
/// Mails a day and sender.
const SENDER_LIMIT: i32 = 100;

/// Simulates a campaign from its activation on a Monday morning.
///
/// All ids of this process follow from the seed from here on, so a process simulates and does nothing beside it.
pub async fn simulate(options: Options) -> Report {
    let mut simulation = Simulation::begin(options).await;
    let end = simulation.now + Duration::days(options.days.into());
    let mut is_over = false;
    while simulation.now < end && !is_over {
        let is_idle = simulation.tick().await;
        is_over = simulation.skip_to_what_is_next(if is_idle { IDLE } else { TICK }).await;
    }
    report::read(&simulation.scene, simulation.campaign, simulation.now, &simulation.provider).await
}

struct Simulation {
    scene: Scene,
    campaign: CampaignId,
    now: DateTime<Utc>,
    scheduler: Database,
    sender: Database,
    letterhead: Letterhead,
    outbox: Outbox,
    provider: Provider,
    recipients: Recipients,
    swept_at: DateTime<Utc>,
    /// How many mails there were when the planner last learned of them.
    looked_after_at: u64,
}

impl Simulation {
    async fn begin(options: Options) -> Self {
        let db = crate::TestDb::new().await;
        #[expect(clippy::disallowed_methods, reason = "this is the simulator")]
        shared::ids::follow_seed(options.seed);
        let scene = Scene::on(db).await;
        let start = world::monday_morning();
        world::place_clock(&scene, start).await;
        let mut senders = Vec::new();
        for n in 0..options.people.div_ceil(PEOPLE_A_SENDER) {
            senders.push(scene.sender(n + 1, SENDER_LIMIT, 90).await);
        }
        let limit = i32::try_from(senders.len()).unwrap_or(i32::MAX).saturating_mul(SENDER_LIMIT);
        let draft = scene.draft_campaign(options.people, &senders, options.steps, limit).await;
        scene.run("update steps set delay_days = 3 where position > 1", &[]).await;
        activate(&scene, draft.campaign).await;
        world::look_after(&scene).await;
        let role = |role| scene.db.as_role(role);
        Self {
            campaign: draft.campaign,
            now: start,
            scheduler: role("martlet_scheduler"),
            sender: role("martlet_sender"),
            letterhead: Letterhead {
                keys: crate::key_ring(),
                reply_domain: "reply.example.test".to_owned(),
                public_url: "https://mail.example.test".to_owned(),
            },
            outbox: Outbox::default(),
            provider: Provider::new(options.seed),
            recipients: Recipients::new(options.seed, &scene.db),
            swept_at: start,
            looked_after_at: 50,
            scene,
        }
    }

    /// What happens in one tick: first what people have done since, then what is due now. True where nothing was due.
    async fn tick(&mut self) -> bool {
        world::move_clock(&self.scene, self.now).await;
        self.recipients.act(self.now, &mut self.provider).await;
        if self.provider.total() > 2 * self.looked_after_at {
            world::look_after(&self.scene).await;
            self.looked_after_at = self.provider.total();
        }
        let deadline = tokio::time::Instant::now() + NEVER;
        scheduling::enqueue_due(&self.scheduler, &self.outbox, TICK, deadline).await.unwrap();
        if self.now - self.swept_at >= Duration::hours(1) {
            sweeping::sweep(&self.scheduler, &self.outbox).await.unwrap();
            self.swept_at = self.now;
        }
        let hints = self.outbox.take();
        for hints in hints.chunks(AT_ONCE) {
            let Some(last) = hints.last() else { continue };
            let at = self.now + Duration::from_std(last.delay).unwrap();
            world::move_clock(&self.scene, at).await;
            self.provider.now = at;
            let keys: Vec<_> = hints.iter().map(|hint| hint.message).collect();
            sending::deliver(&self.sender, &self.provider, &self.letterhead, &keys).await.unwrap();
            self.recipients.receive(self.provider.take_accepted());
        }
        hints.is_empty()
    }

    /// Moves on by `least`, or to the tick in which the next thing happens if that is later; true where nothing is left.
    async fn skip_to_what_is_next(&mut self, least: Duration) -> bool {
        let due = world::next_due(&self.scene).await;
        let Some(next) = due.into_iter().chain(self.recipients.next()).min() else { return true };
        let ticks = (next - self.now).num_seconds() / TICK.num_seconds();
        self.now += least.max(TICK * i32::try_from(ticks).unwrap_or(i32::MAX));
        false
    }
}

async fn activate(scene: &Scene, campaign: CampaignId) {
    let app = scene.db.app();
    let tx = app.begin(scene.organization).await.unwrap();
    let activation = activation::activate(&tx, campaign, Some(&crate::FakeAccount::well())).await.unwrap();
    tx.commit().await.unwrap();
    let Activation::Running(job) = activation else { return };
    loop {
        let tx = app.begin(scene.organization).await.unwrap();
        let job = jobs::lock_for_chunk(&tx, job.id).await.unwrap().expect("nobody else is on the job");
        let chunk = activation::run_chunk(&tx, &job).await.unwrap();
        tx.commit().await.unwrap();
        if chunk == Chunk::Last {
            return;
        }
    }
}
