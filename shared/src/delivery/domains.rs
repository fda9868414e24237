//! Domains: the ones an organization sends from, once it has shown by DNS records that they are its own.

pub mod records;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;

use self::records::{Record, State};
use super::gates::{self, Gate};
use crate::error::violated_constraint;
use crate::fields::{Fields, patched};
use crate::{DomainId, Error, OrganizationId, Result, Tx};

/// Bytes of a host name (RFC 1035, 2.3.4, without the root's dot).
const NAME_MAXIMUM: usize = 253;
/// Bytes of one label of a host name (RFC 1035, 2.3.4).
const LABEL_MAXIMUM: usize = 63;
/// Mails a day; the same bounds as the column's.
const DAILY_LIMIT: std::ops::RangeInclusive<i32> = 0..=10_000_000;
/// What stands before a domain in the name of its MAIL FROM domain.
const MAIL_FROM_LABEL: &str = "mail";

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

    /// The name of its MAIL FROM domain; none where that would be too long.
    fn mail_from(&self) -> Option<String> {
        Self::parse(&format!("{MAIL_FROM_LABEL}.{}", self.0)).ok().map(|name| name.0)
    }
}

/// Whether mail may be sent from a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DomainStatus")]
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
    /// The keys that its mail is signed with.
    pub dkim: Dkim,
    /// Where bounces of its mail go, if that is not the provider's own domain.
    pub mail_from: Option<MailFrom>,
}

/// The keys of a domain, which the provider keeps and the domain's DNS points to (Easy DKIM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// One a record; the provider looks for all of them or none.
    pub tokens: Vec<String>,
    /// The domain below which the provider publishes the keys.
    pub zone: String,
    /// How it stands with the records.
    pub state: State,
}

/// A MAIL FROM domain: the envelope sender of a domain's mail (RFC 5321, 2.3.1), which SPF is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// Its name, below the domain.
    pub domain: String,
    /// The provider's host that takes the bounces.
    pub exchange: String,
    /// How it stands with its MX record.
    pub state: State,
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

    /// Has bounces of the domain's mail sent to this name below it, once its MX record is found; until then, and when it is
    /// lost, the provider uses its own. The same again has the provider look again. None where it refuses the name.
    fn set_mail_from<'a>(&'a self, domain: &'a DomainName, name: &'a str) -> BoxFuture<'a, Result<Option<MailFrom>>>;
}

/// A domain as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// Its name.
    pub name: String,
    /// Whether mail may be sent from it.
    pub status: Status,
    /// The records to publish, as far as the provider had found them when it was last asked.
    pub dns_records: Vec<Record>,
    /// What is wrong and what to do about it, where the domain is not just waiting for its records.
    pub advice: Option<&'static str>,
    /// Mails a day over all its senders; null for no limit of its own.
    pub daily_limit: Option<i32>,
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

/// The fields of a domain that can be changed, not checked yet: absent ones are `None`, those that are null `Some(None)`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DomainFields {
    /// Mails a day over all its senders, each counted on its sender's local day; null for no limit.
    #[serde(deserialize_with = "patched")]
    pub daily_limit: Option<Option<i32>>,
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
    let identity = with_mail_from(identities, name, identity).await?;
    ensure_not_taken(tx, name.as_str()).await?;
    let dns_records = records::of(name, &identity)?;
    let row = tx
        .query_opt(
            include_str!("domains/insert.sql"),
            &[&tx.organization()?, &DomainId::fresh(), &name.as_str(), &dns_records],
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

/// Changes the fields that are given. What has been planned keeps its slots, also above a new limit.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn update(tx: &Tx, id: DomainId, given: DomainFields) -> Result<Domain> {
    let mut fields = Fields::default();
    if let Some(Some(limit)) = given.daily_limit {
        fields.number("daily_limit", limit, DAILY_LIMIT);
    }
    fields.finish()?;
    let row = tx
        .query_opt(
            include_str!("domains/update.sql"),
            &[&id, &given.daily_limit.is_some(), &given.daily_limit.flatten()],
        )
        .await?;
    row.ok_or(Error::not_found("domain")).and_then(|row| from_row(&row))
}

/// Asks the provider and keeps what it says, the records included: they change when an identity is made anew. An identity of
/// an older release gets its MAIL FROM domain. Once it commits that the domain is not verified any more, no mail from an
/// address in it goes out.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`domain_taken`) when another organization has verified it.
pub async fn verify(tx: &Tx, identities: &dyn Identities, id: DomainId) -> Result<Domain> {
    let name = DomainName::parse(&find(tx, id).await?.name)?;
    let identity = match identities.find(&name).await? {
        Some(identity) => identity,
        None => identities.create(&name, tx.organization()?).await?,
    };
    ensure_ours(tx, &identity)?;
    let identity = with_mail_from(identities, &name, identity).await?;
    let dns_records = records::of(&name, &identity)?;
    if identity.status == Status::Verified {
        ensure_not_taken(tx, name.as_str()).await?;
    } else {
        close_senders(tx, id).await?;
    }
    let row = tx
        .query_opt(include_str!("domains/set_status.sql"), &[&id, &identity.status.name(), &dns_records, &tx.now()])
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

/// Waits until nobody lets mail of the domain's senders through, and keeps it so until the transaction ends: a claim that has
/// seen the domain verified is over then, and the next one sees what we write.
async fn close_senders(tx: &Tx, id: DomainId) -> Result<()> {
    let rows = tx.query(include_str!("domains/senders.sql"), &[&id]).await?;
    let senders: Vec<Gate> = rows.iter().map(|row| Ok(Gate::Sender(row.try_get("id")?))).collect::<Result<_>>()?;
    gates::close(tx, &senders).await
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

/// Gives an identity its MAIL FROM domain. One that somebody has chosen by hand stays. Where the provider has given up, it is
/// asked to look again, and what it has said is kept until it says otherwise.
async fn with_mail_from(identities: &dyn Identities, name: &DomainName, identity: Identity) -> Result<Identity> {
    let mail_from = match identity.mail_from {
        Some(known) if known.state == State::Failed => {
            identities.set_mail_from(name, &known.domain).await?;
            Some(known)
        }
        Some(known) => Some(known),
        None => match name.mail_from() {
            Some(chosen) => identities.set_mail_from(name, &chosen).await?,
            None => None,
        },
    };
    Ok(Identity { mail_from, ..identity })
}

fn from_row(row: &Row) -> Result<Domain> {
    let status = Status::parse(row.try_get("status")?)?;
    let dns_records = records::read(row.try_get::<_, Value>("dns_records")?)?;
    let checked_at: Option<DateTime<Utc>> = row.try_get("checked_at")?;
    Ok(Domain {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        status,
        advice: records::advice(status, &dns_records),
        dns_records,
        daily_limit: row.try_get("daily_limit")?,
        verified_at: row.try_get("verified_at")?,
        checked_at,
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
    fn a_mail_from_domain_is_below_the_domain_and_not_too_long() {
        let mail_from = |name: &str| DomainName::parse(name).unwrap().mail_from();
        assert_eq!(mail_from("example.com").as_deref(), Some("mail.example.com"));
        let longest = format!("{}com", "abc.".repeat(61));
        assert_eq!(mail_from(&longest).map(|name| name.len()), Some(NAME_MAXIMUM - 1));
        assert_eq!(mail_from(&format!("abc.{longest}")), None);
    }
}
