//! Lists of addresses that must not be written to, from another system or from an export of this one.
//!
//! What can't be read is told line by line, and the rest is suppressed. The same list twice does nothing the second time.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Known, NOTE_MAXIMUM, Reason, Whom, suppress};
use crate::audience::email_address::EmailAddress;
use crate::audience::imports::encodings::{self, Encoding, Transcoder};
use crate::delivery::tokens::{AddressHash, KeyRing};
use crate::fields::Fields;
use crate::spreadsheets::unguarded;
use crate::{CampaignId, Error, ListId, Result, Tx};

/// Lines whose fault is told; the others that are refused are counted.
const ERRORS_TOLD: usize = 1_000;

/// What separates the columns of a list.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Columns by the names that lists have for them, in lower case and without what stands between words.
const COLUMNS: [(&str, Column); 14] = [
    ("email", Column::Email),
    ("emailaddress", Column::Email),
    ("address", Column::Email),
    ("recipient", Column::Email),
    ("emailhash", Column::Hash),
    ("domain", Column::Domain),
    ("campaignid", Column::Campaign),
    ("listid", Column::List),
    ("reason", Column::Reason),
    ("type", Column::Reason),
    ("suppressionreason", Column::Reason),
    ("note", Column::Note),
    ("comment", Column::Note),
    ("description", Column::Note),
];

/// Reasons by the names that other systems have for them, in the same form.
const REASONS: [(&str, Reason); 16] = [
    ("hardbounce", Reason::HardBounce),
    ("bounce", Reason::HardBounce),
    ("bounced", Reason::HardBounce),
    ("invalid", Reason::HardBounce),
    ("complaint", Reason::Complaint),
    ("complained", Reason::Complaint),
    ("spam", Reason::Complaint),
    ("spamreport", Reason::Complaint),
    ("unsubscribe", Reason::Unsubscribe),
    ("unsubscribed", Reason::Unsubscribe),
    ("optout", Reason::Unsubscribe),
    ("optedout", Reason::Unsubscribe),
    ("manual", Reason::Manual),
    ("blocked", Reason::Manual),
    ("blocklist", Reason::Manual),
    ("", Reason::Manual),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Email,
    Hash,
    Domain,
    Campaign,
    List,
    Reason,
    Note,
}

/// One line as it was given, not checked yet.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// The address; `@example.com` and `*@example.com` are the domain.
    pub email: Option<String>,
    /// The hash of a forgotten one, as an export shows it.
    pub email_hash: Option<String>,
    /// The domain whose addresses are all meant.
    pub domain: Option<String>,
    /// The campaign that it is about; absent for all of them.
    pub campaign_id: Option<String>,
    /// The list whose campaigns it is about; absent for all of them.
    pub list_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What the organization notes.
    pub note: Option<String>,
}

/// The lines of a list with their numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<(u64, Given)>);

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineError {
    /// The line, from 1; of an array the place in it.
    pub line: u64,
    /// Stable name of what is wrong.
    pub code: &'static str,
    /// What a person reads.
    pub message: String,
}

/// What became of a list.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Imported {
    /// Lines that are not blank.
    pub lines: u64,
    /// Suppressions that are new.
    pub added: u64,
    /// Lines whose address was suppressed so before, or further up.
    pub known: u64,
    /// Lines that can't be read.
    pub refused: u64,
    /// What is wrong with the first of these.
    pub errors: Vec<LineError>,
}

impl Lines {
    /// The entries of an array.
    #[must_use]
    pub fn from_entries(entries: Vec<Given>) -> Self {
        Self((1..).zip(entries).collect())
    }

    /// Reads CSV: with a header that names the columns, or without one, the address first on each line.
    ///
    /// Errors: [`Error::Invalid`] for a file that has no text in it, or a header without a column of addresses.
    pub fn from_csv(bytes: &[u8]) -> Result<Self> {
        let text = &text(bytes)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(text))
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let (mut lines, mut columns) = (Vec::new(), None);
        for record in reader.records() {
            let record = record.map_err(Error::internal)?;
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let Some(columns) = &columns else {
                let named: Vec<Option<Column>> = record.iter().map(|cell| find(&COLUMNS, cell)).collect();
                let is_header = !record.iter().any(|cell| cell.contains('@')) && named.iter().any(Option::is_some);
                if is_header
                    && !named
                        .iter()
                        .flatten()
                        .any(|column| matches!(column, Column::Email | Column::Hash | Column::Domain))
                {
                    let message = "the header names no column email, email_hash or domain";
                    return Err(Error::invalid("", "no_address_column", message));
                }
                if is_header {
                    columns = Some(named);
                } else {
                    lines.push((begins_on(&record, text), line(&record, &[Some(Column::Email)])));
                    columns = Some(vec![Some(Column::Email)]);
                }
                continue;
            };
            lines.push((begins_on(&record, text), line(&record, columns)));
        }
        Ok(Self(lines))
    }
}

/// What a list says, in the encodings that files of contacts may have.
fn text(bytes: &[u8]) -> Result<String> {
    let (encoding, mark) = encodings::detect(bytes);
    let encoding = encoding.or_else(|| Encoding::of_first_row(bytes)).unwrap_or(Encoding::Utf8);
    let body = Transcoder::new(encoding).read(&bytes[mark..], true);
    let text =
        encoding.text(&body).map_err(|wrong| Error::invalid("", wrong.code, format!("the list {}", wrong.what)))?;
    // Whoever carries a body as text puts this in place of bytes that are no UTF-8.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        let message = "the list has lost characters on its way: send it as UTF-8, or as application/octet-stream";
        return Err(Error::invalid("", "wrong_encoding", message));
    }
    Ok(text.into_owned())
}

/// Suppresses the addresses of a list, in one transaction.
///
/// Errors: only what the database gives; a line that can't be read is told in the answer.
pub async fn import(tx: &Tx, keys: &KeyRing, lines: Lines) -> Result<Imported> {
    let campaigns = lines.0.iter().filter_map(|(_, given)| given.campaign_id.as_deref()?.trim().parse().ok());
    let lists = lines.0.iter().filter_map(|(_, given)| given.list_id.as_deref()?.trim().parse().ok());
    let known = Known::read(tx, campaigns.collect::<BTreeSet<_>>(), lists.collect::<BTreeSet<_>>()).await?;
    let mut imported = Imported { lines: lines.0.len() as u64, ..Imported::default() };
    let mut entries = BTreeMap::new();
    for (line, given) in lines.0 {
        match check(given, keys, &known) {
            // The first line of an address counts, unless a later one has a graver reason: as with one suppression after the other.
            Ok(entry) => {
                let first = entries.entry((entry.whom.clone(), entry.within)).or_insert_with(|| entry.clone());
                if entry.reason.gravity() > first.reason.gravity() {
                    *first = entry;
                }
            }
            Err((code, message)) => {
                imported.refused += 1;
                if imported.errors.len() < ERRORS_TOLD {
                    imported.errors.push(LineError { line, code, message });
                }
            }
        }
    }
    let entries: Vec<Entry> = entries.into_values().collect();
    imported.added = suppress(tx, &entries).await?;
    imported.known = imported.lines - imported.refused - imported.added;
    Ok(imported)
}

/// Reads one line.
fn check(given: Given, keys: &KeyRing, known: &Known) -> Result<Entry, (&'static str, String)> {
    let text =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let domain = |text: &str| Whom::parse_domain(text).map_err(|(code, message)| (code, message.to_owned()));
    let whom = match (text(&given.email), text(&given.email_hash), text(&given.domain)) {
        (Some(email), None, None) if email.starts_with('@') || email.starts_with("*@") => domain(&email)?,
        (Some(email), None, None) => {
            let email = EmailAddress::parse(&email).map_err(|wrong| (wrong.code(), wrong.to_string()))?;
            Whom::Address(email.lower())
        }
        (None, None, Some(name)) => domain(&name)?,
        (None, Some(hash), None) => {
            let hash: AddressHash = hash.parse().map_err(|wrong| ("invalid_hash", format!("{wrong}")))?;
            if !keys.has_key(hash.key) {
                return Err(("unknown_key", "the hash was made with a key that is not here".to_owned()));
            }
            Whom::Forgotten(hash)
        }
        (None, None, None) => return Err(("empty", "the line has no address".to_owned())),
        _ => return Err(("two_addresses", "a line has an address, a hash or a domain".to_owned())),
    };
    let id = |text: Option<String>| text.map(|id| id.parse()).transpose();
    let campaign =
        id(text(&given.campaign_id)).map_err(|_| ("unknown_campaign", "there is no such campaign".to_owned()))?;
    let list = id(text(&given.list_id)).map_err(|_| ("unknown_list", "there is no such list".to_owned()))?;
    let within = known
        .within(campaign.map(CampaignId), list.map(ListId))
        .map_err(|(_, code, message)| (code, message.to_owned()))?;
    let reason = find(&REASONS, given.reason.as_deref().unwrap_or_default());
    let reason = reason
        .ok_or_else(|| ("unknown_reason", "reason is hard_bounce, complaint, unsubscribe or manual".to_owned()))?;
    let mut fields = Fields::default();
    let note = fields.line("note", given.note.as_deref(), NOTE_MAXIMUM);
    match fields.finish() {
        Err(Error::Invalid(wrong)) => {
            let wrong = wrong.into_iter().next();
            Err(wrong.map_or(("invalid", String::new()), |wrong| (wrong.code, wrong.message)))
        }
        _ => Ok(Entry { whom, within, reason, note }),
    }
}

/// The line that a record begins on: the reader counts from the end of the record before, blank lines included.
fn begins_on(record: &csv::StringRecord, text: &str) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let blank = rest.bytes().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| *byte == b'\n').count();
    position.line() + blank as u64
}

/// The record's cells by their columns. Further cells are left out.
fn line(record: &csv::StringRecord, columns: &[Option<Column>]) -> Given {
    let mut given = Given::default();
    for (cell, column) in record.iter().zip(columns) {
        let field = match column {
            None => continue,
            Some(Column::Email) => &mut given.email,
            Some(Column::Hash) => &mut given.email_hash,
            Some(Column::Domain) => &mut given.domain,
            Some(Column::Campaign) => &mut given.campaign_id,
            Some(Column::List) => &mut given.list_id,
            Some(Column::Reason) => &mut given.reason,
            Some(Column::Note) => &mut given.note,
        };
        field.get_or_insert_with(|| unguarded(cell).into_owned());
    }
    given
}

/// What a name stands for, whatever its case and what stands between its words.
fn find<T: Copy>(names: &[(&str, T)], given: &str) -> Option<T> {
    let folded: String = given.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_lowercase();
    // Nothing but signs is no empty cell.
    let is_said = given.trim().is_empty() == folded.is_empty();
    names.iter().find(|(name, _)| is_said && *name == folded).map(|(_, meaning)| *meaning)
}

/// What the first line has most of; an address has none of them outside of quotes.
fn delimiter(text: &str) -> u8 {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    // The last of equals wins a maximum, and the comma is to win.
    DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

#[cfg(test)]
mod tests;
