//! What becomes of a planned message when its hint arrives.

use chrono::{DateTime, Duration, Utc};
use futures_util::future::join_all;
use shared::delivery::feedback::EventKind;
use shared::delivery::sending::{self, Answer};
use testkit::scene::wednesday_morning;

use crate::stage::{HeldMailer, Stage};

/// A stage with `people` messages planned and their hints taken out of the queue.
async fn planned(people: usize, steps: usize) -> (Stage, Vec<shared::delivery::messages::MessageKey>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(people, &[sender], steps, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage.queue.drain();
    let messages = stage.messages().await;
    assert_eq!(messages.len(), people);
    (stage, messages)
}

fn refused(address_at_fault: bool) -> Answer {
    Answer::Refused { code: "MessageRejected".to_owned(), detail: "no\0t this".to_owned(), address_at_fault }
}

#[tokio::test]
async fn the_same_hint_again_and_again_is_one_acceptance() {
    let (stage, messages) = planned(3, 1).await;
    let twice: Vec<_> = messages.iter().chain(&messages).copied().collect();
    stage.deliver(&twice).await;
    stage.deliver(&messages).await;
    stage.deliver(&messages).await;
    assert_eq!(stage.mailer.handed().len(), 3);
    assert_eq!(stage.scene.states().await, "sent=3");
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_same_hints_at_many_workers_are_one_acceptance_each() {
    let (stage, messages) = planned(20, 1).await;
    join_all((0..6).map(|_| stage.deliver(&messages))).await;
    stage.deliver(&messages).await;
    assert_eq!(stage.mailer.accepted().len(), 20);
    assert_eq!(stage.mailer.handed().len(), 20);
    stage.check("at the end").await;
}

#[tokio::test]
async fn each_answer_has_its_outcome() {
    let (stage, messages) = planned(6, 2).await;
    let answers = [
        Answer::Accepted("ses-1".to_owned()),
        Answer::Later("429".to_owned()),
        refused(false),
        refused(true),
        Answer::AccountClosed("paused".to_owned()),
        Answer::Unclear("reset".to_owned()),
    ];
    for (message, answer) in messages.iter().zip(answers) {
        stage.mailer.always_answer(message.id, answer);
    }
    let delivered = stage.deliver(&messages).await;
    assert!(delivered.unrecorded.is_empty());
    let sql = "select m.state, m.slot_day is not null, m.attempts, m.outcome_code, e.status, e.current_step,
                      e.next_due_at = clock_now() + interval '2 days', e.waiting_message_id = m.id,
                      extract(epoch from m.enqueue_again_at - m.updated_at)::float8 between 2.4 and 5.1
                 from messages m join enrollments e on e.id = m.enrollment_id order by m.recipient";
    let rows = stage.scene.rows(sql, &[]).await;
    type Row<'a> = (&'a str, bool, i32, Option<&'a str>, &'a str, i32, Option<bool>, Option<bool>, Option<bool>);
    let found: Vec<Row<'_>> = rows
        .iter()
        .map(|r| (r.get(0), r.get(1), r.get(2), r.get(3), r.get(4), r.get(5), r.get(6), r.get(7), r.get(8)))
        .collect();
    let expected: [Row<'_>; 6] = [
        ("sent", true, 1, None, "in_progress", 1, Some(true), None, None),
        ("scheduled", true, 1, Some("provider_busy"), "pending", 0, None, Some(true), Some(true)),
        ("failed", false, 1, Some("MessageRejected"), "in_progress", 1, Some(true), None, None),
        ("failed", false, 1, Some("MessageRejected"), "stopped", 0, None, None, None),
        ("scheduled", true, 1, Some("account_closed"), "pending", 0, None, Some(true), Some(true)),
        ("unknown", true, 1, Some("unclear_answer"), "pending", 0, None, Some(true), None),
    ];
    assert_eq!(found, expected);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_throttled_mail_goes_later_and_waits_longer_each_time() {
    let (stage, messages) = planned(1, 1).await;
    stage.mailer.answer_next([Answer::Later("429".to_owned()), Answer::Later("429".to_owned())]);
    let wait = "select extract(epoch from enqueue_again_at - updated_at)::bigint from messages";
    stage.deliver(&messages).await;
    assert!((2..=5).contains(&stage.scene.number(wait, &[]).await));
    stage.deliver(&messages).await;
    assert!((5..=10).contains(&stage.scene.number(wait, &[]).await));
    stage.pass_machine_time().await;
    assert_eq!(stage.sweep().await.enqueued_again, 1);
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=1");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_late_mail_expires_and_the_next_step_follows() {
    let (stage, messages) = planned(1, 2).await;
    stage.at(wednesday_morning() + Duration::hours(4)).await;
    stage.deliver(&[]).await;
    stage.at(wednesday_morning() + Duration::hours(4) + Duration::seconds(1)).await;
    stage.deliver(&messages).await;
    assert_eq!(stage.scene.states().await, "expired=1");
    assert_eq!(stage.slots_used("sender").await, 0);
    let due: DateTime<Utc> = stage.scene.rows("select next_due_at from enrollments", &[]).await[0].get(0);
    assert_eq!(due, wednesday_morning() + Duration::days(2) + Duration::hours(4) + Duration::seconds(1));
    assert!(stage.mailer.handed().is_empty());
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_may_not_go_now_is_the_same_message_with_another_slot() {
    for (close, open, code) in [
        ("update campaigns set status = 'paused'", "update campaigns set status = 'active'", "campaign_not_active"),
        ("update senders set status = 'paused'", "update senders set status = 'active'", "sender_not_active"),
        ("update domains set status = 'failed'", "update domains set status = 'verified'", "domain_not_verified"),
        (
            "update organizations set status = 'suspended'",
            "update organizations set status = 'active'",
            "organization_suspended",
        ),
        (
            "update campaign_settings set window_end = '09:30'",
            "update campaign_settings set window_end = '18:00'",
            "window_closed",
        ),
        ("update senders set timezone = 'Pacific/Kiritimati'", "update senders set timezone = 'UTC'", "another_day"),
    ] {
        let (stage, messages) = planned(2, 1).await;
        stage.scene.run(close, &[]).await;
        stage.deliver(&messages).await;
        assert!(stage.mailer.handed().is_empty(), "{close}");
        assert_eq!(stage.message(messages[0], "outcome_code").await.as_deref(), Some(code));
        assert_eq!(stage.slots_used("sender").await, 0, "{close}");
        stage.check(close).await;
        stage.scene.run(open, &[]).await;
        assert_eq!(stage.tick().await.granted, 2, "{open}");
        assert_eq!(stage.messages().await, messages, "the rows are the same");
        stage.check(open).await;
        stage.deliver_queued().await;
        assert_eq!(stage.scene.states().await, "sent=2");
        assert_eq!(stage.slots_used("campaign").await, 2);
        stage.check("at the end").await;
    }
}

#[tokio::test]
async fn a_mail_whose_letter_cannot_be_written_fails_and_the_next_step_follows() {
    for (change, code) in [
        ("update steps set body_template = 'Dear {{ nickname }}' where position = 1", "undefined_variable"),
        ("update contacts set first_name = null", "undefined_variable"),
        (r#"update steps set body_template = 'A {{ "\u0000" }} word' where position = 1"#, "not_composable"),
    ] {
        let (stage, messages) = planned(1, 2).await;
        stage.scene.run(change, &[]).await;
        let delivered = stage.deliver(&messages).await;
        assert!(delivered.unrecorded.is_empty());
        assert_eq!(stage.scene.states().await, "failed=1", "{change}");
        assert_eq!(stage.message(messages[0], "outcome_code").await.as_deref(), Some(code), "{change}");
        assert_eq!(stage.people().await, "in_progress");
        assert!(stage.mailer.handed().is_empty());
        stage.check(change).await;
    }
}

#[tokio::test]
async fn nothing_of_a_person_breaks_out_of_a_header() {
    let (stage, messages) = planned(1, 1).await;
    stage.scene.run("update contacts set first_name = E'Eve\\r\\nBcc: victim@people.test'", &[]).await;
    stage.deliver(&messages).await;
    for mail in stage.mailer.handed() {
        let head = mail.raw.split("\r\n\r\n").next().unwrap().to_owned();
        assert!(!head.to_lowercase().contains("\r\nbcc:"), "{head}");
    }
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_mail_carries_what_a_mail_must_carry_and_the_second_step_continues_the_thread() {
    let (stage, messages) = planned(1, 2).await;
    stage.mailer.answer_next([Answer::Accepted("0100-first".to_owned())]);
    stage.deliver(&messages).await;
    stage.at(wednesday_morning() + Duration::days(2)).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let raw: Vec<String> =
        stage.mailer.handed().iter().map(|mail| mail.raw.replace("\r\n ", " ").replace("\r\n\t", " ")).collect();
    assert_eq!(raw.len(), 2);
    for mail in &raw {
        let token = format!("List-Unsubscribe: <{}/u/", stage.letterhead.public_url);
        assert!(mail.contains(&token), "{mail}");
        assert!(mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{mail}");
        assert!(mail.contains("@reply.example.test"), "{mail}");
        assert!(mail.contains("1 Test Street, Berlin"), "{mail}");
    }
    assert!(!raw[0].contains("In-Reply-To"));
    assert!(raw[1].contains("In-Reply-To: <0100-first@email.amazonses.com>"), "{}", raw[1]);
    assert!(raw[1].contains("References: <0100-first@email.amazonses.com>"), "{}", raw[1]);
    let body = stage.message(messages[0], "body").await;
    assert_eq!(body.as_deref(), Some("A word, Person 1."));
}

#[tokio::test]
async fn a_record_after_an_event_changes_nothing() {
    let (stage, messages) = planned(1, 2).await;
    let mailer = HeldMailer::new(Answer::Unclear("reset".to_owned()));
    let db = stage.worker("martlet_sender");
    let deliver = sending::deliver(&db, &mailer, &stage.letterhead, &messages);
    let resolve = async {
        mailer.until_called().await;
        assert_eq!(stage.scene.states().await, "sending=1");
        let event = stage.event(messages[0], EventKind::Sent).await;
        stage.apply(&[event]).await;
        assert_eq!(stage.scene.states().await, "sent=1");
        mailer.release();
    };
    let (delivered, ()) = tokio::join!(deliver, resolve);
    assert!(delivered.unwrap().unrecorded.is_empty());
    assert_eq!(stage.scene.states().await, "sent=1");
    assert!(stage.message(messages[0], "provider_message_id").await.unwrap().starts_with("ses-"));
    assert_eq!(stage.message(messages[0], "body").await.as_deref(), Some("A word, Person 1."));
    let contacted = "select count(*) from contacts where status = 'contacted'";
    assert_eq!(stage.scene.number(contacted, &[]).await, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn an_outcome_that_could_not_be_recorded_is_reported_becomes_unknown_and_is_resolved_by_an_event() {
    let (stage, messages) = planned(1, 2).await;
    let mailer = HeldMailer::new(Answer::Accepted("ses-x".to_owned()));
    let db = stage.worker("martlet_sender");
    let deliver = sending::deliver(&db, &mailer, &stage.letterhead, &messages);
    let cut = async {
        mailer.until_called().await;
        stage.scene.run("revoke update on messages from martlet_sender", &[]).await;
        mailer.release();
    };
    let (delivered, ()) = tokio::join!(deliver, cut);
    assert_eq!(delivered.unwrap().unrecorded, messages);
    stage.scene.run("grant update on messages to martlet_sender", &[]).await;
    assert_eq!(stage.scene.states().await, "sending=1");
    assert_eq!(stage.sweep().await.now_unknown, 0, "the function may still live");
    stage.deliver(&messages).await;
    stage.age_attempts("3 minutes").await;
    assert_eq!(stage.sweep().await.now_unknown, 1);
    stage.deliver(&messages).await;
    assert!(stage.mailer.handed().is_empty(), "what may have been accepted is never sent again");
    stage.check("while it is unknown").await;

    stage.at(wednesday_morning() + Duration::hours(3)).await;
    let mut event = stage.event(messages[0], EventKind::Delivered).await;
    event.provider_message_id = "ses-x".to_owned();
    event.sent_at = wednesday_morning() + Duration::minutes(1);
    stage.apply(&[event]).await;
    assert_eq!(stage.scene.states().await, "sent=1");
    let due: DateTime<Utc> = stage.scene.rows("select next_due_at from enrollments", &[]).await[0].get(0);
    assert_eq!(
        due,
        wednesday_morning() + Duration::days(2) + Duration::minutes(1),
        "from the send, not from the report"
    );
    stage.check("at the end").await;
}

#[tokio::test]
async fn one_outcome_that_cannot_be_written_keeps_no_other_from_being_recorded() {
    let (stage, messages) = planned(3, 1).await;
    // A trigger stands for whatever makes one row unwritable.
    stage
        .scene
        .run(
            "create function refuse() returns trigger language plpgsql as $$ begin
                 if new.recipient = 'person2@people.test' and old.state = 'sending' then raise exception 'unwritable'; end if;
                 return new; end $$",
            &[],
        )
        .await;
    stage
        .scene
        .run("create trigger refuse before update on messages for each row execute function refuse()", &[])
        .await;
    let delivered = stage.deliver(&messages).await;
    assert_eq!(delivered.unrecorded, [messages[1]]);
    assert_eq!(stage.scene.states().await, "sending=1 sent=2");
}

#[tokio::test]
async fn a_mail_planned_for_an_old_address_is_planned_anew_for_the_new_one() {
    let (stage, messages) = planned(1, 1).await;
    stage.scene.run("update contacts set email = 'new@people.test'", &[]).await;
    stage.deliver(&messages).await;
    assert!(stage.mailer.handed().is_empty());
    assert_eq!(stage.tick().await.granted, 1);
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.accepted(), ["new@people.test"]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_hint_before_its_time_leaves_the_message_alone() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 60).await;
    stage.scene.running_campaign(3, &[sender], 1, 1_000).await;
    stage.tick_ahead(Duration::minutes(2)).await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "scheduled=2 sent=1");
    stage.check("at the end").await;
}

#[tokio::test]
async fn an_early_end_of_the_contact_takes_back_what_is_planned() {
    let (stage, messages) = planned(2, 2).await;
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    let contact = stage.scene.rows("select contact_id from messages where id = $1", &[&messages[0].id]).await[0].get(0);
    shared::audience::contacts::delete(&tx, contact, None).await.unwrap();
    tx.commit().await.unwrap();
    stage.deliver(&messages).await;
    assert_eq!(stage.scene.states().await, "cancelled=1 sent=1");
    stage.check("at the end").await;
}
