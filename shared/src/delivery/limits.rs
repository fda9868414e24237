//! The counters of what has been promised against each limit, day by day.
//!
//! A slot is reserved by the scheduler and nowhere else; only a mail that turns out to have left without one is counted
//! afterwards ([`count`]). It is released exactly once: by the statement that sets a
//! message's `slot_day` to null and hands the slot to [`release`]. Counters come last in the lock order.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{CampaignId, OrganizationId, Result, SenderId, Tx};

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The daily limit of a campaign.
    Campaign(CampaignId),
    /// The daily limit of a sender.
    Sender(SenderId),
}

impl Scope {
    fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::Campaign(id) => ("campaign", id.0),
            Self::Sender(id) => ("sender", id.0),
        }
    }

    fn from_parts(name: &str, id: Uuid) -> Self {
        if name == "campaign" { Self::Campaign(CampaignId(id)) } else { Self::Sender(SenderId(id)) }
    }
}

/// One counter: a limit on one day, which is the sender's local date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter {
    /// Whose limit.
    pub organization: OrganizationId,
    /// Which limit.
    pub scope: Scope,
    /// Which day.
    pub day: NaiveDate,
}

/// How far a counter is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Slots given out and not taken back.
    pub used: i64,
    /// The latest slot given out, on this day or the day before.
    pub last_slot_at: Option<DateTime<Utc>>,
}

/// A slot that a message held.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Whose.
    pub organization: OrganizationId,
    /// Counted for this campaign.
    pub campaign: Option<CampaignId>,
    /// Counted for this sender.
    pub sender: Option<SenderId>,
    /// Counted on this day.
    pub day: NaiveDate,
}

impl Slot {
    /// Reads `organization_id`, `campaign_id`, `sender_id` and `slot_day`, the day as it was before; `None` without a day.
    pub(crate) fn from_row(row: &Row) -> Result<Option<Self>> {
        let Some(day) = row.try_get("slot_day")? else { return Ok(None) };
        Ok(Some(Self {
            organization: row.try_get("organization_id")?,
            campaign: row.try_get("campaign_id")?,
            sender: row.try_get("sender_id")?,
            day,
        }))
    }

    /// The counters on which this slot is counted.
    pub(crate) fn counters(self) -> impl Iterator<Item = Counter> {
        let Self { organization, campaign, sender, day } = self;
        [campaign.map(Scope::Campaign), sender.map(Scope::Sender)].into_iter().flatten().map(move |scope| Counter {
            organization,
            scope,
            day,
        })
    }
}

/// Reads counters without locking them; a counter that nobody has used yet is absent.
pub(crate) async fn read(tx: &Tx, counters: &[Counter]) -> Result<BTreeMap<Counter, Usage>> {
    let columns = Columns::of(counters.iter().copied());
    from_rows(&tx.query(include_str!("limits/read.sql"), &columns.params()).await?)
}

/// Locks counters in the order of their keys, making those that nobody has used yet.
pub(crate) async fn lock(tx: &Tx, counters: &[Counter]) -> Result<BTreeMap<Counter, Usage>> {
    let columns = Columns::of(counters.iter().copied());
    tx.execute(include_str!("limits/ensure.sql"), &columns.params()).await?;
    tx.query(include_str!("limits/lock.sql"), &columns.params()).await?;
    // Read in a statement after the locks: the locking one still sees what was there when it began.
    from_rows(&tx.query(include_str!("limits/read.sql"), &columns.params()).await?)
}

/// Counts slots that have been granted on counters which this transaction has locked.
pub(crate) async fn reserve(tx: &Tx, granted: &[(Slot, DateTime<Utc>)]) -> Result<()> {
    let mut totals: BTreeMap<Counter, (i32, DateTime<Utc>)> = BTreeMap::new();
    for (slot, send_at) in granted {
        for counter in slot.counters() {
            let total = totals.entry(counter).or_insert((0, *send_at));
            *total = (total.0 + 1, total.1.max(*send_at));
        }
    }
    let columns = Columns::of(totals.keys().copied());
    let (counts, slots): (Vec<i32>, Vec<DateTime<Utc>>) = totals.values().copied().unzip();
    let mut params = columns.params().to_vec();
    params.extend_from_slice(&[&counts, &slots]);
    tx.execute(include_str!("limits/reserve.sql"), &params).await?;
    Ok(())
}

/// Counts mails that have left without a slot, and takes other slots back: their counters are locked together.
pub(crate) async fn count(tx: &Tx, left: &[(Slot, DateTime<Utc>)], released: &[Slot]) -> Result<()> {
    if !left.is_empty() {
        let mut counters: Vec<Counter> =
            left.iter().map(|(slot, _)| *slot).chain(released.iter().copied()).flat_map(Slot::counters).collect();
        counters.sort_unstable();
        counters.dedup();
        lock(tx, &counters).await?;
        reserve(tx, left).await?;
    }
    release(tx, released).await
}

/// Takes slots back. The caller has just set their messages' `slot_day` to null, in this transaction.
pub(crate) async fn release(tx: &Tx, slots: &[Slot]) -> Result<()> {
    if slots.is_empty() {
        return Ok(());
    }
    let mut totals: BTreeMap<Counter, i32> = BTreeMap::new();
    for counter in slots.iter().flat_map(|slot| slot.counters()) {
        *totals.entry(counter).or_default() += 1;
    }
    let columns = Columns::of(totals.keys().copied());
    let counts: Vec<i32> = totals.into_values().collect();
    tx.query(include_str!("limits/lock.sql"), &columns.params()).await?;
    let mut params = columns.params().to_vec();
    params.push(&counts);
    tx.execute(include_str!("limits/release.sql"), &params).await?;
    Ok(())
}

fn from_rows(rows: &[Row]) -> Result<BTreeMap<Counter, Usage>> {
    rows.iter()
        .map(|row| {
            let scope = Scope::from_parts(row.try_get("scope")?, row.try_get("scope_id")?);
            let counter = Counter { organization: row.try_get("organization_id")?, scope, day: row.try_get("day")? };
            let used: i32 = row.try_get("used")?;
            Ok((counter, Usage { used: used.into(), last_slot_at: row.try_get("last_slot_at")? }))
        })
        .collect()
}

/// Counters as the parallel arrays that the statements take.
struct Columns {
    organizations: Vec<OrganizationId>,
    scopes: Vec<&'static str>,
    ids: Vec<Uuid>,
    days: Vec<NaiveDate>,
}

impl Columns {
    fn of(counters: impl Iterator<Item = Counter>) -> Self {
        let mut columns = Self { organizations: Vec::new(), scopes: Vec::new(), ids: Vec::new(), days: Vec::new() };
        for counter in counters {
            let (scope, id) = counter.scope.parts();
            columns.organizations.push(counter.organization);
            columns.scopes.push(scope);
            columns.ids.push(id);
            columns.days.push(counter.day);
        }
        columns
    }

    fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 4] {
        [&self.organizations, &self.scopes, &self.ids, &self.days]
    }
}
