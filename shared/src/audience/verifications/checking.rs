//! Checks addresses: by their form, by lists, by what the organization knows of them, by DNS, and by a provider where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio_postgres::types::ToSql;

use super::lists::Known;
use super::{Check, Checks, Verification, keep};
use crate::audience::email_address::EmailAddress;
use crate::audience::providers::budgets::{self, Budget, Purpose};
use crate::audience::providers::{Asker, MailboxProvider};
use crate::delivery::tokens::KeyRing;
use crate::platform::config;
use crate::{Error, Result, Tx};

/// Domains that are looked up, and mailboxes that are asked about, at the same time.
const AT_ONCE: usize = 20;

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
    /// How many mailboxes may be asked about.
    granted: usize,
}

#[derive(Debug, Clone)]
struct Facts {
    email: EmailAddress,
    is_disposable: bool,
    is_role: bool,
    is_suppressed: bool,
    has_bounced: bool,
}

impl Facts {
    /// Whether the address is invalid whatever DNS says: a provider is not paid for that.
    fn is_invalid(&self) -> bool {
        self.is_disposable || self.is_role || self.is_suppressed || self.has_bounced
    }
}

/// Reads what the database knows of addresses, and reserves what asking the provider about them costs.
pub async fn prepare(tx: &Tx, keys: &KeyRing, emails: Vec<EmailAddress>) -> Result<Prepared> {
    let settings = config::read(tx, "verification").await?;
    let provider: serde_json::Value = settings.json("provider")?;
    let provider = MailboxProvider::read(&provider).map_err(Error::internal)?;
    let known = Known::read(tx, &emails).await?;
    let lower: Vec<String> = emails.iter().map(EmailAddress::lower).collect();
    let (mut of, mut hash_keys, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for email in &lower {
        for hash in keys.address_hashes(tx.organization()?.0, email) {
            of.push(email.as_str());
            hash_keys.push(i16::from(hash.key));
            hashes.push(hash.hash.to_vec());
        }
    }
    let params: [&(dyn ToSql + Sync); 4] = [&lower, &of, &hash_keys, &hashes];
    let mut told: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for row in tx.query(include_str!("checking/read_facts.sql"), &params).await? {
        told.insert(row.try_get("email")?, (row.try_get("is_suppressed")?, row.try_get("has_bounced")?));
    }
    let facts: Vec<Facts> = emails
        .into_iter()
        .zip(lower)
        .map(|(email, lower)| {
            let (is_suppressed, has_bounced) = told.get(&lower).copied().unwrap_or_default();
            let (is_disposable, is_role) = (known.is_disposable(&email), known.is_role(&email));
            Facts { email, is_disposable, is_role, is_suppressed, has_bounced }
        })
        .collect();
    let wanted = match provider {
        Some(_) => facts.iter().filter(|facts| !facts.is_invalid()).count(),
        None => 0,
    };
    let granted = budgets::reserve(tx, Purpose::Deliverability, Budget::read(&settings)?, wanted).await?;
    Ok(Prepared { facts, provider, granted })
}

impl Prepared {
    /// Asks DNS, and the provider about what may still be valid. No transaction is open meanwhile, or none is in anybody's way.
    pub async fn check(self, means: Means<'_>) -> Vec<Finding> {
        let Self { facts, provider, granted } = self;
        let domains: BTreeSet<String> = facts.iter().map(|facts| facts.email.domain().to_owned()).collect();
        let hosts: BTreeMap<String, MailHost> = stream::iter(domains)
            .map(async |domain| {
                let host = means.hosts.look_up(&domain).await;
                (domain, host)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut left = granted;
        let mut questions = Vec::with_capacity(facts.len());
        for facts in facts {
            let host = hosts.get(facts.email.domain()).copied().unwrap_or(MailHost::Unknown);
            let asks = host == MailHost::Present && !facts.is_invalid() && provider.is_some();
            let may_ask = asks && left > 0;
            left -= usize::from(may_ask);
            questions.push((facts, host, asks, may_ask));
        }
        let provider = provider.as_ref();
        stream::iter(questions)
            .map(async |(facts, host, asks, may_ask)| {
                let (deliverable, reason) = match (host, provider) {
                    (MailHost::Absent, _) => (Check::Failed, Some("no_mail_host")),
                    (MailHost::NullMx, _) => (Check::Failed, Some("takes_no_mail")),
                    (MailHost::Unknown, _) => (Check::Unknown, Some("dns_unavailable")),
                    (MailHost::Present, Some(provider)) if may_ask => ask(means.asker, provider, &facts.email).await,
                    (MailHost::Present, Some(_)) if asks => (Check::Pending, Some("budget_spent")),
                    (MailHost::Present, Some(_)) => (Check::Unknown, None),
                    (MailHost::Present, None) => (Check::Unknown, Some("no_provider")),
                };
                conclude(facts, deliverable, reason)
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }
}

/// Puts the checks of an address together; of several reasons the first counts that says most.
fn conclude(facts: Facts, deliverable: Check, reason: Option<&'static str>) -> Finding {
    let checks = Checks {
        syntax: Check::Passed,
        disposable: Check::fails_if(facts.is_disposable),
        role_based: Check::fails_if(facts.is_role),
        deliverable,
        blacklisted: Check::fails_if(facts.is_suppressed || facts.has_bounced),
    };
    let reason = if facts.has_bounced {
        Some("hard_bounce")
    } else if facts.is_suppressed {
        Some("suppressed")
    } else if facts.is_disposable {
        Some("disposable_domain")
    } else if facts.is_role {
        Some("role_address")
    } else {
        reason
    };
    Finding { email: facts.email, checks, reason }
}

/// What the provider says of a mailbox.
async fn ask(asker: &dyn Asker, provider: &MailboxProvider, email: &EmailAddress) -> (Check, Option<&'static str>) {
    let Ok(reply) = asker.ask(&provider.form.question(email)).await else {
        return (Check::Unknown, Some("provider_unavailable"));
    };
    match reply.status {
        200..=299 => match reply.body.pointer(&provider.verdict) {
            Some(verdict) if provider.passed.contains(verdict) => (Check::Passed, None),
            Some(verdict) if provider.failed.contains(verdict) => (Check::Failed, Some("no_such_mailbox")),
            _ => (Check::Unknown, Some("provider_unsure")),
        },
        429 | 503 => (Check::Pending, Some("provider_busy")),
        _ => (Check::Unknown, Some("provider_unavailable")),
    }
}

/// How long one address is waited for where somebody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Checks one address, and keeps what was found where a contact has it. What is no address is told as that, and not kept.
pub async fn check_one(tx: &Tx, means: Means<'_>, text: &str) -> Result<Verification> {
    let checked_at = tx.now();
    let email = match EmailAddress::parse(text.trim()) {
        Ok(email) => email,
        Err(wrong) => {
            let (failed, unknown) = (Check::Failed, Check::Unknown);
            let checks = Checks {
                syntax: failed,
                disposable: unknown,
                role_based: unknown,
                deliverable: unknown,
                blacklisted: unknown,
            };
            let (email, reason) = (text.trim().to_lowercase(), Some(format!("syntax_{}", wrong.code())));
            return Ok(Verification { email, status: checks.status(), checks, reason, checked_at });
        }
    };
    let prepared = prepare(tx, means.keys, vec![email]).await?;
    let facts = prepared.facts.first().cloned().ok_or_else(|| Error::internal("one address has one answer"))?;
    let findings = match tokio::time::timeout(PATIENCE, prepared.check(means)).await {
        Ok(findings) => findings,
        Err(_) => vec![conclude(facts, Check::Unknown, Some("provider_unavailable"))],
    };
    keep(tx, &findings).await?;
    let Finding { email, checks, reason } =
        findings.into_iter().next().ok_or_else(|| Error::internal("one address has one answer"))?;
    let reason = reason.map(str::to_owned);
    Ok(Verification { email: email.lower(), status: checks.status(), checks, reason, checked_at })
}
