//! The sender's binary with a batch of ten against one call of the same provider, and against ten calls at once with one
//! insert of their outcomes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::db::Stage;
use shared::delivery::messages::MessageKey;
use shared::delivery::scheduling;
use testkit::installation::Installation;
use testkit::runtime_api::{Environment, events};
use testkit::{FakeQueue, Scene};

use crate::Options;
use crate::rounds::{Figure, Target, middle, progress, times};

/// What the provider takes for a mail.
const PROVIDER_TIME: Duration = Duration::from_millis(20);
const BATCH: usize = 10;
/// Batches of a round.
const BATCHES: usize = 20;
const CPU_TARGET: Duration = Duration::from_micros(500);

pub(crate) async fn measure(options: &Options) -> Vec<Figure> {
    let scene = Scene::new().await;
    let batches = planned(&scene, (options.rounds + 1) * BATCHES * BATCH).await;
    let functions = Installation::new(&scene.db).await;
    functions.aws.delay_mail(PROVIDER_TIME);
    let sender = functions.function("sender", env!("CARGO_BIN_EXE_sender")).start().await;
    let limit = Limit::new(&scene, &functions).await;
    let mut batches = batches.chunks(BATCHES);
    // Connections are made and statements prepared by the first.
    deliver(&sender, batches.next().unwrap()).await;
    limit.one_call().await;
    limit.ten_calls().await;
    let (mut to_one, mut to_ten, mut processor, mut took) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (round, batches) in batches.enumerate() {
        let (mut one, mut ten) = (Vec::new(), Vec::new());
        for _ in 0..BATCHES {
            one.push(limit.one_call().await);
            ten.push(limit.ten_calls().await);
        }
        let used = sender.processor_time().unwrap();
        let ours = deliver(&sender, batches).await;
        let used = (sender.processor_time().unwrap() - used) / u32::try_from(BATCHES * BATCH).unwrap();
        let (one, ten) = (middle(&one), middle(&ten));
        progress(&format!(
            "sender, round {}: one call {one:.2?}, ten and an insert {ten:.2?}, a batch {ours:.2?}, processor {used:.0?} a mail",
            round + 1
        ));
        to_one.push(times(ours, one));
        to_ten.push(times(ours, ten));
        processor.push(times(used, CPU_TARGET));
        took.push(ours);
    }
    let sent = scene.number("select count(*) from messages where state = 'sent'", &[]).await;
    assert_eq!(usize::try_from(sent).unwrap(), (options.rounds + 1) * BATCHES * BATCH, "{}", sender.log());
    let took = middle(&took);
    vec![
        Figure::new("sender", "a batch of ten beside one call", Target::AtMost(1.3), to_one)
            .note(format!("{took:.1?} at a provider time of {PROVIDER_TIME:.0?}; {}", cost(took))),
        Figure::new("sender.ten", "beside ten calls at once and one insert", Target::AtMost(1.3), to_ten),
        Figure::new("sender.processor", "processor time a mail beside 0.5 ms", Target::AtMost(1.0), processor),
    ]
}

/// What a million mails cost beside SES and the database, in dollars: invocations and memory of the sender at the time of
/// one batch, three SQS calls a batch, two events a mail and half a notification, as docs/performance.md explains.
fn cost(batch: Duration) -> String {
    let (batches, gigabytes, events, opens) = (1e6 / 10.0, 0.25, 2.0, 0.5);
    let lambda = batches * (0.2e-6 + gigabytes * batch.as_secs_f64() * 1.333_34e-5);
    let queues = 3.0 * batches * 0.4e-6 + events * 1e6 * 0.4e-6 * 1.02;
    let http = opens * 1e6 * 1.2e-6;
    format!("a million mails cost ${:.2} beside SES's $100", lambda + queues + http)
}

/// Batches of messages that have their slot.
async fn planned(scene: &Scene, count: usize) -> Vec<Vec<MessageKey>> {
    let limit = i32::try_from(count).unwrap();
    let sender = scene.sender(1, limit, 0).await;
    let campaign = scene.running_campaign(count, &[sender], 1, limit).await;
    scene.run("update campaign_settings set gap_seconds = 0 where campaign_id = $1", &[&campaign.campaign]).await;
    let queue = FakeQueue::default();
    let db = scene.db.as_role("martlet_scheduler");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(600);
    let planned = scheduling::enqueue_due(&db, &queue, scheduling::horizon(Stage::Local), deadline).await.unwrap();
    assert_eq!(planned.granted, count);
    queue.drain().chunks(BATCH).map(<[MessageKey]>::to_vec).collect()
}

/// The median time of a batch.
async fn deliver(sender: &Environment, batches: &[Vec<MessageKey>]) -> Duration {
    let mut took = Vec::with_capacity(batches.len());
    for batch in batches {
        let invocation = sender.invoke(&events::queue_batch(batch)).await;
        assert_eq!(invocation.outcome.answer()["batchItemFailures"], json!([]));
        took.push(invocation.took);
    }
    middle(&took)
}

/// The least that can be done: the calls, and one insert.
struct Limit {
    http: reqwest::Client,
    url: String,
    mail: Value,
    owner: tokio_postgres::Client,
    insert: tokio_postgres::Statement,
}

impl Limit {
    async fn new(scene: &Scene, functions: &Installation<'_>) -> Self {
        let owner = scene.db.owner().await;
        owner
            .batch_execute("create table bare_outcomes (id uuid primary key, provider_id text, sent_at timestamptz)")
            .await
            .unwrap();
        let insert = "insert into bare_outcomes select id, provider_id, now() from unnest($1::uuid[], $2::text[]) as t (id, provider_id)";
        let insert = owner.prepare(insert).await.unwrap();
        let mail = json!({
            "FromEmailAddress": "sender1@example.test",
            "Destination": { "ToAddresses": ["person@people.test"] },
            "Content": { "Raw": { "Data": "UmVjZWl2ZWQ6IG5vdGhpbmc".repeat(80) } },
        });
        let url = format!("{}/v2/email/outbound-emails", functions.aws.url());
        Self { http: reqwest::Client::new(), url, mail, owner, insert }
    }

    async fn call(&self) -> String {
        let answer = self.http.post(&self.url).json(&self.mail).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["MessageId"].as_str().unwrap().to_owned()
    }

    async fn one_call(&self) -> Duration {
        let begun = Instant::now();
        self.call().await;
        begun.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the limit has no tenant")]
    async fn ten_calls(&self) -> Duration {
        let begun = Instant::now();
        let provider_ids = join_all((0..BATCH).map(|_| self.call())).await;
        let ids: Vec<uuid::Uuid> = provider_ids.iter().map(|_| shared::ids::fresh()).collect();
        self.owner.execute(&self.insert, &[&ids, &provider_ids]).await.unwrap();
        begun.elapsed()
    }
}
