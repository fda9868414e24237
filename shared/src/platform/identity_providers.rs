//! Identity providers (OpenID Connect), as whoever runs the installation has set them up: `system_config` `oidc.providers`.
//!
//! A secret that we show one is none of this setting's business: it lies beside the issuer that it is for, where only whoever
//! deploys writes (`functions`), so that no setting sends one elsewhere.

use serde::Deserialize;
use serde_json::Value;

use super::webhooks::{Reach, Target};
use crate::{Database, Error, Result};

/// Characters of a provider's name, which stands in the address of a page.
const NAME_MAXIMUM: usize = 40;
/// Characters of what a provider calls us.
const CLIENT_MAXIMUM: usize = 500;
/// Characters of an issuer, as identities keep it.
const ISSUER_MAXIMUM: usize = 500;

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What our routes call it: a-z, 0-9 and -.
    pub name: String,
    /// What it calls itself: the same text as in its tokens and its discovery document.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
}

/// The providers there are, and where their logins lead back to.
#[derive(Debug, Clone)]
pub struct Configured {
    /// By their names.
    pub providers: Vec<Provider>,
    /// Where our pages are, without a slash at the end; none where it is the public address of the installation.
    pub console_url: Option<String>,
}

impl Configured {
    /// The provider of this name.
    ///
    /// Errors: [`Error::NotFound`].
    pub fn provider(&self, name: &str) -> Result<&Provider> {
        self.providers.iter().find(|provider| provider.name == name).ok_or(Error::not_found("identity provider"))
    }
}

/// Reads how they are set up at this moment.
///
/// Errors: [`Error::Internal`] where the setting can't be read as a list of providers, which nothing sets it to.
pub async fn read(db: &Database) -> Result<Configured> {
    let tx = db.begin_for(&[]).await?;
    let row = tx.query_one(include_str!("identity_providers/read.sql"), &[]).await?;
    tx.commit().await?;
    let providers: Option<&str> = row.try_get("providers")?;
    let providers = serde_json::from_str(providers.unwrap_or("[]")).map_err(Error::internal)?;
    let console_url: Option<String> = row.try_get("console_url")?;
    let console_url = console_url.map(|url| url.trim().trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    Ok(Configured { providers, console_url })
}

/// What is wrong with the setting, for whoever sets it: what can't be read, and what would not work.
pub(super) fn check(value: &Value) -> Result<(), &'static str> {
    let providers = Vec::<Provider>::deserialize(value)
        .map_err(|_| "value is a list of objects with name, issuer and client_id, and nothing else")?;
    for (at, provider) in providers.iter().enumerate() {
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=NAME_MAXIMUM).contains(&provider.name.len()) || !provider.name.bytes().all(is_plain) {
            return Err("a name has 1 to 40 characters out of a-z, 0-9 and -");
        }
        if providers.iter().take(at).any(|other| other.name == provider.name) {
            return Err("each provider has a name of its own");
        }
        // This machine is open on the local stack alone, which whoever asks the provider looks at once more.
        if provider.issuer.len() > ISSUER_MAXIMUM {
            return Err("an issuer has 500 characters at most");
        }
        if provider.issuer.contains('?') || Target::parse(&provider.issuer, Reach::Loopback).is_err() {
            return Err("an issuer is an https URL that everybody can reach, without query and fragment");
        }
        if !(1..=CLIENT_MAXIMUM).contains(&provider.client_id.chars().count()) {
            return Err("a client_id has 1 to 500 characters");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_be_set_can_be_read_and_nothing_else_may_be_set() {
        let acme = json!({"name": "acme", "issuer": "https://login.acme.test/tenant", "client_id": "martlet"});
        let with = |field: &str, value: Value| {
            let mut other = acme.clone();
            other[field] = value;
            json!([other])
        };
        for good in [json!([]), json!([acme])] {
            assert!(check(&good).is_ok());
            assert!(Vec::<Provider>::deserialize(&good).is_ok());
        }
        for bad in [
            json!({}),
            json!("acme"),
            json!([{"name": "acme"}]),
            json!([acme, acme]),
            with("secret_arn", json!("arn:aws:secretsmanager:eu-central-1:000000000000:secret:tokens")),
            with("name", json!("")),
            with("name", json!("Acme Inc")),
            with("name", json!("a/../b")),
            with("name", json!("x".repeat(41))),
            with("issuer", json!("http://login.acme.test")),
            with("issuer", json!("https://169.254.169.254/")),
            with("issuer", json!("https://10.0.0.1")),
            with("issuer", json!("https://login.acme.test/?x")),
            with("issuer", json!("nonsense")),
            with("client_id", json!("")),
            with("client_id", json!(7)),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
