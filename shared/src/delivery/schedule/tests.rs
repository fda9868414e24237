use chrono::{NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn local(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

fn time(text: &str) -> NaiveTime {
    NaiveTime::parse_from_str(text, "%H:%M").unwrap()
}

fn window(opens: &str, closes: &str, days: &str, zone: Tz) -> SendWindow {
    let days = if days == "all" { SendDays::ALL } else { days.parse().unwrap() };
    SendWindow { opens: time(opens), closes: time(closes), days, holidays: Holidays::default(), zone }
}

fn holidays(dates: &[&str]) -> Holidays {
    Holidays::new(dates.iter().map(|date| date.parse::<NaiveDate>().unwrap()))
}

/// One line a case: the window is shut at `at` and next opens at `opens`, until `closes`.
#[track_caller]
fn check(window: &SendWindow, at: &str, opens: &str, closes: &str) {
    let snapped = window.snap(utc(at));
    assert_eq!(snapped, utc(opens), "opening after {at}");
    assert_eq!(window.closes_at(snapped), Some(utc(closes)), "closing after {at}");
    assert_eq!(window.is_open(utc(at)), at == opens);
}

#[test]
fn send_days() {
    assert_eq!(
        SendDays::from_names(["friday", "monday", "friday"]).unwrap().names().collect::<Vec<_>>(),
        ["monday", "friday"]
    );
    assert_eq!("monday, tuesday,wednesday,thursday,friday".parse(), Ok(SendDays::WORKDAYS));
    assert_eq!(SendDays::from_names(Vec::<String>::new()), Err(InvalidSendDays::Empty));
    assert_eq!(SendDays::from_names(["Monday"]), Err(InvalidSendDays::UnknownDay("Monday".into())));
    assert_eq!(format!("{:?}", SendDays::from_names(["sunday"]).unwrap()), "{\"sunday\"}");
}

#[test]
fn office_hours() {
    let window = window("09:00", "18:00", "monday,tuesday,wednesday,thursday,friday", Tz::UTC);
    check(&window, "2026-03-04T08:59:59Z", "2026-03-04T09:00:00Z", "2026-03-04T18:00:00Z");
    check(&window, "2026-03-04T09:00:00Z", "2026-03-04T09:00:00Z", "2026-03-04T18:00:00Z");
    check(&window, "2026-03-04T18:00:00Z", "2026-03-05T09:00:00Z", "2026-03-05T18:00:00Z");
    check(&window, "2026-03-06T18:00:00Z", "2026-03-09T09:00:00Z", "2026-03-09T18:00:00Z");
    assert!(window.is_open(utc("2026-03-04T17:59:59Z")));
    assert_eq!(window.snap(utc("2026-03-04T12:34:56Z")), utc("2026-03-04T12:34:56Z"));
    assert_eq!(window.closes_at(utc("2026-03-04T18:00:00Z")), None);
}

#[test]
fn over_midnight_belongs_to_its_opening_day() {
    let window = window("22:00", "06:00", "friday", Tz::UTC);
    check(&window, "2026-03-06T21:59:00Z", "2026-03-06T22:00:00Z", "2026-03-07T06:00:00Z");
    check(&window, "2026-03-07T06:00:00Z", "2026-03-13T22:00:00Z", "2026-03-14T06:00:00Z");
    assert!(window.is_open(utc("2026-03-07T05:59:59Z")), "Saturday morning is Friday's opening");
    assert!(!window.is_open(utc("2026-03-06T05:00:00Z")), "Friday morning would be Thursday's");
}

#[test]
fn whole_day() {
    let weekend = window("00:00", "00:00", "saturday,sunday", Tz::Europe__Berlin);
    check(&weekend, "2026-03-06T12:00:00Z", "2026-03-06T23:00:00Z", "2026-03-07T23:00:00Z");
    // 29 March 2026 has 23 hours in Berlin.
    assert_eq!(weekend.closes_at(utc("2026-03-29T10:00:00Z")), Some(utc("2026-03-29T22:00:00Z")));
    let from_six = window("06:00", "06:00", "monday", Tz::UTC);
    check(&from_six, "2026-03-09T05:00:00Z", "2026-03-09T06:00:00Z", "2026-03-10T06:00:00Z");
}

#[test]
fn gap() {
    for (zone, shown, resolved) in [
        // Berlin jumps from 02:00 to 03:00 on 29 March 2026, New York on 8 March.
        (Tz::Europe__Berlin, "2026-03-29T02:00:00", "2026-03-29T01:00:00Z"),
        (Tz::Europe__Berlin, "2026-03-29T02:30:00", "2026-03-29T01:00:00Z"),
        (Tz::Europe__Berlin, "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        (Tz::Europe__Berlin, "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        (Tz::America__New_York, "2026-03-08T02:15:00", "2026-03-08T07:00:00Z"),
        // Lord Howe moves by half an hour: 02:00 to 02:30 on 4 October 2026.
        (Tz::Australia__Lord_Howe, "2026-10-04T02:15:00", "2026-10-03T15:30:00Z"),
        (Tz::Australia__Lord_Howe, "2026-10-04T02:30:00", "2026-10-03T15:30:00Z"),
        // Apia skipped the whole of 30 December 2011.
        (Tz::Pacific__Apia, "2011-12-30T09:00:00", "2011-12-30T10:00:00Z"),
        (Tz::Pacific__Apia, "2011-12-31T00:00:00", "2011-12-30T10:00:00Z"),
    ] {
        assert_eq!(resolve_local(local(shown), zone), utc(resolved), "{zone} {shown}");
    }
    // Opens in the gap: with its first instant. Closes in it: with the same. All of it inside: not that day.
    check(
        &window("02:30", "05:00", "all", Tz::Europe__Berlin),
        "2026-03-28T12:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T03:00:00Z",
    );
    check(
        &window("01:00", "02:30", "all", Tz::Europe__Berlin),
        "2026-03-28T12:00:00Z",
        "2026-03-29T00:00:00Z",
        "2026-03-29T01:00:00Z",
    );
    check(
        &window("02:10", "02:50", "sunday", Tz::Europe__Berlin),
        "2026-03-28T12:00:00Z",
        "2026-04-05T00:10:00Z",
        "2026-04-05T00:50:00Z",
    );
}

#[test]
fn fold() {
    for (zone, shown, resolved) in [
        (Tz::Europe__Berlin, "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        (Tz::America__New_York, "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),
        (Tz::Australia__Lord_Howe, "2026-04-05T01:45:00", "2026-04-04T14:45:00Z"),
    ] {
        assert_eq!(resolve_local(local(shown), zone), utc(resolved), "{zone} {shown}");
    }
    // Opens in the fold: from the first pass on, through the second.
    check(
        &window("02:30", "04:00", "all", Tz::Europe__Berlin),
        "2026-10-24T12:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T03:00:00Z",
    );
    // Closes in the fold: at the first pass, and the second does not reopen it.
    let closes_in_fold = window("01:00", "02:30", "all", Tz::Europe__Berlin);
    check(&closes_in_fold, "2026-10-24T12:00:00Z", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z");
    assert!(!closes_in_fold.is_open(utc("2026-10-25T01:10:00Z")));
}

#[test]
fn skipped_day() {
    let office = window("09:00", "18:00", "all", Tz::Pacific__Apia);
    // 29 December 18:00 local is 04:00 UTC on the 30th; the next morning there is the 31st's.
    check(&office, "2011-12-30T04:00:00Z", "2011-12-30T19:00:00Z", "2011-12-31T04:00:00Z");
    let fridays = window("09:00", "18:00", "friday", Tz::Pacific__Apia);
    check(&fridays, "2011-12-29T12:00:00Z", "2012-01-05T19:00:00Z", "2012-01-06T04:00:00Z");
    let day = StepDelay { days: 1, hours: 0 };
    assert_eq!(due_after(utc("2011-12-30T00:00:00Z"), day, &office), utc("2011-12-30T19:00:00Z"));
}

#[test]
fn a_day_that_kwajalein_skipped() {
    // The clock went from Friday 20 August 1993 to Sunday.
    let office = window("09:00", "18:00", "all", Tz::Pacific__Kwajalein);
    check(&office, "1993-08-21T06:00:00Z", "1993-08-21T21:00:00Z", "1993-08-22T06:00:00Z");
    let saturdays = window("09:00", "18:00", "saturday", Tz::Pacific__Kwajalein);
    check(&saturdays, "1993-08-20T12:00:00Z", "1993-08-27T21:00:00Z", "1993-08-28T06:00:00Z");
}

#[test]
fn a_holiday_is_a_date_in_the_zone() {
    let office = SendWindow {
        holidays: holidays(&["2026-12-25", "2026-12-26", "2026-12-25"]),
        ..window("09:00", "18:00", "all", Tz::Asia__Tokyo)
    };
    check(&office, "2026-12-24T09:00:00Z", "2026-12-27T00:00:00Z", "2026-12-27T09:00:00Z");
    assert!(office.is_open(utc("2026-12-24T08:59:59Z")), "the 24th, 17:59 in Tokyo");
    assert!(!office.is_open(utc("2026-12-25T00:00:00Z")), "the 25th, 9:00 in Tokyo");
    // The same dates are other hours elsewhere.
    let there = office.in_zone(Tz::America__Los_Angeles);
    assert!(there.is_open(utc("2026-12-25T01:00:00Z")), "the 24th, 17:00 in Los Angeles");
    check(&there, "2026-12-25T02:00:00Z", "2026-12-27T17:00:00Z", "2026-12-28T02:00:00Z");
}

#[test]
fn a_holiday_counts_for_the_day_on_which_the_window_opens() {
    let nights = SendWindow { holidays: holidays(&["2026-12-25"]), ..window("22:00", "06:00", "all", Tz::UTC) };
    assert!(nights.is_open(utc("2026-12-25T05:59:59Z")), "the night of the 24th goes on");
    check(&nights, "2026-12-25T06:00:00Z", "2026-12-26T22:00:00Z", "2026-12-27T06:00:00Z");
}

#[test]
fn more_holidays_in_a_row_than_a_week_has_days() {
    // Every Monday of a year and a half: the only send day.
    let mondays = (0..80).map(|week| "2026-03-02".parse::<NaiveDate>().unwrap() + Days::new(7 * week));
    let window = SendWindow { holidays: Holidays::new(mondays), ..window("09:00", "18:00", "monday", Tz::UTC) };
    check(&window, "2026-03-01T00:00:00Z", "2027-09-13T09:00:00Z", "2027-09-13T18:00:00Z");
}

#[test]
fn spreading_fills_the_jitter_or_what_is_left_of_the_opening() {
    let office = window("09:00", "18:00", "all", Tz::UTC);
    let hour = TimeDelta::hours(1);
    let (closed, late) = (utc("2026-03-04T03:00:00Z"), utc("2026-03-04T17:50:00Z"));
    assert_eq!(office.spread(closed, TimeDelta::zero(), 77), utc("2026-03-04T09:00:00Z"));
    assert_eq!(office.spread(closed, hour, 0), utc("2026-03-04T09:00:00Z"));
    assert_eq!(office.spread(closed, hour, 3_599_999), utc("2026-03-04T09:59:59.999Z"));
    assert_eq!(office.spread(closed, hour, 3_600_000), utc("2026-03-04T09:00:00Z"));
    assert_eq!(office.spread(late, hour, 599_999), utc("2026-03-04T17:59:59.999Z"), "ten minutes are left");
    assert_eq!(office.spread(late, hour, 600_000), late);
}

#[test]
fn local_days() {
    assert_eq!(local_day(utc("2026-03-04T23:30:00Z"), Tz::Europe__Berlin), "2026-03-05".parse().unwrap());
    assert_eq!(local_day(utc("2026-03-04T03:30:00Z"), Tz::America__New_York), "2026-03-03".parse().unwrap());
}

#[test]
fn due_times() {
    let berlin = window("00:00", "00:00", "all", Tz::Europe__Berlin);
    let due = |from, days, hours| due_after(utc(from), StepDelay { days, hours }, &berlin);
    assert_eq!(due("2026-03-04T10:00:00Z", 0, 0), utc("2026-03-04T10:00:00Z"));
    // The same local time over the change of clocks is 23 hours later; hours are elapsed.
    assert_eq!(due("2026-03-28T10:00:00Z", 1, 0), utc("2026-03-29T09:00:00Z"));
    assert_eq!(due("2026-03-28T10:00:00Z", 0, 24), utc("2026-03-29T10:00:00Z"));
    assert_eq!(due("2026-03-28T01:30:00Z", 1, 2), utc("2026-03-29T03:00:00Z"), "a gap, then two hours");
    // A send in the second pass of the fold is not followed by a due time in the first.
    assert_eq!(due("2026-10-25T01:30:00Z", 0, 0), utc("2026-10-25T01:30:00Z"));
    let office = window("09:00", "18:00", "monday,tuesday,wednesday,thursday,friday", Tz::Europe__Berlin);
    assert_eq!(
        due_after(utc("2026-03-04T16:59:00Z"), StepDelay { days: 2, hours: 1 }, &office),
        utc("2026-03-09T08:00:00Z"),
        "an hour after closing on Friday is Monday morning"
    );
}

#[test]
fn ends_of_the_calendar_are_total() {
    for zone in [Tz::UTC, Tz::Pacific__Apia, Tz::Pacific__Pago_Pago] {
        let window = window("09:00", "08:00", "monday", zone);
        for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let _ = (window.snap(at), window.closes_at(at), local_day(at, zone));
            let _ = due_after(at, StepDelay { days: u32::MAX, hours: u32::MAX }, &window);
            let _ = window.spread(at, TimeDelta::hours(4), u64::MAX);
        }
        let _ = (resolve_local(NaiveDateTime::MIN, zone), resolve_local(NaiveDateTime::MAX, zone));
    }
}

/// What must hold for every window at every instant. `samples` minutes between the instant and the answer are tried.
fn check_snap(window: &SendWindow, at: DateTime<Utc>, samples: i32) -> Result<(), TestCaseError> {
    let snapped = window.snap(at);
    prop_assert!(snapped >= at, "{window:?} {at}: back to {snapped}");
    prop_assert!(window.is_open(snapped), "{window:?} {at}: shut at {snapped}");
    prop_assert_eq!(window.snap(snapped), snapped);
    prop_assert!(window.closes_at(snapped).is_some_and(|end| end > snapped && !window_contains_end(window, end)));
    let gap = snapped - at;
    if gap > TimeDelta::zero() {
        for sample in 0..samples {
            let between = at + gap / samples * sample;
            let minute = between - TimeDelta::seconds(between.timestamp().rem_euclid(60));
            for probe in [between, minute.max(at)] {
                prop_assert!(!window.is_open(probe), "{window:?} {at}: open at {probe}, before {snapped}");
            }
        }
        prop_assert!(!window.is_open(snapped - TimeDelta::seconds(1)));
    }
    Ok(())
}

/// What holidays and jitter must keep in any zone.
fn check_spread(window: &SendWindow, at: DateTime<Utc>, most: TimeDelta, share: u64) -> Result<(), TestCaseError> {
    let first = window.snap(at);
    let opening = window.opening_at(first).ok_or_else(|| TestCaseError::fail("shut"))?;
    let begins = |day: NaiveDate| resolve_local(day.and_time(window.opens), window.zone) == opening.start;
    let candidates = (-2..=1).map(|days| local_day(opening.start, window.zone) + TimeDelta::days(days));
    let opened = candidates.filter(|day| begins(*day)).collect::<Vec<_>>();
    prop_assert!(
        opened.iter().any(|day| window.days.contains(day.weekday()) && !window.holidays.contains(*day)),
        "{window:?} {at}: open at {first}"
    );
    let spread = window.spread(at, most, share);
    prop_assert!(spread >= first && spread < opening.end, "{window:?} {at}: {spread} is not in the opening of {first}");
    prop_assert!(spread == first || spread - first < most);
    prop_assert_eq!(window.spread(at, most, share), spread);
    Ok(())
}

/// Is the end of an opening still in the same opening? It may begin the next.
fn window_contains_end(window: &SendWindow, end: DateTime<Utc>) -> bool {
    window.closes_at(end) == Some(end)
}

/// The definition of [`resolve_local`], checked from the other side.
fn check_resolve(shown: NaiveDateTime, zone: Tz) -> Result<(), TestCaseError> {
    let resolved = resolve_local(shown, zone);
    let shows = local_time(resolved, zone);
    let just_before = local_time(resolved - TimeDelta::seconds(1), zone);
    prop_assert!(shows == shown || (shows > shown && just_before < shown), "{zone} {shown}: {resolved} shows {shows}");
    Ok(())
}

fn any_window() -> impl Strategy<Value = (NaiveTime, NaiveTime, SendDays)> {
    let minute = (0u32..1440).prop_map(|m| NaiveTime::from_hms_opt(m / 60, m % 60, 0).unwrap());
    let edges = prop::sample::select(vec![time("00:00"), time("01:00"), time("02:00"), time("02:30"), time("23:59")]);
    let clock = prop_oneof![3 => minute, 1 => edges];
    (clock.clone(), clock, (1u8..128).prop_map(SendDays))
}

/// Instants within two days of each change of clocks of a zone in these years, found by looking at each day.
fn changes(zone: Tz, years: std::ops::Range<i32>) -> Vec<DateTime<Utc>> {
    let midnight = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_time(NaiveTime::MIN).and_utc();
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let mut found = Vec::new();
    let mut day = midnight(years.start);
    while day < midnight(years.end) {
        let next = day + TimeDelta::days(1);
        if offset(day) != offset(next) {
            found.push(day);
        }
        day = next;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Every zone, at instants between 1880 and 2070.
    #[test]
    fn snap_holds_in_every_zone(
        (opens, closes, days) in any_window(),
        seconds in -2_840_000_000i64..3_155_760_000,
        minutes_in_day in 0i64..1440,
    ) {
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        for zone in TZ_VARIANTS {
            check_snap(&SendWindow { opens, closes, days, holidays: Holidays::default(), zone }, at, 24)?;
            check_resolve(at.naive_utc() + TimeDelta::minutes(minutes_in_day), zone)?;
        }
    }

    /// Every zone, with a holiday on any of the days around and any jitter.
    #[test]
    fn holidays_and_jitter_hold_in_every_zone(
        (opens, closes, days) in any_window(),
        seconds in -2_840_000_000i64..3_155_760_000,
        off in prop::collection::vec(-3i64..40, 0..30),
        jitter in 0i64..=14_400,
        share: u64,
    ) {
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        for zone in TZ_VARIANTS {
            let holidays = Holidays::new(off.iter().map(|days| local_day(at, zone) + TimeDelta::days(*days)));
            let window = SendWindow { opens, closes, days, holidays, zone };
            check_snap(&window, at, 24)?;
            check_spread(&window, at, TimeDelta::seconds(jitter), share)?;
        }
    }

    /// Every change of clocks of every zone in two years, where arithmetic goes wrong if it does.
    #[test]
    fn snap_holds_at_every_change_of_clocks(
        (opens, closes, days) in any_window(),
        minutes in -1440i64..2880,
    ) {
        for zone in TZ_VARIANTS {
            for change in changes(zone, 2026..2028) {
                let at = change + TimeDelta::minutes(minutes);
                check_snap(&SendWindow { opens, closes, days, holidays: Holidays::default(), zone }, at, 12)?;
                check_resolve(at.naive_utc(), zone)?;
                check_spread(&window("09:00", "18:00", "all", zone), at, TimeDelta::hours(4), minutes.unsigned_abs())?;
            }
        }
    }
}

proptest! {
    #[test]
    fn due_is_open_and_never_before_the_send(
        (opens, closes, days) in any_window(),
        zone in prop::sample::select(TZ_VARIANTS.to_vec()),
        seconds in 0i64..3_155_760_000,
        delay_days in 0u32..400,
        hours in 0u32..1000,
    ) {
        let send = DateTime::from_timestamp(seconds, 0).unwrap();
        let window = SendWindow { opens, closes, days, holidays: Holidays::default(), zone };
        let due = due_after(send, StepDelay { days: delay_days, hours }, &window);
        prop_assert!(due >= send + TimeDelta::hours(hours.into()));
        prop_assert!(window.is_open(due));
        prop_assert!(due - send < TimeDelta::days(i64::from(delay_days) + 17) + TimeDelta::hours(hours.into()));
    }
}
