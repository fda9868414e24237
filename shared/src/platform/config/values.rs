//! Values of settings: as text in the database, typed in the API.

use std::time::Duration;

use serde_json::Value;

use super::registry::{Bounds, Definition, StringForm};
use crate::audience::email_address::EmailAddress;
use crate::{Error, Result};

/// Bytes of a value in JSON.
const JSON_MAXIMUM: usize = 20_000;

/// Reads a number and a unit: s, m, h, d or the unit's name in full.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let amount: u64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "s" | "second" | "seconds" => 1,
        "m" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    amount.checked_mul(seconds).map(Duration::from_secs)
}

/// A stored value as the API shows it: a number, a boolean, a text, or whatever JSON it is.
///
/// Errors: [`Error::Internal`] for what this kind of setting can't be.
pub fn read_value(bounds: &Bounds, stored: &str) -> Result<Value> {
    let broken = || Error::internal(format!("a {} of system_config can't be read", bounds.type_name()));
    match bounds {
        Bounds::Number { .. } => stored.parse::<i64>().map(Value::from).map_err(|_| broken()),
        Bounds::Boolean => stored.parse::<bool>().map(Value::from).map_err(|_| broken()),
        Bounds::Json { .. } => serde_json::from_str(stored).map_err(|_| broken()),
        Bounds::Duration { .. } | Bounds::String { .. } => Ok(Value::from(stored)),
    }
}

impl Definition {
    /// Checks a value, and writes it as the database keeps it.
    ///
    /// Errors: [`Error::Invalid`] about the field `value`, which says what the setting may be.
    pub fn check(&self, value: &Value) -> Result<String> {
        let refused = |code, message: String| Err(Error::invalid("value", code, message));
        let wrong_type = |what: &str| refused("wrong_type", format!("value is {what}"));
        match self.bounds {
            Bounds::Number { least, most } => match value.as_i64() {
                None => wrong_type("a whole number"),
                Some(number) if (least..=most).contains(&number) => Ok(number.to_string()),
                Some(_) => refused("out_of_range", format!("value is between {least} and {most}")),
            },
            Bounds::Boolean => match value {
                Value::Bool(answer) => Ok(answer.to_string()),
                _ => wrong_type("true or false"),
            },
            Bounds::Duration { least, most } => match value.as_str().map(|text| (text.trim(), parse_duration(text))) {
                Some((text, Some(duration))) if (seconds(least)..=seconds(most)).contains(&duration.as_secs()) => {
                    Ok(text.to_owned())
                }
                Some((_, Some(_))) => refused("out_of_range", format!("value is between {least} and {most}")),
                _ => wrong_type("a duration such as \"30s\", \"60m\", \"24h\" or \"2 days\""),
            },
            Bounds::Json { check } => {
                let text = value.to_string();
                if text.len() > JSON_MAXIMUM {
                    return refused("too_long", format!("value has {JSON_MAXIMUM} bytes at most"));
                }
                match check(value) {
                    Ok(()) => Ok(text),
                    Err(message) => refused("invalid", message.to_owned()),
                }
            }
            Bounds::String { most, form } => match value.as_str() {
                None => wrong_type("a text"),
                Some(text) if text.chars().any(char::is_control) => {
                    refused("control_character", "value is one line without control characters".to_owned())
                }
                Some(text) if text.chars().count() > most => {
                    refused("too_long", format!("value has {most} characters at most"))
                }
                Some(text) => match form.wrong(text) {
                    None => Ok(text.to_owned()),
                    Some(message) => refused("invalid", message),
                },
            },
        }
    }
}

impl StringForm {
    /// What is wrong with a text.
    fn wrong(self, text: &str) -> Option<String> {
        match self {
            Self::Any => None,
            Self::OneOf(choices) => {
                (!choices.contains(&text)).then(|| format!("value is one of {}", choices.join(", ")))
            }
            Self::EmailOrEmpty => {
                let is_good = text.is_empty() || EmailAddress::parse(text).is_ok_and(|email| email.as_str() == text);
                (!is_good).then(|| "value is the address of a mailbox, or empty".to_owned())
            }
            Self::UrlOrEmpty => {
                // A program in a browser may be reached without encryption on the machine that it runs on.
                let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://localhost"));
                let is_good = rest
                    .is_some_and(|rest| !rest.contains(['@', '#', '?', '"', '<', '>', '\\', ' ']) && rest.is_ascii())
                    && text.len() > "https://".len();
                (!text.is_empty() && !is_good)
                    .then(|| "value is an https URL without credentials, query and fragment, or empty".to_owned())
            }
        }
    }
}

/// The bounds of a duration are written as a setting is.
fn seconds(bound: &str) -> u64 {
    parse_duration(bound).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::registry::DEFINITIONS;
    use super::*;

    fn code(bounds: Bounds, value: &Value) -> Result<String, &'static str> {
        let definition = Definition { category: "a", key: "b", bounds, default: "", description: "" };
        definition.check(value).map_err(|error| match error {
            Error::Invalid(fields) => fields[0].code,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn durations_are_read_in_every_form_that_the_documents_use() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("2 days"), Some(172_800));
        assert_eq!(seconds("2s"), Some(2));
        assert_eq!(seconds("60m"), Some(3_600));
        assert_eq!(seconds("24h"), Some(86_400));
        for broken in ["", "2", "days", "-2s", "2 weeks", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(seconds(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_value_is_of_its_type_and_within_its_bounds() {
        let number = Bounds::Number { least: 1, most: 10 };
        assert_eq!(code(number, &json!(10)), Ok("10".to_owned()));
        for (value, expected) in [
            (json!(0), "out_of_range"),
            (json!(11), "out_of_range"),
            (json!("5"), "wrong_type"),
            (json!(5.5), "wrong_type"),
            (json!(null), "wrong_type"),
            (json!(18_446_744_073_709_551_615_u64), "wrong_type"),
        ] {
            assert_eq!(code(number, &value), Err(expected), "{value}");
        }
        assert_eq!(code(Bounds::Boolean, &json!(true)), Ok("true".to_owned()));
        for value in [json!("true"), json!(1), json!(null)] {
            assert_eq!(code(Bounds::Boolean, &value), Err("wrong_type"), "{value}");
        }
        let duration = Bounds::Duration { least: "1m", most: "2 days" };
        for good in ["60s", "48h", "2 days", " 2 days "] {
            assert_eq!(code(duration, &json!(good)), Ok(good.trim().to_owned()));
        }
        for (value, expected) in [
            (json!("59s"), "out_of_range"),
            (json!("3 days"), "out_of_range"),
            (json!("a while"), "wrong_type"),
            (json!(60), "wrong_type"),
        ] {
            assert_eq!(code(duration, &value), Err(expected), "{value}");
        }
        let list: fn(&Value) -> Result<(), &'static str> =
            |value| if value.is_array() { Ok(()) } else { Err("value is a list") };
        assert_eq!(code(Bounds::Json { check: list }, &json!([1])), Ok("[1]".to_owned()));
        assert_eq!(code(Bounds::Json { check: list }, &json!({})), Err("invalid"));
        assert_eq!(code(Bounds::Json { check: list }, &json!(["x".repeat(JSON_MAXIMUM)])), Err("too_long"));
    }

    #[test]
    fn a_text_has_its_form() {
        let text = |form| Bounds::String { most: 40, form };
        assert_eq!(code(text(StringForm::Any), &json!("Martlet & Co.")), Ok("Martlet & Co.".to_owned()));
        for (value, expected) in [
            (json!("a\r\nBcc: b@example.test"), "control_character"),
            (json!("a\u{0}"), "control_character"),
            (json!("x".repeat(41)), "too_long"),
            (json!(5), "wrong_type"),
        ] {
            assert_eq!(code(text(StringForm::Any), &value), Err(expected), "{value}");
        }
        for good in ["", "hello@example.test"] {
            assert!(code(text(StringForm::EmailOrEmpty), &json!(good)).is_ok(), "{good}");
        }
        for bad in ["hello", "a@b@c", " hello@example.test", "Hello <hello@example.test>"] {
            assert_eq!(code(text(StringForm::EmailOrEmpty), &json!(bad)), Err("invalid"), "{bad}");
        }
        for good in ["", "https://app.example.test", "https://example.test/app", "http://localhost:3000"] {
            assert!(code(text(StringForm::UrlOrEmpty), &json!(good)).is_ok(), "{good}");
        }
        for bad in ["https://", "http://example.test", "https://a@b.test", "javascript:alert(1)", "https://a.test/#x"] {
            assert_eq!(code(text(StringForm::UrlOrEmpty), &json!(bad)), Err("invalid"), "{bad}");
        }
        assert!(code(text(StringForm::OneOf(&["a", "b"])), &json!("b")).is_ok());
        assert_eq!(code(text(StringForm::OneOf(&["a", "b"])), &json!("c")), Err("invalid"));
    }

    #[test]
    fn every_default_is_one_of_the_values_that_its_setting_may_have() {
        for definition in DEFINITIONS {
            let value = read_value(&definition.bounds, definition.default);
            let value = value.unwrap_or_else(|error| panic!("{}: {error:?}", definition.key));
            assert_eq!(definition.check(&value).unwrap(), definition.default, "{}", definition.key);
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_read_as_the_same_value(which in 0..DEFINITIONS.len(), text in ".*", number in any::<i64>()) {
            let definition = &DEFINITIONS[which];
            for value in [json!(text), json!(number), json!(true), json!({text.clone(): number})] {
                if let Ok(stored) = definition.check(&value) {
                    let again = read_value(&definition.bounds, &stored).unwrap();
                    prop_assert_eq!(definition.check(&again).unwrap(), stored);
                }
            }
        }
    }
}
