//! The ramp: how much a sender may send on a day. The one place that knows it.
//!
//! A sender that begins starts with few mails a day and grows by the same number each day until it may send up to its daily
//! limit. The days are the sender's own, so the limit changes at its midnight.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use super::Status;
use crate::platform::config;
use crate::{Error, Result, Tx};

/// How a sender's volume grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ramp {
    /// The sender's local day on which it began.
    pub started_on: NaiveDate,
    /// Mails on that day.
    pub from: i32,
    /// Days after which it is over.
    pub days: i32,
}

impl Ramp {
    /// A ramp that begins on this day, as the installation's settings say.
    pub(super) async fn beginning(tx: &Tx, started_on: NaiveDate) -> Result<Self> {
        let settings = config::read(tx, "ramp").await?;
        let number = |key| i32::try_from(settings.number(key)?).map_err(Error::internal);
        Ok(Self { started_on, from: number("start")?, days: number("days")? })
    }

    /// Whether the sender may send up to its daily limit on this day.
    #[must_use]
    pub fn is_over_on(&self, day: NaiveDate) -> bool {
        (day - self.started_on).num_days() >= i64::from(self.days)
    }

    /// The share of a daily limit that is there on this day: on the first day `from`, then linear. A clock that was set back
    /// behind the first day leaves it there.
    fn limit_on(&self, day: NaiveDate, daily_limit: i32) -> i32 {
        let (limit, from) = (i64::from(daily_limit), i64::from(self.from));
        if limit <= from || self.is_over_on(day) {
            return daily_limit;
        }
        let passed = (day - self.started_on).num_days().max(0);
        i32::try_from(from + (limit - from) * passed / i64::from(self.days)).unwrap_or(daily_limit)
    }
}

/// What decides how much a sender may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Whether it sends.
    pub status: Status,
    /// Mails a day at most.
    pub daily_limit: i32,
    /// How its volume grows, where it has begun to.
    pub ramp: Option<Ramp>,
    /// Where its days begin.
    pub zone: Tz,
}

impl Allowance {
    /// Reads a sender's `status`, `daily_limit`, `timezone` and `ramp_*`, each name after `prefix`.
    ///
    /// Errors: [`Error::Internal`] for a zone that nobody knows.
    pub(crate) fn from_row(row: &Row, prefix: &str) -> Result<Self> {
        let column = |name: &str| format!("{prefix}{name}");
        let zone: &str = row.try_get(&*column("timezone"))?;
        let started_on: Option<NaiveDate> = row.try_get(&*column("ramp_started_on"))?;
        let (from, days) = (row.try_get(&*column("ramp_from"))?, row.try_get(&*column("ramp_days"))?);
        Ok(Self {
            status: Status::parse(row.try_get(&*column("status"))?)?,
            daily_limit: row.try_get(&*column("daily_limit"))?,
            ramp: started_on.map(|started_on| Ramp { started_on, from, days }),
            zone: zone.parse().map_err(|_| Error::internal(format!("a sender's time zone is {zone}")))?,
        })
    }

    /// Mails that the sender may send in all on its local day at `now`.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> i32 {
        match self.status {
            Status::Pending | Status::Paused => 0,
            Status::Active => self.daily_limit,
            Status::Warming => self.ramp.map_or(0, |ramp| ramp.limit_on(self.day(now), self.daily_limit)),
        }
    }

    /// Whether a sender that is warming has come to the end of its ramp.
    #[must_use]
    pub fn has_ramped(&self, now: DateTime<Utc>) -> bool {
        self.status == Status::Warming && self.ramp.is_some_and(|ramp| ramp.is_over_on(self.day(now)))
    }

    /// The sender's local day.
    #[must_use]
    pub fn day(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.zone).date_naive()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Days, TimeZone as _};
    use proptest::prelude::*;

    use super::*;

    fn first() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, 4).unwrap()
    }

    fn ramp() -> Ramp {
        Ramp { started_on: first(), from: 5, days: 30 }
    }

    fn after(days: u64) -> NaiveDate {
        first() + Days::new(days)
    }

    #[test]
    fn it_grows_from_five_to_the_limit_in_thirty_days() {
        let limits: Vec<i32> = [0, 1, 10, 15, 29, 30, 31].map(|days| ramp().limit_on(after(days), 50)).to_vec();
        assert_eq!(limits, [5, 6, 20, 27, 48, 50, 50]);
        assert!(!ramp().is_over_on(after(29)) && ramp().is_over_on(after(30)));
        assert_eq!(ramp().limit_on(first() - Days::new(3), 50), 5, "a clock set back");
    }

    #[test]
    fn a_limit_below_the_beginning_is_never_passed() {
        assert_eq!(ramp().limit_on(first(), 3), 3);
        assert_eq!(ramp().limit_on(after(7), 0), 0);
    }

    #[test]
    fn what_a_sender_may_send_follows_from_its_status_on_its_own_day() {
        let at = |status, zone| {
            let allowance = Allowance { status, daily_limit: 50, ramp: Some(ramp()), zone };
            allowance.at(Utc.with_ymd_and_hms(2026, 3, 4, 11, 0, 0).unwrap())
        };
        assert_eq!(at(Status::Active, Tz::UTC), 50);
        assert_eq!((at(Status::Pending, Tz::UTC), at(Status::Paused, Tz::UTC)), (0, 0));
        assert_eq!(at(Status::Warming, Tz::UTC), 5);
        assert_eq!(at(Status::Warming, Tz::Pacific__Kiritimati), 6, "it is Thursday there");
        let unbegun = Allowance { status: Status::Warming, daily_limit: 50, ramp: None, zone: Tz::UTC };
        assert_eq!(unbegun.at(Utc.with_ymd_and_hms(2026, 3, 4, 11, 0, 0).unwrap()), 0);
    }

    proptest! {
        #[test]
        fn it_never_shrinks_and_never_passes_the_limit(limit in 0..=1_000_000_i32, from in 0..=1_000_000_i32, days in 1..=365_i32, day in 0..400_u64) {
            let ramp = Ramp { started_on: first(), from, days };
            let (today, tomorrow) = (ramp.limit_on(after(day), limit), ramp.limit_on(after(day + 1), limit));
            prop_assert!(today <= tomorrow && tomorrow <= limit);
            prop_assert!(today >= limit.min(from));
            prop_assert_eq!(ramp.limit_on(first(), limit), limit.min(from));
            prop_assert_eq!(ramp.limit_on(after(u64::from(days.unsigned_abs())), limit), limit);
        }
    }
}
