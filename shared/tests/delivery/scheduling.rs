//! Who is planned when: windows, limits, gaps, fairness, and several schedulers at once.

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use futures_util::future::{BoxFuture, join_all};
use shared::delivery::scheduling::{Hint, SendQueue, enqueue_due};
use shared::{Error, Result};
use testkit::scene::wednesday_morning;
use tokio::time::Instant;

use crate::stage::Stage;

fn at(day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, day, hour, minute, 0).unwrap()
}

#[tokio::test]
async fn a_backlog_outside_of_the_window_waits_for_it() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 0).await;
    stage.scene.running_campaign(2, &[sender], 1, 100).await;
    // The default window: Monday to Friday from 9 to 18. 7 March 2026 is a Saturday.
    for closed in [at(4, 8, 59), at(4, 18, 0), at(7, 12, 0), at(8, 12, 0)] {
        stage.at(closed).await;
        assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 0, "{closed}");
    }
    stage.at(at(9, 9, 0)).await;
    assert_eq!(stage.tick().await.granted, 1, "the campaign has a gap of 30 s");
    stage.at(at(9, 17, 59)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn nothing_is_planned_behind_the_end_of_the_window_or_of_the_day() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 30).await;
    stage.scene.running_campaign(20, &[sender], 1, 100).await;
    stage.at(at(4, 17, 59)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 2, "at 17:59:00 and 17:59:30");
    stage.scene.run("update campaign_settings set window_start = '00:00', window_end = '00:00'", &[]).await;
    stage.at(at(5, 23, 59)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 2, "a slot counts on the day it is used");
    stage.at(at(6, 0, 0)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 5);
    let first = "select min(send_at) from messages where slot_day = '2026-03-06'";
    let first: DateTime<Utc> = stage.scene.rows(first, &[]).await[0].get(0);
    assert_eq!(first, at(6, 0, 0), "30 s after 23:59:30");
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_gap_reaches_over_midnight() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 3_600).await;
    stage.scene.running_campaign(5, &[sender], 1, 100).await;
    stage.scene.run("update campaign_settings set window_start = '00:00', window_end = '00:00'", &[]).await;
    stage.at(at(4, 23, 40)).await;
    assert_eq!(stage.tick().await.granted, 1);
    stage.at(at(5, 0, 30)).await;
    assert_eq!(stage.tick().await.granted, 0);
    stage.at(at(5, 0, 40)).await;
    assert_eq!(stage.tick().await.granted, 1);
}

#[tokio::test]
async fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 0).await;
    stage.scene.running_campaign(9, &[sender], 1, 100).await;
    stage
        .scene
        .run(
            "update campaign_settings set window_start = '22:00', window_end = '02:00', send_days = '{wednesday}', gap_seconds = 3600",
            &[],
        )
        .await;
    let expected = [
        (at(4, 1, 0), 0),
        (at(4, 21, 59), 0),
        (at(4, 22, 0), 1),
        (at(5, 1, 0), 1),
        (at(5, 2, 0), 0),
        (at(5, 22, 30), 0),
    ];
    for (moment, granted) in expected {
        stage.at(moment).await;
        assert_eq!(stage.tick().await.granted, granted, "{moment}");
    }
}

#[tokio::test]
async fn the_window_is_that_of_the_campaign_s_zone_and_the_limit_that_of_the_sender_s() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1, 0).await;
    stage.scene.running_campaign(5, &[sender], 1, 100).await;
    stage.scene.run("update campaign_settings set timezone = 'America/New_York'", &[]).await;
    stage.scene.run("update senders set timezone = 'Asia/Tokyo'", &[]).await;
    stage.at(at(4, 13, 59)).await;
    assert_eq!(stage.tick().await.granted, 0, "08:59 in New York");
    stage.at(at(4, 14, 0)).await;
    assert_eq!(stage.tick().await.granted, 1, "23:00 in Tokyo");
    stage.at(at(4, 14, 59)).await;
    assert_eq!(stage.tick().await.granted, 0, "the sender's day is used up");
    stage.at(at(4, 15, 0)).await;
    assert_eq!(stage.tick().await.granted, 1, "Thursday has begun in Tokyo");
    stage.check("at the end").await;
}

#[tokio::test]
async fn two_campaigns_of_a_sender_share_its_limit_and_its_gap() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 7, 60).await;
    stage.scene.running_campaign(20, &[sender], 1, 4).await;
    stage.scene.running_campaign(20, &[sender], 1, 100).await;
    stage.scene.run("update campaign_settings set gap_seconds = 10", &[]).await;
    let mut moment = wednesday_morning();
    for _ in 0..20 {
        stage.at(moment).await;
        assert!(stage.tick_ahead(Duration::minutes(2)).await.granted <= 3);
        moment += Duration::minutes(1);
    }
    assert_eq!(stage.slots_used("sender").await, 7);
    let gaps = "select count(*) from (select send_at - lag(send_at) over (order by send_at) as gap from messages) as g where gap < interval '60 seconds'";
    assert_eq!(stage.scene.number(gaps, &[]).await, 0);
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_limits_hold_over_several_runs() {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 3, 0).await, stage.scene.sender(2, 30, 0).await];
    stage.scene.running_campaign(60, &senders, 1, 10).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let mut granted = Vec::new();
    for day in 0..3 {
        for hour in 0..3 {
            stage.at(wednesday_morning() + Duration::days(day) + Duration::hours(hour)).await;
            granted.push(stage.tick().await.granted);
        }
    }
    assert_eq!(granted, [10, 0, 0, 10, 0, 0, 10, 0, 0]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_is_not_open_gets_no_slots() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 0).await;
    stage.scene.running_campaign(3, &[sender], 1, 100).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    for (close, open) in [
        ("update campaigns set status = 'paused'", "update campaigns set status = 'active'"),
        ("update campaigns set status = 'archived'", "update campaigns set status = 'active'"),
        ("update campaigns set status = 'completed'", "update campaigns set status = 'active'"),
        ("update senders set status = 'paused'", "update senders set status = 'active'"),
        ("update senders set status = 'pending'", "update senders set status = 'active'"),
        ("update domains set status = 'failed'", "update domains set status = 'verified'"),
        ("update organizations set status = 'suspended'", "update organizations set status = 'active'"),
    ] {
        stage.scene.run(close, &[]).await;
        assert_eq!(stage.tick().await.granted, 0, "{close}");
        stage.scene.run(open, &[]).await;
    }
    assert_eq!(stage.tick().await.granted, 3);
}

#[tokio::test]
async fn a_capped_sender_s_backlog_keeps_nobody_waiting() {
    let stage = Stage::new().await;
    let capped = stage.scene.sender(1, 10, 0).await;
    stage.scene.running_campaign(5_000, &[capped], 1, 10_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    assert_eq!(stage.tick().await.granted, 10);
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 30).await;
    assert_eq!(stage.tick().await.granted, 30, "the backlog in front of them is due for longer");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_full_batch_is_shared_between_organizations() {
    let stage = Stage::new().await;
    let senders: Vec<_> = {
        let mut senders = Vec::new();
        for n in 1..=8 {
            senders.push(stage.scene.sender(n, 10_000, 0).await);
        }
        senders
    };
    stage.scene.running_campaign(2_400, &senders, 1, 100_000).await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 150).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    // The first batch is committed before the queue refuses it, and the run ends there.
    let db = stage.worker("martlet_scheduler");
    enqueue_due(&db, &ClosedQueue, Duration::zero(), Instant::now() + std::time::Duration::from_secs(60))
        .await
        .unwrap_err();
    assert_eq!(stage.scene.states().await, "scheduled=1000");
    let foreign = "select count(*) from messages where organization_id = $1";
    assert_eq!(stage.scene.number(foreign, &[&other]).await, 150, "all of them are in the first batch");
    while stage.tick().await.granted > 0 {}
    assert_eq!(stage.scene.states().await, "scheduled=2550");
    stage.check("at the end").await;
}

#[tokio::test]
async fn sixteen_schedulers_at_once_never_pass_a_limit_and_plan_nobody_twice() {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 37, 0).await, stage.scene.sender(2, 41, 0).await];
    stage.scene.running_campaign(200, &senders, 1, 70).await;
    stage.scene.running_campaign(200, &senders, 1, 70).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let runs = join_all((0..16).map(|_| stage.tick())).await;
    let granted: usize = runs.iter().map(|run| run.granted).sum();
    assert!(granted > 0);
    stage.tick().await;
    stage.tick().await;
    assert_eq!(stage.slots_used("sender").await, 78, "37 and 41");
    let mut hints = stage.queue.drain();
    let count = hints.len();
    hints.sort_unstable();
    hints.dedup();
    assert_eq!((hints.len(), count), (78, 78), "each was enqueued once");
    stage.check("at the end").await;
}

#[tokio::test]
async fn slots_that_another_run_is_about_to_take_are_waited_for() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 5, 0).await;
    stage.scene.running_campaign(20, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let counter =
        "insert into limit_usage (organization_id, scope, scope_id, day) values ($1, 'sender', $2, '2026-03-04')";
    stage.scene.run(counter, &[&stage.scene.organization, &sender]).await;
    let db = stage.worker("martlet_scheduler");
    let other = db.begin_for(&[stage.scene.organization]).await.unwrap();
    other.execute("update limit_usage set used = 3", &[]).await.unwrap();
    let reserve = async {
        stage.until_waiting(1).await;
        other.commit().await.unwrap();
    };
    let (planned, ()) = tokio::join!(async { stage.tick().await.granted }, reserve);
    assert_eq!(planned, 2);
    assert_eq!(stage.slots_used("sender").await, 5);
}

#[tokio::test]
async fn a_tenant_with_unreadable_settings_keeps_nobody_else_waiting() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 0).await;
    stage.scene.running_campaign(3, &[sender], 1, 100).await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 3).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    assert_eq!(stage.tick().await.granted, 6);
    let hints = stage.queue.drain();
    stage
        .scene
        .run("update senders set timezone = 'Mars/Olympus' where organization_id <> $1", &[&stage.scene.organization])
        .await;
    stage.deliver(&hints).await;
    assert_eq!(stage.scene.states().await, "scheduled=3 sent=3");
    stage.scene.run("update enrollments set next_due_at = clock_now(), current_step = 0, status = 'pending', waiting_message_id = null", &[]).await;
    assert_eq!(stage.tick().await.granted, 0, "and no error");
}

#[tokio::test]
async fn whoever_is_being_stopped_is_left_for_the_next_round() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 0).await;
    let campaign = stage.scene.running_campaign(3, &[sender], 1, 100).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let stop = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    stop.query("select from contacts where id = $1 for update", &[&campaign.contacts[0]]).await.unwrap();
    assert_eq!(stage.tick().await.granted, 2);
    let removed = shared::delivery::stopping::remove_contacts(&stop, &campaign.contacts[..1]).await.unwrap();
    stop.commit().await.unwrap();
    assert_eq!(removed, 1);
    assert_eq!(stage.tick().await.granted, 0);
    stage.check("at the end").await;
}

/// A queue that takes nothing.
struct ClosedQueue;

impl SendQueue for ClosedQueue {
    fn enqueue<'a>(&'a self, _hints: &'a [Hint]) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async { Err(Error::internal("closed")) })
    }
}

/// A running campaign of another organization with people of its own.
pub(crate) async fn foreign_campaign(
    stage: &Stage,
    organization: shared::OrganizationId,
    domain: shared::ids::DomainId,
    people: i32,
) {
    let (sender, campaign, step) = (shared::SenderId::fresh(), shared::CampaignId::fresh(), shared::StepId::fresh());
    stage
        .scene
        .run(
            "insert into senders (organization_id, id, domain_id, email, daily_limit, gap_seconds) values ($1, $2, $3, 'us@other.test', 10000, 0)",
            &[&organization, &sender, &domain],
        )
        .await;
    stage
        .scene
        .run("insert into campaigns (organization_id, id, name) values ($1, $2, 'Other')", &[&organization, &campaign])
        .await;
    stage
        .scene
        .run("update campaign_settings set daily_limit = 100000, gap_seconds = 0 where campaign_id = $1", &[&campaign])
        .await;
    stage
        .scene
        .run(
            "insert into campaign_senders (organization_id, campaign_id, sender_id) values ($1, $2, $3)",
            &[&organization, &campaign, &sender],
        )
        .await;
    stage
        .scene
        .run(
            "insert into steps (organization_id, id, campaign_id, position, name, subject_template, body_template) values ($1, $2, $3, 1, 'One', 'Hello', 'A word.')",
            &[&organization, &step, &campaign],
        )
        .await;
    stage
        .scene
        .run(
            "with people as (
                 insert into contacts (organization_id, id, email)
                 select $1, gen_random_uuid(), format('person%s@people.test', n) from generate_series(1, $4::int) as n
                 returning id)
             insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
             select $1, gen_random_uuid(), $2, id, $3, clock_now() from people",
            &[&organization, &campaign, &sender, &people],
        )
        .await;
    stage.scene.run("update campaigns set status = 'active' where id = $1", &[&campaign]).await;
}
