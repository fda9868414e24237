//! What an organization has settled for itself: how its new campaigns begin, and how much it sends in all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{Fields, patched};
use crate::outreach::settings::{DAILY_LIMIT, GAP_SECONDS};
use crate::{Error, Result};

/// Mails a day, or an hour.
const LIMIT: std::ops::RangeInclusive<i32> = 1..=10_000_000;
/// Mails to one person within some days.
const PERSON_MAILS: std::ops::RangeInclusive<i32> = 1..=1_000;
/// Days whose mails to one person are summed: as many as counters are read of for each mail.
const PERSON_DAYS: std::ops::RangeInclusive<i32> = 1..=31;

/// How many mails one person gets at most within how many days (UTC, the present one among them), over all campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonLimit {
    /// Mails.
    pub mails: i32,
    /// Days.
    pub days: i32,
}

/// The settings; null stands for what Martlet does by default. Campaigns that are there keep their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "OrganizationSettings")]
pub struct Settings {
    /// IANA time zone of a new campaign's window; UTC by default.
    pub campaign_timezone: Option<String>,
    /// Mails a day of a new campaign; 50 by default.
    pub campaign_daily_limit: Option<i32>,
    /// Seconds between two mails of one sender in a new campaign; 120 by default.
    pub campaign_gap_seconds: Option<i32>,
    /// Mails a day over all campaigns; without a limit by default.
    pub daily_limit: Option<i32>,
    /// Mails in an hour (of UTC) to addresses in one and the same domain; without a limit by default.
    pub recipient_domain_hourly_limit: Option<i32>,
    /// Mails to one person over all campaigns; without a limit by default.
    pub person_limit: Option<PersonLimit>,
}

/// What changes; absent settings stay as they are, null brings the default back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsFields {
    /// IANA time zone of a new campaign's window.
    #[serde(deserialize_with = "patched")]
    pub campaign_timezone: Option<Option<String>>,
    /// Mails a day of a new campaign.
    #[serde(deserialize_with = "patched")]
    pub campaign_daily_limit: Option<Option<i32>>,
    /// Seconds between two mails of one sender in a new campaign.
    #[serde(deserialize_with = "patched")]
    pub campaign_gap_seconds: Option<Option<i32>>,
    /// Mails a day over all campaigns.
    #[serde(deserialize_with = "patched")]
    pub daily_limit: Option<Option<i32>>,
    /// Mails in an hour to addresses in one domain.
    #[serde(deserialize_with = "patched")]
    pub recipient_domain_hourly_limit: Option<Option<i32>>,
    /// Mails to one person.
    #[serde(deserialize_with = "patched")]
    pub person_limit: Option<Option<PersonLimit>>,
}

impl Settings {
    /// Reads the column. What an earlier release may have left there and this one does not know is passed over.
    pub(crate) fn from_json(json: Value) -> Result<Self> {
        serde_json::from_value(json).map_err(Error::internal)
    }

    /// As the column keeps them: what is not settled is left out.
    pub(super) fn to_json(&self) -> Result<Value> {
        let mut json = serde_json::to_value(self).map_err(Error::internal)?;
        if let Value::Object(settings) = &mut json {
            settings.retain(|_, value| !value.is_null());
        }
        Ok(json)
    }

    /// With the changes: `None` changes nothing, `Some(None)` brings every default back.
    pub(super) fn with(self, changes: Option<Option<SettingsFields>>, fields: &mut Fields) -> Self {
        let Some(changes) = changes else { return self };
        let Some(changes) = changes else { return Self::default() };
        if let Some(zone) = &changes.campaign_timezone {
            fields.timezone("settings.campaign_timezone", zone.as_deref());
        }
        if let Some(Some(PersonLimit { mails, days })) = changes.person_limit {
            fields.number("settings.person_limit.mails", mails, PERSON_MAILS);
            fields.number("settings.person_limit.days", days, PERSON_DAYS);
        }
        let mut number = |field, given: Option<Option<i32>>, present, bounds| match given {
            Some(number) => number.map(|number| fields.number(field, number, bounds)),
            None => present,
        };
        Self {
            campaign_daily_limit: number(
                "settings.campaign_daily_limit",
                changes.campaign_daily_limit,
                self.campaign_daily_limit,
                DAILY_LIMIT,
            ),
            campaign_gap_seconds: number(
                "settings.campaign_gap_seconds",
                changes.campaign_gap_seconds,
                self.campaign_gap_seconds,
                GAP_SECONDS,
            ),
            daily_limit: number("settings.daily_limit", changes.daily_limit, self.daily_limit, LIMIT),
            recipient_domain_hourly_limit: number(
                "settings.recipient_domain_hourly_limit",
                changes.recipient_domain_hourly_limit,
                self.recipient_domain_hourly_limit,
                LIMIT,
            ),
            person_limit: changes.person_limit.unwrap_or(self.person_limit),
            campaign_timezone: changes.campaign_timezone.unwrap_or(self.campaign_timezone),
        }
    }
}
