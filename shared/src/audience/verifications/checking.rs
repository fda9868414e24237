//! Checks addresses: by their form, by lists, by what the organization knows of them, by DNS, and by a provider where there is one.
//!
//! No transaction is open while anybody is asked. What asking a provider costs is reserved once DNS has told who is to be asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::lists::Known;
use super::{Check, Checks, Filter, Verification, keep, list};
use crate::audience::email_address::EmailAddress;
use crate::audience::providers::budgets::{self, Budget, Purpose};
use crate::audience::providers::{Asker, MailboxProvider};
use crate::delivery::tokens::KeyRing;
use crate::platform::config;
use crate::{Database, Error, OrganizationId, Result, Tx};

/// Domains that are looked up, and mailboxes that are asked about, at the same time.
const AT_ONCE: usize = 25;

/// What DNS says of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailHost {
    /// It names a host for its mail, or is one itself (RFC 5321 section 5.1).
    Present,
    /// It says that it takes no mail (RFC 7505).
    NullMx,
    /// There is no such domain, or nothing behind its name.
    Absent,
    /// DNS has not answered.
    Unknown,
}

/// Looks up who takes the mail of a domain.
pub trait MailHosts: Send + Sync {
    /// What DNS says, within a few seconds.
    fn look_up<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, MailHost>;
}

/// Whom addresses are checked with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// DNS.
    pub hosts: &'a dyn MailHosts,
    /// The way out to the provider.
    pub asker: &'a dyn Asker,
    /// Recognizes forgotten addresses.
    pub keys: &'a KeyRing,
}

/// What was found out about an address.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The address.
    pub email: EmailAddress,
    /// The checks.
    pub checks: Checks,
    /// Why it is not valid.
    pub reason: Option<&'static str>,
}

/// Addresses with what the database knows of them, so that the rest can be asked without it.
#[derive(Debug)]
pub struct Prepared {
    facts: Vec<Facts>,
    provider: Option<MailboxProvider>,
    budget: Budget,
}

#[derive(Debug, Clone)]
struct Facts {
    email: EmailAddress,
    is_disposable: bool,
    is_role: bool,
    own: Own,
}

impl Facts {
    /// Whether the address is invalid whatever DNS says: a provider is not paid for that.
    fn is_invalid(&self) -> bool {
        self.is_disposable || self.is_role || self.own.reason().is_some()
    }
}

/// What an organization knows of an address by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    is_suppressed: bool,
    has_bounced: bool,
}

impl Own {
    /// Why the address is blacklisted, if it is.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self { has_bounced: true, .. } => Some("hard_bounce"),
            Self { is_suppressed: true, .. } => Some("suppressed"),
            Self { .. } => None,
        }
    }

    /// What is known of these addresses, which are in lower case; of those that are not told of, nothing is.
    pub(super) async fn read(tx: &Tx, keys: &KeyRing, lower: &[String]) -> Result<BTreeMap<String, Self>> {
        let (mut of, mut hash_keys, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for email in lower {
            for hash in keys.address_hashes(tx.organization()?.0, email) {
                of.push(email.as_str());
                hash_keys.push(i16::from(hash.key));
                hashes.push(hash.hash.to_vec());
            }
        }
        let params: [&(dyn ToSql + Sync); 4] = [&lower, &of, &hash_keys, &hashes];
        let rows = tx.query(include_str!("checking/read_own.sql"), &params).await?;
        let read = |row: &Row| {
            let own = Self { is_suppressed: row.try_get("is_suppressed")?, has_bounced: row.try_get("has_bounced")? };
            Ok((row.try_get("email")?, own))
        };
        rows.iter().map(read).collect()
    }
}

/// Reads what the database knows of addresses.
pub async fn prepare(tx: &Tx, keys: &KeyRing, emails: Vec<EmailAddress>) -> Result<Prepared> {
    let settings = config::read(tx, "verification").await?;
    let provider: serde_json::Value = settings.json("provider")?;
    let provider = MailboxProvider::read(&provider).map_err(Error::internal)?;
    let known = Known::read(tx, &emails).await?;
    let lower: Vec<String> = emails.iter().map(EmailAddress::lower).collect();
    let own = Own::read(tx, keys, &lower).await?;
    let facts: Vec<Facts> = emails
        .into_iter()
        .zip(lower)
        .map(|(email, lower)| {
            let (is_disposable, is_role) = (known.is_disposable(&email), known.is_role(&email));
            Facts { email, is_disposable, is_role, own: own.get(&lower).copied().unwrap_or_default() }
        })
        .collect();
    Ok(Prepared { facts, provider, budget: Budget::read(&settings)? })
}

impl Prepared {
    /// Asks DNS, and the provider about what may still be valid, until `deadline`; a host that has not answered until then is not
    /// known, and what the provider has not is pending. What asking costs is reserved in a transaction of its own: none is open while anybody is asked.
    pub async fn check(
        self,
        db: &Database,
        organization: OrganizationId,
        means: Means<'_>,
        deadline: Instant,
    ) -> Result<Vec<Finding>> {
        let Self { facts, provider, budget } = self;
        let hosts = look_up(means.hosts, &facts, deadline).await;
        let located: Vec<(Facts, MailHost)> = facts
            .into_iter()
            .map(|facts| {
                let host = hosts.get(facts.email.domain()).copied().unwrap_or(MailHost::Unknown);
                (facts, host)
            })
            .collect();
        let asks = |facts: &Facts, host: MailHost| host == MailHost::Present && !facts.is_invalid();
        let wanted = match provider {
            Some(_) => located.iter().filter(|(facts, host)| asks(facts, *host)).count(),
            None => 0,
        };
        let mut left = reserve(db, organization, budget, wanted).await?;
        let mut questions = Vec::with_capacity(located.len());
        for (facts, host) in located {
            let may_ask = left > 0 && asks(&facts, host);
            left -= usize::from(may_ask);
            questions.push((facts, host, may_ask));
        }
        let provider = provider.as_ref();
        let findings = stream::iter(questions)
            .map(async |(facts, host, may_ask)| {
                let (deliverable, reason) = match (host, provider) {
                    (MailHost::Absent, _) => (Check::Failed, Some("no_mail_host")),
                    (MailHost::NullMx, _) => (Check::Failed, Some("takes_no_mail")),
                    (MailHost::Unknown, _) => (Check::Unknown, Some("dns_unavailable")),
                    (MailHost::Present, None) => (Check::Unknown, Some("no_provider")),
                    (MailHost::Present, Some(_)) if facts.is_invalid() => (Check::Unknown, None),
                    (MailHost::Present, Some(provider)) if may_ask => {
                        let asked = tokio::time::timeout_at(deadline, ask(means.asker, provider, &facts.email)).await;
                        asked.unwrap_or(UNAVAILABLE)
                    }
                    (MailHost::Present, Some(_)) => (Check::Pending, Some("budget_spent")),
                };
                conclude(facts, deliverable, reason)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        Ok(findings)
    }
}

/// What DNS says of the domains of addresses.
async fn look_up(hosts: &dyn MailHosts, facts: &[Facts], deadline: Instant) -> BTreeMap<String, MailHost> {
    let domains: BTreeSet<String> = facts.iter().map(|facts| facts.email.domain().to_owned()).collect();
    stream::iter(domains)
        .map(async |domain| {
            let host = tokio::time::timeout_at(deadline, hosts.look_up(&domain)).await;
            (domain, host.unwrap_or(MailHost::Unknown))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// How many mailboxes may be asked about.
async fn reserve(db: &Database, organization: OrganizationId, budget: Budget, wanted: usize) -> Result<usize> {
    if wanted == 0 {
        return Ok(0);
    }
    let tx = db.begin(organization).await?;
    let granted = budgets::reserve(&tx, Purpose::Deliverability, budget, wanted).await?;
    tx.commit().await?;
    Ok(granted)
}

/// Puts the checks of an address together; of several reasons the first counts that says most.
fn conclude(facts: Facts, deliverable: Check, reason: Option<&'static str>) -> Finding {
    let checks = Checks {
        syntax: Check::Passed,
        disposable: Check::fails_if(facts.is_disposable),
        role_based: Check::fails_if(facts.is_role),
        deliverable,
        blacklisted: Check::fails_if(facts.own.reason().is_some()),
    };
    let reason = facts.own.reason().or(listed(&checks)).or(reason);
    Finding { email: facts.email, checks, reason }
}

/// On which list an address is.
fn listed(checks: &Checks) -> Option<&'static str> {
    match checks {
        Checks { disposable: Check::Failed, .. } => Some("disposable_domain"),
        Checks { role_based: Check::Failed, .. } => Some("role_address"),
        Checks { .. } => None,
    }
}

impl Finding {
    /// Puts what the organization knows by now in place of what it knew before others were asked.
    pub(super) fn heed(&mut self, own: Own) {
        let was_blacklisted = self.checks.blacklisted == Check::Failed;
        if let Some(reason) = own.reason() {
            self.checks.blacklisted = Check::Failed;
            self.reason = Some(reason);
        } else if was_blacklisted {
            // Nobody was asked about the mailbox.
            self.checks.blacklisted = Check::Unknown;
            self.reason = listed(&self.checks).or(Some(LIFTED));
        }
    }
}

/// Of an address that was suppressed until its suppression was lifted: it is to be checked again.
const LIFTED: &str = "suppression_lifted";

/// Of a mailbox that the provider could not be asked about: it is asked about again the next time.
const UNAVAILABLE: (Check, Option<&str>) = (Check::Pending, Some("provider_unavailable"));

/// What the provider says of a mailbox.
async fn ask(asker: &dyn Asker, provider: &MailboxProvider, email: &EmailAddress) -> (Check, Option<&'static str>) {
    let Ok(reply) = asker.ask(&provider.form.question(email)).await else {
        return UNAVAILABLE;
    };
    match reply.status {
        200..=299 => match reply.body.pointer(&provider.verdict) {
            Some(verdict) if provider.passed.contains(verdict) => (Check::Passed, None),
            Some(verdict) if provider.failed.contains(verdict) => (Check::Failed, Some("no_such_mailbox")),
            _ => (Check::Unknown, Some("provider_unsure")),
        },
        429 | 503 => (Check::Pending, Some("provider_busy")),
        _ => UNAVAILABLE,
    }
}

/// How long one address is waited for where somebody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// What was found out about one address, or that it is none.
#[derive(Debug)]
pub struct Found {
    verification: Verification,
    finding: Option<Finding>,
}

/// Checks one address, in transactions of its own: none is open while anybody is asked. What is no address is told as that.
pub async fn check_one(db: &Database, organization: OrganizationId, means: Means<'_>, text: &str) -> Result<Found> {
    let deadline = Instant::now() + PATIENCE;
    let tx = db.begin(organization).await?;
    let checked_at = tx.now();
    let email = match EmailAddress::parse(text.trim()) {
        Ok(email) => email,
        Err(wrong) => {
            tx.commit().await?;
            let (failed, unknown) = (Check::Failed, Check::Unknown);
            let checks = Checks {
                syntax: failed,
                disposable: unknown,
                role_based: unknown,
                deliverable: unknown,
                blacklisted: unknown,
            };
            let (email, reason) = (text.trim().to_lowercase(), Some(format!("syntax_{}", wrong.code())));
            let verification = Verification { email, status: checks.status(), checks, reason, checked_at };
            return Ok(Found { verification, finding: None });
        }
    };
    let prepared = prepare(&tx, means.keys, vec![email]).await?;
    tx.commit().await?;
    let findings = prepared.check(db, organization, means, deadline).await?;
    let finding = findings.into_iter().next().ok_or_else(|| Error::internal("one address has one answer"))?;
    let verification = Verification {
        email: finding.email.lower(),
        status: finding.checks.status(),
        checks: finding.checks,
        reason: finding.reason.map(str::to_owned),
        checked_at,
    };
    Ok(Found { verification, finding: Some(finding) })
}

impl Found {
    /// Keeps it where a contact has the address, and tells what is known then: a verdict from before may stay.
    pub async fn keep(self, tx: &Tx, keys: &KeyRing) -> Result<Verification> {
        let Self { verification, finding: Some(finding) } = self else { return Ok(self.verification) };
        keep(tx, keys, vec![finding]).await?;
        let filter = Filter { email: Some(verification.email.clone()), status: None };
        Ok(list(tx, &filter, None, 1).await?.pop().unwrap_or(verification))
    }
}
