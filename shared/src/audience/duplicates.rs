//! Duplicates: contacts that are probably one person, in groups that say why, to be [merged](super::merging) by a person.
//!
//! Only what can be explained in a sentence and looked up in an index counts: the same [person](super::persons), addresses of one
//! mailbox, the same name at the same company. Nothing is compared for likeness: at a million contacts everybody is like somebody.
//! A contact may be in a group of each reason. The groups of a reason come in the order of what they have in common, so a page goes on
//! where the one before ended, whoever is merged meanwhile.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::{ContactId, Error, PersonId, Result, Tx};

/// Contacts of a group that are shown: the 20 that one [merge](super::merging::MAXIMUM) takes in, and the one that stays.
pub const SHOWN: i64 = 21;

/// Why contacts are taken for one person, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DuplicateReason")]
pub enum Reason {
    /// They have the same person.
    SamePerson,
    /// Their mail goes to one mailbox: the addresses differ in what follows a plus, and with Gmail in dots, which it ignores.
    SameMailbox,
    /// They have the same whole name and company, case, spaces and punctuation aside.
    SameNameAndCompany,
}

impl Reason {
    /// Every reason, in the order of the list.
    pub const ALL: [Self; 3] = [Self::SamePerson, Self::SameMailbox, Self::SameNameAndCompany];
}

/// Contacts that a request looks at for each reason: an index of so many entries is read in well under a second, also where nobody has
/// vacuumed it, and of a million contacts nobody may be there twice.
pub const WALKED: i64 = 50_000;

/// What a list of groups is narrowed by.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DuplicateFilter")]
pub struct Filter {
    /// Groups of this reason alone.
    pub reason: Option<Reason>,
}

/// Contacts that are probably one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DuplicateGroup")]
pub struct Group {
    /// Why.
    pub reason: Reason,
    /// How many contacts it has.
    pub count: i64,
    /// They, the oldest first, 21 at most.
    pub contacts: Vec<Duplicate>,
    /// What they have in common, by which the list goes on after them.
    #[serde(skip)]
    pub place: Place,
}

/// One of them, as far as it helps to choose which to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DuplicateContact")]
pub struct Duplicate {
    /// Its id.
    pub id: ContactId,
    /// Its address.
    pub email: String,
    /// The whole name, where it is not known in parts.
    pub name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// Where the person works.
    pub company: Option<String>,
    /// `active`, `contacted`, `replied`, `bounced` or `unsubscribed`.
    pub status: String,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Where a group stands in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Among those of one person: which.
    SamePerson(PersonId),
    /// Among those of one mailbox: its address.
    SameMailbox(String),
    /// Among those of one name and company: their hash.
    SameNameAndCompany(i64),
}

impl Place {
    fn reason(&self) -> Reason {
        match self {
            Self::SamePerson(_) => Reason::SamePerson,
            Self::SameMailbox(_) => Reason::SameMailbox,
            Self::SameNameAndCompany(_) => Reason::SameNameAndCompany,
        }
    }
}

/// How much of the list is read at once.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// Groups at most.
    pub groups: usize,
    /// Contacts of a reason that are looked at for them: where nobody is there twice, this alone ends a page.
    pub contacts: i64,
}

/// A part of the list.
#[derive(Debug, Default)]
pub struct Read {
    /// Its groups; fewer than were asked for, or none, where the reach was not enough.
    pub groups: Vec<Group>,
    /// Where the next part begins; none at the end.
    pub next: Option<Place>,
}

/// The next groups after a place.
pub async fn list(tx: &Tx, filter: &Filter, after: Option<&Place>, reach: Reach) -> Result<Read> {
    let mut read = Read::default();
    let begun = after.map_or(Reason::SamePerson, Place::reason);
    let wanted = |reason: &Reason| *reason >= begun && filter.reason.is_none_or(|only| only == *reason);
    for reason in Reason::ALL.into_iter().filter(wanted) {
        let left = Reach { groups: reach.groups - read.groups.len(), ..reach };
        if left.groups == 0 {
            read.next = read.groups.last().map(|group| group.place.clone());
            break;
        }
        let part = match reason {
            Reason::SamePerson => {
                let key = if let Some(Place::SamePerson(key)) = after { Some(*key) } else { None };
                SAME_PERSON.read(tx, key, left).await?
            }
            Reason::SameMailbox => {
                let key = if let Some(Place::SameMailbox(key)) = after { Some(key.clone()) } else { None };
                SAME_MAILBOX.read(tx, key, left).await?
            }
            Reason::SameNameAndCompany => {
                let key = if let Some(Place::SameNameAndCompany(key)) = after { Some(*key) } else { None };
                SAME_NAME_AND_COMPANY.read(tx, key, left).await?
            }
        };
        read.groups.extend(part.groups);
        read.next = part.next;
        if read.next.is_some() {
            break;
        }
    }
    Ok(read)
}

/// How the groups of a reason are read, in the order of their keys.
struct Walk<K> {
    reason: Reason,
    /// The keys that several contacts have, how far that was looked, and at how many contacts.
    walk: &'static str,
    /// The contacts of some keys.
    read: &'static str,
    place: fn(K) -> Place,
}

const SAME_PERSON: Walk<PersonId> = Walk {
    reason: Reason::SamePerson,
    walk: include_str!("duplicates/walk_person.sql"),
    read: include_str!("duplicates/read_person.sql"),
    place: Place::SamePerson,
};
const SAME_MAILBOX: Walk<String> = Walk {
    reason: Reason::SameMailbox,
    walk: include_str!("duplicates/walk_mailbox.sql"),
    read: include_str!("duplicates/read_mailbox.sql"),
    place: Place::SameMailbox,
};
const SAME_NAME_AND_COMPANY: Walk<i64> = Walk {
    reason: Reason::SameNameAndCompany,
    walk: include_str!("duplicates/walk_name_and_company.sql"),
    read: include_str!("duplicates/read_name_and_company.sql"),
    place: Place::SameNameAndCompany,
};

impl<K: for<'a> FromSql<'a> + ToSql + Sync + Clone + PartialEq> Walk<K> {
    async fn read(&self, tx: &Tx, after: Option<K>, reach: Reach) -> Result<Read> {
        let most = i64::try_from(reach.groups + 1).map_err(Error::internal)?;
        let row = tx.query_one(self.walk, &[&after, &reach.contacts, &most]).await?;
        let (mut keys, walked): (Vec<K>, i64) = (row.try_get("keys")?, row.try_get("walked")?);
        let reached = if walked < reach.contacts { None } else { row.try_get::<_, Option<K>>("reached")? };
        let has_more = keys.len() > reach.groups || keys.len() == reach.groups && reached.is_some();
        keys.truncate(reach.groups);
        let next = if has_more { keys.last().cloned() } else { reached };
        // Of the contacts of the last key there may be others beyond those that were looked at.
        if let Some(last) = next.as_ref().filter(|last| keys.last() != Some(*last)) {
            keys.push(last.clone());
        }
        let mut groups: Vec<Group> = Vec::new();
        for row in &tx.query(self.read, &[&keys, &SHOWN]).await? {
            let place = (self.place)(row.try_get("key")?);
            if groups.last().is_none_or(|group| group.place != place) {
                groups.push(Group { reason: self.reason, count: row.try_get("people")?, contacts: Vec::new(), place });
            }
            if let Some(group) = groups.last_mut() {
                group.contacts.push(Duplicate::from_row(row)?);
            }
        }
        Ok(Read { groups, next: next.map(self.place) })
    }
}

impl Duplicate {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            name: row.try_get("name")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            company: row.try_get("company")?,
            status: row.try_get("status")?,
            created_at: row.try_get("created_at")?,
        })
    }
}
