//! What was lost is found again.

use testkit::Scene;

use crate::stage::Stage;

async fn planned(people: usize) -> Stage {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 5_000, 0).await;
    stage.scene.running_campaign(people, &[sender], 1, 5_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage
}

async fn wait_in_minutes(scene: &Scene) -> i64 {
    let sql = "select round(extract(epoch from enqueue_again_at - now()) / 60)::bigint from messages";
    scene.number(sql, &[]).await
}

#[tokio::test]
async fn a_crash_before_enqueueing_loses_nothing_and_multiplies_nothing() {
    let stage = planned(1).await;
    assert_eq!(stage.queue.drain().len(), 1, "and nobody ever sees it");
    assert_eq!(stage.sweep().await.enqueued_again, 0, "its time has not come");
    assert_eq!(wait_in_minutes(&stage.scene).await, 5);
    for minutes in [5, 10, 20, 40, 80, 160, 320, 360, 360] {
        stage.pass_machine_time().await;
        assert_eq!(stage.sweep().await.enqueued_again, 1);
        assert_eq!(stage.sweep().await.enqueued_again, 0, "once an interval");
        assert_eq!(wait_in_minutes(&stage.scene).await, minutes);
    }
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_backlog_is_worked_off_longest_wait_first_and_bounded() {
    let stage = planned(1_300).await;
    stage.queue.drain();
    while stage.tick().await.granted > 0 {}
    stage.queue.drain();
    let older = "update messages set enqueue_again_at = now() - case when id in (select id from messages order by id desc limit 300)
                 then interval '1 hour' else interval '1 minute' end";
    assert_eq!(stage.scene.run(older, &[]).await, 1_300);
    assert_eq!(stage.sweep().await.enqueued_again, 1_000);
    let left = "select count(*) from (select id from messages order by id desc limit 300) as oldest
                  join messages m using (id) where m.enqueue_again_at < now()";
    assert_eq!(stage.scene.number(left, &[]).await, 0);
    assert_eq!(stage.sweep().await.enqueued_again, 300);
}

#[tokio::test]
async fn doubt_goes_to_a_person_after_its_grace() {
    let stage = planned(1).await;
    stage.mailer.answer_next([shared::delivery::sending::Answer::Unclear("reset".to_owned())]);
    stage.deliver_queued().await;
    stage.age_attempts("29 minutes").await;
    let swept = stage.sweep().await;
    assert_eq!(swept.now_review, 0);
    assert!(swept.oldest_unresolved_seconds >= 29 * 60, "{swept:?}");
    stage.age_attempts("2 minutes").await;
    let swept = stage.sweep().await;
    assert_eq!((swept.now_review, swept.campaigns_completed), (1, 0), "the campaign is not over");
    let swept = stage.sweep().await;
    assert!(swept.oldest_unresolved_seconds >= 31 * 60, "somebody still has to look at it: {swept:?}");
    let message = stage.messages().await[0];
    let event = stage.event(message, shared::delivery::feedback::EventKind::Delivered).await;
    stage.apply(&[event]).await;
    assert_eq!(stage.scene.states().await, "sent=1");
    let swept = stage.sweep().await;
    assert_eq!((swept.campaigns_completed, swept.oldest_unresolved_seconds), (1, 0));
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_a_suspended_organization_had_on_its_way_still_comes_to_an_end() {
    let stage = planned(2).await;
    let hints = stage.queue.drain();
    stage.mailer.answer_next([shared::delivery::sending::Answer::Unclear("reset".to_owned())]);
    stage.deliver(&hints[..1]).await;
    stage.scene.run("update messages set state = 'sending' where state = 'unknown'", &[]).await;
    stage.scene.run("update organizations set status = 'suspended'", &[]).await;
    stage.age_attempts("3 minutes").await;
    stage.pass_machine_time().await;
    stage.scene.run("update messages set enqueue_again_at = null where state = 'sending'", &[]).await;
    let swept = stage.sweep().await;
    assert_eq!((swept.now_unknown, swept.enqueued_again), (1, 1));
    stage.deliver_queued().await;
    assert_eq!(stage.slots_used("sender").await, 1, "the other has given its slot back");
    stage.check("at the end").await;
}
