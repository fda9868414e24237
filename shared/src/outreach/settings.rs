//! When and how fast a campaign sends: its window, its limit a day and the gap between two mails of one sender. And what
//! of its mails is tracked.

use chrono::{Duration, NaiveTime};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};
use tokio_postgres::Row;

use super::campaigns;
use crate::delivery::schedule::{InvalidSendDays, SendDays, SendWindow};
use crate::fields::Fields;
use crate::{CampaignId, Error, Result, Tx};

/// How times of day are written.
const TIME_FORMAT: &str = "%H:%M";
/// Mails a day.
pub(crate) const DAILY_LIMIT: std::ops::RangeInclusive<i32> = 1..=1_000_000;
/// Seconds between two mails of one sender, at most a day.
pub(crate) const GAP_SECONDS: std::ops::RangeInclusive<i32> = 0..=86_400;
/// Seconds that a mail may be late, from a minute to a week.
const MAXIMUM_LATENESS_SECONDS: std::ops::RangeInclusive<i32> = 60..=604_800;

/// A campaign's settings as the send path uses them.
#[derive(Debug, Clone)]
pub struct CampaignSettings {
    window: SendWindow,
    /// Mails a day.
    pub daily_limit: i32,
    gap: Duration,
    maximum_lateness: Duration,
}

impl CampaignSettings {
    /// Reads the columns `window_start`, `window_end`, `send_days`, `timezone`, `daily_limit`, `gap_seconds` and
    /// `maximum_lateness_seconds`.
    ///
    /// Errors: [`Error::Internal`] for a row that no request could have written.
    pub fn from_row(row: &Row) -> Result<Self> {
        let opens: NaiveTime = row.try_get("window_start")?;
        let closes: NaiveTime = row.try_get("window_end")?;
        let days: Vec<&str> = row.try_get("send_days")?;
        let days = SendDays::from_names(days).map_err(Error::internal)?;
        let zone = row.try_get::<_, &str>("timezone")?.parse().map_err(Error::internal)?;
        Ok(Self {
            window: SendWindow { opens, closes, days, zone },
            daily_limit: row.try_get("daily_limit")?,
            gap: Duration::seconds(row.try_get::<_, i32>("gap_seconds")?.into()),
            maximum_lateness: Duration::seconds(row.try_get::<_, i32>("maximum_lateness_seconds")?.into()),
        })
    }

    /// When the campaign may send.
    #[must_use]
    pub fn window(&self) -> &SendWindow {
        &self.window
    }

    /// Between two mails of one sender.
    #[must_use]
    pub fn gap(&self) -> Duration {
        self.gap
    }

    /// A mail this much later than its slot is not sent any more.
    #[must_use]
    pub fn maximum_lateness(&self) -> Duration {
        self.maximum_lateness
    }
}

/// A campaign's settings as the API shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// When the window opens, local time of `timezone`.
    #[serde(serialize_with = "time_of_day")]
    pub window_start: NaiveTime,
    /// When it closes; before `window_start` for a window over midnight, which belongs to its opening day.
    #[serde(serialize_with = "time_of_day")]
    pub window_end: NaiveTime,
    /// Names of weekdays, `monday` to `sunday`.
    pub send_days: Vec<String>,
    /// IANA name.
    pub timezone: String,
    /// Mails a day.
    pub daily_limit: i32,
    /// Seconds between two mails of one sender.
    pub gap_seconds: i32,
    /// A mail this many seconds later than its slot is not sent any more.
    pub maximum_lateness_seconds: i32,
    /// Whether its mails have a pixel that tells of opens.
    pub track_opens: bool,
    /// Whether links of its mails lead through us, which tells of clicks.
    pub track_clicks: bool,
}

/// What changes; absent fields stay as they are. Times are written as `09:00`.
#[derive(Debug, Clone, Default)]
pub struct SettingsPatch {
    /// When the window opens.
    pub window_start: Option<String>,
    /// When it closes.
    pub window_end: Option<String>,
    /// Names of weekdays, at least one.
    pub send_days: Option<Vec<String>>,
    /// IANA name.
    pub timezone: Option<String>,
    /// 1 to 1,000,000.
    pub daily_limit: Option<i32>,
    /// 0 to 86,400.
    pub gap_seconds: Option<i32>,
    /// 60 to 604,800.
    pub maximum_lateness_seconds: Option<i32>,
    /// Whether mails have a pixel.
    pub track_opens: Option<bool>,
    /// Whether links lead through us.
    pub track_clicks: Option<bool>,
}

impl Settings {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            window_start: row.try_get("window_start")?,
            window_end: row.try_get("window_end")?,
            send_days: row.try_get("send_days")?,
            timezone: row.try_get("timezone")?,
            daily_limit: row.try_get("daily_limit")?,
            gap_seconds: row.try_get("gap_seconds")?,
            maximum_lateness_seconds: row.try_get("maximum_lateness_seconds")?,
            track_opens: row.try_get("track_opens")?,
            track_clicks: row.try_get("track_clicks")?,
        })
    }
}

impl SettingsPatch {
    /// Errors: [`Error::Invalid`].
    fn apply(self, present: Settings) -> Result<Settings> {
        let mut fields = Fields::default();
        let changed = Settings {
            window_start: self
                .window_start
                .map_or(present.window_start, |text| time(&mut fields, "window_start", &text)),
            window_end: self.window_end.map_or(present.window_end, |text| time(&mut fields, "window_end", &text)),
            send_days: self.send_days.map_or(present.send_days, |names| days(&mut fields, &names)),
            timezone: self.timezone.map_or(present.timezone, |name| zone(&mut fields, name)),
            daily_limit: self.daily_limit.unwrap_or(present.daily_limit),
            gap_seconds: self.gap_seconds.unwrap_or(present.gap_seconds),
            maximum_lateness_seconds: self.maximum_lateness_seconds.unwrap_or(present.maximum_lateness_seconds),
            track_opens: self.track_opens.unwrap_or(present.track_opens),
            track_clicks: self.track_clicks.unwrap_or(present.track_clicks),
        };
        fields.number("daily_limit", changed.daily_limit, DAILY_LIMIT);
        fields.number("gap_seconds", changed.gap_seconds, GAP_SECONDS);
        fields.number("maximum_lateness_seconds", changed.maximum_lateness_seconds, MAXIMUM_LATENESS_SECONDS);
        fields.finish()?;
        Ok(changed)
    }
}

fn time(fields: &mut Fields, field: &str, text: &str) -> NaiveTime {
    NaiveTime::parse_from_str(text, TIME_FORMAT).unwrap_or_else(|_| {
        fields.refuse(field, "invalid", "this is a time of day such as 09:00");
        NaiveTime::MIN
    })
}

/// The days as they are kept: Monday first, each once.
fn days(fields: &mut Fields, names: &[String]) -> Vec<String> {
    match SendDays::from_names(names) {
        Ok(days) => days.names().map(str::to_owned).collect(),
        Err(error) => {
            let code = if error == InvalidSendDays::Empty { "empty" } else { "unknown" };
            fields.refuse("send_days", code, error.to_string());
            Vec::new()
        }
    }
}

fn zone(fields: &mut Fields, name: String) -> String {
    if name.parse::<Tz>().is_err() {
        fields.refuse("timezone", "unknown_timezone", "this is an IANA time zone such as Europe/Berlin");
    }
    name
}

/// The settings of a campaign as the API shows them.
///
/// Errors: [`Error::NotFound`].
pub async fn show(tx: &Tx, campaign: CampaignId) -> Result<Settings> {
    let row = tx.query_opt(include_str!("settings/find.sql"), &[&campaign]).await?;
    Settings::from_row(&row.ok_or(Error::not_found("campaign"))?)
}

/// The settings of a campaign as the send path uses them.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, campaign: CampaignId) -> Result<CampaignSettings> {
    let row = tx.query_opt(include_str!("settings/find.sql"), &[&campaign]).await?;
    CampaignSettings::from_row(&row.ok_or(Error::not_found("campaign"))?)
}

/// Changes the settings of a draft or a paused campaign.
///
/// The due times of a paused campaign's people are not computed anew: they keep the window that was valid when they were
/// set, and the claim checks the present one again, so whoever is due outside of it waits until it opens.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_editable`), [`Error::Invalid`].
pub async fn update(tx: &Tx, campaign: CampaignId, patch: SettingsPatch) -> Result<Settings> {
    let held = campaigns::hold(tx, campaign).await?;
    let changed = patch.apply(show(tx, campaign).await?)?;
    held.require_editable()?;
    let row = tx
        .query_one(
            include_str!("settings/update.sql"),
            &[
                &campaign,
                &changed.window_start,
                &changed.window_end,
                &changed.send_days,
                &changed.timezone,
                &changed.daily_limit,
                &changed.gap_seconds,
                &changed.maximum_lateness_seconds,
                &changed.track_opens,
                &changed.track_clicks,
            ],
        )
        .await?;
    Settings::from_row(&row)
}

fn time_of_day<S: Serializer>(time: &NaiveTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format(TIME_FORMAT))
}
