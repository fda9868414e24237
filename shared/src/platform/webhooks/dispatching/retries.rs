//! How long a delivery waits after an attempt that has failed: eight attempts within a day, close together at first, as Standard
//! Webhooks suggests ("Deliverability and reliability").
//!
//! Up to a tenth of each wait is taken off by chance, so that what failed together does not come back together.

use std::time::Duration;

use uuid::Uuid;

/// The wait after each attempt but the last, in seconds.
const WAITS: [u32; 7] = [5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 6 * 3_600, 10 * 3_600];

/// How long a delivery waits after this attempt (the first is 1); `None` after the last. Chance follows from the two.
pub(super) fn wait(delivery: Uuid, attempt: i32) -> Option<Duration> {
    let place = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let whole = Duration::from_secs(u64::from(*WAITS.get(place)?));
    Some(whole - (whole / 10).mul_f64(chance(delivery, attempt)))
}

/// Evenly spread from 0 to 1 (the last step of splitmix64).
#[expect(clippy::cast_precision_loss, reason = "53 bits are a number's whole precision")]
fn chance(delivery: Uuid, attempt: i32) -> f64 {
    let (high, low) = delivery.as_u64_pair();
    let mut bits = high ^ low.rotate_left(32) ^ u64::from(attempt.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eight_attempts_are_made_within_a_day_and_the_last_is_the_last() {
        let total: u32 = WAITS.iter().sum();
        assert_eq!((WAITS.len(), total), (7, 84_905));
        assert_eq!(wait(Uuid::nil(), 8), None);
        assert_eq!(wait(Uuid::nil(), 0), None);
        assert_eq!(wait(Uuid::nil(), -1), None);
    }

    #[test]
    fn what_failed_together_comes_back_apart() {
        let waits: BTreeSet<_> = (0..1_000).map(|n| wait(Uuid::from_u128(n << 7), 3).unwrap().as_millis()).collect();
        assert!(waits.len() > 950, "{}", waits.len());
    }

    proptest! {
        #[test]
        fn up_to_a_tenth_of_a_wait_is_chance(id: u128, attempt in 1..8_i32) {
            let whole = f64::from(WAITS[usize::try_from(attempt).unwrap() - 1]);
            let waited = wait(Uuid::from_u128(id), attempt).unwrap().as_secs_f64();
            prop_assert!((whole * 0.9 - 0.001..=whole).contains(&waited));
        }
    }
}
