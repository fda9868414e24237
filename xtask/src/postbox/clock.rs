//! Time and fresh identifiers: the one home of both, so that everything else can be told the time.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use uuid::Uuid;

/// The largest shift that is accepted, in seconds: a hundred years keeps every sum within range.
const MAX_SHIFT_SECONDS: i64 = 100 * 366 * 24 * 3600;

/// The real time.
#[expect(clippy::disallowed_methods, reason = "the stand-in has no database to ask; this is its one clock")]
pub(crate) fn real_now() -> DateTime<Utc> {
    Utc::now()
}

/// A random identifier.
#[expect(clippy::disallowed_methods, reason = "the ids of a provider are not ours; this is their one home")]
pub(crate) fn fresh_id() -> Uuid {
    Uuid::new_v4()
}

/// How far simulated time is ahead of real time, in seconds; negative when it is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shift(i64);

impl Shift {
    /// A shift of so many seconds, or nothing when it is beyond a hundred years.
    pub(crate) fn from_seconds(seconds: i64) -> Option<Self> {
        (-MAX_SHIFT_SECONDS..=MAX_SHIFT_SECONDS).contains(&seconds).then_some(Self(seconds))
    }

    /// The shift in seconds.
    pub(crate) fn seconds(self) -> i64 {
        self.0
    }

    /// The simulated time at a real instant.
    pub(crate) fn simulated(self, real: DateTime<Utc>) -> DateTime<Utc> {
        real + TimeDelta::seconds(self.0)
    }
}

/// An instant as SES and SNS write it: UTC with milliseconds and a `Z`.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_moves_simulated_time_and_is_bounded() {
        let real = DateTime::from_timestamp(1_780_000_000, 250_000_000).unwrap();
        let shift = Shift::from_seconds(86_400).unwrap();
        assert_eq!(stamp(real), "2026-05-28T20:26:40.250Z");
        assert_eq!(stamp(shift.simulated(real)), "2026-05-29T20:26:40.250Z");
        assert_eq!(Shift::from_seconds(i64::MAX), None);
        assert_eq!(Shift::from_seconds(i64::MIN), None);
    }
}
