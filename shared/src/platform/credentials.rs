//! Credentials: what a caller presents, and who that is.
//!
//! An API key and the token of a session are made alike: 160 bits that nobody guesses behind the id of an organization, so
//! that looking one up is tenant work and nobody searches for it. Each is shown once and kept as its SHA-256.

use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::api_keys::Mode;
use super::memberships::Role;
use super::plans::Limit;
use super::rate_limits::Standing;
use super::scopes::Scopes;
use crate::{ApiKeyId, Database, Error, OrganizationId, Result, SessionId, Tx, UserId};

/// 160 bits.
const SECRET_BYTES: usize = 20;

/// What kind of credential it is. Its first characters say so, also to a scanner for leaked secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ApiKey(Mode),
    Session,
}

impl Kind {
    const ALL: [Self; 3] = [Self::ApiKey(Mode::Live), Self::ApiKey(Mode::Test), Self::Session];

    /// How every credential of the kind starts.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey(Mode::Live) => "mk_live_",
            Self::ApiKey(Mode::Test) => "mk_test_",
            Self::Session => "ms_",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ApiKey(mode) => mode.name(),
            Self::Session => "session",
        }
    }
}

/// A credential that has just been made: the only moment at which its text exists.
pub(super) struct Minted {
    pub(super) text: String,
    pub(super) hash: [u8; 32],
}

/// Makes a credential of an organization.
pub(super) fn mint(kind: Kind, organization: OrganizationId) -> Result<Minted> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
    let bytes = [organization.0.as_bytes().as_slice(), &secret].concat();
    let text = format!("{}{}", kind.prefix(), BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
    Ok(Minted { text, hash: Sha256::digest(&bytes).into() })
}

/// A credential as a caller presents it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    kind: Kind,
    organization: OrganizationId,
    hash: [u8; 32],
}

impl Credential {
    /// Reads a credential. Whether it is valid, only the database knows.
    ///
    /// Errors: [`Error::Unauthorized`] for anything that has not the form of one.
    pub fn parse(text: &str) -> Result<Self> {
        let (kind, encoded) = Kind::ALL
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))
            .ok_or(Error::Unauthorized)?;
        let bytes = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).map_err(|_| Error::Unauthorized)?;
        if bytes.len() != 16 + SECRET_BYTES {
            return Err(Error::Unauthorized);
        }
        let organization = Uuid::from_slice(&bytes[..16]).map_err(|_| Error::Unauthorized)?;
        Ok(Self { kind, organization: OrganizationId(organization), hash: Sha256::digest(&bytes).into() })
    }

    /// Whether it is the token of a session.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.kind == Kind::Session
    }
}

/// Whoever holds a valid credential.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The organization that the credential belongs to.
    pub organization: OrganizationId,
    /// Who it is, and what they may do.
    pub rights: Rights,
    /// Where the credential stands in its minute.
    pub standing: Standing,
    /// What the plan's requests of the month are used up by, where they are.
    pub used_up: Option<UsedUp>,
}

/// The requests that a plan allows in a month are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// What a person reads.
    pub sentence: String,
    /// Seconds until the next month begins, 1 at least.
    pub reset: i64,
}

impl UsedUp {
    fn from_row(row: &Row) -> Result<Option<Self>> {
        let (maximum, used): (Option<i64>, Option<i64>) = (row.try_get("month_maximum")?, row.try_get("month_used")?);
        let Some(maximum) = maximum.filter(|maximum| used.is_some_and(|used| used > *maximum)) else {
            return Ok(None);
        };
        let sentence = Limit::ApiRequestsAMonth.sentence(maximum, row.try_get("plan_type")?);
        Ok(Some(Self { sentence, reset: row.try_get::<_, i64>("month_seconds")?.max(1) }))
    }
}

/// Who somebody is in an organization, and what they may do there.
#[derive(Debug, Clone)]
pub enum Rights {
    /// A program with an API key.
    Key {
        /// The key.
        id: ApiKeyId,
        /// Whether it may start what leaves Martlet.
        mode: Mode,
        /// What it was made for.
        scopes: Scopes,
        /// When it ceases to be valid; none for never.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A person who is logged in.
    Person {
        /// The person.
        user: UserId,
        /// Where they are logged in.
        session: SessionId,
        /// What they are in the organization.
        role: Role,
        /// Whether they run the installation.
        is_admin: bool,
    },
}

/// Authenticates a request, counts it, and opens its transaction, in one round trip. A request over the limit is
/// authenticated too: its [`Standing`] says so.
///
/// Errors: [`Error::Unauthorized`] for a credential that is unknown, revoked, ended or expired, or of a suspended
/// organization.
pub async fn authenticate(db: &Database, credential: &Credential) -> Result<(Tx, Principal)> {
    let (hash, kind) = (credential.hash.as_slice(), credential.kind.name());
    let (tx, rows) = db
        .begin_after(
            credential.organization,
            include_str!("credentials/authenticate.sql"),
            &[(&hash, Type::BYTEA), (&kind, Type::TEXT)],
        )
        .await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Err(Error::Unauthorized);
    };
    let rights = match credential.kind {
        Kind::ApiKey(mode) => Rights::Key {
            id: row.try_get("id")?,
            mode,
            scopes: Scopes::stored(row.try_get("scopes")?),
            expires_at: row.try_get("expires_at")?,
        },
        Kind::Session => Rights::Person {
            user: row.try_get("user_id")?,
            session: row.try_get("id")?,
            role: Role::stored(row.try_get("role")?)?,
            is_admin: row.try_get("is_admin")?,
        },
    };
    let (standing, used_up) = (Standing::from_row(row)?, UsedUp::from_row(row)?);
    Ok((tx, Principal { organization: credential.organization, rights, standing, used_up }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_read_as_what_it_was_made_as_and_as_nothing_else() {
        let organization = OrganizationId::fresh();
        let (live, test) = (Kind::ApiKey(Mode::Live), Kind::ApiKey(Mode::Test));
        for (kind, other) in [(live, Kind::Session), (Kind::Session, live), (live, test), (test, live)] {
            let minted = mint(kind, organization).unwrap();
            let read = Credential::parse(&minted.text).unwrap();
            assert!(read == Credential { kind, organization, hash: minted.hash });
            let relabelled = minted.text.replace(kind.prefix(), other.prefix());
            assert!(Credential::parse(&relabelled).unwrap().kind == other, "the database looks for one of that kind");
            for broken in ["", kind.prefix(), &minted.text[1..], &minted.text[..minted.text.len() - 1]] {
                assert!(matches!(Credential::parse(broken), Err(Error::Unauthorized)), "{broken}");
            }
        }
    }
}
