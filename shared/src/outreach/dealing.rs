//! Dealing a campaign's people out to its senders: a cycle of senders that is gone through again and again.
//!
//! Whoever is n-th gets the n-th sender of the cycle, so a chunk of people that is done again comes to the same. After that
//! a person keeps their sender over all steps, and with it the thread: also while the sender is paused, when they wait.

use super::campaign_senders::CampaignSender;
use crate::{Error, Result, SenderId};

/// The longest cycle. Shares that would need a longer one are kept roughly.
const CYCLE: i64 = 1_000;

/// How people are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// To all of them in turn.
    RoundRobin,
    /// By the weights of the pool.
    Weighted,
    /// By what is left of each sender's mails of the day when the campaign is activated.
    RemainingCapacity,
    /// By the health of each sender.
    Health,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 4] = [Self::RoundRobin, Self::Weighted, Self::RemainingCapacity, Self::Health];

    /// The strategy's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::RemainingCapacity => "remaining_capacity",
            Self::Health => "health",
        }
    }

    /// Reads a strategy's name.
    ///
    /// Errors: [`Error::Invalid`] on the field `sender_strategy`.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| {
            let message = "this is round_robin, weighted, remaining_capacity or health";
            Error::invalid("sender_strategy", "unknown", message)
        })
    }

    /// The share of a sender of whose mails of the day so many are used. By health and capacity a sender that does not send
    /// gets nobody; the other two deal out to it, and its people wait.
    #[must_use]
    pub fn share(self, sender: &CampaignSender, used_today: i32) -> i64 {
        let rests = !sender.is_sending() || !sender.domain_verified;
        match self {
            Self::RoundRobin => 1,
            Self::Weighted => sender.weight.into(),
            Self::RemainingCapacity | Self::Health if rests => 0,
            Self::RemainingCapacity => i64::from(sender.daily_limit - used_today).max(0),
            Self::Health => sender.health_score.into(),
        }
    }
}

/// The cycle in which each sender has its share, as evenly spread as can be (smooth weighted round robin). Where nobody has
/// any, all have the same.
#[must_use]
pub fn cycle(shares: &[(SenderId, i64)]) -> Vec<SenderId> {
    let shares = reduced(shares);
    let total: i64 = shares.iter().map(|(_, share)| share).sum();
    let mut standing = vec![0; shares.len()];
    let mut cycle = Vec::new();
    for _ in 0..total {
        for (standing, (_, share)) in standing.iter_mut().zip(&shares) {
            *standing += share;
        }
        // Of equal ones the first.
        let Some((next, _)) = standing.iter().enumerate().rev().max_by_key(|(_, standing)| **standing) else { break };
        standing[next] -= total;
        cycle.push(shares[next].0);
    }
    cycle
}

/// Shares above 0 without a common divisor, whose sum is about [`CYCLE`] at most.
fn reduced(shares: &[(SenderId, i64)]) -> Vec<(SenderId, i64)> {
    let mut some: Vec<(SenderId, i64)> = shares.iter().copied().filter(|(_, share)| *share > 0).collect();
    if some.is_empty() {
        return shares.iter().map(|(sender, _)| (*sender, 1)).collect();
    }
    let total: i64 = some.iter().map(|(_, share)| share).sum();
    if total > CYCLE {
        for (_, share) in &mut some {
            *share = (*share * CYCLE / total).max(1);
        }
    }
    let divisor = some.iter().fold(0, |divisor, (_, share)| greatest_common_divisor(divisor, *share));
    some.into_iter().map(|(sender, share)| (sender, share / divisor)).collect()
}

fn greatest_common_divisor(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn senders(shares: &[i64]) -> Vec<(SenderId, i64)> {
        (1_u128..).map(|n| SenderId(Uuid::from_u128(n))).zip(shares.iter().copied()).collect()
    }

    fn dealt(shares: &[i64]) -> String {
        cycle(&senders(shares)).iter().map(|sender| sender.0.as_u128().to_string()).collect()
    }

    #[test]
    fn shares_are_spread_evenly_and_in_order() {
        assert_eq!(dealt(&[1, 1, 1]), "123");
        assert_eq!(dealt(&[50, 50]), "12");
        assert_eq!(dealt(&[5, 1, 1]), "1121311");
        assert_eq!(dealt(&[0, 3, 0]), "2");
        assert_eq!(dealt(&[0, 0]), "12", "nobody has a share, so all have the same");
        assert_eq!(dealt(&[]), "");
    }

    #[test]
    fn a_large_share_leaves_a_place_for_a_small_one() {
        let cycle = cycle(&senders(&[1_000_000, 1]));
        assert!(cycle.len() < 1_100);
        assert!(cycle.contains(&SenderId(Uuid::from_u128(2))));
    }

    proptest! {
        #[test]
        fn everybody_is_dealt_their_share(shares in prop::collection::vec(0_i64..60, 1..12)) {
            let senders = senders(&shares);
            let cycle = cycle(&senders);
            let total: i64 = shares.iter().sum();
            prop_assert!(!cycle.is_empty());
            let length = i64::try_from(cycle.len()).unwrap();
            for (sender, share) in senders {
                let dealt = i64::try_from(cycle.iter().filter(|dealt| **dealt == sender).count()).unwrap();
                prop_assert!(total == 0 || dealt * total == share * length);
            }
        }
    }
}
