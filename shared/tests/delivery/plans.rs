//! A plan that changes while a campaign sends: the smaller limit holds from then on, and nobody is lost by it.

use std::time::Duration as Wait;

use chrono::Duration;
use serde_json::json;
use shared::UserId;
use shared::platform::lifecycle_mails::sending;
use shared::platform::onboarding;
use testkit::scene::wednesday_morning;
use tokio::time::Instant;

use crate::stage::Stage;

/// Mails a day that the tests' trial lends, and those without it.
const LENT: i64 = 60;
const FREE: i64 = 20;

/// An organization in its trial.
async fn in_trial() -> Stage {
    let stage = Stage::new().await;
    let organization = stage.scene.organization;
    for (plan, maximum) in [("pro", LENT), ("free", FREE)] {
        let sql = "update plan_limits set maximum = $2 where plan_type = $1 and name = 'mails_a_day'";
        stage.scene.run(sql, &[&plan, &maximum]).await;
    }
    stage
        .scene
        .run("update organizations set has_plan_limits = true, plan_type = 'free', plan_source = 'default'", &[])
        .await;
    let person = UserId::fresh();
    stage.scene.run("insert into users (id, email) values ($1, 'ada@users.test')", &[&person]).await;
    let sql = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'owner')";
    stage.scene.run(sql, &[&organization, &person]).await;
    let app = stage.worker("martlet_app");
    let tx = app.begin(organization).await.unwrap();
    onboarding::begin(&tx, organization, person).await.unwrap();
    for fields in [
        json!({"step": "info_captured", "full_name": "Ada Lovelace", "business_name": "Engines"}),
        json!({"step": "intent_captured", "brand_description": "We compute."}),
        json!({"step": "completed"}),
    ] {
        onboarding::update(&tx, Some(person), serde_json::from_value(fields).unwrap()).await.unwrap();
    }
    tx.commit().await.unwrap();
    drop(app);
    stage
}

async fn with_a_slot(stage: &Stage) -> i64 {
    stage.scene.number("select count(*) from messages where kind = 'campaign' and slot_day is not null", &[]).await
}

async fn sent(stage: &Stage) -> i64 {
    stage.scene.number("select count(*) from messages where kind = 'campaign' and state = 'sent'", &[]).await
}

async fn plan_type(stage: &Stage) -> String {
    let sql = "select plan_type from organizations where id = $1";
    stage.scene.rows(sql, &[&stage.scene.organization]).await[0].get(0)
}

#[tokio::test]
async fn a_campaign_goes_on_within_the_smaller_limit_when_its_trial_ends_and_nobody_is_lost() {
    let stage = in_trial().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(120, &[sender], 1, 1_000).await.campaign;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    // The last minute of the trial: what it lends is used up, and a part of it is sent.
    let end = wednesday_morning() + Duration::days(7);
    stage.at(end - Duration::minutes(1)).await;
    stage.tick().await;
    stage.tick().await;
    assert_eq!((with_a_slot(&stage).await, plan_type(&stage).await.as_str()), (LENT, "pro"));
    let hints = stage.queue.drain();
    for batch in hints[..30].chunks(10) {
        stage.deliver(batch).await;
    }
    assert_eq!(sent(&stage).await, 30);
    // The trial ends in the middle of it.
    stage.at(end).await;
    let scheduler = stage.worker("martlet_scheduler");
    sending::keep(&scheduler, Instant::now() + Wait::from_secs(600)).await.unwrap();
    drop(scheduler);
    assert_eq!(plan_type(&stage).await, "free");
    // What had been granted goes, and nothing more today.
    for batch in hints[30..].chunks(10) {
        stage.deliver(batch).await;
    }
    assert_eq!(sent(&stage).await, LENT);
    stage.tick().await;
    assert_eq!(with_a_slot(&stage).await, LENT, "more was sent today than the plan allows now");
    stage.check("when the trial has ended").await;
    // From the next day on as many as the free plan allows.
    for (day, expected) in [(1, LENT + FREE), (2, LENT + 2 * FREE)] {
        stage.at(end + Duration::days(day)).await;
        for _ in 0..3 {
            stage.tick().await;
            stage.deliver_queued().await;
        }
        assert_eq!(sent(&stage).await, expected, "day {day}");
        stage.check("at the end of a day").await;
    }
    // And in the end everybody has their mail, whichever days the campaign sends on.
    for day in 3..10 {
        stage.at(end + Duration::days(day)).await;
        for _ in 0..3 {
            stage.tick().await;
            stage.deliver_queued().await;
        }
    }
    let busiest = "select max(n) from (select count(*) as n from messages
                                        where kind = 'campaign' and sent_at > $1 group by sent_at::date) as days";
    assert_eq!(stage.scene.number(busiest, &[&(end + Duration::hours(1))]).await, FREE);
    assert_eq!(
        stage.scene.number("select count(distinct recipient) from messages where state = 'sent'", &[]).await,
        120
    );
    assert_eq!(stage.scene.number("select count(*) from messages where kind = 'campaign'", &[]).await, 120);
    stage.sweep().await;
    let sql = "select status from campaigns where id = $1";
    assert_eq!(stage.scene.rows(sql, &[&campaign]).await[0].get::<_, &str>(0), "completed");
    stage.check("when everybody has their mail").await;
}

#[tokio::test]
async fn a_plan_that_is_bought_while_a_campaign_waits_raises_its_limit_at_once() {
    let stage = in_trial().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(70, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.scene.run("update organizations set plan_type = 'free', plan_source = 'default'", &[]).await;
    stage.tick().await;
    assert_eq!(with_a_slot(&stage).await, FREE);
    stage.scene.run("update organizations set plan_type = 'pro', plan_source = 'stripe'", &[]).await;
    stage.tick().await;
    stage.tick().await;
    assert_eq!(with_a_slot(&stage).await, LENT, "counted with what was granted before");
    stage.check("when it was bought").await;
}
