//! Logins by an identity provider that are under way: what was sent along, to be compared with what comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::{Database, Error, Result};

/// Bits of chance in a state, a ticket, a nonce and a verifier, in bytes.
const CHANCE: usize = 32;
/// How long somebody may take to log in there, in seconds.
const VALID_SECONDS: f64 = 600.0;

/// A login that has begun.
pub struct Begun {
    /// Goes to the provider and comes back.
    pub state: String,
    /// Stays with whoever began.
    pub ticket: String,
    /// Goes to the provider and comes back inside the token.
    pub nonce: String,
    /// The SHA-256 of the verifier goes to the provider (PKCE, RFC 7636, `S256`).
    pub challenge: String,
}

/// A login of which somebody has come back.
pub struct Pending {
    /// Which provider it is with.
    pub provider: String,
    /// What stands in the token.
    pub nonce: String,
    /// What the code is exchanged with.
    pub verifier: String,
    /// Where the provider has sent them back to.
    pub redirect_uri: String,
    /// The machine's time.
    pub now: DateTime<Utc>,
}

/// Begins a login with a provider.
pub async fn begin(db: &Database, provider: &str, redirect_uri: &str) -> Result<Begun> {
    let (state, ticket, nonce, verifier) = (chance()?, chance()?, chance()?, chance()?);
    let tx = db.begin_for(&[]).await?;
    tx.execute(include_str!("oidc_logins/sweep.sql"), &[]).await?;
    tx.execute(
        include_str!("oidc_logins/insert.sql"),
        &[&hash(&state), &hash(&ticket), &provider, &nonce, &verifier, &redirect_uri, &VALID_SECONDS],
    )
    .await?;
    tx.commit().await?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    Ok(Begun { state, ticket, nonce, challenge })
}

/// Takes a login up that began before: once, whatever comes of it, only by whoever began it, and only on the page of the provider that
/// it began with: a code that came to another's page is another's (RFC 9700, section 4.4).
///
/// Errors: [`Error::Conflict`] (`login_not_under_way`).
pub async fn redeem(db: &Database, provider: &str, state: &str, ticket: &str) -> Result<Pending> {
    let tx = db.begin_for(&[]).await?;
    let row = tx.query_opt(include_str!("oidc_logins/redeem.sql"), &[&hash(state), &hash(ticket), &provider]).await?;
    tx.commit().await?;
    let row = row.ok_or_else(|| {
        Error::conflict("login_not_under_way", "this login has ended, or was begun by somebody else: begin again")
    })?;
    Ok(Pending {
        provider: row.try_get("provider")?,
        nonce: row.try_get("nonce")?,
        verifier: row.try_get("verifier")?,
        redirect_uri: row.try_get("redirect_uri")?,
        now: row.try_get("now")?,
    })
}

fn chance() -> Result<String> {
    let mut bytes = [0; CHANCE];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}
