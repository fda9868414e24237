//! The only place that prints. Progress goes to standard error, answers to standard output, so that
//! a program can read the answers.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Prints one line of an answer to standard output.
pub(crate) fn answer(line: impl Display) {
    // A reader that has closed the pipe wants no more; that is no failure of ours.
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// Prints one line of progress to standard error.
pub(crate) fn note(line: impl Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Prints an error with its causes, one line each.
pub(crate) fn failure(error: &anyhow::Error) {
    note(format_args!("\nerror: {error}"));
    for cause in error.chain().skip(1) {
        note(format_args!("  because: {cause}"));
    }
}

/// Runs one step and tells when it began and how long it took.
///
/// # Errors
///
/// Those of the step.
pub(crate) async fn step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    note(format_args!("… {name}"));
    let outcome = work.await;
    let mark = if outcome.is_ok() { '✓' } else { '✗' };
    note(format_args!("{mark} {name} ({})", elapsed(started.elapsed())));
    outcome
}

/// A duration for people: `0.3 s`, `12.0 s`, `2 min 5 s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(elapsed(Duration::from_millis(340)), "0.3 s");
        assert_eq!(elapsed(Duration::from_secs(125)), "2 min 5 s");
    }
}
