//! What an organization pays for, and the trial before that.
//!
//! The plan in effect stands in `organizations.plan_type`, where whoever plans mail or counts requests reads it. It is lent by a
//! trial, bought by a subscription, or given by whoever runs the installation; what ends takes no more than it gave.

pub mod receiving;
mod snapshots;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::config;
use super::lifecycle_mails::{self, Kind};
use crate::{Error, Result, Tx};

/// The plan that needs no subscription.
const FREE: &str = "free";

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialStatus {
    /// It begins when the onboarding is completed.
    Pending,
    /// It lasts.
    Active,
    /// It is over.
    Expired,
    /// There is none: its founder had theirs in another organization.
    Cancelled,
    /// It was ended by a subscription.
    Converted,
}

impl TrialStatus {
    const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Expired, Self::Cancelled, Self::Converted];

    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Converted => "converted",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        let status = Self::ALL.into_iter().find(|status| status.name() == name);
        status.ok_or_else(|| Error::internal(format!("unknown status of a trial: {name}")))
    }
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SubscriptionStatus")]
pub enum Status {
    /// There is none, or its first payment has not come.
    None,
    /// It has begun and is not paid yet, by Stripe's own trial.
    Trialing,
    /// It is paid.
    Active,
    /// A payment failed, and Stripe tries again.
    PastDue,
    /// It has ended.
    Canceled,
}

impl Status {
    const ALL: [Self; 5] = [Self::None, Self::Trialing, Self::Active, Self::PastDue, Self::Canceled];

    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Canceled => "canceled",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        let status = Self::ALL.into_iter().find(|status| status.name() == name);
        status.ok_or_else(|| Error::internal(format!("unknown status of a subscription: {name}")))
    }

    /// Whether it keeps its plan: also while a payment is late, until Stripe gives up.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Trialing | Self::Active | Self::PastDue)
    }
}

/// Where the plan in effect comes from. What ends takes back its own plan alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanSource {
    /// Nobody: it is the one that needs nobody.
    Default,
    /// The trial lends it.
    Trial,
    /// A subscription pays for it.
    Stripe,
    /// Whoever runs the installation has given it.
    Administrator,
}

impl PlanSource {
    const ALL: [Self; 4] = [Self::Default, Self::Trial, Self::Stripe, Self::Administrator];

    /// The source's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Trial => "trial",
            Self::Stripe => "stripe",
            Self::Administrator => "administrator",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let source = Self::ALL.into_iter().find(|source| source.name() == name);
        source.ok_or_else(|| Error::internal(format!("unknown source of a plan: {name}")))
    }
}

/// Plan, trial and subscription as the API shows them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Subscription {
    /// The plan in effect: `free`, `basic`, `pro` or `enterprise`.
    pub plan_type: String,
    /// Where it comes from.
    pub plan_source: PlanSource,
    /// Whether the organization is held to its plan's limits.
    pub has_plan_limits: bool,
    /// The trial.
    pub trial: Trial,
    /// What is paid for.
    pub status: Status,
    /// The plan that is paid for; null where no price of ours was found.
    pub paid_plan: Option<String>,
    /// Until when it is paid.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub period_ends_at: Option<DateTime<Utc>>,
    /// Whether it ends then.
    pub cancels_at_period_end: bool,
    /// Stripe's id of the customer who pays for it.
    pub stripe_customer_id: Option<String>,
    /// Stripe's id of the subscription.
    pub stripe_subscription_id: Option<String>,
}

/// A trial.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Trial {
    /// Where it stands.
    pub status: TrialStatus,
    /// When it began.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ends or ended.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub ends_at: Option<DateTime<Utc>>,
    /// The plan that it lends; null where the organization had one already.
    pub plan_type: Option<String>,
}

impl Trial {
    /// As it stands at a time: over when that has come, whether anybody has noted it or not.
    fn at(self, now: DateTime<Utc>) -> Self {
        let is_over = self.status == TrialStatus::Active && self.ends_at.is_some_and(|end| end <= now);
        Self { status: if is_over { TrialStatus::Expired } else { self.status }, ..self }
    }
}

/// The subscription of the transaction's organization, as it stands now.
pub async fn find(tx: &Tx) -> Result<Subscription> {
    from_row(&tx.query_one(include_str!("subscriptions/find.sql"), &[]).await?, tx.now())
}

/// Begins the trial of the transaction's organization, once, and schedules its mails. One whose founder had a trial elsewhere gets
/// none, whoever asks for it.
pub(super) async fn begin_trial(tx: &Tx) -> Result<()> {
    let now = tx.now();
    let length = config::read(tx, "trial").await?.duration("length")?;
    let ends_at = lifecycle_mails::later(now, length)?;
    let row = tx.query_one(include_str!("subscriptions/begin_trial.sql"), &[&now, &ends_at]).await?;
    if TrialStatus::parse(row.try_get("status")?)? != TrialStatus::Active {
        return Ok(());
    }
    lifecycle_mails::schedule_after(tx, now, &[Kind::TrialDay2, Kind::TrialDay5]).await?;
    lifecycle_mails::schedule(tx, now, &[Kind::TrialExpired], ends_at).await
}

/// Notes that the trial is over, if it is, and takes back the plan that it has lent. For the scheduler.
pub(super) async fn expire_trial(tx: &Tx) -> Result<()> {
    tx.execute(include_str!("subscriptions/expire_trial.sql"), &[&tx.now()]).await?;
    Ok(())
}

fn from_row(row: &Row, now: DateTime<Utc>) -> Result<Subscription> {
    let kept = Trial {
        status: TrialStatus::parse(row.try_get("trial_status")?)?,
        started_at: row.try_get("trial_started_at")?,
        ends_at: row.try_get("trial_ends_at")?,
        plan_type: row.try_get("trial_plan")?,
    };
    let trial = kept.at(now);
    let (plan_type, plan_source) = match PlanSource::parse(row.try_get("plan_source")?)? {
        // Nobody has noted the end yet.
        PlanSource::Trial if trial.status != TrialStatus::Active => (FREE.to_owned(), PlanSource::Default),
        source => (row.try_get("plan_type")?, source),
    };
    Ok(Subscription {
        plan_type,
        plan_source,
        has_plan_limits: row.try_get("has_plan_limits")?,
        trial,
        status: Status::parse(row.try_get("status")?)?,
        paid_plan: row.try_get("paid_plan")?,
        period_ends_at: row.try_get("period_ends_at")?,
        cancels_at_period_end: row.try_get("cancels_at_period_end")?,
        stripe_customer_id: row.try_get("stripe_customer_id")?,
        stripe_subscription_id: row.try_get("stripe_subscription_id")?,
    })
}
