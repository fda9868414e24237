//! What has been promised of the provider account: mails by the hour, of which the quota of any 24 hours is summed, and
//! by the second, for the rate at which it takes mail.
//!
//! The hour of a mail is given back with its slot. Its second is not: like a sender's gap it is kept to a mail that was
//! taken back as well. The rows come last of all counters; whoever plans holds the account's lock, so that of sixteen at
//! once each sees what the others have promised.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, DurationRound, Utc};
use tokio_postgres::Row;

use crate::delivery::breaker::ACCOUNT;
use crate::{Error, Result, Tx};

/// The quota is one of any 24 hours. The hour in which they begin counts with all of its mails: rather too few than one too
/// many.
const QUOTA_HOURS: i64 = 25;

/// What may still be promised of the account. An account that has not told its bounds has none.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Mails a second.
    pub mails_per_second: Option<i64>,
    /// Mails in any 24 hours.
    pub daily_quota: Option<i64>,
    /// What others have sent by it within a day.
    pub sent_elsewhere: i64,
    hours: BTreeMap<DateTime<Utc>, i64>,
    seconds: BTreeMap<DateTime<Utc>, i64>,
}

impl Account {
    /// An account with these bounds, of which nothing has been promised.
    #[must_use]
    pub fn bounded(mails_per_second: Option<i64>, daily_quota: Option<i64>) -> Self {
        Self { mails_per_second, daily_quota, ..Self::default() }
    }

    /// Whether it has told any bound.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.mails_per_second.is_some() || self.daily_quota.is_some()
    }

    /// How many mails count against the quota for one that goes at `at`.
    #[must_use]
    pub fn used(&self, at: DateTime<Utc>) -> i64 {
        let first = at - Duration::hours(QUOTA_HOURS);
        self.sent_elsewhere + self.hours.iter().filter(|(hour, _)| **hour > first).map(|(_, used)| used).sum::<i64>()
    }

    /// How many mails could be promised from `now` to `until`, at most `ceiling`.
    #[must_use]
    pub fn free(&self, now: DateTime<Utc>, until: DateTime<Utc>, ceiling: i64) -> i64 {
        let by_quota = self.daily_quota.map_or(ceiling, |quota| quota - self.used(now));
        let by_rate = self.mails_per_second.map_or(ceiling, |rate| {
            let seconds = 1 + (second(until) - second(now)).num_seconds();
            let promised: i64 = self.seconds.range(second(now)..=until).map(|(_, used)| used).sum();
            rate.saturating_mul(seconds) - promised
        });
        by_quota.min(by_rate).clamp(0, ceiling)
    }

    /// Whether the quota is used up for a mail that goes at `at`.
    #[must_use]
    pub fn is_used_up(&self, at: DateTime<Utc>) -> bool {
        self.daily_quota.is_some_and(|quota| self.used(at) >= quota)
    }

    /// The first instant from `from` to `until` in whose second the account takes one mail more.
    #[must_use]
    pub fn earliest(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let Some(rate) = self.mails_per_second else { return Some(from).filter(|at| *at <= until) };
        let mut at = from;
        while at <= until {
            if self.seconds.get(&second(at)).copied().unwrap_or_default() < rate {
                return Some(at);
            }
            at = second(at) + Duration::seconds(1);
        }
        None
    }

    /// When the quota has room again, if nothing else is promised; none where others alone use it up.
    #[must_use]
    pub fn frees_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let leaves = self.hours.keys().map(|hour| *hour + Duration::hours(QUOTA_HOURS));
        leaves.filter(|at| *at > now).find(|at| !self.is_used_up(*at))
    }

    /// Promises one mail at `at`.
    pub fn promise(&mut self, at: DateTime<Utc>) {
        *self.hours.entry(hour(at)).or_default() += 1;
        if self.mails_per_second.is_some() {
            *self.seconds.entry(second(at)).or_default() += 1;
        }
    }

    fn from_rows(account: &[Row], usage: &[Row]) -> Result<Self> {
        let row = account.first().ok_or_else(|| Error::internal("the provider account is not there"))?;
        let mut account = Self {
            mails_per_second: row.try_get::<_, Option<i32>>("mails_per_second")?.map(i64::from),
            daily_quota: row.try_get("daily_quota")?,
            sent_elsewhere: row.try_get("sent_elsewhere")?,
            ..Self::default()
        };
        for row in usage {
            let counted = match row.try_get("period")? {
                "hour" => &mut account.hours,
                _ => &mut account.seconds,
            };
            counted.insert(row.try_get("starts_at")?, row.try_get::<_, i32>("used")?.into());
        }
        Ok(account)
    }
}

/// Reads what may be promised at `now`, without holding anybody back.
pub(crate) async fn read(tx: &Tx, now: DateTime<Utc>) -> Result<Account> {
    let [account, usage] = tx
        .query_each([(include_str!("read.sql"), &[&ACCOUNT]), (include_str!("read_usage.sql"), &[&ACCOUNT, &now])])
        .await?;
    Account::from_rows(&account, &usage)
}

/// The same, after everybody else who plans has ended; nobody else plans before this transaction has.
pub(crate) async fn lock(tx: &Tx, now: DateTime<Utc>) -> Result<Account> {
    let [_, account, usage] = tx
        .query_each([
            (include_str!("lock.sql"), &[&ACCOUNT]),
            (include_str!("read.sql"), &[&ACCOUNT]),
            (include_str!("read_usage.sql"), &[&ACCOUNT, &now]),
        ])
        .await?;
    Account::from_rows(&account, &usage)
}

/// Counts mails by the hour.
pub(crate) async fn count(tx: &Tx, times: impl Iterator<Item = DateTime<Utc>>) -> Result<()> {
    add(tx, "hour", times.map(hour)).await
}

/// Counts mails by the second. Only who has the account's lock does.
pub(crate) async fn count_seconds(tx: &Tx, times: impl Iterator<Item = DateTime<Utc>>) -> Result<()> {
    add(tx, "second", times.map(second)).await
}

async fn add(tx: &Tx, period: &str, starts: impl Iterator<Item = DateTime<Utc>>) -> Result<()> {
    let (starts, counts) = totals(starts);
    if !starts.is_empty() {
        tx.execute(include_str!("count.sql"), &[&ACCOUNT, &period, &starts, &counts]).await?;
    }
    Ok(())
}

/// Gives mails back by the hour.
pub(crate) async fn release(tx: &Tx, times: impl Iterator<Item = DateTime<Utc>>) -> Result<()> {
    let (starts, counts) = totals(times.map(hour));
    if !starts.is_empty() {
        tx.execute(include_str!("release.sql"), &[&ACCOUNT, &starts, &counts]).await?;
    }
    Ok(())
}

/// Removes what no quota and no rate will ask for any more.
pub(crate) async fn sweep(tx: &Tx) -> Result<u64> {
    tx.execute(include_str!("sweep.sql"), &[&tx.now()]).await
}

fn totals(starts: impl Iterator<Item = DateTime<Utc>>) -> (Vec<DateTime<Utc>>, Vec<i32>) {
    let mut totals: BTreeMap<DateTime<Utc>, i32> = BTreeMap::new();
    for start in starts {
        *totals.entry(start).or_default() += 1;
    }
    totals.into_iter().unzip()
}

fn hour(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(Duration::hours(1)).unwrap_or(at)
}

fn second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(Duration::seconds(1)).unwrap_or(at)
}

#[cfg(test)]
mod tests;
