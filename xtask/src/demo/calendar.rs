//! The campaign's calendar, reckoned here once more: a check that shares its arithmetic with what it checks proves nothing.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;

/// The zone of the campaign and of its senders.
pub(super) const ZONE: Tz = Tz::Europe__Berlin;
/// The local hour at which the window opens.
pub(super) const OPENS: u32 = 9;
/// The local hour at which it closes.
pub(super) const CLOSES: u32 = 18;

/// The local day of an instant.
pub(super) fn day(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&ZONE).date_naive()
}

/// Whether mail may go, the window being open for `grace` longer than it is, or shorter where that is negative.
pub(super) fn is_open(at: DateTime<Utc>, grace: TimeDelta) -> bool {
    window(day(at)).is_some_and(|(opens, closes)| opens <= at && at < closes + grace)
}

/// The first opening after an instant.
pub(super) fn next_opening(after: DateTime<Utc>) -> DateTime<Utc> {
    let openings = (0..7).filter_map(|ahead| window(day(after) + Days::new(ahead))).map(|(opens, _)| opens);
    openings.filter(|opens| *opens > after).min().unwrap_or(after)
}

/// The first opening on a Monday after an instant.
pub(super) fn next_monday(after: DateTime<Utc>) -> DateTime<Utc> {
    let mut opening = next_opening(after);
    while day(opening).weekday() != Weekday::Mon {
        opening = next_opening(opening);
    }
    opening
}

/// The window of a day, which has one on workdays only.
fn window(day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
        return None;
    }
    // Clocks change at night here, so both hours are there once on every day.
    let local = |hour| day.and_time(NaiveTime::from_hms_opt(hour, 0, 0)?).and_local_timezone(ZONE).earliest();
    Some((local(OPENS)?.to_utc(), local(CLOSES)?.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_window_is_local_and_on_workdays() {
        let open = |text| is_open(at(text), TimeDelta::zero());
        assert!(!open("2026-11-23T07:59:59Z") && open("2026-11-23T08:00:00Z"));
        assert!(open("2026-11-23T16:59:59Z") && !open("2026-11-23T17:00:00Z"));
        assert!(is_open(at("2026-11-23T17:00:01Z"), TimeDelta::seconds(2)));
        assert!(!open("2026-11-22T12:00:00Z"));
        // In summer the same hours are an hour earlier in UTC.
        assert!(open("2026-07-06T07:00:00Z") && !open("2026-07-06T16:00:00Z"));
    }

    #[test]
    fn openings_pass_over_nights_weekends_and_changed_clocks() {
        assert_eq!(next_opening(at("2026-11-23T07:00:00Z")), at("2026-11-23T08:00:00Z"));
        assert_eq!(next_opening(at("2026-11-23T08:00:00Z")), at("2026-11-24T08:00:00Z"));
        assert_eq!(next_opening(at("2026-10-23T16:00:00Z")), at("2026-10-26T08:00:00Z"));
        assert_eq!(next_monday(at("2026-11-21T10:00:00Z")), at("2026-11-23T08:00:00Z"));
        assert_eq!(next_monday(at("2026-11-23T08:00:00Z")), at("2026-11-30T08:00:00Z"));
    }
}
