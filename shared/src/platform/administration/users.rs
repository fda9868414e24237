//! People as administrators see them, and who the administrators are. There is always one who can log in.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use crate::platform::memberships::Role;
use crate::{Error, OrganizationId, Result, Tx, UserId};

/// A person with an account.
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
    /// When they showed that the address is theirs.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Whether they run the installation.
    pub is_admin: bool,
    /// Since when they can't log in.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// When they last logged in.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When they got the account.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// An organization that somebody belongs to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Belonging {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What they are there.
    pub role: Role,
}

/// What a change has done.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The person, as they are now.
    pub user: User,
    /// Whether anything is other than before.
    pub is_new: bool,
}

/// The newest people, at most `limit`, older than `before`; `sought` is a part of the address or of a name.
pub async fn list(tx: &Tx, sought: Option<&str>, before: Option<UserId>, limit: i64) -> Result<Vec<User>> {
    tx.query(include_str!("users/list.sql"), &[&sought, &before, &limit]).await?.iter().map(from_row).collect()
}

/// One person.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: UserId) -> Result<User> {
    let row = tx.query_opt(include_str!("users/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("user"))?)
}

/// The organizations that somebody belongs to.
pub async fn belongings(tx: &Tx, id: UserId) -> Result<Vec<Belonging>> {
    let rows = tx.query(include_str!("users/belongings.sql"), &[&id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Belonging {
                organization_id: row.try_get("organization_id")?,
                slug: row.try_get("slug")?,
                name: row.try_get("name")?,
                role: Role::stored(row.try_get("role")?)?,
            })
        })
        .collect()
}

/// Makes somebody an administrator. Their sessions end, as they do whenever somebody's rights change.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`user_disabled`, `email_not_confirmed`).
pub async fn promote(tx: &Tx, id: UserId) -> Result<Changed> {
    let present = lock(tx, id).await?;
    if present.is_admin {
        return Ok(Changed { user: present, is_new: false });
    }
    ensure_trusted(&present)?;
    set(tx, id, true, present.disabled_at).await
}

/// Takes somebody's right to run the installation. Their sessions end.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`last_administrator`).
pub async fn demote(tx: &Tx, id: UserId) -> Result<Changed> {
    let present = lock(tx, id).await?;
    if !present.is_admin {
        return Ok(Changed { user: present, is_new: false });
    }
    ensure_another(tx, id).await?;
    set(tx, id, false, present.disabled_at).await
}

/// Keeps somebody from logging in, and ends their sessions everywhere. What they have made and the keys that they have made go on.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`last_administrator`).
pub async fn disable(tx: &Tx, id: UserId) -> Result<Changed> {
    let present = lock(tx, id).await?;
    if present.disabled_at.is_some() {
        return Ok(Changed { user: present, is_new: false });
    }
    if present.is_admin {
        ensure_another(tx, id).await?;
    }
    set(tx, id, present.is_admin, Some(tx.now())).await
}

/// Lets somebody log in again.
///
/// Errors: [`Error::NotFound`].
pub async fn enable(tx: &Tx, id: UserId) -> Result<Changed> {
    let present = lock(tx, id).await?;
    if present.disabled_at.is_none() {
        return Ok(Changed { user: present, is_new: false });
    }
    set(tx, id, present.is_admin, None).await
}

/// Makes the first administrator, or one more, at the word of whoever deploys: somebody who has signed up and confirmed their address.
/// `tx` is the owner's.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`user_disabled`, `email_not_confirmed`).
pub async fn make_administrator(tx: &Tx, email: &str) -> Result<User> {
    let row = tx.query_opt(include_str!("users/find_by_address.sql"), &[&email]).await?;
    let found = from_row(&row.ok_or(Error::not_found("user"))?)?;
    let changed = promote(tx, found.id).await?;
    if changed.is_new {
        super::record(tx, None, "user.promoted", Some(found.id.0), &serde_json::json!({"by": "command"}), None).await?;
    }
    Ok(changed.user)
}

fn ensure_trusted(user: &User) -> Result<()> {
    if user.disabled_at.is_some() {
        return Err(Error::conflict("user_disabled", "the user is disabled"));
    }
    if user.email_verified_at.is_none() {
        return Err(Error::conflict("email_not_confirmed", "the user has not confirmed their address yet"));
    }
    Ok(())
}

/// `tx` holds all administrators still, so that of two who go at once the second finds nobody left.
async fn ensure_another(tx: &Tx, id: UserId) -> Result<()> {
    if tx.query_one(include_str!("users/has_another_administrator.sql"), &[&id]).await?.try_get(0)? {
        return Ok(());
    }
    Err(Error::conflict("last_administrator", "somebody has to run the installation; promote somebody else first"))
}

async fn lock(tx: &Tx, id: UserId) -> Result<User> {
    tx.execute(include_str!("users/lock.sql"), &[&id]).await?;
    find(tx, id).await
}

async fn set(tx: &Tx, id: UserId, is_admin: bool, disabled_at: Option<DateTime<Utc>>) -> Result<Changed> {
    let row = tx.query_one(include_str!("users/set.sql"), &[&id, &is_admin, &disabled_at]).await?;
    tx.query_one(include_str!("users/end_sessions.sql"), &[&id]).await?;
    Ok(Changed { user: from_row(&row)?, is_new: true })
}

fn from_row(row: &Row) -> Result<User> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        email_verified_at: row.try_get("email_verified_at")?,
        is_admin: row.try_get("is_admin")?,
        disabled_at: row.try_get("disabled_at")?,
        last_login_at: row.try_get("last_login_at")?,
        created_at: row.try_get("created_at")?,
    })
}
