//! Domains of throw-away mailboxes, and names of mailboxes that are no person's: those that the program brings, and those that
//! administrators have added from a file of theirs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audience::email_address::EmailAddress;
use crate::{Error, Result, Tx};

/// Entries of one file.
pub const ENTRIES_MAXIMUM: usize = 100_000;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressList {
    /// Domains, each with everything below it.
    DisposableDomains,
    /// What stands before the `@`.
    RoleNames,
}

impl AddressList {
    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DisposableDomains => "disposable_domains",
            Self::RoleNames => "role_names",
        }
    }

    fn brought(self) -> &'static HashSet<&'static str> {
        static DOMAINS: LazyLock<HashSet<&str>> = LazyLock::new(|| entries(include_str!("disposable_domains.txt")));
        static NAMES: LazyLock<HashSet<&str>> = LazyLock::new(|| entries(include_str!("role_names.txt")));
        match self {
            Self::DisposableDomains => &DOMAINS,
            Self::RoleNames => &NAMES,
        }
    }

    /// An entry as it is looked for, or nothing where it can never be found.
    fn read(self, line: &str) -> Option<String> {
        let entry = line.trim().trim_start_matches('@');
        let address = match self {
            Self::DisposableDomains => EmailAddress::parse(&format!("a@{entry}")).ok()?.domain().to_owned(),
            Self::RoleNames => {
                let address = EmailAddress::parse(&format!("{entry}@people.test")).ok()?.lower();
                address.strip_suffix("@people.test")?.to_owned()
            }
        };
        Some(address)
    }
}

/// There is no list of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lists are disposable_domains and role_names")]
pub struct NoSuchList;

impl FromStr for AddressList {
    type Err = NoSuchList;

    fn from_str(name: &str) -> Result<Self, NoSuchList> {
        [Self::DisposableDomains, Self::RoleNames].into_iter().find(|list| list.name() == name).ok_or(NoSuchList)
    }
}

fn entries(text: &'static str) -> HashSet<&'static str> {
    lines(text).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The domain and those above it that are a name of their own: `a.b.test` is below `b.test`.
fn with_parents(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain), |domain| domain.split_once('.').map(|(_, parent)| parent))
        .filter(|domain| domain.contains('.'))
}

/// What stands before the `@`, without what many mailboxes let people add behind a plus.
fn name_of(email: &EmailAddress) -> String {
    let lower = email.lower();
    let name = lower.rsplit_once('@').map_or("", |(name, _)| name);
    name.split('+').next().unwrap_or_default().to_owned()
}

/// What the lists say of some addresses.
#[derive(Debug, Default)]
pub struct Known {
    domains: HashSet<String>,
    names: HashSet<String>,
}

impl Known {
    /// Reads what administrators have added about these addresses.
    pub async fn read(tx: &Tx, emails: &[EmailAddress]) -> Result<Self> {
        let domains: BTreeSet<&str> = emails.iter().flat_map(|email| with_parents(email.domain())).collect();
        let names: BTreeSet<String> = emails.iter().map(name_of).collect();
        let (domains, names): (Vec<&str>, Vec<String>) = (domains.into_iter().collect(), names.into_iter().collect());
        let rows = tx.query(include_str!("lists/find.sql"), &[&domains, &names]).await?;
        let mut known = Self::default();
        for row in rows {
            let entry: String = row.try_get("entry")?;
            match row.try_get::<_, &str>("list")?.parse().map_err(Error::internal)? {
                AddressList::DisposableDomains => known.domains.insert(entry),
                AddressList::RoleNames => known.names.insert(entry),
            };
        }
        Ok(known)
    }

    /// Whether mailboxes of the domain are thrown away.
    #[must_use]
    pub fn is_disposable(&self, email: &EmailAddress) -> bool {
        let brought = AddressList::DisposableDomains.brought();
        with_parents(email.domain()).any(|domain| brought.contains(domain) || self.domains.contains(domain))
    }

    /// Whether the mailbox belongs to a task.
    #[must_use]
    pub fn is_role(&self, email: &EmailAddress) -> bool {
        let name = name_of(email);
        AddressList::RoleNames.brought().contains(name.as_str()) || self.names.contains(&name)
    }
}

/// How administrators' entries come to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Those of the file stand in place of those before.
    #[default]
    Replace,
    /// They are added.
    Add,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AddressListTaken")]
pub struct Taken {
    /// Entries that the file had and the list has.
    pub taken: u64,
    /// The first lines that are no entry, by their numbers.
    pub refused: Vec<usize>,
    /// How many lines are none.
    pub refused_total: usize,
    /// Entries that administrators have added, all in all.
    pub entries: i64,
}

/// Lines that an answer names.
const REFUSED_MAXIMUM: usize = 100;

/// Takes a file of one entry a line; empty lines and those behind a `#` are passed over.
///
/// Errors: [`Error::Invalid`] for too many entries, or none that can be read.
pub async fn take(tx: &Tx, list: AddressList, mode: Mode, text: &str) -> Result<Taken> {
    let mut entries = BTreeSet::new();
    let mut refused = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match list.read(line) {
            Some(entry) => {
                entries.insert(entry);
            }
            None => refused.push(at + 1),
        }
    }
    if entries.len() > ENTRIES_MAXIMUM {
        return Err(Error::invalid("body", "too_many", format!("a file has {ENTRIES_MAXIMUM} entries at most")));
    }
    if entries.is_empty() && !refused.is_empty() {
        return Err(Error::invalid("body", "no_entries", "no line of the file is an entry of this list"));
    }
    if mode == Mode::Replace {
        tx.execute(include_str!("lists/clear.sql"), &[&list.name()]).await?;
    }
    let entries: Vec<String> = entries.into_iter().collect();
    tx.execute(include_str!("lists/insert.sql"), &[&list.name(), &entries]).await?;
    let refused_total = refused.len();
    refused.truncate(REFUSED_MAXIMUM);
    let all = count(tx).await?.get(&list).copied().unwrap_or_default();
    Ok(Taken { taken: entries.len() as u64, refused, refused_total, entries: all })
}

/// How many entries administrators have added to each list.
pub async fn count(tx: &Tx) -> Result<BTreeMap<AddressList, i64>> {
    let mut counts = BTreeMap::from([(AddressList::DisposableDomains, 0), (AddressList::RoleNames, 0)]);
    for row in tx.query(include_str!("lists/count.sql"), &[]).await? {
        let list = row.try_get::<_, &str>("list")?.parse().map_err(Error::internal)?;
        counts.insert(list, row.try_get("entries")?);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn every_entry_that_the_program_brings_can_be_found_and_stands_once() {
        for (list, text) in [
            (AddressList::DisposableDomains, include_str!("disposable_domains.txt")),
            (AddressList::RoleNames, include_str!("role_names.txt")),
        ] {
            let all: Vec<&str> = lines(text).collect();
            assert!(all.is_sorted_by(|a, b| a < b), "{list:?} is sorted, each entry once");
            for entry in all {
                assert_eq!(list.read(entry).as_deref(), Some(entry), "{list:?}");
            }
        }
    }

    #[test]
    fn a_domain_is_known_with_everything_below_it_and_nothing_beside_it() {
        let known = Known { domains: HashSet::from(["xn--bcher-kva.test".to_owned()]), names: HashSet::new() };
        for disposable in ["a@mailinator.com", "a@MAILINATOR.com", "a@x.y.mailinator.com", "a@bücher.test"] {
            assert!(known.is_disposable(&email(disposable)), "{disposable}");
        }
        for other in ["a@notmailinator.com", "a@mailinator.com.people.test", "mailinator.com@people.test", "a@com.io"] {
            assert!(!known.is_disposable(&email(other)), "{other}");
        }
    }

    #[test]
    fn a_name_is_known_whatever_is_added_to_it() {
        let known = Known { domains: HashSet::new(), names: HashSet::from(["empfang".to_owned()]) };
        for role in ["info@people.test", "Info+ada@people.test", "NO-REPLY@people.test", "empfang@people.test"] {
            assert!(known.is_role(&email(role)), "{role}");
        }
        for person in ["information@people.test", "ada.info@people.test", "ada+info@people.test"] {
            assert!(!known.is_role(&email(person)), "{person}");
        }
    }
}
