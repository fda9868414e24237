use chrono::Duration;
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

#[tokio::test]
async fn a_sequence_runs_from_the_first_mail_to_the_last() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 100, 0).await;
    let campaign = stage.scene.running_campaign(3, &[sender], 2, 100).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;

    let planned = stage.tick().await;
    assert_eq!((planned.granted, planned.enqueued), (3, 3));
    assert_eq!(stage.scene.states().await, "scheduled=3");
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=3");
    assert_eq!(stage.mailer.accepted(), ["person1@people.test", "person2@people.test", "person3@people.test"]);

    assert_eq!(stage.tick().await.granted, 0, "the second step waits two days");
    stage.at(wednesday_morning() + Duration::days(2)).await;
    assert_eq!(stage.tick().await.granted, 3);
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=6");
    assert_eq!(stage.slots_used("sender").await, 6);
    assert_eq!(stage.slots_used("campaign").await, 6);
    let done = "select count(*) from enrollments where status = 'completed' and current_step = 2";
    assert_eq!(stage.scene.number(done, &[]).await, 3);

    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    let status = stage.scene.rows("select status from campaigns where id = $1", &[&campaign.campaign]).await;
    assert_eq!(status[0].get::<_, &str>(0), "completed");
}

#[tokio::test]
async fn a_sender_keeps_its_gap_and_the_limits_of_the_day_hold() {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 4, 30).await, stage.scene.sender(2, 100, 30).await];
    stage.scene.running_campaign(40, &senders, 1, 10).await;

    let planned = stage.tick_ahead(Duration::minutes(2)).await;
    // Each of the two has slots at 0, 30, 60, 90 and 120 seconds, the first no more than four a day.
    assert_eq!(planned.granted, 9);
    let mut delays = stage.queue.delays();
    delays.sort_unstable();
    assert_eq!(delays, [0, 0, 30, 30, 60, 60, 90, 90, 120]);
    stage.at(wednesday_morning() + Duration::minutes(30)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 1, "the campaign has ten a day");
    assert_eq!(stage.slots_used("campaign").await, 10);
    stage.at(wednesday_morning() + Duration::days(1)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 9, "the next day begins anew");
}
