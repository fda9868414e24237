//! Senders: the addresses that mail goes out from, each with a daily limit and a gap of its own.

pub mod ramp;

use std::collections::HashMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use self::ramp::{Allowance, Ramp};
use super::gates::{self, Gate};
use super::schedule::local_day;
use crate::error::violated_constraint;
use crate::fields::{Fields, patched};
use crate::platform::plans::{self, Limit};
use crate::platform::webhooks::{EventType, outbox};
use crate::{DomainId, Error, Result, SenderId, Tx};

/// Characters of a display name: longer ones are cut off by mail programs.
const DISPLAY_NAME_MAXIMUM: usize = 200;
/// Characters of a signature.
const SIGNATURE_MAXIMUM: usize = 10_000;
/// Characters of the reason for a pause.
const REASON_MAXIMUM: usize = 500;
/// Mails a day at most; the same bounds as the column's.
const DAILY_LIMIT: std::ops::RangeInclusive<i32> = 0..=1_000_000;
/// Seconds between two mails of a sender, up to a day; the same bounds as the column's.
const GAP_SECONDS: std::ops::RangeInclusive<i32> = 0..=86_400;
/// Mails a day unless the caller says otherwise.
const DEFAULT_DAILY_LIMIT: i32 = 50;
/// Seconds between two mails unless the caller says otherwise.
const DEFAULT_GAP_SECONDS: i32 = 120;
/// The zone whose midnight ends a sender's day unless the caller says otherwise.
const DEFAULT_TIMEZONE: Tz = Tz::UTC;

/// Whether a sender sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SenderStatus")]
pub enum Status {
    /// It has not been started.
    Pending,
    /// Its volume is growing.
    Warming,
    /// It sends up to its limit.
    Active,
    /// It sends nothing.
    Paused,
}

impl Status {
    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Warming => "warming",
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        match name {
            "pending" => Ok(Self::Pending),
            "warming" => Ok(Self::Warming),
            "active" => Ok(Self::Active),
            "paused" => Ok(Self::Paused),
            other => Err(Error::internal(format!("unknown status of a sender: {other}"))),
        }
    }
}

/// How a sender begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// It may send at once.
    #[default]
    Active,
    /// Its volume grows from today on.
    Warming,
    /// It waits to be resumed, and its volume grows from then on.
    Pending,
}

/// A sender as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sender {
    /// Its id.
    pub id: SenderId,
    /// Its address.
    pub email: String,
    /// The domain of the address.
    pub domain_id: DomainId,
    /// The name beside the address.
    pub display_name: Option<String>,
    /// What is put under its mails.
    pub signature: Option<String>,
    /// How its mails leave.
    pub provider: String,
    /// Whether it sends.
    pub status: Status,
    /// Why it is paused.
    pub paused_reason: Option<String>,
    /// Since when it is paused.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub paused_at: Option<DateTime<Utc>>,
    /// The IANA time zone in which its days begin.
    pub timezone: String,
    /// Mails a local day.
    pub daily_limit: i32,
    /// How its volume grows or grew, where it began with few mails.
    pub ramp: Option<Ramp>,
    /// Mails on its present local day: fewer than `daily_limit` while it is warming, none while it does not send.
    pub limit_today: i32,
    /// Seconds between two mails, over all campaigns.
    pub gap_seconds: i32,
    /// Mails sent or promised on its present local day.
    pub used_today: i32,
    /// From 0 to 100: 90 is excellent, 70 is good, and below 50 it pauses itself.
    pub health_score: i32,
    /// What its health was computed from; null before the first time.
    pub health: Option<Health>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What a sender's health was computed from: its latest mails, as many and as old as the installation's settings say.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SenderHealth")]
pub struct Health {
    /// Mails.
    pub sends: i64,
    /// Of these, could never be delivered.
    pub hard_bounces: i64,
    /// Of these, were reported as spam.
    pub complaints: i64,
    /// Of these, were answered by a person.
    pub replies: i64,
    /// When it was computed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub computed_at: DateTime<Utc>,
}

/// A new sender as a caller gives it, not checked yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSender {
    /// The address, in a domain of the organization.
    #[schemars(email)]
    pub email: String,
    /// How it begins.
    #[serde(default)]
    pub status: Start,
    /// The name beside the address.
    #[schemars(length(max = DISPLAY_NAME_MAXIMUM))]
    pub display_name: Option<String>,
    /// What is put under its mails.
    #[schemars(length(max = SIGNATURE_MAXIMUM))]
    pub signature: Option<String>,
    /// The IANA time zone in which its days begin.
    pub timezone: Option<String>,
    /// Mails a local day.
    #[schemars(range(min = *DAILY_LIMIT.start(), max = *DAILY_LIMIT.end()))]
    pub daily_limit: Option<i32>,
    /// Seconds between two mails.
    #[schemars(range(min = *GAP_SECONDS.start(), max = *GAP_SECONDS.end()))]
    pub gap_seconds: Option<i32>,
}

/// The fields of a sender that can be changed, not checked yet: absent ones are `None`, those that are null `Some(None)`.
/// The address stays: people already know it, and their enrollments name its sender.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SenderFields {
    /// The name beside the address.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = DISPLAY_NAME_MAXIMUM))]
    pub display_name: Option<Option<String>>,
    /// What is put under its mails.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = SIGNATURE_MAXIMUM))]
    pub signature: Option<Option<String>>,
    /// The IANA time zone in which its days begin.
    #[serde(deserialize_with = "patched")]
    pub timezone: Option<Option<String>>,
    /// Mails a local day.
    #[serde(deserialize_with = "patched")]
    #[schemars(range(min = *DAILY_LIMIT.start(), max = *DAILY_LIMIT.end()))]
    pub daily_limit: Option<Option<i32>>,
    /// Seconds between two mails.
    #[serde(deserialize_with = "patched")]
    #[schemars(range(min = *GAP_SECONDS.start(), max = *GAP_SECONDS.end()))]
    pub gap_seconds: Option<Option<i32>>,
}

/// Makes a sender.
///
/// Errors: [`Error::Invalid`] (`email` with `unknown_domain` for an address outside the organization's domains),
/// [`Error::Conflict`] (`sender_exists`, `plan_limit_reached`).
pub async fn create(tx: &Tx, given: NewSender) -> Result<Sender> {
    let mut fields = Fields::default();
    let email = fields.email("email", &given.email);
    let checked = SenderFields {
        display_name: Some(given.display_name),
        signature: Some(given.signature),
        timezone: Some(given.timezone),
        daily_limit: Some(given.daily_limit),
        gap_seconds: Some(given.gap_seconds),
    }
    .check(&mut fields);
    fields.finish()?;
    let Some(email) = email else { return Err(Error::internal("an address was neither read nor refused")) };
    let domain: Option<DomainId> = tx
        .query_opt(include_str!("domains/find_by_name.sql"), &[&email.domain()])
        .await?
        .map(|row| row.try_get("id"))
        .transpose()?;
    let domain = domain.ok_or_else(unknown_domain)?;
    plans::check(tx, Limit::Senders).await?;
    let zone = checked.timezone.unwrap_or(DEFAULT_TIMEZONE);
    let (status, ramp) = match given.status {
        Start::Active => (Status::Active, None),
        Start::Warming => (Status::Warming, Some(Ramp::beginning(tx, local_day(tx.now(), zone)).await?)),
        Start::Pending => (Status::Pending, None),
    };
    let id = SenderId::fresh();
    let inserted = tx
        .execute(
            include_str!("senders/insert.sql"),
            &[
                &tx.organization()?,
                &id,
                &domain,
                &email.as_str(),
                &checked.display_name.flatten(),
                &checked.signature.flatten(),
                &status.name(),
                &zone.name(),
                &checked.daily_limit.unwrap_or(DEFAULT_DAILY_LIMIT),
                &checked.gap_seconds.unwrap_or(DEFAULT_GAP_SECONDS),
                &ramp.map(|ramp| ramp.started_on),
                &ramp.map(|ramp| ramp.from),
                &ramp.map(|ramp| ramp.days),
            ],
        )
        .await;
    match inserted {
        Ok(1) => find(tx, id).await,
        Ok(_) => Err(Error::conflict("sender_exists", "another sender has this address")),
        // Somebody deleted the domain since we looked.
        Err(error) if violated_constraint(&error) == Some("senders_domain_fkey") => Err(unknown_domain()),
        Err(error) => Err(error),
    }
}

/// One sender.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: SenderId) -> Result<Sender> {
    let row = tx.query_opt(include_str!("senders/find.sql"), &[&id]).await?.ok_or(Error::not_found("sender"))?;
    let mut senders = vec![from_row(&row, tx.now())?];
    count_use(tx, &mut senders).await?;
    senders.pop().ok_or(Error::not_found("sender"))
}

/// The newest senders, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<SenderId>, limit: i64) -> Result<Vec<Sender>> {
    let rows = tx.query(include_str!("senders/list.sql"), &[&before, &limit]).await?;
    let mut senders = rows.iter().map(|row| from_row(row, tx.now())).collect::<Result<Vec<_>>>()?;
    count_use(tx, &mut senders).await?;
    Ok(senders)
}

/// Changes the fields that are given; who plans mail sees all of them changed or none.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn update(tx: &Tx, id: SenderId, given: SenderFields) -> Result<Sender> {
    let mut fields = Fields::default();
    let given = given.check(&mut fields);
    fields.finish()?;
    close(tx, id).await?;
    tx.execute(
        include_str!("senders/update.sql"),
        &[
            &id,
            &given.display_name.is_some(),
            &given.display_name.flatten(),
            &given.signature.is_some(),
            &given.signature.flatten(),
            &given.timezone.map(Tz::name),
            &given.daily_limit,
            &given.gap_seconds,
        ],
    )
    .await?;
    find(tx, id).await
}

/// Pauses a sender, or gives a new reason to one that is paused: once this commits, none of its mails goes out.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`] (`reason`).
pub async fn pause(tx: &Tx, id: SenderId, reason: Option<&str>) -> Result<Sender> {
    let mut fields = Fields::default();
    let reason = fields.line("reason", reason, REASON_MAXIMUM);
    fields.finish()?;
    close(tx, id).await?;
    tx.execute(include_str!("senders/pause.sql"), &[&id, &reason, &tx.now()]).await?;
    let data = json!({ "sender_id": id, "status": "paused", "reason": reason });
    outbox::emit(tx, tx.organization()?, EventType::SenderPaused, id.0, &data).await?;
    find(tx, id).await
}

/// Lets a paused or pending sender send; one that already does is left as it is. One that had not begun starts its ramp
/// today, and the ramp of one that was warming goes on where it was: it stood still meanwhile.
///
/// Errors: [`Error::NotFound`].
pub async fn resume(tx: &Tx, id: SenderId) -> Result<Sender> {
    close(tx, id).await?;
    let row = tx.query_opt(include_str!("senders/find.sql"), &[&id]).await?.ok_or(Error::not_found("sender"))?;
    let allowance = Allowance::from_row(&row, "")?;
    let today = allowance.day(tx.now());
    let before = match allowance.status {
        Status::Paused => row.try_get::<_, Option<&str>>("paused_from")?.map(Status::parse).transpose()?,
        status => Some(status),
    };
    let paused_at: Option<DateTime<Utc>> = row.try_get("paused_at")?;
    let (status, ramp) = match (before, allowance.ramp) {
        (Some(Status::Pending), _) => (Status::Warming, Some(Ramp::beginning(tx, today).await?)),
        (Some(Status::Warming), Some(ramp)) => {
            let stood_still = paused_at.map_or(Duration::zero(), |at| today - allowance.day(at)).max(Duration::zero());
            (Status::Warming, Some(Ramp { started_on: ramp.started_on + stood_still, ..ramp }))
        }
        (_, ramp) => (Status::Active, ramp),
    };
    let (started_on, from, days) = (ramp.map(|r| r.started_on), ramp.map(|r| r.from), ramp.map(|r| r.days));
    tx.execute(include_str!("senders/resume.sql"), &[&id, &status.name(), &started_on, &from, &days, &tx.now()])
        .await?;
    find(tx, id).await
}

/// Deletes a sender that no campaign uses and from which nothing was sent: the ledger names the sender of each mail.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`sender_in_use`).
pub async fn delete(tx: &Tx, id: SenderId) -> Result<()> {
    close(tx, id).await?;
    match tx.execute(include_str!("senders/delete.sql"), &[&id]).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match violated_constraint(&error) {
            Some("campaign_senders_sender_fkey" | "enrollments_sender_fkey" | "messages_sender_fkey") => {
                Error::conflict("sender_in_use", "a campaign uses this sender or has sent from it; pause it instead")
            }
            _ => error,
        }),
    }
}

/// Waits until nobody lets this sender's mail through, and keeps it so until the transaction ends. Looked for first: a
/// gate has no tenant, and nobody may hold up the mail of another organization.
async fn close(tx: &Tx, id: SenderId) -> Result<()> {
    tx.query_opt(include_str!("senders/find.sql"), &[&id]).await?.ok_or(Error::not_found("sender"))?;
    gates::close(tx, &[Gate::Sender(id)]).await
}

/// Fills in what each sender has used of its own present day.
async fn count_use(tx: &Tx, senders: &mut [Sender]) -> Result<()> {
    let zones: Vec<(SenderId, &str)> = senders.iter().map(|sender| (sender.id, sender.timezone.as_str())).collect();
    let used = used_today(tx, &zones).await?;
    for sender in senders {
        sender.used_today = used.get(&sender.id).copied().unwrap_or_default();
    }
    Ok(())
}

/// What senders, each with its time zone, have used of their own present days; absent where that is nothing.
pub(crate) async fn used_today(tx: &Tx, senders: &[(SenderId, &str)]) -> Result<HashMap<SenderId, i32>> {
    let ids: Vec<SenderId> = senders.iter().map(|(id, _)| *id).collect();
    let days = senders.iter().map(|(_, zone)| named_day(zone, tx.now())).collect::<Result<Vec<_>>>()?;
    let rows = tx.query(include_str!("senders/used.sql"), &[&ids, &days]).await?;
    rows.iter().map(|row| Ok((row.try_get("sender_id")?, row.try_get("used")?))).collect()
}

fn named_day(timezone: &str, now: DateTime<Utc>) -> Result<NaiveDate> {
    Ok(local_day(now, timezone.parse().map_err(Error::internal)?))
}

fn unknown_domain() -> Error {
    Error::invalid("email", "unknown_domain", "the address is in no domain of this organization")
}

struct Checked {
    display_name: Option<Option<String>>,
    signature: Option<Option<String>>,
    timezone: Option<Tz>,
    daily_limit: Option<i32>,
    gap_seconds: Option<i32>,
}

impl SenderFields {
    fn check(self, fields: &mut Fields) -> Checked {
        let display_name =
            self.display_name.map(|name| fields.line("display_name", name.as_deref(), DISPLAY_NAME_MAXIMUM));
        let signature = self.signature.map(|text| fields.text("signature", text.as_deref(), SIGNATURE_MAXIMUM));
        // These have no "none": null asks for what a new sender gets.
        let timezone = self.timezone.and_then(|zone| match zone {
            Some(zone) => fields.timezone("timezone", Some(&zone)),
            None => Some(DEFAULT_TIMEZONE),
        });
        let daily_limit = self
            .daily_limit
            .map(|limit| fields.number("daily_limit", limit.unwrap_or(DEFAULT_DAILY_LIMIT), DAILY_LIMIT));
        let gap_seconds =
            self.gap_seconds.map(|gap| fields.number("gap_seconds", gap.unwrap_or(DEFAULT_GAP_SECONDS), GAP_SECONDS));
        Checked { display_name, signature, timezone, daily_limit, gap_seconds }
    }
}

fn from_row(row: &Row, now: DateTime<Utc>) -> Result<Sender> {
    let allowance = Allowance::from_row(row, "")?;
    Ok(Sender {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        domain_id: row.try_get("domain_id")?,
        display_name: row.try_get("display_name")?,
        signature: row.try_get("signature")?,
        provider: row.try_get("provider")?,
        status: allowance.status,
        paused_reason: row.try_get("paused_reason")?,
        paused_at: row.try_get("paused_at")?,
        timezone: row.try_get("timezone")?,
        daily_limit: allowance.daily_limit,
        ramp: allowance.ramp,
        limit_today: allowance.at(now),
        gap_seconds: row.try_get("gap_seconds")?,
        used_today: 0,
        health_score: row.try_get("health_score")?,
        health: health(row)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn health(row: &Row) -> Result<Option<Health>> {
    let Some(computed_at) = row.try_get("health_computed_at")? else { return Ok(None) };
    Ok(Some(Health {
        sends: row.try_get("health_sends")?,
        hard_bounces: row.try_get("health_hard_bounces")?,
        complaints: row.try_get("health_complaints")?,
        replies: row.try_get("health_replies")?,
        computed_at,
    }))
}
