//! The mails of the first days: a welcome, a reminder, two during the trial and one at its end, each at most once.
//!
//! They are scheduled here by people's time and handed over as system mail when their time has come ([`sending`]), since until
//! then much may happen that takes them back.

pub mod sending;

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::config;
use crate::{Error, Result, Tx};

/// Which mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LifecycleMailKind")]
pub enum Kind {
    /// Shortly after the sign-up.
    Welcome,
    /// To somebody who has not completed their onboarding.
    OnboardingReminder,
    /// On the trial's second day.
    #[serde(rename = "trial_day_2")]
    TrialDay2,
    /// On the trial's fifth day.
    #[serde(rename = "trial_day_5")]
    TrialDay5,
    /// When the trial has ended.
    TrialExpired,
}

impl Kind {
    /// Every kind, in the order in which they go.
    pub const ALL: [Self; 5] =
        [Self::Welcome, Self::OnboardingReminder, Self::TrialDay2, Self::TrialDay5, Self::TrialExpired];

    /// The kind's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::OnboardingReminder => "onboarding_reminder",
            Self::TrialDay2 => "trial_day_2",
            Self::TrialDay5 => "trial_day_5",
            Self::TrialExpired => "trial_expired",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| Error::internal(format!("unknown mail of the first days: {name}")))
    }

    /// The key of `system_config` (category `email`) with its delay.
    fn delay_key(self) -> &'static str {
        match self {
            Self::Welcome => "welcome_delay",
            Self::OnboardingReminder => "onboarding_reminder_delay",
            Self::TrialDay2 => "trial_day_2_delay",
            Self::TrialDay5 => "trial_day_5_delay",
            Self::TrialExpired => "trial_expiry_delay",
        }
    }
}

/// A mail as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LifecycleMail {
    /// Which.
    pub kind: Kind,
    /// `scheduled`, `sent` (it was handed over to be sent), `cancelled`, or `missed` when nothing could send it in time.
    pub status: String,
    /// When it goes, at the earliest.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub send_at: DateTime<Utc>,
    /// When it got its last status.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// The mails of the transaction's organization, in the order in which they go.
pub async fn list(tx: &Tx) -> Result<Vec<LifecycleMail>> {
    let rows = tx.query(include_str!("lifecycle_mails/list.sql"), &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(LifecycleMail {
                kind: Kind::parse(row.try_get("kind")?)?,
                status: row.try_get("status")?,
                send_at: row.try_get("send_at")?,
                ended_at: row.try_get("ended_at")?,
            })
        })
        .collect()
}

/// Schedules mails, each its own time after `began_at`. One that was scheduled before stays as it is.
pub(super) async fn schedule_after(tx: &Tx, began_at: DateTime<Utc>, kinds: &[Kind]) -> Result<()> {
    schedule(tx, began_at, kinds, began_at).await
}

/// The same, none of them before `earliest`.
pub(super) async fn schedule(tx: &Tx, began_at: DateTime<Utc>, kinds: &[Kind], earliest: DateTime<Utc>) -> Result<()> {
    let (names, times) = times_after(tx, began_at, kinds, earliest).await?;
    tx.execute(include_str!("lifecycle_mails/schedule.sql"), &[&tx.organization()?, &names, &times]).await?;
    Ok(())
}

/// The names of mails and when each goes: its own time after `began_at`, and none before `earliest`.
pub(super) async fn times_after(
    tx: &Tx,
    began_at: DateTime<Utc>,
    kinds: &[Kind],
    earliest: DateTime<Utc>,
) -> Result<(Vec<&'static str>, Vec<DateTime<Utc>>)> {
    let settings = config::read(tx, "email").await?;
    let mut times = Vec::with_capacity(kinds.len());
    for kind in kinds {
        times.push(later(began_at, settings.duration(kind.delay_key())?)?.max(earliest));
    }
    Ok((kinds.iter().map(|kind| kind.name()).collect(), times))
}

/// Takes back what is still scheduled of these.
pub(super) async fn cancel(tx: &Tx, kinds: &[Kind]) -> Result<()> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    tx.execute(include_str!("lifecycle_mails/cancel.sql"), &[&names, &tx.now()]).await?;
    Ok(())
}

/// A time after another.
pub(super) fn later(at: DateTime<Utc>, delay: Duration) -> Result<DateTime<Utc>> {
    let delay = chrono::Duration::from_std(delay).ok();
    delay.and_then(|delay| at.checked_add_signed(delay)).ok_or_else(|| Error::internal("a delay has no end"))
}
