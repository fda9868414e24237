//! Why somebody has not been written to yet: when their next mail is due in each campaign and everything that holds it, or how
//! their way ended.
//!
//! It is what is true when it is asked for, by the rules that the claim and the sender keep, and says nothing of who stands
//! before them in the queue. An address among those that were forgotten is recognized by whoever holds the keys.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use tokio_postgres::Row;

use crate::audience::{contacts, suppressions};
use crate::delivery::breaker;
use crate::delivery::constraints::{self as limits, Constraint as Limit};
use crate::delivery::messages::{self, Reason, State};
use crate::delivery::schedule::SendWindow;
use crate::delivery::senders::Status as SenderStatus;
use crate::delivery::tokens::KeyRing;
use crate::outreach::settings::CampaignSettings;
use crate::sentences::sentences;
use crate::{CampaignId, ContactId, EnrollmentId, Error, MessageId, Result, SenderId, StepId, Tx};

/// Campaigns of one person that are told of at most; those in which their way has not ended come first.
const MAXIMUM: i64 = 100;

sentences! {
    /// What may hold somebody's next mail beside the limits, which have names of their own ([`Limit`]). A new rule of the
    /// claim is a line here, one in [`constraints`], and one in the documentation.
    Constraint:
    OrganizationSuspended = "organization_suspended", "The organization is suspended.";
    CampaignPaused = "campaign_paused", "The campaign is paused.";
    CampaignNotActive = "campaign_not_active", "The campaign is not active.";
    SenderPaused = "sender_paused", "The sender is paused.";
    SenderNotActive = "sender_not_active", "The sender has not begun to send.";
    SenderNotInPool = "sender_not_in_pool", "The sender is not among the campaign's senders any more.";
    DomainNotVerified = "domain_not_verified", "The sender's domain is not verified.";
    Suppressed = "suppressed", "The address is suppressed: the way ends when its turn comes.";
    StepNotDue = "step_not_due", "The next step is not due yet.";
    WindowClosed = "window_closed", "The campaign's sending window is closed.";
    ProviderPaused = "provider_paused", "The provider account takes no mail at this moment.";
    MessagePlanned = "message_planned", "The mail has a slot and waits for its time.";
    MessageDue = "message_due", "The mail's time has come: it goes when its turn comes.";
    MessageSending = "message_sending", "The mail is being handed to the provider.";
    MessageUnknown = "message_unknown", "The mail may or may not have been accepted: a report is waited for.";
    MessageInReview = "message_in_review", "The mail may or may not have been accepted: a person has to decide.";
}

sentences! {
    /// How somebody's way ended.
    Ending:
    Completed = "completed", "Every step has come to its end.";
    Replied = "replied", "The person has answered.";
    Bounced = "bounced", "The address does not exist or refuses mail for good.";
    Unsubscribed = "unsubscribed", "The person has unsubscribed.";
    Complaint = "complaint", "The person reported a mail as spam.";
    Stopped = "suppressed", "The address is suppressed.";
    AddressFailed = "address_failed", "The provider refused the address.";
    Archived = "archived", "The campaign was archived.";
    Removed = "removed", "The person was taken out of the campaign.";
}

impl Ending {
    /// Reads an enrollment's status and reason; none while the way goes on.
    fn parse(status: &str, reason: Option<&str>) -> Result<Option<Self>> {
        let name = match (status, reason) {
            ("pending" | "in_progress", _) => return Ok(None),
            ("stopped", Some(reason)) => reason,
            (status, _) => status,
        };
        let known = Self::ALL.iter().copied().find(|ending| ending.name() == name);
        known.map(Some).ok_or_else(|| Error::internal(format!("unknown end of an enrollment: {name}")))
    }
}

/// What holds a mail: a rule, or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// A rule.
    Rule(Constraint),
    /// A limit that is used up.
    Limit(Limit),
}

impl Code {
    /// The stable code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.name(),
            Self::Limit(limit) => limit.name(),
        }
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.sentence(),
            Self::Limit(limit) => limit.sentence(),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Something that holds the next mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "EnrollmentBinding")]
pub struct Binding {
    /// What.
    #[schemars(with = "String")]
    pub code: Code,
    /// The same as a sentence.
    pub message: &'static str,
    /// Since when, where that is known.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub since: Option<DateTime<Utc>>,
    /// Until when; null where somebody has to do something about it, or nobody can tell.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub until: Option<DateTime<Utc>>,
}

/// How somebody's way ended, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "EnrollmentEnd")]
pub struct Ended {
    /// How.
    pub code: Ending,
    /// The same as a sentence.
    pub message: &'static str,
    /// When.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub at: Option<DateTime<Utc>>,
}

/// The last step that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Skipped {
    /// Its message.
    pub message_id: MessageId,
    /// The step.
    pub step_id: Option<StepId>,
    /// Where the message stands.
    pub state: State,
    /// Why: a code of `GET /v1/messages/{id}`.
    pub code: Reason,
    /// The same as a sentence.
    pub message: &'static str,
}

/// Why somebody has not got the next mail of a campaign yet.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "EnrollmentWhy")]
pub struct Why {
    /// The person's way.
    pub enrollment_id: EnrollmentId,
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The person.
    pub contact_id: ContactId,
    /// Who writes to them.
    pub sender_id: SenderId,
    /// `pending`, `in_progress`, `completed`, `replied`, `bounced`, `unsubscribed` or `stopped`.
    pub status: String,
    /// The next step; null at the end.
    pub next_step: Option<NextStep>,
    /// The message that has been planned for it and has no outcome yet.
    pub message_id: Option<MessageId>,
    /// When the next step is due, or its mail has its slot.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub next_due_at: Option<DateTime<Utc>>,
    /// When nothing of what is known now holds the mail any more; null where that is for somebody to decide.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub earliest_at: Option<DateTime<Utc>>,
    /// Everything that holds it.
    pub constraints: Vec<Binding>,
    /// How the way ended.
    pub ended: Option<Ended>,
    /// The last step that came to nothing.
    pub last_skipped: Option<Skipped>,
}

/// A step to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextStep {
    /// Its id.
    pub id: StepId,
    /// Its place in the sequence.
    pub position: i32,
}

/// Why a person has not been written to yet, in each of their campaigns.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ContactWhy {
    /// The person.
    pub contact_id: ContactId,
    /// The earliest moment at which a mail may go to them; null where none is to come, or somebody has to decide.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub earliest_at: Option<DateTime<Utc>>,
    /// The campaigns, those in which their way has not ended first, the latest before the others; a hundred at most.
    pub enrollments: Vec<Why>,
}

/// Why a person has not been written to yet.
///
/// Errors: [`Error::NotFound`].
pub async fn of_contact(tx: &Tx, keys: &KeyRing, contact: ContactId) -> Result<ContactWhy> {
    let email = contacts::find(tx, contact).await?.contact.email;
    let hashes = suppressions::hashes(tx, keys, &email.to_ascii_lowercase())?;
    let enrollments = read(tx, Some(contact), None, None, &hashes).await?;
    let earliest_at = enrollments.iter().filter_map(|why| why.earliest_at).min();
    Ok(ContactWhy { contact_id: contact, earliest_at, enrollments })
}

/// Why somebody has not got their next mail of a campaign yet. A forgotten address is not recognized here.
///
/// Errors: [`Error::NotFound`], also for a person of another campaign.
pub async fn of_enrollment(tx: &Tx, campaign: CampaignId, id: EnrollmentId) -> Result<Why> {
    read(tx, None, Some(id), Some(campaign), &[]).await?.pop().ok_or(Error::not_found("enrollment"))
}

async fn read(
    tx: &Tx,
    contact: Option<ContactId>,
    enrollment: Option<EnrollmentId>,
    campaign: Option<CampaignId>,
    hashes: &[Vec<u8>],
) -> Result<Vec<Why>> {
    let rows = tx
        .query(include_str!("why.sql"), &[&contact, &enrollment, &campaign, &breaker::ACCOUNT, &MAXIMUM, &hashes])
        .await?;
    let mut told = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut facts = Facts::from_row(row, tx.now())?;
        if facts.waits_for_a_slot() {
            facts.limits = limits::of_enrollment(tx, row.try_get("enrollment_id")?).await?;
        }
        told.push(why(row, &facts)?);
    }
    Ok(told)
}

fn why(row: &Row, facts: &Facts) -> Result<Why> {
    let status: String = row.try_get("enrollment_status")?;
    let ending = Ending::parse(&status, row.try_get("stop_reason")?)?;
    let at = row.try_get("completed_at")?;
    let constraints = if ending.is_some() { Vec::new() } else { constraints(facts) };
    let next_step = match row.try_get("next_step_id")? {
        Some(id) if ending.is_none() => Some(NextStep { id, position: row.try_get("next_step_position")? }),
        _ => None,
    };
    Ok(Why {
        enrollment_id: row.try_get("enrollment_id")?,
        campaign_id: row.try_get("campaign_id")?,
        contact_id: row.try_get("contact_id")?,
        sender_id: row.try_get("sender_id")?,
        status,
        next_step,
        message_id: row.try_get("waiting_message_id")?,
        next_due_at: facts.next_due_at(),
        earliest_at: if ending.is_some() { None } else { earliest(facts, &constraints) },
        constraints,
        ended: ending.map(|code| Ended { code, message: code.sentence(), at }),
        last_skipped: skipped(row)?,
    })
}

fn skipped(row: &Row) -> Result<Option<Skipped>> {
    let Some(message_id) = row.try_get("skipped_message_id")? else { return Ok(None) };
    let state = State::parse(row.try_get("skipped_state")?)?;
    let reason = messages::skip_reason(state, row.try_get("skipped_outcome_code")?);
    let step_id = row.try_get("skipped_step_id")?;
    Ok(reason.map(|code| Skipped { message_id, step_id, state, code, message: code.sentence() }))
}

/// What decides when the next mail goes.
#[derive(Debug, Clone)]
struct Facts {
    now: DateTime<Utc>,
    organization_is_active: bool,
    campaign_status: String,
    campaign_paused_at: Option<DateTime<Utc>>,
    sender_status: SenderStatus,
    sender_paused_at: Option<DateTime<Utc>>,
    sender_is_in_pool: bool,
    domain_is_verified: bool,
    is_suppressed: bool,
    provider_is_open: bool,
    window: SendWindow,
    /// The limits that keep a mail which is due from getting a slot.
    limits: Vec<limits::Binding>,
    stage: Stage,
}

/// How far the next mail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has no slot; its step is due then.
    Due(DateTime<Utc>),
    /// It has a slot.
    Planned(DateTime<Utc>),
    /// It has left, or is leaving, since then.
    Handed(State, Option<DateTime<Utc>>),
    /// Nothing is to come.
    Nothing,
}

impl Facts {
    fn from_row(row: &Row, now: DateTime<Utc>) -> Result<Self> {
        let settings = CampaignSettings::from_row(row)?;
        let due: Option<DateTime<Utc>> = row.try_get("next_due_at")?;
        let message: Option<&str> = row.try_get("message_state")?;
        let stage = match (message.map(State::parse).transpose()?, due) {
            (Some(State::Scheduled), _) => Stage::Planned(row.try_get("message_send_at")?),
            (Some(state), _) => Stage::Handed(state, row.try_get("message_attempted_at")?),
            (None, Some(due)) => Stage::Due(due),
            (None, None) => Stage::Nothing,
        };
        Ok(Self {
            now,
            organization_is_active: row.try_get::<_, &str>("organization_status")? == "active",
            campaign_status: row.try_get("campaign_status")?,
            campaign_paused_at: row.try_get("campaign_paused_at")?,
            sender_status: SenderStatus::parse(row.try_get("sender_status")?)?,
            sender_paused_at: row.try_get("sender_paused_at")?,
            sender_is_in_pool: row.try_get("sender_is_in_pool")?,
            domain_is_verified: row.try_get::<_, &str>("domain_status")? == "verified",
            is_suppressed: row.try_get("is_suppressed")?,
            provider_is_open: row.try_get("provider_is_open")?,
            window: settings.window_for(row.try_get("recipient_timezone")?),
            limits: Vec::new(),
            stage,
        })
    }

    fn next_due_at(&self) -> Option<DateTime<Utc>> {
        match self.stage {
            Stage::Due(at) | Stage::Planned(at) => Some(at),
            Stage::Handed(..) | Stage::Nothing => None,
        }
    }

    /// Whether its step is due and has no slot yet, which is when limits matter.
    fn waits_for_a_slot(&self) -> bool {
        matches!(self.stage, Stage::Due(at) if at <= self.now)
    }
}

/// Everything that holds the next mail, as the claim and the sender would judge it now.
fn constraints(facts: &Facts) -> Vec<Binding> {
    let mut bindings = Vec::new();
    let mut bind = |is_bound: bool, rule: Constraint, since, until| {
        if is_bound {
            bindings.push(Binding { code: Code::Rule(rule), message: rule.sentence(), since, until });
        }
    };
    let now = facts.now;
    match facts.stage {
        Stage::Nothing => return bindings,
        // Nothing of ours holds what has left.
        Stage::Handed(state, since) => {
            bind(state == State::Sending, Constraint::MessageSending, since, None);
            bind(state == State::Unknown, Constraint::MessageUnknown, since, None);
            bind(state == State::Review, Constraint::MessageInReview, since, None);
            return bindings;
        }
        Stage::Due(_) | Stage::Planned(_) => {}
    }
    let campaign_is_paused = facts.campaign_status == "paused";
    bind(!facts.organization_is_active, Constraint::OrganizationSuspended, None, None);
    bind(campaign_is_paused, Constraint::CampaignPaused, facts.campaign_paused_at, None);
    bind(!campaign_is_paused && facts.campaign_status != "active", Constraint::CampaignNotActive, None, None);
    bind(facts.sender_status == SenderStatus::Paused, Constraint::SenderPaused, facts.sender_paused_at, None);
    bind(facts.sender_status == SenderStatus::Pending, Constraint::SenderNotActive, None, None);
    bind(!facts.domain_is_verified, Constraint::DomainNotVerified, None, None);
    bind(facts.is_suppressed, Constraint::Suppressed, None, None);
    match facts.stage {
        Stage::Due(at) if at > now => {
            bind(!facts.sender_is_in_pool, Constraint::SenderNotInPool, None, None);
            bind(true, Constraint::StepNotDue, None, Some(at));
        }
        Stage::Due(_) => {
            bind(!facts.sender_is_in_pool, Constraint::SenderNotInPool, None, None);
            let opens = facts.window.snap(now);
            bind(opens > now, Constraint::WindowClosed, None, Some(opens));
        }
        Stage::Planned(at) => {
            bind(at > now, Constraint::MessagePlanned, None, Some(at));
            let opens = facts.window.snap(now);
            bind(at <= now && opens > now, Constraint::WindowClosed, None, Some(opens));
            bind(at <= now, Constraint::MessageDue, Some(at), Some(now));
        }
        Stage::Handed(..) | Stage::Nothing => {}
    }
    bind(!facts.provider_is_open, Constraint::ProviderPaused, None, None);
    // Of the window is told already, and of a sender that doesn't send as well.
    let sends = matches!(facts.sender_status, SenderStatus::Active | SenderStatus::Warming);
    let is_told = |limit: Limit| limit == Limit::Window || limit == Limit::SenderDailyLimit && !sends;
    let used_up = facts.limits.iter().filter(|limit| !is_told(limit.name));
    bindings.extend(used_up.map(|limit| Binding {
        code: Code::Limit(limit.name),
        message: limit.message,
        since: None,
        until: limit.frees_at,
    }));
    bindings
}

/// When nothing of what is known now holds the mail any more, the window included.
fn earliest(facts: &Facts, bindings: &[Binding]) -> Option<DateTime<Utc>> {
    let due = facts.next_due_at()?;
    let mut earliest = facts.now.max(due);
    for binding in bindings {
        earliest = earliest.max(binding.until?);
    }
    Some(facts.window.snap(earliest))
}

#[cfg(test)]
mod tests;
