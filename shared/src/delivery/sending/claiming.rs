//! Claiming: under the locks, and in statements after them, it is decided what happens to each message.

mod defects;

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::letters::{Content, Letter, Unwritable};
use super::{Delivered, Mail, system_letters};
use crate::delivery::gates::{self, Gate};
use crate::delivery::limits::{self, Slot};
use crate::delivery::messages::{Kind, MessageKey, OutcomeCode, State, columns, organizations};
use crate::delivery::schedule::local_day;
use crate::delivery::settling::{self, Ended};
use crate::delivery::stopping::{self, Stop};
use crate::delivery::tokens::KeyRing;
use crate::outreach::settings::CampaignSettings;
use crate::platform::webhooks::EventType;
use crate::platform::webhooks::outbox::{self, MessageEvent};
use crate::{Database, EnrollmentId, Error, MessageId, OrganizationId, Result, Tx};

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
    Replan(OutcomeCode),
    /// Its time has not come.
    Wait,
    /// It keeps its slot and waits for what is missing.
    Postpone(OutcomeCode),
    /// It never goes; the person's way ends as well.
    Stop(State, Stop),
    /// It never goes; the next step follows.
    Skip(State, OutcomeCode, String),
    /// It never goes; the person's way had ended before.
    Cancel(OutcomeCode),
}

/// Leaves planned messages alone until `retry_after` seconds of machine time have passed.
pub(super) async fn postpone(tx: &Tx, keys: &[MessageKey], retry_after: f64) -> Result<()> {
    let (organizations, ids) = columns(keys.iter().copied());
    tx.execute(include_str!("postpone.sql"), &[&organizations, &ids, &retry_after]).await?;
    Ok(())
}

/// Locks, checks, and commits `sending` for what may go now. What may not is settled in the same transaction.
pub(super) async fn claim(
    db: &Database,
    ring: &KeyRing,
    letters: Vec<Letter>,
    delivered: &mut Delivered,
) -> Result<Vec<Mail>> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<MessageKey> = letters.iter().map(|letter| letter.key).collect();
    let (tx, locked, facts) = match defects::lock_and_read(db, ring, &keys).await {
        Some(defect) => defect?,
        None => lock_and_read(db, ring, &keys).await?,
    };
    let has_system_mail = letters.iter().any(|letter| letter.kind == Kind::System);
    let system_facts = if has_system_mail { read_system_facts(&tx, ring, &locked).await? } else { Vec::new() };
    let mut letters: BTreeMap<MessageKey, Letter> = letters.into_iter().map(|letter| (letter.key, letter)).collect();
    let mut acts = Acts::default();
    for facts in facts {
        let Some(letter) = letters.remove(&facts.key) else { continue };
        let verdict = judge(&facts, letter.content.as_ref(), tx.now());
        acts.note(facts.enrollment, facts.slot, verdict, letter);
    }
    for facts in system_facts {
        let Some(letter) = letters.remove(&facts.key) else { continue };
        let verdict = judge_system(&facts, letter.content.as_ref(), tx.now());
        // Its slot is counted nowhere.
        acts.note(None, None, verdict, letter);
    }
    crate::fault_points::reach("checked");
    let claimed = acts.carry_out(&tx, delivered).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// Takes the locks, and reads what is true of the messages that are in nobody else's hands.
async fn lock_and_read(db: &Database, ring: &KeyRing, keys: &[MessageKey]) -> Result<(Tx, Vec<Row>, Vec<Facts>)> {
    let (tx, locked) = begin_and_lock(db, keys).await?;
    // Only here, in a statement after the locks, is it seen what was committed while we waited for them.
    let facts = read_facts(&tx, ring, &locked).await?;
    Ok((tx, locked, facts))
}

/// Takes the locks in their order: gates, contacts, enrollments, messages; of these the ones that are in nobody else's
/// hands, which it returns. The statements that lock wait for each other in the server, not for us.
async fn begin_and_lock(db: &Database, keys: &[MessageKey]) -> Result<(Tx, Vec<Row>)> {
    let ids: Vec<MessageId> = keys.iter().map(|key| key.id).collect();
    let organizations = organizations(keys.iter().copied());
    let (tx, [rows]) = db.begin_for_with(&organizations, [(include_str!("find_gates.sql"), &[&ids])]).await?;
    let mut doors = Vec::with_capacity(rows.len() * 3);
    for row in &rows {
        doors.push(Gate::Organization(row.try_get(0)?));
        doors.extend(row.try_get::<_, Option<_>>(1)?.map(Gate::Campaign));
        doors.extend(row.try_get::<_, Option<_>>(2)?.map(Gate::Sender));
    }
    let doors = gates::names(&doors);
    let [_, _, _, locked] = tx
        .query_each([
            (gates::PASS, &[&doors]),
            (include_str!("lock_contacts.sql"), &[&ids]),
            (include_str!("lock_enrollments.sql"), &[&ids]),
            (include_str!("lock_messages.sql"), &[&ids]),
        ])
        .await?;
    Ok((tx, locked))
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

/// Locked messages as the parallel arrays of the statements that check them.
#[derive(Default)]
struct Locked {
    organizations: Vec<OrganizationId>,
    ids: Vec<MessageId>,
    hashed: Vec<MessageId>,
    hashes: Vec<Vec<u8>>,
}

impl Locked {
    /// The recipient of a locked message does not change any more; what it would be suppressed as, only we can tell.
    fn of(rows: &[Row], ring: &KeyRing) -> Result<Self> {
        let mut locked = Self::default();
        for row in rows {
            let (organization, id): (OrganizationId, _) = (row.try_get(0)?, row.try_get(1)?);
            for hash in ring.address_hashes(organization.0, row.try_get(2)?) {
                locked.hashed.push(id);
                locked.hashes.push(hash.hash.to_vec());
            }
            locked.organizations.push(organization);
            locked.ids.push(id);
        }
        Ok(locked)
    }

    async fn check(&self, tx: &Tx, sql: &str) -> Result<Vec<Row>> {
        tx.query(sql, &[&self.organizations, &self.ids, &self.hashed, &self.hashes]).await
    }
}

/// Reads what is true of the locked messages that are mails of the installation.
async fn read_system_facts(tx: &Tx, ring: &KeyRing, locked: &[Row]) -> Result<Vec<system_letters::Facts>> {
    let rows = Locked::of(locked, ring)?.check(tx, include_str!("check_system.sql")).await?;
    rows.iter().map(system_letters::Facts::from_row).collect()
}

/// Reads what is true of the locked messages of campaigns.
async fn read_facts(tx: &Tx, ring: &KeyRing, locked: &[Row]) -> Result<Vec<Facts>> {
    let rows = Locked::of(locked, ring)?.check(tx, include_str!("check.sql")).await?;
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
        window_is_open: settings.window_for(row.try_get("recipient_timezone")?).is_open(now),
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
        return Verdict::Cancel(OutcomeCode::NotWaitedFor);
    }
    if facts.campaign_status == "archived" {
        return Verdict::Stop(State::Cancelled, Stop::Archived);
    }
    if facts.address_has_changed {
        // The contact that we have locked has another address now: a suppression of this one would not wait for us.
        return Verdict::Replan(OutcomeCode::AddressChanged);
    }
    if facts.is_suppressed {
        return Verdict::Stop(State::Suppressed, Stop::Suppressed);
    }
    let held = [
        (!facts.organization_is_active, OutcomeCode::OrganizationSuspended),
        (facts.campaign_status != "active", OutcomeCode::CampaignNotActive),
        (!facts.sender_is_active, OutcomeCode::SenderNotActive),
        (!facts.domain_is_verified, OutcomeCode::DomainNotVerified),
    ];
    if let Some((_, reason)) = held.into_iter().find(|(is_held, _)| *is_held) {
        return Verdict::Replan(reason);
    }
    if now > facts.expires_at {
        return Verdict::Skip(
            State::Expired,
            OutcomeCode::TooLate,
            "its slot is longer ago than the campaign allows".to_owned(),
        );
    }
    if facts.send_at > now + EARLY {
        return Verdict::Wait;
    }
    if !facts.local_day_is_slot_day {
        return Verdict::Replan(OutcomeCode::AnotherDay);
    }
    if !facts.window_is_open {
        return Verdict::Replan(OutcomeCode::WindowClosed);
    }
    match letter {
        Err(Unwritable { code, detail }) => Verdict::Skip(State::Failed, *code, detail.clone()),
        // It was planned anew, for another address, after the letter had been written.
        Ok(content) if content.to != facts.recipient => Verdict::Wait,
        Ok(_) => Verdict::Send,
    }
}

/// Decides on a mail of the installation. No window, limit or pause holds it, nor does the state of an organization.
fn judge_system(facts: &system_letters::Facts, letter: Result<&Content, &Unwritable>, now: DateTime<Utc>) -> Verdict {
    if facts.is_suppressed {
        return Verdict::Stop(State::Suppressed, Stop::Suppressed);
    }
    if now > facts.expires_at {
        let detail = "what it was to tell is over".to_owned();
        return Verdict::Skip(State::Expired, OutcomeCode::TooLate, detail);
    }
    if facts.send_at > now + EARLY {
        return Verdict::Wait;
    }
    match letter {
        Err(Unwritable { code: OutcomeCode::NoSystemSender, .. }) => Verdict::Postpone(OutcomeCode::NoSystemSender),
        Err(Unwritable { code, detail }) => Verdict::Skip(State::Failed, *code, detail.clone()),
        Ok(content) if content.to != facts.recipient => Verdict::Wait,
        Ok(_) => Verdict::Send,
    }
}

/// The verdicts of a batch, gathered so that each kind is one statement.
#[derive(Default)]
struct Acts {
    send: Vec<Claimed>,
    replan: Vec<(MessageKey, OutcomeCode)>,
    end: Vec<(MessageKey, State, OutcomeCode, String)>,
    skip: BTreeMap<MessageKey, State>,
    stop: Vec<(OrganizationId, EnrollmentId, Stop)>,
    slots: Vec<Slot>,
    postpone: Vec<(MessageKey, OutcomeCode)>,
    waiting: usize,
}

impl Acts {
    fn note(&mut self, enrollment: Option<EnrollmentId>, slot: Option<Slot>, verdict: Verdict, letter: Letter) {
        let key = letter.key;
        if !matches!(verdict, Verdict::Send | Verdict::Wait | Verdict::Postpone(_)) {
            self.slots.extend(slot);
        }
        match verdict {
            Verdict::Send => {
                if let Ok(content) = letter.content {
                    let mail = Mail {
                        message: key,
                        attempt: crate::ids::fresh(),
                        from: content.from,
                        to: content.to,
                        raw: content.raw,
                    };
                    self.send.push(Claimed { mail, subject: content.subject, body: content.body });
                }
            }
            Verdict::Replan(reason) => self.replan.push((key, reason)),
            Verdict::Wait => self.waiting += 1,
            Verdict::Postpone(reason) => self.postpone.push((key, reason)),
            Verdict::Stop(state, stop) => {
                self.end.push((key, state, stop.code(), String::new()));
                self.stop.extend(enrollment.map(|enrollment| (key.organization, enrollment, stop)));
            }
            Verdict::Skip(state, code, detail) => {
                self.end.push((key, state, code, detail));
                self.skip.insert(key, state);
            }
            Verdict::Cancel(code) => self.end.push((key, State::Cancelled, code, String::new())),
        }
    }

    async fn carry_out(self, tx: &Tx, delivered: &mut Delivered) -> Result<Vec<Mail>> {
        delivered.count("early", self.waiting);
        delivered.count("replanned", self.replan.len());
        for (_, state, ..) in &self.end {
            delivered.count(state.name(), 1);
        }
        for (key, reason) in &self.postpone {
            delivered.count(reason.name(), 1);
            let params: [&(dyn ToSql + Sync); 4] =
                [&vec![key.organization], &vec![key.id], &system_letters::SENDER_WAIT, &reason.name()];
            tx.execute(include_str!("postpone_system.sql"), &params).await?;
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
            let reasons: Vec<&str> = self.replan.iter().map(|(_, code)| code.name()).collect();
            tx.execute(include_str!("replan.sql"), &[&organizations, &ids, &reasons]).await?;
            tx.execute(include_str!("replan_enrollments.sql"), &[&organizations, &ids, &tx.now()]).await?;
        }
        if !self.end.is_empty() {
            let (organizations, ids) = columns(self.end.iter().map(|(key, ..)| *key));
            let states: Vec<&str> = self.end.iter().map(|(_, state, ..)| state.name()).collect();
            let codes: Vec<&str> = self.end.iter().map(|(_, _, code, _)| code.name()).collect();
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
        let failed = self.end.iter().filter(|(_, state, ..)| *state == State::Failed);
        let told = failed.map(|(key, ..)| MessageEvent::new(*key, EventType::MessageFailed, tx.now()));
        outbox::emit_of_messages(tx, &told.collect::<Vec<_>>()).await?;
        Ok(self.send.into_iter().map(|claimed| claimed.mail).collect())
    }
}
