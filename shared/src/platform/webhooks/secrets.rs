//! What deliveries are signed with: made here, shown once, stored encrypted.
//!
//! In a rotation the secret before stays valid for a day beside the new one, and both sign, so that whoever verifies may change
//! over when it suits them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_postgres::Row;

use crate::delivery::tokens::{KeyRing, Sealed};
use crate::{Error, OrganizationId, Result, Tx, WebhookEndpointId, ids};

/// How a secret begins, so that a person and a scanner know it.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that we make.
const BYTES: usize = 32;

/// A secret in plain. Shown once to whoever made it, and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A new one.
    pub fn fresh() -> Result<Self> {
        let mut bytes = vec![0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Reads `whsec_` and base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text.strip_prefix(PREFIX)?).ok().map(Self)
    }

    /// `whsec_` and base64.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The key of the HMAC.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// It shows nothing.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// Makes an endpoint's first secret.
pub(crate) async fn create(tx: &Tx, keys: &KeyRing, endpoint: WebhookEndpointId) -> Result<Secret> {
    let (organization, secret) = (tx.organization()?, Secret::fresh()?);
    let Sealed { key_number, bytes } = keys.seal_secret(&[organization.0, endpoint.0], secret.bytes())?;
    tx.execute(
        include_str!("secrets/insert.sql"),
        &[&organization, &endpoint, &ids::fresh(), &i16::from(key_number), &bytes],
    )
    .await?;
    Ok(secret)
}

/// Makes another one. The one before is valid for a day; one that was on its way out ends now. The caller has locked the endpoint.
pub(crate) async fn rotate(tx: &Tx, keys: &KeyRing, endpoint: WebhookEndpointId) -> Result<Secret> {
    tx.execute(include_str!("secrets/delete_expiring.sql"), &[&endpoint]).await?;
    tx.execute(include_str!("secrets/expire.sql"), &[&endpoint]).await?;
    create(tx, keys, endpoint).await
}

/// Those of the rows of `read.sql`, the newest first. One that can't be opened is passed over and logged: beside it a new one
/// still signs, and an endpoint that has none left is to be told nothing rather than to hold up everybody else.
pub(crate) fn open(
    keys: &KeyRing,
    organization: OrganizationId,
    endpoint: WebhookEndpointId,
    rows: &[Row],
) -> Vec<Secret> {
    let open = |row: &Row| {
        let number = u8::try_from(row.try_get::<_, i16>("key_number")?).map_err(Error::internal)?;
        keys.open_secret(&[organization.0, endpoint.0], number, row.try_get("sealed")?).map(Secret)
    };
    rows.iter()
        .filter_map(|row| {
            open(row)
                .inspect_err(
                    |error| tracing::error!(%organization, endpoint_id = %endpoint, %error, "a secret can't be opened"),
                )
                .ok()
        })
        .collect()
}

/// The statement that reads the secrets of an endpoint (`$1`) of an organization (`$2`) which are valid now.
pub(crate) const READ: &str = include_str!("secrets/read.sql");
