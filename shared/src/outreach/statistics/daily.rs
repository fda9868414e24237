//! The counts of each day, for a chart: days without any are there with zeros. Days are UTC.

use std::ops::RangeInclusive;

use chrono::{Datelike, Days, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counters::{Counters, Rates};
use crate::fields::Fields;
use crate::{CampaignId, Result, SenderId, StepId, Tx};

/// Days of a series where nobody says otherwise.
const DEFAULT_DAYS: u64 = 30;
/// Days of a series at most: a year, leap day included.
const MAXIMUM_DAYS: i64 = 366;
/// Years that a day may lie in: what PostgreSQL and every client can hold.
const YEARS: RangeInclusive<i32> = 1970..=9999;

/// From one day to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    from: NaiveDate,
    to: NaiveDate,
}

impl Period {
    /// The days asked for; up to today and 30 of them unless told otherwise.
    ///
    /// Errors: [`crate::Error::Invalid`] on `from` or `to` for a day before 1970 or after 9999, an end before the beginning
    /// and more than 366 days.
    pub fn new(from: Option<NaiveDate>, to: Option<NaiveDate>, today: NaiveDate) -> Result<Self> {
        let mut fields = Fields::default();
        for (field, day) in [("from", from), ("to", to)] {
            if day.is_some_and(|day| !YEARS.contains(&day.year())) {
                fields.refuse(field, "out_of_range", format!("{field} is a day of the years 1970 to 9999"));
            }
        }
        let to = to.unwrap_or(today);
        let from = from.or_else(|| to.checked_sub_days(Days::new(DEFAULT_DAYS - 1))).unwrap_or(to);
        let days = to.signed_duration_since(from).num_days() + 1;
        if days < 1 {
            fields.refuse("from", "after_end", format!("from is {from}, which is after {to}"));
        } else if days > MAXIMUM_DAYS {
            fields.refuse("from", "too_many_days", format!("a series has {MAXIMUM_DAYS} days at most, not {days}"));
        }
        fields.finish()?;
        Ok(Self { from, to })
    }
}

/// What is counted: everything of the organization, or what one campaign, step or sender has done of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Mail of this campaign alone.
    pub campaign: Option<CampaignId>,
    /// Mail of this step alone.
    pub step: Option<StepId>,
    /// Mail of this sender alone.
    pub sender: Option<SenderId>,
}

/// The counts of each day.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// Every day, in order.
    pub days: Vec<Day>,
    /// The sums over all days.
    pub totals: Totals,
}

/// One day's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Day {
    /// Which day.
    pub day: NaiveDate,
    /// Its counts.
    #[serde(flatten)]
    pub counters: Counters,
}

/// Counts with the ratios between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// The counts.
    #[serde(flatten)]
    pub counters: Counters,
    /// The ratios.
    pub rates: Rates,
}

impl From<Counters> for Totals {
    fn from(counters: Counters) -> Self {
        Self { counters, rates: counters.rates() }
    }
}

/// Reads the counts of a period. What is not there, or not this organization's, has none.
pub async fn read(tx: &Tx, period: Period, filter: Filter) -> Result<Series> {
    let Period { from, to } = period;
    let Filter { campaign, step, sender } = filter;
    let rows = tx.query(include_str!("daily/read.sql"), &[&from, &to, &campaign, &step, &sender]).await?;
    let mut sum = Counters::default();
    let mut days = Vec::with_capacity(rows.len());
    for row in &rows {
        let counters = Counters::from_row(row)?;
        sum += counters;
        days.push(Day { day: row.try_get("day")?, counters });
    }
    Ok(Series { from, to, days, totals: sum.into() })
}

/// The days asked for in a query.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodQuery {
    /// The first day.
    pub from: Option<NaiveDate>,
    /// The last day.
    pub to: Option<NaiveDate>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Error;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn wrong(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Vec<String> {
        match Period::new(from, to, day("2026-03-04")) {
            Err(Error::Invalid(errors)) => errors.iter().map(|e| format!("{} {}", e.field, e.code)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_thirty_days_unless_told_otherwise() {
        let today = day("2026-03-04");
        let period = |from, to| Period::new(from, to, today).unwrap();
        assert_eq!(period(None, None), Period { from: day("2026-02-03"), to: today });
        assert_eq!(period(None, Some(day("2025-12-31"))).from, day("2025-12-02"));
        assert_eq!(period(Some(today), None), Period { from: today, to: today });
        assert_eq!(period(Some(day("2024-01-01")), Some(day("2024-12-31"))).from, day("2024-01-01"));
    }

    #[test]
    fn a_period_that_cannot_be_shown_is_refused() {
        assert_eq!(wrong(Some(day("2026-03-05")), None), ["from after_end"]);
        assert_eq!(wrong(Some(day("2025-01-01")), Some(day("2026-01-02"))), ["from too_many_days"]);
        assert_eq!(wrong(None, Some(NaiveDate::MIN)), ["to out_of_range"]);
        assert_eq!(wrong(Some(NaiveDate::MIN), Some(NaiveDate::MIN)), ["from out_of_range", "to out_of_range"]);
    }

    proptest! {
        #[test]
        fn no_day_is_too_strange(from in any::<Option<i32>>(), to in any::<Option<i32>>()) {
            let at = |n: Option<i32>| n.and_then(NaiveDate::from_num_days_from_ce_opt);
            if let Ok(period) = Period::new(at(from), at(to), day("2026-03-04")) {
                let days = (period.to - period.from).num_days();
                prop_assert!((0..366).contains(&days));
            }
        }
    }
}
