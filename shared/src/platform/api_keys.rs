//! API keys: shown once, kept as a SHA-256 hash, and carrying their organization so that nobody searches for it.
//!
//! A key may do everything in its organization. The column `scopes` says so (`*`) until scopes are enforced; none is
//! accepted before, since a scope that holds nobody back would be believed.

use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::rate_limits::Standing;
use crate::fields::{Fields, given, patched};
use crate::{ApiKeyId, Database, Error, OrganizationId, Result, Tx};

/// How every key starts, so that a scanner for leaked secrets recognizes it.
const PREFIX: &str = "mk_live_";
/// 160 bits that nobody guesses.
const SECRET_BYTES: usize = 20;
/// As much of a key as may be shown later: 26 characters are the organization's id, the same in all of its keys and no
/// secret, and the four after it tell keys apart and leave 138 bits of the secret.
const SHOWN_CHARACTERS: usize = PREFIX.len() + 30;
/// Characters of a key's name.
const NAME_MAXIMUM: usize = 200;
/// Keys of one organization that are not revoked: more than anybody tells apart.
const KEYS_MAXIMUM: i64 = 100;

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
    /// Where the key stands in its minute.
    pub standing: Standing,
}

/// A key as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// Its first characters, by which a person tells keys apart.
    pub prefix: String,
    /// When it ceases to be valid; null for never.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute or so.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// A key to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKeyFields {
    /// What it is for.
    pub name: String,
    /// When it ceases to be valid; never unless given.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyFields {
    /// What it is for.
    #[serde(deserialize_with = "given")]
    pub name: Option<String>,
    /// When it ceases to be valid, null for never.
    #[serde(deserialize_with = "patched")]
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

impl KeyFields {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [("name", self.name.is_some()), ("expires_at", self.expires_at.is_some())]
            .into_iter()
            .filter_map(|(name, is_given)| is_given.then_some(name))
            .collect()
    }
}

/// Makes a key that never expires, for an organization that may have none yet.
pub async fn create(tx: &Tx, organization: OrganizationId, name: &str) -> Result<NewApiKey> {
    let (key, text) = insert(tx, organization, name, None).await?;
    Ok(NewApiKey { id: key.id, text })
}

/// Makes a key, and returns it with its text, which exists nowhere else.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`too_many_api_keys`).
pub async fn issue(tx: &Tx, new: &NewKeyFields) -> Result<(ApiKey, String)> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", &new.name, NAME_MAXIMUM);
    check_expiry(&mut fields, new.expires_at, tx.now());
    fields.finish()?;
    tx.query_one(include_str!("api_keys/hold_still.sql"), &[]).await?;
    let present: i64 = tx.query_one(include_str!("api_keys/count.sql"), &[]).await?.try_get(0)?;
    if present >= KEYS_MAXIMUM {
        let message = format!("an organization has {KEYS_MAXIMUM} API keys at most; revoke one first");
        return Err(Error::conflict("too_many_api_keys", message));
    }
    insert(tx, tx.organization()?, &name, new.expires_at).await
}

/// The newest keys, revoked ones too, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<ApiKeyId>, limit: i64) -> Result<Vec<ApiKey>> {
    tx.query(include_str!("api_keys/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// One key.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: ApiKeyId) -> Result<ApiKey> {
    from_row(&tx.query_opt(include_str!("api_keys/find.sql"), &[&id]).await?.ok_or(Error::not_found("API key"))?)
}

/// Changes name or expiry of a key.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] (`api_key_revoked`).
pub async fn update(tx: &Tx, id: ApiKeyId, changes: KeyFields) -> Result<ApiKey> {
    let row = tx.query_opt(include_str!("api_keys/lock.sql"), &[&id]).await?.ok_or(Error::not_found("API key"))?;
    let present = from_row(&row)?;
    if present.revoked_at.is_some() {
        return Err(Error::conflict("api_key_revoked", "the key is revoked for good"));
    }
    let mut fields = Fields::default();
    let name = fields.required_line("name", changes.name.as_deref().unwrap_or(&present.name), NAME_MAXIMUM);
    check_expiry(&mut fields, changes.expires_at.flatten(), tx.now());
    fields.finish()?;
    let expires_at = changes.expires_at.unwrap_or(present.expires_at);
    from_row(&tx.query_one(include_str!("api_keys/update.sql"), &[&id, &name, &expires_at]).await?)
}

/// Ends a key for good; it stays to be seen. To revoke it again changes nothing.
///
/// Errors: [`Error::NotFound`].
pub async fn revoke(tx: &Tx, id: ApiKeyId) -> Result<ApiKey> {
    let row = tx.query_opt(include_str!("api_keys/revoke.sql"), &[&id, &tx.now()]).await?;
    from_row(&row.ok_or(Error::not_found("API key"))?)
}

/// Authenticates a request, counts it, and opens its transaction, in one round trip. A request over the limit is
/// authenticated too: its [`Standing`] says so.
///
/// Errors: [`Error::Unauthorized`] for a key that is unknown, revoked or expired, or of a suspended organization.
pub async fn authenticate(db: &Database, key: &PresentedKey) -> Result<(Tx, Authenticated)> {
    let hash = key.hash.as_slice();
    let (tx, rows) =
        db.begin_after(key.organization, include_str!("api_keys/authenticate.sql"), &[(&hash, Type::BYTEA)]).await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Err(Error::Unauthorized);
    };
    let standing = Standing::from_row(row)?;
    Ok((tx, Authenticated { key: row.try_get("id")?, organization: key.organization, standing }))
}

async fn insert(
    tx: &Tx,
    organization: OrganizationId,
    name: &str,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(ApiKey, String)> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
    let bytes = [organization.0.as_bytes().as_slice(), &secret].concat();
    let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let row = tx
        .query_one(
            include_str!("api_keys/insert.sql"),
            &[&organization, &ApiKeyId::fresh(), &name, &&text[..SHOWN_CHARACTERS], &hash.as_slice(), &expires_at],
        )
        .await?;
    Ok((from_row(&row)?, text))
}

fn check_expiry(fields: &mut Fields, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    if expires_at.is_some_and(|at| at <= now) {
        fields.refuse("expires_at", "not_in_the_future", "expires_at is in the future");
    }
}

fn from_row(row: &Row) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
        created_at: row.try_get("created_at")?,
    })
}
