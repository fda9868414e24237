//! A row of the file as what it says about a person, or as an error that names what is wrong with it.

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::columns::{Columns, Field, Target};
use super::parsing::RowView;
use crate::audience::contacts::{CUSTOM_MAXIMUM, LINE_MAXIMUM};
use crate::audience::email_address::{EmailAddress, InvalidEmailAddress};

/// Characters of a row that are kept with its error.
const RAW_MAXIMUM: usize = 1_000;

/// What a row says about a person. Empty values say nothing and are left out.
#[derive(Debug, Clone)]
pub(super) struct ImportRow {
    pub(super) email: EmailAddress,
    pub(super) fields: Fields,
    pub(super) custom: Map<String, Value>,
    /// All of the row by header, for the record.
    pub(super) raw_data: Map<String, Value>,
    /// Where the row stands, should it turn out later that it can't be taken.
    pub(super) source: Source,
}

/// The fields of a contact that are lines of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) name: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) company: Option<String>,
    pub(super) timezone: Option<String>,
}

impl Fields {
    /// All of them in one order.
    pub(super) fn each_mut(&mut self) -> [&mut Option<String>; 5] {
        [&mut self.name, &mut self.first_name, &mut self.last_name, &mut self.company, &mut self.timezone]
    }

    /// The same, to read.
    pub(super) fn each(&self) -> [&Option<String>; 5] {
        [&self.name, &self.first_name, &self.last_name, &self.company, &self.timezone]
    }
}

/// A row's place and text.
#[derive(Debug, Clone)]
pub(super) struct Source {
    line: u64,
    raw: String,
}

impl Source {
    fn of(row: &RowView<'_>) -> Self {
        // The database holds no NUL. Four bytes are the longest character there is.
        let bytes = &row.raw[..row.raw.len().min(4 * RAW_MAXIMUM)];
        let raw = String::from_utf8_lossy(bytes).chars().take(RAW_MAXIMUM).collect::<String>();
        Self { line: row.line, raw: raw.replace('\0', "\u{fffd}") }
    }

    /// The error of this row.
    pub(super) fn error(self, code: &'static str, reason: impl Into<String>) -> RowError {
        RowError { line: self.line, code, reason: reason.into(), raw: self.raw }
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowError {
    pub(super) line: u64,
    pub(super) code: &'static str,
    pub(super) reason: String,
    pub(super) raw: String,
}

/// What a row is.
#[derive(Debug)]
pub(super) enum Parsed {
    Row(Box<ImportRow>),
    Error(RowError),
    /// Nothing but empty fields, as spreadsheets write an empty line.
    Blank,
}

/// Reads a row.
pub(super) fn parse(columns: &Columns, row: &RowView<'_>) -> Parsed {
    if !row.unclosed && row.fields().all(|field| field.trim_ascii().is_empty()) {
        return Parsed::Blank;
    }
    let source = Source::of(row);
    match read(columns, row, &source) {
        Ok(row) => Parsed::Row(Box::new(row)),
        Err((code, reason)) => Parsed::Error(source.error(code, reason)),
    }
}

type Reason = (&'static str, String);

fn read(columns: &Columns, row: &RowView<'_>, source: &Source) -> Result<ImportRow, Reason> {
    let refuse = |code, reason: &str| Err((code, reason.to_owned()));
    if row.unclosed {
        return refuse("unclosed_quote", "the file ends inside of a quoted field");
    }
    if row.raw.contains(&0) {
        return refuse("nul_byte", "the row holds a NUL byte");
    }
    let (count, expected) = (row.fields().len(), columns.columns.len());
    if count > expected {
        return Err(("too_many_fields", format!("the row has {count} fields, the header {expected}")));
    }
    let (mut email, mut fields) = (None, Fields::default());
    let (mut custom, mut raw_data) = (Map::new(), Map::new());
    for (column, field) in columns.columns.iter().zip(row.fields()) {
        let Ok(text) = std::str::from_utf8(field) else {
            return Err(("not_utf8", format!("the column {:?} is not UTF-8 text", column.name)));
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            continue;
        }
        match &column.target {
            Target::Field(Field::Email) => email = Some(trimmed),
            Target::Field(Field::Name) => fields.name = Some(line(Field::Name, trimmed)?),
            Target::Field(Field::FirstName) => fields.first_name = Some(line(Field::FirstName, trimmed)?),
            Target::Field(Field::LastName) => fields.last_name = Some(line(Field::LastName, trimmed)?),
            Target::Field(Field::Company) => fields.company = Some(line(Field::Company, trimmed)?),
            // Programs write zones in many ways. One that we can't use is kept with the row; the person is still imported.
            Target::Field(Field::Timezone) => {
                fields.timezone = trimmed.parse::<Tz>().ok().map(|zone| zone.name().to_owned());
            }
            Target::Custom(key) => {
                custom.insert(key.clone(), Value::from(trimmed));
            }
            Target::Nothing => {}
        }
        raw_data.insert(column.name.clone(), Value::from(text));
    }
    let email =
        EmailAddress::parse(email.unwrap_or_default()).map_err(|error| (email_code(error), error.to_string()))?;
    if is_too_long(&custom) {
        return Err(custom_too_long());
    }
    Ok(ImportRow { email, fields, custom, raw_data, source: source.clone() })
}

/// The address's own code, told apart from those of other fields.
fn email_code(error: InvalidEmailAddress) -> &'static str {
    match error {
        InvalidEmailAddress::Empty => "email_empty",
        InvalidEmailAddress::TooLong => "email_too_long",
        InvalidEmailAddress::NoAt => "email_no_at",
        InvalidEmailAddress::LocalPart => "email_local_part",
        InvalidEmailAddress::Domain => "email_domain",
        InvalidEmailAddress::NotAscii => "email_not_ascii",
    }
}

/// White space and control characters become single spaces: such a line may become part of a mail's header.
fn line(field: Field, text: &str) -> Result<String, Reason> {
    let breaks = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line = text.split(breaks).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() > LINE_MAXIMUM {
        return Err(("too_long", format!("{} has {LINE_MAXIMUM} characters at most", field.name())));
    }
    Ok(line)
}

/// Why a row with too much in its custom fields is refused.
pub(super) fn custom_too_long() -> Reason {
    ("custom_too_long", "the contact's custom fields have 16 KiB at most".to_owned())
}

/// Whether custom fields have more JSON than a contact may have.
pub(super) fn is_too_long(custom: &Map<String, Value>) -> bool {
    // Six bytes are the longest escape of one; most rows are far from the limit and need not be written out to see it.
    let at_most: usize = custom
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => 6 * text.len() + key.len() + 6,
            _ => CUSTOM_MAXIMUM,
        })
        .sum();
    at_most > CUSTOM_MAXIMUM && serde_json::to_vec(custom).map_or(usize::MAX, |json| json.len()) > CUSTOM_MAXIMUM
}
