//! What a person decides about mail in doubt, and what reports say of it before, meanwhile and afterwards.

use shared::delivery::feedback::EventKind;
use shared::delivery::messages::resolving::{self, Choice, Obstacle, Resolved, Selection};
use shared::delivery::messages::{self, MessageKey};
use shared::delivery::sending::Answer;
use shared::platform::audit::Actor;
use shared::{ApiKeyId, CampaignId, Error, MessageId};
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

/// A stage with `people` first mails of two in review.
async fn in_review(people: usize) -> (Stage, CampaignId, Vec<MessageKey>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(people, &[sender], 2, 1_000).await.campaign;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    let messages = stage.messages().await;
    for message in &messages {
        stage.mailer.answer_next([Answer::Unclear("reset".to_owned())]);
        stage.deliver(&[*message]).await;
        // Silence in a row would close the account for the others.
        stage.scene.run("update provider_accounts set breaker = 'closed', failures = 0, probe_at = null", &[]).await;
    }
    stage.queue.drain();
    to_review(&stage).await;
    assert_eq!(stage.scene.states().await, format!("review={people}"));
    (stage, campaign, messages)
}

/// Lets the grace of what is unknown pass.
async fn to_review(stage: &Stage) {
    stage.age_attempts("31 minutes").await;
    stage.sweep().await;
}

async fn resolve(stage: &Stage, message: MessageKey, choice: Choice) -> Result<&'static str, &'static str> {
    let tx = stage.worker("martlet_app").begin(message.organization).await.unwrap();
    match resolving::resolve_one(&tx, message.id, choice, Actor::ApiKey(ApiKeyId::fresh())).await {
        Ok(found) => {
            tx.commit().await.unwrap();
            Ok(found.why.code.name())
        }
        Err(Error::Conflict { code, .. }) => Err(code),
        Err(Error::NotFound(_)) => Err("not_found"),
        Err(error) => panic!("{error:?}"),
    }
}

async fn resolve_all(
    stage: &Stage,
    action: Choice,
    message_ids: Option<Vec<MessageId>>,
    campaign_id: Option<CampaignId>,
) -> Resolved {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let selection = Selection { action, message_ids, campaign_id };
    let resolved = resolving::resolve(&tx, selection, Actor::ApiKey(ApiKeyId::fresh())).await.unwrap();
    tx.commit().await.unwrap();
    resolved
}

async fn events(stage: &Stage, message: MessageKey) -> Vec<String> {
    let tx = stage.worker("martlet_app").begin(message.organization).await.unwrap();
    let found = messages::find(&tx, message.id).await.unwrap();
    tx.commit().await.unwrap();
    found.events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_skipped_mail_lets_its_person_go_on_and_stays_in_doubt() {
    let (stage, _, messages) = in_review(1).await;
    assert_eq!(resolve(&stage, messages[0], Choice::Skip).await, Ok("skipped"));
    assert_eq!((stage.scene.states().await, stage.people().await), ("review=1".to_owned(), "in_progress".to_owned()));
    assert_eq!(stage.slots_used("sender").await, 1, "it may have left");
    assert_eq!(events(&stage, messages[0]).await, ["skipped"]);
    let due = "select count(*) from enrollments where current_step = 1 and next_due_at = $1";
    let in_two_days = wednesday_morning() + chrono::Duration::days(2);
    assert_eq!(stage.scene.number(due, &[&in_two_days]).await, 1);
    assert_eq!(stage.sweep().await.oldest_unresolved_seconds, 0, "nobody waits for it");
    stage.check("after the choice").await;

    for choice in [Choice::Skip, Choice::Resend] {
        assert_eq!(resolve(&stage, messages[0], choice).await, Err("message_skipped"));
    }
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 1, "it is not sent again");

    // A report that comes late still says what became of it, and moves nobody twice.
    let event = stage.event(messages[0], EventKind::Delivered).await;
    stage.apply(&[event]).await;
    assert_eq!(stage.scene.states().await, "sent=1");
    assert_eq!(stage.scene.number(due, &[&in_two_days]).await, 1);
    assert_eq!(resolve(&stage, messages[0], Choice::Skip).await, Err("message_not_in_review"));
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_last_mail_skipped_completes_the_way_and_the_campaign() {
    let (stage, _, messages) = in_review(1).await;
    stage.scene.run("delete from steps where position = 2", &[]).await;
    resolve(&stage, messages[0], Choice::Skip).await.unwrap();
    assert_eq!(stage.people().await, "completed");
    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_mail_sent_again_is_the_same_message_under_another_slot() {
    let (stage, _, messages) = in_review(1).await;
    assert_eq!(resolve(&stage, messages[0], Choice::Resend).await, Ok("resent"));
    assert_eq!((stage.scene.states().await, stage.slots_used("sender").await), ("scheduled=1".to_owned(), 0));
    assert_eq!(resolve(&stage, messages[0], Choice::Resend).await, Err("message_not_in_review"));
    stage.check("after the choice").await;
    assert_eq!(stage.tick().await.granted, 1);
    stage.deliver_queued().await;
    assert_eq!((stage.mailer.handed().len(), stage.scene.states().await), (2, "sent=1".to_owned()));
    assert_eq!(stage.message(messages[0], "attempts").await.as_deref(), Some("2"));
    assert_eq!(stage.slots_used("sender").await, 1);
    assert_eq!(events(&stage, messages[0]).await, ["resent"]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_mail_sent_again_passes_every_limit_and_check() {
    let (stage, _, messages) = in_review(2).await;
    stage.scene.run("update senders set daily_limit = 1", &[]).await;
    for message in &messages {
        resolve(&stage, *message, Choice::Resend).await.unwrap();
    }
    assert_eq!(stage.tick().await.granted, 1);
    stage.scene.run("update campaigns set status = 'paused', paused_at = clock_now()", &[]).await;
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 2, "the first attempts alone");
    stage.check("at the end").await;
}

#[tokio::test]
async fn doubt_about_the_second_attempt_asks_again() {
    let (stage, _, messages) = in_review(1).await;
    resolve(&stage, messages[0], Choice::Resend).await.unwrap();
    stage.tick().await;
    stage.mailer.answer_next([Answer::Unclear("reset".to_owned())]);
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "unknown=1");
    assert_eq!(resolve(&stage, messages[0], Choice::Skip).await, Err("message_not_in_review"), "a report may come");
    to_review(&stage).await;
    assert_eq!(resolve(&stage, messages[0], Choice::Skip).await, Ok("skipped"));
    assert_eq!(events(&stage, messages[0]).await.len(), 2);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_report_on_the_first_attempt_calls_the_second_one_off() {
    let (stage, _, messages) = in_review(1).await;
    let event = stage.event(messages[0], EventKind::Delivered).await;
    resolve(&stage, messages[0], Choice::Resend).await.unwrap();
    stage.tick().await;
    stage.apply(&[event]).await;
    assert_eq!(stage.scene.states().await, "sent=1");
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_is_reported_of_either_attempt_counts() {
    let (stage, _, messages) = in_review(1).await;
    let mut complaint = stage.event(messages[0], EventKind::Complained).await;
    resolve(&stage, messages[0], Choice::Resend).await.unwrap();
    stage.tick().await;
    stage.deliver_queued().await;
    let delivered = stage.event(messages[0], EventKind::Delivered).await;
    assert_ne!(complaint.provider_message_id, delivered.provider_message_id);
    complaint.occurred_at = delivered.occurred_at;
    stage.apply(&[delivered]).await;
    assert_eq!(stage.apply(&[complaint]).await.new, 1);
    assert_eq!(stage.people().await, "stopped/complaint");
    assert_eq!(stage.scene.number("select count(*) from suppressions where reason = 'complaint'", &[]).await, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_refusal_of_one_attempt_says_nothing_of_the_other() {
    let (stage, _, messages) = in_review(1).await;
    let first = stage.event(messages[0], EventKind::Rejected).await;
    resolve(&stage, messages[0], Choice::Resend).await.unwrap();
    stage.tick().await;
    stage.deliver_queued().await;
    let second = stage.event(messages[0], EventKind::Rejected).await;
    stage.apply(&[first]).await;
    assert_eq!(stage.scene.states().await, "sent=1");
    stage.check("after the first").await;
    assert_eq!(stage.apply(std::slice::from_ref(&second)).await.new, 1);
    assert_eq!(stage.apply(&[second]).await.new, 0, "once each");
    assert_eq!((stage.scene.states().await, stage.slots_used("sender").await), ("failed=1".to_owned(), 0));
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_mail_that_was_to_go_again_and_was_stopped_turns_out_to_have_arrived() {
    let (stage, _, messages) = in_review(1).await;
    let event = stage.event(messages[0], EventKind::Delivered).await;
    resolve(&stage, messages[0], Choice::Resend).await.unwrap();
    stage.unsubscribe(messages[0]).await;
    assert_eq!(stage.scene.states().await, "cancelled=1");
    stage.apply(&[event]).await;
    assert_eq!((stage.scene.states().await, stage.people().await), ("sent=1".to_owned(), "unsubscribed".to_owned()));
    assert_eq!(stage.slots_used("sender").await, 1, "it has left, and counts");
    stage.check("at the end").await;
}

#[tokio::test]
async fn nothing_is_sent_again_to_whoever_has_stopped() {
    let (stage, _, messages) = in_review(1).await;
    stage.unsubscribe(messages[0]).await;
    // To unsubscribe is to have got it.
    let review = "update messages set state = 'review'";
    stage.scene.run(review, &[]).await;
    assert_eq!(resolve(&stage, messages[0], Choice::Resend).await, Err("message_not_waited_for"));
    assert_eq!(resolve(&stage, messages[0], Choice::Skip).await, Ok("skipped"));
    assert_eq!((stage.tick().await.granted, stage.people().await), (0, "unsubscribed".to_owned()));
}

#[tokio::test]
async fn many_are_resolved_at_once_and_what_cannot_be_is_named() {
    let (stage, campaign, messages) = in_review(4).await;
    let event = stage.event(messages[0], EventKind::Delivered).await;
    stage.apply(&[event]).await;
    let (stranger, _) = stage.scene.another_organization("other").await;
    let nobodys = MessageId::fresh();
    let named = vec![messages[1].id, nobodys, messages[0].id, messages[1].id];
    let Resolved { resolved, passed_over, has_more } = resolve_all(&stage, Choice::Skip, Some(named), None).await;
    assert_eq!((resolved, has_more), (vec![messages[1].id], false));
    let passed_over: Vec<_> = passed_over.into_iter().map(|passed| (passed.id, passed.code)).collect();
    assert!(passed_over.contains(&(nobodys, Obstacle::NotFound)), "{passed_over:?}");
    assert!(passed_over.contains(&(messages[0].id, Obstacle::MessageNotInReview)), "{passed_over:?}");

    let theirs = MessageKey { organization: stranger, id: messages[2].id };
    assert_eq!(resolve(&stage, theirs, Choice::Skip).await, Err("not_found"));

    let all = resolve_all(&stage, Choice::Resend, None, Some(campaign)).await;
    assert_eq!((all.resolved.len(), all.passed_over.len(), all.has_more), (2, 0, false));
    assert_eq!(stage.scene.states().await, "review=1 scheduled=2 sent=1");
    assert_eq!(resolve_all(&stage, Choice::Skip, None, Some(campaign)).await, Resolved::default());
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_campaign_with_more_than_go_at_once_is_resolved_in_several_requests() {
    let (stage, campaign, _) = in_review(1).await;
    let more = "insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, sender_id, recipient, state, slot_day,
                       send_at, expires_at)
                select m.organization_id, gen_random_uuid(), n::text, m.campaign_id, m.step_id, m.sender_id, 'x', 'review',
                       m.slot_day, m.send_at, m.expires_at
                  from messages m cross join generate_series(1, 1000) as n";
    assert_eq!(stage.scene.run(more, &[]).await, 1_000);
    // Nobody waits for the others.
    let again = resolve_all(&stage, Choice::Resend, None, Some(campaign)).await;
    assert_eq!((again.resolved.len(), again.has_more), (1, false));
    stage
        .scene
        .run("update messages set state = 'review', slot_day = '2026-03-04' where resent_at is not null", &[])
        .await;
    let first = resolve_all(&stage, Choice::Skip, None, Some(campaign)).await;
    assert_eq!((first.resolved.len(), first.has_more), (1_000, true));
    let last = resolve_all(&stage, Choice::Skip, None, Some(campaign)).await;
    assert_eq!((last.resolved.len(), last.has_more), (1, false));
}

#[tokio::test]
async fn a_choice_waits_for_a_report_that_has_begun_and_sees_it() {
    for choice in [Choice::Skip, Choice::Resend] {
        let (stage, _, messages) = in_review(1).await;
        // The report has the enrollment, and has not told yet.
        let report = stage.scene.db.as_role("martlet_feedback").begin_for(&[messages[0].organization]).await.unwrap();
        report.query("select from enrollments for update", &[]).await.unwrap();
        let told = async {
            stage.until_waiting(1).await;
            report.query("select from messages for update", &[]).await.unwrap();
            report.execute("update messages set state = 'sent', sent_at = clock_now()", &[]).await.unwrap();
            report.commit().await.unwrap();
        };
        let (chosen, ()) = tokio::join!(resolve(&stage, messages[0], choice), told);
        assert_eq!(chosen, Err("message_not_in_review"));
        assert_eq!((stage.scene.states().await, stage.slots_used("sender").await), ("sent=1".to_owned(), 1));
    }
}

#[tokio::test]
async fn choices_reports_and_claims_at_once_end_without_a_deadlock() {
    let (stage, campaign, messages) = in_review(30).await;
    let mut events = Vec::new();
    for (n, message) in messages.iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        let kind = if n % 3 == 0 { EventKind::Bounced } else { EventKind::Delivered };
        events.push(stage.event(*message, kind).await);
    }
    let reports = async {
        for batch in events.chunks(4) {
            stage.apply(batch).await;
        }
    };
    let choices = async {
        for (n, message) in messages.iter().enumerate().rev().step_by(3) {
            let _ = resolve(&stage, *message, if n % 2 == 0 { Choice::Skip } else { Choice::Resend }).await;
        }
        resolve_all(&stage, Choice::Resend, None, Some(campaign)).await;
    };
    let claims = async {
        for _ in 0..6 {
            stage.tick().await;
            stage.deliver_queued().await;
            stage.sweep().await;
        }
    };
    tokio::join!(reports, choices, claims);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(stage.scene.number(deadlocks, &[]).await, 0);
    stage.check("at the end").await;
}
