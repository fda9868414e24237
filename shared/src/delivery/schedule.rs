//! When mail may go: send windows, delays in days and hours, and the one resolution of local times.
//!
//! Everything here is arithmetic on arguments. An instant is UTC; a zone is an IANA zone.
//!
//! - A local time that a clock never shows (a gap) is the first instant after the gap.
//! - A local time that a clock shows twice (a fold) is the first of the two.
//! - An *opening* is the time from the resolved local opening time of a send day up to, not including, the resolved
//!   closing time. It is one unbroken span of elapsed time: a clock set back during it makes it longer, and a clock set
//!   back after it does not reopen it.
//! - An opening over midnight belongs to the day on which it opens.
//! - A day on which a gap swallows the whole window (or a day that a zone skipped) has no opening, and mail waits for
//!   the next one. Nor has a holiday: it is a local date in the window's zone.

mod holidays;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

pub use self::holidays::Holidays;

/// How many local days are searched for the next opening. Every weekday comes twice in them, so that one opening
/// swallowed by a gap is followed by another.
const SEARCH_DAYS: i64 = 15;
/// How many more for each holiday: where there is one send day a week, it takes the opening of a whole week.
const SEARCH_DAYS_A_HOLIDAY: i64 = 7;

/// How far around a gap its edge is searched. No zone has ever moved its clock by more than a day.
const GAP_SEARCH: Duration = Duration::hours(48);

/// The order in which weekdays are written.
const WEEK: [(Weekday, &str); 7] = [
    (Weekday::Mon, "monday"),
    (Weekday::Tue, "tuesday"),
    (Weekday::Wed, "wednesday"),
    (Weekday::Thu, "thursday"),
    (Weekday::Fri, "friday"),
    (Weekday::Sat, "saturday"),
    (Weekday::Sun, "sunday"),
];

/// The weekdays on which mail may go. There is always one or more.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SendDays(u8);

/// Why a list of names is not a set of send days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSendDays {
    /// The list is empty: nothing could ever be sent.
    #[error("there is no send day")]
    Empty,
    /// This is not the English name of a weekday in lower case.
    #[error("{0:?} is not a weekday such as \"monday\"")]
    UnknownDay(String),
}

impl SendDays {
    /// Every day of the week.
    pub const ALL: Self = Self(0b111_1111);
    /// Monday to Friday.
    pub const WORKDAYS: Self = Self(0b001_1111);

    /// Reads English weekday names in lower case, such as `monday`; order and repetition do not matter.
    ///
    /// # Errors
    ///
    /// [`InvalidSendDays`] for an empty list or an unknown name.
    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, InvalidSendDays> {
        let mut bits = 0;
        for name in names {
            let name = name.as_ref();
            let (day, _) = WEEK
                .into_iter()
                .find(|(_, known)| *known == name)
                .ok_or_else(|| InvalidSendDays::UnknownDay(name.chars().take(20).collect()))?;
            bits |= bit(day);
        }
        if bits == 0 { Err(InvalidSendDays::Empty) } else { Ok(Self(bits)) }
    }

    /// The names of the days, Monday first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        WEEK.into_iter().filter(move |(day, _)| self.contains(*day)).map(|(_, name)| name)
    }

    /// Is it one of the days?
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }
}

/// The bit of a weekday in [`SendDays`].
fn bit(day: Weekday) -> u8 {
    1 << day.num_days_from_monday()
}

impl fmt::Debug for SendDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl FromStr for SendDays {
    type Err = InvalidSendDays;

    /// Reads names with commas between them, such as `monday,tuesday`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_names(text.split(',').map(str::trim).filter(|name| !name.is_empty()))
    }
}

/// The hours of the day and the days of the week, in one zone, in which mail may go, and the dates on which it may not.
///
/// `closes` at or before `opens` means the next day; both equal is the whole day from `opens` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendWindow {
    /// Local time at which an opening begins, included.
    pub opens: NaiveTime,
    /// Local time at which it ends, not included.
    pub closes: NaiveTime,
    /// The days on which an opening begins.
    pub days: SendDays,
    /// The dates on which none begins.
    pub holidays: Holidays,
    /// The zone of the local times.
    pub zone: Tz,
}

/// How long after the previous send the next step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepDelay {
    /// Calendar days in the window's zone: the same local time so many days later.
    pub days: u32,
    /// Elapsed hours on top of the days.
    pub hours: u32,
}

/// One opening of a window: `[start, end)`, never empty.
#[derive(Debug, Clone, Copy)]
struct Opening {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl SendWindow {
    /// The same hours, days and dates by the clock of another zone.
    #[must_use]
    pub fn in_zone(&self, zone: Tz) -> Self {
        Self { zone, ..self.clone() }
    }

    /// May mail go at this instant?
    #[must_use]
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.opening_at(at).is_some()
    }

    /// The instant itself if the window is open then, and the start of the next opening otherwise.
    ///
    /// A window with one send day, all of it inside a gap, opens a week later. Where the calendar itself ends (about
    /// the year 262,000) there is no next opening, and the answer is the instant itself.
    #[must_use]
    pub fn snap(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if self.is_open(at) {
            return at;
        }
        self.openings_around(at).map(|opening| opening.start).find(|start| *start > at).unwrap_or(at)
    }

    /// An instant in the opening that [`snap`](Self::snap) finds, less than `most` behind that instant and before the
    /// opening's end. The same `share` of it is the same instant; shares that differ spread over all of it.
    #[must_use]
    pub fn spread(&self, at: DateTime<Utc>, most: Duration, share: u64) -> DateTime<Utc> {
        let first = self.snap(at);
        let room = self.closes_at(first).map_or(Duration::zero(), |end| most.min(end - first));
        let Ok(room) = u64::try_from(room.num_milliseconds()) else { return first };
        let later = share.checked_rem(room).and_then(|later| i64::try_from(later).ok()).unwrap_or(0);
        first + Duration::milliseconds(later)
    }

    /// The end of the opening that contains this instant; `None` if the window is shut then.
    ///
    /// The openings of a window that is open the whole day are one a day: the end is the start of the next.
    #[must_use]
    pub fn closes_at(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.opening_at(at).map(|opening| opening.end)
    }

    fn opening_at(&self, at: DateTime<Utc>) -> Option<Opening> {
        self.openings_around(at).take_while(|opening| opening.start <= at).find(|opening| at < opening.end)
    }

    /// The openings of the local days around an instant, in order of time.
    ///
    /// It begins two days early, because an opening reaches into the next day and a zone can skip a day between.
    fn openings_around(&self, at: DateTime<Utc>) -> impl Iterator<Item = Opening> {
        let today = local_day(at, self.zone);
        let holidays = i64::try_from(self.holidays.len()).unwrap_or(i64::MAX);
        (-2..=SEARCH_DAYS.saturating_add(holidays.saturating_mul(SEARCH_DAYS_A_HOLIDAY)))
            .filter_map(move |offset| today.checked_add_signed(Duration::days(offset)))
            .filter_map(|day| self.opening_of(day))
    }

    /// The opening that begins on this local day, unless it is no send day, a holiday, or a gap swallows it.
    fn opening_of(&self, day: NaiveDate) -> Option<Opening> {
        if !self.days.contains(day.weekday()) || self.holidays.contains(day) {
            return None;
        }
        let last_day = if self.closes > self.opens { day } else { day.succ_opt()? };
        let start = resolve_local(day.and_time(self.opens), self.zone);
        let end = resolve_local(last_day.and_time(self.closes), self.zone);
        (start < end).then_some(Opening { start, end })
    }
}

/// When a step is due after the previous send, jitter aside: first the calendar days, then the hours, then snapped into the window.
///
/// It is never before the previous send. A delay past the end of the calendar ends there.
#[must_use]
pub fn due_after(previous_send: DateTime<Utc>, delay: StepDelay, window: &SendWindow) -> DateTime<Utc> {
    let after_days = if delay.days == 0 {
        // Going through the local time would jump back an hour from the second pass of a fold.
        previous_send
    } else {
        let local = local_time(previous_send, window.zone);
        let later = local.checked_add_days(Days::new(delay.days.into())).unwrap_or(NaiveDateTime::MAX);
        resolve_local(later, window.zone).max(previous_send)
    };
    let due = after_days.checked_add_signed(Duration::hours(delay.hours.into())).unwrap_or(DateTime::<Utc>::MAX_UTC);
    window.snap(due)
}

/// The local date of an instant: the day that its mail counts for.
#[must_use]
pub fn local_day(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    local_time(at, zone).date()
}

/// What a clock in the zone shows. At the ends of the calendar, where the shift has no room, it shows UTC.
fn local_time(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let utc = at.naive_utc();
    utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix()).unwrap_or(utc)
}

/// The instant of a local time. This is the only function that resolves one.
///
/// A time in a gap is the first instant after the gap; a time in a fold is its first occurrence. At the ends of the
/// calendar, where the shift has no room, the local time counts as UTC.
#[must_use]
pub fn resolve_local(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let instant = |offset: chrono_tz::TzOffset| local.checked_sub_offset(offset.fix()).unwrap_or(local).and_utc();
    // Far from every zone's rules the search below has no room, and there are no gaps there.
    let (Some(before), Some(after)) = (local.checked_sub_signed(GAP_SEARCH), local.checked_add_signed(GAP_SEARCH))
    else {
        return local.and_utc();
    };
    match zone.offset_from_local_datetime(&local) {
        chrono::LocalResult::Single(offset) => instant(offset),
        chrono::LocalResult::Ambiguous(one, other) => instant(one).min(instant(other)),
        chrono::LocalResult::None => first_instant_past(local, before.and_utc(), after.and_utc(), zone),
    }
}

/// The first second at which a clock that never shows `local` shows something later, between the two instants.
///
/// The clock jumps over `local` once, so what it shows is earlier before the jump and later after it: a binary search.
fn first_instant_past(local: NaiveDateTime, before: DateTime<Utc>, after: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let (mut low, mut high) = (before.timestamp(), after.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match DateTime::from_timestamp(middle, 0) {
            Some(at) if local_time(at, zone) < local => low = middle,
            _ => high = middle,
        }
    }
    DateTime::from_timestamp(high, 0).unwrap_or(after)
}

#[cfg(test)]
mod tests;
