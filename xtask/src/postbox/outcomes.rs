//! What becomes of a mail: by its address, as the SES mailbox simulator does, or by a seeded plan.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::draws;
use super::visits::VisitRates;

/// The domain of the SES mailbox simulator.
/// <https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html>
const SIMULATOR: &str = "simulator.amazonses.com";

/// The shortest time to a later outcome.
const SHORTEST_DELAY_SECONDS: u64 = 10 * 60;
/// The longest time to a later outcome.
const LONGEST_DELAY_SECONDS: u64 = 30 * 60 * 60;

/// What becomes of an accepted mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Delivered, and nothing more.
    Delivered,
    /// A permanent bounce instead of a delivery.
    Bounce,
    /// A transient bounce instead of a delivery.
    SoftBounce,
    /// A permanent bounce because SES itself suppresses the address; only at the simulator.
    Suppressed,
    /// Delivered, then reported as spam.
    Complaint,
    /// Delivered, then answered by a person.
    Reply,
    /// Delivered, then answered by a machine.
    AutoReply,
    /// Delivered, then unsubscribed from with one click.
    Unsubscribe,
}

impl Outcome {
    /// The name used in JSON and on the page.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounce => "bounce",
            Self::SoftBounce => "soft_bounce",
            Self::Suppressed => "suppressed",
            Self::Complaint => "complaint",
            Self::Reply => "reply",
            Self::AutoReply => "auto_reply",
            Self::Unsubscribe => "unsubscribe",
        }
    }

    /// The outcome that the mailbox simulator has for an address; nothing for any other address.
    pub(crate) fn of_simulator(address: &str) -> Option<Self> {
        let address = address.to_ascii_lowercase();
        let (local, domain) = address.rsplit_once('@')?;
        let name = local.split('+').next().unwrap_or(local);
        (domain == SIMULATOR).then_some(match name {
            "bounce" => Self::Bounce,
            "suppressionlist" => Self::Suppressed,
            "complaint" => Self::Complaint,
            "ooto" => Self::AutoReply,
            _ => Self::Delivered,
        })
    }
}

/// How often each outcome comes, as shares of one; the rest is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rates {
    /// Share of permanent bounces.
    pub(crate) bounce: f64,
    /// Share of transient bounces.
    pub(crate) soft_bounce: f64,
    /// Share of complaints.
    pub(crate) complaint: f64,
    /// Share of replies by people.
    pub(crate) reply: f64,
    /// Share of automatic replies.
    pub(crate) auto_reply: f64,
    /// Share of one-click unsubscribes.
    pub(crate) unsubscribe: f64,
}

impl Rates {
    fn weights(self) -> [(Outcome, f64); 6] {
        [
            (Outcome::Bounce, self.bounce),
            (Outcome::SoftBounce, self.soft_bounce),
            (Outcome::Complaint, self.complaint),
            (Outcome::Reply, self.reply),
            (Outcome::AutoReply, self.auto_reply),
            (Outcome::Unsubscribe, self.unsubscribe),
        ]
    }
}

/// A seeded plan of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The seed: the same seed gives the same outcomes, whatever the order of sending.
    pub(crate) seed: u64,
    /// How often each outcome comes.
    #[serde(default)]
    pub(crate) rates: Rates,
    /// How often delivered mails are looked at.
    #[serde(default)]
    pub(crate) visits: VisitRates,
}

impl Plan {
    /// Says why the plan is impossible, if it is.
    pub(crate) fn refuse(&self) -> Option<String> {
        draws::refuse_weights(&self.rates.weights().map(|(_, weight)| weight)).or_else(|| self.visits.refuse())
    }

    /// The outcome of the mail that finds `step` earlier mails in the recipient's mailbox.
    ///
    /// It depends on nothing but the seed, the address in lower case and the step.
    pub(crate) fn outcome(&self, address: &str, step: u32) -> Outcome {
        let share = draws::share(self.seed, "outcome", &question(address, step).each_ref().map(String::as_str));
        draws::choose(share, self.rates.weights()).unwrap_or(Outcome::Delivered)
    }

    /// How long after its acceptance that outcome comes: 10 minutes to 30 hours of simulated time.
    pub(crate) fn delay(&self, address: &str, step: u32) -> TimeDelta {
        let span = LONGEST_DELAY_SECONDS - SHORTEST_DELAY_SECONDS + 1;
        let question = question(address, step);
        let drawn = draws::below(span, self.seed, "delay", &question.each_ref().map(String::as_str));
        TimeDelta::seconds((SHORTEST_DELAY_SECONDS + drawn).cast_signed())
    }
}

fn question(address: &str, step: u32) -> [String; 2] {
    [address.to_lowercase(), step.to_string()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PLAN: Plan = Plan {
        seed: 42,
        visits: VisitRates { open: 0.0, click: 0.0, machine_open: 0.0 },
        rates: Rates {
            bounce: 0.02,
            soft_bounce: 0.01,
            complaint: 0.002,
            reply: 0.06,
            auto_reply: 0.03,
            unsubscribe: 0.02,
        },
    };

    fn drawn(plan: &Plan, order: impl Iterator<Item = u32>) -> BTreeMap<u32, Outcome> {
        order.map(|number| (number, plan.outcome(&format!("Person{number}@Example.com"), 0))).collect()
    }

    #[test]
    fn outcomes_depend_on_the_seed_alone_and_not_on_the_order() {
        assert_eq!(drawn(&PLAN, 0..500), drawn(&PLAN, (0..500).rev()));
        assert_ne!(drawn(&PLAN, 0..500), drawn(&Plan { seed: 43, ..PLAN }, 0..500));
        assert_eq!(PLAN.outcome("Jane@Example.com", 1), PLAN.outcome("jane@example.com", 1));
    }

    #[test]
    fn outcomes_come_at_the_asked_rates() {
        let total = 100_000;
        let mut counts = BTreeMap::<Outcome, u32>::new();
        for number in 0..total {
            *counts.entry(PLAN.outcome(&format!("p{number}@example.com"), number % 3)).or_default() += 1;
        }
        for (outcome, rate) in PLAN.rates.weights() {
            let expected = rate * f64::from(total);
            let seen = f64::from(counts[&outcome]);
            // Four standard deviations of a binomial draw.
            let allowed = 4.0 * (expected * (1.0 - rate)).sqrt();
            assert!((seen - expected).abs() < allowed, "{outcome:?}: {seen} instead of {expected}");
        }
    }

    #[test]
    fn delays_stay_within_their_bounds_and_spread() {
        let delays: Vec<_> = (0..1_000).map(|n| PLAN.delay(&format!("p{n}@example.com"), 0)).collect();
        assert!(delays.iter().all(|delay| (600..=108_000).contains(&delay.num_seconds())));
        assert!(delays.iter().min().unwrap().num_hours() < 1);
        assert!(delays.iter().max().unwrap().num_hours() > 28);
    }

    #[test]
    fn the_simulator_answers_by_address() {
        let outcome = |address| Outcome::of_simulator(address);
        assert_eq!(outcome("success@simulator.amazonses.com"), Some(Outcome::Delivered));
        assert_eq!(outcome("Bounce+label@Simulator.amazonses.com"), Some(Outcome::Bounce));
        assert_eq!(outcome("complaint@simulator.amazonses.com"), Some(Outcome::Complaint));
        assert_eq!(outcome("ooto+x@simulator.amazonses.com"), Some(Outcome::AutoReply));
        assert_eq!(outcome("suppressionlist@simulator.amazonses.com"), Some(Outcome::Suppressed));
        assert_eq!(outcome("bounce@example.com"), None);
    }

    #[test]
    fn impossible_plans_are_refused() {
        assert_eq!(PLAN.refuse(), None);
        let plan = Plan { rates: Rates { bounce: 0.7, reply: 0.7, ..Rates::default() }, ..PLAN };
        assert!(plan.refuse().unwrap().contains("more than 1"));
        assert!(serde_json::from_str::<Plan>(r#"{"seed":1,"rates":{"bounces":0.1}}"#).is_err());
    }
}
