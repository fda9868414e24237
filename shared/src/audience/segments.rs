//! Segments: who is meant, said by conditions instead of names. Everybody for whom they hold at the moment of asking is in it.
//!
//! The conditions are a tree (`tree`), written as text by people (`text`) and as JSON by programs (`json`), compiled to SQL
//! (`compiling`) and asked (`selecting`). The lists and searches of contacts are asked in the same way.

pub mod compiling;
pub mod fields;
pub mod json;
pub mod selecting;
pub mod text;
pub mod tree;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;

use self::compiling::Question;
use self::tree::Tree;
use super::contacts::Contact;
use crate::error::violated_constraint;
use crate::fields::{Fields, patched};
use crate::{Error, Result, SegmentId, Tx};

/// Characters of a segment's name.
const NAME_MAXIMUM: usize = 200;
/// Characters of a segment's description.
const DESCRIPTION_MAXIMUM: usize = 2_000;
/// People that a preview shows.
const PREVIEW: i64 = 20;

/// A segment as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// Its name, which no other segment of the organization has.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who is meant, as a tree.
    pub tree: Tree,
    /// The same as text.
    pub text: String,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// A segment's fields as a caller gives them, not checked yet: absent ones are `None`, those that are null `Some(None)`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentFields {
    /// The name. Needed for a new segment.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(min = 1, max = NAME_MAXIMUM))]
    pub name: Option<Option<String>>,
    /// What it is for.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = DESCRIPTION_MAXIMUM))]
    pub description: Option<Option<String>>,
    /// Who is meant, as a tree. A new segment needs this or `text`, and never both.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub tree: Option<Value>,
    /// Who is meant, as text.
    #[schemars(length(max = text::TEXT_MAXIMUM))]
    pub text: Option<String>,
}

/// Who is in a segment at this moment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SegmentPreview")]
pub struct Preview {
    /// How many people are in it.
    pub count: i64,
    /// The newest of them, up to 20.
    pub data: Vec<Contact>,
}

/// How many people are in a segment at this moment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SegmentCount")]
pub struct Count {
    /// How many.
    pub count: i64,
}

/// Makes a segment.
///
/// Errors: [`Error::Invalid`], also for what its conditions name and is not there; [`Error::Conflict`] (`segment_name_taken`).
pub async fn create(tx: &Tx, given: SegmentFields) -> Result<Segment> {
    let (name, description, tree) = given.check()?;
    let mut missing = Fields::default();
    if name.is_none() {
        missing.refuse("name", "required", "name is needed");
    }
    if tree.is_none() {
        missing.refuse("tree", "required", "tree or text is needed");
    }
    missing.finish()?;
    let (Some(name), Some((field, tree))) = (name, tree) else {
        return Err(Error::internal("a segment has a name and a tree"));
    };
    resolve(tx, field, &tree).await?;
    let row = tx
        .query_opt(
            include_str!("segments/insert.sql"),
            &[&tx.organization()?, &SegmentId::fresh(), &name, &description.flatten(), &json::write(&tree)],
        )
        .await?;
    row.ok_or_else(name_taken).and_then(|row| from_row(&row))
}

/// One segment.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: SegmentId) -> Result<Segment> {
    let row = tx.query_opt(include_str!("segments/find.sql"), &[&id]).await?.ok_or(Error::not_found("segment"))?;
    from_row(&row)
}

/// The newest segments, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<SegmentId>, limit: i64) -> Result<Vec<Segment>> {
    tx.query(include_str!("segments/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Changes the fields that are given. A campaign that was activated has its people already; a draft will have those of then.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] (`segment_name_taken`).
pub async fn update(tx: &Tx, id: SegmentId, given: SegmentFields) -> Result<Segment> {
    let (name, description, tree) = given.check()?;
    tx.query_opt(include_str!("segments/lock.sql"), &[&id]).await?.ok_or(Error::not_found("segment"))?;
    if let Some((field, tree)) = &tree {
        resolve(tx, field, tree).await?;
    }
    let tree = tree.map(|(_, tree)| json::write(&tree));
    let updated = tx
        .query_one(
            include_str!("segments/update.sql"),
            &[&id, &name, &description.is_some(), &description.flatten(), &tree],
        )
        .await;
    match updated {
        Ok(row) => from_row(&row),
        Err(error) if violated_constraint(&error) == Some("segments_name_key") => Err(name_taken()),
        Err(error) => Err(error),
    }
}

/// Deletes a segment; its people stay. As with lists, a campaign takes its audience from it when it is activated and never looks
/// at it again, so it is in use while a campaign that names it is a draft or being activated.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`segment_in_use`).
pub async fn delete(tx: &Tx, id: SegmentId) -> Result<()> {
    tx.query_opt(include_str!("segments/lock.sql"), &[&id]).await?.ok_or(Error::not_found("segment"))?;
    // Looked at after the lock: who wants to use the segment from here on waits, and finds it gone.
    if tx.query_one(include_str!("segments/is_in_use.sql"), &[&id]).await?.try_get("is_in_use")? {
        return Err(Error::conflict("segment_in_use", "a campaign that is not activated yet uses this segment"));
    }
    tx.execute(include_str!("segments/delete.sql"), &[&id]).await?;
    Ok(())
}

/// How many people are in a segment at this moment.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`segment_broken`).
pub async fn count(tx: &Tx, id: SegmentId) -> Result<Count> {
    let question = question(tx, id).await?;
    Ok(Count { count: selecting::count(tx, &question).await? })
}

/// How many people are in a segment at this moment, and the newest of them.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`segment_broken`).
pub async fn preview(tx: &Tx, id: SegmentId) -> Result<Preview> {
    preview_of(tx, &question(tx, id).await?).await
}

/// The same of conditions that no segment has yet.
///
/// Errors: [`Error::Invalid`].
pub async fn preview_filter(tx: &Tx, filter: &str) -> Result<Preview> {
    let tree = read_text("filter", filter)?;
    preview_of(tx, &resolve(tx, "filter", &tree).await?).await
}

async fn preview_of(tx: &Tx, question: &Question) -> Result<Preview> {
    let data = selecting::page(tx, question, None, PREVIEW).await?;
    Ok(Preview { count: selecting::count(tx, question).await?, data })
}

/// The newest people of a segment, at most `limit`, older than `before`.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`segment_broken`).
pub async fn members(tx: &Tx, id: SegmentId, before: Option<crate::ContactId>, limit: i64) -> Result<Vec<Contact>> {
    let question = question(tx, id).await?;
    selecting::page(tx, &question, before, limit).await
}

/// What a stored segment asks. What it names by its name may be gone, or be called otherwise now: then it means nobody until
/// somebody has looked at it, and not everybody else.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`segment_broken`).
pub async fn question(tx: &Tx, id: SegmentId) -> Result<Question> {
    let segment = find(tx, id).await?;
    let question = compiling::resolve(tx, &segment.tree).await?;
    question
        .map_err(|wrong| Error::conflict("segment_broken", format!("the segment can't be asked: {}", wrong.message)))
}

/// Reads the text form that a request has in this field.
///
/// Errors: [`Error::Invalid`] with the place of the mistake.
pub fn read_text(field: &str, text: &str) -> Result<Tree> {
    text::parse(text).map_err(|mistake| Error::invalid(field, mistake.code, mistake.to_string()))
}

/// Resolves the conditions that a request has in this field.
///
/// Errors: [`Error::Invalid`] for what they name and is not there.
pub async fn resolve(tx: &Tx, field: &str, tree: &Tree) -> Result<Question> {
    let question = compiling::resolve(tx, tree).await?;
    question.map_err(|wrong| Error::invalid(field, wrong.code, wrong.message))
}

fn name_taken() -> Error {
    Error::conflict("segment_name_taken", "another segment has this name")
}

/// Name, description, and the tree with the field that it came in.
type Checked = (Option<String>, Option<Option<String>>, Option<(&'static str, Tree)>);

impl SegmentFields {
    fn check(self) -> Result<Checked> {
        let mut fields = Fields::default();
        let name =
            self.name.map(|name| fields.required_line("name", name.as_deref().unwrap_or_default(), NAME_MAXIMUM));
        let description = self.description.map(|text| fields.text("description", text.as_deref(), DESCRIPTION_MAXIMUM));
        let tree = match (self.tree.filter(|tree| !tree.is_null()), self.text) {
            (Some(_), Some(_)) => {
                fields.refuse("text", "ambiguous", "tree or text, and not both");
                None
            }
            (Some(tree), None) => match json::read("tree", &tree) {
                Ok(tree) => Some(("tree", tree)),
                Err(error) => {
                    fields.refuse(&error.field, error.code, error.message);
                    None
                }
            },
            (None, Some(text)) => match text::parse(&text) {
                Ok(tree) => Some(("text", tree)),
                Err(mistake) => {
                    fields.refuse("text", mistake.code, mistake.to_string());
                    None
                }
            },
            (None, None) => None,
        };
        fields.finish()?;
        Ok((name, description, tree))
    }
}

fn from_row(row: &Row) -> Result<Segment> {
    let tree = json::read("tree", &row.try_get("tree")?).map_err(|error| Error::internal(error.message))?;
    Ok(Segment {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        text: tree.to_string(),
        tree,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

#[cfg(test)]
mod tests;
