//! The ledger: one row for anything that leaves, and its states.

mod outcomes;
pub mod resolving;
mod why;

use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub use self::outcomes::OutcomeCode;
use self::why::Circumstances;
pub(crate) use self::why::skip_reason;
pub use self::why::{Reason, Why};
use super::feedback::MAX_VISITS;
use super::{breaker, constraints};
use crate::{CampaignId, ContactId, EnrollmentId, Error, MessageId, OrganizationId, Result, SenderId, StepId, Tx};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MessageKind")]
pub enum Kind {
    /// A step of a campaign.
    Campaign,
    /// Written to one person.
    Direct,
    /// An answer to somebody who has written.
    Reply,
    /// From the platform itself.
    System,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Campaign, Self::Direct, Self::Reply, Self::System];

    /// The kind's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Direct => "direct",
            Self::Reply => "reply",
            Self::System => "system",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown kind of a message: {name}")))
    }
}

/// Where a message stands. Delivery, bounces, replies and the like are events on a sent message, not states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MessageState")]
pub enum State {
    /// Planned: it has a slot and waits for its time, or waits for a new slot.
    Scheduled,
    /// Handed to the provider at this moment.
    Sending,
    /// Accepted by the provider.
    Sent,
    /// Refused for good.
    Failed,
    /// The provider may or may not have accepted it; an event will tell.
    Unknown,
    /// No event has told; a person decides.
    Review,
    /// Taken back before it left.
    Cancelled,
    /// Not sent because the address must not be written to.
    Suppressed,
    /// Not sent because it would have been too late.
    Expired,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Sending,
        Self::Sent,
        Self::Failed,
        Self::Unknown,
        Self::Review,
        Self::Cancelled,
        Self::Suppressed,
        Self::Expired,
    ];

    /// The state's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Review => "review",
            Self::Cancelled => "cancelled",
            Self::Suppressed => "suppressed",
            Self::Expired => "expired",
        }
    }

    /// Reads a state's name.
    ///
    /// Errors: [`Error::Invalid`] on the field `state`.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| Error::invalid("state", "unknown", format!("{name} is not a state of a message")))
    }
}

/// A message and whose it is; all that a queue ever holds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct MessageKey {
    /// Whose it is.
    #[serde(rename = "organization_id")]
    pub organization: OrganizationId,
    /// Which one.
    #[serde(rename = "message_id")]
    pub id: MessageId,
}

/// A message as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// Whom it goes to.
    pub recipient: String,
    /// The campaign that it belongs to.
    pub campaign_id: Option<CampaignId>,
    /// The step that it is.
    pub step_id: Option<StepId>,
    /// The person's way through the campaign.
    pub enrollment_id: Option<EnrollmentId>,
    /// The contact, while there is one.
    pub contact_id: Option<ContactId>,
    /// Whom it comes from.
    pub sender_id: Option<SenderId>,
    /// The subject as it was sent.
    pub subject: Option<String>,
    /// When it was planned to go.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub send_at: DateTime<Utc>,
    /// When it may not go any more.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub expires_at: DateTime<Utc>,
    /// The sender's local day on which it is counted.
    pub slot_day: Option<NaiveDate>,
    /// How often it was handed to the provider.
    pub attempts: i32,
    /// The provider's id.
    pub provider_message_id: Option<String>,
    /// What was noted of its outcome: an [`OutcomeCode`], or the provider's own name for a refusal.
    pub outcome_code: Option<String>,
    /// The same in words, as the provider or the template said it.
    pub outcome_detail: Option<String>,
    /// When the provider accepted it.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub sent_at: Option<DateTime<Utc>>,
    /// When the recipient's server accepted it.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub delivered_at: Option<DateTime<Utc>>,
    /// When a person first opened it.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub opened_at: Option<DateTime<Utc>>,
    /// When a person first followed one of its links.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub clicked_at: Option<DateTime<Utc>>,
    /// When it was reported undeliverable.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub bounced_at: Option<DateTime<Utc>>,
    /// When it was reported as spam.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub complained_at: Option<DateTime<Utc>>,
    /// When a person answered.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub replied_at: Option<DateTime<Utc>>,
    /// When its link was used to unsubscribe.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub unsubscribed_at: Option<DateTime<Utc>>,
    /// When somebody chose that its person goes on although nobody knows what became of it.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub skipped_at: Option<DateTime<Utc>>,
    /// When somebody last had it sent again although it may have arrived.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub resent_at: Option<DateTime<Utc>>,
    /// When it was planned.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Something reported of a message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MessageEvent {
    /// Its id.
    pub id: Uuid,
    /// `sent`, `delivered`, `bounced` and so on.
    pub kind: String,
    /// When it happened.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub occurred_at: DateTime<Utc>,
    /// Whether a proxy, a scanner or the like did it, as far as one can tell; null where the kind is no open or click.
    pub is_machine: Option<bool>,
    /// From where an open, a click or an unsubscription came.
    pub ip: Option<IpAddr>,
    /// With which program.
    pub user_agent: Option<String>,
    /// What else was reported.
    pub details: serde_json::Value,
}

/// A message with its text, why it stands where it stands, and what was reported of it, oldest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MessageWithEvents {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// The text as it was sent.
    pub body: Option<String>,
    /// Why it stands where it stands.
    pub why: Why,
    /// The reports.
    pub events: Vec<MessageEvent>,
}

/// Which messages a list shows; what is absent does not narrow.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Of one campaign.
    pub campaign_id: Option<CampaignId>,
    /// Of one step.
    pub step_id: Option<StepId>,
    /// Of one person's way through a campaign.
    pub enrollment_id: Option<EnrollmentId>,
    /// To one contact.
    pub contact_id: Option<ContactId>,
    /// From one sender.
    pub sender_id: Option<SenderId>,
    /// Of one kind.
    pub kind: Option<Kind>,
    /// In one state.
    pub state: Option<State>,
    /// Skipped by a person, or not.
    pub skipped: Option<bool>,
    /// Planned at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Planned before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Where a page of messages ends.
pub type Place = (DateTime<Utc>, MessageId);

/// The newest messages, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, filter: &Filter, before: Option<Place>, limit: i64) -> Result<Vec<Message>> {
    let (time, id) = before.unzip();
    let Filter { campaign_id, step_id, enrollment_id, contact_id, sender_id, kind, state, skipped, from, to } = filter;
    let (kind, state) = (kind.map(Kind::name), state.map(State::name));
    let params: [&(dyn ToSql + Sync); 13] = [
        &time,
        &id,
        campaign_id,
        step_id,
        enrollment_id,
        contact_id,
        sender_id,
        &kind,
        &state,
        from,
        to,
        &limit,
        skipped,
    ];
    tx.query(include_str!("messages/list.sql"), &params).await?.iter().map(from_row).collect()
}

/// One message with why it stands where it stands, and its events: of each kind the first hundred, and of opens and clicks
/// the first hundred by people and by machines.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: MessageId) -> Result<MessageWithEvents> {
    let row = tx
        .query_opt(include_str!("messages/find.sql"), &[&id, &breaker::ACCOUNT])
        .await?
        .ok_or(Error::not_found("message"))?;
    let events = tx.query(include_str!("messages/events.sql"), &[&id, &MAX_VISITS]).await?;
    let message = from_row(&row)?;
    let mut circumstances = Circumstances::from_row(&row, tx.now())?;
    if let Some(enrollment) = message.enrollment_id.filter(|_| why::waits_for_slot(&message)) {
        circumstances.limits = constraints::of_enrollment(tx, enrollment).await?;
    }
    Ok(MessageWithEvents {
        why: why::why(&message, &circumstances),
        body: row.try_get("body")?,
        events: events.iter().map(event).collect::<Result<_>>()?,
        message,
    })
}

fn event(row: &Row) -> Result<MessageEvent> {
    let kind: String = row.try_get("kind")?;
    let is_machine =
        if matches!(kind.as_str(), "opened" | "clicked") { Some(row.try_get("is_machine")?) } else { None };
    Ok(MessageEvent {
        id: row.try_get("id")?,
        occurred_at: row.try_get("occurred_at")?,
        is_machine,
        ip: row.try_get("ip")?,
        user_agent: row.try_get("user_agent")?,
        details: row.try_get("details")?,
        kind,
    })
}

fn from_row(row: &Row) -> Result<Message> {
    Ok(Message {
        id: row.try_get("id")?,
        kind: Kind::parse(row.try_get("kind")?)?,
        state: State::parse(row.try_get("state")?)?,
        recipient: row.try_get("recipient")?,
        campaign_id: row.try_get("campaign_id")?,
        step_id: row.try_get("step_id")?,
        enrollment_id: row.try_get("enrollment_id")?,
        contact_id: row.try_get("contact_id")?,
        sender_id: row.try_get("sender_id")?,
        subject: row.try_get("subject")?,
        send_at: row.try_get("send_at")?,
        expires_at: row.try_get("expires_at")?,
        slot_day: row.try_get("slot_day")?,
        attempts: row.try_get("attempts")?,
        provider_message_id: row.try_get("provider_message_id")?,
        outcome_code: row.try_get("outcome_code")?,
        outcome_detail: row.try_get("outcome_detail")?,
        sent_at: row.try_get("sent_at")?,
        delivered_at: row.try_get("delivered_at")?,
        opened_at: row.try_get("opened_at")?,
        clicked_at: row.try_get("clicked_at")?,
        bounced_at: row.try_get("bounced_at")?,
        complained_at: row.try_get("complained_at")?,
        replied_at: row.try_get("replied_at")?,
        unsubscribed_at: row.try_get("unsubscribed_at")?,
        skipped_at: row.try_get("skipped_at")?,
        resent_at: row.try_get("resent_at")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Keys as the parallel arrays that statements take.
pub(crate) fn columns(keys: impl IntoIterator<Item = MessageKey>) -> (Vec<OrganizationId>, Vec<MessageId>) {
    keys.into_iter().map(|key| (key.organization, key.id)).unzip()
}

/// The organizations of the keys, each once.
pub(crate) fn organizations(keys: impl IntoIterator<Item = MessageKey>) -> Vec<OrganizationId> {
    let organizations: std::collections::BTreeSet<_> = keys.into_iter().map(|key| key.organization).collect();
    organizations.into_iter().collect()
}
