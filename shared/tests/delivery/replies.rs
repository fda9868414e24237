//! Mail received, and what it stops.

use chrono::Duration;
use shared::delivery::inbound::Taken;
use shared::delivery::messages::MessageKey;
use shared::delivery::tokens::KeyRing;
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

/// A stage on which one person has had the first mail of two campaigns, and the second of both is planned.
async fn sent() -> (Stage, Vec<MessageKey>) {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    stage.at(wednesday_morning() + Duration::days(2)).await;
    assert_eq!(stage.tick().await.granted, 2);
    (stage, messages)
}

async fn replies(stage: &Stage) -> i64 {
    stage.scene.number("select count(*) from replies", &[]).await
}

#[tokio::test]
async fn a_reply_stops_the_campaign_that_it_answers_and_no_other() {
    let (stage, messages) = sent().await;
    assert_eq!(stage.receive(messages[0], "a@people.test", "").await, Taken::Reply);
    assert_eq!(stage.scene.states().await, "cancelled=1 scheduled=1 sent=2");
    let sql = "select e.status from enrollments e join messages m on m.enrollment_id = e.id where m.id = $1";
    assert_eq!(stage.scene.rows(sql, &[&messages[0].id]).await[0].get::<_, &str>(0), "replied");
    assert_eq!(stage.scene.rows(sql, &[&messages[1].id]).await[0].get::<_, &str>(0), "in_progress");
    assert_eq!(stage.scene.number("select count(*) from contacts where status = 'replied'", &[]).await, 1);
    assert!(stage.message(messages[0], "replied_at").await.is_some());
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 3);
    stage.check("at the end").await;
}

#[tokio::test]
async fn an_automatic_reply_is_kept_and_stops_nothing() {
    let (stage, messages) = sent().await;
    let taken = stage.receive(messages[0], "a@people.test", "Auto-Submitted: auto-replied\r\n").await;
    assert_eq!(taken, Taken::AutomaticReply);
    assert_eq!(stage.people().await, "in_progress in_progress");
    assert_eq!(stage.scene.number("select count(*) from replies where is_automatic", &[]).await, 1);
    assert!(stage.message(messages[0], "replied_at").await.is_none());
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_same_mail_twice_is_one_reply() {
    let (stage, messages) = sent().await;
    let (first, second) =
        tokio::join!(stage.receive(messages[0], "a@people.test", ""), stage.receive(messages[0], "a@people.test", ""));
    let mut taken = [format!("{first:?}"), format!("{second:?}")];
    taken.sort_unstable();
    assert_eq!(taken, ["Known", "Reply"]);
    assert_eq!(stage.receive(messages[0], "a@people.test", "").await, Taken::Known);
    assert_eq!(replies(&stage).await, 1);
    assert_eq!(stage.scene.number("select count(*) from message_events where kind = 'replied'", &[]).await, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_carries_no_token_of_ours_is_not_ours() {
    let (stage, messages) = sent().await;
    let other = KeyRing::from_json(r#"{"current": 1, "key_1": "another key: 0123456789 0123456789 0123"}"#).unwrap();
    let foreign = other.reply_token(messages[0].organization.0, messages[0].id.0);
    let own = stage.letterhead.keys.reply_token(messages[0].organization.0, messages[0].id.0);
    let last = if own.ends_with('a') { 'b' } else { 'a' };
    let tampered = format!("{}{last}", &own[..own.len() - 1]);
    let unknown = stage.letterhead.keys.reply_token(messages[0].organization.0, shared::ids::fresh());
    let unsubscribe = stage.letterhead.keys.unsubscribe_token(messages[0].organization.0, messages[0].id.0);
    let other_tenant = stage.letterhead.keys.reply_token(shared::ids::fresh(), messages[0].id.0);
    for token in [foreign.as_str(), &tampered, &unknown, &unsubscribe, &other_tenant, "sales", ""] {
        let address = format!("{token}@reply.example.test");
        assert_eq!(stage.receive_at(&address, "a@people.test", "").await, Taken::NotOurs, "{token}");
    }
    assert_eq!(replies(&stage).await, 0);
    // Mail programs may change the case of a local part.
    let shouted = format!("{}@reply.example.test", own.to_uppercase());
    assert_eq!(stage.receive_at(&shouted, "a@people.test", "").await, Taken::Reply);
}

#[tokio::test]
async fn a_delivery_report_is_no_reply() {
    let (stage, messages) = sent().await;
    let headers =
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\nAuto-Submitted: auto-replied\r\n";
    assert_eq!(stage.receive(messages[0], "a@people.test", headers).await, Taken::DeliveryReport);
    assert_eq!(replies(&stage).await, 0);
    assert_eq!(stage.people().await, "in_progress in_progress");
}

#[tokio::test]
async fn a_reply_to_a_message_that_never_left_is_not_ours() {
    let (stage, _) = sent().await;
    let planned = stage.scene.rows("select organization_id, id from messages where attempts = 0", &[]).await;
    let key = MessageKey { organization: planned[0].get(0), id: planned[0].get(1) };
    assert_eq!(stage.receive(key, "a@people.test", "").await, Taken::NotOurs);
}
