//! What somebody has sent, read by what the form has and by what custom fields are defined.

use serde_json::{Map, Value};

use super::OpenForm;
use crate::audience::contacts::{LINE_MAXIMUM, is_custom_key};
use crate::audience::custom_fields::CustomField;
use crate::audience::email_address::EmailAddress;
use crate::audience::lead_forms::{
    CONSENT, CUSTOM_PREFIX, EMAIL, PAGE_URL, STANDARD_FIELDS, UnknownFields, is_page_url,
};
use crate::fields::Fields;
use crate::{Error, Result};

/// Fields of one submission: more than any page has.
const SUBMITTED_MAXIMUM: usize = 100;
/// Characters of a field that nobody has defined.
const TEXT_MAXIMUM: usize = 2_000;
/// What says yes, as boxes of pages and programs say it.
const YES: [&str; 4] = ["true", "on", "yes", "1"];

/// Somebody who may come in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lead {
    pub(super) email: EmailAddress,
    pub(super) name: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) company: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) custom: Map<String, Value>,
    pub(super) page_url: Option<String>,
}

/// Reads a submission. An empty text is none: pages send every field that they have.
///
/// Errors: [`Error::Invalid`], naming every field that is wrong as it was sent.
pub(super) fn check(form: &OpenForm, defined: &[CustomField], given: Map<String, Value>) -> Result<Lead> {
    if given.len() > SUBMITTED_MAXIMUM {
        return Err(Error::invalid("", "too_many_fields", "a submission has 100 fields at most"));
    }
    let mut reading = Reading { form, defined, fields: Fields::default(), custom: Map::new() };
    let mut lines: [Option<String>; STANDARD_FIELDS.len()] = Default::default();
    let (mut email, mut page_url, mut agrees) = (None, None, false);
    for (name, value) in given {
        let value = match value {
            Value::Null => continue,
            Value::String(text) if text.trim().is_empty() => continue,
            Value::Array(_) | Value::Object(_) => {
                reading.fields.refuse(&name, "wrong_type", "a field is a text, a number, or true or false");
                continue;
            }
            value => value,
        };
        match name.as_str() {
            honeypot if form.honeypot_field.as_deref() == Some(honeypot) => {}
            EMAIL => email = reading.text(EMAIL, &value).and_then(|text| reading.fields.email(EMAIL, text.trim())),
            CONSENT => agrees = says_yes(&value),
            PAGE_URL => page_url = reading.page_url(&value),
            standard if STANDARD_FIELDS.contains(&standard) && form.has(standard) => {
                let line = reading.line(standard, &value);
                if let Some(at) = STANDARD_FIELDS.iter().position(|its| *its == standard) {
                    lines[at] = line;
                }
            }
            other => reading.other(other, value),
        }
    }
    if email.is_none() && !reading.fields.has(EMAIL) {
        reading.fields.refuse(EMAIL, "required", "email is needed");
    }
    if form.consent_text.is_some() && !agrees {
        reading.fields.refuse(CONSENT, "required", "without consent nobody is taken");
    }
    let custom = reading.custom;
    reading.fields.finish()?;
    let [name, first_name, last_name, company, timezone] = lines;
    // Refused above, or there.
    let email = email.ok_or_else(|| Error::invalid(EMAIL, "required", "email is needed"))?;
    Ok(Lead { email, name, first_name, last_name, company, timezone, custom, page_url })
}

impl OpenForm {
    fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|its| its == field)
    }
}

/// Whether programs that show mail make a link of a part of the text: a scheme, `www.`, or the name of a host with a path.
fn has_link(text: &str) -> bool {
    let text = text.to_lowercase();
    let is_path = |word: &str| word.split_once('/').is_some_and(|(host, _)| host.trim_end_matches('.').contains('.'));
    text.contains("://") || text.contains("www.") || text.split_whitespace().any(is_path)
}

fn says_yes(value: &Value) -> bool {
    match value {
        Value::Bool(agrees) => *agrees,
        Value::String(text) => YES.contains(&text.trim().to_ascii_lowercase().as_str()),
        _ => false,
    }
}

/// What is read so far, and what is wrong.
struct Reading<'a> {
    form: &'a OpenForm,
    defined: &'a [CustomField],
    fields: Fields,
    custom: Map<String, Value>,
}

impl Reading<'_> {
    /// The text of a field that is one.
    fn text<'v>(&mut self, name: &str, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.fields.refuse(name, "wrong_type", "this field is a text");
        }
        text
    }

    /// A standard field.
    fn line(&mut self, name: &str, value: &Value) -> Option<String> {
        let text = self.text(name, value)?;
        if name == "timezone" {
            return self.fields.timezone(name, Some(text.trim())).map(|zone| zone.name().to_owned());
        }
        let line = self.fields.line(name, Some(text), LINE_MAXIMUM);
        self.without_link(name, text);
        line
    }

    /// Refuses a link where nobody has asked for one. Strangers fill forms, and what they write stands in mails from the organization's own
    /// domain, to whomever they name.
    fn without_link(&mut self, name: &str, text: &str) {
        if has_link(text) {
            self.fields.refuse(name, "link", "this field has no link");
        }
    }

    fn page_url(&mut self, value: &Value) -> Option<String> {
        // Nobody typed it: one that can't be kept keeps nobody out.
        self.text(PAGE_URL, value).filter(|url| is_page_url(url)).map(str::to_owned)
    }

    /// A custom field, or one that the form does not have.
    fn other(&mut self, name: &str, value: Value) {
        let key = name.strip_prefix(CUSTOM_PREFIX).unwrap_or(name);
        let definition = self.defined.iter().find(|its| its.key == key);
        if name != key && self.form.has(name) {
            match definition {
                Some(definition) => self.defined(name, key, definition, &value),
                // Its definition is gone; the form still has it.
                None => self.free(name, key, value),
            }
            return;
        }
        let is_known = definition.is_some() || STANDARD_FIELDS.contains(&name);
        match self.form.unknown_fields {
            UnknownFields::Ignore => {}
            UnknownFields::Keep if !is_known => self.free(name, key, value),
            UnknownFields::Refuse | UnknownFields::Keep => {
                self.fields.refuse(name, "unknown_field", "the form does not have this field");
            }
        }
    }

    /// A value of a defined field. Pages send everything as text.
    fn defined(&mut self, name: &str, key: &str, definition: &CustomField, value: &Value) {
        let Some(value) = self.plain(name, value) else { return };
        match definition.kind.read(&value) {
            Some(value) => {
                self.custom.insert(key.to_owned(), value);
            }
            None => {
                let message = format!("this field is {}", definition.kind.sentence());
                self.fields.refuse(name, "wrong_type", message);
            }
        }
    }

    /// A value of a field that nobody has defined.
    fn free(&mut self, name: &str, key: &str, value: Value) {
        if !is_custom_key(key) {
            let message = "a custom field's name has up to 64 letters, digits and _, and starts with no digit";
            self.fields.refuse(name, "invalid_key", message);
            return;
        }
        if value.as_str().is_some_and(|text| text.chars().count() > TEXT_MAXIMUM) {
            self.fields.refuse(name, "too_long", "a field has 2000 characters at most");
        }
        // A field that the form has by its name may be about a page; one that whoever sends it has made up is not.
        if let Some(text) = value.as_str().filter(|_| !self.form.has(name)) {
            self.without_link(name, text);
        }
        if let Some(value) = self.plain(name, &value) {
            self.custom.insert(key.to_owned(), value);
        }
    }

    /// Text without control characters but ends of lines and tabs, which people type; other values as they are.
    fn plain(&mut self, name: &str, value: &Value) -> Option<Value> {
        let Some(text) = value.as_str() else { return Some(value.clone()) };
        let text = text.replace("\r\n", "\n");
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            self.fields.refuse(name, "control_character", "a field has no control characters");
            return None;
        }
        Some(text.trim().into())
    }
}
