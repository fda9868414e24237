//! Feedback: what the provider reports of messages that it has accepted.
//!
//! Reports arrive in any order, late and repeated. Each is written once; the summary on the message only ever gains. Any
//! report on a message shows that it was accepted, so it resolves an unknown outcome; a hard bounce or a complaint
//! suppresses the address and stops the person everywhere in the organization.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::limits::{self, Slot};
use super::messages::{MessageKey, State, columns, organizations};
use super::settling::{self, Ended};
use super::stopping::{self, Stop};
use crate::audience::suppressions::{self, Reason};
use crate::{ContactId, Database, EnrollmentId, OrganizationId, Result, Tx};

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// The provider has accepted the mail.
    Sent,
    /// The recipient's server has accepted it.
    Delivered,
    /// It can never be delivered.
    Bounced,
    /// It could not be delivered this time.
    SoftBounced,
    /// The recipient reported it as spam.
    Complained,
    /// The provider refused it after having accepted it (a virus).
    Rejected,
    /// Delivery takes longer.
    Delayed,
    /// The provider could not build it.
    RenderingFailed,
}

impl EventKind {
    /// The kind's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::SoftBounced => "soft_bounced",
            Self::Complained => "complained",
            Self::Rejected => "rejected",
            Self::Delayed => "delayed",
            Self::RenderingFailed => "rendering_failed",
        }
    }

    /// What it means for an outcome that is open.
    fn resolves_to(self) -> State {
        match self {
            Self::Rejected | Self::RenderingFailed => State::Failed,
            _ => State::Sent,
        }
    }

    /// What it stops.
    fn stops(self) -> Option<(Stop, Reason)> {
        match self {
            Self::Bounced => Some((Stop::Bounced, Reason::HardBounce)),
            Self::Complained => Some((Stop::Complaint, Reason::Complaint)),
            _ => None,
        }
    }
}

/// One report.
#[derive(Debug, Clone)]
pub struct Event {
    /// The message that it is about, as our tags say.
    pub message: MessageKey,
    /// What is reported.
    pub kind: EventKind,
    /// The provider's id of the mail.
    pub provider_message_id: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When the provider sent the mail, as every report of it says: the outcome is the same whichever comes first.
    pub sent_at: DateTime<Utc>,
    /// The same occurrence reported twice has the same key.
    pub dedupe_key: String,
    /// What else the provider says, without mail content.
    pub details: Value,
}

/// What became of a batch of reports.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// Reports that were new.
    pub new: usize,
    /// Reports that were known, or about messages that are not ours.
    pub passed_over: usize,
}

/// Applies a batch of reports in one transaction.
pub async fn apply(db: &Database, events: &[Event]) -> Result<Applied> {
    if events.is_empty() {
        return Ok(Applied::default());
    }
    let tx = db.begin_for(&organizations(events.iter().map(|event| event.message))).await?;
    lock(&tx, events).await?;
    let new = insert(&tx, events).await?;
    let mut slots = resolve(&tx, &new).await?;
    summarize(&tx, &new).await?;
    slots.released.extend(stop(&tx, &new).await?);
    limits::count(&tx, &slots.counted, &slots.released).await?;
    tx.commit().await?;
    Ok(Applied { new: new.len(), passed_over: events.len() - new.len() })
}

/// Takes the locks in their order: the contacts that are stopped or now count as contacted, the enrollments, the messages.
async fn lock(tx: &Tx, events: &[Event]) -> Result<()> {
    let stopping: BTreeSet<MessageKey> =
        events.iter().filter(|event| event.kind.stops().is_some()).map(|event| event.message).collect();
    let (stopping_organizations, stopping_ids) = columns(stopping);
    let messages: BTreeSet<MessageKey> = events.iter().map(|event| event.message).collect();
    let (organizations, ids) = columns(messages);
    tx.query(
        include_str!("feedback/lock_contacts.sql"),
        &[&stopping_organizations, &stopping_ids, &organizations, &ids],
    )
    .await?;
    tx.query(
        include_str!("feedback/lock_enrollments.sql"),
        &[&organizations, &ids, &stopping_organizations, &stopping_ids],
    )
    .await?;
    tx.query(include_str!("feedback/lock_messages.sql"), &[&organizations, &ids]).await?;
    Ok(())
}

/// Writes the reports and returns those that were new and about a message of ours.
async fn insert<'a>(tx: &Tx, events: &'a [Event]) -> Result<Vec<&'a Event>> {
    let (organizations, messages) = columns(events.iter().map(|event| event.message));
    let ids: Vec<uuid::Uuid> = events.iter().map(|_| crate::ids::fresh()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    let dedupe: Vec<&str> = events.iter().map(|event| event.dedupe_key.as_str()).collect();
    let occurred: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
    let details: Vec<&Value> = events.iter().map(|event| &event.details).collect();
    let provider_ids: Vec<&str> = events.iter().map(|event| event.provider_message_id.as_str()).collect();
    let rows = tx
        .query(
            include_str!("feedback/insert_events.sql"),
            &[&organizations, &ids, &messages, &kinds, &dedupe, &occurred, &details, &provider_ids],
        )
        .await?;
    let inserted: BTreeSet<uuid::Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(events.iter().zip(ids).filter(|(_, id)| inserted.contains(id)).map(|(event, _)| event).collect())
}

/// Resolves outcomes that were open. A refusal wins over an acceptance reported in the same batch.
async fn resolve(tx: &Tx, events: &[&Event]) -> Result<Moved> {
    let mut outcomes: BTreeMap<MessageKey, (State, &Event)> = BTreeMap::new();
    for event in events {
        let state = event.kind.resolves_to();
        let known = outcomes.entry(event.message).or_insert((state, event));
        if state == State::Failed {
            *known = (state, event);
        }
    }
    let (organizations, ids) = columns(outcomes.keys().copied());
    let states: Vec<&str> = outcomes.values().map(|(state, _)| state.name()).collect();
    let provider_ids: Vec<&str> = outcomes.values().map(|(_, event)| event.provider_message_id.as_str()).collect();
    let sent: Vec<DateTime<Utc>> = outcomes.values().map(|(_, event)| event.sent_at).collect();
    let codes: Vec<&str> = outcomes.values().map(|(_, event)| event.kind.name()).collect();
    let rows = tx
        .query(include_str!("feedback/resolve.sql"), &[&organizations, &ids, &states, &provider_ids, &sent, &codes])
        .await?;
    let mut ended = BTreeMap::new();
    let mut moved = Moved::default();
    let mut contacted = (Vec::new(), Vec::new());
    for row in &rows {
        let key = MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("id")? };
        // A mail that was refused afterwards was accepted before: the way goes on from there as well.
        let sent_at = row.try_get("sent_at")?;
        ended.insert(key, Ended::Sent(sent_at));
        if let Some(contact) = row.try_get::<_, Option<ContactId>>("contact_id")? {
            contacted.0.push(key.organization);
            contacted.1.push(contact);
        }
        let slot = Slot::from_row(row)?;
        if State::parse(row.try_get("state")?)? == State::Failed {
            moved.released.extend(slot);
        } else if row.try_get("had_no_slot")? {
            moved.counted.extend(slot.map(|slot| (slot, sent_at)));
        }
    }
    tx.execute(include_str!("sending/mark_contacted.sql"), &[&contacted.0, &contacted.1]).await?;
    settling::move_on(tx, &ended).await?;
    Ok(moved)
}

/// The slots that a batch of reports moves.
#[derive(Default)]
struct Moved {
    /// Of mails that did leave although their slot had been given up: they count nevertheless, even over a cap.
    counted: Vec<(Slot, DateTime<Utc>)>,
    /// Given back.
    released: Vec<Slot>,
}

async fn summarize(tx: &Tx, events: &[&Event]) -> Result<()> {
    let (organizations, ids) = columns(events.iter().map(|event| event.message));
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    let occurred: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
    tx.execute(include_str!("feedback/summarize.sql"), &[&organizations, &ids, &kinds, &occurred]).await?;
    Ok(())
}

/// Suppresses addresses that bounced or complained, and stops their people everywhere in the organization.
async fn stop(tx: &Tx, events: &[&Event]) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for event in events {
        let Some((stop, reason)) = event.kind.stops() else { continue };
        let MessageKey { organization, id } = event.message;
        let Some(row) = tx.query_opt(include_str!("feedback/recipient.sql"), &[&organization, &id]).await? else {
            continue;
        };
        let email_lower: String = row.try_get("email_lower")?;
        suppressions::add(tx, organization, &email_lower, None, reason, Some(id)).await?;
        let contact: Option<ContactId> = row.try_get("contact_id")?;
        if let Some(contact) = contact {
            // Whoever complains wants no more mail; the address itself works.
            let status = if event.kind == EventKind::Complained { "unsubscribed" } else { "bounced" };
            tx.execute(include_str!("feedback/mark_stopped.sql"), &[&organization, &contact, &status]).await?;
            let found: Vec<(OrganizationId, EnrollmentId)> =
                stopping::find_by_contacts(tx, &[(organization, contact)]).await?;
            slots.extend(stopping::stop_and_collect(tx, &found, stop).await?.1);
        }
    }
    Ok(slots)
}
