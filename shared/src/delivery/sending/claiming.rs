//! Claiming: under the locks, and in statements after them, it is decided what happens to each message.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::letters::{Content, Letter, Unwritable};
use super::{Delivered, Mail};
use crate::delivery::gates::{self, Gate};
use crate::delivery::limits::{self, Slot};
use crate::delivery::messages::{MessageKey, State, columns, organizations};
use crate::delivery::schedule::local_day;
use crate::delivery::settling::{self, Ended};
use crate::delivery::stopping::{self, Stop};
use crate::outreach::settings::CampaignSettings;
use crate::{Database, EnrollmentId, Error, OrganizationId, Result, Tx};

/// A hint may be early by this much (clocks, a queue's rounding) before the message is left for its time.
const EARLY: Duration = Duration::seconds(30);

/// A mail that this worker alone will send, and what the ledger keeps of its text.
struct Claimed {
    mail: Mail,
    subject: String,
    body: String,
}

/// What happens to a message.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It goes now.
    Send,
    /// It goes back for another slot.
    Replan(&'static str),
    /// Its time has not come.
    Wait,
    /// It never goes; the person's way ends as well.
    Stop(State, Stop),
    /// It never goes; the next step follows.
    Skip(State, &'static str, String),
    /// It never goes; the person's way had ended before.
    Cancel(&'static str),
}

/// Leaves planned messages alone until `retry_after` seconds of machine time have passed.
pub(super) async fn postpone(tx: &Tx, keys: &[MessageKey], retry_after: f64) -> Result<()> {
    let (organizations, ids) = columns(keys.iter().copied());
    tx.execute(include_str!("postpone.sql"), &[&organizations, &ids, &retry_after]).await?;
    Ok(())
}

/// Locks, checks, and commits `sending` for what may go now. What may not is settled in the same transaction.
pub(super) async fn claim(db: &Database, letters: Vec<Letter>, delivered: &mut Delivered) -> Result<Vec<Mail>> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<MessageKey> = letters.iter().map(|letter| letter.key).collect();
    let tx = db.begin_for(&organizations(keys.iter().copied())).await?;
    lock(&tx, &keys).await?;
    let mut letters: BTreeMap<MessageKey, Letter> = letters.into_iter().map(|letter| (letter.key, letter)).collect();
    let mut acts = Acts::default();
    // Only here, in a statement after the locks, is it seen what was committed while we waited for them.
    for facts in read_facts(&tx, &keys).await? {
        let Some(letter) = letters.remove(&facts.key) else { continue };
        let verdict = judge(&facts, letter.content.as_ref(), tx.now());
        acts.note(facts, verdict, letter);
    }
    let claimed = acts.carry_out(&tx, delivered).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// Takes the locks in their order: gates, contacts, enrollments, messages.
async fn lock(tx: &Tx, keys: &[MessageKey]) -> Result<()> {
    let (organizations, ids) = columns(keys.iter().copied());
    let rows = tx.query(include_str!("find_gates.sql"), &[&organizations, &ids]).await?;
    let mut doors = Vec::with_capacity(rows.len() * 3);
    for row in &rows {
        doors.push(Gate::Organization(row.try_get(0)?));
        doors.extend(row.try_get::<_, Option<_>>(1)?.map(Gate::Campaign));
        doors.extend(row.try_get::<_, Option<_>>(2)?.map(Gate::Sender));
    }
    gates::pass(tx, &doors).await?;
    tx.query(include_str!("lock_contacts.sql"), &[&organizations, &ids]).await?;
    tx.query(include_str!("lock_enrollments.sql"), &[&organizations, &ids]).await?;
    Ok(())
}

/// What is true of a planned message now, as far as it matters for sending.
struct Facts {
    key: MessageKey,
    enrollment: Option<EnrollmentId>,
    slot: Option<Slot>,
    send_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    local_day_is_slot_day: bool,
    window_is_open: bool,
    organization_is_active: bool,
    campaign_status: String,
    sender_is_active: bool,
    domain_is_verified: bool,
    is_waited_for: bool,
    is_suppressed: bool,
    recipient: String,
    address_has_changed: bool,
}

/// Locks the messages, passing over those in somebody else's hands, then reads what is true of them.
async fn read_facts(tx: &Tx, keys: &[MessageKey]) -> Result<Vec<Facts>> {
    let (organizations, ids) = columns(keys.iter().copied());
    let locked = tx.query(include_str!("lock_messages.sql"), &[&organizations, &ids]).await?;
    let mut organizations: Vec<OrganizationId> = Vec::with_capacity(locked.len());
    let mut ids: Vec<crate::MessageId> = Vec::with_capacity(locked.len());
    for row in &locked {
        organizations.push(row.try_get(0)?);
        ids.push(row.try_get(1)?);
    }
    let rows = tx.query(include_str!("check.sql"), &[&organizations, &ids]).await?;
    let mut readable = Vec::with_capacity(rows.len());
    for row in &rows {
        match facts(row, tx.now()) {
            Ok(facts) => readable.push(facts),
            // One tenant's unreadable settings keep nobody else's mail of the batch.
            Err(error) => tracing::error!(?error, "a message cannot be checked"),
        }
    }
    Ok(readable)
}

fn facts(row: &Row, now: DateTime<Utc>) -> Result<Facts> {
    let settings = CampaignSettings::from_row(row)?;
    let zone: &str = row.try_get("sender_timezone")?;
    let zone = zone.parse().map_err(|_| Error::internal(format!("a sender's time zone is {zone}")))?;
    let slot = Slot::from_row(row)?;
    Ok(Facts {
        key: MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("message_id")? },
        enrollment: row.try_get("enrollment_id")?,
        slot,
        send_at: row.try_get("send_at")?,
        expires_at: row.try_get("expires_at")?,
        local_day_is_slot_day: slot.is_some_and(|slot| slot.day == local_day(now, zone)),
        window_is_open: settings.window().is_open(now),
        organization_is_active: row.try_get("organization_is_active")?,
        campaign_status: row.try_get("campaign_status")?,
        sender_is_active: row.try_get("sender_is_active")?,
        domain_is_verified: row.try_get("domain_is_verified")?,
        is_waited_for: row.try_get("is_waited_for")?,
        is_suppressed: row.try_get("is_suppressed")?,
        recipient: row.try_get("recipient")?,
        address_has_changed: row.try_get("address_has_changed")?,
    })
}

/// Decides on one message. The order matters: what ends a way comes before what only delays it.
fn judge(facts: &Facts, letter: Result<&Content, &Unwritable>, now: DateTime<Utc>) -> Verdict {
    if !facts.is_waited_for {
        return Verdict::Cancel("not_waited_for");
    }
    if facts.campaign_status == "archived" {
        return Verdict::Stop(State::Cancelled, Stop::Archived);
    }
    if facts.address_has_changed {
        // The contact that we have locked has another address now: a suppression of this one would not wait for us.
        return Verdict::Replan("address_changed");
    }
    if facts.is_suppressed {
        return Verdict::Stop(State::Suppressed, Stop::Suppressed);
    }
    let held = [
        (!facts.organization_is_active, "organization_suspended"),
        (facts.campaign_status != "active", "campaign_not_active"),
        (!facts.sender_is_active, "sender_not_active"),
        (!facts.domain_is_verified, "domain_not_verified"),
    ];
    if let Some((_, reason)) = held.into_iter().find(|(is_held, _)| *is_held) {
        return Verdict::Replan(reason);
    }
    if now > facts.expires_at {
        return Verdict::Skip(State::Expired, "too_late", "its slot is longer ago than the campaign allows".to_owned());
    }
    if facts.send_at > now + EARLY {
        return Verdict::Wait;
    }
    if !facts.local_day_is_slot_day {
        return Verdict::Replan("another_day");
    }
    if !facts.window_is_open {
        return Verdict::Replan("window_closed");
    }
    match letter {
        Err(Unwritable { code, detail }) => Verdict::Skip(State::Failed, code, detail.clone()),
        // It was planned anew, for another address, after the letter had been written.
        Ok(content) if content.to != facts.recipient => Verdict::Wait,
        Ok(_) => Verdict::Send,
    }
}

/// The verdicts of a batch, gathered so that each kind is one statement.
#[derive(Default)]
struct Acts {
    send: Vec<Claimed>,
    replan: Vec<(MessageKey, &'static str)>,
    end: Vec<(MessageKey, State, &'static str, String)>,
    skip: BTreeMap<MessageKey, State>,
    stop: Vec<(OrganizationId, EnrollmentId, Stop)>,
    slots: Vec<Slot>,
    waiting: usize,
}

impl Acts {
    fn note(&mut self, facts: Facts, verdict: Verdict, letter: Letter) {
        if !matches!(verdict, Verdict::Send | Verdict::Wait) {
            self.slots.extend(facts.slot);
        }
        match verdict {
            Verdict::Send => {
                if let Ok(content) = letter.content {
                    let mail = Mail {
                        message: facts.key,
                        attempt: crate::ids::fresh(),
                        from: content.from,
                        to: content.to,
                        raw: content.raw,
                    };
                    self.send.push(Claimed { mail, subject: content.subject, body: content.body });
                }
            }
            Verdict::Replan(reason) => self.replan.push((facts.key, reason)),
            Verdict::Wait => self.waiting += 1,
            Verdict::Stop(state, stop) => {
                self.end.push((facts.key, state, "stopped", String::new()));
                self.stop.extend(facts.enrollment.map(|enrollment| (facts.key.organization, enrollment, stop)));
            }
            Verdict::Skip(state, code, detail) => {
                self.end.push((facts.key, state, code, detail));
                self.skip.insert(facts.key, state);
            }
            Verdict::Cancel(code) => self.end.push((facts.key, State::Cancelled, code, String::new())),
        }
    }

    async fn carry_out(self, tx: &Tx, delivered: &mut Delivered) -> Result<Vec<Mail>> {
        delivered.count("early", self.waiting);
        delivered.count("replanned", self.replan.len());
        for (_, state, ..) in &self.end {
            delivered.count(state.name(), 1);
        }
        if !self.send.is_empty() {
            let (organizations, ids) = columns(self.send.iter().map(|claimed| claimed.mail.message));
            let tokens: Vec<Uuid> = self.send.iter().map(|claimed| claimed.mail.attempt).collect();
            let subjects: Vec<&str> = self.send.iter().map(|claimed| claimed.subject.as_str()).collect();
            let bodies: Vec<&str> = self.send.iter().map(|claimed| claimed.body.as_str()).collect();
            tx.execute(include_str!("claim.sql"), &[&organizations, &ids, &tokens, &subjects, &bodies]).await?;
        }
        if !self.replan.is_empty() {
            let (organizations, ids) = columns(self.replan.iter().map(|(key, _)| *key));
            let reasons: Vec<&str> = self.replan.iter().map(|(_, reason)| *reason).collect();
            tx.execute(include_str!("replan.sql"), &[&organizations, &ids, &reasons]).await?;
            tx.execute(include_str!("replan_enrollments.sql"), &[&organizations, &ids, &tx.now()]).await?;
        }
        if !self.end.is_empty() {
            let (organizations, ids) = columns(self.end.iter().map(|(key, ..)| *key));
            let states: Vec<&str> = self.end.iter().map(|(_, state, ..)| state.name()).collect();
            let codes: Vec<&str> = self.end.iter().map(|(_, _, code, _)| *code).collect();
            let details: Vec<&str> = self.end.iter().map(|(.., detail)| detail.as_str()).collect();
            tx.execute(include_str!("end.sql"), &[&organizations, &ids, &states, &codes, &details]).await?;
        }
        let skipped = self.skip.keys().map(|key| (*key, Ended::Skipped(tx.now()))).collect();
        settling::move_on(tx, &skipped).await?;
        let mut slots = self.slots;
        for (organization, enrollment, stop) in self.stop {
            let (_, freed) = stopping::stop_and_collect(tx, &[(organization, enrollment)], stop).await?;
            slots.extend(freed);
        }
        limits::release(tx, &slots).await?;
        Ok(self.send.into_iter().map(|claimed| claimed.mail).collect())
    }
}
