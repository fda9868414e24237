//! What keeps a mail from getting a slot, each by its stable name.
//!
//! The same arithmetic that gives out slots ([`super::slots`]) says what binds somebody at a moment and when that ends.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::limits::{self, recipient_domain_key};
use super::provider_account::usage;
use super::slots::{Ledger, Pair, Recipient};
use crate::sentences::sentences;
use crate::{EnrollmentId, Error, Result, Tx};

sentences! {
    /// Everything that a slot must keep, in the order in which it is asked about.
    Constraint:
    ProviderQuota = "provider_quota", "The provider account has used up its mails of 24 hours.";
    PlanDailyLimit = "plan_daily_limit", "The organization has used up its plan's mails of the day.";
    OrganizationDailyLimit = "organization_daily_limit", "The organization has used up its mails of the day.";
    DomainDailyLimit = "domain_daily_limit", "The sender's domain has used up its mails of the day.";
    CampaignDailyLimit = "campaign_daily_limit", "The campaign has used up its mails of the day.";
    SenderDailyLimit = "sender_daily_limit", "The sender has used up its mails of the day.";
    SenderGap = "sender_gap", "The gap to the sender's latest mail is not over.";
    ProviderRate = "provider_rate", "The provider account takes no more mails in these seconds.";
    Window = "window", "The campaign's sending window is closed.";
    RecipientDomainHourlyLimit = "recipient_domain_hourly_limit",
        "The domain of the recipient's address has got its mails of the hour.";
    PersonLimit = "person_limit", "The person has got as many mails as the organization sends in so many days.";
}

impl Constraint {
    /// Whether it is about the one person: others of the same campaign and sender may go meanwhile.
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(self, Self::RecipientDomainHourlyLimit | Self::PersonLimit)
    }
}

/// A constraint that binds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "MessageBinding")]
pub struct Binding {
    /// Which.
    pub name: Constraint,
    /// The same as a sentence.
    pub message: &'static str,
    /// When it ends, if nothing else is planned meanwhile; null where only a change of the limit would end it.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub frees_at: Option<DateTime<Utc>>,
}

impl Binding {
    /// A constraint that ends at `frees_at`.
    #[must_use]
    pub fn new(name: Constraint, frees_at: Option<DateTime<Utc>>) -> Self {
        Self { name, message: name.sentence(), frees_at }
    }
}

/// Everything that keeps a mail to this person of a campaign from getting a slot now, in the fixed order; nothing where it
/// gets one as soon as it is due. Whether campaign, sender and domain may send at all is not asked here.
///
/// Errors: [`Error::NotFound`].
pub async fn of_enrollment(tx: &Tx, enrollment: EnrollmentId) -> Result<Vec<Binding>> {
    let row = tx
        .query_opt(include_str!("constraints/of_enrollment.sql"), &[&enrollment])
        .await?
        .ok_or(Error::not_found("enrollment"))?;
    let now = tx.now();
    let (pair, settings) = Pair::from_row(&row, now)?;
    let pair = pair.within(settings.window_for(row.try_get("recipient_timezone")?));
    let recipient =
        Recipient { contact: row.try_get("contact_id")?, domain: recipient_domain_key(row.try_get("email")?) };
    let mut counters = pair.counters(now).to_vec();
    counters.extend(pair.personal_counters(recipient, now));
    let mut used = limits::read(tx, &counters).await?;
    used.extend(limits::read_days_before(tx, &pair.days_before(recipient, now).into_iter().collect::<Vec<_>>()).await?);
    Ok(Ledger::new(used, usage::read(tx, now).await?).bindings(&pair, recipient, now))
}
