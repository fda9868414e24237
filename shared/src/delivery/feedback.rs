//! Feedback: what the provider reports of messages that it has accepted.
//!
//! Reports arrive in any order, late and repeated. Each is written once; the summary on the message only ever gains. Any
//! report on a message shows that it was accepted, so it resolves an unknown outcome; a hard bounce, a complaint or an
//! unsubscription at the provider suppresses the address and stops the person everywhere in the organization.
//!
//! Opens and clicks come by the provider's reports and by the routes that pixels and links lead to ([`super::tracking`]).
//! Both are written here, by the rules of [`super::visitors`]: whoever did it is a person or a machine, counts once a
//! minute, and can't fill the table.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::limits::{self, Slot};
use super::messages::{MessageKey, OutcomeCode, State, columns, organizations};
use super::settling::{self, Ended};
use super::stopping::{self, Stop};
use super::visitors::{Machine, Visit};
use crate::audience::suppressions::{self, Reason};
use crate::platform::webhooks::EventType;
use crate::platform::webhooks::outbox::{self, MessageEvent};
use crate::{ContactId, Database, EnrollmentId, MessageId, OrganizationId, Result, Tx};

/// Most opens or clicks that one message keeps of people, and as many of machines: whoever has a link can call it again and
/// again, from as many addresses as they like. Visits at the same moment may pass it by their number.
pub(super) const MAX_VISITS: i64 = 100;

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
    /// Its images were fetched.
    Opened,
    /// A link in it was followed.
    Clicked,
    /// The recipient has chosen at the provider what to get, and still gets something.
    SubscriptionChanged,
    /// The recipient wants nothing more, as the provider was told.
    Unsubscribed,
    /// The recipient took it out of the spam: the contrary of a complaint, which the provider reports as one.
    NotSpam,
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
            Self::Opened => "opened",
            Self::Clicked => "clicked",
            Self::SubscriptionChanged => "subscription_changed",
            Self::Unsubscribed => "unsubscribed",
            Self::NotSpam => "not_spam",
        }
    }

    /// What it means for an outcome that is open.
    fn resolves_to(self) -> State {
        if self.refusal().is_some() { State::Failed } else { State::Sent }
    }

    /// What the ledger notes of a mail that the provider has refused after having accepted it.
    fn refusal(self) -> Option<OutcomeCode> {
        match self {
            Self::Rejected => Some(OutcomeCode::Rejected),
            Self::RenderingFailed => Some(OutcomeCode::RenderingFailed),
            _ => None,
        }
    }

    /// What is told of it to whoever wants to know.
    fn tells(self) -> Option<EventType> {
        match self {
            Self::Delivered => Some(EventType::MessageDelivered),
            Self::Bounced => Some(EventType::MessageBounced),
            Self::Complained => Some(EventType::MessageComplained),
            Self::Opened => Some(EventType::MessageOpened),
            Self::Clicked => Some(EventType::MessageClicked),
            Self::Unsubscribed => Some(EventType::ContactUnsubscribed),
            _ => None,
        }
    }

    /// What it stops.
    fn stops(self) -> Option<(Stop, Reason)> {
        match self {
            Self::Bounced => Some((Stop::Bounced, Reason::HardBounce)),
            Self::Complained => Some((Stop::Complaint, Reason::Complaint)),
            Self::Unsubscribed => Some((Stop::Unsubscribed, Reason::Unsubscribe)),
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
    /// The same occurrence reported twice has the same key. A visit has the key of its visitor and minute instead.
    pub dedupe_key: String,
    /// What else the provider says, without mail content: an object.
    pub details: Value,
    /// Who did it, where it is an open or a click; without this it says nothing of the recipient.
    pub visit: Option<Visit>,
}

/// What shows how a message stands with the provider: a report, or somebody who has seen the mail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof<'a> {
    /// Of which message.
    pub(super) message: MessageKey,
    /// What it shows.
    pub(super) kind: EventKind,
    /// The provider's id of the mail, where it is known.
    pub(super) provider_message_id: Option<&'a str>,
    /// When the mail was sent, as well as is known.
    pub(super) sent_at: DateTime<Utc>,
}

impl Event {
    fn proof(&self) -> Proof<'_> {
        Proof {
            message: self.message,
            kind: self.kind,
            provider_message_id: Some(&self.provider_message_id),
            sent_at: self.sent_at,
        }
    }

    fn entry(&self) -> Entry<'_> {
        let (proof, details) = (self.proof(), self.details.clone());
        if let Some(visit) = &self.visit {
            // Every report says when the mail was sent: what a click is does not depend on what was reported before.
            return Entry::of_visit(proof, visit, self.occurred_at, Some(self.sent_at), details);
        }
        let dedupe_key = Cow::Borrowed(self.dedupe_key.as_str());
        let machine = matches!(self.kind, EventKind::Opened | EventKind::Clicked).then_some(Machine::Unnamed);
        Entry { proof, occurred_at: self.occurred_at, dedupe_key, details, visit: None, machine }.with_reason()
    }
}

/// What is to be written of a message: a report, or a visit.
pub(super) struct Entry<'a> {
    proof: Proof<'a>,
    occurred_at: DateTime<Utc>,
    dedupe_key: Cow<'a, str>,
    details: Value,
    visit: Option<&'a Visit>,
    machine: Option<Machine>,
}

impl<'a> Entry<'a> {
    /// A visit to a mail that had arrived then, as far as is known. The details are an object.
    pub(super) fn of_visit(
        proof: Proof<'a>,
        visit: &'a Visit,
        occurred_at: DateTime<Utc>,
        arrived_at: Option<DateTime<Utc>>,
        details: Value,
    ) -> Self {
        let machine = visit.machine(arrived_at.map(|arrived_at| occurred_at - arrived_at));
        let dedupe_key = Cow::Owned(visit.dedupe_key(proof.kind.name(), machine.is_some(), occurred_at));
        Self { proof, occurred_at, dedupe_key, details, visit: Some(visit), machine }.with_reason()
    }

    /// Says in the details why it is a machine's.
    fn with_reason(mut self) -> Self {
        if let Some(machine) = self.machine {
            self.details["machine"] = machine.name().into();
        }
        self
    }
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
    lock(&tx, &events.iter().map(Event::proof).collect::<Vec<_>>()).await?;
    let entries: Vec<Entry<'_>> = events.iter().map(Event::entry).collect();
    let new = insert(&tx, &entries).await?;
    let mut moved = resolve(&tx, &new.iter().map(|entry| entry.proof).collect::<Vec<_>>()).await?;
    summarize(&tx, &new).await?;
    moved.released.extend(stop(&tx, &new).await?);
    limits::count(&tx, &moved.counted, &moved.released).await?;
    tell(&tx, moved.told, &new).await?;
    tx.commit().await?;
    crate::fault_points::reach("after_commit");
    Ok(Applied { new: new.len(), passed_over: events.len() - new.len() })
}

/// Resolves outcomes that were open by proofs that stop nobody, and returns what is to be told of it. The caller has taken the
/// locks with [`lock`].
pub(super) async fn accept(tx: &Tx, proofs: &[Proof<'_>]) -> Result<Vec<MessageEvent>> {
    let moved = resolve(tx, proofs).await?;
    limits::count(tx, &moved.counted, &moved.released).await?;
    Ok(moved.told)
}

/// Tells what was resolved, and then what was reported. What a machine has opened or followed is nothing that anybody did.
pub(super) async fn tell(tx: &Tx, mut resolved: Vec<MessageEvent>, entries: &[&Entry<'_>]) -> Result<()> {
    for entry in entries.iter().filter(|entry| entry.machine.is_none()) {
        let Some(event_type) = entry.proof.kind.tells() else { continue };
        let more = match event_type {
            // The URL may be the person's own.
            EventType::MessageClicked => json!({ "link_id": entry.details.get("link_id") }),
            EventType::ContactUnsubscribed => json!({ "scope": "everything", "reason": null }),
            _ => json!({}),
        };
        let (message, occurred_at) = (entry.proof.message, entry.occurred_at);
        resolved.push(MessageEvent { message, event_type, occurred_at, more });
    }
    outbox::emit_of_messages(tx, &resolved).await
}

/// Takes the locks in their order: the contacts that are stopped or now count as contacted, the enrollments, the messages.
/// A message that is refused is updated twice, and then asks for its contact once more: that one is locked as well.
pub(super) async fn lock(tx: &Tx, proofs: &[Proof<'_>]) -> Result<()> {
    let stopping: BTreeSet<MessageKey> =
        proofs.iter().filter(|proof| proof.kind.stops().is_some()).map(|proof| proof.message).collect();
    let (stopping_organizations, stopping_ids) = columns(stopping);
    let messages: BTreeSet<MessageKey> = proofs.iter().map(|proof| proof.message).collect();
    let (organizations, ids) = columns(messages);
    let refused: Vec<MessageId> =
        proofs.iter().filter(|proof| proof.kind.resolves_to() == State::Failed).map(|proof| proof.message.id).collect();
    tx.query(
        include_str!("feedback/lock_contacts.sql"),
        &[&stopping_organizations, &stopping_ids, &organizations, &ids, &refused],
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

/// Writes what is new and about a message of ours, and returns that.
pub(super) async fn insert<'a, 'b>(tx: &Tx, entries: &'a [Entry<'b>]) -> Result<Vec<&'a Entry<'b>>> {
    let (organizations, messages) = columns(entries.iter().map(|entry| entry.proof.message));
    let ids: Vec<uuid::Uuid> = entries.iter().map(|_| crate::ids::fresh()).collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.proof.kind.name()).collect();
    let dedupe: Vec<&str> = entries.iter().map(|entry| &*entry.dedupe_key).collect();
    let occurred: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.occurred_at).collect();
    let details: Vec<&Value> = entries.iter().map(|entry| &entry.details).collect();
    let provider_ids: Vec<Option<&str>> = entries.iter().map(|entry| entry.proof.provider_message_id).collect();
    let visitors = || entries.iter().map(|entry| entry.visit.map(|visit| &visit.visitor));
    let ips: Vec<Option<IpAddr>> = visitors().map(|visitor| visitor?.ip).collect();
    let agents: Vec<Option<&str>> =
        visitors().map(|visitor| Some(visitor?.user_agent.as_str()).filter(|name| !name.is_empty())).collect();
    let machines: Vec<bool> = entries.iter().map(|entry| entry.machine.is_some()).collect();
    let rows = tx
        .query(
            include_str!("feedback/insert_events.sql"),
            &[
                &organizations,
                &ids,
                &messages,
                &kinds,
                &dedupe,
                &occurred,
                &details,
                &provider_ids,
                &ips,
                &agents,
                &machines,
                &MAX_VISITS,
            ],
        )
        .await?;
    let inserted: BTreeSet<uuid::Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(entries.iter().zip(ids).filter(|(_, id)| inserted.contains(id)).map(|(entry, _)| entry).collect())
}

/// Resolves outcomes that were open. A refusal wins over an acceptance reported in the same batch.
async fn resolve(tx: &Tx, proofs: &[Proof<'_>]) -> Result<Moved> {
    let mut outcomes: BTreeMap<MessageKey, (State, &Proof<'_>)> = BTreeMap::new();
    for proof in proofs {
        let state = proof.kind.resolves_to();
        let known = outcomes.entry(proof.message).or_insert((state, proof));
        if state == State::Failed {
            *known = (state, proof);
        }
    }
    let (organizations, ids) = columns(outcomes.keys().copied());
    let states: Vec<&str> = outcomes.values().map(|(state, _)| state.name()).collect();
    let provider_ids: Vec<Option<&str>> = outcomes.values().map(|(_, proof)| proof.provider_message_id).collect();
    let sent: Vec<DateTime<Utc>> = outcomes.values().map(|(_, proof)| proof.sent_at).collect();
    let codes: Vec<Option<&str>> =
        outcomes.values().map(|(_, proof)| proof.kind.refusal().map(OutcomeCode::name)).collect();
    let rows = tx
        .query(include_str!("feedback/resolve.sql"), &[&organizations, &ids, &states, &provider_ids, &sent, &codes])
        .await?;
    let mut ended = BTreeMap::new();
    let mut moved = Moved::default();
    let mut contacted: Vec<ContactId> = Vec::new();
    for row in &rows {
        let key = MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("id")? };
        // A mail that was refused afterwards was accepted before: the way goes on from there as well.
        let sent_at = row.try_get("sent_at")?;
        ended.insert(key, Ended::Sent(sent_at));
        contacted.extend(row.try_get::<_, Option<ContactId>>("contact_id")?);
        let slot = Slot::from_row(row)?;
        let is_failed = State::parse(row.try_get("state")?)? == State::Failed;
        let event_type = if is_failed { EventType::MessageFailed } else { EventType::MessageSent };
        moved.told.push(MessageEvent::new(key, event_type, sent_at));
        if is_failed {
            moved.released.extend(slot);
        } else if row.try_get("had_no_slot")? {
            moved.counted.extend(slot);
        }
    }
    tx.execute(include_str!("sending/mark_contacted.sql"), &[&contacted]).await?;
    settling::move_on(tx, &ended).await?;
    Ok(moved)
}

/// The slots that a batch of reports moves, and what became of their messages.
#[derive(Default)]
struct Moved {
    /// Of mails that did leave although their slot had been given up: they count nevertheless, even over a cap.
    counted: Vec<Slot>,
    /// Given back.
    released: Vec<Slot>,
    /// What is to be told of it.
    told: Vec<MessageEvent>,
}

/// Writes on the messages what is new: the first time of each kind, and the provider's id where it was not known yet.
pub(super) async fn summarize(tx: &Tx, entries: &[&Entry<'_>]) -> Result<()> {
    let (organizations, ids) = columns(entries.iter().map(|entry| entry.proof.message));
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.proof.kind.name()).collect();
    let occurred: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.occurred_at).collect();
    let machines: Vec<bool> = entries.iter().map(|entry| entry.machine.is_some()).collect();
    let provider_ids: Vec<Option<&str>> = entries.iter().map(|entry| entry.proof.provider_message_id).collect();
    tx.execute(
        include_str!("feedback/summarize.sql"),
        &[&organizations, &ids, &kinds, &occurred, &machines, &provider_ids],
    )
    .await?;
    Ok(())
}

/// Suppresses addresses that bounced or complained, and stops their people everywhere in the organization.
async fn stop(tx: &Tx, entries: &[&Entry<'_>]) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut stopped: Vec<(OrganizationId, String, Option<ContactId>, &Proof<'_>)> = Vec::new();
    for Entry { proof, .. } in entries.iter().filter(|entry| entry.proof.kind.stops().is_some()) {
        let MessageKey { organization, id } = proof.message;
        if let Some(row) = tx.query_opt(include_str!("feedback/recipient.sql"), &[&organization, &id]).await? {
            stopped.push((organization, row.try_get("email_lower")?, row.try_get("contact_id")?, proof));
        }
    }
    // The addresses in an order that is the same for everybody: not each has a contact that was locked. Of one address
    // the first report stays the first.
    stopped.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    for (organization, email_lower, contact, proof) in stopped {
        let Some((stop, reason)) = proof.kind.stops() else { continue };
        suppressions::add(tx, organization, &email_lower, None, reason, Some(proof.message.id)).await?;
        if let Some(contact) = contact {
            // Whoever complains wants no more mail; the address itself works.
            let status = if proof.kind == EventKind::Bounced { "bounced" } else { "unsubscribed" };
            tx.execute(include_str!("feedback/mark_stopped.sql"), &[&organization, &contact, &status]).await?;
            let found: Vec<(OrganizationId, EnrollmentId)> =
                stopping::find_by_contacts(tx, &[(organization, contact)]).await?;
            slots.extend(stopping::stop_and_collect(tx, &found, stop).await?.1);
        }
    }
    Ok(slots)
}
