//! The way of a mail through the functions: the tick, the sender, what SES reports.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use functions::events::scheduler::{self, Scheduler};
use functions::events::sender::{self, Sender};
use functions::events::{batch, feedback};
use shared::db::Stage;
use shared::delivery::messages::MessageKey;
use shared::delivery::provider_account::WatchedAccount;
use shared::delivery::sending::Letterhead;
use testkit::{FakeAccount, FakeMailer, FakeMemory, FakeQueue, FakeWebhookQueue, Scene};

use crate::samples::sample;

struct Functions {
    scene: Scene,
    sender: Sender,
}

impl Functions {
    /// One person's first mail, planned by a run of the scheduler function.
    async fn with_a_planned_mail() -> (Self, MessageKey) {
        let scene = Scene::new().await;
        let sender = scene.sender(1, 100, 30).await;
        scene.running_campaign(1, &[sender], 1, 100).await;
        let scheduler = Scheduler {
            db: scene.db.as_role("martlet_scheduler"),
            queue: Box::new(FakeQueue::default()),
            webhooks: Box::new(FakeWebhookQueue::default()),
            account: WatchedAccount::new(Arc::new(FakeAccount::default())),
            memory: Box::new(FakeMemory::default()),
            stage: Stage::Local,
        };
        let run = scheduler::handle(&scheduler, sample("scheduler/tick", &[])).await.unwrap();
        assert_eq!((run.planned.granted, run.planned.enqueued), (1, 1));
        let message = scene.rows("select organization_id, id from messages", &[]).await;
        let message = MessageKey { organization: message[0].get(0), id: message[0].get(1) };
        let letterhead = Letterhead {
            keys: testkit::key_ring(),
            reply_domain: "reply.example.test".to_owned(),
            public_url: "https://mail.example.test".to_owned(),
        };
        let db = scene.db.as_role("martlet_sender");
        let functions = Self { scene, sender: Sender { db, mailer: Box::new(FakeMailer::default()), letterhead } };
        (functions, message)
    }

    async fn send(&self, name: &str, message: MessageKey) -> SqsBatchResponse {
        let fill = [("ORGANIZATION_ID", &*message.organization.to_string()), ("MESSAGE_ID", &*message.id.to_string())];
        sender::handle(&self.sender, sample(name, &fill)).await.unwrap()
    }

    async fn report(&self, name: &str, message: MessageKey, provider_id: &str) -> SqsBatchResponse {
        let fill = [
            ("ORGANIZATION_ID", &*message.organization.to_string()),
            ("MESSAGE_ID", &*message.id.to_string()),
            ("PROVIDER_MESSAGE_ID", provider_id),
        ];
        feedback::handle(&self.scene.db.as_role("martlet_feedback"), sample(name, &fill)).await.unwrap()
    }

    async fn provider_id(&self) -> String {
        self.scene.rows("select provider_message_id from messages", &[]).await[0].get(0)
    }
}

#[tokio::test]
async fn a_batch_with_a_repeated_and_an_unreadable_hint_sends_once_and_keeps_only_what_is_unreadable() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    let answer = functions.send("sender/twice_and_unreadable", message).await;
    let kept: Vec<_> = answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(kept, ["00000000-0000-4000-8000-000000000003"]);
    assert_eq!(functions.scene.states().await, "sent=1");
    assert_eq!(functions.scene.number("select sum(attempts)::bigint from messages", &[]).await, 1);
}

#[tokio::test]
async fn a_hint_that_names_nothing_is_done_with() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    let stranger = MessageKey { organization: shared::OrganizationId::fresh(), id: message.id };
    assert!(functions.send("sender/one", stranger).await.batch_item_failures.is_empty());
    assert_eq!(functions.scene.states().await, "scheduled=1");
}

#[tokio::test]
async fn a_delivery_is_noted_once_however_often_it_is_reported() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    functions.send("sender/one", message).await;
    let id = functions.provider_id().await;
    for _ in 0..2 {
        assert!(functions.report("feedback/delivery", message, &id).await.batch_item_failures.is_empty());
    }
    assert_eq!(functions.scene.number("select count(*) from message_events", &[]).await, 1);
    let delivered = "select count(*) from messages where delivered_at = '2026-03-04 10:00:02+00'";
    assert_eq!(functions.scene.number(delivered, &[]).await, 1);
}

#[tokio::test]
async fn a_hard_bounce_suppresses_the_address_and_a_complaint_is_noted_beside_it() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    functions.send("sender/one", message).await;
    let id = functions.provider_id().await;
    functions.report("feedback/bounce", message, &id).await;
    functions.report("feedback/complaint", message, &id).await;
    let suppressed = functions.scene.rows("select email_lower, reason from suppressions", &[]).await;
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0].get::<_, &str>(0), "person1@people.test");
    assert_eq!(suppressed[0].get::<_, &str>(1), "hard_bounce");
    let both = "select count(*) from messages where bounced_at is not null and complained_at is not null";
    assert_eq!(functions.scene.number(both, &[]).await, 1);
}

#[tokio::test]
async fn a_report_under_another_provider_id_or_without_our_tags_changes_nothing() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    functions.send("sender/one", message).await;
    functions.report("feedback/bounce", message, "forged").await;
    functions.report("feedback/send_without_tags", message, "somebody").await;
    assert_eq!(functions.scene.number("select count(*) from message_events", &[]).await, 0);
    assert_eq!(functions.scene.number("select count(*) from suppressions", &[]).await, 0);
}

#[tokio::test]
async fn a_bounce_whose_text_the_database_does_not_keep_stops_the_person_nevertheless() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    functions.send("sender/one", message).await;
    let id = functions.provider_id().await;
    let answer = functions.report("feedback/bounce_with_a_nul", message, &id).await;
    assert!(answer.batch_item_failures.is_empty());
    assert_eq!(functions.scene.number("select count(*) from suppressions", &[]).await, 1);
}

#[tokio::test]
async fn the_greeting_of_ses_to_a_new_topic_is_taken_and_changes_nothing() {
    let (functions, _) = Functions::with_a_planned_mail().await;
    let answer =
        feedback::handle(&functions.scene.db.as_role("martlet_feedback"), sample("feedback/greeting", &[])).await;
    assert!(answer.unwrap().batch_item_failures.is_empty());
    assert_eq!(functions.scene.number("select count(*) from message_events", &[]).await, 0);
}

#[tokio::test]
async fn what_the_database_says_of_a_row_is_not_told_to_the_log() {
    let scene = Scene::new().await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let insert = "insert into contacts (organization_id, id, email) values ($1, $2, 'jane@people.test')";
    tx.execute(insert, &[&scene.organization, &shared::ids::fresh()]).await.unwrap();
    let refused = tx.execute(insert, &[&scene.organization, &shared::ids::fresh()]).await.unwrap_err();
    let told = shared::error::describe(&refused);
    assert!(told.contains("23505") && told.contains("contacts_email_key"), "{told}");
    assert!(!told.contains("jane"), "{told}");
}

#[tokio::test]
async fn a_notification_that_is_no_report_stays_in_the_queue_alone() {
    let (functions, message) = Functions::with_a_planned_mail().await;
    let event = sample("sender/one", &[("ORGANIZATION_ID", "x"), ("MESSAGE_ID", "y")]);
    let answer = feedback::handle(&functions.scene.db.as_role("martlet_feedback"), event).await.unwrap();
    assert_eq!(answer.batch_item_failures.len(), 1);
    assert!(batch::json::<MessageKey>(&Default::default()).is_err());
    assert_eq!(functions.scene.states().await, "scheduled=1", "{message:?}");
}
