//! Enrollments: each person's way through a campaign.

pub mod why;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use super::campaigns;
use crate::delivery::stopping::{self, Stop};
use crate::{CampaignId, ContactId, EnrollmentId, Error, MessageId, Result, SenderId, Tx};

/// How far somebody has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing has been sent yet.
    Pending,
    /// On the way.
    InProgress,
    /// Every step has an outcome.
    Completed,
    /// Answered.
    Replied,
    /// The address bounced.
    Bounced,
    /// Asked to hear no more.
    Unsubscribed,
    /// Stopped, with a reason.
    Stopped,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::InProgress,
        Self::Completed,
        Self::Replied,
        Self::Bounced,
        Self::Unsubscribed,
        Self::Stopped,
    ];

    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Replied => "replied",
            Self::Bounced => "bounced",
            Self::Unsubscribed => "unsubscribed",
            Self::Stopped => "stopped",
        }
    }

    /// Reads a status's name.
    ///
    /// Errors: [`Error::Invalid`] on the field `status`.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| Error::invalid("status", "unknown", "this is not a status of an enrollment"))
    }
}

/// A person in a campaign as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Enrollment {
    /// Its id.
    pub id: EnrollmentId,
    /// The person.
    pub contact_id: ContactId,
    /// The person's address.
    pub email: String,
    /// Who writes to them.
    pub sender_id: SenderId,
    /// `pending`, `in_progress`, `completed`, `replied`, `bounced`, `unsubscribed` or `stopped`.
    pub status: String,
    /// Why they were stopped: `complaint`, `suppressed`, `address_failed`, `archived` or `removed`.
    pub stop_reason: Option<String>,
    /// The position of the last step that has an outcome; 0 before the first.
    pub current_step: i32,
    /// When the next step is due.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub next_due_at: Option<DateTime<Utc>>,
    /// The message that has been planned and has no outcome yet.
    pub waiting_message_id: Option<MessageId>,
    /// When they were enrolled.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub enrolled_at: DateTime<Utc>,
    /// When their way ended.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When they answered.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub replied_at: Option<DateTime<Utc>>,
    /// When they were last sent a mail.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_sent_at: Option<DateTime<Utc>>,
}

impl Enrollment {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            contact_id: row.try_get("contact_id")?,
            email: row.try_get("email")?,
            sender_id: row.try_get("sender_id")?,
            status: row.try_get("status")?,
            stop_reason: row.try_get("stop_reason")?,
            current_step: row.try_get("current_step")?,
            next_due_at: row.try_get("next_due_at")?,
            waiting_message_id: row.try_get("waiting_message_id")?,
            enrolled_at: row.try_get("enrolled_at")?,
            completed_at: row.try_get("completed_at")?,
            replied_at: row.try_get("replied_at")?,
            last_sent_at: row.try_get("last_sent_at")?,
        })
    }
}

/// How many people of a campaign are in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Nothing has been sent yet.
    pub pending: i64,
    /// On the way.
    pub in_progress: i64,
    /// Every step has an outcome.
    pub completed: i64,
    /// Answered.
    pub replied: i64,
    /// The address bounced.
    pub bounced: i64,
    /// Asked to hear no more.
    pub unsubscribed: i64,
    /// Stopped, with a reason.
    pub stopped: i64,
}

/// The people of a campaign, the newest contacts first, at most `limit`, older than `before`, of one status or all.
pub async fn list(
    tx: &Tx,
    campaign: CampaignId,
    status: Option<Status>,
    before: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Enrollment>> {
    let status = status.map(Status::name);
    tx.query(include_str!("enrollments/list.sql"), &[&campaign, &status, &before, &limit])
        .await?
        .iter()
        .map(Enrollment::from_row)
        .collect()
}

/// How many people of a campaign are in each status.
pub async fn counts(tx: &Tx, campaign: CampaignId) -> Result<Counts> {
    let row = tx.query_one(include_str!("enrollments/counts.sql"), &[&campaign]).await?;
    Ok(Counts {
        pending: row.try_get("pending")?,
        in_progress: row.try_get("in_progress")?,
        completed: row.try_get("completed")?,
        replied: row.try_get("replied")?,
        bounced: row.try_get("bounced")?,
        unsubscribed: row.try_get("unsubscribed")?,
        stopped: row.try_get("stopped")?,
    })
}

/// Takes a person out of what follows: they are stopped with the reason `removed`, what is queued for them is cancelled.
/// Whoever has already come to an end stays what they are.
///
/// Errors: [`Error::NotFound`], also for a person of another campaign.
pub async fn remove(tx: &Tx, campaign: CampaignId, id: EnrollmentId) -> Result<()> {
    campaigns::find(tx, campaign).await?;
    // The contact first: a stop and a claim of the same person meet there, before either has the enrollment.
    tx.query_opt(include_str!("enrollments/lock_contact.sql"), &[&campaign, &id])
        .await?
        .ok_or(Error::not_found("enrollment"))?;
    stopping::stop_enrollment(tx, tx.organization()?, id, Stop::Removed).await?;
    Ok(())
}
