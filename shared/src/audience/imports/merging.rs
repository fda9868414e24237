//! What the rows of a chunk do to the contacts.
//!
//! The rule, row by row in the order of the file, so that it doesn't matter where one chunk ends and the next begins:
//!
//! - The first row of an address makes the contact, or puts its values over those stored. Empty values change nothing,
//!   custom fields are merged key by key, the row becomes the contact's `raw_data`.
//! - Each further row of the same address in the same file only fills what is still empty.
//! - Address, status, suppressions and where the contact came from are never touched.
//!
//! So a file that is imported again finds every value in place and changes nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::rows::{Fields, ImportRow, RowError, custom_too_long, is_too_long};
use crate::{ContactId, Error, ImportId, ListId, Result, Tx};

/// How often contacts that somebody else makes at the same moment are looked at again.
const ROUNDS: usize = 5;

/// Bytes of the contacts that a chunk finds, as JSON: as much as may be read of the file at once. A contact holds up to a
/// mebibyte of its imported row, and a small chunk may name a thousand of them.
const STORED_MAXIMUM: i64 = 4 << 20;

/// What the rows belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) import: ImportId,
    pub(super) list: Option<ListId>,
    pub(super) run_started_at: DateTime<Utc>,
}

/// How many rows did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) unchanged: i64,
}

/// A contact as far as an import is concerned with it.
#[derive(Debug, Clone, PartialEq)]
struct Contact {
    id: ContactId,
    fields: Fields,
    custom: Arc<Map<String, Value>>,
    raw_data: Option<RawData>,
    /// Whether an earlier row of this file was about it.
    met: bool,
    /// Whether it is on the list already, or there is no list.
    on_list: bool,
}

/// The row that a contact was written by.
#[derive(Debug, Clone)]
enum RawData {
    /// As the database holds it.
    Stored(Arc<Value>),
    /// As the file has it: the text of a JSON object.
    Read(Arc<str>),
}

impl PartialEq for RawData {
    /// The order of the names makes no difference, as in the database.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stored(one), Self::Stored(other)) => one == other,
            (Self::Read(one), Self::Read(other)) if one == other => true,
            (one, other) => one.value() == other.value(),
        }
    }
}

impl RawData {
    fn value(&self) -> Option<Cow<'_, Value>> {
        match self {
            Self::Stored(value) => Some(Cow::Borrowed(value)),
            Self::Read(text) => serde_json::from_str(text).ok().map(Cow::Owned),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Stored(value) => Cow::Owned(value.to_string()),
            Self::Read(text) => Cow::Borrowed(text),
        }
    }
}

/// What the rows of one address come to.
struct Merged {
    contact: Contact,
    changed: bool,
    counts: Counts,
    errors: Vec<RowError>,
}

/// The rows of one chunk by the address that they are about, those of each in the order of the file.
pub(super) struct Pending {
    by_address: BTreeMap<String, Vec<ImportRow>>,
    rows: usize,
}

impl From<Vec<ImportRow>> for Pending {
    fn from(rows: Vec<ImportRow>) -> Self {
        let mut pending = Self { by_address: BTreeMap::new(), rows: rows.len() };
        for row in rows {
            pending.by_address.entry(row.email.lower()).or_default().push(row);
        }
        pending
    }
}

/// Brings the rows of one chunk into the database.
///
/// Contacts that change are locked in the order of their ids before anything is written, as everywhere; those that don't
/// are only read. Where nobody was `found` a moment ago, nobody is looked for: whoever has come since is met in writing.
pub(super) async fn merge(tx: &Tx, origin: Origin, pending: Pending, found: Found) -> Result<(Counts, Vec<RowError>)> {
    let mut pending = pending.by_address;
    let (mut counts, mut errors) = (Counts::default(), Vec::new());
    for round in 0..ROUNDS {
        if pending.is_empty() {
            break;
        }
        let mut present = match (round, found) {
            (0, Found::Nobody) => HashMap::new(),
            _ => present(tx, origin, &pending).await?,
        };
        let mut made: BTreeMap<String, Merged> = BTreeMap::new();
        let mut found: BTreeMap<String, (Merged, bool)> = BTreeMap::new();
        for (address, rows) in &pending {
            match present.remove(address) {
                Some(contact) => {
                    let met = contact.met;
                    found.insert(address.clone(), (apply(contact, rows), met))
                }
                None => {
                    made.extend(create(rows).map(|merged| (address.clone(), merged)));
                    None
                }
            };
        }
        insert(tx, origin, &pending, &mut made).await?;
        update(tx, found.values().map(|(merged, _)| merged)).await?;
        let newly_met = found.values().filter(|(merged, met)| merged.contact.met && !met);
        remember(tx, origin, newly_met.map(|(merged, _)| merged.contact.id)).await?;
        let on_list = found.values().map(|(merged, _)| merged).filter(|merged| !merged.contact.on_list);
        join(tx, origin, made.values().chain(on_list).map(|merged| merged.contact.id)).await?;
        for (address, merged) in
            made.into_iter().chain(found.into_iter().map(|(address, (merged, _))| (address, merged)))
        {
            pending.remove(&address);
            counts.created += merged.counts.created;
            counts.updated += merged.counts.updated;
            counts.unchanged += merged.counts.unchanged;
            errors.extend(merged.errors);
        }
    }
    if !pending.is_empty() {
        return Err(Error::Unavailable("contacts were made and deleted faster than they could be read".into()));
    }
    Ok((counts, errors))
}

/// What there is of the people whom some rows name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// None of them.
    Nobody,
    /// Some, and not too much of them.
    Some,
    /// More than may be held at once: so many rows are to be taken instead.
    TooMuch(usize),
}

/// Looks whether the contacts that these rows name can be held at once.
pub(super) async fn weigh(tx: &Tx, pending: &Pending) -> Result<Found> {
    let addresses: Vec<&str> = pending.by_address.keys().map(String::as_str).collect();
    let weighed = tx.query_one(include_str!("weigh_contacts.sql"), &[&addresses]).await?;
    let (contacts, stored): (i64, i64) = (weighed.try_get("contacts")?, weighed.try_get("bytes")?);
    if contacts == 0 {
        return Ok(Found::Nobody);
    }
    if stored <= STORED_MAXIMUM || pending.rows < 2 {
        return Ok(Found::Some);
    }
    let rows = i64::try_from(pending.rows).map_err(Error::internal)?;
    let fewer = rows.saturating_mul(STORED_MAXIMUM) / stored;
    Ok(Found::TooMuch(usize::try_from(fewer.clamp(1, rows - 1)).map_err(Error::internal)?))
}

/// The contacts that have these addresses, by address; those that will be written to are locked, and read as they are then.
async fn present(
    tx: &Tx,
    origin: Origin,
    pending: &BTreeMap<String, Vec<ImportRow>>,
) -> Result<HashMap<String, Contact>> {
    let addresses: Vec<&str> = pending.keys().map(String::as_str).collect();
    let (import, list, since) = (origin.import, origin.list, origin.run_started_at);
    let found = tx.query(include_str!("find_contacts.sql"), &[&addresses, &import, &since, &list]).await?;
    let mut present = found.iter().map(from_row).collect::<Result<HashMap<_, _>>>()?;
    let written = |address: &String, contact: &Contact| {
        pending.get(address).is_some_and(|rows| !contact.on_list || apply(contact.clone(), rows).changed)
    };
    let mut ids: Vec<ContactId> = Vec::new();
    present.retain(|address, contact| {
        let written = written(address, contact);
        if written {
            ids.push(contact.id);
        }
        !written
    });
    if !ids.is_empty() {
        let locked = tx.query(include_str!("lock_contacts.sql"), &[&ids, &import, &since, &list]).await?;
        for row in &locked {
            let (address, contact) = from_row(row)?;
            present.insert(address, contact);
        }
        // One that got another address meanwhile is not the one that the rows speak of.
        present.retain(|address, _| pending.contains_key(address));
    }
    Ok(present)
}

fn from_row(row: &Row) -> Result<(String, Contact)> {
    let Value::Object(custom) = row.try_get("custom")? else {
        return Err(Error::internal("custom fields are no object"));
    };
    let contact = Contact {
        id: row.try_get("id")?,
        fields: Fields {
            name: row.try_get("name")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            company: row.try_get("company")?,
            timezone: row.try_get("timezone")?,
        },
        custom: Arc::new(custom),
        raw_data: row.try_get::<_, Option<Value>>("raw_data")?.map(|value| RawData::Stored(Arc::new(value))),
        met: row.try_get("met")?,
        on_list: row.try_get("on_list")?,
    };
    Ok((row.try_get("email_lower")?, contact))
}

/// The contact that the first row makes and the others fill.
fn create(rows: &[ImportRow]) -> Option<Merged> {
    let (first, rest) = rows.split_first()?;
    let contact = Contact {
        id: ContactId::fresh(),
        fields: first.fields.clone(),
        custom: first.custom.clone(),
        raw_data: Some(RawData::Read(first.raw_data.clone())),
        met: true,
        on_list: false,
    };
    let mut merged = apply(contact, rest);
    merged.counts.created += 1;
    Some(merged)
}

/// Applies rows to a contact, in their order.
fn apply(contact: Contact, rows: &[ImportRow]) -> Merged {
    let mut merged = Merged { contact, changed: false, counts: Counts::default(), errors: Vec::new() };
    for row in rows {
        let after = if merged.contact.met { fill(&merged.contact, row) } else { overwrite(&merged.contact, row) };
        let changed = after != merged.contact;
        if after.custom != merged.contact.custom && is_too_long(&after.custom) {
            let (code, reason) = custom_too_long();
            merged.errors.push(row.source.clone().error(code, reason));
            continue;
        }
        if changed {
            merged.counts.updated += 1;
        } else {
            merged.counts.unchanged += 1;
        }
        merged.changed |= changed;
        merged.contact = Contact { met: true, ..after };
    }
    merged
}

/// The values of the row that are not empty win.
fn overwrite(contact: &Contact, row: &ImportRow) -> Contact {
    let mut after = contact.clone();
    for (stored, value) in after.fields.each_mut().into_iter().zip(row.fields.each()) {
        if value.is_some() {
            stored.clone_from(value);
        }
    }
    if row.custom.iter().any(|(key, value)| after.custom.get(key) != Some(value)) {
        let values = row.custom.iter().map(|(key, value)| (key.clone(), value.clone()));
        Arc::make_mut(&mut after.custom).extend(values);
    }
    after.raw_data = Some(RawData::Read(row.raw_data.clone()));
    after
}

/// The stored values win, where there are any.
fn fill(contact: &Contact, row: &ImportRow) -> Contact {
    let mut after = contact.clone();
    for (stored, value) in after.fields.each_mut().into_iter().zip(row.fields.each()) {
        if stored.as_deref().is_none_or(str::is_empty) && value.is_some() {
            stored.clone_from(value);
        }
    }
    for (key, value) in &*row.custom {
        if after.custom.get(key).is_none_or(|stored| stored.is_null() || stored == "") {
            Arc::make_mut(&mut after.custom).insert(key.clone(), value.clone());
        }
    }
    after
}

/// Contacts as columns, as the statements take them.
#[derive(Default)]
struct Arrays<'a> {
    ids: Vec<ContactId>,
    fields: [Vec<Option<&'a str>>; 5],
    custom: Vec<Json<&'a Map<String, Value>>>,
    raw_data: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Arrays<'a> {
    fn of(contacts: impl Iterator<Item = &'a Contact>) -> Self {
        let mut arrays = Self::default();
        for contact in contacts {
            arrays.ids.push(contact.id);
            for (array, field) in arrays.fields.iter_mut().zip(contact.fields.each()) {
                array.push(field.as_deref());
            }
            arrays.custom.push(Json(&contact.custom));
            arrays.raw_data.push(contact.raw_data.as_ref().map(RawData::text));
        }
        arrays
    }
}

/// Inserts the contacts that are not there, by address. Those that somebody else has made meanwhile are taken out of `made`.
async fn insert(
    tx: &Tx,
    origin: Origin,
    pending: &BTreeMap<String, Vec<ImportRow>>,
    made: &mut BTreeMap<String, Merged>,
) -> Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let emails: Vec<&str> =
        made.keys().filter_map(|address| Some(pending.get(address)?.first()?.email.as_str())).collect();
    let Arrays { ids, fields: [name, first_name, last_name, company, timezone], custom, raw_data } =
        Arrays::of(made.values().map(|merged| &merged.contact));
    let inserted = tx
        .query(
            include_str!("insert_contacts.sql"),
            &[
                &tx.organization()?,
                &origin.import,
                &ids,
                &emails,
                &name,
                &first_name,
                &last_name,
                &company,
                &timezone,
                &custom,
                &raw_data,
            ],
        )
        .await?;
    let inserted = inserted.iter().map(|row| Ok(row.try_get("email_lower")?)).collect::<Result<HashSet<String>>>()?;
    if inserted.len() < made.len() {
        made.retain(|address, _| inserted.contains(address));
    }
    Ok(())
}

/// Writes the contacts that changed. They are locked.
async fn update(tx: &Tx, merged: impl Iterator<Item = &Merged>) -> Result<()> {
    let Arrays { ids, fields: [name, first_name, last_name, company, timezone], custom, raw_data } =
        Arrays::of(merged.filter(|merged| merged.changed).map(|merged| &merged.contact));
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
async fn remember(tx: &Tx, origin: Origin, ids: impl Iterator<Item = ContactId>) -> Result<()> {
    let ids: Vec<ContactId> = ids.collect();
    if !ids.is_empty() {
        tx.execute(include_str!("insert_matches.sql"), &[&tx.organization()?, &origin.import, &ids]).await?;
    }
    Ok(())
}

/// Puts contacts on the import's list.
async fn join(tx: &Tx, origin: Origin, ids: impl Iterator<Item = ContactId>) -> Result<()> {
    let Some(list) = origin.list else { return Ok(()) };
    let ids: Vec<ContactId> = ids.collect();
    if !ids.is_empty() {
        tx.execute(include_str!("insert_members.sql"), &[&tx.organization()?, &list, &ids]).await?;
    }
    Ok(())
}
