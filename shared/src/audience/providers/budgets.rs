//! What an organization may spend on providers within a day. It is reserved before anybody is asked, so that two at once don't
//! spend it twice; what died on the way stays spent.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::platform::config::Settings;
use crate::{Error, Result, Tx};

/// What providers are asked for; each has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Who somebody is.
    Enrichment,
    /// Whether a mailbox takes mail.
    Deliverability,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Enrichment => "enrichment",
            Self::Deliverability => "deliverability",
        }
    }
}

/// What one question costs, and what all of a day may: in millionths of the provider's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// One question.
    pub cost: i64,
    /// All of a day.
    pub of_day: i64,
}

impl Budget {
    /// Reads both from the settings of a category.
    pub fn read(settings: &Settings) -> Result<Self> {
        Ok(Self { cost: settings.number("cost")?, of_day: settings.number("daily_budget")? })
    }

    /// How many more questions it allows after so much was spent. What costs nothing is allowed whatever was spent.
    fn allows(self, spent: i64, wanted: usize) -> usize {
        if self.cost == 0 {
            return wanted;
        }
        usize::try_from((self.of_day - spent).max(0) / self.cost).unwrap_or(usize::MAX).min(wanted)
    }
}

/// Reserves what asking so many times costs today; returns how many times there is enough for.
pub async fn reserve(tx: &Tx, purpose: Purpose, budget: Budget, wanted: usize) -> Result<usize> {
    if wanted == 0 {
        return Ok(0);
    }
    let day = tx.now().date_naive();
    tx.execute(include_str!("budgets/begin_day.sql"), &[&tx.organization()?, &purpose.name(), &day]).await?;
    let row = tx.query_one(include_str!("budgets/hold_day.sql"), &[&purpose.name(), &day]).await?;
    let granted = budget.allows(row.try_get("cost")?, wanted);
    let calls = i64::try_from(granted).map_err(Error::internal)?;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&purpose.name(), &day, &calls, &calls.saturating_mul(budget.cost)];
    tx.execute(include_str!("budgets/spend.sql"), &params).await?;
    Ok(granted)
}

/// How long it is until the next day of budgets begins.
#[must_use]
pub fn until_next_day(now: DateTime<Utc>) -> TimeDelta {
    let next = (now + TimeDelta::days(1)).date_naive().and_time(NaiveTime::MIN).and_utc();
    next - now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_not_passed() {
        let budget = Budget { cost: 30, of_day: 100 };
        assert_eq!(budget.allows(0, 10), 3);
        assert_eq!(budget.allows(0, 2), 2);
        assert_eq!(budget.allows(40, 10), 2);
        assert_eq!(budget.allows(71, 10), 0);
        assert_eq!(budget.allows(1_000, 10), 0, "it was lowered meanwhile");
        assert_eq!(Budget { cost: 0, of_day: 0 }.allows(50, 7), 7);
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(until_next_day(at("2026-03-04T23:59:00Z")), TimeDelta::minutes(1));
        assert_eq!(until_next_day(at("2026-03-04T00:00:00Z")), TimeDelta::days(1));
    }
}
