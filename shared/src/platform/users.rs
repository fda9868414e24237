//! Users: people with an account, who may belong to several organizations.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;

use super::memberships::Role;
use crate::fields::{Fields, patched};
use crate::{Error, OrganizationId, Result, Tx, UserId};

/// Characters of a first or last name.
pub(crate) const NAME_MAXIMUM: usize = 200;
/// Bytes of what somebody has settled for themselves.
const SETTINGS_MAXIMUM: usize = 16 * 1024;

/// Somebody as they see themselves.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Their first name.
    pub first_name: Option<String>,
    /// Their last name.
    pub last_name: Option<String>,
    /// When they have shown that the address is theirs.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Whether they run the installation.
    pub is_admin: bool,
    /// Whether they have a password, and do not only log in by an identity provider.
    pub has_password: bool,
    /// What they have settled for themselves: an object that only their programs know.
    pub settings: Value,
    /// When they last logged in.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the account was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// An organization that somebody belongs to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OwnOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// `active`, `suspended` or `deleting`.
    pub status: String,
    /// What they are in it.
    pub role: Role,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserFields {
    /// The first name, null to remove it.
    #[serde(deserialize_with = "patched")]
    pub first_name: Option<Option<String>>,
    /// The last name, null to remove it.
    #[serde(deserialize_with = "patched")]
    pub last_name: Option<Option<String>>,
    /// An object of 16 KiB at most, null to empty it; it takes the place of all that was there.
    #[serde(deserialize_with = "patched")]
    pub settings: Option<Option<Value>>,
}

impl UserFields {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [
            ("first_name", self.first_name.is_some()),
            ("last_name", self.last_name.is_some()),
            ("settings", self.settings.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect()
    }
}

/// Somebody.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: UserId) -> Result<User> {
    from_row(&tx.query_opt(include_str!("users/find.sql"), &[&id]).await?.ok_or(Error::not_found("user"))?)
}

/// Changes what somebody says of themselves.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn update(tx: &Tx, id: UserId, changes: UserFields) -> Result<User> {
    let row = tx.query_opt(include_str!("users/lock.sql"), &[&id]).await?.ok_or(Error::not_found("user"))?;
    let present = from_row(&row)?;
    let mut fields = Fields::default();
    let first = changes.first_name.unwrap_or(present.first_name);
    let first = fields.line("first_name", first.as_deref(), NAME_MAXIMUM);
    let last = changes.last_name.unwrap_or(present.last_name);
    let last = fields.line("last_name", last.as_deref(), NAME_MAXIMUM);
    let settings = match changes.settings {
        None => present.settings,
        Some(None) => Value::Object(serde_json::Map::new()),
        Some(Some(settings)) => settings,
    };
    if !settings.is_object() || settings.to_string().len() > SETTINGS_MAXIMUM {
        fields.refuse("settings", "invalid", "settings are an object of 16 KiB at most");
    }
    fields.finish()?;
    from_row(&tx.query_one(include_str!("users/update.sql"), &[&id, &first, &last, &settings]).await?)
}

/// The organizations of somebody, the oldest membership first.
pub async fn organizations(tx: &Tx, id: UserId) -> Result<Vec<OwnOrganization>> {
    let rows = tx.query(include_str!("users/organizations.sql"), &[&id]).await?;
    let organizations = rows.iter().map(|row| {
        Ok(OwnOrganization {
            id: row.try_get("organization_id")?,
            slug: row.try_get("slug")?,
            name: row.try_get("name")?,
            status: row.try_get("status")?,
            role: Role::stored(row.try_get("role")?)?,
        })
    });
    organizations.collect()
}

fn from_row(row: &Row) -> Result<User> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        email_verified_at: row.try_get("email_verified_at")?,
        is_admin: row.try_get("is_admin")?,
        has_password: row.try_get("has_password")?,
        settings: row.try_get("settings")?,
        last_login_at: row.try_get("last_login_at")?,
        created_at: row.try_get("created_at")?,
    })
}
