//! The first days of an organization, by people's clock.

use chrono::Duration;
use serde_json::json;
use shared::platform::administration::organizations::Plan;
use shared::platform::onboarding::Step;
use shared::platform::subscriptions::{PlanSource, Status, TrialStatus};
use shared::{Error, OrganizationId};

use crate::office::{Office, at, until_waiting};
use crate::stripe::{deleted, told};

fn minutes(minutes: i64) -> Duration {
    Duration::minutes(minutes)
}

fn days(days: i64) -> Duration {
    Duration::days(days)
}

#[tokio::test]
async fn the_first_days_bring_each_mail_once_and_end_with_the_trial() {
    let office = Office::new().await;
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Pending);
    office.after(minutes(9)).await;
    assert_eq!(office.tick().await.organizations, 0);
    office.after(minutes(10)).await;
    assert_eq!(office.tick().await.sent, 1);
    assert_eq!(office.tick().await.organizations, 0, "nobody is looked at who has nothing due");
    assert_eq!(office.handed().await, ["welcome"]);
    office.after(minutes(60)).await;
    office.complete().await;
    assert_eq!(office.plan().await, "pro");
    let subscription = office.subscription().await;
    assert_eq!(subscription.trial.status, TrialStatus::Active);
    assert_eq!(subscription.trial.ends_at, Some(at(minutes(60) + days(7))));
    // The reminder was taken back; the trial's mails go by its beginning.
    office.after(minutes(120)).await;
    assert_eq!(office.tick().await.sent, 0);
    for (time, template) in [(days(2), "trial_day_2"), (days(5), "trial_day_5"), (days(7), "trial_expired")] {
        office.after(minutes(60) + time - minutes(1)).await;
        assert_eq!(office.tick().await.sent, 0, "{template}");
        office.after(minutes(60) + time).await;
        assert_eq!(office.tick().await.sent, 1, "{template}");
        assert_eq!(office.tick().await.sent, 0, "{template}");
    }
    assert_eq!(office.handed().await, ["welcome", "trial_day_2", "trial_day_5", "trial_expired"]);
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Expired);
    assert_eq!(office.plan().await, "free");
    let sent = |kind: &str| (kind.to_owned(), "sent".to_owned());
    let cancelled = ("onboarding_reminder".to_owned(), "cancelled".to_owned());
    let expected = [sent("welcome"), cancelled, sent("trial_day_2"), sent("trial_day_5"), sent("trial_expired")];
    assert_eq!(office.mails().await, expected);
}

#[tokio::test]
async fn whoever_stops_half_way_is_reminded_once() {
    let office = Office::new().await;
    office.after(minutes(119)).await;
    office.tell(json!({"step": "info_captured", "full_name": "Ada", "business_name": "Engines"})).await.unwrap();
    office.tick().await;
    office.after(minutes(120)).await;
    office.tick().await;
    office.after(days(1)).await;
    office.tick().await;
    assert_eq!(office.handed().await, ["welcome", "onboarding_reminder"]);
}

#[tokio::test]
async fn a_trial_is_over_for_whoever_reads_it_before_anybody_has_noted_it() {
    let office = Office::new().await;
    office.complete().await;
    office.after(days(7) - Duration::milliseconds(1)).await;
    assert_eq!(office.subscription().await.plan_type, "pro");
    office.after(days(7)).await;
    let read = office.subscription().await;
    assert_eq!((read.trial.status, read.plan_type.as_str()), (TrialStatus::Expired, "free"));
    assert_eq!(office.usage().await.plan_type, "free");
    assert_eq!(office.plan().await, "pro", "not noted yet");
    office.tick().await;
    let noted = office.subscription().await;
    assert_eq!((noted.trial.status, noted.plan_type.as_str()), (TrialStatus::Expired, "free"));
    assert_eq!(office.plan().await, "free");
}

#[tokio::test]
async fn a_plan_that_was_given_during_the_trial_survives_its_end() {
    let office = Office::new().await;
    office.complete().await;
    office.give(Plan::Enterprise).await;
    office.after(days(8)).await;
    assert_eq!(office.subscription().await.plan_type, "enterprise");
    office.tick().await;
    assert_eq!(office.plan().await, "enterprise");
}

#[tokio::test]
async fn a_given_plan_that_is_the_lent_one_does_not_end_with_the_trial() {
    let office = Office::new().await;
    office.complete().await;
    assert_eq!(office.subscription().await.plan_source, PlanSource::Trial);
    office.give(Plan::Pro).await;
    assert_eq!(office.subscription().await.plan_source, PlanSource::Administrator);
    office.after(days(8)).await;
    office.tick().await;
    assert_eq!(office.plan().await, "pro");
}

#[tokio::test]
async fn a_given_plan_that_is_taken_back_leaves_what_the_trial_lends() {
    let office = Office::new().await;
    office.complete().await;
    office.give(Plan::Enterprise).await;
    office.give(Plan::Free).await;
    let subscription = office.subscription().await;
    assert_eq!((subscription.plan_type.as_str(), subscription.plan_source), ("pro", PlanSource::Trial));
    office.give(Plan::Enterprise).await;
    office.after(days(8)).await;
    office.give(Plan::Free).await;
    let subscription = office.subscription().await;
    assert_eq!((subscription.plan_type.as_str(), subscription.plan_source), ("free", PlanSource::Default));
}

#[tokio::test]
async fn subscribing_takes_back_what_is_scheduled_of_the_trial() {
    let office = Office::new().await;
    office.complete().await;
    for time in [minutes(10), days(2)] {
        office.after(time).await;
        office.tick().await;
    }
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Converted);
    for day in 3..10 {
        office.after(days(day)).await;
        office.tick().await;
    }
    assert_eq!(office.handed().await, ["welcome", "trial_day_2"]);
    assert_eq!(office.plan().await, "basic", "no end of a trial takes away what is paid for");
    office.receive(&deleted(&office, 9)).await;
    office.after(days(20)).await;
    office.tick().await;
    assert_eq!(office.handed().await.len(), 2);
    assert_eq!(office.plan().await, "free");
}

#[tokio::test]
async fn the_other_order_ends_the_trial_first_and_subscribes_then() {
    let office = Office::new().await;
    office.complete().await;
    office.after(days(7)).await;
    office.tick().await;
    assert_eq!(office.plan().await, "free");
    office.receive(&told(&office, 0, Status::Active, "price_pro")).await;
    assert_eq!(office.plan().await, "pro");
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Converted);
    office.after(days(30)).await;
    assert_eq!(office.tick().await.organizations, 0);
    assert_eq!(office.plan().await, "pro");
}

#[tokio::test]
async fn whoever_has_subscribed_before_the_onboarding_is_done_gets_no_trial() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    office.complete().await;
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Converted);
    assert_eq!(office.plan().await, "basic");
    office.after(days(8)).await;
    office.tick().await;
    assert_eq!(office.handed().await, [""; 0], "the welcome is a week late");
}

/// What became of the trial of another organization, and that there is no mail of one.
async fn assert_no_trial(office: &Office, organization: OrganizationId) {
    let subscription = office.subscription_of(organization).await;
    assert_eq!((subscription.trial.status, subscription.plan_type.as_str()), (TrialStatus::Cancelled, "free"));
    let sql = "select count(*) from lifecycle_mails where organization_id = $1 and kind like 'trial%'";
    assert_eq!(office.scene.number(sql, &[&organization]).await, 0);
}

#[tokio::test]
async fn a_person_has_one_trial_in_all_their_organizations() {
    let office = Office::new().await;
    office.complete().await;
    let second = office.found(office.person, "second").await;
    office.complete_of(second, Some(office.person)).await;
    assert_no_trial(&office, second).await;
}

#[tokio::test]
async fn an_api_key_brings_its_founder_no_second_trial() {
    let office = Office::new().await;
    office.complete().await;
    let second = office.found(office.person, "second").await;
    office.complete_of(second, None).await;
    assert_no_trial(&office, second).await;
}

#[tokio::test]
async fn whoever_leaves_what_they_founded_brings_it_no_second_trial() {
    let office = Office::new().await;
    office.complete().await;
    let second = office.found(office.person, "second").await;
    let other = office.owner(second, "grace").await;
    let sql = "delete from memberships where organization_id = $1 and user_id = $2";
    office.scene.run(sql, &[&second, &office.person]).await;
    office.complete_of(second, Some(other)).await;
    assert_no_trial(&office, second).await;
    // Grace's own is not taken by it.
    let third = office.scene.another_organization("third").await.0;
    office.scene.run("update organizations set plan_type = 'free' where id = $1", &[&third]).await;
    let sql = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'owner')";
    office.scene.run(sql, &[&third, &other]).await;
    office.complete_of(third, None).await;
    assert_eq!(office.subscription_of(third).await.trial.status, TrialStatus::Active);
}

#[tokio::test]
async fn an_organization_that_nobody_founded_uses_up_the_trials_of_its_owners() {
    let office = Office::without_sign_up().await;
    let other = office.owner(office.scene.organization, "grace").await;
    office.complete_of(office.scene.organization, None).await;
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Active);
    for (owner, slug) in [(office.person, "second"), (other, "third")] {
        let founded = office.found(owner, slug).await;
        office.complete_of(founded, None).await;
        assert_no_trial(&office, founded).await;
    }
}

#[tokio::test]
async fn an_organization_without_owners_has_no_trial() {
    let office = Office::without_sign_up().await;
    office.scene.run("delete from memberships", &[]).await;
    office.complete_of(office.scene.organization, None).await;
    assert_no_trial(&office, office.scene.organization).await;
}

#[tokio::test]
async fn whoever_founds_an_organization_has_its_trial_and_its_first_mails() {
    let office = Office::without_sign_up().await;
    let second = office.found(office.person, "second").await;
    let sql = "select kind from lifecycle_mails where organization_id = $1 order by send_at";
    let mails: Vec<String> = office.scene.rows(sql, &[&second]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(mails, ["welcome", "onboarding_reminder"]);
    office.complete_of(second, None).await;
    let subscription = office.subscription_of(second).await;
    assert_eq!((subscription.trial.status, subscription.plan_source), (TrialStatus::Active, PlanSource::Trial));
}

#[tokio::test]
async fn an_organization_can_not_say_who_founded_it() {
    let office = Office::new().await;
    let tx = office.app.begin(office.scene.organization).await.unwrap();
    assert!(tx.execute("update onboarding set founder_id = null", &[]).await.is_err());
    drop(tx);
    // Nor begin that of another one.
    let (second, _) = office.scene.another_organization("second").await;
    let owner = office.owner(second, "grace").await;
    let tx = office.app.begin(office.scene.organization).await.unwrap();
    assert!(shared::platform::onboarding::begin(&tx, second, owner).await.is_err());
    assert_eq!(office.scene.number("select count(*) from onboarding where organization_id = $1", &[&second]).await, 0);
}

#[tokio::test]
async fn an_organization_that_is_no_longer_active_gets_no_mail() {
    let office = Office::new().await;
    office.scene.run("update organizations set status = 'suspended'", &[]).await;
    office.after(minutes(10)).await;
    office.tick().await;
    assert_eq!(office.handed().await, [""; 0]);
    assert_eq!(office.mails().await[0].1, "cancelled");
}

#[tokio::test]
async fn an_address_that_nobody_has_confirmed_gets_no_mail() {
    let office = Office::new().await;
    office.scene.run("update users set email_verified_at = null", &[]).await;
    office.after(minutes(10)).await;
    office.tick().await;
    assert_eq!(office.handed().await, [""; 0]);
    assert_eq!(office.mails().await[0].1, "cancelled");
    office.scene.run("update users set email_verified_at = now()", &[]).await;
    office.after(minutes(120)).await;
    office.tick().await;
    assert_eq!(office.handed().await, ["onboarding_reminder"]);
}

#[tokio::test]
async fn whoever_has_left_gets_no_mail() {
    let office = Office::new().await;
    office.scene.run("delete from memberships where user_id = $1", &[&office.person]).await;
    office.after(minutes(10)).await;
    office.tick().await;
    assert_eq!(office.handed().await, [""; 0]);
}

#[tokio::test]
async fn steps_keep_their_order_and_ask_for_what_they_need() {
    let office = Office::new().await;
    let refused = office.tell(json!({"step": "completed"})).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "onboarding_step_order", .. })));
    let Err(Error::Invalid(wrong)) = office.tell(json!({"step": "info_captured", "full_name": " "})).await else {
        panic!("names are needed");
    };
    assert_eq!(wrong.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["full_name", "business_name"]);
    office.complete().await;
    let repeated = office.tell(json!({"step": "completed"})).await.unwrap();
    assert_eq!((repeated.step, repeated.completed_at.is_some()), (Step::Completed, true));
    let back = office.tell(json!({"step": "pending"})).await;
    assert!(matches!(back, Err(Error::Conflict { code: "onboarding_step_order", .. })));
    let Err(Error::Invalid(_)) = office.tell(json!({"brand_description": null})).await else {
        panic!("what a step has needed stays");
    };
    let told = office.tell(json!({"industry": "Machines", "company_name": "Analytical Ltd"})).await.unwrap();
    assert_eq!(told.industry.as_deref(), Some("Machines"));
    assert_eq!(told.full_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(told.mails.len(), 5);
}

#[tokio::test]
async fn an_organization_that_nobody_signed_up_for_can_be_told_of_as_well() {
    let office = Office::without_sign_up().await;
    let found = office.act(async |tx| shared::platform::onboarding::find(tx).await).await.unwrap();
    assert_eq!((found.step, found.mails.len()), (Step::Pending, 0));
    office.complete().await;
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Active);
    office.after(days(2)).await;
    office.tick().await;
    assert_eq!(office.handed().await, ["trial_day_2"]);
}

#[tokio::test]
async fn two_who_complete_at_once_begin_one_trial() {
    let office = Office::new().await;
    office.tell(json!({"step": "info_captured", "full_name": "Ada", "business_name": "Engines"})).await.unwrap();
    office.tell(json!({"step": "intent_captured", "brand_description": "We compute."})).await.unwrap();
    let other = office.scene.db.app();
    let tx = other.begin(office.scene.organization).await.unwrap();
    let fields = || serde_json::from_value(json!({"step": "completed"})).unwrap();
    shared::platform::onboarding::update(&tx, Some(office.person), fields()).await.unwrap();
    let second = office.act(async |tx| shared::platform::onboarding::update(tx, Some(office.person), fields()).await);
    let first = async {
        until_waiting(&office.scene, 1).await;
        tx.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(second, first);
    assert_eq!(second.unwrap().step, Step::Completed);
    assert_eq!(office.mails().await.len(), 5);
    assert_eq!(office.scene.number("select count(*) from subscriptions where trial_status = 'active'", &[]).await, 1);
}
