//! Identities: how an identity provider calls somebody, and whose account that is.
//!
//! An identity leads to one account for ever. One that is new is linked to the account with its address only where both sides know
//! that the address is this person's: the provider says that it has verified it, and so have we. Otherwise whoever can make an
//! account with somebody's address, here or there, would be let into theirs.

use serde_json::json;

use super::audit;
use super::logins::{self, Entrance, LoggedIn};
use super::sessions::Place;
use super::sign_ups;
use super::users::NAME_MAXIMUM;
use crate::fields::Fields;
use crate::{Error, OrganizationId, Result, Tx, UserId};

/// What a provider has said of somebody, verified.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Who says so.
    pub issuer: String,
    /// How it calls them: the same for ever.
    pub subject: String,
    /// Their address, where it says one.
    pub email: Option<String>,
    /// Whether it has verified the address.
    pub email_is_verified: bool,
    /// Their first name, where it says one.
    pub first_name: Option<String>,
    /// Their last name, where it says one.
    pub last_name: Option<String>,
}

/// Logs somebody in by what a provider has said of them; who is new gets an account and an organization of their own.
///
/// Errors: [`Error::Conflict`]: `email_not_verified` where the provider does not vouch for an address, `account_not_confirmed`
/// where an account has the address and nobody has shown that it is theirs.
pub async fn log_in(entrance: &Entrance<'_>, claimed: &Claimed, place: &Place) -> Result<LoggedIn> {
    let tx = entrance.db.begin_for(&[]).await?;
    let known = tx.query_opt(include_str!("identities/find.sql"), &[&claimed.issuer, &claimed.subject]).await?;
    tx.commit().await?;
    let user = match known {
        Some(row) => row.try_get(0)?,
        None => adopt(entrance, claimed, place.request_id.as_deref()).await?,
    };
    logins::log_in_as(entrance, user, place).await
}

/// Links a new identity to the account with its address, or makes one. It is recorded where they belong.
async fn adopt(entrance: &Entrance<'_>, claimed: &Claimed, request_id: Option<&str>) -> Result<UserId> {
    let mut fields = Fields::default();
    let email =
        claimed.email.as_deref().filter(|_| claimed.email_is_verified).and_then(|email| fields.email("email", email));
    let Some(email) = email else {
        let message = "the identity provider does not say that it has verified your address";
        return Err(Error::conflict("email_not_verified", message));
    };
    let own = OrganizationId::fresh();
    let tx = entrance.db.begin(own).await?;
    logins::hold_address(&tx, &email).await?;
    let (tx, user, organizations) = match logins::find_by_email(&tx, email.as_str()).await? {
        None => {
            let user = make_account(&tx, claimed, email.as_str(), request_id).await?;
            (tx, user, vec![own])
        }
        Some(account) if account.is_verified => {
            let organizations = logins::organizations(&tx, account.id).await?;
            tx.commit().await?;
            (entrance.db.begin_for(&organizations).await?, account.id, organizations)
        }
        Some(_) => {
            let message =
                "an account has this address, and nobody has confirmed it: confirm it, or ask for another password";
            return Err(Error::conflict("account_not_confirmed", message));
        }
    };
    tx.execute(include_str!("identities/insert.sql"), &[&claimed.issuer, &claimed.subject, &user]).await?;
    let details = json!({"issuer": claimed.issuer});
    audit::record_of_account(&tx, &organizations, user, "identity.linked", &details, request_id).await?;
    tx.commit().await?;
    Ok(user)
}

/// An account and an organization of its own; `tx` is opened for that.
async fn make_account(tx: &Tx, claimed: &Claimed, email: &str, request_id: Option<&str>) -> Result<UserId> {
    let (first_name, last_name) = (name(claimed.first_name.as_deref()), name(claimed.last_name.as_deref()));
    let user = UserId::fresh();
    tx.execute(include_str!("identities/insert_user.sql"), &[&user, &email, &first_name, &last_name]).await?;
    let called = sign_ups::own_name(first_name.as_deref(), email);
    sign_ups::found_organization(tx, tx.organization()?, &called, user, request_id).await?;
    Ok(user)
}

/// A name as a provider has it, or as much of it as may be kept.
fn name(text: Option<&str>) -> Option<String> {
    let text: String = text?.chars().filter(|c| !c.is_control()).take(NAME_MAXIMUM).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
