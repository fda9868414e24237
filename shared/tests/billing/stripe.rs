//! What Stripe tells, in every order and several times.

use chrono::{DateTime, Duration};
use serde_json::json;
use shared::OrganizationId;
use shared::platform::administration::organizations::Plan;
use shared::platform::stripe::{Event, Fact};
use shared::platform::subscriptions::receiving::Received;
use shared::platform::subscriptions::{PlanSource, Status, TrialStatus};
use testkit::scene::wednesday_morning;

use crate::office::Office;

const CUSTOMER: &str = "cus_1";

fn event(id: &str, second: i64, fact: Fact) -> Event {
    Event {
        id: id.to_owned(),
        occurred_at: DateTime::from_timestamp(1_772_618_400 + second, 0).unwrap(),
        customer: CUSTOMER.to_owned(),
        organization: None,
        fact,
    }
}

fn subscription(second: i64, status: Status, price: &str, weight: i16) -> Event {
    let fact = Fact::Subscription {
        id: "sub_1".to_owned(),
        status,
        price: Some(price.to_owned()),
        period_ends_at: Some(wednesday_morning() + Duration::days(30)),
        cancels_at_period_end: false,
        weight,
    };
    event(&format!("evt_{second}_{}_{weight}", status.name()), second, fact)
}

/// An event that names the organization among its metadata.
pub(crate) fn told(office: &Office, second: i64, status: Status, price: &str) -> Event {
    Event { organization: Some(office.scene.organization), ..subscription(second, status, price, 2) }
}

pub(crate) fn deleted(office: &Office, second: i64) -> Event {
    Event { organization: Some(office.scene.organization), ..subscription(second, Status::Canceled, "price_basic", 3) }
}

fn checkout(organization: OrganizationId) -> Event {
    Event { organization: Some(organization), ..event("evt_checkout", 1, Fact::Checkout) }
}

fn billed(second: i64, is_paid: bool) -> Event {
    event(&format!("evt_bill_{second}"), second, Fact::Invoice { subscription: "sub_1".to_owned(), is_paid })
}

#[tokio::test]
async fn a_subscription_goes_its_way_and_the_plan_with_it() {
    let office = Office::new().await;
    assert_eq!(office.receive(&checkout(office.scene.organization)).await, Received::Taken);
    assert_eq!(office.subscription().await.status, Status::None);
    assert_eq!(office.plan().await, "free");
    for (event, status, plan) in [
        (subscription(2, Status::None, "price_pro", 1), Status::None, "free"),
        (subscription(3, Status::Trialing, "price_pro", 2), Status::Trialing, "pro"),
        (subscription(4, Status::Active, "price_pro", 2), Status::Active, "pro"),
        (billed(5, false), Status::PastDue, "pro"),
        (billed(6, true), Status::Active, "pro"),
        (subscription(7, Status::Active, "price_basic", 2), Status::Active, "basic"),
        (subscription(8, Status::Canceled, "price_basic", 3), Status::Canceled, "free"),
    ] {
        assert_eq!(office.receive(&event).await, Received::Taken);
        let subscription = office.subscription().await;
        assert_eq!((subscription.status, office.plan().await.as_str()), (status, plan), "{}", event.id);
        assert_eq!(subscription.stripe_customer_id.as_deref(), Some(CUSTOMER));
    }
    let acts = office
        .scene
        .rows("select details->'after'->>'status' from audit_log where action = 'subscription.changed'", &[]);
    assert_eq!(acts.await.len(), 6);
}

#[tokio::test]
async fn an_event_counts_once_and_what_comes_late_takes_nothing_back() {
    let office = Office::new().await;
    let (active, ended) = (told(&office, 2, Status::Active, "price_pro"), deleted(&office, 9));
    assert_eq!(office.receive(&active).await, Received::Taken);
    assert_eq!(office.receive(&active).await, Received::Known);
    assert_eq!(office.receive(&ended).await, Received::Taken);
    assert_eq!(office.receive(&active).await, Received::Known, "a replay after the end");
    assert_eq!(office.receive(&told(&office, 5, Status::Active, "price_pro")).await, Received::Taken);
    assert_eq!(office.subscription().await.status, Status::Canceled);
    assert_eq!(office.plan().await, "free");
}

#[tokio::test]
async fn a_subscription_that_is_told_of_before_its_checkout_waits_for_it() {
    let office = Office::new().await;
    let created = subscription(0, Status::Active, "price_basic", 1);
    let paid = billed(0, true);
    for event in [&created, &paid, &created] {
        assert_eq!(office.receive(event).await, Received::Waiting);
    }
    assert_eq!(office.subscription().await.status, Status::None);
    assert_eq!(office.receive(&checkout(office.scene.organization)).await, Received::Taken);
    let subscription = office.subscription().await;
    assert_eq!((subscription.status, subscription.plan_type.as_str()), (Status::Active, "basic"));
    assert_eq!(subscription.stripe_subscription_id.as_deref(), Some("sub_1"));
    assert_eq!(office.scene.number("select count(*) from stripe_events_waiting", &[]).await, 0);
    assert_eq!(office.receive(&created).await, Received::Known);
}

#[tokio::test]
async fn a_second_customer_of_an_organization_is_refused_nothing() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    // Somebody else of the organization pays, and what Stripe tells of it comes before the checkout.
    let of_another = |event: Event| Event { customer: "cus_2".to_owned(), organization: None, ..event };
    let better = of_another(Event {
        id: "evt_better".to_owned(),
        fact: Fact::Subscription {
            id: "sub_2".to_owned(),
            status: Status::Active,
            price: Some("price_pro".to_owned()),
            period_ends_at: None,
            cancels_at_period_end: false,
            weight: 2,
        },
        ..told(&office, 5, Status::Active, "price_pro")
    });
    assert_eq!(office.receive(&better).await, Received::Waiting);
    let checkout = Event { customer: "cus_2".to_owned(), ..checkout(office.scene.organization) };
    assert_eq!(office.receive(&checkout).await, Received::Taken);
    let subscription = office.subscription().await;
    assert_eq!(subscription.plan_type, "pro");
    assert_eq!(subscription.stripe_customer_id.as_deref(), Some("cus_2"));
    assert_eq!(office.receive(&better).await, Received::Known);
    // The first goes on beside it, and counts again when the second has ended.
    office.receive(&told(&office, 6, Status::Active, "price_basic")).await;
    assert_eq!(office.plan().await, "pro");
    let Fact::Subscription { id, price, period_ends_at, cancels_at_period_end, .. } = better.fact else {
        panic!("it tells of a subscription");
    };
    let fact =
        Fact::Subscription { id, status: Status::Canceled, price, period_ends_at, cancels_at_period_end, weight: 3 };
    let ended = Event { customer: "cus_2".to_owned(), ..event("evt_ended", 9, fact) };
    assert_eq!(office.receive(&ended).await, Received::Taken);
    let subscription = office.subscription().await;
    assert_eq!((subscription.plan_type.as_str(), subscription.status), ("basic", Status::Active));
    assert_eq!(subscription.stripe_customer_id.as_deref(), Some(CUSTOMER));
}

#[tokio::test]
async fn a_customer_stays_with_the_organization_whose_it_is() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_pro")).await;
    let (second, _) = office.scene.another_organization("second").await;
    assert_eq!(office.receive(&Event { id: "evt_moved".to_owned(), ..checkout(second) }).await, Received::Taken);
    let sql = "select count(*) from stripe_customers where id = $1 and organization_id = $2";
    assert_eq!(office.scene.number(sql, &[&CUSTOMER, &office.scene.organization]).await, 1);
    for sql in [
        "select count(*) from subscriptions where organization_id = $1",
        "select count(*) from stripe_customers where organization_id = $1",
    ] {
        assert_eq!(office.scene.number(sql, &[&second]).await, 0);
    }
}

#[tokio::test]
async fn an_organization_that_does_not_exist_is_a_customer_whom_nobody_knows() {
    let office = Office::new().await;
    assert_eq!(office.receive(&checkout(OrganizationId::fresh())).await, Received::Waiting);
}

#[tokio::test]
async fn a_price_that_nobody_knows_changes_no_plan() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_unknown")).await;
    let subscription = office.subscription().await;
    assert_eq!((subscription.status, subscription.plan_type.as_str()), (Status::Active, "free"));
    assert_eq!(subscription.paid_plan, None);
    let prices = json!({"price_unknown": "basic"}).to_string();
    office.scene.run("update system_config set value = $1 where key = 'prices'", &[&prices]).await;
    office.receive(&told(&office, 1, Status::Active, "price_unknown")).await;
    assert_eq!(office.plan().await, "basic");
}

#[tokio::test]
async fn a_price_that_nobody_knows_ends_no_trial_and_keeps_no_lent_plan() {
    let office = Office::new().await;
    office.complete().await;
    office.receive(&told(&office, 0, Status::Active, "price_unknown")).await;
    let subscription = office.subscription().await;
    assert_eq!((subscription.status, subscription.trial.status), (Status::Active, TrialStatus::Active));
    assert_eq!((subscription.plan_type.as_str(), subscription.plan_source), ("pro", PlanSource::Trial));
    office.after(Duration::days(8)).await;
    office.tick().await;
    assert_eq!(office.plan().await, "free");
    assert_eq!(office.subscription().await.trial.status, TrialStatus::Expired);
}

#[tokio::test]
async fn what_was_paid_for_once_is_not_had_for_a_price_that_nobody_knows() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_pro")).await;
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "free");
    office.receive(&told(&office, 9, Status::Active, "price_unknown")).await;
    assert_eq!(office.plan().await, "free");
}

#[tokio::test]
async fn a_price_that_nobody_knows_leaves_what_was_paid_for_until_it_ends() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    office.receive(&told(&office, 1, Status::Active, "price_unknown")).await;
    assert_eq!(office.plan().await, "basic");
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "free");
}

#[tokio::test]
async fn what_was_paid_for_is_not_kept_by_another_subscription_whose_price_nobody_knows() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_pro")).await;
    let mut other = told(&office, 1, Status::Active, "price_unknown");
    if let Fact::Subscription { id, .. } = &mut other.fact {
        *id = "sub_other".to_owned();
    }
    office.receive(&other).await;
    assert_eq!(office.plan().await, "pro");
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "free", "whichever of the two was told first");
}

#[tokio::test]
async fn stripe_changes_no_plan_that_somebody_gave() {
    let office = Office::new().await;
    office.give(Plan::Enterprise).await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    let subscription = office.subscription().await;
    assert_eq!((subscription.plan_type.as_str(), subscription.paid_plan.as_deref()), ("enterprise", Some("basic")));
    assert_eq!(subscription.plan_source, PlanSource::Administrator);
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "enterprise");
}

#[tokio::test]
async fn a_given_plan_that_is_taken_back_leaves_what_is_paid_for() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    office.give(Plan::Enterprise).await;
    office.give(Plan::Free).await;
    let subscription = office.subscription().await;
    assert_eq!((subscription.plan_type.as_str(), subscription.plan_source), ("basic", PlanSource::Stripe));
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "free");
}

#[tokio::test]
async fn a_given_plan_that_is_the_paid_one_stays_when_the_subscription_ends() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    office.give(Plan::Basic).await;
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "basic");
}
