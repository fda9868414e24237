//! Mail of the installation itself goes the way of every mail, and nothing of a campaign holds it.

use chrono::Duration;
use serde_json::json;
use shared::MessageId;
use shared::delivery::messages::{self, MessageKey};
use shared::delivery::sending::Answer;
use shared::delivery::system_mail::{self, Action, ActionPurpose, NewSystemMail, Template};
use shared::platform::audit::Actor;
use shared::platform::organizations;
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

const RECIPIENT: &str = "ada@users.test";

/// A stage on which mails of the installation come from an address.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    set_sender(&stage, "system@martlet.test").await;
    stage
}

async fn set_sender(stage: &Stage, address: &str) {
    let sql = "update system_config set value = $1 where category = 'mail' and key = 'system_sender'";
    stage.scene.run(sql, &[&address]).await;
}

fn mail(key: &str) -> NewSystemMail {
    NewSystemMail {
        template: Template::Welcome,
        recipient: RECIPIENT.to_owned(),
        variables: json!({"first_name": "Ada"}),
        action: None,
        dedupe_key: key.to_owned(),
        send_at: wednesday_morning(),
    }
}

fn reset(key: &str) -> (NewSystemMail, Action) {
    let action = Action { purpose: ActionPurpose::ResetPassword, id: uuid::Uuid::from_u128(7) };
    (NewSystemMail { template: Template::ResetPassword, action: Some(action), ..mail(key) }, action)
}

/// Plans it as a route of another organization does.
async fn plan(stage: &Stage, mail: &NewSystemMail) -> MessageKey {
    let db = stage.worker("martlet_app");
    let tx = db.begin(stage.scene.organization).await.unwrap();
    let id: MessageId = system_mail::plan(&tx, mail).await.unwrap();
    tx.commit().await.unwrap();
    MessageKey { organization: organizations::DEFAULT, id }
}

#[tokio::test]
async fn it_goes_with_a_link_that_the_ledger_does_not_have() {
    let stage = stage().await;
    let (mail, action) = reset("reset:1");
    let key = plan(&stage, &mail).await;
    assert_eq!(stage.sweep().await.enqueued_again, 1);
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=1");
    let handed = stage.mailer.handed();
    assert_eq!((handed.len(), handed[0].to.as_str(), handed[0].message), (1, RECIPIENT, key));
    let raw = handed[0].raw.replace("\r\n ", " ").replace("=\r\n", "").replace("=3D", "=");
    let token = stage.letterhead.keys.action_token(action);
    assert!(raw.contains(&format!("https://mail.example.test/reset-password#token={token}")), "{raw}");
    assert!(raw.contains("From: \"Martlet\" <system@martlet.test>"), "{raw}");
    assert!(raw.contains("Auto-Submitted: auto-generated"), "{raw}");
    for absent in ["List-Unsubscribe", "/t/o/", "/t/c/", "Reply-To", "Test Street"] {
        assert!(!raw.contains(absent), "{absent}: {raw}");
    }
    let kept = stage.message(key, "concat(subject, body, messages)").await.unwrap();
    assert!(kept.contains("[link]") && !kept.contains(&token), "{kept}");
    let with_token = "select count(*) from system_mails where variables::text like '%' || $1 || '%'";
    assert_eq!(stage.scene.number(with_token, &[&token]).await, 0);
    stage.check("at the end").await;
}

#[tokio::test]
async fn without_a_sender_it_waits_and_nothing_fails() {
    let stage = Stage::new().await;
    let key = plan(&stage, &mail("welcome:1")).await;
    stage.sweep().await;
    let delivered = stage.deliver_queued().await;
    assert_eq!(delivered[0].counts.get("no_system_sender"), Some(&1));
    assert!(delivered[0].unrecorded.is_empty() && stage.mailer.handed().is_empty());
    assert_eq!(stage.message(key, "outcome_code").await.as_deref(), Some("no_system_sender"));
    assert_eq!(stage.message(key, "attempts").await.as_deref(), Some("0"));
    assert_eq!(stage.sweep().await.enqueued_again, 0, "not every minute");
    let db = stage.worker("martlet_app");
    let tx = db.begin(organizations::DEFAULT).await.unwrap();
    let seen = messages::find(&tx, key.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(serde_json::to_value(seen.why).unwrap()["code"], "no_system_sender");
    stage.check("while it waits").await;

    set_sender(&stage, "system@martlet.test").await;
    stage.pass_machine_time().await;
    stage.sweep().await;
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.accepted(), [RECIPIENT]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn it_goes_when_its_time_has_come_and_once() {
    let stage = stage().await;
    let later = NewSystemMail { send_at: wednesday_morning() + Duration::days(2), ..mail("trial:1") };
    let key = plan(&stage, &later).await;
    assert_eq!(plan(&stage, &mail("trial:1")).await, key, "the same key is the same mail, as it was planned first");
    assert_eq!(stage.sweep().await.enqueued_again, 0);
    stage.deliver(&[key]).await;
    assert!(stage.mailer.handed().is_empty());
    let db = stage.worker("martlet_app");
    let tx = db.begin(organizations::DEFAULT).await.unwrap();
    let why = serde_json::to_value(messages::find(&tx, key.id).await.unwrap().why).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(why["code"], "not_yet");
    stage.check("before its time").await;

    stage.at(wednesday_morning() + Duration::days(2)).await;
    assert_eq!(stage.sweep().await.enqueued_again, 1);
    stage.deliver(&[key, key]).await;
    stage.deliver(&[key]).await;
    assert_eq!(stage.mailer.accepted(), [RECIPIENT]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn it_is_taken_back_by_the_beginning_of_its_key() {
    let stage = stage().await;
    let later = |key| NewSystemMail { send_at: wednesday_morning() + Duration::days(2), ..mail(key) };
    for one in [later("trial:1:day_2"), mail("trial:1:now"), later("trial:10"), later("other")] {
        plan(&stage, &one).await;
    }
    let db = stage.worker("martlet_identity");
    let tx = db.begin(stage.scene.organization).await.unwrap();
    assert_eq!(system_mail::cancel(&tx, "trial:1:").await.unwrap(), 2);
    assert_eq!(system_mail::cancel(&tx, "trial:1:").await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(stage.scene.states().await, "cancelled=2 scheduled=2");
    stage.sweep().await;
    stage.deliver_queued().await;
    assert!(stage.mailer.handed().is_empty());
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_campaign_and_a_mail_of_the_installation_go_in_one_batch() {
    let stage = stage().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage.queue.drain();
    let mut batch = stage.messages().await;
    batch.push(plan(&stage, &mail("welcome:1")).await);
    let delivered = stage.deliver(&batch).await;
    assert_eq!(delivered.counts.get("sent"), Some(&3), "{:?}", delivered.counts);
    assert_eq!(stage.mailer.accepted(), [RECIPIENT, "person1@people.test", "person2@people.test"]);
    assert_eq!(stage.slots_used("organization").await, 2, "those of the campaign");
    stage.check("at the end").await;
}

#[tokio::test]
async fn only_an_address_that_does_not_exist_keeps_it_from_going() {
    for (reason, goes) in [("hard_bounce", false), ("complaint", true), ("unsubscribe", true), ("manual", true)] {
        let stage = stage().await;
        stage.scene.run("update organizations set status = 'suspended'", &[]).await;
        stage
            .scene
            .run(
                "insert into suppressions (organization_id, id, email_lower, reason) values ($1, gen_random_uuid(), $2, $3)",
                &[&organizations::DEFAULT, &RECIPIENT, &reason],
            )
            .await;
        let key = plan(&stage, &mail("welcome:1")).await;
        stage.deliver(&[key]).await;
        assert_eq!(stage.scene.states().await, if goes { "sent=1" } else { "suppressed=1" }, "{reason}");
        stage.check(reason).await;
    }
}

#[tokio::test]
async fn each_answer_has_its_outcome_in_the_same_ledger() {
    let stage = stage().await;
    let keys = [plan(&stage, &mail("a")).await, plan(&stage, &mail("b")).await, plan(&stage, &mail("c")).await];
    stage.mailer.always_answer(keys[0].id, Answer::Later("429".to_owned()));
    stage.mailer.always_answer(keys[1].id, Answer::Unclear("reset".to_owned()));
    let refused =
        Answer::Refused { code: "MessageRejected".to_owned(), detail: "no".to_owned(), address_at_fault: true };
    stage.mailer.always_answer(keys[2].id, refused);
    stage.deliver(&keys).await;
    assert_eq!(stage.scene.states().await, "failed=1 scheduled=1 unknown=1");
    stage.deliver(&keys[1..2]).await;
    assert_eq!(stage.mailer.handed().len(), 3, "what may have been accepted is never sent again by itself");
    stage.check("after the answers").await;

    stage.age_attempts("3 hours").await;
    assert_eq!(stage.sweep().await.now_review, 1);
    let by = shared::ApiKeyId::fresh();
    let db = stage.worker("martlet_app");
    let tx = db.begin(organizations::DEFAULT).await.unwrap();
    let resolved =
        messages::resolving::resolve_one(&tx, keys[1].id, messages::resolving::Choice::Resend, Actor::ApiKey(by)).await;
    assert_eq!(serde_json::to_value(resolved.unwrap().why).unwrap()["code"], "resent");
    tx.commit().await.unwrap();
    stage.mailer.always_answer(keys[1].id, Answer::Accepted("again".to_owned()));
    stage.sweep().await;
    stage.deliver_queued().await;
    assert_eq!(stage.message(keys[1], "state").await.as_deref(), Some("sent"));
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_it_leads_to_ends_before_it_goes_late() {
    let stage = stage().await;
    let (mail, _) = reset("reset:1");
    let key = plan(&stage, &mail).await;
    stage.at(wednesday_morning() + Duration::minutes(61)).await;
    stage.deliver(&[key]).await;
    assert_eq!(stage.scene.states().await, "expired=1");
    assert!(stage.mailer.handed().is_empty());
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_text_without_its_variables_is_not_planned() {
    let stage = stage().await;
    let db = stage.worker("martlet_app");
    let tx = db.begin(stage.scene.organization).await.unwrap();
    let wrong = NewSystemMail { template: Template::WebhookDisabled, ..mail("webhook:1") };
    assert!(matches!(system_mail::plan(&tx, &wrong).await, Err(shared::Error::Internal(_))));
    tx.rollback().await.unwrap();
}
