//! Domains: the ones an organization sends from, once it has shown by DNS records that they are its own.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::error::violated_constraint;
use crate::{DomainId, Error, OrganizationId, Result, Tx};

/// Bytes of a host name (RFC 1035, 2.3.4, without the root's dot).
const NAME_MAXIMUM: usize = 253;
/// Bytes of one label of a host name (RFC 1035, 2.3.4).
const LABEL_MAXIMUM: usize = 63;

/// The name of a domain: a host name in lower case and ASCII form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainName(String);

impl DomainName {
    /// Reads a host name of at least two labels of letters, digits and hyphens (RFC 1123, 2.1).
    ///
    /// Errors: [`Error::Invalid`] (`name`).
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.trim().to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=LABEL_MAXIMUM).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits alone would be an IP address.
        let top = name.rsplit('.').next().unwrap_or_default();
        let is_name = name.len() <= NAME_MAXIMUM
            && name.contains('.')
            && name.split('.').all(is_label)
            && !top.bytes().all(|byte| byte.is_ascii_digit());
        if !is_name {
            let message = "name is a domain such as mail.example.com; one with other letters is written as xn--…";
            return Err(Error::invalid("name", "invalid", message));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether mail may be sent from a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The records have not been found yet.
    Pending,
    /// The provider signs and sends for it.
    Verified,
    /// The provider has given up looking for the records.
    Failed,
}

impl Status {
    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        match name {
            "pending" => Ok(Self::Pending),
            "verified" => Ok(Self::Verified),
            "failed" => Ok(Self::Failed),
            other => Err(Error::internal(format!("unknown status of a domain: {other}"))),
        }
    }
}

/// What the provider knows about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The organization that it was made for, as its tag says; nobody for one made by hand.
    pub owner: Option<OrganizationId>,
    /// Whether it sends for it.
    pub status: Status,
    /// The tokens of which the DKIM records are made.
    pub dkim_tokens: Vec<String>,
}

/// The domains that the mail provider knows. One account serves every organization, so each identity is tagged with the
/// organization that it was made for: to nobody else its verification says anything.
pub trait Identities: Send + Sync {
    /// Makes the identity of a domain, or finds the one that there is.
    ///
    /// Errors: [`Error::Invalid`] (`name`) when the provider refuses the domain.
    fn create<'a>(&'a self, domain: &'a DomainName, owner: OrganizationId) -> BoxFuture<'a, Result<Identity>>;

    /// The identity of a domain, if there is one.
    fn find<'a>(&'a self, domain: &'a DomainName) -> BoxFuture<'a, Result<Option<Identity>>>;
}

/// A domain as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// Its name.
    pub name: String,
    /// Whether mail may be sent from it.
    pub status: Status,
    /// The records to publish: `[{type, name, value, purpose, required}]`.
    pub dns_records: Value,
    /// Since when it is verified.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub verified_at: Option<DateTime<Utc>>,
    /// When the provider was last asked.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub checked_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// Makes a domain, pending until it is verified.
///
/// Errors: [`Error::Conflict`] (`domain_exists`, or `domain_taken` when another organization has verified it),
/// [`Error::Invalid`] when the provider refuses it.
pub async fn create(tx: &Tx, identities: &dyn Identities, name: &DomainName) -> Result<Domain> {
    if tx.query_opt(include_str!("domains/find_by_name.sql"), &[&name.as_str()]).await?.is_some() {
        return Err(exists());
    }
    // The provider is asked before any lock is taken: it may take its time.
    let identity = identities.create(name, tx.organization()?).await?;
    ensure_ours(tx, &identity)?;
    ensure_not_taken(tx, name.as_str()).await?;
    let row = tx
        .query_opt(
            include_str!("domains/insert.sql"),
            &[&tx.organization()?, &DomainId::fresh(), &name.as_str(), &dns_records(name, &identity)],
        )
        .await?;
    row.ok_or_else(exists).and_then(|row| from_row(&row))
}

/// One domain.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: DomainId) -> Result<Domain> {
    let row = tx.query_opt(include_str!("domains/find.sql"), &[&id]).await?.ok_or(Error::not_found("domain"))?;
    from_row(&row)
}

/// The newest domains, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<DomainId>, limit: i64) -> Result<Vec<Domain>> {
    tx.query(include_str!("domains/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Asks the provider and keeps what it says, the records included: they change when an identity is made anew.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`domain_taken`) when another organization has verified it.
pub async fn verify(tx: &Tx, identities: &dyn Identities, id: DomainId) -> Result<Domain> {
    let name = DomainName::parse(&find(tx, id).await?.name)?;
    let identity = match identities.find(&name).await? {
        Some(identity) => identity,
        None => identities.create(&name, tx.organization()?).await?,
    };
    ensure_ours(tx, &identity)?;
    if identity.status == Status::Verified {
        ensure_not_taken(tx, name.as_str()).await?;
    }
    let row = tx
        .query_opt(
            include_str!("domains/set_status.sql"),
            &[&id, &identity.status.name(), &dns_records(&name, &identity), &tx.now()],
        )
        .await?;
    row.ok_or(Error::not_found("domain")).and_then(|row| from_row(&row))
}

/// Deletes a domain. The provider keeps its identity, tagged as this organization's: what it has proved with its DNS does
/// not pass to whoever asks next.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`domain_in_use`) while a sender has an address in it.
pub async fn delete(tx: &Tx, id: DomainId) -> Result<()> {
    match tx.execute(include_str!("domains/delete.sql"), &[&id]).await {
        Ok(0) => Err(Error::not_found("domain")),
        Ok(_) => Ok(()),
        Err(error) if violated_constraint(&error) == Some("senders_domain_fkey") => {
            Err(Error::conflict("domain_in_use", "a sender has an address in this domain"))
        }
        Err(error) => Err(error),
    }
}

/// Refuses an identity that was made for somebody else, or by hand: that it is verified proves nothing about this caller.
fn ensure_ours(tx: &Tx, identity: &Identity) -> Result<()> {
    if identity.owner == Some(tx.organization()?) { Ok(()) } else { Err(taken()) }
}

/// Holds back every other organization that verifies this name, until this transaction ends.
async fn ensure_not_taken(tx: &Tx, name: &str) -> Result<()> {
    let row = tx.query_one(include_str!("domains/is_taken.sql"), &[&name, &tx.organization()?]).await?;
    if row.try_get("is_taken")? {
        return Err(taken());
    }
    Ok(())
}

fn taken() -> Error {
    Error::conflict("domain_taken", "this domain belongs to somebody else here; ask whoever runs the installation")
}

fn exists() -> Error {
    Error::conflict("domain_exists", "this domain has been added already")
}

/// What the owner of the domain publishes: the keys of Easy DKIM, without which SES sends nothing, and what receivers
/// like to see beside them.
fn dns_records(name: &DomainName, identity: &Identity) -> Value {
    let name = name.as_str();
    let record = |kind: &str, name: String, value: String, purpose: &str, required: bool| json!({"type": kind, "name": name, "value": value, "purpose": purpose, "required": required});
    let keys = identity.dkim_tokens.iter().map(|token| {
        let key = format!("{token}._domainkey.{name}");
        record("CNAME", key, format!("{token}.dkim.amazonses.com"), "dkim", true)
    });
    let recommended = [
        record("TXT", format!("mail.{name}"), "v=spf1 include:amazonses.com ~all".into(), "mail_from", false),
        record("TXT", format!("_dmarc.{name}"), "v=DMARC1; p=none;".into(), "dmarc", false),
    ];
    keys.chain(recommended).collect()
}

fn from_row(row: &Row) -> Result<Domain> {
    Ok(Domain {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        status: Status::parse(row.try_get("status")?)?,
        dns_records: row.try_get("dns_records")?,
        verified_at: row.try_get("verified_at")?,
        checked_at: row.try_get("checked_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_host_name_in_lower_case() {
        let longest = format!("{}.{}", "a".repeat(63), "b".repeat(63));
        for (text, name) in [
            (" Mail.Example.COM ", "mail.example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(DomainName::parse(text).unwrap().as_str(), name);
        }
        let too_long = format!("{}example", "a.".repeat(124));
        for broken in [
            "",
            "example",
            ".example.com",
            "example.com.",
            "a..b",
            "-a.example",
            "a-.example",
            "a_b.example",
            "bücher.example",
            "a b.example",
            "a\n.example",
            "a\0.example",
            "192.0.2.1",
            "user@example.com",
            "https://example.com",
            &too_long,
            &format!("{}.example", "a".repeat(64)),
        ] {
            assert!(DomainName::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_records_name_every_key_of_the_identity() {
        let dkim_tokens = vec!["one".into(), "two".into()];
        let identity = Identity { owner: None, status: Status::Pending, dkim_tokens };
        let records = dns_records(&DomainName::parse("example.com").unwrap(), &identity);
        assert_eq!(
            records[1],
            json!({"type": "CNAME", "name": "two._domainkey.example.com", "value": "two.dkim.amazonses.com",
                   "purpose": "dkim", "required": true})
        );
        assert_eq!(records[3]["name"], "_dmarc.example.com");
    }
}
