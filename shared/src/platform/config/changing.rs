//! Changing a setting: checked, kept with what it was before, and in force for the next transaction.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::registry::{Bounds, Definition, definition};
use super::values::read_value;
use crate::platform::administration;
use crate::{Error, Result, Tx, UserId};

/// A setting as administrators see it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Setting {
    /// What it belongs to.
    pub category: String,
    /// Its name there.
    pub key: String,
    /// `number`, `boolean`, `duration`, `json` or `string`.
    pub value_type: String,
    /// What it is: a number, a boolean, JSON, or a text; a duration is a text such as `2 days`.
    pub value: Value,
    /// What it is at first.
    pub default: Value,
    /// The least that it may be; null where there is no such bound.
    pub minimum: Option<Value>,
    /// The most that it may be.
    pub maximum: Option<Value>,
    /// What it is for.
    pub description: String,
    /// When it was last set, or made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What was once set.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Change {
    /// Its id.
    pub id: Uuid,
    /// What it was before.
    pub before: Value,
    /// What it was set to.
    pub after: Value,
    /// Who did it, while they have an account.
    pub changed_by: Option<UserId>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// When it was done.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Every setting, in the order of their names. What only a later release knows is left out.
pub async fn list(tx: &Tx) -> Result<Vec<Setting>> {
    let rows = tx.query(include_str!("list.sql"), &[]).await?;
    let mut settings = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(known) = definition(row.try_get("category")?, row.try_get("key")?) {
            settings.push(from_row(known, row)?);
        }
    }
    Ok(settings)
}

/// One setting.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, category: &str, key: &str) -> Result<Setting> {
    let known = known(category, key)?;
    let row = tx.query_opt(include_str!("find.sql"), &[&category, &key]).await?;
    from_row(known, &row.ok_or(missing())?)
}

/// Sets a setting. To set what it is already changes nothing and is not kept.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`] about `value`.
pub async fn set(
    tx: &Tx,
    category: &str,
    key: &str,
    value: &Value,
    changed_by: UserId,
    request_id: Option<&str>,
) -> Result<Setting> {
    let known = known(category, key)?;
    let after = known.check(value)?;
    let row = tx.query_opt(include_str!("lock.sql"), &[&category, &key]).await?.ok_or(missing())?;
    let before: String = row.try_get("value")?;
    if before == after {
        return from_row(known, &row);
    }
    tx.execute(
        include_str!("insert_change.sql"),
        &[&crate::ids::fresh(), &category, &key, &before, &after, &changed_by, &request_id],
    )
    .await?;
    let details = json!({"category": category, "key": key, "before": before, "after": after});
    administration::record(tx, Some(changed_by), "setting.changed", None, &details, request_id).await?;
    from_row(known, &tx.query_one(include_str!("set.sql"), &[&category, &key, &after]).await?)
}

/// What was set, the latest first, at most `limit`, older than `before`.
///
/// Errors: [`Error::NotFound`].
pub async fn history(tx: &Tx, category: &str, key: &str, before: Option<Uuid>, limit: i64) -> Result<Vec<Change>> {
    let known = known(category, key)?;
    let rows = tx.query(include_str!("history.sql"), &[&category, &key, &before, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Change {
                id: row.try_get("id")?,
                before: read_value(&known.bounds, row.try_get("before")?)?,
                after: read_value(&known.bounds, row.try_get("after")?)?,
                changed_by: row.try_get("changed_by")?,
                request_id: row.try_get("request_id")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}

fn known(category: &str, key: &str) -> Result<&'static Definition> {
    definition(category, key).ok_or(missing())
}

fn missing() -> Error {
    Error::not_found("setting")
}

fn from_row(known: &Definition, row: &Row) -> Result<Setting> {
    let (minimum, maximum) = match known.bounds {
        Bounds::Number { least, most } => (Some(least.into()), Some(most.into())),
        Bounds::Duration { least, most } => (Some(least.into()), Some(most.into())),
        Bounds::Boolean | Bounds::Json { .. } | Bounds::String { .. } => (None, None),
    };
    let value: &str = row.try_get("value")?;
    Ok(Setting {
        category: known.category.to_owned(),
        key: known.key.to_owned(),
        value_type: known.bounds.type_name().to_owned(),
        // What somebody has written past us is shown as it is, so that it can be found and set anew.
        value: read_value(&known.bounds, value).unwrap_or_else(|_| value.into()),
        default: read_value(&known.bounds, known.default)?,
        minimum,
        maximum,
        description: known.description.to_owned(),
        updated_at: row.try_get("updated_at")?,
    })
}
