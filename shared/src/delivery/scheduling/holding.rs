//! Holding: what a restored ledger would plan or send may have left before, so a person decides about it.
//!
//! The next step of everybody whose turn may have come in the time that was lost becomes a message with a slot, whatever the
//! limits say: if it has left, it was counted when it did. A message's id follows from the person's way and the step, so it is
//! the one that the lost message had: reports, replies and unsubscriptions that still come find it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use tokio_postgres::Row;

use super::{BATCH, Due, Given, Granted, ORGANIZATIONS, lock_people, write};
use crate::delivery::limits::{self, Slot, recipient_domain_key};
use crate::delivery::messages::OutcomeCode;
use crate::delivery::schedule::local_day;
use crate::delivery::system_mail;
use crate::platform::organizations;
use crate::{Database, DomainId, Error, OrganizationId, Result, SenderId, Tx};

/// Whoever is being stopped while they are looked at is looked at again; not for ever.
const PASSES: u32 = 10;
/// Between two of these.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Holds everything that may have left since the backup that this database was restored from; returns how many messages.
///
/// Errors: [`Error::Unavailable`] where somebody stays locked, or another run has held it all meanwhile and has counted up to
/// `remembered`. What was held until then stays held, and the next run goes on.
pub async fn hold(db: &Database, horizon: Duration, remembered: i64) -> Result<u64> {
    let tx = db.begin_for(&[organizations::DEFAULT]).await?;
    let until = tx.now() + horizon;
    // A mail of the installation whose time has come since the backup may have left as well.
    system_mail::give_slots(&tx, until).await?;
    let rows = tx.query("select organizations_to_hold($1)", &[&until]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut held = 0;
    for organizations in organizations.chunks(ORGANIZATIONS) {
        let holding = Holding { db, organizations, horizon, remembered };
        holding.plan_people().await?;
        held += holding.hold_planned().await?;
    }
    Ok(held)
}

/// What is held of some organizations.
struct Holding<'a> {
    db: &'a Database,
    organizations: &'a [OrganizationId],
    horizon: Duration,
    remembered: i64,
}

impl Holding<'_> {
    /// Begins a transaction in which the ledger stays the restored one.
    async fn begin(&self) -> Result<Tx> {
        let tx = self.db.begin_for(self.organizations).await?;
        let runs: i64 = tx.query_one("select runs from ledger_runs for share", &[]).await?.try_get(0)?;
        if runs >= self.remembered {
            return Err(Error::Unavailable("another run has held what is in doubt".into()));
        }
        Ok(tx)
    }

    /// Gives a message to everybody whose turn may have come. Nobody sends it: this ledger is not confirmed.
    async fn plan_people(&self) -> Result<()> {
        let tx = self.begin().await?;
        let until = tx.now() + self.horizon;
        let mut people =
            tx.query(include_str!("holding/people.sql"), &[&until, &self.horizon.as_seconds_f64()]).await?;
        tx.commit().await?;
        for _ in 0..PASSES {
            let mut passed_over = Vec::new();
            for batch in people.chunks(usize::try_from(BATCH).map_err(Error::internal)?) {
                if self.plan(batch, until).await? > 0 {
                    passed_over.extend_from_slice(batch);
                }
            }
            if passed_over.is_empty() {
                return Ok(());
            }
            people = passed_over;
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Unavailable("people of a restored database stay locked".into()))
    }

    /// Plans for a batch of people; returns how many of them somebody else has locked.
    async fn plan(&self, batch: &[Row], until: DateTime<Utc>) -> Result<usize> {
        let tx = self.begin().await?;
        let (people, passed_over) = lock_people(&tx, batch, until).await?;
        let now = tx.now();
        let given = Given { granted: with_slots(&tx, people, now).await?, ..Given::default() };
        let counters: BTreeSet<_> = given.granted.iter().flat_map(|granted| granted.slot.counters()).collect();
        limits::lock(&tx, &counters.into_iter().collect::<Vec<_>>()).await?;
        write(&tx, &given, now).await?;
        tx.commit().await?;
        Ok(passed_over)
    }

    async fn hold_planned(&self) -> Result<u64> {
        let mut held = 0;
        loop {
            let tx = self.begin().await?;
            let code = OutcomeCode::DatabaseRestored.name();
            let batch = tx.execute(include_str!("holding/hold.sql"), &[&code, &BATCH]).await?;
            tx.commit().await?;
            held += batch;
            if batch == 0 {
                return Ok(held);
            }
        }
    }
}

/// What a slot needs to know of a sender.
struct Place {
    domain: DomainId,
    zone: Tz,
    counts_person: bool,
    counts_recipient_domain: bool,
}

/// A slot for everybody, on the day that it is where their sender is.
async fn with_slots(tx: &Tx, people: Vec<Due>, now: DateTime<Utc>) -> Result<Vec<Granted>> {
    let senders: BTreeSet<SenderId> = people.iter().map(|due| due.sender).collect();
    let senders: Vec<SenderId> = senders.into_iter().collect();
    let mut places: BTreeMap<(OrganizationId, SenderId), Place> = BTreeMap::new();
    for row in &tx.query(include_str!("holding/senders.sql"), &[&senders]).await? {
        let Ok(zone) = row.try_get::<_, &str>("timezone")?.parse() else {
            // Nothing is ever planned for this sender, so nothing of it needs to be held.
            tracing::error!("a sender's time zone can't be read");
            continue;
        };
        let place = Place {
            domain: row.try_get("domain_id")?,
            zone,
            counts_person: row.try_get("counts_person")?,
            counts_recipient_domain: row.try_get("counts_recipient_domain")?,
        };
        places.insert((row.try_get("organization_id")?, row.try_get("id")?), place);
    }
    let granted = people.into_iter().filter_map(|due| {
        let place = places.get(&(due.organization, due.sender))?;
        let slot = Slot {
            organization: due.organization,
            domain: Some(place.domain),
            campaign: Some(due.campaign),
            sender: Some(due.sender),
            recipient_domain: recipient_domain_key(&due.recipient).filter(|_| place.counts_recipient_domain),
            person: Some(due.contact).filter(|_| place.counts_person),
            day: local_day(now, place.zone),
            send_at: now,
        };
        Some(Granted { due, slot, expires_at: now })
    });
    Ok(granted.collect())
}
