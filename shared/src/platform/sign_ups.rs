//! Signing up: an account, an organization of its own, and the mail by which the address is confirmed.
//!
//! Whoever signs up learns nothing of whether the address has an account: the answer is the same, after the same statements. The
//! owner of the address is told, by mail. Until the address is confirmed nobody is logged in, and whoever signs up again with it
//! begins anew: their password takes the place of the one before, and the link of the mail before ends. The address is confirmed
//! with the password, so nobody who signs up with somebody else's address has their password confirmed by its owner.

pub mod by_invite;
pub mod sweeping;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::logins::{Account, Entrance};
use super::users::NAME_MAXIMUM;
use super::{attempts, logins, onboarding, passwords, user_tokens};
use crate::audience::email_address::EmailAddress;
use crate::delivery::system_mail::{self, ActionPurpose, NewSystemMail, Template};
use crate::fields::Fields;
use crate::{Database, Error, OrganizationId, Result, Tx, UserId};

/// Characters of an organization's name.
const ORGANIZATION_MAXIMUM: usize = 200;
/// Characters of a short name before what tells it from others is put behind it.
const SLUG_MAXIMUM: usize = 40;
/// Short names that are tried: the first is the name's own, the others end in chance.
const SLUGS: usize = 4;

/// An account to be made, not checked yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The address.
    pub email: String,
    /// The password: 8 to 200 characters.
    pub password: String,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// What the organization is called; after the person unless given.
    pub organization_name: Option<String>,
}

/// Signs somebody up who calls from `address`. For an address that has an account already an account and its organization are made
/// as for any other, of nobody's, and taken back.
///
/// Errors: [`Error::Invalid`], [`Error::TooManyAttempts`]. None of them depends on who has an account.
pub async fn sign_up(
    entrance: &Entrance<'_>,
    new: &NewAccount,
    address: IpAddr,
    request_id: Option<&str>,
) -> Result<()> {
    let mut fields = Fields::default();
    let email = fields.email("email", new.email.trim());
    passwords::check(&mut fields, "password", &new.password, &new.email);
    let first_name = fields.line("first_name", new.first_name.as_deref(), NAME_MAXIMUM);
    let last_name = fields.line("last_name", new.last_name.as_deref(), NAME_MAXIMUM);
    let organization_name = fields.line("organization_name", new.organization_name.as_deref(), ORGANIZATION_MAXIMUM);
    fields.finish()?;
    let email = email.ok_or_else(|| Error::internal("an address that was not refused is one"))?;
    attempts::count_sign_up(entrance.db, entrance.keys, address).await?;
    // Before it is known whether it is needed.
    let hash = entrance.hasher.hash(&new.password)?;
    let chosen = Chosen { email, hash, first_name, last_name, organization_name };
    let tx = entrance.db.begin(OrganizationId::fresh()).await?;
    logins::hold_address(&tx, &chosen.email).await?;
    let present = logins::find_by_email(&tx, chosen.email.as_str()).await?;
    let user = make_account(&tx, &chosen, present.as_ref(), request_id).await?;
    let may_mail = attempts::may_mail(&tx, entrance.keys, "sign-up", chosen.email.as_str()).await?;
    // An account begins anew only together with the mail that tells of it.
    tx.mark().await?;
    begin(&tx, &chosen, present, user).await?;
    if may_mail {
        tx.keep().await?;
    } else {
        tx.take_back().await?;
    }
    tx.commit().await
}

/// What somebody has chosen, checked.
struct Chosen {
    email: EmailAddress,
    hash: String,
    first_name: Option<String>,
    last_name: Option<String>,
    organization_name: Option<String>,
}

/// Makes an account with its organization, for which `tx` is opened. Where there is one it is of nobody, and taken back.
async fn make_account(tx: &Tx, chosen: &Chosen, present: Option<&Account>, request_id: Option<&str>) -> Result<UserId> {
    let Chosen { email, hash, first_name, last_name, organization_name } = chosen;
    let user = UserId::fresh();
    let its_email = if present.is_none() { email.to_string() } else { format!("{user}@invalid") };
    let name = organization_name.clone().unwrap_or_else(|| own_name(first_name.as_deref(), email.as_str()));
    tx.mark().await?;
    tx.execute(include_str!("sign_ups/insert_user.sql"), &[&user, &its_email, hash, first_name, last_name]).await?;
    found_organization(tx, tx.organization()?, &name, user, request_id).await?;
    if present.is_none() {
        tx.keep().await?;
    } else {
        tx.take_back().await?;
    }
    Ok(user)
}

/// Lets an account that nobody has confirmed begin with what was chosen, and has its address confirmed by a mail; the owner of any other
/// is told. `user` is the account that was made or taken back.
async fn begin(tx: &Tx, chosen: &Chosen, present: Option<Account>, user: UserId) -> Result<()> {
    let Chosen { email, hash, first_name, last_name, .. } = chosen;
    let owner = present.as_ref().map_or(user, |account| account.id);
    let begins = tx.execute(include_str!("sign_ups/restart.sql"), &[&owner, hash, first_name, last_name]).await? > 0;
    let template = if begins { Template::ConfirmEmail } else { Template::AccountExists };
    // What is said to the owner of an account is not up to whoever signs up with their address.
    let named = if begins { first_name.clone() } else { present.and_then(|account| account.first_name) };
    let action = user_tokens::issue(tx, if begins { owner } else { user }, ActionPurpose::ConfirmEmail).await?;
    let mail = NewSystemMail {
        template,
        recipient: email.to_string(),
        variables: json!({"first_name": named}),
        action: begins.then_some(action),
        dedupe_key: format!("{}:{}", template.name(), action.id),
        send_at: tx.now(),
    };
    system_mail::plan(tx, &mail).await?;
    Ok(())
}

/// Makes an organization of somebody's own. `tx` is opened for the organization that is to be.
pub(crate) async fn found_organization(
    tx: &Tx,
    organization: OrganizationId,
    name: &str,
    owner: UserId,
    request_id: Option<&str>,
) -> Result<()> {
    let slug = slug(name);
    for _ in 0..SLUGS {
        // Never the name alone: whether that is taken afterwards would tell whether a sign-up has made an account.
        let slug = format!("{slug}-{}", suffix());
        let inserted =
            tx.execute(include_str!("sign_ups/insert_organization.sql"), &[&organization, &slug, &name]).await?;
        if inserted > 0 {
            tx.execute(include_str!("sign_ups/insert_owner.sql"), &[&organization, &owner]).await?;
            onboarding::begin(tx, organization, owner).await?;
            let details = json!({"name": name});
            return audit::record(tx, Actor::User(owner), "organization.created", organization.0, &details, request_id)
                .await;
        }
    }
    Err(Error::internal("no short name for an organization was free"))
}

/// An organization of their own for somebody who belongs to none. In a transaction of its own.
pub(crate) async fn found_own(
    db: &Database,
    user: UserId,
    name: &str,
    request_id: Option<&str>,
) -> Result<OrganizationId> {
    let organization = OrganizationId::fresh();
    let tx = db.begin(organization).await?;
    found_organization(&tx, organization, name, user, request_id).await?;
    tx.commit().await?;
    Ok(organization)
}

/// What an organization is called that nobody has named. The address is not its name: others see that.
pub(crate) fn own_name(first_name: Option<&str>, email: &str) -> String {
    let of_address = || email.split('@').next().unwrap_or_default().to_owned();
    let name = first_name.map_or_else(of_address, str::to_owned);
    name.chars().take(ORGANIZATION_MAXIMUM).collect()
}

/// The short name that is made of a name.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= SLUG_MAXIMUM {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "organization".to_owned() } else { slug.to_owned() }
}

/// Eight characters of chance.
fn suffix() -> String {
    let id: Uuid = crate::ids::fresh();
    // The end of a UUIDv7 is random.
    id.simple().to_string().chars().skip(24).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_made_of_the_name() {
        for (name, expected) in [
            ("Acme Corp.", "acme-corp"),
            ("  --  ", "organization"),
            ("Bücher & Söhne", "b-cher-s-hne"),
            ("株式会社", "organization"),
            (&"x".repeat(100), &"x".repeat(SLUG_MAXIMUM)),
        ] {
            assert_eq!(slug(name), expected);
        }
        assert_eq!(suffix().len(), 8);
    }
}
