//! API keys: shown once, kept as a SHA-256 hash, and carrying their organization so that nobody searches for it.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{ApiKeyId, Database, Error, OrganizationId, Result, Tx};

/// How every key starts, so that a scanner for leaked secrets recognizes it.
const PREFIX: &str = "mk_live_";
/// 160 bits that nobody guesses.
const SECRET_BYTES: usize = 20;
/// As much of a key as may be shown later.
const SHOWN_CHARACTERS: usize = PREFIX.len() + 6;
/// The last use is recorded at most this often: a busy key would otherwise rewrite its row with every request.
const LAST_USED_EVERY: &str = "10 minutes";

/// A key as a caller presents it.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedKey {
    organization: OrganizationId,
    hash: [u8; 32],
}

impl PresentedKey {
    /// Reads a key. Whether it is valid, only the database knows.
    ///
    /// Errors: [`Error::Unauthorized`] for anything that has not the form of a key.
    pub fn parse(text: &str) -> Result<Self> {
        let encoded = text.strip_prefix(PREFIX).ok_or(Error::Unauthorized)?;
        let bytes = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).map_err(|_| Error::Unauthorized)?;
        if bytes.len() != 16 + SECRET_BYTES {
            return Err(Error::Unauthorized);
        }
        let organization = Uuid::from_slice(&bytes[..16]).map_err(|_| Error::Unauthorized)?;
        Ok(Self { organization: OrganizationId(organization), hash: Sha256::digest(&bytes).into() })
    }
}

/// A key that has just been made, the only moment at which its text exists.
pub struct NewApiKey {
    /// Id of the row.
    pub id: ApiKeyId,
    /// The key itself.
    pub text: String,
}

/// Whoever holds a valid key.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated {
    /// The key.
    pub key: ApiKeyId,
    /// The organization that it belongs to.
    pub organization: OrganizationId,
}

/// Makes a key with all scopes.
pub async fn create(tx: &Tx, organization: OrganizationId, name: &str) -> Result<NewApiKey> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
    let bytes = [organization.0.as_bytes().as_slice(), &secret].concat();
    let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
    let id = ApiKeyId::fresh();
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    tx.execute(
        include_str!("api_keys/insert.sql"),
        &[&organization, &id, &name, &&text[..SHOWN_CHARACTERS], &hash.as_slice()],
    )
    .await?;
    Ok(NewApiKey { id, text })
}

/// Opens the transaction of a request and authenticates it in the same round trip.
///
/// Errors: [`Error::Unauthorized`] for a key that is unknown, revoked or expired, or of a suspended organization.
pub async fn authenticate(db: &Database, key: &PresentedKey) -> Result<(Tx, Authenticated)> {
    let hash = key.hash.as_slice();
    let (tx, rows) =
        db.begin_with(key.organization, include_str!("api_keys/authenticate.sql"), &[(&hash, Type::BYTEA)]).await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Err(Error::Unauthorized);
    };
    let authenticated = Authenticated { key: row.try_get("id")?, organization: key.organization };
    if row.try_get("is_stale")? {
        tx.execute(include_str!("api_keys/touch.sql"), &[&authenticated.key, &LAST_USED_EVERY]).await?;
    }
    Ok((tx, authenticated))
}
