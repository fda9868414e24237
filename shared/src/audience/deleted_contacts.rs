//! The bin: contacts that were deleted lie here for a while, with everything that restoring them needs.
//!
//! Whoever comes here leaves [`contacts`](super::contacts): no statement on contacts can forget to leave them out, their address is
//! free, and what was on its way to them is stopped. What stays of a contact beside it (the ledger, suppressions) stays as ever.

pub mod emptying;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::contacts::{self, ContactInFull};
use super::suppressions;
use crate::delivery::stopping;
use crate::error::violated_constraint;
use crate::platform::plans;
use crate::{ContactId, Error, ListId, Result, Tx};

/// How long a contact lies in the bin: days of people's time.
pub const KEPT_DAYS: i64 = 30;

/// Why a contact lies in the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Somebody has deleted it.
    Deleted,
    /// Another one has taken its place.
    MergedInto(ContactId),
}

impl Reason {
    fn columns(self) -> (&'static str, Option<ContactId>) {
        match self {
            Self::Deleted => ("deleted", None),
            Self::MergedInto(winner) => ("merged", Some(winner)),
        }
    }
}

/// What lies in the bin, as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedContact {
    /// The contact's id, which it has again once it is restored.
    pub id: ContactId,
    /// Its address.
    pub email: String,
    /// Its whole name.
    pub name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Where the person works.
    pub company: Option<String>,
    /// `deleted` or `merged`.
    pub reason: String,
    /// The contact that has taken its place.
    pub merged_into: Option<ContactId>,
    /// When it was deleted.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub deleted_at: DateTime<Utc>,
    /// The user or API key that did it; null where a job did.
    pub deleted_by: Option<Uuid>,
    /// When it is gone for good.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub kept_until: DateTime<Utc>,
}

/// A place in the bin, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    deleted_at: DateTime<Utc>,
    id: ContactId,
}

impl DeletedContact {
    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { deleted_at: self.deleted_at, id: self.id }
    }
}

/// A contact that is back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Restored {
    /// The contact.
    #[serde(flatten)]
    pub contact: ContactInFull,
    /// Lists that it was on and that have no room left by the plan.
    pub full_lists: Vec<ListId>,
}

/// Puts contacts into the bin that are locked and whose ways are stopped; returns how many. All that refers to them in other tables
/// goes or is loosened as when a row is deleted.
pub(super) async fn put(tx: &Tx, ids: &[ContactId], reason: Reason, by: Option<Uuid>) -> Result<u64> {
    let (reason, merged_into) = reason.columns();
    tx.execute(include_str!("deleted_contacts/put.sql"), &[&ids, &reason, &merged_into, &tx.now(), &by]).await?;
    tx.execute(include_str!("deleted_contacts/delete_contacts.sql"), &[&ids]).await
}

/// Deletes those of these contacts that are there, at most a thousand or so at once, and returns how many they were: what is queued
/// for them is taken back first. `by` is the user or the key that asks.
pub async fn delete(tx: &Tx, ids: &[ContactId], by: Option<Uuid>) -> Result<u64> {
    let ids = lock_contacts(tx, ids).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    stopping::remove_contacts(tx, &ids).await?;
    put(tx, &ids, Reason::Deleted, by).await
}

/// Locks those of these contacts that are there, against being referred to as well, and returns them by ascending id.
pub(super) async fn lock_contacts(tx: &Tx, ids: &[ContactId]) -> Result<Vec<ContactId>> {
    let rows = tx.query(include_str!("deleted_contacts/lock_contacts.sql"), &[&ids]).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// One contact of the bin.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: ContactId) -> Result<DeletedContact> {
    let row = tx.query_opt(include_str!("deleted_contacts/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("deleted contact"))?)
}

/// What was deleted last, at most `limit`, after `after`.
pub async fn list(tx: &Tx, after: Option<Place>, limit: i64) -> Result<Vec<DeletedContact>> {
    let (at, id) = after.map_or((None, None), |place| (Some(place.deleted_at), Some(place.id)));
    tx.query(include_str!("deleted_contacts/list.sql"), &[&at, &id, &limit]).await?.iter().map(from_row).collect()
}

/// Takes a contact out of the bin for good, before its time.
///
/// Errors: [`Error::NotFound`].
pub async fn purge(tx: &Tx, id: ContactId) -> Result<()> {
    match tx.execute(include_str!("deleted_contacts/purge.sql"), &[&id]).await? {
        0 => Err(Error::not_found("deleted contact")),
        _ => Ok(()),
    }
}

/// Brings a contact back under its id, with its fields, tags and lists, its mails and answers, and its ways through campaigns as they
/// ended: whoever was in a campaign is never taken into it again.
///
/// Lists and tags that are gone meanwhile, and lists that are full, it comes back without.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`contact_exists`) while another contact has its address.
pub async fn restore(tx: &Tx, id: ContactId) -> Result<Restored> {
    // Lists come before contacts, and before what lies in the bin of these.
    let open = hold_lists(tx, &[id]).await?;
    let row = tx.query_opt(include_str!("deleted_contacts/lock.sql"), &[&id]).await?;
    let email_lower: String = row.ok_or(Error::not_found("deleted contact"))?.try_get("email_lower")?;
    if let Some(other) = contacts::find_id_by_lower(tx, &email_lower).await? {
        return Err(exists(Some(other)));
    }
    match tx.query(include_str!("deleted_contacts/restore_contact.sql"), &[&id]).await {
        Ok(_) => {}
        // Somebody made a contact with this address since we looked.
        Err(error) if violated_constraint(&error) == Some("contacts_email_key") => return Err(exists(None)),
        Err(error) => return Err(error),
    }
    suppressions::mark_contact(tx, id, &email_lower).await?;
    hand_over(tx, id, id, &open.lists).await?;
    purge(tx, id).await?;
    Ok(Restored { contact: contacts::find(tx, id).await?, full_lists: open.full })
}

/// The lists that contacts of the bin were on.
pub(super) struct OpenLists {
    /// Those that are there and have room for one contact.
    pub(super) lists: Vec<ListId>,
    /// Those that have none.
    pub(super) full: Vec<ListId>,
}

/// Keeps the lists that these contacts of the bin were on from being deleted, in ascending order, and tells which have room.
pub(super) async fn hold_lists(tx: &Tx, ids: &[ContactId]) -> Result<OpenLists> {
    let rows = tx.query(include_str!("deleted_contacts/hold_lists.sql"), &[&ids]).await?;
    let (mut lists, mut full) = (Vec::new(), Vec::new());
    for row in &rows {
        let list = row.try_get("id")?;
        match plans::room(tx, list).await? {
            Some(room) if room.left < 1 => full.push(list),
            _ => lists.push(list),
        }
    }
    Ok(OpenLists { lists, full })
}

/// Gives `to`, a contact, what its snapshot in the bin says that `from` had: lists among these, tags, what was agreed to, ways through
/// campaigns in which it is not yet, messages and replies that belong to nobody.
pub(super) async fn hand_over(tx: &Tx, from: ContactId, to: ContactId, lists: &[ListId]) -> Result<()> {
    tx.execute(include_str!("deleted_contacts/hand_over_lists.sql"), &[&from, &to, &lists]).await?;
    tx.execute(include_str!("deleted_contacts/hand_over_tags.sql"), &[&from, &to]).await?;
    tx.execute(include_str!("deleted_contacts/hand_over_leads.sql"), &[&from, &to]).await?;
    tx.execute(include_str!("deleted_contacts/hand_over_enrollments.sql"), &[&from, &to]).await?;
    tx.execute(include_str!("deleted_contacts/hand_over_messages.sql"), &[&from, &to]).await?;
    tx.execute(include_str!("deleted_contacts/hand_over_replies.sql"), &[&from, &to]).await?;
    Ok(())
}

fn exists(other: Option<ContactId>) -> Error {
    let who = other.map_or_else(|| "another contact".to_owned(), |id| format!("the contact {id}"));
    Error::conflict("contact_exists", format!("{who} has this address now; merge the deleted contact into it instead"))
}

fn from_row(row: &Row) -> Result<DeletedContact> {
    let kept: Value = row.try_get("contact")?;
    let text = |name: &str| kept[name].as_str().map(str::to_owned);
    let deleted_at: DateTime<Utc> = row.try_get("deleted_at")?;
    Ok(DeletedContact {
        id: row.try_get("id")?,
        email: text("email").unwrap_or_default(),
        name: text("name"),
        first_name: text("first_name"),
        last_name: text("last_name"),
        company: text("company"),
        reason: row.try_get("reason")?,
        merged_into: row.try_get("merged_into")?,
        deleted_at,
        deleted_by: row.try_get("deleted_by")?,
        kept_until: deleted_at + chrono::Duration::days(KEPT_DAYS),
    })
}
