//! Onboarding: what an organization tells of itself after its sign-up, in steps that follow each other.
//!
//! `pending` → `info_captured` (who it is) → `intent_captured` (what it is about) → `completed`, with which the trial begins. A
//! step may be asked for again, so that a request that was answered to nobody can be repeated; none is skipped or taken back.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::lifecycle_mails::{self, Kind, LifecycleMail};
use super::subscriptions;
use crate::fields::{Fields, given, patched};
use crate::{Error, OrganizationId, Result, Tx, UserId};

/// Characters of a name or a line.
const LINE_MAXIMUM: usize = 200;
/// Characters of the description of a brand.
const DESCRIPTION_MAXIMUM: usize = 5_000;

/// How far an organization has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnboardingStep")]
pub enum Step {
    /// Nothing is told yet.
    Pending,
    /// Who it is: `full_name` and `business_name`.
    InfoCaptured,
    /// What it is about: `brand_description`.
    IntentCaptured,
    /// The trial has begun.
    Completed,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 4] = [Self::Pending, Self::InfoCaptured, Self::IntentCaptured, Self::Completed];

    /// The step's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InfoCaptured => "info_captured",
            Self::IntentCaptured => "intent_captured",
            Self::Completed => "completed",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let step = Self::ALL.into_iter().find(|step| step.name() == name);
        step.ok_or_else(|| Error::internal(format!("unknown step of onboarding: {name}")))
    }

    fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step > self)
    }

    /// The step that is reached by asking for one: the present one or the next.
    fn advance(self, asked: Self) -> Result<Self> {
        if asked == self || Some(asked) == self.next() {
            return Ok(asked);
        }
        Err(Error::conflict(
            "onboarding_step_order",
            format!(
                "the onboarding stands at {} and goes on to {}, not to {}",
                self.name(),
                self.next().map_or("nothing", Self::name),
                asked.name()
            ),
        ))
    }
}

/// The onboarding as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Onboarding {
    /// How far it has come.
    pub step: Step,
    /// The person's whole name.
    pub full_name: Option<String>,
    /// What the business is called.
    pub business_name: Option<String>,
    /// The company behind it.
    pub company_name: Option<String>,
    /// What it does business in.
    pub industry: Option<String>,
    /// What its brand stands for.
    pub brand_description: Option<String>,
    /// When the person signed up; when the organization was made, where nobody did.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub signed_up_at: DateTime<Utc>,
    /// When the last step was reached.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub completed_at: Option<DateTime<Utc>>,
    /// The mails of the first days, in the order in which they go.
    pub mails: Vec<LifecycleMail>,
}

/// What changes; absent fields stay as they are, those that are null are emptied.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnboardingFields {
    /// The step that is reached with this: the present one or the next.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Step")]
    pub step: Option<Step>,
    /// The person's whole name. `info_captured` needs it.
    #[serde(deserialize_with = "patched")]
    pub full_name: Option<Option<String>>,
    /// What the business is called. `info_captured` needs it.
    #[serde(deserialize_with = "patched")]
    pub business_name: Option<Option<String>>,
    /// The company behind it.
    #[serde(deserialize_with = "patched")]
    pub company_name: Option<Option<String>>,
    /// What it does business in.
    #[serde(deserialize_with = "patched")]
    pub industry: Option<Option<String>>,
    /// What its brand stands for. `intent_captured` needs it.
    #[serde(deserialize_with = "patched")]
    pub brand_description: Option<Option<String>>,
}

impl OnboardingFields {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let given = [
            ("step", self.step.is_some()),
            ("full_name", self.full_name.is_some()),
            ("business_name", self.business_name.is_some()),
            ("company_name", self.company_name.is_some()),
            ("industry", self.industry.is_some()),
            ("brand_description", self.brand_description.is_some()),
        ];
        given.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }
}

/// Begins for an organization that `founder` has just founded and owns, the transaction's own or another one: the trial will be
/// theirs, the welcome is scheduled, and the reminder for whoever stops half way. Asked again, it does nothing.
pub async fn begin(tx: &Tx, organization: OrganizationId, founder: UserId) -> Result<()> {
    let now = tx.now();
    let (kinds, times) = lifecycle_mails::times_after(tx, now, &[Kind::Welcome, Kind::OnboardingReminder], now).await?;
    tx.execute(include_str!("onboarding/begin.sql"), &[&organization, &founder, &now, &kinds, &times]).await?;
    Ok(())
}

/// The onboarding of the organization of this transaction; one that has never begun stands at its first step.
pub async fn find(tx: &Tx) -> Result<Onboarding> {
    let row = tx.query_one(include_str!("onboarding/find.sql"), &[]).await?;
    Ok(Onboarding { mails: lifecycle_mails::list(tx).await?, ..from_row(&row)? })
}

/// Changes the fields that are given and goes on to the step that is asked for. With the last one the trial begins, and the
/// reminder is taken back.
///
/// Errors: [`Error::Invalid`] naming every wrong field and every one that the step needs, [`Error::Conflict`]
/// (`onboarding_step_order`).
pub async fn update(tx: &Tx, user: Option<UserId>, changes: OnboardingFields) -> Result<Onboarding> {
    tx.execute(include_str!("onboarding/ensure.sql"), &[&user]).await?;
    let present = from_row(&tx.query_one(include_str!("onboarding/lock.sql"), &[]).await?)?;
    let step = present.step.advance(changes.step.unwrap_or(present.step))?;
    let mut fields = Fields::default();
    let mut line = |name: &'static str, change: Option<Option<String>>, stored: Option<String>| {
        let wanted = change.unwrap_or(stored);
        fields.line(name, wanted.as_deref(), LINE_MAXIMUM).filter(|text| !text.is_empty())
    };
    let full_name = line("full_name", changes.full_name, present.full_name);
    let business_name = line("business_name", changes.business_name, present.business_name);
    let company_name = line("company_name", changes.company_name, present.company_name);
    let industry = line("industry", changes.industry, present.industry);
    let description = changes.brand_description.unwrap_or(present.brand_description);
    let description = fields
        .text("brand_description", description.as_deref(), DESCRIPTION_MAXIMUM)
        .filter(|text| !text.trim().is_empty());
    for (name, value, from) in [
        ("full_name", &full_name, Step::InfoCaptured),
        ("business_name", &business_name, Step::InfoCaptured),
        ("brand_description", &description, Step::IntentCaptured),
    ] {
        if value.is_none() && step >= from {
            fields.refuse(name, "required", format!("{name} is needed from the step {} on", from.name()));
        }
    }
    fields.finish()?;
    let completes = step == Step::Completed && present.step != Step::Completed;
    tx.execute(
        include_str!("onboarding/update.sql"),
        &[
            &step.name(),
            &full_name,
            &business_name,
            &company_name,
            &industry,
            &description,
            &completes.then_some(tx.now()),
        ],
    )
    .await?;
    if completes {
        // The subscription before the mails, as what Stripe tells.
        subscriptions::begin_trial(tx).await?;
        lifecycle_mails::cancel(tx, &[Kind::OnboardingReminder]).await?;
    }
    find(tx).await
}

fn from_row(row: &Row) -> Result<Onboarding> {
    Ok(Onboarding {
        step: Step::parse(row.try_get("step")?)?,
        full_name: row.try_get("full_name")?,
        business_name: row.try_get("business_name")?,
        company_name: row.try_get("company_name")?,
        industry: row.try_get("industry")?,
        brand_description: row.try_get("brand_description")?,
        signed_up_at: row.try_get("signed_up_at")?,
        completed_at: row.try_get("completed_at")?,
        mails: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_and_none_is_skipped_or_taken_back() {
        for (at, present) in Step::ALL.into_iter().enumerate() {
            for (to, asked) in Step::ALL.into_iter().enumerate() {
                let reached = present.advance(asked);
                assert_eq!(reached.is_ok(), to == at || to == at + 1, "{present:?} {asked:?}");
                if let Ok(reached) = reached {
                    assert_eq!(reached, asked);
                }
            }
        }
    }
}
