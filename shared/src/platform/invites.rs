//! Invites: who may become a member of an organization, by a link in a mail.
//!
//! The link's token is signed over the invite's id, so nothing that opens it is stored. It works once, until the invite expires, and
//! for the address alone that it was sent to. Whether anybody has an account under that address, an invite tells nobody: it is made,
//! mailed and listed the same way. It is no way to write to anybody at will: mails are bounded by invite, by address over all
//! organizations, and invites by organization, those that were taken back among them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use super::config;
use super::memberships::{Role, ensure_may_manage, hold_still};
use crate::delivery::system_mail::{self, Action, ActionPurpose, NewSystemMail, Template};
use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::{Database, Error, InviteId, OrganizationId, Result, Tx, UserId};

/// Open invites of an organization: more than one asks for at a time.
const OPEN_MAXIMUM: i64 = 100;
/// Mails of one invite: nobody is written to without end because somebody else wants it.
const MAILS_MAXIMUM: i32 = 5;

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "InviteStatus")]
pub enum Status {
    /// It can be accepted.
    Open,
    /// Its time is over; sent again it is open again.
    Expired,
    /// Somebody became a member by it.
    Accepted,
    /// It was taken back.
    Revoked,
}

/// An invite as the organization sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// The address that it was sent to.
    pub email: String,
    /// What the person becomes.
    pub role: Role,
    /// How it stands.
    pub status: Status,
    /// Who invited, while they belong to the organization.
    pub invited_by: Option<UserId>,
    /// How many mails were sent for it.
    pub mails: i32,
    /// Until when it can be accepted.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub expires_at: DateTime<Utc>,
    /// When it was accepted.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub accepted_at: Option<DateTime<Utc>>,
    /// Who became a member by it, while they are one.
    pub accepted_by: Option<UserId>,
    /// When it was taken back.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Whom to invite, and as what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// The person's address.
    pub email: String,
    /// What they become; only an owner invites owners.
    pub role: Role,
}

/// What whoever holds the link is shown before they accept. It says nothing about accounts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Invitation {
    /// The organization's name.
    pub organization_name: String,
    /// The address that was invited, which alone can accept.
    pub email: String,
    /// What the person becomes.
    pub role: Role,
    /// How the invite stands.
    pub status: Status,
    /// Until when it can be accepted.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub expires_at: DateTime<Utc>,
}

/// Who became a member, of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The organization.
    pub organization: OrganizationId,
    /// The invite, which opens nothing any more.
    pub invite: InviteId,
    /// What they are now; more than they were invited as where they were a member already.
    pub role: Role,
}

/// Makes an invite and plans its mail, in the name of somebody who is `acting`. An open one for the address whose time is over
/// gives way to it.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`owner_needed`, `already_member`, `invite_open`, `too_many_invites`,
/// `too_many_mails`), [`Error::Unauthorized`] and [`Error::Forbidden`] for whoever may manage nobody any more.
pub async fn create(tx: &Tx, acting: UserId, new: &NewInvite) -> Result<Invite> {
    let mut fields = Fields::default();
    let email = fields.email("email", new.email.trim());
    fields.finish()?;
    let email = email.ok_or_else(|| Error::internal("an address that was not refused is one"))?;
    ensure_may_manage(hold_still(tx, acting).await?, new.role)?;
    let settings = config::read(tx, "invites").await?;
    let row = tx.query_one(include_str!("invites/before.sql"), &[&email.as_str(), &tx.now()]).await?;
    if row.try_get("is_member")? {
        return Err(Error::conflict("already_member", "somebody with this address is a member already"));
    }
    if row.try_get::<_, i64>("open")? >= OPEN_MAXIMUM {
        let message = format!("an organization has {OPEN_MAXIMUM} open invites at most; revoke one first");
        return Err(Error::conflict("too_many_invites", message));
    }
    let most = settings.number("made_in_a_day")?;
    if row.try_get::<_, i64>("made_in_a_day")? >= most {
        let message = format!("an organization makes {most} invites at most within a day");
        return Err(Error::conflict("too_many_invites", message));
    }
    tx.execute(include_str!("invites/revoke_expired.sql"), &[&email.as_str(), &tx.now()]).await?;
    let expires_at = expiry(tx, &settings)?;
    let inserted = tx
        .query_one(
            include_str!("invites/insert.sql"),
            &[&tx.organization()?, &InviteId::fresh(), &email.as_str(), &new.role.name(), &acting, &expires_at],
        )
        .await;
    match inserted {
        Ok(row) => mailed(tx, from_row(&row, tx.now())?, &settings).await,
        Err(error) if violated_constraint(&error) == Some("invites_open_key") => {
            Err(Error::conflict("invite_open", "an invite for this address is open; send it again or revoke it"))
        }
        Err(error) => Err(error),
    }
}

/// The newest invites, ended ones too, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<InviteId>, limit: i64) -> Result<Vec<Invite>> {
    let rows = tx.query(include_str!("invites/list.sql"), &[&before, &limit]).await?;
    rows.iter().map(|row| from_row(row, tx.now())).collect()
}

/// One invite.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: InviteId) -> Result<Invite> {
    let row = tx.query_opt(include_str!("invites/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("invite"))?, tx.now())
}

/// Sends an invite once more, and lets it be accepted for the whole time again, also one that has expired.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`owner_needed`, `invite_used`, `invite_revoked`, `too_many_mails`), and those of
/// [`create`] about whoever is acting.
pub async fn resend(tx: &Tx, acting: UserId, id: InviteId) -> Result<Invite> {
    let acting = hold_still(tx, acting).await?;
    let present = lock(tx, id).await?;
    ensure_may_manage(acting, present.role)?;
    ensure_not_ended(&present)?;
    if present.mails >= MAILS_MAXIMUM {
        let message = format!("{MAILS_MAXIMUM} mails were sent for this invite; revoke it and make another one");
        return Err(Error::conflict("too_many_mails", message));
    }
    let settings = config::read(tx, "invites").await?;
    let expires_at = expiry(tx, &settings)?;
    let row = tx.query_one(include_str!("invites/renew.sql"), &[&id, &expires_at]).await?;
    mailed(tx, from_row(&row, tx.now())?, &settings).await
}

/// Takes an invite back: its links open nothing any more. To take it back again changes nothing.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`owner_needed`, `invite_used`), and those of [`create`] about whoever is acting.
pub async fn revoke(tx: &Tx, acting: UserId, id: InviteId) -> Result<Invite> {
    let acting = hold_still(tx, acting).await?;
    let present = lock(tx, id).await?;
    ensure_may_manage(acting, present.role)?;
    match present.status {
        Status::Revoked => Ok(present),
        Status::Accepted => Err(used()),
        Status::Open | Status::Expired => {
            system_mail::cancel(tx, &mail_key(id)).await?;
            from_row(&tx.query_one(include_str!("invites/revoke.sql"), &[&id, &tx.now()]).await?, tx.now())
        }
    }
}

/// The organization of an invite whose signed link somebody holds.
///
/// Errors: [`Error::NotFound`].
pub async fn organization_of(db: &Database, id: InviteId) -> Result<OrganizationId> {
    let tx = db.begin_for(&[]).await?;
    let row = tx.query_one(include_str!("invites/organization.sql"), &[&id]).await?;
    tx.commit().await?;
    row.try_get::<_, Option<OrganizationId>>(0)?.ok_or(Error::not_found("invite"))
}

/// What whoever holds the link of an invite is shown. `tx` sees its organization.
///
/// Errors: [`Error::NotFound`], also while the organization is not active.
pub async fn show(tx: &Tx, id: InviteId) -> Result<Invitation> {
    let row = tx.query_opt(include_str!("invites/show.sql"), &[&id]).await?.ok_or(Error::not_found("invite"))?;
    let Invite { email, role, status, expires_at, .. } = from_row(&row, tx.now())?;
    Ok(Invitation { organization_name: row.try_get("organization_name")?, email, role, status, expires_at })
}

/// Makes somebody a member by an invite whose signed link they hold, once. `tx` sees its organization. Whoever is a member
/// already keeps the role that they have.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`invite_used`, `invite_revoked`, `invite_expired`, and
/// `invite_for_another_address` unless the person's address is verified and the invited one).
pub async fn accept(tx: &Tx, id: InviteId, user: UserId) -> Result<Accepted> {
    let row = tx.query_opt(include_str!("invites/lock_to_accept.sql"), &[&id]).await?;
    let row = row.ok_or(Error::not_found("invite"))?;
    let (organization, invite) = (row.try_get("organization_id")?, from_row(&row, tx.now())?);
    ensure_not_ended(&invite)?;
    if invite.status == Status::Expired {
        return Err(Error::conflict("invite_expired", "the invite has expired; ask for another one"));
    }
    // After the lock, so that an address which is being changed meanwhile counts as it is now.
    if !tx.query_one(include_str!("invites/is_for.sql"), &[&id, &user]).await?.try_get(0)? {
        let message = "the invite is for another address, or this one is not confirmed yet";
        return Err(Error::conflict("invite_for_another_address", message));
    }
    let row = tx.query_one(include_str!("invites/join.sql"), &[&organization, &user, &invite.role.name()]).await?;
    let role = Role::stored(row.try_get(0)?)?;
    tx.execute(include_str!("invites/accept.sql"), &[&id, &user, &tx.now()]).await?;
    Ok(Accepted { organization, invite: id, role })
}

/// Plans the mail that the invite counts as its latest.
///
/// Errors: [`Error::Conflict`] (`too_many_mails`) where the address was sent as many as anybody is.
async fn mailed(tx: &Tx, invite: Invite, settings: &config::Settings) -> Result<Invite> {
    let sent: i64 = tx.query_one(include_str!("invites/mails_to.sql"), &[&invite.email]).await?.try_get(0)?;
    if sent >= settings.number("mails_of_address")? {
        let message = "this address was sent as many invites as one is within a day; try again tomorrow";
        return Err(Error::conflict("too_many_mails", message));
    }
    let row = tx.query_one(include_str!("invites/read_names.sql"), &[&invite.invited_by]).await?;
    let (organization, inviter): (String, Option<String>) = (row.try_get("organization")?, row.try_get("inviter")?);
    let mail = NewSystemMail {
        template: Template::Invite,
        recipient: invite.email.clone(),
        variables: json!({"organization": organization, "role": invite.role, "inviter": inviter}),
        action: Some(Action { purpose: ActionPurpose::Invite, id: invite.id.0 }),
        dedupe_key: format!("{}{}", mail_key(invite.id), invite.mails),
        send_at: tx.now(),
    };
    system_mail::plan(tx, &mail).await?;
    Ok(invite)
}

/// What the keys of all mails of an invite begin with.
fn mail_key(id: InviteId) -> String {
    format!("invite:{id}:")
}

async fn lock(tx: &Tx, id: InviteId) -> Result<Invite> {
    let row = tx.query_opt(include_str!("invites/lock.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("invite"))?, tx.now())
}

fn expiry(tx: &Tx, settings: &config::Settings) -> Result<DateTime<Utc>> {
    let lifetime = settings.duration("lifetime")?;
    Ok(tx.now() + chrono::Duration::from_std(lifetime).map_err(Error::internal)?)
}

fn ensure_not_ended(invite: &Invite) -> Result<()> {
    match invite.status {
        Status::Accepted => Err(used()),
        Status::Revoked => Err(Error::conflict("invite_revoked", "the invite was taken back")),
        Status::Open | Status::Expired => Ok(()),
    }
}

fn used() -> Error {
    Error::conflict("invite_used", "the invite was accepted already")
}

fn from_row(row: &Row, now: DateTime<Utc>) -> Result<Invite> {
    let (expires_at, accepted_at, revoked_at): (DateTime<Utc>, Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        (row.try_get("expires_at")?, row.try_get("accepted_at")?, row.try_get("revoked_at")?);
    let status = match (accepted_at, revoked_at) {
        (Some(_), _) => Status::Accepted,
        (None, Some(_)) => Status::Revoked,
        (None, None) if expires_at <= now => Status::Expired,
        (None, None) => Status::Open,
    };
    Ok(Invite {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        role: Role::stored(row.try_get("role")?)?,
        status,
        invited_by: row.try_get("invited_by")?,
        mails: row.try_get("mails")?,
        expires_at,
        accepted_at,
        accepted_by: row.try_get("accepted_by")?,
        revoked_at,
        created_at: row.try_get("created_at")?,
    })
}
