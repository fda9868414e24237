//! Logging in: by address and password, or as somebody whom an identity provider knows.
//!
//! An unknown address, a wrong password, an account without one and an address that is not confirmed get the same answer after
//! the same work: the same statements, and one argon2id hash (beside it a bcrypt hash that was brought along takes its own time, once).
//! A session is opened in one organization; a login never goes on with a session that was there before.
//!
//! Who asks for a mail gets the same answer after the same statements, whoever has the address: for nobody the mail is written as for
//! somebody, and taken back.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio_postgres::Row;

use super::attempts::{self, LoginAttempt};
use super::audit::{self, Actor};
use super::organizations::deleting;
use super::passwords::{self, Checked, Hasher};
use super::sessions::{self, Place, Session};
use super::users::{self, OwnOrganization};
use super::{sign_ups, user_tokens};
use crate::audience::email_address::EmailAddress;
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
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) email: String,
    pub(super) first_name: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) is_verified: bool,
}

/// Logs somebody in by address and password.
///
/// Errors: [`Error::Unauthorized`] for everything that is wrong with them, [`Error::TooManyAttempts`], and for whoever has shown who
/// they are [`Error::Conflict`] (`organizations_suspended`, `organization_deleting`).
pub async fn log_in(entrance: &Entrance<'_>, email: &str, password: &str, place: &Place) -> Result<LoggedIn> {
    let attempt = LoginAttempt::of(entrance.keys, email, place.network());
    attempt.count(entrance.db).await?;
    let tx = entrance.db.begin_for(&[]).await?;
    let account = find_by_email(&tx, email).await?;
    tx.commit().await?;
    let kept = account.as_ref().and_then(|account| account.password_hash.as_deref());
    let checked = entrance.hasher.check(password, kept);
    // An address that is not confirmed differs by nothing from a wrong password: whoever signs up with somebody's address and logs in
    // would learn from it whether there was an account.
    let account = account.filter(|account| checked != Checked::Wrong && account.is_verified);
    let account = account.ok_or(Error::Unauthorized)?;
    let newer = match checked {
        Checked::RightAndOld => Some(entrance.hasher.hash(password)?),
        _ => None,
    };
    let organization = place_of(entrance, &account, place).await?;
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
///
/// Errors: [`Error::Conflict`] (`organizations_suspended`, `organization_deleting`).
pub(crate) async fn log_in_as(entrance: &Entrance<'_>, user: UserId, place: &Place) -> Result<LoggedIn> {
    let tx = entrance.db.begin_for(&[]).await?;
    let account = find(&tx, user).await?;
    tx.commit().await?;
    let organization = place_of(entrance, &account, place).await?;
    let tx = entrance.db.begin(organization).await?;
    tx.execute(include_str!("logins/note.sql"), &[&user]).await?;
    let logged_in = open(&tx, organization, user, place).await?;
    tx.commit().await?;
    Ok(logged_in)
}

/// Opens a session, and records it where it is.
pub(super) async fn open(tx: &Tx, organization: OrganizationId, user: UserId, place: &Place) -> Result<LoggedIn> {
    let (session, token) = sessions::open(tx, organization, user, place).await?;
    let (id, request_id) = (session.id.0, place.request_id.as_deref());
    audit::record_for(tx, organization, Actor::User(user), "session.opened", id, &json!({}), request_id).await?;
    Ok(LoggedIn { user_id: user, session, token })
}

/// Goes on in another organization: the session there is a new one, and the one that was has ended.
///
/// Errors: [`Error::NotFound`] for an organization that they do not belong to, or that is suspended; [`Error::Unauthorized`] where the
/// session has ended meanwhile.
pub async fn switch(
    db: &Database,
    user: UserId,
    (from, session): (OrganizationId, SessionId),
    to: OrganizationId,
    place: &Place,
) -> Result<LoggedIn> {
    let tx = db.begin_for(&[from, to]).await?;
    tx.query_opt(include_str!("logins/hold_account.sql"), &[&user]).await?;
    let is_theirs = users::organizations(&tx, user).await?.iter().any(|own| own.id == to && own.status == "active");
    if !is_theirs {
        return Err(Error::not_found("organization"));
    }
    // A session that has ended since it was shown opens no other one: whoever has chosen another password has meant it too.
    if end(&tx, user, Some(session), None).await? != 1 {
        return Err(Error::Unauthorized);
    }
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
    send_link(entrance, email, ActionPurpose::ResetPassword, Template::ResetPassword, |_| true).await
}

/// Has the mail sent again by which an address is confirmed, if there is such an account and it is not confirmed.
pub async fn ask_for_confirmation(entrance: &Entrance<'_>, email: &str) -> Result<()> {
    send_link(entrance, email, ActionPurpose::ConfirmEmail, Template::ConfirmEmail, |account| !account.is_verified)
        .await
}

/// Confirms an address by the token that was sent to it and the password that was chosen with it: somebody else may have signed up
/// with the address, and its owner would confirm that one's password by the link alone. A wrong one leaves the token as it was.
///
/// Errors: [`Error::Conflict`] (`token_not_valid`), [`Error::Invalid`] about the password, [`Error::TooManyAttempts`].
pub async fn confirm(entrance: &Entrance<'_>, token: &str, password: &str, place: &Place) -> Result<()> {
    let tx = entrance.db.begin_for(&[]).await?;
    let sent = user_tokens::find(&tx, entrance.keys, ActionPurpose::ConfirmEmail, token).await?;
    let account = find(&tx, sent.user).await?;
    let organizations = organizations(&tx, sent.user).await?;
    tx.commit().await?;
    let attempt = LoginAttempt::of(entrance.keys, &account.email, place.network());
    attempt.count(entrance.db).await?;
    if entrance.hasher.check(password, account.password_hash.as_deref()) == Checked::Wrong {
        return Err(not_the_chosen_one());
    }
    let tx = entrance.db.begin_for(&organizations).await?;
    if tx.execute(include_str!("logins/confirm.sql"), &[&account.id, &account.password_hash]).await? == 0 {
        return Err(not_the_chosen_one());
    }
    user_tokens::redeem(&tx, &sent).await?;
    attempt.succeeded(&tx).await?;
    let request_id = place.request_id.as_deref();
    audit::record_of_account(&tx, &organizations, account.id, "user.email_confirmed", &json!({}), request_id).await?;
    tx.commit().await
}

fn not_the_chosen_one() -> Error {
    let message = "this is not the password that was chosen at the sign-up; if you have lost it, ask for another one";
    Error::invalid("password", "wrong", message)
}

/// Keeps another password for whoever was sent the token. All of their sessions end.
///
/// Errors: [`Error::Conflict`] (`token_not_valid`), [`Error::Invalid`], after which the token can still be used.
pub async fn reset(entrance: &Entrance<'_>, token: &str, password: &str, place: &Place) -> Result<()> {
    let tx = entrance.db.begin_for(&[]).await?;
    let sent = user_tokens::find(&tx, entrance.keys, ActionPurpose::ResetPassword, token).await?;
    let account = find(&tx, sent.user).await?;
    let organizations = organizations(&tx, sent.user).await?;
    tx.commit().await?;
    let hash = new_hash(entrance, password, &account)?;
    let tx = entrance.db.begin_for(&organizations).await?;
    // The person's row first: a login that waits for it opens no session by the password before.
    tx.execute(include_str!("logins/reset.sql"), &[&account.id, &hash]).await?;
    user_tokens::redeem(&tx, &sent).await?;
    changed(&tx, &account, None).await?;
    let request_id = place.request_id.as_deref();
    audit::record_of_account(&tx, &organizations, account.id, "user.password_reset", &json!({}), request_id).await?;
    tx.commit().await
}

/// Changes the password of somebody who is logged in and knows the present one. Their other sessions end; returns how many.
///
/// Errors: [`Error::Invalid`] where the present one is wrong or the new one is none, [`Error::TooManyAttempts`],
/// [`Error::Unauthorized`] where another password was set or the session has ended meanwhile.
pub async fn change_password(
    entrance: &Entrance<'_>,
    (user, session): (UserId, SessionId),
    (present, new): (&str, &str),
    place: &Place,
) -> Result<i64> {
    let tx = entrance.db.begin_for(&[]).await?;
    let account = find(&tx, user).await?;
    let organizations = organizations(&tx, user).await?;
    tx.commit().await?;
    let attempt = LoginAttempt::of(entrance.keys, &account.email, place.network());
    attempt.count(entrance.db).await?;
    if entrance.hasher.check(present, account.password_hash.as_deref()) == Checked::Wrong {
        return Err(Error::invalid("present_password", "wrong", "this is not the present password"));
    }
    let hash = new_hash(entrance, new, &account)?;
    let tx = entrance.db.begin_for(&organizations).await?;
    let sql = include_str!("logins/change_password.sql");
    if tx.execute(sql, &[&user, &account.password_hash, &hash]).await? == 0 {
        return Err(Error::Unauthorized);
    }
    if !tx.query_one(include_str!("logins/is_open.sql"), &[&user, &session]).await?.try_get::<_, bool>(0)? {
        return Err(Error::Unauthorized);
    }
    let ended = changed(&tx, &account, Some(session)).await?;
    attempt.succeeded(&tx).await?;
    let (details, request_id) = (json!({"sessions_ended": ended}), place.request_id.as_deref());
    audit::record_of_account(&tx, &organizations, user, "user.password_changed", &details, request_id).await?;
    tx.commit().await?;
    Ok(ended)
}

/// The hash of a password that somebody chooses for their account.
fn new_hash(entrance: &Entrance<'_>, password: &str, account: &Account) -> Result<String> {
    let mut fields = Fields::default();
    passwords::check(&mut fields, "password", password, &account.email);
    fields.finish()?;
    entrance.hasher.hash(password)
}

/// What follows from another password: no link chooses a third one, and sessions end, all or all but one. Returns how many.
async fn changed(tx: &Tx, account: &Account, but: Option<SessionId>) -> Result<i64> {
    user_tokens::end(tx, account.id, ActionPurpose::ResetPassword).await?;
    let ended = end(tx, account.id, None, but).await?;
    let mail = NewSystemMail {
        template: Template::PasswordChanged,
        recipient: account.email.clone(),
        variables: json!({"first_name": account.first_name}),
        action: None,
        dedupe_key: format!("{}:{}", Template::PasswordChanged.name(), crate::ids::fresh()),
        send_at: tx.now(),
    };
    system_mail::plan(tx, &mail).await?;
    Ok(ended)
}

/// Sends a link to whoever has an account with this address and is meant. For anybody else, and for whoever was sent too many, the same
/// is written and taken back.
async fn send_link(
    entrance: &Entrance<'_>,
    email: &str,
    purpose: ActionPurpose,
    template: Template,
    is_meant: fn(&Account) -> bool,
) -> Result<()> {
    let tx = entrance.db.begin_for(&[]).await?;
    let account = find_by_email(&tx, email).await?.filter(is_meant);
    // Where nobody is meant no mail is counted, but as much is written: asking for a mail that does not come keeps none away.
    let nobody = format!("{}@invalid", UserId::fresh());
    let counted = account.as_ref().map_or(nobody.as_str(), |account| &account.email);
    let may_mail = attempts::may_mail(&tx, entrance.keys, template.name(), counted).await?;
    tx.mark().await?;
    let user = account.as_ref().map_or_else(UserId::fresh, |account| account.id);
    let action = user_tokens::issue(&tx, user, purpose).await?;
    let mail = NewSystemMail {
        template,
        recipient: account.as_ref().map_or(NOBODY, |account| &account.email).to_owned(),
        variables: json!({"first_name": account.as_ref().and_then(|account| account.first_name.as_deref())}),
        action: Some(action),
        dedupe_key: format!("{}:{}", template.name(), action.id),
        send_at: tx.now(),
    };
    system_mail::plan(&tx, &mail).await?;
    if account.is_some() && may_mail {
        tx.keep().await?;
    } else {
        tx.take_back().await?;
    }
    tx.commit().await
}

/// Whom a mail is for that is taken back again.
pub(super) const NOBODY: &str = "nobody@invalid";

/// The account with this address. One statement, also for what is no address, which nobody has.
pub(super) async fn find_by_email(tx: &Tx, email: &str) -> Result<Option<Account>> {
    let lower = EmailAddress::parse(email.trim()).map(|email| email.lower()).unwrap_or_default();
    let row = tx.query_opt(include_str!("logins/find_by_email.sql"), &[&lower]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Makes whoever else makes an account with this address at this moment wait.
pub(super) async fn hold_address(tx: &Tx, email: &EmailAddress) -> Result<()> {
    tx.query_one(include_str!("logins/hold_address.sql"), &[&email.lower()]).await?;
    Ok(())
}

/// Errors: [`Error::Unauthorized`] for somebody who is gone.
async fn find(tx: &Tx, user: UserId) -> Result<Account> {
    from_row(&tx.query_opt(include_str!("logins/find.sql"), &[&user]).await?.ok_or(Error::Unauthorized)?)
}

/// All organizations of somebody, in whatever state they are.
pub(super) async fn organizations(tx: &Tx, user: UserId) -> Result<Vec<OrganizationId>> {
    Ok(users::organizations(tx, user).await?.into_iter().map(|own| own.id).collect())
}

fn from_row(row: &Row) -> Result<Account> {
    Ok(Account {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        first_name: row.try_get("first_name")?,
        password_hash: row.try_get("password_hash")?,
        is_verified: row.try_get("is_verified")?,
    })
}

/// The organization in which somebody goes on: the first that may be worked in, or one of their own if they belong to none.
///
/// Errors: [`Error::Conflict`] where there is none that may be worked in: `organization_deleting` for whoever can bring one back, by
/// the mail that is sent once more, and `organizations_suspended` otherwise.
async fn place_of(entrance: &Entrance<'_>, account: &Account, place: &Place) -> Result<OrganizationId> {
    let tx = entrance.db.begin_for(&[]).await?;
    let theirs = users::organizations(&tx, account.id).await?;
    tx.commit().await?;
    if let Some(own) = theirs.iter().find(|own| own.status == "active") {
        return Ok(own.id);
    }
    if theirs.is_empty() {
        let name = sign_ups::own_name(account.first_name.as_deref(), &account.email);
        return sign_ups::found_own(entrance.db, account.id, &name, place.request_id.as_deref()).await;
    }
    match deleted_by_them(entrance, account, &theirs).await? {
        true => Err(Error::conflict(
            "organization_deleting",
            "your organization is being deleted; the link in the mail that its owners were sent brings it back",
        )),
        false => {
            let message = "all organizations that you belong to are suspended or being deleted";
            Err(Error::conflict("organizations_suspended", message))
        }
    }
}

/// Whether somebody owns an organization that is being deleted. The mail by which it comes back is sent to them once more.
async fn deleted_by_them(entrance: &Entrance<'_>, account: &Account, theirs: &[OwnOrganization]) -> Result<bool> {
    let mut is_one = false;
    for own in theirs.iter().filter(|own| own.status == "deleting") {
        let tx = entrance.db.begin(own.id).await?;
        if let Some(mail) = deleting::reminder(&tx, account.id).await? {
            is_one = true;
            if attempts::may_mail(&tx, entrance.keys, "restoration", &account.email).await? {
                system_mail::plan(&tx, &mail).await?;
            }
        }
        tx.commit().await?;
    }
    Ok(is_one)
}
