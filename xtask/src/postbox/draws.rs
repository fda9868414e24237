//! Numbers drawn from a seed by hashing, so that an answer depends on what is asked and never on
//! the order of asking.

use sha2::{Digest, Sha256};

/// A number that looks random and is a pure function of the seed, the label and the parts.
pub(crate) fn number(seed: u64, label: &str, parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in [label].iter().chain(parts) {
        // The length goes first, so that ("ab", "c") and ("a", "bc") are different questions.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    u64::from_le_bytes(first)
}

/// As [`number`], evenly spread over 0 (included) to 1 (excluded).
pub(crate) fn share(seed: u64, label: &str, parts: &[&str]) -> f64 {
    // 53 bits are what a double holds exactly.
    (number(seed, label, parts) >> 11) as f64 / (1_u64 << 53) as f64
}

/// As [`number`], below `bound`; 0 where the bound is 0.
pub(crate) fn below(bound: u64, seed: u64, label: &str, parts: &[&str]) -> u64 {
    number(seed, label, parts).checked_rem(bound).unwrap_or(0)
}

/// Which of several weighted choices a share falls on, if any.
///
/// The weights are shares of one; what they leave is the chance of no choice.
pub(crate) fn choose<T: Copy>(share: f64, weights: impl IntoIterator<Item = (T, f64)>) -> Option<T> {
    let mut end = 0.0;
    weights.into_iter().find_map(|(choice, weight)| {
        end += weight;
        (share < end).then_some(choice)
    })
}

/// Says why a set of weights cannot be shares of one, if it cannot.
pub(crate) fn refuse_weights(weights: &[f64]) -> Option<String> {
    if weights.iter().any(|weight| !(0.0..=1.0).contains(weight)) {
        return Some("every rate must be between 0 and 1".into());
    }
    let sum: f64 = weights.iter().sum();
    // The sum of decimal rates may pass one by rounding alone.
    (sum > 1.0 + 1e-9).then(|| format!("the rates sum to {sum}, which is more than 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        assert_eq!(number(1, "a", &["ab", "c"]), number(1, "a", &["ab", "c"]));
        assert_ne!(number(1, "a", &["ab", "c"]), number(1, "a", &["a", "bc"]));
        assert_ne!(number(1, "a", &["x"]), number(2, "a", &["x"]));
        assert_eq!(below(0, 1, "a", &[]), 0);
    }

    #[test]
    fn weights_share_out_the_line_from_zero_to_one() {
        let weights = [('a', 0.25), ('b', 0.5)];
        assert_eq!(choose(0.0, weights), Some('a'));
        assert_eq!(choose(0.25, weights), Some('b'));
        assert_eq!(choose(0.75, weights), None);
    }

    #[test]
    fn impossible_weights_are_refused() {
        assert_eq!(refuse_weights(&[0.1, 0.9]), None);
        assert!(refuse_weights(&[0.6, 0.6]).is_some());
        assert!(refuse_weights(&[-0.1]).is_some());
        assert!(refuse_weights(&[f64::NAN]).is_some());
    }
}
