//! Settings of providers, read and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::Question;
use crate::audience::email_address::EmailAddress;
use crate::audience::persons::Field;
use crate::platform::webhooks::{Reach, Target};

/// Characters of a name.
const NAME_MAXIMUM: usize = 60;
/// Characters of a JSON pointer.
const POINTER_MAXIMUM: usize = 200;
/// Seconds that an answer may take, and those that it may take where the setting says nothing.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1..=20;
const TIMEOUT: u64 = 10;
/// What stands for the address.
const EMAIL: &str = "{email}";
/// What stands for the part of it after the @.
const DOMAIN: &str = "{domain}";

/// How a provider is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The question stands in the URL.
    #[default]
    Get,
    /// It stands in the body as well.
    Post,
}

/// Where and how to ask.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Form {
    /// What the provider is called, by us and in what people see.
    pub name: String,
    /// Its address; `{email}` and `{domain}` stand for those asked about.
    pub url: String,
    /// How.
    #[serde(default)]
    pub method: Method,
    /// What is sent along, with the same places in its texts.
    #[serde(default)]
    pub body: Option<Value>,
    /// Seconds that an answer may take.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
}

/// Who is asked about persons.
#[derive(Debug, Clone, PartialEq)]
pub enum PersonSource {
    /// The examples that the program brings.
    Examples,
    /// A file in the bucket.
    File {
        /// What people see.
        name: String,
        /// The name of its object below `enrichment/`.
        file: String,
    },
    /// A provider over HTTP.
    Provider(PersonProvider),
}

/// A provider who knows persons.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonProvider {
    /// How it is asked.
    pub form: Form,
    /// Where each field stands in an answer.
    pub fields: BTreeMap<Field, String>,
    /// The statuses by which it says that it knows nobody.
    pub not_found: Vec<u16>,
}

/// A provider who knows whether mailboxes take mail.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxProvider {
    /// How it is asked.
    pub form: Form,
    /// Where the verdict stands in an answer.
    pub verdict: String,
    /// Verdicts by which a mailbox takes mail.
    pub passed: Vec<Value>,
    /// Verdicts by which it does not.
    pub failed: Vec<Value>,
}

/// A text model behind the interface of chat completions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatModel {
    /// What the provider is called.
    pub name: String,
    /// Where it takes requests.
    pub url: String,
    /// What it calls the model.
    pub model: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonText {
    name: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    timeout_seconds: Option<u64>,
    #[serde(default)]
    fields: BTreeMap<Field, String>,
    #[serde(default = "not_found")]
    not_found: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailboxText {
    name: String,
    url: String,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    timeout_seconds: Option<u64>,
    verdict: String,
    passed: Vec<Value>,
    failed: Vec<Value>,
}

fn not_found() -> Vec<u16> {
    vec![404]
}

impl PersonSource {
    /// Reads the setting `enrichment.provider`.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong with it.
    pub fn read(value: &Value) -> Result<Self, &'static str> {
        if is_nothing(value) {
            return Ok(Self::Examples);
        }
        let text = PersonText::deserialize(value)
            .map_err(|_| "value is an object with name, url and fields, or with name and file")?;
        let PersonText { name, file, url, method, body, timeout_seconds, fields, not_found } = text;
        check_name(&name)?;
        match (file, url) {
            (Some(file), None) => {
                let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
                if !(1..=100).contains(&file.len()) || !file.bytes().all(is_plain) || !file.ends_with(".csv") {
                    return Err("file is the name of a CSV file: letters, digits, dots, hyphens, and .csv at its end");
                }
                Ok(Self::File { name, file })
            }
            (None, Some(url)) => {
                let form = Form { name, url, method, body, timeout_seconds };
                form.check()?;
                if fields.is_empty() || !fields.values().all(|pointer| is_pointer(pointer)) {
                    return Err("fields has a JSON pointer such as /person/name for each field that is learned");
                }
                if not_found.len() > 10 || not_found.iter().any(|status| !(400..500).contains(status)) {
                    return Err("not_found has statuses between 400 and 499");
                }
                Ok(Self::Provider(PersonProvider { form, fields, not_found }))
            }
            _ => Err("value has either url or file"),
        }
    }

    /// What people see as where it was learned.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Examples => "examples",
            Self::File { name, .. } => name,
            Self::Provider(provider) => &provider.form.name,
        }
    }
}

impl MailboxProvider {
    /// Reads the setting `verification.provider`; `None` where nobody is asked.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong with it.
    pub fn read(value: &Value) -> Result<Option<Self>, &'static str> {
        if is_nothing(value) {
            return Ok(None);
        }
        let text = MailboxText::deserialize(value)
            .map_err(|_| "value is an object with name, url, verdict, passed and failed")?;
        let MailboxText { name, url, method, body, timeout_seconds, verdict, passed, failed } = text;
        let form = Form { name, url, method, body, timeout_seconds };
        check_name(&form.name)?;
        form.check()?;
        if !is_pointer(&verdict) {
            return Err("verdict is a JSON pointer such as /result");
        }
        let are_verdicts = |verdicts: &[Value]| {
            (1..=50).contains(&verdicts.len()) && verdicts.iter().all(|v| v.is_string() || v.is_boolean())
        };
        if !are_verdicts(&passed) || !are_verdicts(&failed) || passed.iter().any(|verdict| failed.contains(verdict)) {
            return Err("passed and failed are lists of verdicts, texts or yes and no, of which none is in both");
        }
        Ok(Some(Self { form, verdict, passed, failed }))
    }
}

impl ChatModel {
    /// Reads the setting `enrichment.text_model`; `None` where no personas are written.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong with it.
    pub fn read(value: &Value) -> Result<Option<Self>, &'static str> {
        if is_nothing(value) {
            return Ok(None);
        }
        let model = Self::deserialize(value).map_err(|_| "value is an object with name, url and model")?;
        check_name(&model.name)?;
        if !(1..=200).contains(&model.model.chars().count()) || model.model.chars().any(char::is_control) {
            return Err("model has 1 to 200 characters");
        }
        check_url(&model.url)?;
        Ok(Some(model))
    }
}

impl Form {
    /// What is asked about an address.
    #[must_use]
    pub fn question(&self, email: &EmailAddress) -> Question {
        let body = match self.method {
            Method::Get => None,
            Method::Post => Some(filled(self.body.as_ref().unwrap_or(&Value::Null), email)),
        };
        Question {
            provider: self.name.clone(),
            url: self
                .url
                .replace(EMAIL, &percent_encoded(email.as_str()))
                .replace(DOMAIN, &percent_encoded(email.domain())),
            body,
            timeout: Duration::from_secs(self.timeout_seconds.unwrap_or(TIMEOUT)),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let names_it = |text: &str| text.contains(EMAIL) || text.contains(DOMAIN);
        let is_named = names_it(&self.url) || self.body.as_ref().is_some_and(|body| names_it(&body.to_string()));
        if !is_named {
            return Err("{email} or {domain} stands in url or body, in place of what is asked about");
        }
        if self.body.is_some() && self.method == Method::Get {
            return Err("a body is sent with the method POST");
        }
        if !self.timeout_seconds.is_none_or(|seconds| TIMEOUTS.contains(&seconds)) {
            return Err("timeout_seconds is between 1 and 20");
        }
        // What is asked about decides nothing of where it is asked.
        let (scheme, rest) = self.url.split_once("://").ok_or("url begins with https://")?;
        let authority = rest.find(['/', '?']).map_or(rest, |end| rest.get(..end).unwrap_or_default());
        if names_it(scheme) || names_it(authority) {
            return Err("{email} and {domain} stand behind the name of the host");
        }
        check_url(&self.url.replace(EMAIL, "a").replace(DOMAIN, "a"))
    }
}

fn is_nothing(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (1..=NAME_MAXIMUM).contains(&name.len()) && name.bytes().all(is_plain) {
        Ok(())
    } else {
        Err("a name has 1 to 60 characters out of a-z, 0-9 and -")
    }
}

/// This machine is open on the local stack alone, which whoever asks looks at once more.
fn check_url(url: &str) -> Result<(), &'static str> {
    Target::parse(url, Reach::Loopback).map(drop).map_err(|_| "url is an https URL that everybody can reach")
}

/// RFC 6901: nothing, or parts that each begin with a slash.
fn is_pointer(text: &str) -> bool {
    let escapes_end = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && text.chars().count() <= POINTER_MAXIMUM && escapes_end
}

/// The same JSON with the address in its places.
fn filled(value: &Value, email: &EmailAddress) -> Value {
    match value {
        Value::String(text) => {
            // An address may look like one of the places itself.
            let parts: Vec<String> = text.split(EMAIL).map(|part| part.replace(DOMAIN, email.domain())).collect();
            parts.join(email.as_str()).into()
        }
        Value::Array(items) => items.iter().map(|item| filled(item, email)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, item)| (name.clone(), filled(item, email))).collect())
        }
        other => other.clone(),
    }
}

/// Everything but the unreserved characters of RFC 3986 section 2.3.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// What is wrong with `enrichment.provider`, for whoever sets it.
pub(crate) fn check_person_provider(value: &Value) -> Result<(), &'static str> {
    PersonSource::read(value).map(drop)
}

/// The same of `verification.provider`.
pub(crate) fn check_mailbox_provider(value: &Value) -> Result<(), &'static str> {
    MailboxProvider::read(value).map(drop)
}

/// The same of `enrichment.text_model`.
pub(crate) fn check_chat_model(value: &Value) -> Result<(), &'static str> {
    ChatModel::read(value).map(drop)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn acme() -> Value {
        json!({"name": "acme", "url": "https://api.acme.test/v1?of={email}", "fields": {"first_name": "/name/first"}})
    }

    fn with(mut setting: Value, field: &str, value: Value) -> Value {
        setting[field] = value;
        setting
    }

    #[test]
    fn a_provider_of_persons_is_read_and_what_would_not_work_is_refused() {
        assert_eq!(PersonSource::read(&json!({})), Ok(PersonSource::Examples));
        assert_eq!(PersonSource::read(&acme()).unwrap().name(), "acme");
        let file = json!({"name": "our-file", "file": "persons.csv"});
        assert_eq!(PersonSource::read(&file).unwrap().name(), "our-file");
        for good in [
            with(acme(), "timeout_seconds", json!(20)),
            with(acme(), "not_found", json!([404, 422])),
            json!({"name": "a", "url": "https://a.test/", "method": "POST", "body": {"q": ["{email}"]}, "fields": {"city": "/a~1b"}}),
        ] {
            assert!(PersonSource::read(&good).is_ok(), "{good}");
        }
        for bad in [
            json!([]),
            json!("acme"),
            json!({"name": "acme"}),
            with(acme(), "name", json!("Acme Inc")),
            with(acme(), "key", json!("secret")),
            with(acme(), "file", json!("persons.csv")),
            with(file.clone(), "file", json!("../secrets.csv")),
            with(file, "file", json!("persons.txt")),
            with(acme(), "url", json!("https://api.acme.test/v1")),
            with(acme(), "url", json!("http://api.acme.test/?of={email}")),
            with(acme(), "url", json!("https://169.254.169.254/?of={email}")),
            with(acme(), "url", json!("https://{domain}/?of={email}")),
            with(acme(), "url", json!("https://api.acme.test:{domain}/?of={email}")),
            with(acme(), "body", json!({"q": "{email}"})),
            with(acme(), "method", json!("DELETE")),
            with(acme(), "timeout_seconds", json!(0)),
            with(acme(), "timeout_seconds", json!(21)),
            with(acme(), "not_found", json!([200])),
            with(acme(), "fields", json!({})),
            with(acme(), "fields", json!({"score": "/score"})),
            with(acme(), "fields", json!({"city": "city"})),
            with(acme(), "fields", json!({"city": "/a~2"})),
        ] {
            assert!(PersonSource::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_provider_of_mailboxes_knows_its_own_verdicts() {
        let good = json!({"name": "acme", "url": "https://api.acme.test/{domain}?of={email}", "verdict": "/result",
                          "passed": ["ok", true], "failed": ["bad", false]});
        assert!(MailboxProvider::read(&good).unwrap().is_some());
        assert_eq!(MailboxProvider::read(&json!({})), Ok(None));
        for bad in [
            with(good.clone(), "passed", json!([])),
            with(good.clone(), "passed", json!(["bad"])),
            with(good.clone(), "passed", json!([1])),
            with(good.clone(), "verdict", json!("result")),
            with(good, "fields", json!({})),
        ] {
            assert!(MailboxProvider::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_model_has_an_address_and_a_name() {
        let good = json!({"name": "acme", "url": "https://api.acme.test/v1/chat/completions", "model": "small-1"});
        assert!(ChatModel::read(&good).unwrap().is_some());
        assert_eq!(ChatModel::read(&json!({})), Ok(None));
        for (field, value) in [("url", json!("http://api.acme.test/")), ("model", json!("")), ("key", json!("secret"))]
        {
            assert!(ChatModel::read(&with(good.clone(), field, value)).is_err(), "{field}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_about_it_is_asked_of_the_same_host(local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}") {
            let email = EmailAddress::parse(&format!("{local}@people.test")).unwrap();
            let PersonSource::Provider(provider) = PersonSource::read(&acme()).unwrap() else { panic!() };
            let question = provider.form.question(&email);
            let target = Target::parse(&question.url, Reach::Public);
            prop_assert!(target.is_ok(), "{}", question.url);
            let rest = question.url.strip_prefix("https://api.acme.test/v1?of=").unwrap();
            prop_assert!(!rest.contains(['&', '#', '/', '?', '=', '@', '{']), "{}", rest);
        }

        #[test]
        fn a_body_says_the_address_as_it_is(local in "[a-z{}]{1,10}|\\{domain\\}|\\{email\\}") {
            let email = EmailAddress::parse(&format!("{local}@people.test")).unwrap();
            let body = filled(&json!({"a": ["{email}", 1], "b": "of {domain}"}), &email);
            prop_assert_eq!(&body["b"], "of people.test");
            prop_assert_eq!(&body["a"][0], email.as_str());
            prop_assert_eq!(&body["a"][1], 1);
        }
    }
}
