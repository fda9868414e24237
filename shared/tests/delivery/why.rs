//! Why a message stands where it stands, at each turn that it can take.

use chrono::{DateTime, Duration, Utc};
use shared::CampaignId;
use shared::audience::contacts;
use shared::audience::suppressions::{self, NewSuppression, Reason};
use shared::delivery::feedback::EventKind;
use shared::delivery::messages::{self, MessageKey, Why};
use shared::delivery::senders;
use shared::delivery::sending::{self, Answer};
use shared::outreach::{campaigns, enrollments};
use testkit::scene::wednesday_morning;
use tokio_postgres::types::FromSqlOwned;

use crate::stage::{HeldMailer, Stage};

/// A stage with `people` messages planned for now and their hints taken out of the queue.
async fn planned(people: usize) -> (Stage, Vec<MessageKey>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(people, &[sender], 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage.queue.drain();
    let messages = stage.messages().await;
    (stage, messages)
}

/// What the API would answer, which has the same role.
async fn why(stage: &Stage, key: MessageKey) -> Why {
    let tx = stage.worker("martlet_app").begin(key.organization).await.unwrap();
    let found = messages::find(&tx, key.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(found.why.message, found.why.code.sentence());
    found.why
}

async fn code(stage: &Stage, key: MessageKey) -> &'static str {
    why(stage, key).await.code.name()
}

/// An id that stands in the row of a message.
async fn id<T: FromSqlOwned>(stage: &Stage, key: MessageKey, column: &str) -> T {
    let sql = format!("select {column} from messages where id = $1");
    stage.scene.rows(&sql, &[&key.id]).await[0].get(0)
}

#[tokio::test]
async fn a_message_waits_for_its_time_goes_and_is_delivered() {
    let (stage, messages) = planned(1).await;
    let message = messages[0];
    assert_eq!(code(&stage, message).await, "due");
    stage.at(wednesday_morning() - Duration::seconds(1)).await;
    assert_eq!(code(&stage, message).await, "planned");
    stage.at(wednesday_morning()).await;

    let mailer = HeldMailer::new(Answer::Accepted("ses-1".to_owned()));
    let db = stage.worker("martlet_sender");
    let deliver = sending::deliver(&db, &mailer, &stage.letterhead, &messages);
    let look = async {
        mailer.until_called().await;
        let told = why(&stage, message).await;
        assert_eq!((told.code.name(), told.since.is_some()), ("handing_over", true));
        mailer.release();
    };
    let (delivered, ()) = tokio::join!(deliver, look);
    delivered.unwrap();
    let told = why(&stage, message).await;
    assert_eq!((told.code.name(), told.since), ("accepted", Some(wednesday_morning())));

    for (seconds, kind, expected) in [
        (2, EventKind::Delivered, "delivered"),
        (3, EventKind::Opened, "delivered"),
        (4, EventKind::Bounced, "bounced"),
        (6, EventKind::Complained, "complained"),
        (5, EventKind::Unsubscribed, "complained"),
        (7, EventKind::NotSpam, "complained"),
    ] {
        let mut event = stage.event(message, kind).await;
        event.occurred_at = wednesday_morning() + Duration::seconds(seconds);
        stage.apply(&[event]).await;
        assert_eq!(code(&stage, message).await, expected);
    }
    stage.at(wednesday_morning() + Duration::minutes(1)).await;
    stage.receive(message, "1@people.test", "").await;
    assert_eq!(code(&stage, message).await, "replied");
}

#[tokio::test]
async fn the_answers_of_the_provider_are_told() {
    let (stage, messages) = planned(5).await;
    let refused = Answer::Refused {
        code: "MessageRejected".to_owned(),
        detail: "Email address is not verified.".to_owned(),
        address_at_fault: false,
    };
    // Ours by its name, and not by who has said it: what was sent is not said of it.
    let misnamed = Answer::Refused { code: "replied".to_owned(), detail: String::new(), address_at_fault: false };
    let answers = [
        (Answer::Later("429".to_owned()), "provider_busy"),
        (Answer::AccountClosed("paused".to_owned()), "provider_paused"),
        (refused, "refused"),
        (misnamed, "refused"),
        (Answer::Unclear("reset".to_owned()), "unclear_answer"),
    ];
    for (message, (answer, _)) in messages.iter().zip(&answers) {
        stage.mailer.always_answer(message.id, answer.clone());
    }
    stage.deliver(&messages).await;
    // The account is closed, so whatever is due waits for that.
    assert_eq!(code(&stage, messages[0]).await, "provider_paused");
    for (message, (_, expected)) in messages.iter().zip(&answers).skip(1) {
        assert_eq!(code(&stage, *message).await, *expected);
    }
    stage.scene.run("update provider_accounts set breaker = 'closed', probe_at = null", &[]).await;
    assert_eq!(code(&stage, messages[0]).await, "provider_busy");
    let told = why(&stage, messages[1]).await;
    assert_eq!((told.code.name(), told.since.is_some()), ("account_closed", true));

    stage.age_attempts("31 minutes").await;
    stage.sweep().await;
    assert_eq!(code(&stage, messages[4]).await, "review");
    for (message, kind, expected) in
        [(4, EventKind::Rejected, "rejected"), (0, EventKind::RenderingFailed, "rendering_failed")]
    {
        let event = stage.event(messages[message], kind).await;
        stage.apply(&[event]).await;
        assert_eq!(code(&stage, messages[message]).await, expected);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_has_recorded_is_told() {
    let (stage, messages) = planned(1).await;
    let died = "update messages set state = 'sending', attempt_token = gen_random_uuid(), attempts = 1,
                       attempted_at = now() - interval '3 minutes', enqueue_again_at = null";
    stage.scene.run(died, &[]).await;
    assert_eq!(stage.sweep().await.now_unknown, 1);
    assert_eq!(code(&stage, messages[0]).await, "no_outcome_recorded");
}

#[tokio::test]
async fn what_holds_a_message_is_told_while_it_does_and_what_it_waits_for_afterwards() {
    for (close, open, held, afterwards) in [
        (
            "update organizations set status = 'suspended'",
            "update organizations set status = 'active'",
            "organization_suspended",
            "organization_was_suspended",
        ),
        (
            "update campaigns set status = 'completed'",
            "update campaigns set status = 'active'",
            "campaign_not_active",
            "campaign_was_not_active",
        ),
        (
            "update senders set status = 'pending'",
            "update senders set status = 'active'",
            "sender_not_active",
            "sender_was_not_active",
        ),
        (
            "update domains set status = 'failed'",
            "update domains set status = 'verified'",
            "domain_not_verified",
            "domain_was_not_verified",
        ),
    ] {
        let (stage, messages) = planned(1).await;
        for hours in [-1, 0] {
            stage.at(wednesday_morning() + Duration::hours(hours)).await;
            stage.scene.run(close, &[]).await;
            assert_eq!(code(&stage, messages[0]).await, held, "{close}");
            stage.scene.run(open, &[]).await;
            assert_eq!(code(&stage, messages[0]).await, if hours < 0 { "planned" } else { "due" }, "{open}");
        }
        stage.scene.run(close, &[]).await;
        stage.deliver(&messages).await;
        assert_eq!(code(&stage, messages[0]).await, held, "{close}");
        stage.scene.run(open, &[]).await;
        assert_eq!(code(&stage, messages[0]).await, afterwards, "{open}");
        stage.tick().await;
        assert_eq!(code(&stage, messages[0]).await, "due", "it has another slot");
    }
}

#[tokio::test]
async fn a_pause_is_told_with_its_time() {
    let (stage, messages) = planned(1).await;
    let campaign = id(&stage, messages[0], "campaign_id").await;
    let sender = id(&stage, messages[0], "sender_id").await;
    let db = stage.worker("martlet_app");
    let tx = db.begin(stage.scene.organization).await.unwrap();
    campaigns::pause(&tx, campaign).await.unwrap();
    tx.commit().await.unwrap();
    let told = why(&stage, messages[0]).await;
    assert_eq!((told.code.name(), told.since), ("campaign_paused", Some(wednesday_morning())));
    let tx = db.begin(stage.scene.organization).await.unwrap();
    campaigns::resume(&tx, campaign).await.unwrap();
    senders::pause(&tx, sender, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(code(&stage, messages[0]).await, "sender_paused");
}

#[tokio::test]
async fn a_message_that_lost_its_slot_says_to_what() {
    for (change, expected) in [
        ("update campaign_settings set window_end = '09:30'", "window_closed"),
        ("update senders set timezone = 'Pacific/Kiritimati'", "another_day"),
        ("update contacts set email = 'other@people.test'", "address_changed"),
    ] {
        let (stage, messages) = planned(1).await;
        stage.scene.run(change, &[]).await;
        assert_eq!(code(&stage, messages[0]).await, "due", "{change}");
        stage.deliver(&messages).await;
        assert_eq!(code(&stage, messages[0]).await, expected, "{change}");
    }
}

#[tokio::test]
async fn a_message_that_an_outage_made_late_expires() {
    let (stage, messages) = planned(1).await;
    stage.scene.run("update provider_accounts set breaker = 'open', probe_at = now() + interval '1 hour'", &[]).await;
    stage.deliver(&messages).await;
    assert_eq!(code(&stage, messages[0]).await, "provider_paused");
    stage.at(wednesday_morning() + Duration::hours(4) + Duration::seconds(1)).await;
    let latest = Some(wednesday_morning() + Duration::hours(4));
    let told = why(&stage, messages[0]).await;
    assert_eq!((told.code.name(), told.since), ("expiring", latest));
    stage.scene.run("update provider_accounts set breaker = 'closed', probe_at = null", &[]).await;
    stage.deliver(&messages).await;
    let told = why(&stage, messages[0]).await;
    assert_eq!((told.code.name(), told.since), ("too_late", latest));
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_says_what_is_wrong_with_it() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let long = "{{ company }}".repeat(2_000);
    let loops = "{% for a in custom.n %}{% for b in custom.n %}{% for c in custom.n %}{{ c }}{% endfor %}{% endfor %}{% endfor %}";
    let templates = [
        ("body", "Dear {{ first_name", "syntax"),
        ("body", "Dear {{ nickname }}", "undefined_variable"),
        ("body", "{% for one in 1 %}{{ one }}{% endfor %}", "wrong_type"),
        ("body", loops, "too_expensive"),
        ("body", &long, "too_long"),
        ("subject", "Hello\nBcc: {{ email }}", "subject_line_break"),
        ("subject", "{{ \"\" }}", "empty_subject"),
        ("body", r#"A {{ "\u0000" }} word"#, "not_composable"),
    ];
    for (part, template, _) in templates {
        let step = stage.scene.running_campaign(1, &[sender], 1, 1_000).await.steps[0];
        stage.scene.run(&format!("update steps set {part}_template = $2 where id = $1"), &[&step, &template]).await;
    }
    let values = "update contacts set company = repeat('x', 2000),
                         custom = jsonb_build_object('n', (select jsonb_agg(n) from generate_series(1, 200) as n))";
    stage.scene.run(values, &[]).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    assert!(stage.mailer.handed().is_empty());
    for (message, (.., template, expected)) in stage.messages().await.into_iter().zip(templates) {
        let detail = stage.message(message, "outcome_detail").await;
        assert_eq!(code(&stage, message).await, expected, "{template}: {detail:?}");
    }
}

#[tokio::test]
async fn a_suppression_is_told_with_its_reason_unless_the_address_is_forgotten() {
    for (reason, expected) in [
        (Reason::HardBounce, "suppressed_hard_bounce"),
        (Reason::Complaint, "suppressed_complaint"),
        (Reason::Unsubscribe, "suppressed_unsubscribe"),
        (Reason::Manual, "suppressed_manual"),
    ] {
        let (stage, messages) = planned(1).await;
        // One that nobody has stopped the person for: the claim has the last word.
        let sql = "insert into suppressions (organization_id, id, email_lower, reason)
                   select organization_id, gen_random_uuid(), lower(recipient), $1 from messages";
        stage.scene.run(sql, &[&reason.name()]).await;
        stage.deliver(&messages).await;
        let told = why(&stage, messages[0]).await;
        assert_eq!((told.code.name(), told.since), (expected, Some(wednesday_morning())));

        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        let keys = &stage.letterhead.keys;
        let found = suppressions::list(&tx, keys, &suppressions::Filter::default(), None, 1).await.unwrap();
        suppressions::forget(&tx, keys, found[0].id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(code(&stage, messages[0]).await, "suppressed");
    }
}

/// What may end somebody's way while their next mail is planned.
async fn stop(stage: &Stage, how: &str, sent: MessageKey) {
    let reported = match how {
        "bounced" => Some(EventKind::Bounced),
        "complained" => Some(EventKind::Complained),
        _ => None,
    };
    if let Some(kind) = reported {
        let event = stage.event(sent, kind).await;
        stage.apply(&[event]).await;
        return;
    }
    match how {
        "replied" => {
            stage.receive(sent, "1@people.test", "").await;
            return;
        }
        "unsubscribed" => return stage.unsubscribe(sent).await,
        _ => {}
    }
    let campaign = id::<CampaignId>(stage, sent, "campaign_id").await;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    match how {
        "suppressed" => {
            let email = stage.message(sent, "recipient").await.unwrap();
            let given = NewSuppression { email: Some(email), reason: Reason::Manual, ..NewSuppression::default() };
            suppressions::create(&tx, given).await.unwrap();
        }
        "archived" => drop(campaigns::archive(&tx, campaign).await.unwrap()),
        "removed" => {
            let enrollment = id(stage, sent, "enrollment_id").await;
            enrollments::remove(&tx, campaign, enrollment).await.unwrap();
        }
        "deleted" => {
            let contact = id(stage, sent, "contact_id").await;
            contacts::delete(&tx, contact, None).await.unwrap();
        }
        other => panic!("nothing is known of {other}"),
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_took_a_message_back_is_told() {
    let friday = wednesday_morning() + Duration::days(2);
    for (how, expected) in [
        ("replied", "person_replied"),
        ("bounced", "address_bounced"),
        ("complained", "person_complained"),
        ("unsubscribed", "person_unsubscribed"),
        ("suppressed", "address_suppressed"),
        ("archived", "campaign_archived"),
        ("removed", "person_removed"),
        ("deleted", "contact_deleted"),
    ] {
        let (stage, sent) = planned(1).await;
        stage.deliver(&sent).await;
        stage.at(friday).await;
        stage.tick().await;
        let next = stage.messages().await.into_iter().find(|message| *message != sent[0]).unwrap();
        assert_eq!(code(&stage, next).await, "due", "{how}");
        stop(&stage, how, sent[0]).await;
        let told = why(&stage, next).await;
        // The way of a contact that is deleted is deleted as well.
        let since: Option<DateTime<Utc>> = (how != "deleted").then_some(friday);
        assert_eq!((told.code.name(), told.since), (expected, since), "{how}");
    }
}

#[tokio::test]
async fn a_message_that_nobody_waits_for_says_so_before_its_turn_and_after() {
    let (stage, messages) = planned(1).await;
    let stopped = "update enrollments set status = 'stopped', stop_reason = 'removed', waiting_message_id = null";
    stage.scene.run(stopped, &[]).await;
    assert_eq!(code(&stage, messages[0]).await, "ending");
    stage.deliver(&messages).await;
    assert_eq!(code(&stage, messages[0]).await, "not_waited_for");
}
