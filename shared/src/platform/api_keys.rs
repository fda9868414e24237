//! API keys: programs' way in, each for the scopes that it was made for.
//!
//! A key is shown once and kept as a hash (`credentials`). It is rotated by making another one like it, beside which it goes
//! on for a while.

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::credentials::{Kind, Rights, mint};
use super::memberships;
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

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// For work: its text begins with `mk_live_`.
    Live,
    /// For trying a program out: its text begins with `mk_test_`. It reads and writes what any other does, and starts nothing that
    /// leaves Martlet.
    Test,
}

impl Mode {
    /// How the database and the API call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Reads the column `mode`.
    ///
    /// Errors: [`Error::Internal`] for a mode that this release does not know.
    pub(super) fn stored(name: &str) -> Result<Self> {
        let known = [Self::Live, Self::Test].into_iter().find(|mode| mode.name() == name);
        known.ok_or_else(|| Error::internal(format!("a key has the mode {name}")))
    }
}

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
    /// `live`, or `test` for one that starts nothing that leaves Martlet.
    pub mode: Mode,
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
    /// Unless given that of the key that makes it, and `live` where a person does. A test key makes test keys alone.
    pub mode: Option<Mode>,
    /// What it may do: `*`, which is everything that a key may, unless given. A key gives no more than it has.
    pub scopes: Option<Vec<String>>,
    /// When it ceases to be valid; unless given, never, or with the key that makes it. A key gives no more time than it has.
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
    /// When it ceases to be valid, null for never. A key gives no more time than it has.
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
        insert(tx, organization, &Made { name, mode: Mode::Live, scopes: &all, expires_at: None, giver: None }).await?;
    Ok(NewApiKey { id: key.id, text })
}

/// Makes a key, and returns it with its text, which exists nowhere else. `giver` is who makes it.
///
/// Errors: [`Error::Invalid`], [`Error::Forbidden`] for scopes, a time or a mode that the giver has not, [`Error::Conflict`]
/// (`too_many_api_keys`), [`Error::Unauthorized`] for a giver who may do nothing here any more.
pub async fn issue(tx: &Tx, giver: &Rights, new: &NewKeyFields) -> Result<(ApiKey, String)> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", &new.name, NAME_MAXIMUM);
    let all = [scopes::ALL.to_owned()];
    let scopes = Scopes::check(&mut fields, new.scopes.as_deref().unwrap_or(&all));
    check_expiry(&mut fields, new.expires_at, tx.now());
    fields.finish()?;
    let giver = &hold_still(tx, giver).await?;
    ensure_room(tx).await?;
    let mode = new.mode.unwrap_or_else(|| mode_of(giver));
    ensure_has(giver, mode, &scopes)?;
    let expires_at = new.expires_at.or_else(|| end_of(giver));
    ensure_outlasts(giver, expires_at)?;
    let made = Made { name: &name, mode, scopes: scopes.names(), expires_at, giver: Some(giver) };
    insert(tx, tx.organization()?, &made).await
}

/// Makes a key like another one, which goes on beside it for the overlap and then expires, and returns it with its text.
///
/// Errors: as [`issue`], [`Error::NotFound`], [`Error::Conflict`] (`api_key_revoked`).
pub async fn rotate(tx: &Tx, giver: &Rights, id: ApiKeyId, rotation: &Rotation) -> Result<(ApiKey, String)> {
    let giver = &hold_still(tx, giver).await?;
    ensure_room(tx).await?;
    let present = lock(tx, id).await?;
    let overlap = rotation.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    if !(0..=OVERLAP_SECONDS_MAXIMUM).contains(&overlap) {
        let message = format!("overlap_seconds is between 0 and {OVERLAP_SECONDS_MAXIMUM}");
        return Err(Error::invalid("overlap_seconds", "out_of_range", message));
    }
    ensure_has(giver, present.mode, &Scopes::stored(present.scopes.clone()))?;
    ensure_outlasts(giver, present.expires_at)?;
    let made = Made {
        name: &present.name,
        mode: present.mode,
        scopes: &present.scopes,
        expires_at: present.expires_at,
        giver: Some(giver),
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
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Forbidden`] where the key has or would have scopes, a time or a mode that
/// the giver has not, [`Error::Conflict`] (`api_key_revoked`).
pub async fn update(tx: &Tx, giver: &Rights, id: ApiKeyId, changes: KeyFields) -> Result<ApiKey> {
    let giver = &hold_still(tx, giver).await?;
    let present = lock(tx, id).await?;
    let mut fields = Fields::default();
    let name = fields.required_line("name", changes.name.as_deref().unwrap_or(&present.name), NAME_MAXIMUM);
    let scopes = changes.scopes.map(|names| Scopes::check(&mut fields, &names));
    check_expiry(&mut fields, changes.expires_at.flatten(), tx.now());
    fields.finish()?;
    // Neither to give nor to take more than they have.
    let present_scopes = Scopes::stored(present.scopes);
    ensure_has(giver, present.mode, &present_scopes)?;
    let is_widened = scopes.as_ref().is_some_and(|scopes| !present_scopes.include(scopes));
    let scopes = scopes.unwrap_or(present_scopes);
    ensure_has(giver, present.mode, &scopes)?;
    let expires_at = changes.expires_at.unwrap_or(present.expires_at);
    // More scopes for a longer time are more than they have, too.
    if changes.expires_at.is_some() || is_widened {
        ensure_outlasts(giver, expires_at)?;
    }
    from_row(&tx.query_one(include_str!("api_keys/update.sql"), &[&id, &name, &expires_at, &scopes.names()]).await?)
}

/// Ends a key for good; it stays to be seen. To revoke it again changes nothing.
///
/// Errors: [`Error::NotFound`], [`Error::Forbidden`] where it has scopes or a mode that the giver has not.
pub async fn revoke(tx: &Tx, giver: &Rights, id: ApiKeyId) -> Result<ApiKey> {
    let giver = &hold_still(tx, giver).await?;
    let row = tx.query_opt(include_str!("api_keys/lock.sql"), &[&id]).await?.ok_or(Error::not_found("API key"))?;
    let present = from_row(&row)?;
    ensure_has(giver, present.mode, &Scopes::stored(present.scopes))?;
    from_row(&tx.query_one(include_str!("api_keys/revoke.sql"), &[&id, &tx.now()]).await?)
}

/// The keys that somebody has made and that open something, in the order in which they were made.
pub(super) async fn made_by(tx: &Tx, user: UserId) -> Result<Vec<ApiKeyId>> {
    let rows = tx.query(include_str!("api_keys/made_by.sql"), &[&user, &tx.now()]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Ends these for good, and returns them.
pub(super) async fn revoke_made_by(tx: &Tx, user: UserId) -> Result<Vec<ApiKeyId>> {
    let rows = tx.query(include_str!("api_keys/revoke_made_by.sql"), &[&user, &tx.now()]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// A key as it is to be stored.
struct Made<'a> {
    name: &'a str,
    mode: Mode,
    scopes: &'a [String],
    expires_at: Option<DateTime<Utc>>,
    /// By whom it is made; nobody where the installation makes it.
    giver: Option<&'a Rights>,
}

async fn insert(tx: &Tx, organization: OrganizationId, made: &Made<'_>) -> Result<(ApiKey, String)> {
    let Made { name, mode, scopes, expires_at, giver } = made;
    let (person, key) = match giver {
        Some(Rights::Person { user, .. }) => (Some(*user), None),
        Some(Rights::Key { id, .. }) => (None, Some(*id)),
        None => (None, None),
    };
    let minted = mint(Kind::ApiKey(*mode), organization)?;
    let shown = &minted.text[..SHOWN_CHARACTERS];
    let row = tx
        .query_one(
            include_str!("api_keys/insert.sql"),
            &[
                &organization,
                &ApiKeyId::fresh(),
                name,
                &shown,
                &minted.hash.as_slice(),
                scopes,
                expires_at,
                &person,
                &mode.name(),
                &key,
            ],
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

/// Makes whoever else changes keys or members wait, which is before any key is locked, and looks again at who gives: they may have been
/// taken out, revoked or narrowed since they were let in.
///
/// Errors: [`Error::Unauthorized`], [`Error::Forbidden`].
async fn hold_still(tx: &Tx, giver: &Rights) -> Result<Rights> {
    match giver {
        Rights::Person { user, session, is_admin, .. } => {
            let role = memberships::hold_still(tx, *user).await?;
            Ok(Rights::Person { user: *user, session: *session, role, is_admin: *is_admin })
        }
        Rights::Key { id, .. } => {
            memberships::hold(tx).await?;
            let present = find(tx, *id).await.map_err(|_| Error::Unauthorized)?;
            if present.revoked_at.is_some() || present.expires_at.is_some_and(|at| at <= tx.now()) {
                return Err(Error::Unauthorized);
            }
            let (mode, scopes) = (present.mode, Scopes::stored(present.scopes));
            Ok(Rights::Key { id: *id, mode, scopes, expires_at: present.expires_at })
        }
    }
}

/// Errors: [`Error::Conflict`] (`too_many_api_keys`).
async fn ensure_room(tx: &Tx) -> Result<()> {
    let present: i64 = tx.query_one(include_str!("api_keys/count.sql"), &[]).await?.try_get(0)?;
    if present >= KEYS_MAXIMUM {
        let message = format!("an organization has {KEYS_MAXIMUM} API keys at most; revoke one first");
        return Err(Error::conflict("too_many_api_keys", message));
    }
    Ok(())
}

/// A person whose role lets them manage keys may give and take every scope; a key no more than it has, and a test key is for test
/// keys alone: it would otherwise become a live one.
fn ensure_has(giver: &Rights, mode: Mode, scopes: &Scopes) -> Result<()> {
    match giver {
        Rights::Key { mode: Mode::Test, .. } if mode == Mode::Live => Err(Error::Forbidden("a live key".to_owned())),
        Rights::Key { scopes: own, .. } if !own.include(scopes) => {
            Err(Error::Forbidden("a key that has these scopes itself".to_owned()))
        }
        _ => Ok(()),
    }
}

/// A key that ends makes none that goes on after it, nor makes one go on.
fn ensure_outlasts(giver: &Rights, expires_at: Option<DateTime<Utc>>) -> Result<()> {
    match end_of(giver) {
        Some(end) if expires_at.is_none_or(|at| at > end) => {
            Err(Error::Forbidden("a key that lasts as long itself".to_owned()))
        }
        _ => Ok(()),
    }
}

fn end_of(giver: &Rights) -> Option<DateTime<Utc>> {
    match giver {
        Rights::Key { expires_at, .. } => *expires_at,
        Rights::Person { .. } => None,
    }
}

/// What a key is unless something is said of it.
fn mode_of(giver: &Rights) -> Mode {
    match giver {
        Rights::Key { mode, .. } => *mode,
        Rights::Person { .. } => Mode::Live,
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
        mode: Mode::stored(row.try_get("mode")?)?,
        prefix: row.try_get("prefix")?,
        scopes: row.try_get("scopes")?,
        created_by: row.try_get("created_by")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
        created_at: row.try_get("created_at")?,
    })
}
