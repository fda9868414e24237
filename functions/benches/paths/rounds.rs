//! Ratios over rounds, and how they are shown.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// What a ratio has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// One ratio over all rounds.
pub(crate) struct Figure {
    path: &'static str,
    says: &'static str,
    target: Target,
    ratios: Vec<f64>,
    note: String,
}

impl Figure {
    /// The figure of `path`: what its ratio says, and the ratios, one a round.
    pub(crate) fn new(path: &'static str, says: &'static str, target: Target, mut ratios: Vec<f64>) -> Self {
        assert!(!ratios.is_empty(), "{path} has no round");
        ratios.sort_by(f64::total_cmp);
        Self { path, says, target, ratios, note: String::new() }
    }

    /// Tells more beside it, such as what was counted.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn ratio(&self) -> f64 {
        median(&self.ratios)
    }

    fn is_met(&self) -> bool {
        match self.target {
            Target::AtLeast(least) => self.ratio() >= least,
            Target::AtMost(most) => self.ratio() <= most,
        }
    }

    fn spread(&self) -> (f64, f64) {
        (self.ratios[0], self.ratios[self.ratios.len() - 1])
    }

    pub(crate) fn json(&self) -> Value {
        let (least, most) = self.spread();
        let (bound, target) = match self.target {
            Target::AtLeast(least) => ("at_least", least),
            Target::AtMost(most) => ("at_most", most),
        };
        json!({
            "path": self.path,
            "ratio": rounded(self.ratio()),
            "target": target,
            "bound": bound,
            "met": self.is_met(),
            "spread": [rounded(least), rounded(most)],
            "rounds": self.ratios.len(),
            "note": self.note,
        })
    }
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1_000.0).round() / 1_000.0
}

/// The middle one of sorted numbers, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The middle one of some durations.
pub(crate) fn middle(durations: &[Duration]) -> Duration {
    let mut seconds: Vec<f64> = durations.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    Duration::from_secs_f64(median(&seconds))
}

/// How many times `limit` fits into `ours`.
pub(crate) fn times(ours: Duration, limit: Duration) -> f64 {
    ours.as_secs_f64() / limit.as_secs_f64()
}

/// Tells on standard error how far the run is.
pub(crate) fn progress(what: &str) {
    eprintln!("  {what}");
}

pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table = format!("{:<16} {:>7} {:>8} {:>15}     {}\n", "path", "ratio", "target", "spread", "what");
    for figure in figures {
        let (least, most) = figure.spread();
        let target = match figure.target {
            Target::AtLeast(least) => format!("≥ {least}"),
            Target::AtMost(most) => format!("≤ {most}"),
        };
        let mark = if figure.is_met() { '✓' } else { '✗' };
        let spread = format!("{least:.2} … {most:.2}");
        writeln!(
            table,
            "{:<16} {:>7.2} {target:>8} {spread:>15}  {mark}  {}{}{}",
            figure.path,
            figure.ratio(),
            figure.says,
            if figure.note.is_empty() { "" } else { ": " },
            figure.note
        )
        .unwrap();
    }
    table
}
