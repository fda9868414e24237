//! What Stripe tells, in every order and several times.

use chrono::{DateTime, Duration};
use serde_json::json;
use shared::OrganizationId;
use shared::platform::stripe::{Event, Fact};
use shared::platform::subscriptions::Status;
use shared::platform::subscriptions::receiving::Received;
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
async fn nobody_takes_over_the_subscription_of_another_organization() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_pro")).await;
    let stranger = Event {
        customer: "cus_stranger".to_owned(),
        id: "evt_stranger".to_owned(),
        ..checkout(office.scene.organization)
    };
    assert_eq!(office.receive(&stranger).await, Received::Refused);
    assert_eq!(office.subscription().await.stripe_customer_id.as_deref(), Some(CUSTOMER));
    // And a customer stays with the organization whose it is, whatever an event names.
    let (second, _) = office.scene.another_organization("second").await;
    assert_eq!(office.receive(&Event { id: "evt_moved".to_owned(), ..checkout(second) }).await, Received::Taken);
    let sql = "select count(*) from subscriptions where stripe_customer_id = $1 and organization_id = $2";
    assert_eq!(office.scene.number(sql, &[&CUSTOMER, &office.scene.organization]).await, 1);
    assert_eq!(
        office.scene.number("select count(*) from subscriptions where organization_id = $1", &[&second]).await,
        0
    );
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
async fn a_plan_that_somebody_gave_stays_when_a_subscription_ends() {
    let office = Office::new().await;
    office.receive(&told(&office, 0, Status::Active, "price_basic")).await;
    office.scene.run("update organizations set plan_type = 'enterprise'", &[]).await;
    office.receive(&deleted(&office, 5)).await;
    assert_eq!(office.plan().await, "enterprise");
}
