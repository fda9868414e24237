//! What the rows of a chunk do to the contacts.
//!
//! The rule, row by row in the order of the file, so that it doesn't matter where one chunk ends and the next begins:
//!
//! - The first row of an address makes the contact, or puts its values over those stored. Empty values change nothing,
//!   custom fields are merged key by key, the row becomes the contact's `raw_data`.
//! - Each further row of the same address in the same file only fills what is still empty.
//! - A person for whom the list has no room by the organization's plan is not taken: the first people of the file get what is left,
//!   the rows of the others are told as errors, for another import.
//! - Where the import skips contacts that were there, their rows change nothing.
//! - Address, status, suppressions and where the contact came from are never touched.
//!
//! So a file that is imported again finds every value in place and changes nothing.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Add;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;

use super::json_object::JsonObject;
use super::rows::{Fields, ImportRow, RowError, custom_too_long, is_too_long};
use crate::db::Params;
use crate::error::violated_constraint;
use crate::platform::plans::{PLAN_LIMIT_REACHED, Room};
use crate::{ContactId, Error, ImportId, ListId, Result, TagId, Tx};

/// Bytes of the contacts that a chunk finds, as JSON: as much as may be read of the file at once. A contact holds up to a
/// mebibyte of its imported row, and a small chunk may name a thousand of them.
const STORED_MAXIMUM: i64 = 4 << 20;

/// Contacts inserted by one statement: enough to make little of what a statement costs, and few enough that the server has
/// begun long before the last of a chunk is sent.
const PIECE: usize = 1_000;

/// What the rows belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) import: ImportId,
    pub(super) list: Option<ListId>,
    /// Given to everybody.
    pub(super) tags: &'a [TagId],
    pub(super) existing: Existing,
    pub(super) run_started_at: DateTime<Utc>,
}

/// What becomes of contacts that were there before the import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// They take the values of the file.
    #[default]
    Update,
    /// They keep what they have. They are put on the list and get the tags all the same.
    Skip,
}

impl Existing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Skip => "skip",
        }
    }

    pub(super) fn from_name(name: &str) -> Self {
        if name == "skip" { Self::Skip } else { Self::Update }
    }
}

/// How many rows did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) unchanged: i64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            unchanged: self.unchanged + other.unchanged,
        }
    }
}

/// The rows of one chunk, those about one address together and in the order of the file, the addresses in theirs.
///
/// What can be known of them without the database is made ready with them, while the database is busy with others.
#[derive(Debug, Default)]
pub(super) struct Pending {
    rows: Vec<ImportRow>,
    /// For each address, in their order, the id that its contact gets if there is none.
    ids: Vec<ContactId>,
}

/// How many connections work on an import at once.
pub(super) const LANES: usize = 2;

/// The rows of a chunk, by the lane that takes them. All rows about one address are in one lane, whatever the file.
pub(super) fn lanes(rows: Vec<ImportRow>) -> [Pending; LANES] {
    let mut lanes = [const { Vec::new() }; LANES];
    for row in rows {
        lanes[crc32fast::hash(row.address.as_bytes()) as usize % LANES].push(row);
    }
    lanes.map(Pending::from)
}

impl From<Vec<ImportRow>> for Pending {
    fn from(mut rows: Vec<ImportRow>) -> Self {
        rows.sort_by(|one, other| one.address.cmp(&other.address));
        let ids = rows.chunk_by(is_same_person).map(|_| ContactId::fresh()).collect();
        Self { rows, ids }
    }
}

fn is_same_person(one: &ImportRow, other: &ImportRow) -> bool {
    one.address == other.address
}

impl Pending {
    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// These rows and others.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.rows.extend(others.rows);
        self.rows.into()
    }

    /// Without the rows up to this line.
    pub(super) fn beyond(mut self, line: u64) -> Self {
        if self.rows.iter().all(|row| row.source.line() > line) {
            return self;
        }
        self.rows.retain(|row| row.source.line() > line);
        self.rows.into()
    }

    pub(super) fn addresses(&self) -> Vec<&str> {
        self.people().map(|person| person.first.address.as_str()).collect()
    }

    fn people(&self) -> impl Iterator<Item = Person<'_>> {
        let people = self.rows.chunk_by(is_same_person).zip(&self.ids);
        people.filter_map(|(rows, id)| Some(Person { id: *id, first: rows.first()?, rows }))
    }
}

/// The rows about one address.
#[derive(Clone, Copy)]
struct Person<'a> {
    /// That of a contact to be made.
    id: ContactId,
    first: &'a ImportRow,
    /// All of them.
    rows: &'a [ImportRow],
}

/// What there is of the people whom some rows name.
pub(super) enum Found {
    /// These, and not too much of them.
    Contacts(Vec<ContactId>),
    /// More than may be held at once: so many rows are to be taken instead.
    TooMuch(usize),
}

/// Tells from the rows of `weigh_contacts.sql` whether the contacts that these rows name can be held at once.
pub(super) fn found(pending: &Pending, weighed: &[Row]) -> Result<Found> {
    let (mut ids, mut stored) = (Vec::with_capacity(weighed.len()), 0_i64);
    for row in weighed {
        ids.push(row.try_get("id")?);
        stored += row.try_get::<_, i64>("bytes")?;
    }
    let rows = i64::try_from(pending.rows.len()).map_err(Error::internal)?;
    if stored <= STORED_MAXIMUM || rows < 2 {
        return Ok(Found::Contacts(ids));
    }
    let fewer = rows.saturating_mul(STORED_MAXIMUM) / stored;
    Ok(Found::TooMuch(usize::try_from(fewer.clamp(1, rows - 1)).map_err(Error::internal)?))
}

/// Brings the rows of one chunk into the database, where these contacts were `found` a moment ago. Whoever has come since is
/// met in writing: `None`, and the transaction is to be begun anew.
///
/// Contacts that change are locked in the order of their ids before anything is written, as everywhere; those that don't
/// are only read.
pub(super) async fn merge(
    tx: &Tx,
    origin: Origin<'_>,
    room: Option<&Room>,
    pending: &Pending,
    found: &[ContactId],
) -> Result<Option<(Counts, Vec<RowError>)>> {
    let mut present = read(tx, include_str!("find_contacts.sql"), origin, found).await?;
    let (mut absent, mut met, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for person in pending.people() {
        match present.remove(&person.first.address) {
            None => absent.push(person),
            Some(contact) => match Met::new(contact, person.rows)? {
                met if met.is_written() => written.push((met.merged.contact.id, person)),
                left => met.push(left),
            },
        }
    }
    written.sort_unstable_by_key(|(id, _)| *id);
    let ids: Vec<ContactId> = written.iter().map(|(id, _)| *id).collect();
    let mut locked = read(tx, include_str!("lock_contacts.sql"), origin, &ids).await?;
    for (_, person) in written {
        // One that is deleted, or has got another address meanwhile, is not the one that the rows speak of.
        match locked.remove(&person.first.address) {
            Some(contact) => met.push(Met::new(contact, person.rows)?),
            None => absent.push(person),
        }
    }
    // What could not be taken of any row neither joins a list nor takes room on it.
    let (failed, mut met): (Vec<_>, Vec<_>) = met.into_iter().partition(|met| met.merged.counts == Counts::default());
    let refused = room.map(|room| refuse_beyond(room, &mut absent, &mut met)).unwrap_or_default();
    absent.sort_by_key(|person| &person.first.address);
    let made = absent.into_iter().map(Made::new).collect::<Result<Vec<_>>>()?;
    if !insert(tx, origin, &made).await? {
        return Ok(None);
    }
    update(tx, met.iter().map(|met| &met.merged).filter(|merged| merged.changed)).await?;
    remember(tx, origin, met.iter().filter(|met| met.is_new()).map(|met| met.merged.contact.id)).await?;
    let off_list = met.iter().map(|met| &met.merged.contact).filter(|contact| !contact.on_list);
    let untagged = met.iter().map(|met| &met.merged.contact).filter(|contact| !contact.is_tagged);
    tag(tx, origin, made.iter().map(|made| &made.merged.contact).chain(untagged).map(|contact| contact.id)).await?;
    join(tx, origin, made.iter().map(|made| &made.merged.contact).chain(off_list).map(|contact| contact.id)).await?;
    let merged = made.into_iter().map(|made| made.merged).chain(met.into_iter().chain(failed).map(|met| met.merged));
    Ok(Some(merged.fold((Counts::default(), refused), |(counts, mut errors): (Counts, Vec<RowError>), merged| {
        errors.extend(merged.errors);
        (counts + merged.counts, errors)
    })))
}

/// What a row would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Foreseen {
    /// It makes a contact.
    Create,
    /// It changes one, which was there or which an earlier row makes.
    Update,
    /// It says nothing new, or its contact keeps what it has.
    Unchanged,
    /// It could not be taken.
    Fail,
}

/// What each of these rows would do if it were imported now, by its line. Nothing is written.
pub(super) async fn foresee(tx: &Tx, origin: Origin<'_>, pending: &Pending) -> Result<HashMap<u64, Foreseen>> {
    let weighed = tx.query(include_str!("weigh_contacts.sql"), &[&pending.addresses()]).await?;
    let ids = weighed.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<Vec<ContactId>>>()?;
    let mut present = read(tx, include_str!("find_contacts.sql"), origin, &ids).await?;
    let mut foreseen = HashMap::new();
    for person in pending.people() {
        let (mut contact, rows) = match present.remove(&person.first.address) {
            Some(contact) => (contact, person.rows),
            None => {
                foreseen.insert(person.first.source.line(), Foreseen::Create);
                (Made::new(Person { rows: &person.rows[..1], ..person })?.merged.contact, &person.rows[1..])
            }
        };
        for row in rows {
            let taken = match contact.take(row)? {
                Taken::Changed => Foreseen::Update,
                Taken::Unchanged => Foreseen::Unchanged,
                Taken::CustomTooLong => Foreseen::Fail,
            };
            foreseen.insert(row.source.line(), taken);
        }
    }
    Ok(foreseen)
}

/// Takes out those who would come to the list when it has no more room, in the order of the file, and tells their rows.
fn refuse_beyond<'a>(room: &Room, absent: &mut Vec<Person<'a>>, met: &mut Vec<Met<'a>>) -> Vec<RowError> {
    let off_list = met.iter().filter(|met| !met.merged.contact.on_list).map(|met| met.rows);
    let mut coming: Vec<&'a [ImportRow]> = absent.iter().map(|person| person.rows).chain(off_list).collect();
    coming.sort_unstable_by_key(|rows| rows.first().map(|row| row.source.line()));
    let left = usize::try_from(room.left).unwrap_or_default().min(coming.len());
    let refused = coming.split_off(left);
    let addresses: HashSet<&str> = refused.iter().flat_map(|rows| *rows).map(|row| row.address.as_str()).collect();
    absent.retain(|person| !addresses.contains(person.first.address.as_str()));
    met.retain(|met| met.rows.first().is_none_or(|row| !addresses.contains(row.address.as_str())));
    let rows = refused.into_iter().flatten();
    rows.map(|row| row.source.clone().error(PLAN_LIMIT_REACHED, room.sentence())).collect()
}

/// A contact as far as an import is concerned with it.
#[derive(Debug)]
struct Contact<'a> {
    id: ContactId,
    fields: Cow<'a, Fields>,
    custom: JsonObject,
    raw_data: Option<JsonObject>,
    /// Whether an earlier row of this file was about it.
    met: bool,
    /// Whether it is on the list already, or there is no list.
    on_list: bool,
    /// Whether it has all tags of the import already.
    is_tagged: bool,
    /// Whether it keeps what it has.
    is_kept: bool,
}

/// What the rows of one address come to.
#[derive(Debug)]
struct Merged<'a> {
    contact: Contact<'a>,
    changed: bool,
    counts: Counts,
    errors: Vec<RowError>,
}

/// A contact that was there.
struct Met<'a> {
    was_met: bool,
    rows: &'a [ImportRow],
    merged: Merged<'a>,
}

impl<'a> Met<'a> {
    fn new(contact: Contact<'a>, rows: &'a [ImportRow]) -> Result<Self> {
        Ok(Self { was_met: contact.met, rows, merged: apply(contact, rows)? })
    }

    /// Whether anything is written that others may write as well.
    fn is_written(&self) -> bool {
        self.merged.changed || !self.merged.contact.on_list || !self.merged.contact.is_tagged
    }

    /// Whether it is the first time in this file.
    fn is_new(&self) -> bool {
        self.merged.contact.met && !self.was_met
    }
}

/// A contact that the file makes.
struct Made<'a> {
    email: &'a str,
    merged: Merged<'a>,
}

impl<'a> Made<'a> {
    /// The first row makes it and the others fill it.
    fn new(Person { id, first, rows }: Person<'a>) -> Result<Self> {
        let contact = Contact {
            id,
            fields: Cow::Borrowed(&first.fields),
            custom: first.custom.clone(),
            raw_data: Some(first.raw_data.clone()),
            met: true,
            on_list: false,
            is_tagged: false,
            is_kept: false,
        };
        let mut merged = apply(contact, &rows[1..])?;
        merged.counts.created += 1;
        Ok(Self { email: first.email.as_str(), merged })
    }
}

/// Contacts by their address.
async fn read<'a>(tx: &Tx, sql: &str, origin: Origin<'_>, ids: &[ContactId]) -> Result<HashMap<String, Contact<'a>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx.query(sql, &[&ids, &origin.import, &origin.run_started_at, &origin.list, &origin.tags]).await?;
    rows.iter().map(|row| from_row(row, origin.existing)).collect()
}

fn from_row<'a>(row: &Row, existing: Existing) -> Result<(String, Contact<'a>)> {
    let contact = Contact {
        id: row.try_get("id")?,
        fields: Cow::Owned(Fields {
            name: row.try_get("name")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            company: row.try_get("company")?,
            timezone: row.try_get("timezone")?,
        }),
        custom: JsonObject::from_stored(row.try_get("custom")?),
        raw_data: row.try_get::<_, Option<&str>>("raw_data")?.map(JsonObject::from_stored),
        met: row.try_get("met")?,
        on_list: row.try_get("on_list")?,
        is_tagged: row.try_get("is_tagged")?,
        is_kept: existing == Existing::Skip && !row.try_get::<_, bool>("is_ours")?,
    };
    Ok((row.try_get("email_lower")?, contact))
}

/// Applies rows to a contact, in their order.
fn apply<'a>(contact: Contact<'a>, rows: &'a [ImportRow]) -> Result<Merged<'a>> {
    let mut merged = Merged { contact, changed: false, counts: Counts::default(), errors: Vec::new() };
    for row in rows {
        match merged.contact.take(row)? {
            Taken::Changed => {
                merged.changed = true;
                merged.counts.updated += 1;
            }
            Taken::Unchanged => merged.counts.unchanged += 1,
            Taken::CustomTooLong => {
                let (code, reason) = custom_too_long();
                merged.errors.push(row.source.clone().error(code, reason));
            }
        }
    }
    Ok(merged)
}

enum Taken {
    Changed,
    Unchanged,
    /// Nothing was taken.
    CustomTooLong,
}

impl<'a> Contact<'a> {
    /// Takes a row: the values of the first that win where they are not empty; of those after it what is still missing.
    fn take(&mut self, row: &'a ImportRow) -> Result<Taken> {
        if self.is_kept {
            self.met = true;
            return Ok(Taken::Unchanged);
        }
        let wins = !self.met;
        let mut changed = false;
        if let Some(custom) = self.custom_with(row, wins)? {
            if is_too_long(&custom) {
                return Ok(Taken::CustomTooLong);
            }
            self.custom = custom;
            changed = true;
        }
        for (n, value) in row.fields.each().into_iter().enumerate().filter(|(_, value)| value.is_some()) {
            let stored = self.fields.each()[n];
            if stored != value && (wins || stored.as_deref().is_none_or(str::is_empty)) {
                self.fields.to_mut().each_mut()[n].clone_from(value);
                changed = true;
            }
        }
        if wins && self.raw_data.as_ref() != Some(&row.raw_data) {
            self.raw_data = Some(row.raw_data.clone());
            changed = true;
        }
        self.met = true;
        Ok(if changed { Taken::Changed } else { Taken::Unchanged })
    }

    /// The custom fields with those of the row, where that makes a difference.
    fn custom_with(&self, row: &ImportRow, wins: bool) -> Result<Option<JsonObject>> {
        if row.custom.is_empty() || row.custom.as_str() == self.custom.as_str() {
            return Ok(None);
        }
        let is_missing = |stored: Option<&Value>| stored.is_none_or(|stored| stored.is_null() || stored == "");
        let mut custom = self.custom.members()?;
        let mut changed = false;
        for (key, value) in row.custom.members()? {
            let stored = custom.get(&key);
            if stored != Some(&value) && (wins || is_missing(stored)) {
                custom.insert(key, value);
                changed = true;
            }
        }
        Ok(changed.then(|| JsonObject::of(&custom)))
    }
}

/// Contacts as columns, as the statements take them.
#[derive(Default)]
struct Arrays<'a> {
    ids: Vec<ContactId>,
    fields: [Vec<Option<&'a str>>; 5],
    custom: Vec<&'a str>,
    raw_data: Vec<Option<&'a str>>,
}

impl<'a> Arrays<'a> {
    fn of(contacts: impl Iterator<Item = &'a Contact<'a>>) -> Self {
        let mut arrays = Self::default();
        for contact in contacts {
            arrays.ids.push(contact.id);
            for (array, field) in arrays.fields.iter_mut().zip(contact.fields.each()) {
                array.push(field.as_deref());
            }
            arrays.custom.push(contact.custom.as_str());
            arrays.raw_data.push(contact.raw_data.as_ref().map(JsonObject::as_str));
        }
        arrays
    }
}

/// Inserts contacts, which are in the order of their addresses. False when somebody else has made one of them meanwhile.
async fn insert(tx: &Tx, origin: Origin<'_>, made: &[Made<'_>]) -> Result<bool> {
    let organization = tx.organization()?;
    let pieces: Vec<_> = made
        .chunks(PIECE)
        .map(|made| {
            let emails: Vec<&str> = made.iter().map(|made| made.email).collect();
            (emails, Arrays::of(made.iter().map(|made| &made.merged.contact)))
        })
        .collect();
    let params: Vec<Params<'_, 11>> = pieces
        .iter()
        .map(|(emails, Arrays { ids, fields: [name, first_name, last_name, company, timezone], custom, raw_data })| {
            [
                &organization,
                &origin.import,
                ids,
                emails,
                name,
                first_name,
                last_name,
                company,
                timezone,
                custom,
                raw_data,
            ] as Params<'_, 11>
        })
        .collect();
    let inserted = tx.execute_each(include_str!("insert_contacts.sql"), &params).await;
    match inserted {
        Ok(()) => Ok(true),
        Err(error) if violated_constraint(&error) == Some("contacts_email_key") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes the contacts that changed. They are locked.
async fn update<'a>(tx: &Tx, changed: impl Iterator<Item = &'a Merged<'a>>) -> Result<()> {
    let Arrays { ids, fields: [name, first_name, last_name, company, timezone], custom, raw_data } =
        Arrays::of(changed.map(|merged| &merged.contact));
    if !ids.is_empty() {
        tx.execute(
            include_str!("update_contacts.sql"),
            &[&ids, &name, &first_name, &last_name, &company, &timezone, &custom, &raw_data],
        )
        .await?;
    }
    Ok(())
}

/// Remembers contacts that were there before, so that the next row of the same address is known to repeat it.
async fn remember(tx: &Tx, origin: Origin<'_>, ids: impl Iterator<Item = ContactId>) -> Result<()> {
    let ids: Vec<ContactId> = ids.collect();
    if !ids.is_empty() {
        tx.execute(include_str!("insert_matches.sql"), &[&tx.organization()?, &origin.import, &ids]).await?;
    }
    Ok(())
}

/// Gives contacts the import's tags.
async fn tag(tx: &Tx, origin: Origin<'_>, ids: impl Iterator<Item = ContactId>) -> Result<()> {
    let ids: Vec<ContactId> = ids.collect();
    if !ids.is_empty() && !origin.tags.is_empty() {
        tx.execute(include_str!("insert_tagged.sql"), &[&tx.organization()?, &origin.tags, &ids]).await?;
    }
    Ok(())
}

/// Puts contacts on the import's list.
async fn join(tx: &Tx, origin: Origin<'_>, ids: impl Iterator<Item = ContactId>) -> Result<()> {
    let Some(list) = origin.list else { return Ok(()) };
    let ids: Vec<ContactId> = ids.collect();
    if !ids.is_empty() {
        tx.execute(include_str!("insert_members.sql"), &[&tx.organization()?, &list, &ids]).await?;
    }
    Ok(())
}
