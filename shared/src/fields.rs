//! Checks the fields of a request and collects everything that is wrong, so that one answer names it all.

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};

use crate::audience::email_address::EmailAddress;
use crate::{Error, FieldError, Result};

/// What is wrong so far.
#[derive(Debug, Default)]
pub struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    /// Notes that a field is not valid.
    pub fn refuse(&mut self, field: &str, code: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), code, message: message.into() });
    }

    /// A name or another line of text without the white space around it; nothing else is left of an empty one.
    ///
    /// Control characters are refused: such a line may become part of a mail's header.
    pub fn line(&mut self, field: &str, text: Option<&str>, maximum: usize) -> Option<String> {
        let text = text.map(str::trim).filter(|text| !text.is_empty())?;
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            self.refuse(field, "control_character", format!("{field} is one line without control characters"));
        }
        self.length(field, text, maximum);
        Some(text.to_owned())
    }

    /// The same for a field that must be there.
    pub fn required_line(&mut self, field: &str, text: &str, maximum: usize) -> String {
        let line = self.line(field, Some(text), maximum);
        if line.is_none() {
            self.refuse(field, "required", format!("{field} is needed"));
        }
        line.unwrap_or_default()
    }

    /// Text of several lines. The database stores every character but NUL.
    pub fn text(&mut self, field: &str, text: Option<&str>, maximum: usize) -> Option<String> {
        let text = text.filter(|text| !text.trim().is_empty())?;
        if text.contains('\0') {
            self.refuse(field, "control_character", format!("{field} has no NUL character"));
        }
        self.length(field, text, maximum);
        Some(text.to_owned())
    }

    /// A whole number within bounds.
    pub fn number(&mut self, field: &str, number: i32, bounds: std::ops::RangeInclusive<i32>) -> i32 {
        if !bounds.contains(&number) {
            self.refuse(field, "out_of_range", format!("{field} is between {} and {}", bounds.start(), bounds.end()));
        }
        number
    }

    /// The name of a time zone in the IANA database.
    pub fn timezone(&mut self, field: &str, name: Option<&str>) -> Option<Tz> {
        let zone = name?.parse();
        if zone.is_err() {
            self.refuse(field, "unknown_timezone", format!("{field} is an IANA time zone such as Europe/Berlin"));
        }
        zone.ok()
    }

    /// The address of a mailbox.
    pub fn email(&mut self, field: &str, text: &str) -> Option<EmailAddress> {
        let email = EmailAddress::parse(text);
        if let Err(wrong) = &email {
            self.refuse(field, wrong.code(), wrong.to_string());
        }
        email.ok()
    }

    /// Whether something is wrong with this field.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// Ends the check.
    ///
    /// Errors: [`Error::Invalid`] with every field that was refused.
    pub fn finish(self) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::Invalid(self.errors)) }
    }

    fn length(&mut self, field: &str, text: &str, maximum: usize) {
        if text.chars().count() > maximum {
            self.refuse(field, "too_long", format!("{field} has {maximum} characters at most"));
        }
    }
}

/// For a field of a PATCH: absent stays `None`, null becomes `Some(None)`. Use with `#[serde(default, deserialize_with)]`.
pub fn patched<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// For a field of a PATCH that can't be emptied: absent stays `None`, null is refused. Use it in the same way.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_everything_wrong_is_named_at_once() {
        let mut fields = Fields::default();
        assert_eq!(fields.line("name", Some("  Ada  "), 3), Some("Ada".to_owned()));
        assert_eq!(fields.line("name", Some(" \t "), 3), None);
        assert_eq!(fields.line("name", None, 3), None);
        assert_eq!(fields.text("note", Some("one\r\ntwo"), 8), Some("one\r\ntwo".to_owned()));
        assert!(fields.timezone("zone", Some("America/Argentina/Buenos_Aires")).is_some());
        for broken in ["a\nb", "a\rb", "a\0b", "a\u{85}b", "a\u{2028}b"] {
            fields.line("line", Some(broken), 10);
        }
        fields.line("long", Some("äöüß"), 3);
        fields.required_line("empty", " ", 3);
        fields.text("nul", Some("\0"), 8);
        fields.number("number", 11, 1..=10);
        fields.timezone("zone", Some("Mars/Olympus"));
        fields.email("email", "nobody");
        let Err(Error::Invalid(errors)) = fields.finish() else { panic!("nothing was refused") };
        let named: Vec<String> = errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect();
        assert_eq!(named[..5], vec!["line control_character"; 5]);
        assert_eq!(
            named[5..],
            [
                "long too_long",
                "empty required",
                "nul control_character",
                "number out_of_range",
                "zone unknown_timezone",
                "email no_at"
            ]
        );
    }
}
