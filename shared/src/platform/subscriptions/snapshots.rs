//! How subscriptions stand by what was told of them, in whatever order it came.
//!
//! Of a subscription itself and of its invoices the newest word counts, each by itself; how it stands follows from the two.

use chrono::{DateTime, Utc};

use super::Status;
use crate::platform::stripe::{Event, Fact};

/// What is known of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) id: String,
    /// Who pays for it.
    pub(super) customer: Option<String>,
    /// As the subscription itself was told of last.
    pub(super) status: Status,
    pub(super) price_id: Option<String>,
    pub(super) period_ends_at: Option<DateTime<Utc>>,
    pub(super) cancels_at_period_end: bool,
    /// When that was, and what it weighs among what was told in the same second.
    pub(super) told: Option<(DateTime<Utc>, i16)>,
    /// When its latest invoice was told of, and whether that was paid.
    pub(super) invoice: Option<(DateTime<Utc>, bool)>,
}

impl Snapshot {
    /// One of which nothing is known yet.
    pub(super) fn unknown(id: &str, customer: &str) -> Self {
        Self {
            id: id.to_owned(),
            customer: Some(customer.to_owned()),
            status: Status::None,
            price_id: None,
            period_ends_at: None,
            cancels_at_period_end: false,
            told: None,
            invoice: None,
        }
    }

    /// Takes what an event tells; false when something newer was told before.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        match &event.fact {
            Fact::Checkout => false,
            Fact::Subscription { status, price, period_ends_at, cancels_at_period_end, weight, .. } => {
                let told = (event.occurred_at, *weight);
                if self.told.is_some_and(|known| known > told) {
                    return false;
                }
                self.status = *status;
                self.price_id.clone_from(price);
                self.period_ends_at = *period_ends_at;
                self.cancels_at_period_end = *cancels_at_period_end;
                self.told = Some(told);
                true
            }
            Fact::Invoice { is_paid, .. } => {
                // Of two in one second the payment comes last: it was tried before it came.
                let told = (event.occurred_at, *is_paid);
                if self.invoice.is_some_and(|known| known > told) {
                    return false;
                }
                self.invoice = Some(told);
                true
            }
        }
    }

    /// How it stands. An invoice that was told of later than the subscription makes a payment late, or no longer late, and nothing
    /// else: the first of a subscription, and those of Stripe's own trial, begin and end nothing.
    pub(super) fn standing(&self) -> Status {
        let later = self.invoice.filter(|(at, _)| self.told.is_none_or(|(told, _)| *at > told));
        match (self.status, later) {
            (Status::Active | Status::Trialing, Some((_, false))) => Status::PastDue,
            (Status::PastDue, Some((_, true))) => Status::Active,
            (status, _) => status,
        }
    }
}

/// The one that an organization lives by: a live one before one that has ended, of these the one that pays for the best plan, whoever
/// pays, then a paid one before one that is not, then the newest. `plan_of` ranks what a price pays for.
pub(super) fn decisive(snapshots: &[Snapshot], plan_of: impl Fn(&str) -> Option<usize>) -> Option<&Snapshot> {
    let rank = |status| match status {
        Status::None => 0,
        Status::Canceled => 1,
        Status::PastDue => 2,
        Status::Trialing => 3,
        Status::Active => 4,
    };
    snapshots.iter().max_by_key(|snapshot| {
        let status = snapshot.standing();
        let plan = snapshot.price_id.as_deref().filter(|_| status.is_live()).and_then(&plan_of);
        (status.is_live(), plan, rank(status), snapshot.told, &snapshot.id)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(second: i64, fact: Fact) -> Event {
        Event {
            id: format!("evt_{second}"),
            occurred_at: DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap(),
            customer: "cus_1".to_owned(),
            organization: None,
            fact,
        }
    }

    fn told(second: i64, status: Status, weight: i16) -> Event {
        let fact = Fact::Subscription {
            id: "sub_1".to_owned(),
            status,
            price: Some("price_1".to_owned()),
            period_ends_at: None,
            cancels_at_period_end: false,
            weight,
        };
        event(second, fact)
    }

    fn billed(second: i64, is_paid: bool) -> Event {
        event(second, Fact::Invoice { subscription: "sub_1".to_owned(), is_paid })
    }

    fn after<'a>(events: impl IntoIterator<Item = &'a Event>) -> Snapshot {
        let mut snapshot = Snapshot::unknown("sub_1", "cus_1");
        for event in events {
            snapshot.take(event);
        }
        snapshot
    }

    #[test]
    fn what_comes_late_takes_nothing_back() {
        let (created, updated) = (told(0, Status::None, 1), told(0, Status::Active, 2));
        assert_eq!(after([&updated, &created]).standing(), Status::Active, "the same second");
        let (deleted, late) = (told(9, Status::Canceled, 3), told(9, Status::Active, 2));
        assert_eq!(after([&deleted, &late]).standing(), Status::Canceled);
    }

    #[test]
    fn an_invoice_makes_a_payment_late_and_no_longer_late() {
        let active = told(1, Status::Active, 2);
        assert_eq!(after([&active, &billed(5, false)]).standing(), Status::PastDue);
        assert_eq!(after([&active, &billed(5, false), &billed(6, true)]).standing(), Status::Active);
        assert_eq!(after([&active, &billed(0, false)]).standing(), Status::Active, "of before");
        let incomplete = told(1, Status::None, 1);
        assert_eq!(after([&incomplete, &billed(2, false)]).standing(), Status::None, "its first payment");
        let trialing = told(1, Status::Trialing, 1);
        assert_eq!(after([&trialing, &billed(2, true)]).standing(), Status::Trialing, "the bill over nothing");
        let ended = told(3, Status::Canceled, 3);
        assert_eq!(after([&ended, &billed(4, true)]).standing(), Status::Canceled, "nobody comes back by a payment");
    }

    #[test]
    fn an_organization_lives_by_its_live_subscription() {
        let mut old = after([&told(1, Status::Active, 1), &told(20, Status::Canceled, 3)]);
        old.id = "sub_0".to_owned();
        let new = after([&told(10, Status::Active, 1)]);
        let by_price = |price: &str| ["price_1", "price_2"].iter().position(|known| *known == price);
        assert_eq!(decisive(&[old.clone(), new.clone()], by_price).unwrap().id, "sub_1");
        assert_eq!(decisive(&[new.clone(), old.clone()], by_price).unwrap().id, "sub_1");
        assert_eq!(decisive(&[old.clone()], by_price).unwrap().standing(), Status::Canceled);
        assert_eq!(decisive(&[], by_price), None);
        // Of two that are paid at once the better plan counts, whichever came last, also while a payment for it is late.
        let better = Snapshot { id: "sub_2".to_owned(), price_id: Some("price_2".to_owned()), ..new.clone() };
        let newest = Snapshot { told: Some((DateTime::<Utc>::MAX_UTC, 2)), ..new.clone() };
        assert_eq!(decisive(&[better.clone(), newest.clone()], by_price).unwrap().id, "sub_2");
        let late = Snapshot { status: Status::PastDue, ..better };
        assert_eq!(decisive(&[late, newest.clone()], by_price).unwrap().id, "sub_2");
        let unknown = Snapshot { id: "sub_3".to_owned(), price_id: Some("price_9".to_owned()), ..newest };
        assert_eq!(decisive(&[unknown.clone(), new], by_price).unwrap().id, "sub_1");
        assert_eq!(decisive(&[unknown, old], by_price).unwrap().id, "sub_3");
    }

    proptest! {
        #[test]
        fn every_order_and_every_repetition_comes_to_the_same(
            kinds in prop::collection::vec((0_usize..5, any::<bool>()), 1..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let statuses = [Status::None, Status::Trialing, Status::Active, Status::PastDue, Status::Canceled];
            let events: Vec<Event> = (0..)
                .zip(&kinds)
                .map(|(second, (n, is_invoice))| match is_invoice {
                    true => billed(second, n % 2 == 0),
                    false => told(second, statuses[*n], 2),
                })
                .collect();
            let shuffled: Vec<&Event> = order.iter().map(|index| index.get(&events)).chain(events.iter().rev()).collect();
            prop_assert_eq!(after(events.iter()), after(shuffled));
        }
    }
}
