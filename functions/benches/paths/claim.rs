//! The scheduler's whole planning, with windows, limits, locks and the encoding for SQS, against the bare claim on one
//! connection: the same rows skipped or locked, marked, and their messages inserted.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::json;
use shared::db::Stage;
use shared::delivery::scheduling::{self, Hint, SendQueue};
use shared::{Result, SenderId};
use testkit::Scene;
use testkit::scene::CampaignScene;

use crate::Options;
use crate::rounds::{Figure, Target, middle, progress, times};

/// Enrollments, unless somebody says how many.
const ROWS: usize = 200_000;
/// One enrollment in so many is due.
const DUE: usize = 4;
/// Campaigns of the organization, over which the people are spread evenly.
const CAMPAIGNS: usize = 4;
/// Senders of each campaign.
const SENDERS: usize = 5;
/// What one bare statement claims, as many as a claim of ours.
const BATCH: i64 = 1_000;
const NEVER: Duration = Duration::from_secs(3_600);

pub(crate) async fn measure(options: &Options) -> Vec<Figure> {
    let rows = options.rows.unwrap_or(ROWS);
    let scene = Scene::new().await;
    let campaigns = people(&scene, rows).await;
    let due = i64::try_from(rows / CAMPAIGNS / DUE * CAMPAIGNS).unwrap();
    let (mut ratios, mut ours_all) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        make_due(&scene).await;
        let bare = claim_barely(&scene, &campaigns, due).await;
        make_due(&scene).await;
        let ours = plan(&scene, due).await;
        progress(&format!("claim, round {round}: the bare statement {bare:.2?}, ours {ours:.2?}"));
        // As throughput: what the statement takes longer is for the better.
        ratios.push(times(bare, ours));
        ours_all.push(ours);
    }
    #[expect(clippy::cast_precision_loss, reason = "shown in thousands")]
    let speed = due as f64 / middle(&ours_all).as_secs_f64() / 1e3;
    let note = format!("{due} due of {}, {speed:.1} thousand a second", rows);
    vec![Figure::new("claim", "speed beside the bare claim", Target::AtLeast(0.5), ratios).note(note)]
}

async fn people(scene: &Scene, rows: usize) -> Vec<CampaignScene> {
    let limit = i32::try_from(rows).unwrap();
    let mut campaigns = Vec::new();
    for campaign in 0..CAMPAIGNS {
        let mut senders: Vec<SenderId> = Vec::new();
        for sender in 0..SENDERS {
            senders.push(scene.sender(campaign * SENDERS + sender, limit, 0).await);
        }
        campaigns.push(scene.running_campaign(rows / CAMPAIGNS, &senders, 1, limit).await);
    }
    scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    // The due are scattered over the table, as they are in life.
    scene
        .run(
            "create table bench_due as select organization_id, id from
               (select organization_id, id, row_number() over (partition by campaign_id, sender_id order by md5(id::text)) as n,
                       count(*) over (partition by campaign_id, sender_id) as all_of_it
                  from enrollments) as e where n <= all_of_it / $1::bigint",
            &[&i64::try_from(DUE).unwrap()],
        )
        .await;
    campaigns
}

/// Takes back what was claimed, and leaves the tables as a server that is looked after has them.
async fn make_due(scene: &Scene) {
    let owner = scene.db.owner().await;
    owner
        .batch_execute(
            "update enrollments set next_due_at = null, waiting_message_id = null
              where next_due_at is not null or waiting_message_id is not null;
             delete from messages;
             delete from limit_usage;
             update enrollments e set next_due_at = clock_now() - interval '1 minute'
               from bench_due d where d.organization_id = e.organization_id and d.id = e.id;",
        )
        .await
        .unwrap();
    owner.batch_execute("vacuum analyze enrollments").await.unwrap();
    owner.batch_execute("vacuum analyze messages").await.unwrap();
    owner.batch_execute("checkpoint").await.ok();
}

/// A queue that encodes its messages as SQS has them, and drops them.
#[derive(Default)]
struct EncodingQueue;

impl SendQueue for EncodingQueue {
    fn enqueue<'a>(&'a self, hints: &'a [Hint]) -> BoxFuture<'a, Result<usize>> {
        for batch in hints.chunks(10) {
            let entries: Vec<_> = batch
                .iter()
                .enumerate()
                .map(|(n, hint)| {
                    let body = serde_json::to_string(&hint.message).unwrap();
                    json!({ "Id": n.to_string(), "MessageBody": body, "DelaySeconds": hint.delay.as_secs() })
                })
                .collect();
            std::hint::black_box(json!({ "QueueUrl": "send", "Entries": entries }).to_string());
        }
        Box::pin(async { Ok(hints.len()) })
    }
}

async fn plan(scene: &Scene, due: i64) -> Duration {
    let db = scene.db.as_role("martlet_scheduler");
    let deadline = tokio::time::Instant::now() + NEVER;
    let begun = Instant::now();
    let planned =
        scheduling::enqueue_due(&db, &EncodingQueue, scheduling::horizon(Stage::Local), deadline).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(i64::try_from(planned.granted).unwrap(), due);
    took
}

#[expect(clippy::disallowed_methods, reason = "the limit has no tenant")]
async fn claim_barely(scene: &Scene, campaigns: &[CampaignScene], due: i64) -> Duration {
    let owner = scene.db.owner().await;
    let claim = owner.prepare(include_str!("claim.sql")).await.unwrap();
    let begun = Instant::now();
    let mut claimed = 0;
    for campaign in campaigns {
        for sender in &campaign.senders {
            loop {
                let step = &campaign.steps[0];
                let rows = owner
                    .query(&claim, &[&scene.organization, &campaign.campaign, sender, step, &BATCH])
                    .await
                    .unwrap();
                claimed += i64::try_from(rows.len()).unwrap();
                if rows.is_empty() {
                    break;
                }
            }
        }
    }
    let took = begun.elapsed();
    assert_eq!(claimed, due);
    took
}
