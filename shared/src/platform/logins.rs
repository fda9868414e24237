//! Logging in: by address and password, or as somebody whom an identity provider knows.
//!
//! An unknown address, a wrong password, an account without one and an address that is not confirmed get the same answer after
//! the same work: one argon2id hash, whatever there is (beside it a bcrypt hash that was brought along takes its own time, once). A
//! session is opened in one organization; a login never goes on with a session that was there before.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::attempts::{self, LoginAttempt};
use super::audit::{self, Actor};
use super::passwords::{self, Checked, Hasher};
use super::sessions::{self, Place, Session};
use super::users::{self, Proof};
use super::{sign_ups, user_tokens};
use crate::delivery::system_mail::{self, ActionPurpose, NewSystemMail, Template};
use crate::delivery::tokens::KeyRing;
use crate::fields::Fields;
use crate::{Database, Error, OrganizationId, Result, SessionId, Tx, UserId};

/// What whoever logs people in has at hand.
#[derive(Clone, Copy)]
pub struct Entrance<'a> {
    /// The database, as the role that logs people in.
    pub db: &'a Database,
    /// Signs what is sent, and makes hashes of addresses.
    pub keys: &'a KeyRing,
    /// Hashes passwords.
    pub hasher: &'a Hasher,
}

/// Somebody who is logged in, and the only moment at which the session's token exists.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoggedIn {
    /// Who.
    pub user_id: UserId,
    /// The session.
    pub session: Session,
    /// Its token.
    #[serde(skip)]
    pub token: String,
}

/// What is kept of somebody who logs in.
struct Account {
    id: UserId,
    email: String,
    first_name: Option<String>,
    password_hash: Option<String>,
    is_verified: bool,
}

/// Logs somebody in by address and password.
///
/// Errors: [`Error::Unauthorized`] for everything that is wrong with them, [`Error::TooManyAttempts`].
pub async fn log_in(entrance: &Entrance<'_>, email: &str, password: &str, place: &Place) -> Result<LoggedIn> {
    let nowhere = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let attempt = LoginAttempt::of(entrance.keys, email, place.address.unwrap_or(nowhere));
    attempt.count(entrance.db).await?;
    let account = find(entrance.db, email).await?;
    let kept = account.as_ref().and_then(|account| account.password_hash.as_deref());
    let checked = entrance.hasher.check(password, kept);
    let Some(account) = account.filter(|_| checked != Checked::Wrong) else { return Err(Error::Unauthorized) };
    if !account.is_verified {
        // Told by mail to whoever has the mailbox, and to nobody else.
        send_confirmation(entrance, &account).await?;
        return Err(Error::Unauthorized);
    }
    let newer = match checked {
        Checked::RightAndOld => Some(entrance.hasher.hash(password)?),
        _ => None,
    };
    let organization = place_of(entrance.db, &account).await?;
    let tx = entrance.db.begin(organization).await?;
    // Waits for whoever changes the password at this moment, and then finds another one.
    let present = tx.query_opt(include_str!("logins/lock.sql"), &[&account.id, &account.password_hash, &newer]).await?;
    present.ok_or(Error::Unauthorized)?;
    attempt.succeeded(&tx).await?;
    let logged_in = open(&tx, organization, account.id, place).await?;
    tx.commit().await?;
    Ok(logged_in)
}

/// Logs somebody in who has shown elsewhere who they are.
pub(crate) async fn log_in_as(entrance: &Entrance<'_>, user: UserId, place: &Place) -> Result<LoggedIn> {
    let tx = entrance.db.begin_for(&[]).await?;
    let person = users::find(&tx, user).await?;
    tx.commit().await?;
    let account = Account {
        id: user,
        email: person.email,
        first_name: person.first_name,
        password_hash: None,
        is_verified: true,
    };
    let organization = place_of(entrance.db, &account).await.map_err(|error| match error {
        Error::Unauthorized => {
            Error::conflict("organizations_suspended", "all organizations that you belong to are suspended")
        }
        error => error,
    })?;
    let tx = entrance.db.begin(organization).await?;
    tx.execute(include_str!("logins/note.sql"), &[&user]).await?;
    let logged_in = open(&tx, organization, user, place).await?;
    tx.commit().await?;
    Ok(logged_in)
}

async fn open(tx: &Tx, organization: OrganizationId, user: UserId, place: &Place) -> Result<LoggedIn> {
    let (session, token) = sessions::open(tx, organization, user, place).await?;
    let id = session.id.0;
    audit::record_for(tx, organization, Actor::User(user), "session.opened", id, &json!({}), None).await?;
    Ok(LoggedIn { user_id: user, session, token })
}

/// Goes on in another organization: the session there is a new one, and the one that was has ended.
///
/// Errors: [`Error::NotFound`] for an organization that they do not belong to, or that is suspended.
pub async fn switch(
    db: &Database,
    user: UserId,
    (from, session): (OrganizationId, SessionId),
    to: OrganizationId,
    place: &Place,
) -> Result<LoggedIn> {
    let tx = db.begin_for(&[from, to]).await?;
    let is_theirs = users::organizations(&tx, user).await?.iter().any(|own| own.id == to && own.status == "active");
    if !is_theirs {
        return Err(Error::not_found("organization"));
    }
    end(&tx, user, Some(session), None).await?;
    let logged_in = open(&tx, to, user, place).await?;
    tx.commit().await?;
    Ok(logged_in)
}

/// The open sessions of somebody in all of their organizations, the one used last first.
pub async fn list(tx: &Tx, user: UserId) -> Result<Vec<Session>> {
    let rows = tx.query(include_str!("logins/sessions.sql"), &[&user]).await?;
    rows.iter().map(sessions::from_row).collect()
}

/// Ends the sessions of somebody in all of their organizations: `only` one, or all `but` one. Returns how many.
pub async fn end(tx: &Tx, user: UserId, only: Option<SessionId>, but: Option<SessionId>) -> Result<i64> {
    Ok(tx.query_one(include_str!("logins/end_sessions.sql"), &[&user, &only, &but]).await?.try_get(0)?)
}

/// Has a mail sent by which another password is chosen, if there is such an account. Nobody is told whether there is.
pub async fn ask_for_reset(entrance: &Entrance<'_>, email: &str) -> Result<()> {
    if let Some(account) = find(entrance.db, email).await? {
        send_link(entrance, &account, ActionPurpose::ResetPassword, Template::ResetPassword).await?;
    }
    Ok(())
}

/// Has the mail sent again by which an address is confirmed, if there is such an account and it is not confirmed.
pub async fn ask_for_confirmation(entrance: &Entrance<'_>, email: &str) -> Result<()> {
    match find(entrance.db, email).await? {
        Some(account) if !account.is_verified => send_confirmation(entrance, &account).await,
        _ => Ok(()),
    }
}

/// Confirms an address by the token that was sent to it.
///
/// Errors: [`Error::Conflict`] (`token_not_valid`).
pub async fn confirm(entrance: &Entrance<'_>, token: &str) -> Result<()> {
    let tx = entrance.db.begin_for(&[]).await?;
    let user = user_tokens::redeem(&tx, entrance.keys, ActionPurpose::ConfirmEmail, token).await?;
    tx.execute(include_str!("logins/confirm.sql"), &[&user]).await?;
    tx.commit().await
}

/// Keeps another password for whoever was sent the token. All of their sessions end.
///
/// Errors: [`Error::Conflict`] (`token_not_valid`), [`Error::Invalid`], after which the token can still be used.
pub async fn reset(entrance: &Entrance<'_>, token: &str, password: &str) -> Result<()> {
    let tx = entrance.db.begin_for(&[]).await?;
    let user = user_tokens::redeem(&tx, entrance.keys, ActionPurpose::ResetPassword, token).await?;
    change(entrance, &tx, user, password, Proof::Mail, None).await?;
    tx.commit().await
}

/// Changes the password of somebody who is logged in and knows the present one. Their other sessions end; returns how many.
///
/// Errors: [`Error::Invalid`] where the present one is wrong or the new one is none, [`Error::TooManyAttempts`].
pub async fn change_password(
    entrance: &Entrance<'_>,
    (user, session): (UserId, SessionId),
    (present, new): (&str, &str),
    place: &Place,
) -> Result<i64> {
    let tx = entrance.db.begin_for(&[]).await?;
    let email = users::find(&tx, user).await?.email;
    tx.commit().await?;
    let nowhere = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let attempt = LoginAttempt::of(entrance.keys, &email, place.address.unwrap_or(nowhere));
    attempt.count(entrance.db).await?;
    let account = find(entrance.db, &email).await?;
    let kept = account.as_ref().and_then(|account| account.password_hash.as_deref());
    if entrance.hasher.check(present, kept) == Checked::Wrong {
        return Err(Error::invalid("present_password", "wrong", "this is not the present password"));
    }
    let tx = entrance.db.begin_for(&[]).await?;
    let ended = change(entrance, &tx, user, new, Proof::Password, Some(session)).await?;
    attempt.succeeded(&tx).await?;
    tx.commit().await?;
    Ok(ended)
}

async fn change(
    entrance: &Entrance<'_>,
    tx: &Tx,
    user: UserId,
    password: &str,
    proof: Proof,
    but: Option<SessionId>,
) -> Result<i64> {
    let person = users::find(tx, user).await?;
    let mut fields = Fields::default();
    passwords::check(&mut fields, "password", password, &person.email);
    fields.finish()?;
    let hash = entrance.hasher.hash(password)?;
    // The person's row first: a login that waits for it opens no session by the password before.
    users::set_password(tx, user, &hash, proof).await?;
    tx.execute(include_str!("user_tokens/end.sql"), &[&user, &ActionPurpose::ResetPassword.name()]).await?;
    let ended = end(tx, user, None, but).await?;
    let mail = NewSystemMail {
        template: Template::PasswordChanged,
        recipient: person.email,
        variables: json!({"first_name": person.first_name}),
        action: None,
        dedupe_key: format!("{}:{}", Template::PasswordChanged.name(), crate::ids::fresh()),
        send_at: tx.now(),
    };
    system_mail::plan(tx, &mail).await?;
    Ok(ended)
}

async fn send_confirmation(entrance: &Entrance<'_>, account: &Account) -> Result<()> {
    send_link(entrance, account, ActionPurpose::ConfirmEmail, Template::ConfirmEmail).await
}

async fn send_link(
    entrance: &Entrance<'_>,
    account: &Account,
    purpose: ActionPurpose,
    template: Template,
) -> Result<()> {
    let tx = entrance.db.begin_for(&[]).await?;
    if attempts::may_mail(&tx, entrance.keys, &account.email).await? {
        let action = user_tokens::issue(&tx, account.id, purpose).await?;
        let mail = NewSystemMail {
            template,
            recipient: account.email.clone(),
            variables: json!({"first_name": account.first_name}),
            action: Some(action),
            dedupe_key: format!("{}:{}", template.name(), action.id),
            send_at: tx.now(),
        };
        system_mail::plan(&tx, &mail).await?;
    }
    tx.commit().await
}

async fn find(db: &Database, email: &str) -> Result<Option<Account>> {
    let tx = db.begin_for(&[]).await?;
    // No address has a NUL, and the database takes none.
    let email = email.trim().replace('\0', " ");
    let row = tx.query_opt(include_str!("logins/find_by_email.sql"), &[&email]).await?;
    tx.commit().await?;
    let account = row.map(|row| {
        Ok(Account {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            first_name: row.try_get("first_name")?,
            password_hash: row.try_get("password_hash")?,
            is_verified: row.try_get("is_verified")?,
        })
    });
    account.transpose()
}

/// The organization in which somebody goes on: the first that may be worked in, or one of their own if they belong to none.
///
/// Errors: [`Error::Unauthorized`] where all of them are suspended.
async fn place_of(db: &Database, account: &Account) -> Result<OrganizationId> {
    let tx = db.begin_for(&[]).await?;
    let theirs = users::organizations(&tx, account.id).await?;
    tx.commit().await?;
    match theirs.iter().find(|own| own.status == "active") {
        Some(own) => Ok(own.id),
        None if theirs.is_empty() => {
            let name = sign_ups::own_name(account.first_name.as_deref(), &account.email);
            sign_ups::found_own(db, account.id, &name).await
        }
        None => Err(Error::Unauthorized),
    }
}
