//! Why somebody has not been written to, asked at each turn of the claim and the sender.

use chrono::{DateTime, Duration, Utc};
use shared::audience::suppressions;
use shared::delivery::feedback::EventKind;
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::Answer;
use shared::outreach::enrollments::why::{self, ContactWhy, Why};
use shared::{CampaignId, ContactId, Error};
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

/// A stage on which `people` are due for the first of two mails.
async fn due(people: usize) -> (Stage, CampaignId, Vec<ContactId>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let scene = stage.scene.running_campaign(people, &[sender], 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    (stage, scene.campaign, scene.contacts)
}

async fn of_contact(stage: &Stage, contact: ContactId) -> ContactWhy {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let told = why::of_contact(&tx, &stage.letterhead.keys, contact).await.unwrap();
    tx.commit().await.unwrap();
    told
}

async fn only(stage: &Stage, contact: ContactId) -> Why {
    let mut told = of_contact(stage, contact).await.enrollments;
    assert_eq!(told.len(), 1);
    told.remove(0)
}

/// The codes that hold somebody's next mail, and until when at the latest.
async fn held(stage: &Stage, contact: ContactId) -> (String, Option<DateTime<Utc>>) {
    let told = only(stage, contact).await;
    for binding in &told.constraints {
        assert_eq!(binding.message, binding.code.sentence());
    }
    let codes: Vec<&str> = told.constraints.iter().map(|binding| binding.code.name()).collect();
    (codes.join(" "), told.earliest_at)
}

fn text(code: &str) -> String {
    code.to_owned()
}

#[tokio::test]
async fn what_is_told_changes_with_every_turn_of_the_mail() {
    let (stage, campaign, contacts) = due(1).await;
    let (now, person) = (wednesday_morning(), contacts[0]);
    assert_eq!(held(&stage, person).await, (text(""), Some(now)));
    stage.tick().await;
    assert_eq!(held(&stage, person).await, (text("message_due"), Some(now)));
    stage.at(now - Duration::minutes(1)).await;
    assert_eq!(held(&stage, person).await, (text("message_planned"), Some(now)));
    stage.at(now).await;
    stage.mailer.answer_next([Answer::Unclear("reset".to_owned())]);
    stage.deliver_queued().await;
    let told = only(&stage, person).await;
    assert_eq!((told.constraints[0].code.name(), told.earliest_at), ("message_unknown", None));
    assert!(told.constraints[0].since.is_some() && told.message_id.is_some());
    stage.age_attempts("31 minutes").await;
    stage.sweep().await;
    assert_eq!(held(&stage, person).await, (text("message_in_review"), None));

    let message = stage.messages().await[0];
    let event = stage.event(message, EventKind::Delivered).await;
    stage.apply(&[event]).await;
    let told = only(&stage, person).await;
    let in_two_days = Some(now + Duration::days(2));
    assert_eq!((told.next_due_at, told.earliest_at), (in_two_days, in_two_days));
    assert_eq!((told.constraints[0].code.name(), told.constraints[0].until), ("step_not_due", in_two_days));
    assert_eq!(told.next_step.map(|step| step.position), Some(2));

    stage.receive(message, "1@people.test", "").await;
    let told = only(&stage, person).await;
    let ended = told.ended.unwrap();
    assert_eq!((ended.code.name(), ended.at), ("replied", Some(now)));
    assert!(told.constraints.is_empty() && told.earliest_at.is_none() && told.next_step.is_none());
    assert_eq!(told.campaign_id, campaign);
}

#[tokio::test]
async fn each_rule_of_the_claim_is_told_while_it_holds() {
    let (stage, _, contacts) = due(1).await;
    let person = contacts[0];
    let limit = |scope: &str| {
        format!(
            "insert into limit_usage (organization_id, scope, scope_id, day, used)
             select organization_id, '{scope}', id, '2026-03-04', 1000 from {scope}s"
        )
    };
    for (close, open, code) in [
        (
            "update organizations set status = 'suspended'",
            "update organizations set status = 'active'",
            "organization_suspended",
        ),
        (
            "update campaigns set status = 'paused', paused_at = clock_now()",
            "update campaigns set status = 'active'",
            "campaign_paused",
        ),
        ("update campaigns set status = 'completed'", "update campaigns set status = 'active'", "campaign_not_active"),
        ("update senders set status = 'paused'", "update senders set status = 'active'", "sender_paused"),
        ("update senders set status = 'pending'", "update senders set status = 'active'", "sender_not_active"),
        ("update domains set status = 'failed'", "update domains set status = 'verified'", "domain_not_verified"),
        (
            "update campaign_settings set window_end = '09:30'",
            "update campaign_settings set window_end = '18:00'",
            "window_closed",
        ),
        (&limit("sender"), "delete from limit_usage", "sender_daily_limit"),
        (&limit("campaign"), "delete from limit_usage", "campaign_daily_limit"),
    ] {
        stage.scene.run(close, &[]).await;
        assert_eq!(held(&stage, person).await.0, code);
        assert_eq!(stage.tick().await.granted, 0, "{code}: what is told is what holds");
        stage.scene.run(open, &[]).await;
        assert_eq!(held(&stage, person).await.0, "", "{open}");
    }
    // The claim gives a slot whatever these say: the sender waits, or ends the way.
    stage.scene.run("update provider_accounts set breaker = 'open'", &[]).await;
    assert_eq!(held(&stage, person).await, (text("provider_paused"), None));
    stage.scene.run("update provider_accounts set breaker = 'closed'", &[]).await;
    let suppress = "insert into suppressions (organization_id, id, email_lower, reason)
                    select organization_id, gen_random_uuid(), email_lower, 'manual' from contacts";
    stage.scene.run(suppress, &[]).await;
    assert_eq!(held(&stage, person).await, (text("suppressed"), None));
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let keys = &stage.letterhead.keys;
    let found = suppressions::list(&tx, keys, &suppressions::Filter::default(), None, 1).await.unwrap();
    suppressions::forget(&tx, keys, found[0].id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(held(&stage, person).await, (text("suppressed"), None), "it is recognized by its hash");
    assert_eq!(stage.tick().await.granted, 1);
    stage.deliver_queued().await;
    assert_eq!(only(&stage, person).await.ended.unwrap().code.name(), "suppressed");
}

#[tokio::test]
async fn the_gap_behind_somebody_else_is_told_with_its_end() {
    let (stage, _, contacts) = due(2).await;
    stage.scene.run("update senders set gap_seconds = 120", &[]).await;
    assert_eq!(stage.tick().await.granted, 1);
    let mut told = vec![held(&stage, contacts[0]).await, held(&stage, contacts[1]).await];
    told.sort();
    let after = wednesday_morning() + Duration::minutes(2);
    assert_eq!(told, [(text("message_due"), Some(wednesday_morning())), (text("sender_gap"), Some(after))]);
}

#[tokio::test]
async fn a_step_that_came_to_nothing_is_told_with_its_reason() {
    let (stage, _, contacts) = due(1).await;
    stage.scene.run("update steps set body_template = '{{ nickname }}' where position = 1", &[]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let told = only(&stage, contacts[0]).await;
    let skipped = told.last_skipped.unwrap();
    assert_eq!((skipped.code.name(), skipped.state.name()), ("undefined_variable", "failed"));
    assert_eq!(told.next_step.map(|step| step.position), Some(2));
}

#[tokio::test]
async fn a_person_is_told_of_in_each_campaign_and_in_no_other_organization() {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    let contact: ContactId = stage.scene.rows("select id from contacts", &[]).await[0].get(0);
    let campaign: CampaignId =
        stage.scene.rows("select campaign_id from messages where id = $1", &[&messages[0].id]).await[0].get(0);
    let end =
        "update enrollments set status = 'stopped', stop_reason = 'removed', next_due_at = null where campaign_id = $1";
    stage.scene.run(end, &[&campaign]).await;
    let told = of_contact(&stage, contact).await;
    assert_eq!(told.enrollments.len(), 2);
    assert!(told.enrollments[0].ended.is_none(), "what goes on comes first");
    assert_eq!(told.enrollments[1].ended.unwrap().code.name(), "removed");
    assert_eq!(told.earliest_at, told.enrollments[0].earliest_at);

    let other = &told.enrollments[0];
    let (stranger, _) = stage.scene.another_organization("other").await;
    let MessageKey { organization, .. } = messages[0];
    for (organization, campaign, is_found) in
        [(organization, other.campaign_id, true), (organization, campaign, false), (stranger, other.campaign_id, false)]
    {
        let tx = stage.worker("martlet_app").begin(organization).await.unwrap();
        let found = why::of_enrollment(&tx, campaign, other.enrollment_id).await;
        assert_eq!(found.is_ok(), is_found);
        assert!(is_found || matches!(found, Err(Error::NotFound(_))));
        tx.commit().await.unwrap();
    }
    let tx = stage.worker("martlet_app").begin(stranger).await.unwrap();
    let theirs = why::of_contact(&tx, &stage.letterhead.keys, contact).await;
    assert!(matches!(theirs, Err(Error::NotFound(_))));
    tx.commit().await.unwrap();
}
