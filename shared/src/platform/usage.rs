//! What an organization has used: of each limit of its plan, and in a month.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::plans::Limit;
use super::subscriptions;
use crate::timestamps::millis;
use crate::{Error, Result, Tx};

/// What is used of the plan, and of the present month.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Usage {
    /// The plan in effect.
    pub plan_type: String,
    /// Whether the organization is held to it. Where it is not, `maximum` is what the plan would allow.
    pub has_plan_limits: bool,
    /// Each limit of the plan.
    pub limits: Vec<LimitUse>,
    /// The present UTC month.
    pub month: Month,
}

/// What is used of a limit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LimitUse {
    /// Which.
    pub limit: Limit,
    /// So much; of the contacts on a list, those on the largest.
    pub used: i64,
    /// At most so much; null for no bound.
    pub maximum: Option<i64>,
}

/// What was done in a month.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Month {
    /// When it began.
    #[serde(serialize_with = "millis")]
    pub began_at: DateTime<Utc>,
    /// Mails accepted by the provider.
    pub mails_sent: i64,
    /// Contacts made, imported ones included, that are still there.
    pub contacts_created: i64,
    /// Imports made.
    pub imports: i64,
    /// Requests of API keys, by the machine's clock.
    pub api_requests: i64,
}

/// What the transaction's organization has used.
pub async fn find(tx: &Tx) -> Result<Usage> {
    let subscription = subscriptions::find(tx).await?;
    let first = month_of(tx.now())?;
    let began_at = first.and_time(chrono::NaiveTime::MIN).and_utc();
    let today = tx.now().date_naive();
    let id = earliest_id(began_at)?;
    let row = tx.query_one(include_str!("usage/count.sql"), &[&today, &first, &began_at, &id]).await?;
    let maxima = tx.query(include_str!("usage/maxima.sql"), &[&subscription.plan_type]).await?;
    let mut limits = Vec::with_capacity(Limit::ALL.len());
    for limit in Limit::ALL {
        let mut maximum = None;
        for row in &maxima {
            if row.try_get::<_, &str>("name")? == limit.name() {
                maximum = row.try_get("maximum")?;
            }
        }
        limits.push(LimitUse { limit, used: row.try_get(limit.name())?, maximum });
    }
    Ok(Usage {
        plan_type: subscription.plan_type,
        has_plan_limits: subscription.has_plan_limits,
        limits,
        month: Month {
            began_at,
            mails_sent: row.try_get("mails_sent")?,
            contacts_created: row.try_get("contacts_created")?,
            imports: row.try_get("imports")?,
            api_requests: row.try_get(Limit::ApiRequestsAMonth.name())?,
        },
    })
}

/// The first day of a time's month.
fn month_of(now: DateTime<Utc>) -> Result<NaiveDate> {
    now.date_naive().with_day(1).ok_or_else(|| Error::internal("a month has no first day"))
}

/// The least id of version 7 that was made at a time or later: contacts are counted by their primary key.
fn earliest_id(at: DateTime<Utc>) -> Result<Uuid> {
    let millis = u64::try_from(at.timestamp_millis()).map_err(Error::internal)?;
    Ok(Uuid::from_u128(u128::from(millis) << 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_month_comes_after_the_earliest_and_one_of_before_does_not() {
        let at = DateTime::from_timestamp(1_772_323_200, 0).unwrap();
        assert_eq!(month_of(at).unwrap().to_string(), "2026-03-01");
        let millis = u64::try_from(at.timestamp_millis()).unwrap();
        let made = |millis| uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
        let earliest = earliest_id(at).unwrap();
        assert!(made(millis) > earliest && made(millis - 1) < earliest);
    }
}
