//! Unsubscribing: whole organization, once, and nobody else's.

use chrono::Duration;
use shared::audience::suppressions::{self, Reason};
use shared::delivery::messages::MessageKey;
use shared::delivery::unsubscribing::{self, Scope, Wish};
use testkit::scene::wednesday_morning;

use crate::scheduling::foreign_campaign;
use crate::stage::{Stage, mail_program};

/// A stage on which one person is in two campaigns of ours and in one of another organization, all first mails sent.
async fn sent() -> (Stage, Vec<MessageKey>) {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    stage.at(wednesday_morning() + Duration::days(2)).await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 1).await;
    assert_eq!(stage.tick().await.granted, 3);
    (stage, messages)
}

#[tokio::test]
async fn looking_changes_nothing() {
    let (stage, messages) = sent().await;
    let before = stage.scene.rows("select max(xmin::text::bigint) from messages", &[]).await[0].get::<_, i64>(0);
    let tx = stage.scene.db.app().begin(messages[0].organization).await.unwrap();
    let shown = unsubscribing::look_up(&tx, messages[0].id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((shown.masked_address.as_str(), shown.stopped, shown.has_campaign), ("p…@people.test", None, true));
    assert_eq!(stage.scene.rows("select max(xmin::text::bigint) from messages", &[]).await[0].get::<_, i64>(0), before);
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 0);
    assert_eq!(stage.scene.states().await, "scheduled=3 sent=2");
}

#[tokio::test]
async fn it_stops_every_campaign_of_the_organization_once_and_no_other_organization_s() {
    let (stage, messages) = sent().await;
    tokio::join!(stage.unsubscribe(messages[0]), stage.unsubscribe(messages[0]));
    stage.unsubscribe(messages[0]).await;
    assert_eq!(stage.scene.states().await, "cancelled=2 scheduled=1 sent=2");
    let ours = "select count(*) from enrollments where organization_id = $1 and status = 'unsubscribed'";
    assert_eq!(stage.scene.number(ours, &[&stage.scene.organization]).await, 2);
    for (sql, count) in [
        ("select count(*) from suppressions", 1),
        ("select count(*) from message_events where kind = 'unsubscribed'", 1),
        ("select count(*) from audit_log where action = 'contact.unsubscribed'", 1),
        ("select count(*) from contacts where status = 'unsubscribed'", 1),
        ("select count(*) from messages where unsubscribed_at is not null", 1),
    ] {
        assert_eq!(stage.scene.number(sql, &[]).await, count, "{sql}");
    }
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "cancelled=2 sent=3");
    stage.check("at the end").await;
}

#[tokio::test]
async fn it_is_recorded_of_an_address_that_was_suppressed_for_another_reason() {
    let (stage, messages) = sent().await;
    let tx = stage.scene.db.app().begin(messages[0].organization).await.unwrap();
    suppressions::add(&tx, messages[0].organization, "person1@people.test", None, Reason::Manual, None).await.unwrap();
    tx.commit().await.unwrap();
    stage.unsubscribe(messages[0]).await;
    assert_eq!(stage.scene.number("select count(*) from contacts where status = 'unsubscribed'", &[]).await, 1);
    assert_eq!(stage.scene.states().await, "cancelled=2 scheduled=1 sent=2");
    assert!(stage.message(messages[0], "unsubscribed_at").await.is_some());
}

#[tokio::test]
async fn an_address_whose_contact_is_gone_is_suppressed_nevertheless() {
    let (stage, messages) = sent().await;
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    let contact = stage.scene.rows("select contact_id from messages where id = $1", &[&messages[0].id]).await[0].get(0);
    shared::audience::contacts::delete(&tx, contact, None).await.unwrap();
    tx.commit().await.unwrap();
    stage.unsubscribe(messages[0]).await;
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_message_of_another_organization_is_not_found() {
    let (stage, messages) = sent().await;
    let (third, _) = stage.scene.another_organization("third").await;
    let tx = stage.scene.db.app().begin(third).await.unwrap();
    assert!(matches!(
        unsubscribing::unsubscribe(&tx, messages[0].id, &Wish::default(), &mail_program()).await,
        Err(shared::Error::NotFound(_))
    ));
    tx.rollback().await.unwrap();
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 0);
}

#[tokio::test]
async fn one_campaign_can_be_left_alone() {
    let (stage, messages) = sent().await;
    let wish = Wish::read(Some("campaign"), Some("too_often"), Some("Every day!"));
    for _ in 0..2 {
        stage.unsubscribe_as(messages[0], &wish).await;
    }
    assert_eq!(stage.scene.states().await, "cancelled=1 scheduled=2 sent=2", "the other campaign goes on");
    let sql = "select s.campaign_id = m.campaign_id from suppressions s join messages m on m.id = s.message_id";
    let scoped: Vec<bool> = stage.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(scoped, [true]);
    for (sql, count) in [
        ("select count(*) from enrollments where status = 'unsubscribed'", 1),
        ("select count(*) from contacts where status = 'unsubscribed'", 0),
        ("select count(*) from messages where unsubscribed_at is not null", 1),
        ("select count(*) from audit_log where action = 'contact.unsubscribed'", 1),
    ] {
        assert_eq!(stage.scene.number(sql, &[]).await, count, "{sql}");
    }
    let sql = "select details, host(ip), user_agent from message_events where kind = 'unsubscribed'";
    let events = stage.scene.rows(sql, &[]).await;
    assert_eq!(events.len(), 1);
    let expected = serde_json::json!({"scope": "campaign", "reason": "too_often", "comment": "Every day!"});
    assert_eq!(events[0].get::<_, serde_json::Value>(0), expected);
    assert_eq!((events[0].get(1), events[0].get(2)), ("192.0.2.7", "A mail program"));
    let audited = stage.scene.rows("select details from audit_log where action = 'contact.unsubscribed'", &[]).await;
    let expected = serde_json::json!({"scope": "campaign", "reason": "too_often"});
    assert_eq!(audited[0].get::<_, serde_json::Value>(0), expected, "what a person wrote stays with the event");
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "cancelled=1 sent=4");
    stage.check("at the end").await;
}

#[tokio::test]
async fn whoever_left_one_campaign_can_leave_everything_and_each_counts() {
    let (stage, messages) = sent().await;
    stage.unsubscribe_as(messages[0], &Wish::read(Some("campaign"), None, None)).await;
    let shown = async || {
        let tx = stage.scene.db.app().begin(messages[0].organization).await.unwrap();
        let shown = unsubscribing::look_up(&tx, messages[0].id).await.unwrap();
        tx.commit().await.unwrap();
        shown.stopped
    };
    assert_eq!(shown().await, Some(Scope::Campaign));
    stage.unsubscribe(messages[0]).await;
    assert_eq!(shown().await, Some(Scope::Everything));
    assert_eq!(stage.scene.states().await, "cancelled=2 scheduled=1 sent=2");
    assert_eq!(stage.scene.number("select count(*) from message_events where kind = 'unsubscribed'", &[]).await, 2);
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 2);
    assert_eq!(stage.scene.number("select count(*) from contacts where status = 'unsubscribed'", &[]).await, 1);
}

/// A suppression that nobody has stopped the person for, such as one that was imported: the claim has the last word.
#[tokio::test]
async fn the_claim_honours_a_suppression_of_its_own_campaign_and_of_no_other() {
    let (stage, messages) = sent().await;
    let sql = "insert into suppressions (organization_id, id, email_lower, campaign_id, reason)
               select organization_id, gen_random_uuid(), lower(recipient), campaign_id, 'unsubscribe' from messages where id = $1";
    stage.scene.run(sql, &[&messages[0].id]).await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=4 suppressed=1");
    let stopped = "select count(*) from enrollments e join messages m on m.id = $1 and m.enrollment_id = e.id
                    where e.status = 'stopped' and e.stop_reason = 'suppressed'";
    assert_eq!(stage.scene.number(stopped, &[&messages[0].id]).await, 1);
    stage.check("at the end").await;
}
