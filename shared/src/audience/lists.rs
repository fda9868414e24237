//! Lists: named groups of contacts, the audience of a campaign until it is activated.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::contacts::{self, Contact};
use crate::error::violated_constraint;
use crate::fields::{Fields, patched};
use crate::platform::plans::{self, Limit};
use crate::{ContactId, Error, ListId, Result, Tx};

/// Characters of a list's name.
const NAME_MAXIMUM: usize = 200;
/// Characters of a list's description.
const DESCRIPTION_MAXIMUM: usize = 2_000;
/// Contacts that one request may add.
pub const ADD_MAXIMUM: usize = 1_000;

/// A list as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct List {
    /// Its id.
    pub id: ListId,
    /// Its name, which no other list of the organization has.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many contacts are on it; where lists are listed, 10,000 at most.
    pub member_count: i64,
    /// Whether there are more than that: the list itself says how many.
    pub has_more_members: bool,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When its name or description was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// A list's fields as a caller gives them, not checked yet: absent ones are `None`, those that are null `Some(None)`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListFields {
    /// The name. Needed for a new list.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(min = 1, max = NAME_MAXIMUM))]
    pub name: Option<Option<String>>,
    /// What it is for.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = DESCRIPTION_MAXIMUM))]
    pub description: Option<Option<String>>,
}

/// Who is to be put on a list: contacts by their ids, by their addresses, or some by either.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MembersToAdd")]
pub struct NewMembers {
    /// By id. With the addresses 1 to 1,000.
    #[schemars(length(max = ADD_MAXIMUM))]
    pub contact_ids: Vec<ContactId>,
    /// By address, in any case. Nobody is made of an address that no contact has.
    #[schemars(length(max = ADD_MAXIMUM))]
    pub emails: Vec<String>,
}

/// What became of the contacts that were to be added.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Added {
    /// How many are on the list now and were not before.
    pub added: usize,
    /// How many were on it already.
    pub already: usize,
    /// Ids that no contact of the organization has.
    pub unknown: Vec<ContactId>,
    /// Addresses that no contact of the organization has, in small letters.
    pub unknown_emails: Vec<String>,
}

/// Makes a list.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`list_name_taken`, `plan_limit_reached`).
pub async fn create(tx: &Tx, given: ListFields) -> Result<List> {
    let (name, description) = given.check()?;
    let Some(name) = name else {
        return Err(Error::invalid("name", "required", "name is needed"));
    };
    plans::check(tx, Limit::Lists).await?;
    let row = tx
        .query_opt(
            include_str!("lists/insert.sql"),
            &[&tx.organization()?, &ListId::fresh(), &name, &description.flatten()],
        )
        .await?;
    row.ok_or_else(name_taken).and_then(|row| from_row(&row))
}

/// One list.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: ListId) -> Result<List> {
    let row = tx.query_opt(include_str!("lists/find.sql"), &[&id]).await?.ok_or(Error::not_found("list"))?;
    from_row(&row)
}

/// What a list is called.
///
/// Errors: [`Error::NotFound`].
pub async fn find_name(tx: &Tx, id: ListId) -> Result<String> {
    let row = tx.query_opt(include_str!("lists/find_name.sql"), &[&id]).await?.ok_or(Error::not_found("list"))?;
    Ok(row.try_get("name")?)
}

/// The newest lists, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<ListId>, limit: i64) -> Result<Vec<List>> {
    tx.query(include_str!("lists/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Changes the fields that are given.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] (`list_name_taken`).
pub async fn update(tx: &Tx, id: ListId, given: ListFields) -> Result<List> {
    let (name, description) = given.check()?;
    let updated = tx
        .execute(include_str!("lists/update.sql"), &[&id, &name, &description.is_some(), &description.flatten()])
        .await;
    match updated {
        Ok(_) => find(tx, id).await,
        Err(error) if violated_constraint(&error) == Some("lists_name_key") => Err(name_taken()),
        Err(error) => Err(error),
    }
}

/// Deletes a list; its contacts stay.
///
/// A campaign takes its audience from the list when it is activated, and never looks at it again. So a list is in use
/// while a campaign that names it is a draft or being activated, while a file is being imported into it, and while a lead form puts
/// people on it. What is suppressed for the list goes with it, so it is in use as well while a campaign that still sends must know that.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`list_in_use`).
pub async fn delete(tx: &Tx, id: ListId) -> Result<()> {
    tx.query_opt(include_str!("lists/lock.sql"), &[&id]).await?.ok_or(Error::not_found("list"))?;
    // Looked at after the lock: who wants to use the list from here on waits, and finds it gone.
    if tx.query_one(include_str!("lists/is_in_use.sql"), &[&id]).await?.try_get("is_in_use")? {
        return Err(Error::conflict(
            "list_in_use",
            "this list is used by a campaign that is not activated yet, by an import or a lead form, or by a campaign under way that must not write \
             to those who are suppressed for the list",
        ));
    }
    tx.execute(include_str!("lists/delete.sql"), &[&id]).await?;
    Ok(())
}

/// The newest members of a list, at most `limit`, older than `before`.
///
/// Errors: [`Error::NotFound`] for the list.
pub async fn members(tx: &Tx, id: ListId, before: Option<ContactId>, limit: i64) -> Result<Vec<Contact>> {
    ensure(tx, id).await?;
    let filter = contacts::Filter { list_id: Some(id), ..contacts::Filter::default() };
    contacts::list(tx, &filter, before, limit).await
}

/// Puts contacts on a list, at most [`ADD_MAXIMUM`] at once, all of them or none. Who is named twice counts once.
///
/// Errors: [`Error::NotFound`] for the list, [`Error::Invalid`], [`Error::Conflict`] (`plan_limit_reached`).
pub async fn add_members(tx: &Tx, id: ListId, members: NewMembers) -> Result<Added> {
    let (mut asked, mut addresses) = members.check()?;
    ensure(tx, id).await?;
    for row in &tx.query(include_str!("lists/find_by_emails.sql"), &[&Vec::from_iter(&addresses)]).await? {
        asked.insert(row.try_get("id")?);
        addresses.remove(row.try_get::<_, &str>("email_lower")?);
    }
    let mut asked = Vec::from_iter(asked);
    let room = plans::room(tx, id).await?;
    let rows = tx.query(include_str!("lists/add_members.sql"), &[&tx.organization()?, &id, &asked]).await?;
    let mut known = HashSet::new();
    let mut added = 0;
    for row in &rows {
        known.insert(row.try_get::<_, ContactId>("id")?);
        added += usize::from(row.try_get::<_, bool>("is_added")?);
    }
    if let Some(room) = room.filter(|room| usize::try_from(room.left).is_ok_and(|left| added > left)) {
        return Err(room.reached());
    }
    asked.retain(|id| !known.contains(id));
    let unknown_emails = addresses.into_iter().collect();
    Ok(Added { added, already: rows.len() - added, unknown: asked, unknown_emails })
}

/// Takes a contact off a list.
///
/// Errors: [`Error::NotFound`] when it is not on it.
pub async fn remove_member(tx: &Tx, id: ListId, contact: ContactId) -> Result<()> {
    match tx.execute(include_str!("lists/remove_member.sql"), &[&id, &contact]).await? {
        0 => Err(Error::not_found("member of the list")),
        _ => Ok(()),
    }
}

/// Keeps a list from being deleted while its members change.
pub(super) async fn ensure(tx: &Tx, id: ListId) -> Result<()> {
    tx.query_opt(include_str!("lists/keep.sql"), &[&id]).await?.ok_or(Error::not_found("list"))?;
    Ok(())
}

impl NewMembers {
    /// The ids and the addresses in small letters, each once.
    fn check(self) -> Result<(BTreeSet<ContactId>, BTreeSet<String>)> {
        let Self { contact_ids, emails } = self;
        if !(1..=ADD_MAXIMUM).contains(&(contact_ids.len() + emails.len())) {
            let message = "contact_ids and emails have 1 to 1000 entries together";
            return Err(Error::invalid("contact_ids", "out_of_range", message));
        }
        let mut fields = Fields::default();
        let mut addresses = BTreeSet::new();
        for (n, text) in emails.iter().enumerate() {
            addresses.extend(fields.email(&format!("emails[{n}]"), text.trim()).map(|email| email.lower()));
        }
        fields.finish()?;
        Ok((contact_ids.into_iter().collect(), addresses))
    }
}

fn name_taken() -> Error {
    Error::conflict("list_name_taken", "another list has this name")
}

impl ListFields {
    fn check(self) -> Result<(Option<String>, Option<Option<String>>)> {
        let mut fields = Fields::default();
        let name = self.name.map(|name| fields.required_line("name", &name.unwrap_or_default(), NAME_MAXIMUM));
        let description = self.description.map(|text| fields.text("description", text.as_deref(), DESCRIPTION_MAXIMUM));
        fields.finish()?;
        Ok((name, description))
    }
}

fn from_row(row: &Row) -> Result<List> {
    Ok(List {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        member_count: row.try_get("member_count")?,
        has_more_members: row.try_get("has_more_members")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
