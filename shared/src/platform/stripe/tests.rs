use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECRET: &str = "whsec_test_secret";
const SIGNED_AT: i64 = 1_492_774_577;
/// What is signed in Stripe's documentation of its header.
const BODY: &str = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}";
/// As Stripe's own library for Python (16.1) signs it.
const SIGNATURE: &str = "c2f890decbc5ede7c5060bb9a6d31e0626a4342bacb9aeae2adb1bcea72f9812";
/// The signatures of the example in Stripe's documentation, of a secret that is not told.
const OF_THE_DOCUMENTATION: &str = "v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn verified(header: &str, body: &str, now: i64) -> Result<(), Refusal> {
    verify(&Secret::new(SECRET).unwrap(), header, body.as_bytes())?.check_age(at(now))
}

#[test]
fn stripe_signature_is_verified_with_a_tolerance_of_five_minutes() {
    let header =
        format!("t={SIGNED_AT},v1={SIGNATURE},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39");
    for now in [SIGNED_AT, SIGNED_AT + 300, SIGNED_AT - 300] {
        assert_eq!(verified(&header, BODY, now), Ok(()), "{now}");
    }
    for now in [SIGNED_AT + 301, SIGNED_AT - 301, 0] {
        assert_eq!(verified(&header, BODY, now), Err(Refusal::Old), "{now}");
    }
    // The time is part of what is signed.
    let later = format!("t={},v1={SIGNATURE}", SIGNED_AT + 300);
    assert_eq!(verified(&later, BODY, SIGNED_AT + 301), Err(Refusal::Forged));
    assert_eq!(verified(&header, &BODY.replace("evt_test", "evt_tess"), SIGNED_AT), Err(Refusal::Forged));
    // The header of the documentation is read, and is of another secret.
    assert_eq!(verified(&format!("t={SIGNED_AT},{OF_THE_DOCUMENTATION}"), BODY, SIGNED_AT), Err(Refusal::Forged));
    let other = verify(&Secret::new("whsec_other").unwrap(), &header, BODY.as_bytes());
    assert_eq!(other, Err(Refusal::Forged));
}

#[test]
fn while_a_secret_is_rolled_one_signature_of_several_is_enough() {
    let wrong = "0".repeat(64);
    for header in [
        format!("t={SIGNED_AT},v1={wrong},v1={SIGNATURE}"),
        format!("t={SIGNED_AT},v1={SIGNATURE},v1={wrong}"),
        format!("t={SIGNED_AT}, v1={wrong}, v1=short, v1={SIGNATURE}"),
    ] {
        assert_eq!(verified(&header, BODY, SIGNED_AT), Ok(()), "{header}");
    }
}

#[test]
fn no_other_scheme_is_taken_and_nothing_is_read_into_a_broken_header() {
    for header in [
        String::new(),
        "t=".to_owned(),
        format!("v1={SIGNATURE}"),
        format!("t={SIGNED_AT}"),
        format!("t={SIGNED_AT},v0={SIGNATURE}"),
        format!("t={SIGNED_AT},v2={SIGNATURE}"),
        format!("t=now,v1={SIGNATURE}"),
        format!("t=99999999999999,v1={SIGNATURE}"),
    ] {
        assert_eq!(verified(&header, BODY, SIGNED_AT), Err(Refusal::Malformed), "{header}");
    }
    assert_eq!(verified(&format!("t={SIGNED_AT},v1="), BODY, SIGNED_AT), Err(Refusal::Forged));
}

proptest! {
    #[test]
    fn no_header_and_no_body_brings_it_down(header in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify(&Secret::new(SECRET).unwrap(), &header, &body).is_err());
        let _ = Event::read(&keys(), &body);
    }
}

#[test]
fn an_empty_secret_verifies_nothing() {
    assert!(Secret::new(" \n").is_err());
    assert_eq!(format!("{:?}", Secret::new(SECRET).unwrap()), "Secret");
}

fn read(name: &str, object: Value) -> Result<Option<Event>> {
    let event =
        json!({"id": "evt_1", "object": "event", "created": 1_700_000_000, "type": name, "data": {"object": object}});
    Event::read(&keys(), event.to_string().as_bytes())
}

fn keys() -> KeyRing {
    KeyRing::from_json(r#"{"current": 1, "key_1": "0123456789abcdef0123456789abcdef"}"#).unwrap()
}

#[test]
fn subscriptions_are_read_in_both_forms_of_the_api() {
    let old = json!({
        "id": "sub_1", "customer": "cus_1", "status": "past_due", "current_period_end": 1_700_000_100,
        "cancel_at_period_end": true, "items": {"data": [{"price": {"id": "price_1"}}]}
    });
    let new = json!({
        "id": "sub_1", "customer": {"id": "cus_1"}, "status": "past_due", "cancel_at_period_end": true,
        "items": {"data": [{"price": {"id": "price_1"}, "current_period_end": 1_700_000_100}]},
        "metadata": {}
    });
    for object in [old, new] {
        let event = read("customer.subscription.updated", object).unwrap().unwrap();
        assert_eq!(event.customer, "cus_1");
        assert_eq!(event.organization, None);
        let expected = Fact::Subscription {
            id: "sub_1".to_owned(),
            status: Status::PastDue,
            price: Some("price_1".to_owned()),
            period_ends_at: Some(at(1_700_000_100)),
            cancels_at_period_end: true,
            weight: 2,
        };
        assert_eq!(event.fact, expected);
    }
}

#[test]
fn invoices_name_their_subscription_in_both_forms_and_others_are_passed_over() {
    let expected = |is_paid| Fact::Invoice { subscription: "sub_1".to_owned(), is_paid };
    let old = json!({"customer": "cus_1", "subscription": "sub_1"});
    assert_eq!(read("invoice.paid", old).unwrap().unwrap().fact, expected(true));
    let new = json!({"customer": "cus_1", "parent": {"subscription_details": {"subscription": "sub_1"}}});
    assert_eq!(read("invoice.payment_failed", new).unwrap().unwrap().fact, expected(false));
    assert_eq!(read("invoice.paid", json!({"customer": "cus_1", "subscription": null})).unwrap(), None);
}

const ORGANIZATION: OrganizationId = OrganizationId(uuid::Uuid::from_u128(1));

/// The organization that a checkout with this reference is taken to be for.
fn referred_to(reference: &str) -> Option<OrganizationId> {
    let object = json!({"mode": "subscription", "customer": "cus_1", "client_reference_id": reference});
    read("checkout.session.completed", object).unwrap().unwrap().organization
}

#[test]
fn a_checkout_names_the_organization_by_a_reference_of_ours() {
    for asked_at in [1_700_000_000 - 48 * 3_600, 1_700_000_000, 1_700_000_300] {
        let reference = reference_for_checkout(&keys(), ORGANIZATION, at(asked_at));
        assert_eq!(referred_to(&reference), Some(ORGANIZATION), "{asked_at}");
        // What Stripe takes for such a reference.
        assert!(reference.len() <= 200);
        assert!(reference.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    }
}

#[test]
fn nobody_pays_under_a_reference_that_is_not_ours_or_too_old() {
    let good = reference_for_checkout(&keys(), ORGANIZATION, at(1_700_000_000));
    let forger = KeyRing::from_json(r#"{"current": 1, "key_1": "another0another0another0another0"}"#).unwrap();
    for reference in [
        ORGANIZATION.to_string(),
        reference_for_checkout(&forger, ORGANIZATION, at(1_700_000_000)),
        reference_for_checkout(&keys(), ORGANIZATION, at(1_700_000_000 - 48 * 3_600 - 1)),
        reference_for_checkout(&keys(), ORGANIZATION, at(1_700_000_000 + 301)),
        keys().unsubscribe_token(ORGANIZATION.0, uuid::Uuid::from_u128(1_700_000_000_000)),
        good.to_uppercase(),
        format!("{good}A"),
        String::new(),
    ] {
        assert_eq!(referred_to(&reference), None, "{reference}");
    }
    // Nor is what stands beside a reference taken in its place.
    let object = json!({
        "mode": "subscription", "customer": "cus_1", "client_reference_id": "forged", "metadata": {"organization_id": ORGANIZATION}
    });
    assert_eq!(read("checkout.session.completed", object).unwrap().unwrap().organization, None);
}

#[test]
fn metadata_name_the_organization_and_other_events_nothing() {
    let object = json!({"mode": "subscription", "customer": "cus_1", "metadata": {"organization_id": ORGANIZATION}});
    assert_eq!(read("checkout.session.completed", object).unwrap().unwrap().organization, Some(ORGANIZATION));
    let object = json!({"mode": "payment", "customer": null, "metadata": {"organization_id": ORGANIZATION}});
    assert_eq!(read("checkout.session.completed", object).unwrap(), None);
    assert_eq!(read("charge.refunded", json!({})).unwrap(), None);
}

#[test]
fn what_is_no_event_is_refused() {
    for body in ["", "null", "[]", "{}", r#"{"id": "evt_1", "created": "now", "type": "invoice.paid"}"#] {
        assert!(matches!(Event::read(&keys(), body.as_bytes()), Err(Error::Invalid(_))), "{body}");
    }
    for object in [
        json!({}),
        json!({"id": "sub_1", "customer": "cus_1", "status": "new"}),
        json!({"id": "sub_1", "status": "active"}),
    ] {
        assert!(matches!(read("customer.subscription.created", object), Err(Error::Invalid(_))));
    }
}
