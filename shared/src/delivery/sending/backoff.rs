//! How long a mail waits that the provider did not take, before it is handed over again.
//!
//! The wait doubles with every attempt and is cut off early: a minute after the provider takes mail again, all of it is on
//! its way. Half of each wait is by chance, so that what was refused together does not come back together.

use std::time::Duration;

use crate::MessageId;

/// The wait after the first attempt.
const FIRST: Duration = Duration::from_secs(5);
/// The longest: with the minute until the sweeper's next run it stays below the two in which everything is well again.
const LONGEST: Duration = Duration::from_secs(45);

/// How long this message waits after so many attempts. Chance follows from the two.
pub(super) fn wait(message: MessageId, attempts: u32) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
    let half = doubled.min(LONGEST) / 2;
    half + half.mul_f64(chance(message, attempts))
}

/// Evenly spread from 0 to 1 (the last step of splitmix64).
#[expect(clippy::cast_precision_loss, reason = "53 bits are a number's whole precision")]
fn chance(message: MessageId, attempts: u32) -> f64 {
    let (high, low) = message.0.as_u64_pair();
    let mut bits = high ^ low.rotate_left(32) ^ u64::from(attempts).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_refused_together_comes_back_apart() {
        let waits: BTreeSet<u128> =
            (0..1_000).map(|n| wait(MessageId(Uuid::from_u128(n << 7)), 4).as_millis()).collect();
        assert!(waits.len() > 950, "{}", waits.len());
        let (first, last) = (waits.first().unwrap(), waits.last().unwrap());
        assert!(*first < 21_000 && *last > 39_000, "over all of the half: {first} to {last}");
    }

    proptest! {
        #[test]
        fn a_wait_is_half_by_chance_and_never_too_long(id: u128, attempts: u32) {
            let message = MessageId(Uuid::from_u128(id));
            let whole = (5.0 * 2_f64.powi(attempts.clamp(1, 30).cast_signed() - 1)).min(45.0);
            let waited = wait(message, attempts).as_secs_f64();
            prop_assert!((whole / 2.0 - 0.001..=whole + 0.001).contains(&waited), "{} of {}", waited, whole);
            prop_assert_eq!(wait(message, attempts), wait(message, attempts), "the same for the same");
        }
    }
}
