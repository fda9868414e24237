//! Memberships: who belongs to an organization, and as what.
//!
//! Whoever may manage members at all manages everybody who is no owner, other admins included: an organization whose owner is
//! away can still part with an admin. Only an owner makes or unmakes owners, and there is always one who can log in. What somebody
//! may do changes at once: a change of role and a removal end their sessions in the organization, and what whoever acts may do is
//! read once more behind the lock that all such acts wait for.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{api_keys, sessions};
use crate::{ApiKeyId, Error, Result, Tx, UserId};

/// What somebody is in an organization. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but what is about credentials.
    Viewer,
    /// Does the daily work: people, campaigns, mail.
    Member,
    /// Also decides on addresses that mail is sent from, on people and on programs.
    Admin,
    /// Also on the organization itself.
    Owner,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// How the database and the API call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the column `role`.
    ///
    /// Errors: [`Error::Internal`] for a role that this release does not know.
    pub fn stored(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|role| role.name() == name);
        known.ok_or_else(|| Error::internal(format!("a membership has the role {name}")))
    }
}

/// A member as the API shows them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Member {
    /// The person.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// Their first name.
    pub first_name: Option<String>,
    /// Their last name.
    pub last_name: Option<String>,
    /// What they are here.
    pub role: Role,
    /// When they last logged in, in whichever organization.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When they became a member.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// What a change of role has done.
#[derive(Debug, Clone)]
pub struct Change {
    /// The member, as they are now.
    pub member: Member,
    /// What they were before.
    pub before: Role,
    /// How many of their sessions in the organization it has ended.
    pub sessions_ended: u64,
}

/// What becomes of the API keys that a member has made who is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysMade {
    /// They go on: programs that others run may have them.
    GoOn,
    /// They are revoked.
    Revoked,
}

/// What was done when somebody was taken out, or left.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The member, as they were at last.
    pub member: Member,
    /// How many of their sessions in the organization it has ended.
    pub sessions_ended: u64,
    /// The API keys that they had made and that open something, or did until now.
    pub api_keys: Vec<ApiKeyId>,
    /// What became of these.
    pub keys_made: KeysMade,
}

/// The members, those who have used Martlet for the shortest time first, at most `limit`, beyond `before`.
pub async fn list(tx: &Tx, before: Option<UserId>, limit: i64) -> Result<Vec<Member>> {
    tx.query(include_str!("memberships/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// One member.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, user: UserId) -> Result<Member> {
    let row = tx.query_opt(include_str!("memberships/find.sql"), &[&user]).await?;
    from_row(&row.ok_or(Error::not_found("member"))?)
}

/// Gives a member another role, in the name of somebody who is `acting`. To give the present one changes nothing.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`owner_needed` where only an owner may, `last_owner`), those of [`hold_still`].
pub async fn change_role(tx: &Tx, acting: UserId, user: UserId, role: Role) -> Result<Change> {
    let acting = hold_still(tx, acting).await?;
    let present = find(tx, user).await?;
    if present.role == role {
        return Ok(Change { before: role, member: present, sessions_ended: 0 });
    }
    ensure_may_manage(acting, present.role.max(role))?;
    if present.role == Role::Owner {
        ensure_another_owner(tx, user).await?;
    }
    tx.execute(include_str!("memberships/set_role.sql"), &[&user, &role.name()]).await?;
    let sessions_ended = sessions::end_all(tx, user, None).await?;
    Ok(Change { before: present.role, member: Member { role, ..present }, sessions_ended })
}

/// Takes a member out of the organization, in the name of somebody who is `acting`. What they have made stays.
///
/// Errors: as [`change_role`].
pub async fn remove(tx: &Tx, acting: UserId, user: UserId, keys_made: KeysMade) -> Result<Removal> {
    let acting = hold_still(tx, acting).await?;
    let present = find(tx, user).await?;
    ensure_may_manage(acting, present.role)?;
    take_out(tx, present, keys_made).await
}

/// Lets a member go who wants to.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`last_owner`).
pub async fn leave(tx: &Tx, user: UserId) -> Result<Removal> {
    hold(tx).await?;
    let present = find(tx, user).await?;
    take_out(tx, present, KeysMade::GoOn).await
}

/// Makes whoever else changes members, invites or keys of the organization wait.
pub(super) async fn hold(tx: &Tx) -> Result<()> {
    tx.query_one(include_str!("memberships/hold_still.sql"), &[]).await?;
    Ok(())
}

/// Makes whoever else changes members, invites or keys of the organization wait, and returns what somebody who is `acting` is in it then.
///
/// Errors: [`Error::Unauthorized`] for whoever belongs to it no more, [`Error::Forbidden`] for whoever manages nobody any more.
pub(super) async fn hold_still(tx: &Tx, acting: UserId) -> Result<Role> {
    hold(tx).await?;
    let row = tx.query_opt(include_str!("memberships/role.sql"), &[&acting]).await?.ok_or(Error::Unauthorized)?;
    match Role::stored(row.try_get(0)?)? {
        role if role >= Role::Admin => Ok(role),
        _ => Err(Error::Forbidden(format!("the role {}", Role::Admin.name()))),
    }
}

/// Whether somebody who is `acting` may make, change or take out a member with this role.
///
/// Errors: [`Error::Conflict`] (`owner_needed`).
pub fn ensure_may_manage(acting: Role, role: Role) -> Result<()> {
    if role == Role::Owner && acting < Role::Owner {
        return Err(Error::conflict("owner_needed", "only an owner makes, changes or removes owners"));
    }
    Ok(())
}

/// `tx` holds the organization still, so that of two owners who go at once the second finds nobody left.
async fn take_out(tx: &Tx, member: Member, keys_made: KeysMade) -> Result<Removal> {
    if member.role == Role::Owner {
        ensure_another_owner(tx, member.user_id).await?;
    }
    // Before the membership is gone, and with it what says who has made them.
    let api_keys = match keys_made {
        KeysMade::GoOn => api_keys::made_by(tx, member.user_id).await?,
        KeysMade::Revoked => api_keys::revoke_made_by(tx, member.user_id).await?,
    };
    let sessions_ended = sessions::end_all(tx, member.user_id, None).await?;
    tx.execute(include_str!("memberships/delete.sql"), &[&member.user_id]).await?;
    Ok(Removal { member, sessions_ended, api_keys, keys_made })
}

async fn ensure_another_owner(tx: &Tx, user: UserId) -> Result<()> {
    if tx.query_one(include_str!("memberships/has_another_owner.sql"), &[&user]).await?.try_get(0)? {
        return Ok(());
    }
    Err(Error::conflict("last_owner", "an organization has an owner who can log in; make somebody else an owner first"))
}

fn from_row(row: &Row) -> Result<Member> {
    Ok(Member {
        user_id: row.try_get("user_id")?,
        email: row.try_get("email")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        role: Role::stored(row.try_get("role")?)?,
        last_login_at: row.try_get("last_login_at")?,
        created_at: row.try_get("created_at")?,
    })
}
