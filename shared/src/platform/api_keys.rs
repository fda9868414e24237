//! API keys: programs' way in, each for the scopes that it was made for.
//!
//! A key is shown once and kept as a hash (`credentials`). It is rotated by making another one like it, beside which it goes
//! on for a while.

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::credentials::{Kind, Rights, mint};
use super::scopes::{self, Scopes};
use crate::fields::{Fields, given, patched};
use crate::{ApiKeyId, Error, OrganizationId, Result, Tx, UserId};

/// As much of a key as may be shown later: 26 characters after its prefix are the organization's id, the same in all of its
/// keys and no secret, and the four after it tell keys apart and leave 138 bits of the secret.
const SHOWN_CHARACTERS: usize = "mk_live_".len() + 30;
/// Characters of a key's name.
const NAME_MAXIMUM: usize = 200;
/// Keys of one organization that are not revoked: more than anybody tells apart.
const KEYS_MAXIMUM: i64 = 100;
/// Seconds for which a key goes on beside the one that takes its place, unless told otherwise, and at most.
const OVERLAP_SECONDS: i64 = 86_400;
const OVERLAP_SECONDS_MAXIMUM: i64 = 30 * 86_400;

/// A key that has just been made, the only moment at which its text exists.
pub struct NewApiKey {
    /// Id of the row.
    pub id: ApiKeyId,
    /// The key itself.
    pub text: String,
}

/// A key as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// Its first characters, by which a person tells keys apart.
    pub prefix: String,
    /// What it may do; `*` is everything that a key may.
    pub scopes: Vec<String>,
    /// Who made it; null where nobody knows any more, or a program has.
    pub created_by: Option<UserId>,
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyFields {
    /// What it is for.
    pub name: String,
    /// What it may do: `*`, which is everything that a key may, unless given. A key gives no more than it has.
    pub scopes: Option<Vec<String>>,
    /// When it ceases to be valid; never unless given.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyFields {
    /// What it is for.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// What it may do. A key gives no more than it has.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    pub scopes: Option<Vec<String>>,
    /// When it ceases to be valid, null for never.
    #[serde(deserialize_with = "patched")]
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// How a key is to be rotated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Seconds for which the key goes on beside the new one: a day unless given, 0 to 30 days.
    #[schemars(range(min = 0, max = 2_592_000))]
    pub overlap_seconds: Option<i64>,
}

/// Makes a key for everything that never expires, for an organization that may have none yet.
pub async fn create(tx: &Tx, organization: OrganizationId, name: &str) -> Result<NewApiKey> {
    let all = [scopes::ALL.to_owned()];
    let (key, text) =
        insert(tx, organization, &Made { name, scopes: &all, expires_at: None, created_by: None }).await?;
    Ok(NewApiKey { id: key.id, text })
}

/// Makes a key, and returns it with its text, which exists nowhere else. `giver` is who makes it.
///
/// Errors: [`Error::Invalid`], [`Error::Forbidden`] for scopes that the giver has not, [`Error::Conflict`]
/// (`too_many_api_keys`).
pub async fn issue(tx: &Tx, giver: &Rights, new: &NewKeyFields) -> Result<(ApiKey, String)> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", &new.name, NAME_MAXIMUM);
    let all = [scopes::ALL.to_owned()];
    let scopes = Scopes::check(&mut fields, new.scopes.as_deref().unwrap_or(&all));
    check_expiry(&mut fields, new.expires_at, tx.now());
    fields.finish()?;
    check_giver(giver, &scopes)?;
    hold_and_count(tx).await?;
    let made = Made { name: &name, scopes: scopes.names(), expires_at: new.expires_at, created_by: person(giver) };
    insert(tx, tx.organization()?, &made).await
}

/// Makes a key like another one, which goes on beside it for the overlap and then expires, and returns it with its text.
///
/// Errors: as [`issue`], [`Error::NotFound`], [`Error::Conflict`] (`api_key_revoked`).
pub async fn rotate(tx: &Tx, giver: &Rights, id: ApiKeyId, rotation: &Rotation) -> Result<(ApiKey, String)> {
    let present = lock(tx, id).await?;
    let overlap = rotation.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    if !(0..=OVERLAP_SECONDS_MAXIMUM).contains(&overlap) {
        let message = format!("overlap_seconds is between 0 and {OVERLAP_SECONDS_MAXIMUM}");
        return Err(Error::invalid("overlap_seconds", "out_of_range", message));
    }
    check_giver(giver, &Scopes::stored(present.scopes.clone()))?;
    hold_and_count(tx).await?;
    let made = Made {
        name: &present.name,
        scopes: &present.scopes,
        expires_at: present.expires_at,
        created_by: person(giver),
    };
    let new = insert(tx, tx.organization()?, &made).await?;
    let ends = tx.now() + Duration::seconds(overlap);
    tx.execute(include_str!("api_keys/expire.sql"), &[&id, &ends]).await?;
    Ok(new)
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

/// Changes name, scopes or expiry of a key.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Forbidden`] for scopes that the giver has not,
/// [`Error::Conflict`] (`api_key_revoked`).
pub async fn update(tx: &Tx, giver: &Rights, id: ApiKeyId, changes: KeyFields) -> Result<ApiKey> {
    let present = lock(tx, id).await?;
    let mut fields = Fields::default();
    let name = fields.required_line("name", changes.name.as_deref().unwrap_or(&present.name), NAME_MAXIMUM);
    let scopes = changes.scopes.map(|names| Scopes::check(&mut fields, &names));
    check_expiry(&mut fields, changes.expires_at.flatten(), tx.now());
    fields.finish()?;
    // What it has already, whoever changes it gives to nobody; a longer life for more than they have, they would.
    let scopes = scopes.unwrap_or_else(|| Scopes::stored(present.scopes));
    check_giver(giver, &scopes)?;
    let expires_at = changes.expires_at.unwrap_or(present.expires_at);
    from_row(&tx.query_one(include_str!("api_keys/update.sql"), &[&id, &name, &expires_at, &scopes.names()]).await?)
}

/// Ends a key for good; it stays to be seen. To revoke it again changes nothing.
///
/// Errors: [`Error::NotFound`].
pub async fn revoke(tx: &Tx, id: ApiKeyId) -> Result<ApiKey> {
    let row = tx.query_opt(include_str!("api_keys/revoke.sql"), &[&id, &tx.now()]).await?;
    from_row(&row.ok_or(Error::not_found("API key"))?)
}

/// A key as it is to be stored.
struct Made<'a> {
    name: &'a str,
    scopes: &'a [String],
    expires_at: Option<DateTime<Utc>>,
    created_by: Option<UserId>,
}

async fn insert(tx: &Tx, organization: OrganizationId, made: &Made<'_>) -> Result<(ApiKey, String)> {
    let minted = mint(Kind::ApiKey, organization)?;
    let Made { name, scopes, expires_at, created_by } = made;
    let shown = &minted.text[..SHOWN_CHARACTERS];
    let row = tx
        .query_one(
            include_str!("api_keys/insert.sql"),
            &[&organization, &ApiKeyId::fresh(), name, &shown, &minted.hash.as_slice(), scopes, expires_at, created_by],
        )
        .await?;
    Ok((from_row(&row)?, minted.text))
}

/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`api_key_revoked`).
async fn lock(tx: &Tx, id: ApiKeyId) -> Result<ApiKey> {
    let row = tx.query_opt(include_str!("api_keys/lock.sql"), &[&id]).await?.ok_or(Error::not_found("API key"))?;
    let key = from_row(&row)?;
    match key.revoked_at {
        Some(_) => Err(Error::conflict("api_key_revoked", "the key is revoked for good")),
        None => Ok(key),
    }
}

/// Errors: [`Error::Conflict`] (`too_many_api_keys`).
async fn hold_and_count(tx: &Tx) -> Result<()> {
    tx.query_one(include_str!("api_keys/hold_still.sql"), &[]).await?;
    let present: i64 = tx.query_one(include_str!("api_keys/count.sql"), &[]).await?.try_get(0)?;
    if present >= KEYS_MAXIMUM {
        let message = format!("an organization has {KEYS_MAXIMUM} API keys at most; revoke one first");
        return Err(Error::conflict("too_many_api_keys", message));
    }
    Ok(())
}

/// A person whose role lets them make keys may give every scope; a key gives no more than it has.
fn check_giver(giver: &Rights, scopes: &Scopes) -> Result<()> {
    match giver {
        Rights::Key { scopes: own, .. } if !own.include(scopes) => {
            Err(Error::Forbidden("a key that has these scopes itself".to_owned()))
        }
        _ => Ok(()),
    }
}

fn person(giver: &Rights) -> Option<UserId> {
    match giver {
        Rights::Person { user, .. } => Some(*user),
        Rights::Key { .. } => None,
    }
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
        scopes: row.try_get("scopes")?,
        created_by: row.try_get("created_by")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
        created_at: row.try_get("created_at")?,
    })
}
