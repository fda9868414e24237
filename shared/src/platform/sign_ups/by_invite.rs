//! Signing up by an invite: whoever holds the link that was mailed to an address has shown that it is theirs.
//!
//! So the account is confirmed from the beginning and its person logged in, in the organization that invites; none of their own is
//! made. Somebody else may have signed up with the address before, without ever confirming it: what they chose is worth nothing then.

use super::super::audit::{self, Actor};
use super::super::logins::{self, Entrance, LoggedIn};
use super::super::sessions::Place;
use super::super::users::NAME_MAXIMUM;
use super::super::{attempts, invites, passwords, user_tokens};
use crate::audience::email_address::EmailAddress;
use crate::delivery::system_mail::ActionPurpose;
use crate::fields::Fields;
use crate::{Error, InviteId, Result, Tx, UserId};
use serde_json::json;

/// Somebody who was invited and has no account.
#[derive(Debug, Clone, Copy)]
pub struct NewMember<'a> {
    /// What stands behind `#token=` in the link of the mail.
    pub token: &'a str,
    /// The password that they choose.
    pub password: &'a str,
    /// Their first name.
    pub first_name: Option<&'a str>,
    /// Their last name.
    pub last_name: Option<&'a str>,
}

/// What was chosen, checked.
struct Chosen {
    email: EmailAddress,
    hash: String,
    first_name: Option<String>,
    last_name: Option<String>,
}

/// Makes an account with the address that was invited, and a member of it; opens a session there. The invite is used up.
///
/// Errors: [`Error::NotFound`] for a link that leads to no invite, [`Error::Invalid`], [`Error::TooManyAttempts`], [`Error::Conflict`]:
/// those of [`invites::accept`], and `account_exists` where the address has an account whose owner has confirmed it.
pub async fn sign_up(entrance: &Entrance<'_>, new: &NewMember<'_>, place: &Place) -> Result<LoggedIn> {
    let opened = entrance.keys.open_action_token(ActionPurpose::Invite, new.token.trim());
    let invite = InviteId(opened.map_err(|_| Error::not_found("invite"))?);
    attempts::count_sign_up(entrance.db, entrance.keys, place.network()).await?;
    let organization = invites::organization_of(entrance.db, invite).await?;
    let tx = entrance.db.begin(organization).await?;
    let invited = invites::show(&tx, invite).await?;
    tx.commit().await?;
    let chosen = check(entrance, new, &invited.email)?;
    let tx = entrance.db.begin(organization).await?;
    let user = make_account(&tx, &chosen).await?;
    let accepted = invites::accept(&tx, invite, user).await?;
    let (details, request_id) = (json!({"role": accepted.role}), place.request_id.as_deref());
    audit::record(&tx, Actor::User(user), "invite.accepted", invite.0, &details, request_id).await?;
    let logged_in = logins::open(&tx, organization, user, place).await?;
    tx.commit().await?;
    Ok(logged_in)
}

fn check(entrance: &Entrance<'_>, new: &NewMember<'_>, email: &str) -> Result<Chosen> {
    let mut fields = Fields::default();
    passwords::check(&mut fields, "password", new.password, email);
    let first_name = fields.line("first_name", new.first_name, NAME_MAXIMUM);
    let last_name = fields.line("last_name", new.last_name, NAME_MAXIMUM);
    fields.finish()?;
    let email = EmailAddress::parse(email).map_err(Error::internal)?;
    Ok(Chosen { email, hash: entrance.hasher.hash(new.password)?, first_name, last_name })
}

/// An account that is confirmed: a new one, or one that nobody has confirmed and that is theirs from now on.
async fn make_account(tx: &Tx, Chosen { email, hash, first_name, last_name }: &Chosen) -> Result<UserId> {
    logins::hold_address(tx, email).await?;
    let Some(present) = logins::find_by_email(tx, email.as_str()).await? else {
        let user = UserId::fresh();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&user, &email.as_str(), hash, first_name, last_name];
        tx.execute(include_str!("by_invite/insert_user.sql"), &params).await?;
        return Ok(user);
    };
    let taken_over =
        tx.execute(include_str!("by_invite/take_over.sql"), &[&present.id, hash, first_name, last_name]).await?;
    if taken_over == 0 {
        let message = "there is an account with this address: log in, and accept the invite";
        return Err(Error::conflict("account_exists", message));
    }
    for purpose in [ActionPurpose::ConfirmEmail, ActionPurpose::ResetPassword] {
        user_tokens::end(tx, present.id, purpose).await?;
    }
    Ok(present.id)
}
