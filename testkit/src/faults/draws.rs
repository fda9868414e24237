//! Numbers that follow from a seed: the same seed, the same plan.

use std::ops::RangeInclusive;

/// The generator (SplitMix64, by Steele, Lea and Flood).
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// Begins with what the parts name, whatever their order of magnitude.
    #[must_use]
    pub fn of(seed: u64, name: &str, number: u64) -> Self {
        // FNV-1a, which is the same on every machine and in every release.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut draws = Self(seed ^ hash.rotate_left(17) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        draws.next();
        draws
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number within the range.
    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let width = u64::try_from(range.end() - range.start()).unwrap() + 1;
        range.start() + usize::try_from(self.next() % width).unwrap()
    }

    /// One in `of` times.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.within(1..=of) == 1
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.within(0..=of.len() - 1)]
    }

    /// Brings them into another order.
    pub fn shuffle<T>(&mut self, of: &mut [T]) {
        for last in (1..of.len()).rev() {
            of.swap(last, self.within(0..=last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_another_something_else() {
        let draw = |seed, name, number| {
            let mut draws = Draws::of(seed, name, number);
            (0..8).map(|_| draws.within(0..=1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "kill_in_call", 3), draw(1, "kill_in_call", 3));
        for other in [draw(2, "kill_in_call", 3), draw(1, "kill_in_cal", 3), draw(1, "kill_in_call", 4)] {
            assert_ne!(draw(1, "kill_in_call", 3), other);
        }
    }

    #[test]
    fn a_shuffle_keeps_everything() {
        let mut shuffled: Vec<usize> = (0..100).collect();
        Draws::of(7, "shuffle", 0).shuffle(&mut shuffled);
        assert!(!shuffled.is_sorted());
        shuffled.sort_unstable();
        assert_eq!(shuffled, (0..100).collect::<Vec<_>>());
    }
}
