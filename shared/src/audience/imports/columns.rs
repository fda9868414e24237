//! Which column of a file holds what: found from the header, or said by the caller.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::encodings::Encoding;
use super::{FileError, error_files};
use crate::audience::contact_exports;
use crate::audience::contacts::{CUSTOM_KEY_MAXIMUM, is_custom_key};
use crate::{Error, FieldError, Result};

/// Columns of a file at most.
const COLUMNS_MAXIMUM: usize = 500;
/// Bytes of all column names together: they are kept with every contact beside the values.
const HEADER_MAXIMUM: usize = 64 * 1024;
/// Memory that a column may take in a row that has been read, beside its name and value.
const CELL_OVERHEAD: usize = 96;
/// Column names shown in an error.
const SHOWN_NAMES: usize = 30;
/// Characters of each of them.
const SHOWN_NAME: usize = 60;

/// A field of a contact other than its custom ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Email,
    Name,
    FirstName,
    LastName,
    Company,
    Timezone,
}

impl Field {
    const ALL: [Self; 6] = [Self::Email, Self::Name, Self::FirstName, Self::LastName, Self::Company, Self::Timezone];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Company => "company",
            Self::Timezone => "timezone",
        }
    }

    /// What programs call it, in lower case without spaces and punctuation, the surest first.
    fn known_names(self) -> &'static [&'static str] {
        match self {
            Self::Email => EMAIL_NAMES,
            Self::Name => &[
                "name",
                "fullname",
                "contactname",
                "displayname",
                "contactfullname",
                "personname",
                "vollständigername",
                "nomcomplet",
                "nombrecompleto",
            ],
            Self::FirstName => &[
                "firstname",
                "givenname",
                "forename",
                "first",
                "fname",
                "contactfirstname",
                "personfirstname",
                "vorname",
                "prénom",
                "prenom",
                "nombre",
                "voornaam",
            ],
            Self::LastName => &[
                "lastname",
                "surname",
                "familyname",
                "last",
                "lname",
                "contactlastname",
                "personlastname",
                "nachname",
                "familienname",
                "nomdefamille",
                "nom",
                "apellidos",
                "apellido",
                "achternaam",
            ],
            Self::Company => &[
                "company",
                "companyname",
                "organization",
                "organisation",
                "organizationname",
                "organisationname",
                "organization1name",
                "accountname",
                "account",
                "personorganization",
                "personorganizationname",
                "primaryassociatedcompany",
                "associatedcompany",
                "primarycompany",
                "associatedcompanyname",
                "employer",
                "businessname",
                "firma",
                "unternehmen",
                "société",
                "entreprise",
                "empresa",
                "bedrijf",
            ],
            Self::Timezone => &["timezone", "ianatimezone", "timezoneid", "tz", "zeitzone"],
        }
    }
}

/// Columns of addresses, the surest first. The first that a file has is where its addresses are; the others stand in for it
/// in rows where it is empty.
const EMAIL_NAMES: &[&str] = &[
    "email",
    "emailaddress",
    "mail",
    "mailaddress",
    "email1value",
    "primaryemail",
    "primaryemailaddress",
    "workemail",
    "workemailaddress",
    "businessemail",
    "businessemailaddress",
    "companyemail",
    "contactemail",
    "contactemailaddress",
    "personemail",
    "personemailwork",
    "emailwork",
    "email1",
    "email1address",
    "emailvalue",
    "emailadresse",
    "mailadresse",
    "adressedemessagerie",
    "adresseemail",
    "adressemail",
    "courriel",
    "correoelectrónico",
    "correoelectronico",
    "correo",
    "emailadres",
    "personalemail",
    "personalemailaddress",
    "homeemail",
    "emailpersonal",
    "emailhome",
    "personemailhome",
    "emailother",
    "personemailother",
    "secondaryemail",
    "tertiaryemail",
    "additionalemail",
    "alternateemail",
    "otheremail",
    "email2",
    "email2value",
    "email2address",
    "email2adresse",
    "email3",
    "email3value",
    "email3address",
    "email3adresse",
];

/// Where the values of a column go, beside the row as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Field(Field),
    Custom(String),
    Nothing,
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        if let Some(field) = Field::ALL.into_iter().find(|field| field.name() == text) {
            return Some(Self::Field(field));
        }
        let key = text.strip_prefix("custom.")?;
        is_custom_key(key).then(|| Self::Custom(key.to_owned()))
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Field(field) => Value::from(field.name()),
            Self::Custom(key) => Value::from(format!("custom.{key}")),
            Self::Nothing => Value::Null,
        }
    }
}

/// What a caller says about columns, by header as written. Columns that it doesn't name are found by their header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMapping {
    columns: BTreeMap<String, Target>,
    unmapped: Unmapped,
}

/// What becomes of a column that is neither mapped nor known by its header. It stays in the row as it was, `raw_data`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmapped {
    /// It becomes a custom field.
    #[default]
    Custom,
    /// It goes nowhere.
    Ignore,
}

impl Unmapped {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Ignore => "ignore",
        }
    }

    pub(super) fn from_name(name: &str) -> Self {
        if name == "ignore" { Self::Ignore } else { Self::Custom }
    }
}

impl ColumnMapping {
    /// The same mapping, where columns that it doesn't name go there.
    #[must_use]
    pub fn with_unmapped(self, unmapped: Unmapped) -> Self {
        Self { unmapped, ..self }
    }

    /// Checks what a caller gave: a contact's field, `custom.<key>`, or `None` for a column to leave out.
    ///
    /// Errors: [`Error::Invalid`] naming each column whose target is unknown or taken already.
    pub fn parse(given: BTreeMap<String, Option<String>>) -> Result<Self> {
        if given.len() > COLUMNS_MAXIMUM {
            return Err(Error::invalid("column_mapping", "too_many_columns", "a file has 500 columns at most"));
        }
        let (mut columns, mut errors, mut taken) = (BTreeMap::new(), Vec::new(), HashSet::new());
        for (header, target) in given {
            let mut refuse = |code, message: String| {
                errors.push(FieldError { field: format!("column_mapping.{header}"), code, message });
            };
            let target = match target.as_deref() {
                None => Some(Target::Nothing),
                Some(text) if !taken.insert(text.to_owned()) => {
                    refuse("target_taken", format!("two columns go to {text}"));
                    None
                }
                Some(text) => {
                    let target = Target::parse(text);
                    if target.is_none() {
                        refuse(
                            "unknown_target",
                            "a column goes to email, name, first_name, last_name, company, timezone, custom.<key> or null"
                                .to_owned(),
                        );
                    }
                    target
                }
            };
            // jsonb holds no NUL, and no header with one is ever read.
            if header.contains('\0') {
                errors.push(FieldError {
                    field: "column_mapping".to_owned(),
                    code: "control_character",
                    message: "a header has no NUL character".to_owned(),
                });
            }
            if let Some(target) = target {
                columns.insert(header.trim().to_owned(), target);
            }
        }
        if errors.is_empty() {
            Ok(Self { columns, unmapped: Unmapped::default() })
        } else {
            Err(Error::Invalid(errors))
        }
    }

    /// Reads what [`ColumnMapping::to_json`] wrote.
    pub(super) fn from_json(json: Value) -> Result<Self> {
        Self::parse(serde_json::from_value(json).map_err(Error::internal)?)
    }

    /// The mapping as it is stored and shown.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.columns.iter().map(|(header, target)| (header.clone(), target.to_json())).collect())
    }
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its header, made unique.
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) basis: Basis,
    /// Whether the file calls it otherwise: not at all, or as it calls an earlier one.
    pub(super) is_renamed: bool,
}

/// Why a column goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    /// The caller said so.
    Mapped,
    /// Its header is one that programs use for the field.
    Known,
    /// Nothing else is known of it, so it becomes a custom field.
    Custom,
    /// Nothing else is known of it, and such columns are left out.
    Ignored,
}

/// The columns of a file, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) columns: Vec<Column>,
    /// More columns of addresses, by their place, the surest first: where the one that is used is empty. They are custom
    /// fields besides. None where the caller named the column of addresses.
    pub(super) spare_emails: Vec<usize>,
    /// Memory that a row may take beside its values, in bytes.
    pub(super) row_cost: usize,
}

impl Columns {
    /// Decides about every column of the header.
    ///
    /// Errors: a header that can't be read, or in which no column holds addresses.
    pub(super) fn find<'a>(
        header: impl ExactSizeIterator<Item = &'a [u8]>,
        encoding: Encoding,
        requested: Option<&ColumnMapping>,
    ) -> Result<Self, FileError> {
        let columns = Self::propose(header, encoding, requested)?;
        if columns.columns.iter().all(|column| column.target != Target::Field(Field::Email)) {
            let names: Vec<&str> = columns.columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!("no column holds email addresses; the file has {}", shown(&names));
            return Err(FileError::new("no_email_column", message));
        }
        Ok(columns)
    }

    /// The same, whether or not a column holds addresses.
    pub(super) fn propose<'a>(
        header: impl ExactSizeIterator<Item = &'a [u8]>,
        encoding: Encoding,
        requested: Option<&ColumnMapping>,
    ) -> Result<Self, FileError> {
        if header.len() > COLUMNS_MAXIMUM {
            let message = format!("the header has {} columns; a file has 500 at most", header.len());
            return Err(FileError::new("too_many_columns", message));
        }
        let (names, renamed) = unique_names(header, encoding)?;
        if names.iter().map(String::len).sum::<usize>() > HEADER_MAXIMUM {
            return Err(FileError::new("header_too_long", "the column names have 64 KiB together at most"));
        }
        let row_cost = names.iter().map(|name| name.len() + CELL_OVERHEAD).sum();
        let (targets, spare_emails) = find_targets(&names, requested)?;
        let columns = names.into_iter().zip(targets).zip(renamed).map(|((name, (target, basis)), is_renamed)| Column {
            name,
            target,
            basis,
            is_renamed,
        });
        Ok(Self { columns: columns.collect(), spare_emails, row_cost })
    }

    /// The mapping in the form in which a caller gives one.
    pub(super) fn to_json(&self) -> Value {
        let columns = self.columns.iter().map(|column| (column.name.clone(), column.target.to_json()));
        Value::Object(columns.collect::<Map<_, _>>())
    }
}

fn unique_names<'a>(
    header: impl Iterator<Item = &'a [u8]>,
    encoding: Encoding,
) -> Result<(Vec<String>, Vec<bool>), FileError> {
    let (mut names, mut renamed) = (Vec::new(), Vec::new());
    let mut taken = HashSet::new();
    for (n, field) in header.enumerate() {
        let text = encoding.text(field).map_err(|error| {
            FileError::new(error.code, format!("the header {}; save the file as CSV in UTF-8", error.what))
        })?;
        if text.contains('\0') {
            return Err(FileError::new("nul_byte", "the header holds a NUL byte; save the file as CSV in UTF-8"));
        }
        let written = text.trim();
        let text = if written.is_empty() { format!("Column {}", n + 1) } else { written.to_owned() };
        let name = first_free(&text, &taken, |n| format!("{text} ({n})"));
        renamed.push(name != written);
        taken.insert(name.clone());
        names.push(name);
    }
    Ok((names, renamed))
}

/// What became of each column, and the spare columns of addresses.
type Targets = (Vec<(Target, Basis)>, Vec<usize>);

fn find_targets(names: &[String], requested: Option<&ColumnMapping>) -> Result<Targets, FileError> {
    let mut targets: Vec<Option<(Target, Basis)>> = vec![None; names.len()];
    for (header, target) in requested.iter().flat_map(|mapping| &mapping.columns) {
        let Some(n) = names.iter().position(|name| name == header) else {
            let message = format!("the mapping names the column {:?}; the file has {}", cut(header), shown(names));
            return Err(FileError::new("unknown_column", message));
        };
        targets[n] = Some((target.clone(), Basis::Mapped));
    }
    let goes_to = |targets: &[Option<(Target, Basis)>], field| {
        targets.iter().flatten().any(|(target, _)| *target == Target::Field(field))
    };
    for (n, name) in names.iter().enumerate() {
        if targets[n].is_none() {
            targets[n] = ours(names, n, name).filter(|(target, _)| {
                *target == Target::Nothing || !targets.iter().flatten().any(|(taken, _)| taken == target)
            });
        }
    }
    let emails_are_mapped = goes_to(&targets, Field::Email);
    let known: Vec<String> = names.iter().map(|name| letters(name)).collect();
    for field in Field::ALL {
        if goes_to(&targets, field) {
            continue;
        }
        let best = field
            .known_names()
            .iter()
            .find_map(|alias| (0..names.len()).find(|&n| targets[n].is_none() && known[n] == *alias));
        if let Some(n) = best {
            targets[n] = Some((Target::Field(field), Basis::Known));
        }
    }
    let mut spare_emails = Vec::new();
    if !emails_are_mapped {
        for alias in EMAIL_NAMES {
            spare_emails.extend((0..names.len()).filter(|&n| targets[n].is_none() && known[n] == *alias));
        }
    }
    let mut taken: HashSet<String> = targets
        .iter()
        .flatten()
        .filter_map(|(target, _)| match target {
            Target::Custom(key) => Some(key.clone()),
            _ => None,
        })
        .collect();
    let unmapped = requested.map_or(Unmapped::default(), |mapping| mapping.unmapped);
    let custom = |n: usize, name: &str| {
        if unmapped == Unmapped::Ignore {
            return (Target::Nothing, Basis::Ignored);
        }
        let key = custom_key(name).unwrap_or_else(|| format!("column_{}", n + 1));
        let free = first_free(&key, &taken, |n| {
            let suffix = format!("_{n}");
            format!("{}{suffix}", &key[..key.len().min(CUSTOM_KEY_MAXIMUM - suffix.len())])
        });
        taken.insert(free.clone());
        (Target::Custom(free), Basis::Custom)
    };
    let mut custom = custom;
    let targets = targets.into_iter().enumerate().map(|(n, target)| target.unwrap_or_else(|| custom(n, &names[n])));
    Ok((targets.collect(), spare_emails))
}

/// What a column is in a file that Martlet has written: an export of contacts names custom fields by where they go and tells more of a
/// contact than can be set; a file of errors has three columns of its own.
fn ours(names: &[String], n: usize, name: &str) -> Option<(Target, Basis)> {
    if let Some(target @ Target::Custom(_)) = Target::parse(name) {
        return Some((target, Basis::Known));
    }
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let told = contact_exports::TOLD;
    let of_export = told.contains(&name) && told.into_iter().all(has);
    let of_errors =
        n < error_files::HEADER.len() && names.iter().zip(error_files::HEADER).all(|(name, ours)| name == ours);
    (of_export || of_errors).then_some((Target::Nothing, Basis::Ignored))
}

/// The name itself where it is free, or else its first variant that is.
fn first_free(name: &str, taken: &HashSet<String>, variant: impl Fn(usize) -> String) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    // There are fewer names than numbers to try.
    (2..).map(variant).find(|name| !taken.contains(name)).unwrap_or_default()
}

/// Lower-case letters and digits alone, so that `E-mail 1 - Value` is `email1value`.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A header as an identifier in snake case: `Job Title`, `jobTitle` and `JOB-TITLE` are `job_title`.
fn custom_key(name: &str) -> Option<String> {
    let mut key = String::new();
    let mut previous_lower = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && previous_lower && !key.ends_with('_') {
                key.push('_');
            }
            key.push(c.to_ascii_lowercase());
        } else if !key.is_empty() && !key.ends_with('_') && c != '\'' {
            key.push('_');
        }
        previous_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        key.insert_str(0, "column_");
    }
    key.truncate(CUSTOM_KEY_MAXIMUM);
    key.truncate(key.trim_end_matches('_').len());
    (!key.is_empty()).then_some(key)
}

fn shown(names: &[impl AsRef<str>]) -> String {
    let mut text = String::from("the columns ");
    for (n, name) in names.iter().take(SHOWN_NAMES).enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}{:?}", cut(name.as_ref())));
    }
    if names.len() > SHOWN_NAMES {
        text.push_str(&format!(" and {} more", names.len() - SHOWN_NAMES));
    }
    text
}

fn cut(name: &str) -> String {
    name.chars().take(SHOWN_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &[&str], requested: &[(&str, Option<&str>)]) -> Result<Vec<(String, Value)>, FileError> {
        let requested = requested.iter().map(|(name, target)| ((*name).to_owned(), target.map(str::to_owned)));
        let requested = ColumnMapping::parse(requested.collect()).unwrap();
        let columns = Columns::find(header.iter().map(|name| name.as_bytes()), Encoding::Utf8, Some(&requested))?;
        Ok(columns.columns.into_iter().map(|column| (column.name, column.target.to_json())).collect())
    }

    #[track_caller]
    fn expect(header: &[&str], requested: &[(&str, Option<&str>)], targets: &[Option<&str>]) {
        let found: Vec<Value> = find(header, requested).unwrap().into_iter().map(|(_, target)| target).collect();
        let targets: Vec<Value> = targets.iter().map(|target| Value::from(*target)).collect();
        assert_eq!(found, targets);
    }

    #[test]
    fn a_file_that_martlet_has_written_comes_back_without_its_own_columns() {
        let email = Some("email");
        let told = ["id", "email", "status", "tags", "source", "created_at", "updated_at", "custom.Plan_2"];
        expect(&told, &[], &[None, email, None, None, None, None, None, Some("custom.Plan_2")]);
        expect(&["id", "email", "status"], &[], &[Some("custom.id"), email, Some("custom.status")]);
        expect(&["Line", "Code", "Reason", "email", "Code"], &[], &[None, None, None, email, Some("custom.code_2")]);
        expect(
            &["custom.plan", "Plan", "email"],
            &[("Plan", Some("custom.plan"))],
            &[Some("custom.custom_plan"), Some("custom.plan"), email],
        );
        expect(&["custom.a-b", "email"], &[], &[Some("custom.custom_a_b"), email]);
    }

    #[test]
    fn the_headers_of_known_programs_are_found() {
        let (email, first, last) = (Some("email"), Some("first_name"), Some("last_name"));
        let (name, company) = (Some("name"), Some("company"));
        // A CRM, a newsletter tool, an address book, a business network.
        expect(
            &["Record ID", "First Name", "Last Name", "Email", "Phone Number", "Company Name", "Time Zone"],
            &[],
            &[Some("custom.record_id"), first, last, email, Some("custom.phone_number"), company, Some("timezone")],
        );
        expect(
            &["Email Address", "First Name", "Last Name", "MEMBER_RATING"],
            &[],
            &[email, first, last, Some("custom.member_rating")],
        );
        expect(
            &["Name", "Given Name", "Family Name", "E-mail 1 - Type", "E-mail 1 - Value", "Organization 1 - Name"],
            &[],
            &[name, first, last, Some("custom.e_mail_1_type"), email, company],
        );
        expect(
            &["First Name", "Last Name", "URL", "Email Address", "Company", "Connected On"],
            &[],
            &[first, last, Some("custom.url"), email, company, Some("custom.connected_on")],
        );
    }

    #[test]
    fn case_and_punctuation_do_not_matter_and_the_surest_name_wins() {
        expect(
            &["WORK EMAIL", "e-mail", "Company Name for Emails", "full_name"],
            &[],
            &[Some("custom.work_email"), Some("email"), Some("custom.company_name_for_emails"), Some("name")],
        );
        expect(&["Email", "Email"], &[], &[Some("email"), Some("custom.email_2")]);
    }

    #[test]
    fn other_columns_of_addresses_stand_in_for_the_surest_unless_the_caller_named_one() {
        let spares = |header: &[&str], requested: &[(&str, &str)]| {
            let requested = requested.iter().map(|(name, target)| ((*name).to_owned(), Some((*target).to_owned())));
            let requested = ColumnMapping::parse(requested.collect()).unwrap();
            let header = header.iter().map(|name| name.as_bytes());
            Columns::find(header, Encoding::Utf8, Some(&requested)).unwrap().spare_emails
        };
        assert_eq!(spares(&["Tertiary Email", "Email", "Email Status", "Secondary Email"], &[]), [3, 0]);
        assert_eq!(spares(&["E-mail 2 - Value", "E-mail 1 - Value"], &[]), [0]);
        assert_eq!(spares(&["Email", "email"], &[]), [1]);
        assert_eq!(spares(&["Email", "Work Email"], &[("Work Email", "email")]), [0; 0]);
        assert_eq!(spares(&["Email", "Work Email", "Home Email"], &[("Work Email", "custom.work")]), [2]);
    }

    #[test]
    fn custom_keys_are_unique_identifiers() {
        let keys = |names: &[&str]| -> Vec<String> {
            let header: Vec<&str> = std::iter::once("email").chain(names.iter().copied()).collect();
            let found = find(&header, &[]).unwrap().into_iter().skip(1);
            found.map(|(_, target)| target.as_str().unwrap().strip_prefix("custom.").unwrap().to_owned()).collect()
        };
        assert_eq!(
            keys(&["Job Title", "jobTitle", "JOB-TITLE", " job  title? "]),
            ["job_title", "job_title_2", "job_title_3", "job_title_4"]
        );
        assert_eq!(
            keys(&["2nd Phone", "%", "", "会社", "Don't call", "Größe"]),
            ["column_2nd_phone", "column_3", "column_4", "column_5", "dont_call", "gr_e"]
        );
        let long = "x".repeat(100);
        let long_keys = keys(&[&long, &format!("{long}!")]);
        assert_eq!(long_keys, ["x".repeat(64), format!("{}_2", "x".repeat(62))]);
        assert!(long_keys.iter().all(|key| is_custom_key(key)));
    }

    #[test]
    fn headers_as_written_are_made_unique() {
        let names: Vec<String> = find(&[" Email ", "Phone", "Phone", "", "Phone (2)", "Phone"], &[])
            .unwrap()
            .into_iter()
            .map(|c| c.0)
            .collect();
        assert_eq!(names, ["Email", "Phone", "Phone (2)", "Column 4", "Phone (2) (2)", "Phone (3)"]);
    }

    #[test]
    fn what_the_caller_says_wins() {
        expect(
            &["Email", "Private", "Company", "Notes", "Phone"],
            &[("Private", Some("email")), ("Company", Some("custom.employer")), ("Notes", None)],
            &[Some("custom.email"), Some("email"), Some("custom.employer"), None, Some("custom.phone")],
        );
        let error = find(&["Email", "Phone"], &[("Mail", Some("email"))]).unwrap_err();
        assert_eq!(error.code, "unknown_column");
        assert_eq!(error.message, r#"the mapping names the column "Mail"; the file has the columns "Email", "Phone""#);
    }

    #[test]
    fn a_file_without_addresses_names_the_headers_seen() {
        let error = find(&["Name", "Phone"], &[]).unwrap_err();
        assert_eq!(error.code, "no_email_column");
        assert_eq!(error.message, r#"no column holds email addresses; the file has the columns "Name", "Phone""#);
        assert_eq!(find(&["Email"], &[("Email", None)]).unwrap_err().code, "no_email_column");
    }

    #[test]
    fn hostile_headers_are_refused() {
        let code = |header: &[&[u8]]| Columns::find(header.iter().copied(), Encoding::Utf8, None).unwrap_err().code;
        assert_eq!(code(&[b"email".as_slice(); 501]), "too_many_columns");
        assert_eq!(code(&[b"email", b"\xff\xfe"]), "not_utf8");
        assert_eq!(code(&[b"e\0m\0a\0i\0l\0"]), "nul_byte");
        assert_eq!(code(&[b"email", "x".repeat(HEADER_MAXIMUM).as_bytes()]), "header_too_long");
    }

    #[test]
    fn a_mapping_is_checked() {
        let parse = |given: &[(&str, Option<&str>)]| {
            let given = given.iter().map(|(name, target)| ((*name).to_owned(), target.map(str::to_owned)));
            match ColumnMapping::parse(given.collect()) {
                Ok(mapping) => Ok(mapping.to_json()),
                Err(Error::Invalid(errors)) => {
                    Err(errors.into_iter().map(|error| format!("{} {}", error.field, error.code)).collect::<Vec<_>>())
                }
                Err(other) => panic!("{other}"),
            }
        };
        let stored = parse(&[("A", Some("email")), ("B", Some("custom.Plan_2")), ("C", None)]).unwrap();
        assert_eq!(stored, serde_json::json!({"A": "email", "B": "custom.Plan_2", "C": null}));
        assert_eq!(ColumnMapping::from_json(stored.clone()).unwrap().to_json(), stored);
        for broken in ["e-mail", "Email", "status", "custom.", "custom.2x", "custom.a-b", "raw_data", "custom.a\0"] {
            assert_eq!(
                parse(&[("A", Some(broken))]),
                Err(vec!["column_mapping.A unknown_target".to_owned()]),
                "{broken}"
            );
        }
        assert_eq!(
            parse(&[("A", Some("email")), ("B", Some("email"))]),
            Err(vec!["column_mapping.B target_taken".to_owned()])
        );
        assert!(parse(&[("A\0", None)]).is_err());
    }
}
