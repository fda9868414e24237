//! Why a message stands where it stands: a stable code and one sentence, for whoever looks at it.
//!
//! It follows from the message's row and from little beside it: what holds it at this moment, and how its person's way
//! ended. The sentences name nobody and repeat nothing that the provider said.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use super::{Kind, Message, OutcomeCode, State};
use crate::Result;
use crate::audience::suppressions;
use crate::delivery::constraints::Binding;
use crate::sentences::sentences;

/// Why a message stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "MessageWhy")]
pub struct Why {
    /// The stable code.
    pub code: Reason,
    /// The same as a sentence.
    pub message: &'static str,
    /// Since when, where that is known.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub since: Option<DateTime<Utc>>,
    /// Of a message that waits for a slot: everything that keeps it from getting one now, beside what the code says.
    pub limits: Vec<Binding>,
}

sentences! {
    /// Each reason there is, in the order of the states.
    Reason:
    Planned = "planned", "It has a slot and waits for its time.";
    NotYet = "not_yet", "Its time has not come.";
    Due = "due", "Its time has come: it goes when its turn comes, or gets another slot if something holds it then.";
    WaitsForSlot = "waits_for_slot",
        "It waits for a slot that the window and the limits of its campaign and its sender allow.";
    Ending = "ending", "The person does not wait for it any more: it is cancelled when its turn comes.";
    Expiring = "expiring", "The latest moment at which it may go has passed: it expires when its turn comes.";
    ProviderPaused = "provider_paused",
        "The provider account takes no mail at this moment: it goes when the account sends again.";
    ProviderBusy = "provider_busy",
        "The provider had no room for it and did not take it: it is handed over again after a pause.";
    AccountClosed = "account_closed",
        "The provider account could not send and did not take it: it is handed over again after a pause.";
    OrganizationSuspended = "organization_suspended",
        "The organization is suspended: it waits until the organization may send again.";
    CampaignPaused = "campaign_paused", "Its campaign is paused: it waits until the campaign is resumed.";
    CampaignNotActive = "campaign_not_active", "Its campaign is not active: it waits until the campaign is.";
    SenderPaused = "sender_paused", "Its sender is paused: it waits until the sender is resumed.";
    SenderNotActive = "sender_not_active", "Its sender may not send yet: it waits until the sender may.";
    DomainNotVerified = "domain_not_verified",
        "The domain of its sender is not verified: it waits until the domain is.";
    OrganizationWasSuspended = "organization_was_suspended",
        "The organization was suspended when its turn came: it waits for another slot.";
    CampaignWasNotActive = "campaign_was_not_active",
        "Its campaign was not active when its turn came: it waits for another slot.";
    SenderWasNotActive = "sender_was_not_active",
        "Its sender was not active when its turn came: it waits for another slot.";
    DomainWasNotVerified = "domain_was_not_verified",
        "The domain of its sender was not verified when its turn came: it waits for another slot.";
    AddressChanged = "address_changed",
        "The contact has got another address: it waits for another slot, and goes to that one.";
    AnotherDay = "another_day", "Its turn came on another day than its slot's: it waits for another slot.";
    WindowClosed = "window_closed",
        "The campaign's sending window was closed when its turn came: it waits for another slot.";
    NoSystemSender = "no_system_sender",
        "Nobody has said which address the installation's own mails come from: it waits until that is known.";
    Resent = "resent",
        "A person has it sent again, although it may have arrived: it waits for another slot.";

    HandingOver = "handing_over", "It is being handed to the provider at this moment.";

    Accepted = "accepted", "The provider has accepted it, and has not yet reported what came of it.";
    Delivered = "delivered", "The recipient's server has accepted it.";
    Bounced = "bounced", "It was sent, and could not be delivered.";
    Complained = "complained", "It was sent, and the recipient reported it as spam.";
    Replied = "replied", "It was sent, and the recipient has answered.";
    Unsubscribed = "unsubscribed", "It was sent, and the recipient has unsubscribed.";

    Refused = "refused", "The provider refused it: outcome_code and outcome_detail hold its answer.";
    Rejected = "rejected", "The provider accepted it and refused it afterwards, because of what it contains.";
    RenderingFailed = "rendering_failed", "The provider accepted it and could not build the mail afterwards.";
    NotSendable = "not_sendable", "No request to the provider could be made of it.";
    Syntax = "syntax", "Its step's template can't be read: outcome_detail says where.";
    UndefinedVariable = "undefined_variable",
        "A variable of its step's template has no value for this person: outcome_detail names it.";
    WrongType = "wrong_type", "A value in its step's template is of the wrong type: outcome_detail says where.";
    TooExpensive = "too_expensive", "Its step's template takes more steps than a mail may.";
    TooLong = "too_long", "Its step's template, or what goes into it, is too long.";
    SubjectLineBreak = "subject_line_break", "Its subject has a line break, which no mail may have.";
    EmptySubject = "empty_subject", "Its subject is empty.";
    NotComposable = "not_composable", "No mail can be made of its text and its addresses: outcome_detail says why.";

    UnclearAnswer = "unclear_answer",
        "The provider's answer leaves open whether it was accepted: any report on it will tell, and without one a person is asked.";
    NoOutcomeRecorded = "no_outcome_recorded",
        "It was handed over, and the answer was lost: any report on it will tell, and without one a person is asked.";
    OutcomeUnknown = "outcome_unknown",
        "It may or may not have been accepted: any report on it will tell, and without one a person is asked.";

    Review = "review",
        "No report has told whether it was accepted: a person decides, unless a report still comes. It is never sent again by itself.";
    DatabaseRestored = "database_restored",
        "The database was restored to a time before it may have been handed over: a person decides, unless a report still comes.";
    Skipped = "skipped",
        "No report has told whether it was accepted, and a person has decided that the way goes on without it.";

    PersonReplied = "person_replied", "The person has answered, so it was taken back.";
    AddressBounced = "address_bounced", "The address does not exist or refuses mail for good, so it was taken back.";
    PersonUnsubscribed = "person_unsubscribed", "The person has unsubscribed, so it was taken back.";
    PersonComplained = "person_complained", "The person reported a mail as spam, so it was taken back.";
    AddressSuppressed = "address_suppressed", "The organization has suppressed the address, so it was taken back.";
    AddressRefused = "address_refused", "The provider refused the address, so it was taken back.";
    CampaignArchived = "campaign_archived", "Its campaign was archived, so it was taken back.";
    PersonRemoved = "person_removed", "The person was taken out of the campaign, so it was taken back.";
    ContactDeleted = "contact_deleted", "The contact was taken out of the campaign and deleted, so it was taken back.";
    NotWaitedFor = "not_waited_for", "The person's way through the campaign had ended before its turn came.";
    Withdrawn = "withdrawn", "What it was to tell was no longer so, so it was taken back.";
    Cancelled = "cancelled", "The person's way through the campaign has ended, so it was taken back.";

    SuppressedHardBounce = "suppressed_hard_bounce",
        "It was not sent: the address does not exist or refuses mail for good.";
    SuppressedComplaint = "suppressed_complaint",
        "It was not sent: the address is suppressed because its owner reported a mail as spam.";
    SuppressedUnsubscribe = "suppressed_unsubscribe", "It was not sent: the owner of the address has unsubscribed.";
    SuppressedManual = "suppressed_manual", "It was not sent: the organization has suppressed the address.";
    Suppressed = "suppressed", "It was not sent: the address was suppressed when its turn came.";

    TooLate = "too_late", "Its turn came later than its campaign allows, so it was not sent.";
}

/// What decides beside the message's own row.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    /// People's time.
    pub(super) now: DateTime<Utc>,
    /// When it was last handed to the provider.
    pub(super) attempted_at: Option<DateTime<Utc>>,
    /// Whether its person waits for this message; true outside campaigns.
    pub(super) is_waited_for: bool,
    /// When its person's way ended.
    pub(super) ended_at: Option<DateTime<Utc>>,
    /// What keeps it from going, whatever its time.
    pub(super) hold: Option<Hold>,
    /// Since when the campaign is paused.
    pub(super) campaign_paused_at: Option<DateTime<Utc>>,
    /// Whether the provider account takes mail.
    pub(super) provider_is_open: bool,
    /// Why the address is suppressed, as far as that can be read without recognizing forgotten addresses.
    pub(super) suppression: Option<suppressions::Reason>,
    /// What keeps it from getting a slot, where it waits for one.
    pub(super) limits: Vec<Binding>,
}

/// What may keep a planned message from going, in the order in which the sender asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// The organization may not send.
    Organization,
    /// The campaign is paused.
    PausedCampaign,
    /// The campaign is not active, nor paused.
    Campaign,
    /// The sender is paused.
    PausedSender,
    /// The sender may not send, and is not paused.
    Sender,
    /// The sender's domain is not verified.
    Domain,
}

impl Circumstances {
    /// Reads what stands beside the message in its row.
    pub(super) fn from_row(row: &Row, now: DateTime<Utc>) -> Result<Self> {
        let suppression = row.try_get::<_, Option<&str>>("suppression_reason")?;
        Ok(Self {
            now,
            attempted_at: row.try_get("attempted_at")?,
            is_waited_for: row.try_get("is_waited_for")?,
            ended_at: row.try_get("ended_at")?,
            hold: Hold::from_row(row)?,
            campaign_paused_at: row.try_get("campaign_paused_at")?,
            provider_is_open: row.try_get("provider_is_open")?,
            suppression: suppression.map(suppressions::Reason::parse).transpose()?,
            limits: Vec::new(),
        })
    }
}

impl Hold {
    fn from_row(row: &Row) -> Result<Option<Self>> {
        // Outside campaigns there is none, and a message may have no sender.
        let campaign: Option<&str> = row.try_get("campaign_status")?;
        let sender: Option<&str> = row.try_get("sender_status")?;
        let domain: Option<&str> = row.try_get("domain_status")?;
        if row.try_get::<_, &str>("kind")? == Kind::System.name() {
            // It is no mail of the organization that it stands in.
            return Ok(None);
        }
        if row.try_get::<_, &str>("organization_status")? != "active" {
            return Ok(Some(Self::Organization));
        }
        Ok(match (campaign, sender, domain) {
            (Some("paused"), ..) => Some(Self::PausedCampaign),
            (Some(status), ..) if status != "active" => Some(Self::Campaign),
            (_, Some("paused"), _) => Some(Self::PausedSender),
            (_, Some(status), _) if status != "active" && status != "warming" => Some(Self::Sender),
            (.., Some(status)) if status != "verified" => Some(Self::Domain),
            _ => None,
        })
    }
}

/// Why this message stands where it stands.
pub(super) fn why(message: &Message, circumstances: &Circumstances) -> Why {
    let (code, since) = reason(message, circumstances);
    let limits = if waits_for_slot(message) { circumstances.limits.clone() } else { Vec::new() };
    Why { code, message: code.sentence(), since, limits }
}

/// Whether it was sent back for another slot and has none yet.
pub(super) fn waits_for_slot(message: &Message) -> bool {
    message.state == State::Scheduled && message.slot_day.is_none()
}

fn reason(message: &Message, circumstances: &Circumstances) -> (Reason, Option<DateTime<Utc>>) {
    let Circumstances { attempted_at, ended_at, .. } = *circumstances;
    // A code says something of the state that it was written with, and of no other.
    let noted = message.outcome_code.as_deref().and_then(OutcomeCode::parse).map(noted);
    let noted = noted.filter(|(state, _)| *state == message.state).map(|(_, reason)| reason);
    match message.state {
        State::Scheduled => scheduled(message, noted, circumstances),
        State::Sending => (Reason::HandingOver, attempted_at),
        State::Sent => latest(message),
        State::Failed => (noted.unwrap_or(Reason::Refused), attempted_at),
        State::Unknown => (noted.unwrap_or(Reason::OutcomeUnknown), attempted_at),
        State::Review if noted == Some(Reason::Skipped) => (Reason::Skipped, message.skipped_at),
        State::Review => (noted.unwrap_or(Reason::Review), attempted_at),
        State::Cancelled if noted == Some(Reason::PersonRemoved) && message.contact_id.is_none() => {
            (Reason::ContactDeleted, ended_at)
        }
        State::Cancelled => (noted.unwrap_or(Reason::Cancelled), ended_at),
        State::Suppressed => (suppressed(circumstances.suppression), ended_at),
        State::Expired => (Reason::TooLate, Some(message.expires_at)),
    }
}

/// Why a step came to nothing, by what the ledger noted of its message; none where the message was sent or is on its way.
pub(crate) fn skip_reason(state: State, outcome_code: Option<&str>) -> Option<Reason> {
    let noted = outcome_code.and_then(OutcomeCode::parse).map(noted);
    let noted = noted.filter(|(its, _)| *its == state).map(|(_, reason)| reason);
    match state {
        State::Failed => Some(noted.unwrap_or(Reason::Refused)),
        State::Review => noted.filter(|reason| *reason == Reason::Skipped),
        State::Cancelled => Some(noted.unwrap_or(Reason::Cancelled)),
        State::Suppressed => Some(Reason::Suppressed),
        State::Expired => Some(Reason::TooLate),
        State::Scheduled | State::Sending | State::Sent | State::Unknown => None,
    }
}

/// What each code of the ledger means, and in which state.
fn noted(code: OutcomeCode) -> (State, Reason) {
    use OutcomeCode as Code;
    match code {
        Code::AddressChanged => (State::Scheduled, Reason::AddressChanged),
        Code::OrganizationSuspended => (State::Scheduled, Reason::OrganizationWasSuspended),
        Code::CampaignNotActive => (State::Scheduled, Reason::CampaignWasNotActive),
        Code::SenderNotActive => (State::Scheduled, Reason::SenderWasNotActive),
        Code::DomainNotVerified => (State::Scheduled, Reason::DomainWasNotVerified),
        Code::AnotherDay => (State::Scheduled, Reason::AnotherDay),
        Code::WindowClosed => (State::Scheduled, Reason::WindowClosed),
        Code::ProviderBusy => (State::Scheduled, Reason::ProviderBusy),
        Code::AccountClosed => (State::Scheduled, Reason::AccountClosed),
        Code::NoSystemSender => (State::Scheduled, Reason::NoSystemSender),
        Code::Resent => (State::Scheduled, Reason::Resent),
        Code::UnclearAnswer => (State::Unknown, Reason::UnclearAnswer),
        Code::NoOutcomeRecorded => (State::Unknown, Reason::NoOutcomeRecorded),
        Code::DatabaseRestored => (State::Review, Reason::DatabaseRestored),
        Code::Skipped => (State::Review, Reason::Skipped),
        Code::TooLate => (State::Expired, Reason::TooLate),
        Code::Syntax => (State::Failed, Reason::Syntax),
        Code::UndefinedVariable => (State::Failed, Reason::UndefinedVariable),
        Code::WrongType => (State::Failed, Reason::WrongType),
        Code::TooExpensive => (State::Failed, Reason::TooExpensive),
        Code::TooLong => (State::Failed, Reason::TooLong),
        Code::SubjectLineBreak => (State::Failed, Reason::SubjectLineBreak),
        Code::EmptySubject => (State::Failed, Reason::EmptySubject),
        Code::NotComposable => (State::Failed, Reason::NotComposable),
        Code::NotSendable => (State::Failed, Reason::NotSendable),
        Code::Rejected => (State::Failed, Reason::Rejected),
        Code::RenderingFailed => (State::Failed, Reason::RenderingFailed),
        Code::NotWaitedFor => (State::Cancelled, Reason::NotWaitedFor),
        Code::Replied => (State::Cancelled, Reason::PersonReplied),
        Code::Bounced => (State::Cancelled, Reason::AddressBounced),
        Code::Unsubscribed => (State::Cancelled, Reason::PersonUnsubscribed),
        Code::Complaint => (State::Cancelled, Reason::PersonComplained),
        Code::Suppressed => (State::Cancelled, Reason::AddressSuppressed),
        Code::AddressFailed => (State::Cancelled, Reason::AddressRefused),
        Code::Archived => (State::Cancelled, Reason::CampaignArchived),
        Code::Removed => (State::Cancelled, Reason::PersonRemoved),
        Code::Withdrawn => (State::Cancelled, Reason::Withdrawn),
    }
}

/// Why a planned message has not gone yet. What ends its way comes before what holds it, and that before its time: as
/// the sender judges it.
fn scheduled(
    message: &Message,
    noted: Option<Reason>,
    circumstances: &Circumstances,
) -> (Reason, Option<DateTime<Utc>>) {
    let Circumstances { now, attempted_at, .. } = *circumstances;
    let has_slot = message.slot_day.is_some();
    if has_slot && !circumstances.is_waited_for {
        return (Reason::Ending, circumstances.ended_at);
    }
    if let Some(hold) = circumstances.hold {
        return match hold {
            Hold::Organization => (Reason::OrganizationSuspended, None),
            Hold::PausedCampaign => (Reason::CampaignPaused, circumstances.campaign_paused_at),
            Hold::Campaign => (Reason::CampaignNotActive, None),
            Hold::PausedSender => (Reason::SenderPaused, None),
            Hold::Sender => (Reason::SenderNotActive, None),
            Hold::Domain => (Reason::DomainNotVerified, None),
        };
    }
    // With a slot, what sent it back for that one does not matter any more; without, what came before it was sent back.
    let is_put_back = matches!(noted, Some(Reason::ProviderBusy | Reason::AccountClosed | Reason::NoSystemSender));
    let noted = noted.filter(|_| is_put_back == has_slot);
    if !has_slot {
        // A mail of the installation gets its slot when its time comes, and nothing else holds it.
        let usual = if message.kind == Kind::System { Reason::NotYet } else { Reason::WaitsForSlot };
        return (noted.unwrap_or(usual), None);
    }
    if now > message.expires_at {
        return (Reason::Expiring, Some(message.expires_at));
    }
    if message.send_at > now {
        return (Reason::Planned, None);
    }
    if !circumstances.provider_is_open {
        return (Reason::ProviderPaused, None);
    }
    match noted {
        Some(reason) => (reason, attempted_at),
        None => (Reason::Due, Some(message.send_at)),
    }
}

/// The latest that is known of a mail that was sent; of two at the same time the graver one. Opens and clicks are not
/// among them: they say what somebody has done with it, not how it stands.
fn latest(message: &Message) -> (Reason, Option<DateTime<Utc>>) {
    let known = [
        (message.delivered_at, Reason::Delivered),
        (message.replied_at, Reason::Replied),
        (message.bounced_at, Reason::Bounced),
        (message.unsubscribed_at, Reason::Unsubscribed),
        (message.complained_at, Reason::Complained),
    ];
    // Of equal ones the last.
    let latest = known.into_iter().filter(|(at, _)| at.is_some()).max_by_key(|(at, _)| *at);
    latest.map_or((Reason::Accepted, message.sent_at), |(at, reason)| (reason, at))
}

fn suppressed(suppression: Option<suppressions::Reason>) -> Reason {
    match suppression {
        Some(suppressions::Reason::HardBounce) => Reason::SuppressedHardBounce,
        Some(suppressions::Reason::Complaint) => Reason::SuppressedComplaint,
        Some(suppressions::Reason::Unsubscribe) => Reason::SuppressedUnsubscribe,
        Some(suppressions::Reason::Manual) => Reason::SuppressedManual,
        None => Reason::Suppressed,
    }
}

#[cfg(test)]
mod tests;
