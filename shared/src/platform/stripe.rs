//! What Stripe tells through its webhook: who says so ([`verify`]) and what it says ([`Event`]).
//!
//! Source of both: Stripe's documentation, "Receive Stripe events in your webhook endpoint" and "Types of events".

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::subscriptions::Status;
use crate::delivery::tokens::KeyRing;
use crate::{Error, OrganizationId, Result};

/// How old what is signed may be, and how far ahead of our clock. Stripe's own libraries take this for their default.
const TOLERANCE: Duration = Duration::minutes(5);
/// How long after it was asked for a reference names its organization: a checkout that is begun within a day may lie for another one,
/// after which Stripe ends it.
const REFERENCE_WINDOW: Duration = Duration::hours(48);
/// Signatures of a header that are looked at. Stripe sends one for each secret of the endpoint, of which two may be in use.
const SIGNATURES: usize = 10;
/// Characters of an id of Stripe.
const ID_MAXIMUM: usize = 255;

/// The secret of the endpoint (`whsec_…`). It shows itself to nobody.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The secret as Stripe shows it.
    ///
    /// Errors: [`Error::Internal`] where there is none.
    pub fn new(text: &str) -> Result<Self> {
        match text.trim() {
            "" => Err(Error::internal("the secret of Stripe's webhook is empty")),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why something is not taken for Stripe's word. The reason is for people and holds nothing of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The header has no time, or no signature of the scheme that we know.
    Malformed,
    /// No signature is the one that the secret makes.
    Forged,
    /// It was signed too long ago, or in the future.
    Old,
}

impl Refusal {
    /// The same for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => "Stripe-Signature has no time or no signature v1",
            Self::Forged => "no signature is of this endpoint's secret",
            Self::Old => "the signature is not of the last five minutes",
        }
    }
}

/// That something was signed by Stripe, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    at: DateTime<Utc>,
}

impl Signed {
    /// Makes sure that it was within the last minutes: what somebody has overheard is of no use to them later.
    pub fn check_age(self, now: DateTime<Utc>) -> Result<(), Refusal> {
        if (now - self.at).abs() > TOLERANCE { Err(Refusal::Old) } else { Ok(()) }
    }
}

/// Makes sure that Stripe has signed `body`: the header `Stripe-Signature` names the time `t` and
/// signatures, of which one `v1` is the HMAC-SHA256 of `t.body` in hexadecimal. Every other scheme is passed over: whoever
/// could choose one would choose the weakest.
pub fn verify(secret: &Secret, header: &str, body: &[u8]) -> Result<Signed, Refusal> {
    let elements = || header.split(',').filter_map(|element| element.trim().split_once('='));
    let signed_at = elements().find(|(name, _)| *name == "t").map(|(_, value)| value).ok_or(Refusal::Malformed)?;
    let seconds: i64 = signed_at.parse().map_err(|_| Refusal::Malformed)?;
    let time = DateTime::from_timestamp(seconds, 0).ok_or(Refusal::Malformed)?;
    let mut expected = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()).map_err(|_| Refusal::Malformed)?;
    expected.update(signed_at.as_bytes());
    expected.update(b".");
    expected.update(body);
    let expected = expected.finalize().into_bytes();
    let (mut any, mut ours) = (false, Choice::from(0));
    for (_, value) in elements().filter(|(name, _)| *name == "v1").take(SIGNATURES) {
        any = true;
        let given = HEXLOWER_PERMISSIVE.decode(value.as_bytes()).unwrap_or_default();
        ours |= given.ct_eq(expected.as_slice());
    }
    match (any, bool::from(ours)) {
        (false, _) => Err(Refusal::Malformed),
        (true, false) => Err(Refusal::Forged),
        (true, true) => Ok(Signed { at: time }),
    }
}

/// An event, as far as we are concerned with it: ids, times and states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id, the same however often it is delivered.
    pub id: String,
    /// When it happened, in whole seconds. Events come in any order.
    pub occurred_at: DateTime<Utc>,
    /// Whose it is.
    pub customer: String,
    /// The organization that it names, where it was made to: by a reference of ours in `client_reference_id`, which whoever pays may
    /// write, or by `organization_id` among the metadata, which only who has the account's secret key can.
    pub organization: Option<OrganizationId>,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// `checkout.session.completed`: whose the customer is.
    Checkout,
    /// `customer.subscription.created`, `.updated`, `.trial_will_end` or `.deleted`: how a subscription stands.
    Subscription {
        /// Stripe's id of it.
        id: String,
        /// How it stands.
        status: Status,
        /// What is paid.
        price: Option<String>,
        /// Until when it is paid.
        period_ends_at: Option<DateTime<Utc>>,
        /// Whether it ends then.
        cancels_at_period_end: bool,
        /// What decides between events of the same second: an end comes last, and a beginning first.
        weight: i16,
    },
    /// `invoice.paid` or `invoice.payment_failed`, of a subscription.
    Invoice {
        /// Stripe's id of the subscription.
        subscription: String,
        /// Whether it was paid.
        is_paid: bool,
    },
}

impl Event {
    /// Reads an event; `None` for one that says nothing about a subscription. A reference that is not signed by `keys`, or was asked
    /// for too long ago, names nobody.
    ///
    /// Errors: [`Error::Invalid`] for what is no event of Stripe, or lacks what its type has.
    pub fn read(keys: &KeyRing, body: &[u8]) -> Result<Option<Self>> {
        let event: Value = serde_json::from_slice(body).map_err(|_| broken("body"))?;
        let id = text(&event, "id").ok_or_else(|| broken("id"))?;
        let occurred_at = time(&event["created"]).ok_or_else(|| broken("created"))?;
        let name = event["type"].as_str().ok_or_else(|| broken("type"))?;
        let object = &event["data"]["object"];
        let fact = match name {
            // A single payment makes nobody a subscriber.
            "checkout.session.completed" if object["mode"] == "subscription" => Fact::Checkout,
            "customer.subscription.created" => subscription(object, 1)?,
            "customer.subscription.updated" | "customer.subscription.trial_will_end" => subscription(object, 2)?,
            "customer.subscription.deleted" => subscription(object, 3)?,
            "invoice.paid" | "invoice.payment_failed" => {
                // Where it stands depends on the version of the API that the endpoint has. Without one, it is a bill of its own.
                let of = &object["parent"]["subscription_details"]["subscription"];
                let subscription = reference(of).or_else(|| reference(&object["subscription"]));
                let Some(subscription) = subscription else { return Ok(None) };
                Fact::Invoice { subscription, is_paid: name == "invoice.paid" }
            }
            _ => return Ok(None),
        };
        let customer = reference(&object["customer"]).ok_or_else(|| broken("data.object.customer"))?;
        let organization = match object["client_reference_id"].as_str() {
            Some(reference) => referred(keys, reference, &id, occurred_at),
            None => object["metadata"]["organization_id"].as_str().and_then(|named| named.parse().ok()),
        };
        Ok(Some(Self { id, occurred_at, customer, organization, fact }))
    }
}

/// By what a checkout of an organization is to name it, as its `client_reference_id`: whoever has it may pay for that organization, for
/// a day.
#[must_use]
pub fn reference_for_checkout(keys: &KeyRing, organization: OrganizationId, now: DateTime<Utc>) -> String {
    keys.checkout_token(organization.0, now)
}

/// The organization of a reference, at the time of the checkout.
fn referred(keys: &KeyRing, reference: &str, event: &str, at: DateTime<Utc>) -> Option<OrganizationId> {
    let opened = keys.open_checkout_token(reference);
    let found = opened.ok().filter(|(_, asked_at)| (-TOLERANCE..=REFERENCE_WINDOW).contains(&(at - asked_at)));
    if found.is_none() {
        tracing::error!(event_id = event, "somebody has paid under a reference that is not ours, or is too old");
    }
    found.map(|(organization, _)| OrganizationId(organization))
}

fn subscription(object: &Value, weight: i16) -> Result<Fact> {
    let item = &object["items"]["data"][0];
    Ok(Fact::Subscription {
        id: text(object, "id").ok_or_else(|| broken("data.object.id"))?,
        status: match object["status"].as_str().ok_or_else(|| broken("data.object.status"))? {
            "incomplete" => Status::None,
            "trialing" => Status::Trialing,
            "active" => Status::Active,
            "past_due" => Status::PastDue,
            // Nobody tries to collect what is unpaid, and a paused one waits for a means of payment: nothing is bought by either.
            "incomplete_expired" | "canceled" | "unpaid" | "paused" => Status::Canceled,
            _ => return Err(broken("data.object.status")),
        },
        price: text(&item["price"], "id"),
        period_ends_at: time(&item["current_period_end"]).or_else(|| time(&object["current_period_end"])),
        cancels_at_period_end: object["cancel_at_period_end"].as_bool().unwrap_or_default(),
        weight,
    })
}

/// An id, or the object that it names, as either stands where a reference is expanded.
fn reference(value: &Value) -> Option<String> {
    value.as_str().filter(|id| (1..=ID_MAXIMUM).contains(&id.len())).map(str::to_owned).or_else(|| text(value, "id"))
}

fn text(object: &Value, key: &str) -> Option<String> {
    object[key].as_str().filter(|id| (1..=ID_MAXIMUM).contains(&id.len()) && !id.contains('\0')).map(str::to_owned)
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(value.as_i64()?, 0)
}

fn broken(field: &str) -> Error {
    Error::invalid(field, "invalid", "this is not an event of Stripe as we know them")
}

#[cfg(test)]
mod tests;
