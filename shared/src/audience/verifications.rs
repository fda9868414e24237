//! Whether an address takes mail, as far as that can be known without sending one.
//!
//! Five checks, each passed, failed, pending or unknown: any that failed makes the address invalid, all that passed make it valid,
//! and anything else leaves it unverified. Nobody knows whether a mailbox is there but whoever runs it: without a provider who
//! asks them, no address is ever valid.

pub mod checking;
pub mod jobs;
pub mod lists;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use self::checking::{Finding, Own};
use super::email_address::EmailAddress;
use crate::delivery::tokens::KeyRing;
use crate::{Error, Result, Tx};

/// How a check has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Nothing speaks against the address.
    Passed,
    /// It takes no mail, or none is to be sent there.
    Failed,
    /// It is to be asked again: the provider was busy, or the budget of the day is spent.
    Pending,
    /// Nobody could tell.
    Unknown,
}

impl Check {
    const ALL: [Self; 4] = [Self::Passed, Self::Failed, Self::Pending, Self::Unknown];

    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|check| check.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown state of a check: {name}")))
    }

    /// Failed where something is so, else passed.
    fn fails_if(is_so: bool) -> Self {
        if is_so { Self::Failed } else { Self::Passed }
    }
}

/// What the checks come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VerificationStatus")]
pub enum Status {
    /// Every check has passed.
    Valid,
    /// A check has failed.
    Invalid,
    /// Nothing speaks against the address, and not everything is known.
    Unverified,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Valid, Self::Invalid, Self::Unverified];

    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unverified => "unverified",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|status| status.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown status of a verification: {name}")))
    }
}

/// The five checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Checks {
    /// It is the address of a mailbox on the internet.
    pub syntax: Check,
    /// Its domain is not one of mailboxes that are thrown away.
    pub disposable: Check,
    /// It is not the mailbox of a task, such as `info`.
    pub role_based: Check,
    /// Somebody takes mail there.
    pub deliverable: Check,
    /// The organization has not suppressed it, and it has not bounced for good.
    pub blacklisted: Check,
}

impl Checks {
    /// What they come to.
    #[must_use]
    pub fn status(&self) -> Status {
        let Self { syntax, disposable, role_based, deliverable, blacklisted } = *self;
        let all = [syntax, disposable, role_based, deliverable, blacklisted];
        if all.contains(&Check::Failed) {
            Status::Invalid
        } else if all.iter().all(|check| *check == Check::Passed) {
            Status::Valid
        } else {
            Status::Unverified
        }
    }
}

/// What is known of an address, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Verification {
    /// The address in lower case.
    pub email: String,
    /// What the checks come to.
    pub status: Status,
    /// The checks.
    pub checks: Checks,
    /// Why it is not valid; null where it is.
    pub reason: Option<String>,
    /// When it was checked.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub checked_at: DateTime<Utc>,
}

/// Which verifications a list shows.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Of one status.
    pub status: Option<Status>,
    /// Of one address, whatever its case.
    pub email: Option<String>,
}

/// Addresses by what they are.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "VerificationSummary")]
pub struct Summary {
    /// How many have passed every check.
    pub valid: i64,
    /// How many have failed one.
    pub invalid: i64,
    /// Of how many not everything is known.
    pub unverified: i64,
}

/// Verifications by address, at most `limit`, behind `after`.
pub async fn list(tx: &Tx, filter: &Filter, after: Option<&str>, limit: i64) -> Result<Vec<Verification>> {
    let rows = match (&filter.email, filter.status) {
        (Some(email), status) => {
            let lower = EmailAddress::parse(email.trim()).map(|email| email.lower()).unwrap_or_default();
            let status = status.map(Status::name);
            tx.query(include_str!("verifications/list_by_email.sql"), &[&lower, &status, &after, &limit]).await?
        }
        (None, Some(status)) => {
            tx.query(include_str!("verifications/list_by_status.sql"), &[&status.name(), &after, &limit]).await?
        }
        (None, None) => tx.query(include_str!("verifications/list.sql"), &[&after, &limit]).await?,
    };
    rows.iter().map(from_row).collect()
}

/// How many addresses are what.
pub async fn summary(tx: &Tx) -> Result<Summary> {
    let rows = tx.query(include_str!("verifications/summary.sql"), &[]).await?;
    let mut counts: BTreeMap<Status, i64> = BTreeMap::new();
    for row in rows {
        counts.insert(Status::parse(row.try_get("status")?)?, row.try_get("addresses")?);
    }
    let of = |status| counts.get(&status).copied().unwrap_or_default();
    Ok(Summary { valid: of(Status::Valid), invalid: of(Status::Invalid), unverified: of(Status::Unverified) })
}

/// Keeps what was found out about addresses that contacts have, with what the organization has learned of them meanwhile, and returns
/// that. Of others nothing is kept: whoever was erased meanwhile does not come back by what was asked about them before.
pub(crate) async fn keep(tx: &Tx, keys: &KeyRing, mut findings: Vec<Finding>) -> Result<Vec<Finding>> {
    if findings.is_empty() {
        return Ok(findings);
    }
    let emails: Vec<String> = findings.iter().map(|finding| finding.email.lower()).collect();
    // The contacts are held in the order of their ids first, against whoever is erasing one at this moment, and whoever suppresses one:
    // that is read behind it.
    tx.query(include_str!("verifications/hold_contacts.sql"), &[&emails]).await?;
    let own = Own::read(tx, keys, &emails).await?;
    for (finding, email) in findings.iter_mut().zip(&emails) {
        finding.heed(own.get(email).copied().unwrap_or_default());
    }
    let of = |check: fn(&Checks) -> Check| -> Vec<&'static str> {
        findings.iter().map(|finding| check(&finding.checks).name()).collect()
    };
    let statuses: Vec<&str> = findings.iter().map(|finding| finding.checks.status().name()).collect();
    let reasons: Vec<Option<&str>> = findings.iter().map(|finding| finding.reason).collect();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 10] = [
        &tx.organization()?,
        &emails,
        &of(|checks| checks.syntax),
        &of(|checks| checks.disposable),
        &of(|checks| checks.role_based),
        &of(|checks| checks.deliverable),
        &of(|checks| checks.blacklisted),
        &statuses,
        &reasons,
        &tx.now(),
    ];
    tx.execute(include_str!("verifications/keep.sql"), &params).await?;
    Ok(findings)
}

/// Follows a suppression of an address that was lifted: nobody knows whether it is valid until it is checked again, unless something
/// else that the organization knows is left. The caller has locked its contact.
pub(super) async fn reopen(tx: &Tx, keys: &KeyRing, email_lower: &str) -> Result<()> {
    let own = Own::read(tx, keys, &[email_lower.to_owned()]).await?;
    let reason = own.get(email_lower).copied().unwrap_or_default().reason();
    tx.execute(include_str!("verifications/reopen.sql"), &[&email_lower, &reason]).await?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Verification> {
    let check = |name: &str| -> Result<Check> { Check::parse(row.try_get(name)?) };
    Ok(Verification {
        email: row.try_get("email_lower")?,
        status: Status::parse(row.try_get("status")?)?,
        checks: Checks {
            syntax: check("syntax")?,
            disposable: check("disposable")?,
            role_based: check("role_based")?,
            deliverable: check("deliverable")?,
            blacklisted: check("blacklisted")?,
        },
        reason: row.try_get("reason")?,
        checked_at: row.try_get("checked_at")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_check() -> impl Strategy<Value = Check> {
        (0..4_usize).prop_map(|at| Check::ALL[at])
    }

    proptest! {
        #[test]
        fn one_failure_makes_it_invalid_and_nothing_unknown_makes_it_valid(
            syntax in any_check(), disposable in any_check(), role_based in any_check(),
            deliverable in any_check(), blacklisted in any_check(),
        ) {
            let checks = Checks { syntax, disposable, role_based, deliverable, blacklisted };
            let all = [syntax, disposable, role_based, deliverable, blacklisted];
            let count = |check| all.iter().filter(|it| **it == check).count();
            let expected = match (count(Check::Failed), count(Check::Passed)) {
                (1.., _) => Status::Invalid,
                (0, 5) => Status::Valid,
                _ => Status::Unverified,
            };
            prop_assert_eq!(checks.status(), expected);
        }
    }
}
