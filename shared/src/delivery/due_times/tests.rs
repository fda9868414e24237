use chrono::NaiveTime;
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::delivery::schedule::{Holidays, SendDays, SendWindow};
use crate::outreach::settings::TimezoneMode;

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn time(text: &str) -> NaiveTime {
    NaiveTime::parse_from_str(text, "%H:%M").unwrap()
}

/// A campaign in New York that writes to people by their own clocks, between these hours on every day.
fn by_their_clocks(opens: &str, closes: &str, jitter: Duration) -> CampaignSettings {
    let window = SendWindow {
        opens: time(opens),
        closes: time(closes),
        days: SendDays::ALL,
        holidays: Holidays::default(),
        zone: Tz::America__New_York,
    };
    CampaignSettings::of_hours(window, TimezoneMode::Recipient, jitter)
}

fn turn(timezone: Option<&str>) -> Turn<'_> {
    turn_of(1, timezone)
}

fn turn_of(enrollment: u128, timezone: Option<&str>) -> Turn<'_> {
    Turn {
        campaign: CampaignId(Uuid::from_u128(7)),
        enrollment: EnrollmentId(Uuid::from_u128(enrollment)),
        timezone,
        step: StepId(Uuid::from_u128(3)),
    }
}

/// One line a case: a step so many days and hours after `previous`, for somebody in `zone`.
#[track_caller]
fn check(settings: &CampaignSettings, zone: &str, previous: &str, delay: (u32, u32), due: &str) {
    let delay = Timing::Delay(StepDelay { days: delay.0, hours: delay.1 });
    assert_eq!(turn(Some(zone)).due_at(delay, utc(previous), settings), utc(due), "{zone} after {previous}");
}

#[test]
fn the_hours_are_those_of_the_person_and_without_a_zone_those_of_the_campaign() {
    let settings = by_their_clocks("09:00", "18:00", Duration::zero());
    let now = Timing::Delay(StepDelay::default());
    let at = utc("2026-03-04T12:00:00Z");
    for (zone, due) in [
        (Some("Europe/Berlin"), "2026-03-04T12:00:00Z"),
        (Some("Asia/Tokyo"), "2026-03-05T00:00:00Z"),
        (Some("America/Los_Angeles"), "2026-03-04T17:00:00Z"),
        (None, "2026-03-04T14:00:00Z"),
        (Some("Mars/Olympus"), "2026-03-04T14:00:00Z"),
        (Some(""), "2026-03-04T14:00:00Z"),
    ] {
        assert_eq!(turn(zone).due_at(now, at, &settings), utc(due), "{zone:?}");
    }
    let for_all = CampaignSettings::of_hours(settings.window().clone(), TimezoneMode::Campaign, Duration::zero());
    assert_eq!(turn(Some("Asia/Tokyo")).due_at(now, at, &for_all), utc("2026-03-04T14:00:00Z"));
}

#[test]
fn dst_gap() {
    let nights = by_their_clocks("02:30", "05:00", Duration::zero());
    // Berlin has no 02:30 on 29 March 2026: the window opens with the first instant after the gap.
    check(&nights, "Europe/Berlin", "2026-03-28T12:00:00Z", (0, 0), "2026-03-29T01:00:00Z");
    check(&nights, "Europe/Berlin", "2026-03-28T01:40:00Z", (1, 0), "2026-03-29T01:00:00Z");
    check(&nights, "America/New_York", "2026-03-07T12:00:00Z", (0, 0), "2026-03-08T07:00:00Z");
}

#[test]
fn dst_fold() {
    let nights = by_their_clocks("01:00", "02:30", Duration::zero());
    // The second 02:00 to 02:30 of 25 October is not the window's any more.
    check(&nights, "Europe/Berlin", "2026-10-25T00:29:59Z", (0, 0), "2026-10-25T00:29:59Z");
    check(&nights, "Europe/Berlin", "2026-10-25T01:10:00Z", (0, 0), "2026-10-26T00:00:00Z");
    check(&nights, "Europe/Berlin", "2026-10-24T00:10:00Z", (1, 0), "2026-10-25T00:10:00Z");
}

#[test]
fn skipped_day() {
    let office = by_their_clocks("09:00", "18:00", Duration::zero());
    check(&office, "Pacific/Apia", "2011-12-30T00:00:00Z", (1, 0), "2011-12-30T19:00:00Z");
    check(&office, "Pacific/Kwajalein", "1993-08-20T22:00:00Z", (1, 0), "1993-08-21T21:00:00Z");
}

#[test]
fn half_hour_shift() {
    let nights = by_their_clocks("02:00", "04:00", Duration::zero());
    // Lord Howe goes from 02:00 to 02:30 on 4 October 2026, and from 02:00 back to 01:30 on 5 April.
    check(&nights, "Australia/Lord_Howe", "2026-10-03T12:00:00Z", (0, 0), "2026-10-03T15:30:00Z");
    check(&nights, "Australia/Lord_Howe", "2026-04-04T12:00:00Z", (0, 0), "2026-04-04T15:30:00Z");
    let office = by_their_clocks("09:00", "18:00", Duration::zero());
    check(&office, "Australia/Lord_Howe", "2026-10-02T23:00:00Z", (1, 0), "2026-10-03T22:30:00Z");
}

#[test]
fn the_clock_of_the_offsets_stands_still_in_a_pause() {
    let started_at = utc("2026-03-04T10:00:00Z");
    let clock = |paused| OffsetClock { started_at, paused: Duration::hours(paused) };
    let offset = Duration::hours(30);
    assert_eq!(clock(0).reaches(offset), utc("2026-03-05T16:00:00Z"));
    assert_eq!(clock(5).reaches(offset), utc("2026-03-05T21:00:00Z"));
    assert_eq!(clock(5).reaches(Duration::MAX), DateTime::<Utc>::MAX_UTC);
    let settings = by_their_clocks("09:00", "18:00", Duration::zero());
    let due = |previous| turn(None).due_at(Timing::Offset(clock(5).reaches(offset)), utc(previous), &settings);
    assert_eq!(due("2026-03-04T15:00:00Z"), utc("2026-03-05T21:00:00Z"));
    assert_eq!(due("2026-03-05T22:30:00Z"), utc("2026-03-05T22:30:00Z"), "never before the step that it follows");
    assert_eq!(due("2026-03-05T23:30:00Z"), utc("2026-03-06T14:00:00Z"));
}

#[test]
fn jitter_spreads_people_and_gives_each_the_same_again() {
    let settings = by_their_clocks("09:00", "18:00", Duration::hours(4));
    let night = utc("2026-03-04T03:00:00Z");
    let due = |n| turn_of(n, Some("Europe/Berlin")).due_at(Timing::Offset(night), night, &settings);
    let mut all: Vec<_> = (0..400).map(due).collect();
    assert_eq!(all, (0..400).map(due).collect::<Vec<_>>());
    all.sort_unstable();
    let (first, last) = (utc("2026-03-04T08:00:00Z"), utc("2026-03-04T12:00:00Z"));
    assert!(all.iter().all(|due| (first..last).contains(due)));
    let hours: Vec<usize> =
        (8..12).map(|hour| all.iter().filter(|due| chrono::Timelike::hour(*due) == hour).count()).collect();
    assert!(hours.iter().all(|people| (60..140).contains(people)), "{hours:?}");
    let another_step = Turn { step: StepId(Uuid::from_u128(4)), ..turn_of(0, Some("Europe/Berlin")) };
    assert_ne!(another_step.due_at(Timing::Offset(night), night, &settings), due(0));
    let another_campaign = Turn { campaign: CampaignId(Uuid::from_u128(8)), ..turn_of(0, Some("Europe/Berlin")) };
    assert_ne!(another_campaign.due_at(Timing::Offset(night), night, &settings), due(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Every zone as a person's own, by either timing.
    #[test]
    fn due_is_open_for_the_person_and_never_early(
        opens in 0u32..1440,
        closes in 0u32..1440,
        seconds in 0i64..3_155_760_000,
        days in 0u32..60,
        hours in 0u32..24,
        offset in 0i64..63_072_000_000,
        paused in 0i64..10_000_000,
        jitter in 0i64..=14_400,
        enrollment: u128,
    ) {
        let minute = |minute: u32| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
        let window = SendWindow {
            opens: minute(opens),
            closes: minute(closes),
            days: SendDays::WORKDAYS,
            holidays: Holidays::default(),
            zone: Tz::UTC,
        };
        let jitter = Duration::seconds(jitter);
        let settings = CampaignSettings::of_hours(window, TimezoneMode::Recipient, jitter);
        let plain = CampaignSettings::of_hours(settings.window().clone(), TimezoneMode::Recipient, Duration::zero());
        let previous = DateTime::from_timestamp(seconds, 0).unwrap();
        let delay = Timing::Delay(StepDelay { days, hours });
        let clock = OffsetClock { started_at: previous, paused: Duration::seconds(paused) };
        let reached = clock.reaches(Duration::milliseconds(offset));
        prop_assert_eq!(reached - previous, Duration::seconds(paused) + Duration::milliseconds(offset));
        for zone in TZ_VARIANTS {
            let turn = turn_of(enrollment, Some(zone.name()));
            for (timing, earliest) in [(delay, previous + Duration::hours(hours.into())), (Timing::Offset(reached), reached)] {
                let (first, due) = (turn.due_at(timing, previous, &plain), turn.due_at(timing, previous, &settings));
                prop_assert!(first >= earliest);
                prop_assert!(due == first || (first..first + jitter).contains(&due));
                prop_assert_eq!(settings.window_for(Some(zone.name())).zone, zone);
                prop_assert!(settings.window().in_zone(zone).is_open(due), "{zone}: shut at {due}");
                prop_assert_eq!(settings.window_for(Some(zone.name())).closes_at(due), settings.window().in_zone(zone).closes_at(first));
            }
        }
    }
}
