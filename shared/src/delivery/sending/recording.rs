//! Recording: what the provider answered, written under the attempt's token.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Answer, Delivered, Mail, backoff};
use crate::delivery::breaker::{self, Report};
use crate::delivery::limits::{self, Slot};
use crate::delivery::messages::{MessageKey, OutcomeCode, State, columns, organizations};
use crate::delivery::settling::{self, Ended};
use crate::delivery::stopping::{self, Stop};
use crate::platform::webhooks::EventType;
use crate::platform::webhooks::outbox::{self, MessageEvent};
use crate::{ContactId, Database, EnrollmentId, Error, MessageId, Result, Tx};

/// How often the record is tried: a commit whose answer was lost is found again by the attempt's token.
const TRIES: u32 = 3;

/// Records the outcomes of a batch, one by one where one of them can't be written; returns the messages whose outcome the
/// database does not hold.
pub(super) async fn record(db: &Database, attempts: &[(Mail, Answer)], delivered: &mut Delivered) -> Vec<MessageKey> {
    let mut unrecorded = Vec::new();
    let mut batches = vec![attempts];
    while let Some(batch) = batches.pop() {
        match record_batch(db, batch).await {
            Ok(counts) => counts.into_iter().for_each(|(state, count)| delivered.count(state, count)),
            Err(Error::Internal(_)) if batch.len() > 1 => batches.extend(batch.chunks(1)),
            Err(error) => {
                let attempts = batch.len();
                tracing::error!(%error, attempts, "outcomes could not be recorded; they become unknown until events resolve them");
                unrecorded.extend(batch.iter().map(|(mail, _)| mail.message));
            }
        }
    }
    unrecorded
}

/// Records a batch in one transaction, trying again while the database is away for a moment.
async fn record_batch(db: &Database, attempts: &[(Mail, Answer)]) -> Result<BTreeMap<&'static str, usize>> {
    let mut tried = 0;
    loop {
        tried += 1;
        match record_once(db, attempts).await {
            // Recording is fenced by the token, so doing it twice is doing it once.
            Err(Error::Unavailable(cause)) if tried < TRIES => {
                tracing::warn!(%cause, tried, "the record of outcomes is tried again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            result => return result,
        }
    }
}

async fn record_once(db: &Database, attempts: &[(Mail, Answer)]) -> Result<BTreeMap<&'static str, usize>> {
    let keys: Vec<MessageKey> = attempts.iter().map(|(mail, _)| mail.message).collect();
    let (tx, tried) = begin_and_lock(db, &keys).await?;
    crate::fault_points::reach("recording");
    let recorded = write(&tx, attempts, &tried).await?;
    let mut ended = BTreeMap::new();
    let mut slots = Vec::new();
    let mut counts = BTreeMap::new();
    let mut told = Vec::new();
    for Recorded { key, state, slot, enrollment, address_at_fault } in recorded {
        *counts.entry(state.name()).or_default() += 1;
        match state {
            State::Sent => {
                told.push(MessageEvent::new(key, EventType::MessageSent, tx.now()));
                ended.insert(key, Ended::Sent(tx.now()));
            }
            State::Failed => {
                told.push(MessageEvent::new(key, EventType::MessageFailed, tx.now()));
                slots.extend(slot);
                if address_at_fault {
                    if let Some(enrollment) = enrollment {
                        let found = [(key.organization, enrollment)];
                        slots.extend(stopping::stop_and_collect(&tx, &found, Stop::AddressFailed).await?.1);
                    }
                } else {
                    ended.insert(key, Ended::Skipped(tx.now()));
                }
            }
            _ => {}
        }
    }
    settling::move_on(&tx, &ended).await?;
    limits::release(&tx, &slots).await?;
    outbox::emit_of_messages(&tx, &told).await?;
    // The breaker's row comes last of all: every batch of every organization may want it.
    // A record tried again after its commit's answer was lost writes nothing, and must not count twice either.
    let is_first = !counts.is_empty();
    if let Some(report) = account_report(attempts.iter().map(|(_, answer)| answer)).filter(|_| is_first) {
        breaker::report(&tx, &report).await?;
    }
    tx.commit().await?;
    Ok(counts)
}

/// Takes the locks in their order: contacts (whose status changes), enrollments, messages; returns how often each message
/// has been handed over. The statements wait for each other in the server, not for us.
async fn begin_and_lock(db: &Database, keys: &[MessageKey]) -> Result<(Tx, BTreeMap<MessageId, u32>)> {
    let ids: Vec<MessageId> = keys.iter().map(|key| key.id).collect();
    let locks = [
        include_str!("lock_contacts_to_record.sql"),
        include_str!("lock_enrollments.sql"),
        include_str!("lock_attempts.sql"),
    ];
    let locks = match locks {
        // The defect is that nobody's contact is locked.
        [_, enrollments, attempts] if crate::fault_points::defect("no_contact_lock") => {
            [enrollments, enrollments, attempts]
        }
        locks => locks,
    };
    let params: [&(dyn ToSql + Sync); 1] = [&ids];
    let organizations = organizations(keys.iter().copied());
    let (tx, [_, _, rows]) = db.begin_for_with(&organizations, locks.map(|sql| (sql, params.as_slice()))).await?;
    let tried = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i32>(1)?.unsigned_abs())));
    Ok((tx, tried.collect::<Result<_>>()?))
}

/// An outcome that this record has written; what an event had resolved before is not among them.
struct Recorded {
    key: MessageKey,
    state: State,
    slot: Option<Slot>,
    enrollment: Option<EnrollmentId>,
    address_at_fault: bool,
}

async fn write(tx: &Tx, attempts: &[(Mail, Answer)], tried: &BTreeMap<MessageId, u32>) -> Result<Vec<Recorded>> {
    let (organizations, ids) = columns(attempts.iter().map(|(mail, _)| mail.message));
    let outcomes: Vec<Outcome> = attempts.iter().map(|(_, answer)| Outcome::of(answer, tx.now())).collect();
    let tokens: Vec<Uuid> = attempts.iter().map(|(mail, _)| mail.attempt).collect();
    let states: Vec<&str> = outcomes.iter().map(|outcome| outcome.state.name()).collect();
    let provider_ids: Vec<_> = outcomes.iter().map(|outcome| outcome.provider_id.map(writable)).collect();
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.code.map(writable)).collect();
    let details: Vec<_> = outcomes.iter().map(|outcome| outcome.detail.map(writable)).collect();
    let sent: Vec<Option<DateTime<Utc>>> = outcomes.iter().map(|outcome| outcome.sent_at).collect();
    let times = |id: &MessageId| tried.get(id).copied().unwrap_or_default();
    let waits: Vec<f64> = ids.iter().map(|id| backoff::wait(*id, times(id)).as_secs_f64()).collect();
    let rows = tx
        .query(
            include_str!("record.sql"),
            &[&organizations, &ids, &tokens, &states, &provider_ids, &codes, &details, &sent, &waits],
        )
        .await?;
    let faults: BTreeMap<MessageKey, bool> = attempts
        .iter()
        .map(|(mail, answer)| (mail.message, matches!(answer, Answer::Refused { address_at_fault: true, .. })))
        .collect();
    let recorded: Vec<Recorded> = rows
        .iter()
        .map(|row| {
            let key = MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("id")? };
            Ok(Recorded {
                key,
                state: State::parse(row.try_get("state")?)?,
                slot: Slot::from_row(row)?,
                enrollment: row.try_get("enrollment_id")?,
                address_at_fault: faults.get(&key).copied().unwrap_or_default(),
            })
        })
        .collect::<Result<_>>()?;
    mark_contacted(tx, &recorded, &rows).await?;
    Ok(recorded)
}

async fn mark_contacted(tx: &Tx, recorded: &[Recorded], rows: &[tokio_postgres::Row]) -> Result<()> {
    let mut contacts: Vec<ContactId> = Vec::new();
    for (recorded, row) in recorded.iter().zip(rows) {
        if recorded.state == State::Sent
            && let Some(contact) = row.try_get("contact_id")?
        {
            contacts.push(contact);
        }
    }
    tx.execute(include_str!("mark_contacted.sql"), &[&contacts]).await?;
    Ok(())
}

/// An answer as the ledger writes it.
struct Outcome<'a> {
    state: State,
    provider_id: Option<&'a str>,
    code: Option<&'a str>,
    detail: Option<&'a str>,
    sent_at: Option<DateTime<Utc>>,
}

impl<'a> Outcome<'a> {
    fn of(answer: &'a Answer, now: DateTime<Utc>) -> Self {
        let plain = |state, code, detail| Self { state, provider_id: None, code, detail, sent_at: None };
        match answer {
            Answer::Accepted(id) => {
                Self { provider_id: Some(id), sent_at: Some(now), ..plain(State::Sent, None, None) }
            }
            Answer::Later(reason) => plain(State::Scheduled, Some(OutcomeCode::ProviderBusy.name()), Some(reason)),
            Answer::AccountClosed(reason) => {
                plain(State::Scheduled, Some(OutcomeCode::AccountClosed.name()), Some(reason))
            }
            Answer::Refused { code, detail, .. } => plain(State::Failed, Some(code), Some(detail)),
            Answer::Unclear(reason) => plain(State::Unknown, Some(OutcomeCode::UnclearAnswer.name()), Some(reason)),
        }
    }
}

/// An answer may be any bytes; a text of the database may not hold this one.
fn writable(text: &str) -> String {
    text.replace('\0', "")
}

/// What the batch tells of the account: its closing before everything else, then the answers at its end.
fn account_report<'a>(answers: impl DoubleEndedIterator<Item = &'a Answer> + Clone) -> Option<Report> {
    if let Some(reason) = answers.clone().find_map(|answer| match answer {
        Answer::AccountClosed(reason) => Some(reason.clone()),
        _ => None,
    }) {
        return Some(Report::Closed(reason));
    }
    let silent = answers.clone().rev().take_while(|answer| matches!(answer, Answer::Unclear(_))).count();
    let definite = answers.clone().any(|answer| matches!(answer, Answer::Accepted(_) | Answer::Refused { .. }));
    match i32::try_from(silent).unwrap_or(i32::MAX) {
        0 if definite => Some(Report::Works),
        0 => None,
        answers => Some(Report::Silent { answers, after_definite: definite }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_judged_by_its_last_answers() {
        let accepted = || Answer::Accepted("id".to_owned());
        let unclear = || Answer::Unclear("reset".to_owned());
        let report = |answers: &[Answer]| account_report(answers.iter());
        assert_eq!(report(&[unclear(), accepted()]), Some(Report::Works));
        let silent = |answers, after_definite| Some(Report::Silent { answers, after_definite });
        assert_eq!(report(&[unclear(), unclear()]), silent(2, false));
        assert_eq!(report(&[accepted(), unclear(), unclear()]), silent(2, true));
        assert_eq!(report(&[Answer::Later("429".to_owned())]), None);
        let closed = Answer::AccountClosed("paused".to_owned());
        assert_eq!(report(&[closed, accepted()]), Some(Report::Closed("paused".to_owned())));
    }
}
