//! Every type of report that SES publishes, in the form in which it does, and what it changes.

use aws_lambda_events::sqs::SqsEvent;
use functions::events::feedback;
use serde_json::Value;
use testkit::Scene;

use crate::samples::sample;

/// A message that was sent as `ses-1`, to the only person of a campaign of two steps.
struct Sent {
    scene: Scene,
    message: String,
}

impl Sent {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let sender = scene.sender(1, 100, 30).await;
        scene.running_campaign(1, &[sender], 2, 100).await;
        scene
            .run(
                "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                       recipient, state, slot_day, send_at, expires_at, attempts, sent_at, provider_message_id)
                 select e.organization_id, gen_random_uuid(), 'one', e.id, e.campaign_id, s.id, e.contact_id, e.sender_id,
                        'Person1@People.test', 'sent', '2026-03-04', '2026-03-04 10:00:00+00', '2026-03-05 10:00:00+00', 1,
                        '2026-03-04 10:00:00+00', 'ses-1'
                   from enrollments e join steps s on s.campaign_id = e.campaign_id and s.position = 1",
                &[],
            )
            .await;
        let message: shared::MessageId = scene.rows("select id from messages", &[]).await[0].get(0);
        Self { scene, message: message.to_string() }
    }

    fn sample(&self, name: &str) -> SqsEvent {
        let organization = self.scene.organization.to_string();
        let fill = [
            ("ORGANIZATION_ID", organization.as_str()),
            ("MESSAGE_ID", &self.message),
            ("PROVIDER_MESSAGE_ID", "ses-1"),
        ];
        sample(&format!("feedback/{name}"), &fill)
    }

    /// Delivers the sample and says which of its messages stay in the queue.
    async fn report(&self, name: &str) -> Vec<String> {
        let db = self.scene.db.as_role("martlet_feedback");
        let answer = feedback::handle(&db, self.sample(name)).await.unwrap();
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    /// The events, the state with what is known of it, and how it stands with the person.
    async fn outcome(&self) -> [String; 3] {
        let mut outcome = [const { String::new() }; 3];
        for (text, sql) in outcome.iter_mut().zip([
            "select coalesce(string_agg(concat_ws(' ', kind, occurred_at at time zone 'UTC'), ', ' order by kind), '') from message_events",
            "select concat_ws(' ', state, outcome_code, case when delivered_at is not null then 'delivered' end,
                    case when bounced_at is not null then 'bounced' end, case when complained_at is not null then 'complained' end,
                    case when opened_at is not null then 'opened' end, case when clicked_at is not null then 'clicked' end,
                    case when unsubscribed_at is not null then 'unsubscribed' end) from messages",
            "select concat_ws(' ', c.status, e.status, s.reason) from contacts c join enrollments e on e.contact_id = c.id
               left join suppressions s on s.email_lower = c.email_lower",
        ]) {
            *text = self.scene.rows(sql, &[]).await[0].get(0);
        }
        outcome
    }

    async fn details(&self) -> Value {
        self.scene.rows("select details from message_events", &[]).await[0].get(0)
    }
}

#[tokio::test]
async fn each_type_is_recorded_once_and_stops_only_whom_it_should() {
    let goes_on = "active pending";
    // A mail that was refused after its acceptance is the end of its step.
    let went_on = "contacted in_progress";
    for (name, event, message, person) in [
        ("send", "sent 2026-03-04 10:00:00", "sent", goes_on),
        ("delivery", "delivered 2026-03-04 10:00:02", "sent delivered", goes_on),
        ("bounce", "bounced 2026-03-04 10:00:02", "sent bounced", "bounced bounced hard_bounce"),
        ("bounce_transient", "soft_bounced 2026-03-04 10:00:02", "sent", goes_on),
        ("bounce_undetermined", "soft_bounced 2026-03-04 10:00:02", "sent", goes_on),
        (
            "bounce_on_account_suppression_list",
            "bounced 2026-03-04 10:00:02",
            "sent bounced",
            "bounced bounced hard_bounce",
        ),
        ("complaint", "complained 2026-03-04 11:00:00", "sent complained", "unsubscribed stopped complaint"),
        (
            "complaint_on_account_suppression_list",
            "complained 2026-03-04 10:00:02",
            "sent complained",
            "unsubscribed stopped complaint",
        ),
        ("complaint_not_spam", "not_spam 2026-03-04 10:00:02", "sent", goes_on),
        ("reject", "rejected 2026-03-04 10:00:00", "failed rejected", went_on),
        ("open", "opened 2026-03-04 10:05:00", "sent opened", goes_on),
        ("open_without_a_program", "opened 2026-03-04 10:04:00", "sent", goes_on),
        ("click", "clicked 2026-03-04 10:06:00", "sent clicked", goes_on),
        ("rendering_failure", "rendering_failed 2026-03-04 10:00:00", "failed rendering_failed", went_on),
        ("delivery_delay", "delayed 2026-03-04 10:00:02", "sent", goes_on),
        ("subscription", "subscription_changed 2026-03-04 10:00:02", "sent", goes_on),
        (
            "subscription_to_nothing",
            "unsubscribed 2026-03-04 10:00:02",
            "sent unsubscribed",
            "unsubscribed unsubscribed unsubscribe",
        ),
    ] {
        let sent = Sent::new().await;
        for _ in 0..2 {
            assert!(sent.report(name).await.is_empty(), "{name}");
            assert_eq!(sent.outcome().await, [event, message, person], "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_report_says_beside_its_type_is_kept() {
    for (name, pointer, expected) in [
        ("bounce_on_account_suppression_list", "/sub_type", "OnAccountSuppressionList"),
        ("bounce_transient", "/diagnostic", "smtp; 452 4.2.2 the mailbox is full"),
        ("delivery_delay", "/diagnostic", "smtp; 452 4.2.2 the mailbox is full"),
        ("delivery_delay", "/type", "MailboxFull"),
        ("complaint_not_spam", "/type", "not-spam"),
        ("reject", "/reason", "Bad content"),
        ("rendering_failure", "/reason", "Attribute 'name' is not present in the rendering data."),
        ("click", "/link", "https://www.example.test/offer?a=1"),
        ("subscription", "/source", "UnsubscribeHeader"),
        ("open_without_a_program", "/machine", "unnamed"),
    ] {
        let sent = Sent::new().await;
        sent.report(name).await;
        assert_eq!(sent.details().await.pointer(pointer).unwrap(), expected, "{name}");
    }
    for (name, who) in [
        ("click", "2001:db8::1 Mozilla f"),
        ("open", "192.0.2.1 Mozilla f"),
        // Neither an address nor a program: it is kept, and nobody counts it.
        ("open_without_a_program", "t"),
    ] {
        let sent = Sent::new().await;
        sent.report(name).await;
        let sql = "select concat_ws(' ', host(ip), left(user_agent, 7), is_machine) from message_events";
        assert_eq!(sent.scene.rows(sql, &[]).await[0].get::<_, &str>(0), who, "{name}");
    }
}

#[tokio::test]
async fn a_type_or_a_message_that_is_not_known_fails_nothing_beside_it() {
    let sent = Sent::new().await;
    assert!(sent.report("unknown_type_and_fields").await.is_empty());
    let [events, message, person] = sent.outcome().await;
    assert_eq!(events, "delivered 2026-03-04 10:00:02");
    assert_eq!((message.as_str(), person.as_str()), ("sent delivered", "active pending"));
}

#[tokio::test]
async fn a_report_on_no_organization_or_message_of_ours_changes_nothing() {
    let sent = Sent::new().await;
    let (ours, nobody) = (sent.scene.organization.to_string(), shared::ids::fresh().to_string());
    let db = sent.scene.db.as_role("martlet_feedback");
    let (other, _) = sent.scene.another_organization("globex").await;
    let before = sent.outcome().await;
    for (organization, message) in [
        (&nobody, &sent.message),
        (&ours, &nobody),
        (&nobody, &nobody),
        (&other.to_string(), &sent.message),
        (&"x".to_owned(), &sent.message),
        (&ours, &String::new()),
    ] {
        let fill =
            [("ORGANIZATION_ID", organization.as_str()), ("MESSAGE_ID", message), ("PROVIDER_MESSAGE_ID", "ses-1")];
        for name in ["bounce", "complaint", "subscription_to_nothing", "reject"] {
            let answer = feedback::handle(&db, sample(&format!("feedback/{name}"), &fill)).await.unwrap();
            assert!(answer.batch_item_failures.is_empty(), "{organization} {message}");
        }
    }
    assert_eq!(sent.outcome().await, before);
    assert_eq!(sent.scene.number("select count(*) from suppressions", &[]).await, 0);
}
