//! Custom fields that an organization has defined: what a key of [`custom`](super::contacts::Contact::custom) means.
//!
//! The values stay where they are, also those of keys that nobody has defined. Those of a defined field that are of its type also
//! stand in `custom_values`, in a column of that type, by which contacts can be selected; triggers keep them there, whoever
//! writes a contact. What was there before the definition is filled in by a job, and the field is `filling` until that has
//! ended.

pub mod filling;

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use tokio_postgres::Row;

use super::contacts::is_custom_key;
use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::platform::jobs::{self, Job, JobKind};
use crate::{CustomFieldId, Error, Result, Tx};

/// Characters of a field's name.
pub const NAME_MAXIMUM: usize = 200;
/// Fields that an organization may define: each of them makes every contact that has it a row longer.
pub const FIELDS_MAXIMUM: i64 = 50;
/// Bytes of a text that contacts can be selected by: an index holds no longer one. The migration has the same number.
const TEXT_MAXIMUM: usize = 2_000;

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CustomFieldType")]
pub enum Type {
    /// Text of 1 to 2,000 bytes.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A day, as `2026-03-04`.
    Date,
}

impl Type {
    /// The type's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        match name {
            "text" => Ok(Self::Text),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            "date" => Ok(Self::Date),
            other => Err(Error::internal(format!("unknown type of a custom field: {other}"))),
        }
    }

    /// Whether a value that is given by itself, not by a file of texts, is of the type.
    fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(text)) => (1..=TEXT_MAXIMUM).contains(&text.len()),
            (Self::Number, Value::Number(number)) => number.as_f64().is_some_and(f64::is_finite),
            (Self::Boolean, Value::Bool(_)) => true,
            // Chrono alone would take a day without its zeros, or with a sign.
            (Self::Date, Value::String(text)) => text.parse::<NaiveDate>().is_ok_and(|day| day.to_string() == *text),
            _ => false,
        }
    }

    /// A value that pages and programs send: it is of the type, or a text that says just that.
    pub(super) fn read(self, value: &Value) -> Option<Value> {
        if self.admits(value) {
            return Some(value.clone());
        }
        let text = value.as_str()?.trim();
        let read = match self {
            Self::Text | Self::Date => return None,
            Self::Number => match text.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)?,
            },
            Self::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => true.into(),
                "false" | "off" | "no" | "0" => false.into(),
                _ => return None,
            },
        };
        Some(read)
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Text => "a text of 1 to 2000 bytes",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a day as 2026-03-04",
        }
    }
}

/// A defined field as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomField {
    /// Its id.
    pub id: CustomFieldId,
    /// The key in a contact's custom fields.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: Type,
    /// `filling` until the values that were there before it can be selected by, then `ready`.
    pub state: String,
    /// When it was defined.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last renamed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// A field to define.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomField {
    /// The key in a contact's custom fields: up to 64 letters, digits and `_`, not beginning with a digit.
    pub key: String,
    /// What it is called; the key unless it is given.
    #[schemars(length(min = 1, max = NAME_MAXIMUM))]
    pub name: Option<String>,
    /// What its values are, for good.
    #[serde(rename = "type")]
    pub kind: Type,
}

/// Defines a field, and makes the job that fills it with what is there already; that is to be enqueued once this is committed.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`custom_field_exists`, `too_many_custom_fields`).
pub async fn create(tx: &Tx, given: NewCustomField) -> Result<(CustomField, Job)> {
    let mut fields = Fields::default();
    if !is_custom_key(&given.key) {
        fields.refuse("key", "invalid_key", "a key has up to 64 letters, digits and _, and starts with no digit");
    }
    let name = fields.required_line("name", given.name.as_deref().unwrap_or(&given.key), NAME_MAXIMUM);
    fields.finish()?;
    hold_alone(tx).await?;
    if tx.query_one(include_str!("custom_fields/count.sql"), &[]).await?.try_get::<_, i64>("fields")? >= FIELDS_MAXIMUM
    {
        let message = format!("an organization defines {FIELDS_MAXIMUM} custom fields at most");
        return Err(Error::conflict("too_many_custom_fields", message));
    }
    let id = CustomFieldId::fresh();
    let inserted = tx
        .query_one(
            include_str!("custom_fields/insert.sql"),
            &[&tx.organization()?, &id, &given.key, &name, &given.kind.name()],
        )
        .await;
    match inserted {
        Ok(row) => Ok((from_row(&row)?, jobs::create(tx, JobKind::CustomFieldFilling, id.0, None).await?)),
        Err(error) if violated_constraint(&error) == Some("custom_fields_key_key") => {
            Err(Error::conflict("custom_field_exists", "the key is defined already"))
        }
        Err(error) => Err(error),
    }
}

/// One field.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: CustomFieldId) -> Result<CustomField> {
    let row = tx.query_opt(include_str!("custom_fields/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("custom field"))?)
}

/// Every field that the organization has defined, by key.
pub async fn all(tx: &Tx) -> Result<Vec<CustomField>> {
    tx.query(include_str!("custom_fields/all.sql"), &[]).await?.iter().map(from_row).collect()
}

/// Gives a field another name. Its key and its type stay: with another type it is another field.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn rename(tx: &Tx, id: CustomFieldId, name: &str) -> Result<CustomField> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", name, NAME_MAXIMUM);
    fields.finish()?;
    tx.execute(include_str!("custom_fields/rename.sql"), &[&id, &name]).await?;
    find(tx, id).await
}

/// Deletes the definition of a field; the values of contacts stay where they are.
///
/// Errors: [`Error::NotFound`].
pub async fn delete(tx: &Tx, id: CustomFieldId) -> Result<()> {
    hold_alone(tx).await?;
    match tx.execute(include_str!("custom_fields/delete.sql"), &[&id]).await? {
        0 => Err(Error::not_found("custom field")),
        _ => Ok(()),
    }
}

/// Makes sure that given values are of their fields' types; null takes a value away, and keys that nobody has defined may have any.
///
/// Errors: [`Error::Invalid`] on `custom.<key>` (`wrong_type`).
pub(super) async fn check(tx: &Tx, given: &Map<String, Value>) -> Result<()> {
    if given.values().all(Value::is_null) {
        return Ok(());
    }
    let mut fields = Fields::default();
    for field in all(tx).await? {
        let value = given.get(&field.key).filter(|value| !value.is_null());
        if value.is_some_and(|value| !field.kind.admits(value)) {
            let message = format!("the field {} has {}", field.key, field.kind.sentence());
            fields.refuse(&format!("custom.{}", field.key), "wrong_type", message);
        }
    }
    fields.finish()
}

/// Keeps everybody else from writing contacts, or defining fields, until the transaction ends. Whoever writes contacts shares the
/// lock from their first statement on, and whoever comes here holds nothing yet.
async fn hold_alone(tx: &Tx) -> Result<()> {
    tx.query(include_str!("custom_fields/hold_alone.sql"), &[&tx.organization()?]).await?;
    Ok(())
}

fn from_row(row: &Row) -> Result<CustomField> {
    Ok(CustomField {
        id: row.try_get("id")?,
        key: row.try_get("key")?,
        name: row.try_get("name")?,
        kind: Type::parse(row.try_get("type")?)?,
        state: row.try_get("state")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_admits_its_own_values_alone() {
        let long = "x".repeat(TEXT_MAXIMUM + 1);
        let values = [
            (json!("a"), Some(Type::Text)),
            (json!("2026-02-28"), Some(Type::Date)),
            (json!(1.5), Some(Type::Number)),
            (json!(-3), Some(Type::Number)),
            (json!(false), Some(Type::Boolean)),
            (json!(""), None),
            (json!(long), None),
            (json!([1]), None),
            (json!({"a": 1}), None),
            (json!(null), None),
        ];
        for (value, of) in values {
            for kind in [Type::Text, Type::Number, Type::Boolean, Type::Date] {
                // A day is a text as well.
                let expected = of == Some(kind) || of == Some(Type::Date) && kind == Type::Text;
                assert_eq!(kind.admits(&value), expected, "{kind:?} {value}");
            }
        }
        for no_day in ["2026-02-30", "2026-2-28", "28.02.2026", "2026-02-28T00:00:00Z", "+2026-2-28"] {
            assert!(!Type::Date.admits(&json!(no_day)), "{no_day}");
        }
    }

    #[test]
    fn what_pages_send_is_read_where_it_says_just_that() {
        for (kind, sent, read) in [
            (Type::Number, json!("12"), Some(json!(12))),
            (Type::Number, json!(" -1.5 "), Some(json!(-1.5))),
            (Type::Number, json!(7), Some(json!(7))),
            (Type::Number, json!("inf"), None),
            (Type::Number, json!("NaN"), None),
            (Type::Number, json!("12 seats"), None),
            (Type::Number, json!(true), None),
            (Type::Boolean, json!("on"), Some(json!(true))),
            (Type::Boolean, json!("No"), Some(json!(false))),
            (Type::Boolean, json!("maybe"), None),
            (Type::Boolean, json!(1), None),
            (Type::Date, json!("2026-02-28"), Some(json!("2026-02-28"))),
            (Type::Date, json!("28.02.2026"), None),
            (Type::Text, json!("x"), Some(json!("x"))),
            (Type::Text, json!(1), None),
        ] {
            assert_eq!(kind.read(&sent), read, "{kind:?} {sent}");
        }
    }

    #[test]
    fn a_type_is_named_as_it_is_parsed() {
        for kind in [Type::Text, Type::Number, Type::Boolean, Type::Date] {
            assert_eq!(Type::parse(kind.name()).unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
