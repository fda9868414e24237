//! What is stored about a person, whatever table it is in: read ([`export`]) and taken out ([`erase`]).
//!
//! A person is a contact and the address that it has, with those of contacts that were merged into it: mails to the address count as
//! theirs, also those whose contact is gone or another one. A contact that lies in the bin is a person like any other. What is free text is theirs where it names the address. A test scans every column of every tenant
//! table for what is left of an erased person, so whoever adds a table that may know a person adds it here.

mod erasing;
mod exporting;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::ToSql;

pub use self::erasing::{Erased, erase};
pub use self::exporting::{Page, Place, Section, export};
use crate::delivery::mail;
use crate::delivery::tracked_links::TrackedLink;
use crate::{CampaignId, ContactId, Error, LinkId, MessageId, Result, StepId, Tx};

/// What an erased message has in place of its recipient. It is no address, so nobody is ever written to under it; the
/// statements that must know it, and the migration that made it, have it as text.
pub const ERASED: &str = "erased";

/// Messages whose text is read at a time.
const TEXTS: usize = 50;

/// A person, as far as they are to be found.
struct Person {
    contact: ContactId,
    email_lower: String,
    /// Other addresses of the person: those of contacts that were merged into this one.
    others: Vec<String>,
    /// How a text names one of the addresses.
    naming: Vec<String>,
    /// Every message to the contact or to the address, by id.
    messages: Vec<MessageId>,
    /// What lies in the bin of the person, by id.
    deleted: Vec<ContactId>,
}

impl Person {
    /// Finds a person's messages, and what lies in the bin of them.
    ///
    /// Errors: [`Error::NotFound`] where there is no such contact, in the bin neither.
    async fn find(tx: &Tx, contact: ContactId) -> Result<Self> {
        let email_lower = find_address(tx, contact).await?;
        let rows = tx.query(include_str!("personal_data/find_deleted.sql"), &[&contact, &email_lower]).await?;
        let deleted: Vec<ContactId> = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
        let mut others = BTreeSet::new();
        for row in &rows {
            others.extend(row.try_get::<_, Option<String>>("address")?);
        }
        let others = Vec::from_iter(others);
        let params: [&(dyn ToSql + Sync); 3] = [&contact, &email_lower, &deleted];
        let rows = tx.query(include_str!("personal_data/find_messages.sql"), &params).await?;
        let messages = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
        let addresses: Vec<&str> = others.iter().chain([&email_lower]).map(String::as_str).collect();
        Ok(Self { contact, naming: naming(&addresses), email_lower, others, messages, deleted })
    }

    /// Every address of the person.
    fn addresses(&self) -> Vec<&str> {
        self.others.iter().chain([&self.email_lower]).map(String::as_str).collect()
    }

    /// The tracked links that are the person's own: those that only their mails have so far, of which the next other mail makes
    /// new ones; those in their mails that neither the step says for everybody nor any other mail of it has; and those that name the
    /// address.
    ///
    /// With each the other message that is known to have it.
    async fn links(&self, tx: &Tx) -> Result<Vec<(LinkId, Option<MessageId>)>> {
        let mut links = BTreeMap::new();
        for messages in self.messages.chunks(TEXTS) {
            for row in tx.query(include_str!("personal_data/read_texts.sql"), &[&messages]).await? {
                let (campaign, step): (CampaignId, StepId) = (row.try_get("campaign_id")?, row.try_get("step_id")?);
                for url in mail::links([row.try_get("body")?]) {
                    let link = TrackedLink::to(&url, tx.organization()?, campaign, step, NO_URL_OF_OURS);
                    links.extend(link.map(|link| (link.id, url)));
                }
            }
        }
        let (ids, urls): (Vec<LinkId>, Vec<String>) = links.into_iter().unzip();
        let rows = tx
            .query(include_str!("personal_data/find_links.sql"), &[&ids, &urls, &self.messages, &self.naming])
            .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("other_message_id")?))).collect()
    }
}

/// The address of a contact, or of what lies in the bin of one.
///
/// Errors: [`Error::NotFound`].
async fn find_address(tx: &Tx, contact: ContactId) -> Result<String> {
    let row = tx.query_opt(include_str!("personal_data/find_address.sql"), &[&contact]).await?;
    Ok(row.ok_or(Error::not_found("contact"))?.try_get("email_lower")?)
}

/// Links below the public URL are never stored, so that none needs to be left out here.
const NO_URL_OF_OURS: &str = "-";

/// What `names_person` takes: a regular expression for any of the addresses, and for each a pattern of `like` that every text matches
/// that the expression does.
fn naming(addresses: &[&str]) -> Vec<String> {
    let expressions: Vec<String> = addresses.iter().map(|address| expression(address)).collect();
    [expressions.join("|")].into_iter().chain(addresses.iter().map(|address| pattern(address))).collect()
}

/// The address with whatever may be written otherwise left open.
fn pattern(email_lower: &str) -> String {
    let literal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '%' };
    format!("%{}%", email_lower.chars().map(literal).collect::<String>())
}

/// What a text matches that names this address and not one that ends or begins like it, also in a URL or in JSON.
fn expression(email_lower: &str) -> String {
    let mut naming = "(?<![a-z0-9._%+-])".to_owned();
    for c in email_lower.chars() {
        match c {
            '@' => naming.push_str("(@|%40)"),
            '+' => naming.push_str(r"(\+|%2B)"),
            // JSON puts a backslash in front, and PostgreSQL another one where it writes bytes as text.
            '"' | '\\' => naming.extend([r"\\*\", &c.to_string()]),
            c if c.is_ascii_alphanumeric() => naming.push(c),
            c => naming.extend(['\\', c]),
        }
    }
    format!("(?:{naming}{})", r"(?![a-z0-9-]|\.[a-z0-9])")
}
