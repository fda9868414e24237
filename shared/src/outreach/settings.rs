//! When and how fast a campaign sends: its window, its limit a day and the gap between two mails of one sender. And what
//! of its mails is tracked.

mod dates;

use chrono::{Duration, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use tokio_postgres::Row;

pub use self::dates::HOLIDAYS_LIMIT;
pub(crate) use self::dates::read as read_dates;
use super::campaigns;
use super::dealing::Strategy;
use crate::delivery::schedule::{Holidays, InvalidSendDays, SendDays, SendWindow};
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
/// Seconds by which due times are spread, at most four hours.
const JITTER_SECONDS: std::ops::RangeInclusive<i32> = 0..=14_400;

/// By whose clock a campaign's window opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimezoneMode {
    /// The campaign's, for everybody.
    Campaign,
    /// Each recipient's own; the campaign's for those of whom none is known.
    Recipient,
}

impl TimezoneMode {
    /// The mode's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Recipient => "recipient",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Campaign, Self::Recipient].into_iter().find(|mode| mode.name() == name)
    }

    fn from_row(row: &Row) -> Result<Self> {
        let name: &str = row.try_get("timezone_mode")?;
        Self::from_name(name).ok_or_else(|| Error::internal(format!("a campaign's timezone mode is {name}")))
    }
}

/// A campaign's settings as the send path uses them.
#[derive(Debug, Clone)]
pub struct CampaignSettings {
    window: SendWindow,
    timezone_mode: TimezoneMode,
    jitter: Duration,
    /// Mails a day.
    pub daily_limit: i32,
    gap: Duration,
    maximum_lateness: Duration,
}

/// How a campaign's people are dealt out, which only its activation asks for.
pub async fn sender_strategy(tx: &Tx, campaign: CampaignId) -> Result<Strategy> {
    Strategy::parse(&show(tx, campaign).await?.sender_strategy)
}

impl CampaignSettings {
    /// Reads the columns `window_start`, `window_end`, `send_days`, `timezone`, `timezone_mode`, `holidays`,
    /// `jitter_seconds`, `daily_limit`, `gap_seconds` and `maximum_lateness_seconds`, and the organization's
    /// `organization_holidays`.
    ///
    /// Errors: [`Error::Internal`] for a row that no request could have written.
    pub fn from_row(row: &Row) -> Result<Self> {
        let opens: NaiveTime = row.try_get("window_start")?;
        let closes: NaiveTime = row.try_get("window_end")?;
        let days: Vec<&str> = row.try_get("send_days")?;
        let days = SendDays::from_names(days).map_err(Error::internal)?;
        let zone = row.try_get::<_, &str>("timezone")?.parse().map_err(Error::internal)?;
        let own: Vec<NaiveDate> = row.try_get("holidays")?;
        let everywhere: Vec<NaiveDate> = row.try_get("organization_holidays")?;
        let holidays = Holidays::new(own.into_iter().chain(everywhere));
        Ok(Self {
            window: SendWindow { opens, closes, days, holidays, zone },
            timezone_mode: TimezoneMode::from_row(row)?,
            jitter: Duration::seconds(row.try_get::<_, i32>("jitter_seconds")?.into()),
            daily_limit: row.try_get("daily_limit")?,
            gap: Duration::seconds(row.try_get::<_, i32>("gap_seconds")?.into()),
            maximum_lateness: Duration::seconds(row.try_get::<_, i32>("maximum_lateness_seconds")?.into()),
        })
    }

    /// Settings of which only the hours matter.
    #[cfg(test)]
    pub(crate) fn of_hours(window: SendWindow, timezone_mode: TimezoneMode, jitter: Duration) -> Self {
        let (gap, maximum_lateness) = (Duration::zero(), Duration::hours(4));
        Self { window, timezone_mode, jitter, daily_limit: 50, gap, maximum_lateness }
    }

    /// When the campaign may send, by its own clock.
    #[must_use]
    pub fn window(&self) -> &SendWindow {
        &self.window
    }

    /// When it may send to somebody whose zone this is. A zone that is not known does not keep anybody's mail.
    #[must_use]
    pub fn window_for(&self, timezone: Option<&str>) -> SendWindow {
        let own = timezone.filter(|_| self.timezone_mode == TimezoneMode::Recipient).and_then(|name| name.parse().ok());
        own.map_or_else(|| self.window.clone(), |zone| self.window.in_zone(zone))
    }

    /// By whose clock the window opens and closes.
    #[must_use]
    pub fn timezone_mode(&self) -> TimezoneMode {
        self.timezone_mode
    }

    /// Whether people who are due at the same time may have to be written to at different ones.
    #[must_use]
    pub fn has_hours_of_each_person(&self) -> bool {
        self.timezone_mode == TimezoneMode::Recipient || self.jitter > Duration::zero()
    }

    /// By how much due times are spread.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        self.jitter
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// By whose clock the window opens and closes.
    pub timezone_mode: TimezoneMode,
    /// Local dates on which no opening begins, besides the organization's own; in order.
    pub holidays: Vec<NaiveDate>,
    /// Mails a day.
    pub daily_limit: i32,
    /// Seconds between two mails of one sender.
    pub gap_seconds: i32,
    /// Due times are spread by less than this many seconds.
    pub jitter_seconds: i32,
    /// A mail this many seconds later than its slot is not sent any more.
    pub maximum_lateness_seconds: i32,
    /// Whether its mails have a pixel that tells of opens.
    pub track_opens: bool,
    /// Whether links of its mails lead through us, which tells of clicks.
    pub track_clicks: bool,
    /// How its people are dealt out to its senders: `round_robin`, `weighted`, `remaining_capacity` or `health`.
    pub sender_strategy: String,
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
    /// `campaign` or `recipient`.
    pub timezone_mode: Option<String>,
    /// Dates such as `2026-12-25`, at most [`HOLIDAYS_LIMIT`]; they take the place of all that were there.
    pub holidays: Option<Vec<String>>,
    /// 1 to 1,000,000.
    pub daily_limit: Option<i32>,
    /// 0 to 86,400.
    pub gap_seconds: Option<i32>,
    /// 0 to 14,400.
    pub jitter_seconds: Option<i32>,
    /// 60 to 604,800.
    pub maximum_lateness_seconds: Option<i32>,
    /// Whether mails have a pixel.
    pub track_opens: Option<bool>,
    /// Whether links lead through us.
    pub track_clicks: Option<bool>,
    /// The name of a [`Strategy`].
    pub sender_strategy: Option<String>,
}

impl Settings {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            window_start: row.try_get("window_start")?,
            window_end: row.try_get("window_end")?,
            send_days: row.try_get("send_days")?,
            timezone: row.try_get("timezone")?,
            timezone_mode: TimezoneMode::from_row(row)?,
            holidays: row.try_get("holidays")?,
            daily_limit: row.try_get("daily_limit")?,
            gap_seconds: row.try_get("gap_seconds")?,
            jitter_seconds: row.try_get("jitter_seconds")?,
            maximum_lateness_seconds: row.try_get("maximum_lateness_seconds")?,
            track_opens: row.try_get("track_opens")?,
            track_clicks: row.try_get("track_clicks")?,
            sender_strategy: row.try_get("sender_strategy")?,
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
            timezone_mode: self.timezone_mode.map_or(present.timezone_mode, |name| timezone_mode(&mut fields, &name)),
            holidays: self.holidays.map_or(present.holidays, |dates| read_dates(&mut fields, "holidays", &dates)),
            daily_limit: self.daily_limit.unwrap_or(present.daily_limit),
            gap_seconds: self.gap_seconds.unwrap_or(present.gap_seconds),
            jitter_seconds: self.jitter_seconds.unwrap_or(present.jitter_seconds),
            maximum_lateness_seconds: self.maximum_lateness_seconds.unwrap_or(present.maximum_lateness_seconds),
            track_opens: self.track_opens.unwrap_or(present.track_opens),
            track_clicks: self.track_clicks.unwrap_or(present.track_clicks),
            sender_strategy: self.sender_strategy.map_or(present.sender_strategy, |name| strategy(&mut fields, name)),
        };
        fields.number("daily_limit", changed.daily_limit, DAILY_LIMIT);
        fields.number("gap_seconds", changed.gap_seconds, GAP_SECONDS);
        fields.number("jitter_seconds", changed.jitter_seconds, JITTER_SECONDS);
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

fn strategy(fields: &mut Fields, name: String) -> String {
    if Strategy::parse(&name).is_err() {
        let message = "this is round_robin, weighted, remaining_capacity or health";
        fields.refuse("sender_strategy", "unknown", message);
    }
    name
}

fn zone(fields: &mut Fields, name: String) -> String {
    if name.parse::<Tz>().is_err() {
        fields.refuse("timezone", "unknown_timezone", "this is an IANA time zone such as Europe/Berlin");
    }
    name
}

fn timezone_mode(fields: &mut Fields, name: &str) -> TimezoneMode {
    TimezoneMode::from_name(name).unwrap_or_else(|| {
        fields.refuse("timezone_mode", "unknown", "this is campaign or recipient");
        TimezoneMode::Campaign
    })
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
/// set, and the claim checks the present one again, so whoever is due outside of it waits until it opens. What changes of
/// the organization's holidays counts in the same way.
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
                &changed.timezone_mode.name(),
                &changed.holidays,
                &changed.jitter_seconds,
                &changed.sender_strategy,
            ],
        )
        .await?;
    Settings::from_row(&row)
}

fn time_of_day<S: Serializer>(time: &NaiveTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format(TIME_FORMAT))
}
