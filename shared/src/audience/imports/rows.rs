//! A row of the file as what it says about a person, or as an error that names what is wrong with it.

use std::borrow::Cow;

use chrono_tz::Tz;

use super::columns::{Columns, Field, Target};
use super::encodings::Encoding;
use super::json_object::JsonObject;
use super::parsing::RowView;
use crate::Error;
use crate::audience::contacts::{CUSTOM_MAXIMUM, LINE_MAXIMUM};
use crate::audience::email_address::{EmailAddress, InvalidEmailAddress};
use crate::spreadsheets::unguarded;

/// Characters of a row that are kept with its error: more than rows of people have.
const RAW_MAXIMUM: usize = 4_000;
/// What stands at the end of a row that was not kept whole.
const CUT: char = '…';

/// Whether this is the beginning of a row that was too long to be kept.
pub(super) fn is_cut(raw: &str) -> bool {
    raw.ends_with(CUT) && raw.chars().count() == RAW_MAXIMUM
}

/// What a row says about a person. Empty values say nothing and are left out.
#[derive(Debug, Clone)]
pub(super) struct ImportRow {
    pub(super) email: EmailAddress,
    /// The same in lower case, by which people are told apart.
    pub(super) address: String,
    pub(super) fields: Fields,
    pub(super) custom: JsonObject,
    /// All of the row by header, for the record.
    pub(super) raw_data: JsonObject,
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
    fn of(row: &RowView<'_>, encoding: Encoding) -> Self {
        // The database holds no NUL. Four bytes are the longest character there is.
        let bytes = &row.raw[..row.raw.len().min(4 * RAW_MAXIMUM)];
        let shown = encoding.shown(bytes).replace('\0', "\u{fffd}");
        let is_whole =
            bytes.len() == row.raw.len() && (shown.len() <= RAW_MAXIMUM || shown.chars().count() <= RAW_MAXIMUM);
        let raw = if is_whole { shown } else { shown.chars().take(RAW_MAXIMUM - 1).chain([CUT]).collect() };
        Self { line: row.line, raw }
    }

    /// The line on which the row starts.
    pub(super) fn line(&self) -> u64 {
        self.line
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

/// Whether there is nothing in the row's fields.
pub(super) fn is_blank(row: &RowView<'_>) -> bool {
    !row.unclosed && row.fields().all(|field| field.trim_ascii().is_empty())
}

/// Reads a row.
pub(super) fn parse(columns: &Columns, encoding: Encoding, row: &RowView<'_>) -> Parsed {
    if is_blank(row) {
        return Parsed::Blank;
    }
    let source = Source::of(row, encoding);
    match read(columns, encoding, row) {
        Ok(Person { email, fields, custom, raw_data }) => {
            Parsed::Row(Box::new(ImportRow { address: email.lower(), email, fields, custom, raw_data, source }))
        }
        Err((code, reason)) => Parsed::Error(source.error(code, reason)),
    }
}

type Reason = (&'static str, String);

/// What a row says, without its place.
struct Person {
    email: EmailAddress,
    fields: Fields,
    custom: JsonObject,
    raw_data: JsonObject,
}

fn read(columns: &Columns, encoding: Encoding, row: &RowView<'_>) -> Result<Person, Reason> {
    let refuse = |code, reason: &str| Err((code, reason.to_owned()));
    if row.unclosed {
        return refuse("unclosed_quote", "the file ends inside of a quoted field");
    }
    if row.raw.contains(&0) {
        return refuse("nul_byte", "the row holds a NUL byte");
    }
    let (count, expected) = (row.fields().len(), columns.columns.len());
    // Some programs end their rows with a delimiter, but not the header.
    if row.fields().skip(expected).any(|field| !field.trim_ascii().is_empty()) {
        return Err(("too_many_fields", format!("the row has {count} fields, the header {expected}")));
    }
    let (mut email, mut fields) = (None, Fields::default());
    let (mut custom, mut raw_data) = (Vec::new(), Vec::with_capacity(count));
    for (column, field) in columns.columns.iter().zip(row.fields()) {
        let text = encoding
            .text(field)
            .map_err(|error| (error.code, format!("the column {:?} {}", column.name, error.what)))?;
        let value = plain(&text);
        let trimmed = &*value;
        if trimmed.is_empty() {
            continue;
        }
        match &column.target {
            Target::Field(Field::Email) => email = Some(trimmed.to_owned()),
            Target::Field(Field::Name) => fields.name = Some(line(Field::Name, trimmed)?),
            Target::Field(Field::FirstName) => fields.first_name = Some(line(Field::FirstName, trimmed)?),
            Target::Field(Field::LastName) => fields.last_name = Some(line(Field::LastName, trimmed)?),
            Target::Field(Field::Company) => fields.company = Some(line(Field::Company, trimmed)?),
            // Programs write zones in many ways. One that we can't use is kept with the row; the person is still imported.
            Target::Field(Field::Timezone) => {
                fields.timezone = trimmed.parse::<Tz>().ok().map(|zone| zone.name().to_owned());
            }
            Target::Custom(key) => custom.push((key.as_str(), value)),
            Target::Nothing => {}
        }
        raw_data.push((column.name.as_str(), text));
    }
    let email = email.or_else(|| spare_email(columns, encoding, row)).unwrap_or_default();
    let email =
        EmailAddress::parse(first_of_several(&email)).map_err(|error| (email_code(error), error.to_string()))?;
    let custom = JsonObject::of_texts(custom);
    if is_too_long(&custom) {
        return Err(custom_too_long());
    }
    Ok(Person { email, fields, custom, raw_data: JsonObject::of_texts(raw_data) })
}

/// The text without white space around it and without an export's guard, without a copy where the file's own bytes serve.
fn plain<'a>(text: &Cow<'a, str>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => match unguarded(text.trim()) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        },
        Cow::Owned(text) => Cow::Owned(unguarded(text.trim()).trim().to_owned()),
    }
}

/// What the surest of the other columns of addresses holds, where any holds something. Its own column decides where it is
/// not empty, even by what is no address: another one in its place could be another person's.
fn spare_email(columns: &Columns, encoding: Encoding, row: &RowView<'_>) -> Option<String> {
    let fields: Vec<&[u8]> = row.fields().collect();
    let texts = columns.spare_emails.iter().filter_map(|n| encoding.text(fields.get(*n)?).ok());
    texts.map(|text| text.trim().to_owned()).find(|text| !text.is_empty())
}

/// Google puts all addresses of one kind into one field, with three colons between them.
fn first_of_several(field: &str) -> &str {
    field.split_once(":::").map_or(field, |(first, _)| first.trim())
}

/// The address's own code, told apart from those of other fields.
fn email_code(error: InvalidEmailAddress) -> &'static str {
    match error {
        InvalidEmailAddress::Empty => "email_empty",
        InvalidEmailAddress::WhiteSpace => "email_white_space",
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

/// Whether custom fields have more JSON than a contact may have. Spaces between its parts don't count.
pub(super) fn is_too_long(custom: &JsonObject) -> bool {
    let counted = || custom.members().and_then(|members| serde_json::to_vec(&members).map_err(Error::internal));
    custom.as_str().len() > CUSTOM_MAXIMUM && counted().map_or(true, |json| json.len() > CUSTOM_MAXIMUM)
}
