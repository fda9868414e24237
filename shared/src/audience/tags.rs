//! Tags: short names that contacts have, as many as fit.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::{ContactId, Error, Result, TagId, Tx};

/// Characters of a tag's name.
pub const NAME_MAXIMUM: usize = 100;
/// Tags of an organization: more of them are a custom field's values.
pub const TAGS_MAXIMUM: i64 = 1_000;
/// Tags that one request may give a contact.
pub const GIVE_MAXIMUM: usize = 100;

/// A tag as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Tag {
    /// Its id.
    pub id: TagId,
    /// Its name, which no other tag of the organization has in any case of its ASCII letters.
    pub name: String,
    /// How many contacts have it; where tags are listed, 10,000 at most.
    pub contact_count: i64,
    /// Whether more have it than that: the tag itself says how many.
    pub has_more_contacts: bool,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last renamed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// A tag that a contact has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagOfContact {
    /// The tag.
    pub id: TagId,
    /// Its name.
    pub name: String,
}

/// Makes a tag.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`tag_name_taken`, `too_many_tags`).
pub async fn create(tx: &Tx, name: &str) -> Result<Tag> {
    let name = checked(name)?;
    // Of two that make the last tag the second counts that of the first.
    tx.query(include_str!("tags/take_turn.sql"), &[&tx.organization()?]).await?;
    if tx.query_one(include_str!("tags/count.sql"), &[]).await?.try_get::<_, i64>("tags")? >= TAGS_MAXIMUM {
        let message =
            format!("an organization has {TAGS_MAXIMUM} tags at most; what has many values is a custom field");
        return Err(Error::conflict("too_many_tags", message));
    }
    let row = tx.query_opt(include_str!("tags/insert.sql"), &[&tx.organization()?, &TagId::fresh(), &name]).await?;
    row.ok_or_else(name_taken).and_then(|row| from_row(&row))
}

/// One tag.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: TagId) -> Result<Tag> {
    let row = tx.query_opt(include_str!("tags/find.sql"), &[&id]).await?.ok_or(Error::not_found("tag"))?;
    from_row(&row)
}

/// What a tag is called.
///
/// Errors: [`Error::NotFound`].
pub async fn find_name(tx: &Tx, id: TagId) -> Result<String> {
    let row = tx.query_opt(include_str!("tags/find_name.sql"), &[&id]).await?.ok_or(Error::not_found("tag"))?;
    Ok(row.try_get("name")?)
}

/// Keeps a tag from being deleted while contacts get it or lose it.
pub(super) async fn keep(tx: &Tx, id: TagId) -> Result<()> {
    match tx.query(include_str!("tags/hold.sql"), &[&[id].as_slice()]).await?.is_empty() {
        true => Err(Error::not_found("tag")),
        false => Ok(()),
    }
}

/// The newest tags, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<TagId>, limit: i64) -> Result<Vec<Tag>> {
    tx.query(include_str!("tags/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Gives a tag another name.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] (`tag_name_taken`).
pub async fn rename(tx: &Tx, id: TagId, name: &str) -> Result<Tag> {
    let name = checked(name)?;
    match tx.execute(include_str!("tags/rename.sql"), &[&id, &name]).await {
        Ok(_) => find(tx, id).await,
        Err(error) if violated_constraint(&error) == Some("tags_name_key") => Err(name_taken()),
        Err(error) => Err(error),
    }
}

/// Deletes a tag, which takes it from whoever has it.
///
/// Errors: [`Error::NotFound`].
pub async fn delete(tx: &Tx, id: TagId) -> Result<()> {
    match tx.execute(include_str!("tags/delete.sql"), &[&id]).await? {
        0 => Err(Error::not_found("tag")),
        _ => Ok(()),
    }
}

/// The tags of a contact, by name.
pub async fn of_contact(tx: &Tx, contact: ContactId) -> Result<Vec<TagOfContact>> {
    let rows = tx.query(include_str!("tags/of_contact.sql"), &[&contact]).await?;
    rows.iter().map(|row| Ok(TagOfContact { id: row.try_get("id")?, name: row.try_get("name")? })).collect()
}

/// Gives a contact tags, at most [`GIVE_MAXIMUM`] at once, all of them or none, and returns what it has then. A tag that it has
/// already stays.
///
/// Errors: [`Error::NotFound`] for the contact, [`Error::Invalid`] for a tag that is none.
pub async fn give(tx: &Tx, contact: ContactId, tags: &[TagId]) -> Result<Vec<TagOfContact>> {
    if !(1..=GIVE_MAXIMUM).contains(&tags.len()) {
        return Err(Error::invalid("tag_ids", "out_of_range", "tag_ids has 1 to 100 ids"));
    }
    let mut asked = tags.to_vec();
    asked.sort_unstable();
    asked.dedup();
    // The contact before the tags; neither is deleted while the one gets the others.
    tx.query_opt(include_str!("tags/hold_contact.sql"), &[&contact]).await?.ok_or(Error::not_found("contact"))?;
    let found = tx.query(include_str!("tags/hold.sql"), &[&asked]).await?;
    if found.len() < asked.len() {
        return Err(Error::invalid("tag_ids", "unknown_tag", "one of the tags is not there"));
    }
    tx.execute(include_str!("tags/give.sql"), &[&tx.organization()?, &contact, &asked]).await?;
    of_contact(tx, contact).await
}

/// Takes a tag from a contact.
///
/// Errors: [`Error::NotFound`] when it has it not.
pub async fn take(tx: &Tx, contact: ContactId, tag: TagId) -> Result<()> {
    match tx.execute(include_str!("tags/take.sql"), &[&contact, &tag]).await? {
        0 => Err(Error::not_found("tag of the contact")),
        _ => Ok(()),
    }
}

fn checked(name: &str) -> Result<String> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", name, NAME_MAXIMUM);
    fields.finish()?;
    Ok(name)
}

fn name_taken() -> Error {
    Error::conflict("tag_name_taken", "another tag has this name")
}

fn from_row(row: &Row) -> Result<Tag> {
    Ok(Tag {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        contact_count: row.try_get("contact_count")?,
        has_more_contacts: row.try_get("has_more_contacts")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
