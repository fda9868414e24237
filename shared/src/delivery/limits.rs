//! The counters of what has been promised against each limit, day by day; of a recipient's domain hour by hour.
//!
//! A slot is reserved by the scheduler and nowhere else; only a mail that turns out to have left without one is counted
//! afterwards ([`count`]). It is released exactly once: by the statement that sets a
//! message's `slot_day` to null and hands the slot to [`release`]. Counters come last in the lock order, those of the
//! provider account ([`provider_account::usage`](super::provider_account::usage)) last of them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Timelike as _, Utc};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use uuid::Uuid;

use super::provider_account::usage as account_usage;
use crate::{CampaignId, ContactId, DomainId, Error, OrganizationId, Result, SenderId, Tx};

/// How a limit of a day stands in the column `hour`.
const WHOLE_DAY: i16 = -1;

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The daily limits of the organization: its own and its plan's.
    Organization,
    /// The daily limit of a sending domain.
    Domain(DomainId),
    /// The daily limit of a campaign.
    Campaign(CampaignId),
    /// The daily limit of a sender.
    Sender(SenderId),
    /// The hourly limit of the domain that a recipient's address is in, by its [`recipient_domain_key`].
    RecipientDomain(Uuid),
    /// The limit of a person over all campaigns, of which the days are summed.
    Person(ContactId),
}

impl Scope {
    fn parts(self, organization: OrganizationId) -> (&'static str, Uuid) {
        match self {
            Self::Organization => ("organization", organization.0),
            Self::Domain(id) => ("domain", id.0),
            Self::Campaign(id) => ("campaign", id.0),
            Self::Sender(id) => ("sender", id.0),
            Self::RecipientDomain(key) => ("recipient_domain", key),
            Self::Person(id) => ("person", id.0),
        }
    }

    fn from_parts(name: &str, id: Uuid) -> Result<Self> {
        Ok(match name {
            "organization" => Self::Organization,
            "domain" => Self::Domain(DomainId(id)),
            "campaign" => Self::Campaign(CampaignId(id)),
            "sender" => Self::Sender(SenderId(id)),
            "recipient_domain" => Self::RecipientDomain(id),
            "person" => Self::Person(ContactId(id)),
            other => return Err(Error::internal(format!("unknown scope of a limit: {other}"))),
        })
    }
}

/// One counter: a limit in one day or hour.
///
/// The day is the sender's local date. Limits that know no sender, of persons and of recipients' domains, count by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter {
    /// Whose limit.
    pub organization: OrganizationId,
    /// Which limit.
    pub scope: Scope,
    /// Which day.
    pub day: NaiveDate,
    /// Which hour of it, of a limit that counts by hours.
    pub hour: Option<i16>,
}

impl Counter {
    /// The counter of a limit that counts by days.
    #[must_use]
    pub fn of_day(organization: OrganizationId, scope: Scope, day: NaiveDate) -> Self {
        Self { organization, scope, day, hour: None }
    }

    /// The counter of a recipient's domain in the hour of an instant.
    #[must_use]
    pub fn of_recipient_domain(organization: OrganizationId, key: Uuid, at: DateTime<Utc>) -> Self {
        let hour = i16::try_from(at.hour()).ok();
        Self { organization, scope: Scope::RecipientDomain(key), day: at.date_naive(), hour }
    }

    /// The counter of a person on the day of an instant.
    #[must_use]
    pub fn of_person(organization: OrganizationId, contact: ContactId, at: DateTime<Utc>) -> Self {
        Self::of_day(organization, Scope::Person(contact), at.date_naive())
    }
}

/// The name of a recipient's domain as its counter has it: not the name itself, since a domain can be a person's own.
/// None of what is no address, such as the recipient of an erased message.
#[must_use]
pub fn recipient_domain_key(recipient: &str) -> Option<Uuid> {
    let (_, domain) = recipient.rsplit_once('@')?;
    let hash = Sha256::digest(domain.to_ascii_lowercase().as_bytes());
    Uuid::from_slice(hash.get(..16)?).ok()
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Whose.
    pub organization: OrganizationId,
    /// Counted for this domain, the organization and the provider account; none for a slot of an earlier release.
    pub domain: Option<DomainId>,
    /// Counted for this campaign.
    pub campaign: Option<CampaignId>,
    /// Counted for this sender.
    pub sender: Option<SenderId>,
    /// Counted for the recipient's domain of this key.
    pub recipient_domain: Option<Uuid>,
    /// Counted for this person.
    pub person: Option<ContactId>,
    /// The sender's local day.
    pub day: NaiveDate,
    /// When the mail is to go.
    pub send_at: DateTime<Utc>,
}

impl Slot {
    /// Reads `organization_id`, `campaign_id`, `sender_id`, `contact_id`, `recipient`, `send_at` and the columns `slot_…`,
    /// as they were before; `None` without a day.
    pub(crate) fn from_row(row: &Row) -> Result<Option<Self>> {
        let Some(day) = row.try_get("slot_day")? else { return Ok(None) };
        let counts_recipient_domain: bool = row.try_get("slot_counts_recipient_domain")?;
        let counts_person: bool = row.try_get("slot_counts_person")?;
        Ok(Some(Self {
            organization: row.try_get("organization_id")?,
            domain: row.try_get("slot_domain")?,
            campaign: row.try_get("campaign_id")?,
            sender: row.try_get("sender_id")?,
            recipient_domain: match counts_recipient_domain {
                true => recipient_domain_key(row.try_get("recipient")?),
                false => None,
            },
            person: row.try_get::<_, Option<ContactId>>("contact_id")?.filter(|_| counts_person),
            day,
            send_at: row.try_get("send_at")?,
        }))
    }

    /// The counters on which this slot is counted.
    pub(crate) fn counters(self) -> impl Iterator<Item = Counter> {
        let Self { organization, domain, campaign, sender, recipient_domain, person, day, send_at } = self;
        let by_day = [
            domain.map(|_| Scope::Organization),
            domain.map(Scope::Domain),
            campaign.map(Scope::Campaign),
            sender.map(Scope::Sender),
        ];
        let by_day = by_day.into_iter().flatten().map(move |scope| Counter::of_day(organization, scope, day));
        let of_recipient = recipient_domain.map(|key| Counter::of_recipient_domain(organization, key, send_at));
        let of_person = person.map(|contact| Counter::of_person(organization, contact, send_at));
        by_day.chain(of_recipient).chain(of_person)
    }

    /// When it is counted for the provider account.
    fn account_time(self) -> Option<DateTime<Utc>> {
        self.domain.map(|_| self.send_at)
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
    if crate::fault_points::defect("reserve_while_locking") {
        tx.execute(crate::fault_points::ENSURE_MISSING_LIMITS, &columns.params()).await?;
        return from_rows(&tx.query(crate::fault_points::LOCK_AND_READ_LIMITS, &columns.params()).await?);
    }
    tx.execute(include_str!("limits/ensure.sql"), &columns.params()).await?;
    tx.query(include_str!("limits/lock.sql"), &columns.params()).await?;
    // Read in a statement after the locks: the locking one still sees what was there when it began.
    from_rows(&tx.query(include_str!("limits/read.sql"), &columns.params()).await?)
}

/// What each person has been promised on the days of [`Window`] before today, without locking it: what is promised for the
/// days before today only ever becomes less.
pub(crate) async fn read_days_before(tx: &Tx, people: &[Window]) -> Result<BTreeMap<Counter, Usage>> {
    if people.is_empty() {
        return Ok(BTreeMap::new());
    }
    let organizations: Vec<OrganizationId> = people.iter().map(|window| window.organization).collect();
    let contacts: Vec<ContactId> = people.iter().map(|window| window.contact).collect();
    let firsts: Vec<NaiveDate> = people.iter().map(|window| window.first).collect();
    let befores: Vec<NaiveDate> = people.iter().map(|window| window.before).collect();
    let sql = include_str!("limits/read_days_before.sql");
    from_rows(&tx.query(sql, &[&organizations, &contacts, &firsts, &befores]).await?)
}

/// The days of a person whose mails are summed: from `first` on, `before` not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Window {
    pub(crate) organization: OrganizationId,
    pub(crate) contact: ContactId,
    pub(crate) first: NaiveDate,
    pub(crate) before: NaiveDate,
}

/// Counts slots that have been granted on counters which this transaction has locked.
pub(crate) async fn reserve(tx: &Tx, granted: &[Slot]) -> Result<()> {
    let mut totals: BTreeMap<Counter, (i32, DateTime<Utc>)> = BTreeMap::new();
    for slot in granted {
        for counter in slot.counters() {
            let total = totals.entry(counter).or_insert((0, slot.send_at));
            *total = (total.0 + 1, total.1.max(slot.send_at));
        }
    }
    let columns = Columns::of(totals.keys().copied());
    let (counts, slots): (Vec<i32>, Vec<DateTime<Utc>>) = totals.values().copied().unzip();
    let mut params = columns.params().to_vec();
    params.extend_from_slice(&[&counts, &slots]);
    tx.execute(include_str!("limits/reserve.sql"), &params).await?;
    account_usage::count(tx, granted.iter().filter_map(|slot| slot.account_time())).await
}

/// Counts mails that have left without a slot, and takes other slots back: their counters are locked together.
pub(crate) async fn count(tx: &Tx, left: &[Slot], released: &[Slot]) -> Result<()> {
    if !left.is_empty() {
        let mut counters: Vec<Counter> = left.iter().chain(released).copied().flat_map(Slot::counters).collect();
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
    account_usage::release(tx, slots.iter().filter_map(|slot| slot.account_time())).await
}

fn from_rows(rows: &[Row]) -> Result<BTreeMap<Counter, Usage>> {
    rows.iter()
        .map(|row| {
            let hour: i16 = row.try_get("hour")?;
            let counter = Counter {
                organization: row.try_get("organization_id")?,
                scope: Scope::from_parts(row.try_get("scope")?, row.try_get("scope_id")?)?,
                day: row.try_get("day")?,
                hour: Some(hour).filter(|hour| *hour != WHOLE_DAY),
            };
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
    hours: Vec<i16>,
}

impl Columns {
    fn of(counters: impl Iterator<Item = Counter>) -> Self {
        let mut columns = Self {
            organizations: Vec::new(),
            scopes: Vec::new(),
            ids: Vec::new(),
            days: Vec::new(),
            hours: Vec::new(),
        };
        for counter in counters {
            let (scope, id) = counter.scope.parts(counter.organization);
            columns.organizations.push(counter.organization);
            columns.scopes.push(scope);
            columns.ids.push(id);
            columns.days.push(counter.day);
            columns.hours.push(counter.hour.unwrap_or(WHOLE_DAY));
        }
        columns
    }

    fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 5] {
        [&self.organizations, &self.scopes, &self.ids, &self.days, &self.hours]
    }
}
