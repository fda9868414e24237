//! Holding: what a restored ledger would plan or send may have left before, so a person decides about it.
//!
//! The next step of everybody who is due becomes a message with a slot, whatever the limits say: if it has left, it was counted
//! when it did. A message's id follows from the person's way and the step, so it is the one that the lost message had: reports,
//! replies and unsubscriptions that still come find it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use super::{BATCH, Due, Given, Granted, ORGANIZATIONS, lock_people, write};
use crate::delivery::limits::{self, Slot};
use crate::delivery::messages::OutcomeCode;
use crate::delivery::schedule::local_day;
use crate::{Database, DomainId, EnrollmentId, Error, OrganizationId, Result, SenderId, Tx};

/// Whoever is being stopped while they are looked at is looked at again; not for ever.
const PASSES: usize = 10;

/// Holds everything that may have left since the backup that this database was restored from; returns how many messages.
///
/// Errors: [`Error::Unavailable`] where somebody stays locked. What was held until then stays held.
pub async fn hold(db: &Database, horizon: Duration) -> Result<u64> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query("select organizations_to_hold($1)", &[&(tx.now() + horizon)]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut held = 0;
    for organizations in organizations.chunks(ORGANIZATIONS) {
        held += hold_organizations(db, organizations, horizon).await?;
    }
    Ok(held)
}

async fn hold_organizations(db: &Database, organizations: &[OrganizationId], horizon: Duration) -> Result<u64> {
    let mut held = 0;
    for _ in 0..PASSES {
        let mut passed_over = 0;
        let mut last = None;
        while let Some(Held { messages, passed_over: locked, last: seen }) =
            hold_batch(db, organizations, horizon, last).await?
        {
            held += messages;
            passed_over += locked;
            last = Some(seen);
        }
        if passed_over == 0 {
            return Ok(held);
        }
    }
    Err(Error::Unavailable("people of a restored database stay locked".into()))
}

/// What came of a batch.
struct Held {
    messages: u64,
    /// People whom somebody else has locked.
    passed_over: usize,
    /// The last of the batch, after whom the next one begins.
    last: EnrollmentId,
}

/// Holds the people of one batch, in the order of their ids; none where there is nobody after `last`. Planned messages are held
/// with the first.
async fn hold_batch(
    db: &Database,
    organizations: &[OrganizationId],
    horizon: Duration,
    last: Option<EnrollmentId>,
) -> Result<Option<Held>> {
    let tx = db.begin_for(organizations).await?;
    let (now, until) = (tx.now(), tx.now() + horizon);
    let mut messages = if last.is_none() { hold_planned(&tx).await? } else { 0 };
    let after = last.unwrap_or(EnrollmentId(uuid::Uuid::nil()));
    let rows = tx.query(include_str!("holding/people.sql"), &[&until, &after, &BATCH]).await?;
    let Some(row) = rows.last() else {
        tx.commit().await?;
        return Ok((messages > 0).then_some(Held { messages, passed_over: 0, last: EnrollmentId(uuid::Uuid::max()) }));
    };
    let last = row.try_get("enrollment_id")?;
    let (people, passed_over) = lock_people(&tx, &rows, until).await?;
    let given = Given { granted: with_slots(&tx, people, now).await?, ..Given::default() };
    let counters: BTreeSet<_> = given.granted.iter().flat_map(|granted| granted.slot.counters()).collect();
    limits::lock(&tx, &counters.into_iter().collect::<Vec<_>>()).await?;
    write(&tx, &given, now).await?;
    messages += hold_planned(&tx).await?;
    tx.commit().await?;
    Ok(Some(Held { messages, passed_over, last }))
}

async fn hold_planned(tx: &Tx) -> Result<u64> {
    tx.execute(include_str!("holding/hold.sql"), &[&OutcomeCode::DatabaseRestored.name()]).await
}

/// A slot for everybody, on the day that it is where their sender is.
async fn with_slots(tx: &Tx, people: Vec<Due>, now: DateTime<Utc>) -> Result<Vec<Granted>> {
    let senders: BTreeSet<SenderId> = people.iter().map(|due| due.sender).collect();
    let senders: Vec<SenderId> = senders.into_iter().collect();
    let senders = tx
        .query(include_str!("holding/senders.sql"), &[&senders])
        .await?
        .iter()
        .map(|row| {
            let zone: &str = row.try_get("timezone")?;
            let zone = zone.parse().map_err(|_| Error::internal(format!("a sender's time zone is {zone}")))?;
            Ok(((row.try_get("organization_id")?, row.try_get("id")?), (row.try_get("domain_id")?, zone)))
        })
        .collect::<Result<BTreeMap<(OrganizationId, SenderId), (DomainId, Tz)>>>()?;
    people
        .into_iter()
        .map(|due| {
            let (domain, zone) = senders
                .get(&(due.organization, due.sender))
                .ok_or_else(|| Error::internal("somebody is due whose sender is not there"))?;
            let slot = Slot {
                organization: due.organization,
                domain: Some(*domain),
                campaign: Some(due.campaign),
                sender: Some(due.sender),
                recipient_domain: None,
                person: None,
                day: local_day(now, *zone),
                send_at: now,
            };
            Ok(Granted { due, slot, expires_at: now })
        })
        .collect()
}
