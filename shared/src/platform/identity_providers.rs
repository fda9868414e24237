//! Identity providers (OpenID Connect), as whoever runs the installation has set them up: `system_config` `oidc.providers`.

use serde::Deserialize;

use crate::{Database, Error, Result};

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What our routes call it.
    pub name: String,
    /// What it calls itself: the same text as in its tokens and its discovery document.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// The secret in Secrets Manager that we show it; none for a public client, which PKCE alone protects.
    #[serde(default)]
    pub secret_arn: Option<String>,
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
/// Errors: [`Error::Internal`] where the setting can't be read as a list of providers.
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
