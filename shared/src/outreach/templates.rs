//! Templates of mails: a small part of the Jinja language, with a bound on everything.
//!
//! A template is a subject and a plain text body with variables in them:
//!
//! ```text
//! Hello {{ first_name | default("there") }},
//! {% if company %}how is {{ company }} doing?{% endif %}
//! {% for topic in custom.topics %}- {{ topic }}
//! {% endfor %}
//! ```
//!
//! # What there is
//!
//! `{{ … }}`, `if`, `elif`, `else`, `for`, comments, comparisons, `and`, `or`, `not`, `in`, subscripts, and the filters
//! and tests in [`FILTERS`] and [`TESTS`]. There is no tag that keeps a value and no operator that joins texts or lists,
//! since a few lines of them make a text that fills the memory before the engine has counted a hundred steps. With them
//! gone every value is a part of the context, and steps × size of the context bounds the work.
//!
//! # Values that are missing
//!
//! A variable that has no value is an error where it is printed, compared or looped over, so that nobody is greeted as
//! "Hello ,". It may be asked for: in `if name`, `name is defined` and `name | default("…")`. A null counts as missing,
//! and for `default` a blank text does too: imported files have many of both.

mod language;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::OnceLock;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value as Json;

pub use self::language::{FILTERS, TESTS};
use self::language::{Mention, inspect};

/// Longest source of a subject or a body in bytes.
pub const MAX_SOURCE: usize = 64 * 1024;

/// Longest rendered body in bytes: more than fits in any mail that a person reads.
pub const MAX_OUTPUT: usize = 256 * 1024;

/// Longest rendered subject in bytes: what fits in one line of a mail (RFC 5322 section 2.1.1).
pub const MAX_SUBJECT: usize = 998;

/// Most text in a context in bytes. Together with the steps that it may take it bounds the work of a rendering.
pub const MAX_CONTEXT: usize = 64 * 1024;

/// Steps of the engine that a subject or a body may take: about three for each variable that is printed.
const FUEL: u64 = 10_000;

/// Depth of nested loops and values in the engine.
const MAX_DEPTH: usize = 50;

/// A compiled subject and body. Compile it once and render it for each recipient.
pub struct Template {
    environment: Environment<'static>,
    subject: Vec<Mention>,
    body: Vec<Mention>,
}

/// What a template made for one recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line without the white space around it, never empty.
    pub subject: String,
    /// Plain text. Nothing in it is escaped.
    pub body: String,
}

/// The half of a template that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The subject.
    Subject,
    /// The body.
    Body,
}

/// Why a template does not compile or render. The text is for the person who writes the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not written in the language above.
    #[error("the {part} is not a valid template: {message}")]
    Syntax {
        /// Where.
        part: Part,
        /// Line of the part, from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// A variable that is needed has no value in the context.
    #[error("the variable `{name}` in the {part} has no value")]
    UndefinedVariable {
        /// Where.
        part: Part,
        /// Line of the part, from 1.
        line: Option<usize>,
        /// The variable with dots, as it is written.
        name: String,
    },
    /// A value is of another type than its place needs, such as a loop over a number.
    #[error("a value in the {part} is of the wrong type: {message}")]
    WrongType {
        /// Where.
        part: Part,
        /// Line of the part, from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// It takes more steps than a mail needs.
    #[error("the {part} takes too many steps")]
    TooExpensive {
        /// Where.
        part: Part,
    },
    /// The source, the values or the result are longer than the bounds of this module.
    #[error("the {part} or what goes into it is too long")]
    TooLong {
        /// Where.
        part: Part,
    },
    /// The rendered subject has a line break or a NUL, which would end the header field.
    #[error("the subject has a line break in it")]
    SubjectLineBreak,
    /// The rendered subject is blank.
    #[error("the subject is empty")]
    EmptySubject,
}

impl TemplateError {
    /// Stable name of what is wrong.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "syntax",
            Self::UndefinedVariable { .. } => "undefined_variable",
            Self::WrongType { .. } => "wrong_type",
            Self::TooExpensive { .. } => "too_expensive",
            Self::TooLong { .. } => "too_long",
            Self::SubjectLineBreak => "subject_line_break",
            Self::EmptySubject => "empty_subject",
        }
    }

    /// The half of the template that it is about.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::Syntax { part, .. }
            | Self::UndefinedVariable { part, .. }
            | Self::WrongType { part, .. }
            | Self::TooExpensive { part }
            | Self::TooLong { part } => *part,
            Self::SubjectLineBreak | Self::EmptySubject => Part::Subject,
        }
    }

    /// The line of that part, from 1, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } | Self::UndefinedVariable { line, .. } | Self::WrongType { line, .. } => *line,
            Self::TooExpensive { .. } | Self::TooLong { .. } | Self::SubjectLineBreak | Self::EmptySubject => None,
        }
    }
}

impl Template {
    /// Checks and compiles a subject and a body.
    ///
    /// # Errors
    ///
    /// `syntax`, `too_long`, or `empty_subject` for a blank one. What depends on values shows in [`Template::render`].
    pub fn compile(subject: &str, body: &str) -> Result<Self, TemplateError> {
        if subject.trim().is_empty() {
            return Err(TemplateError::EmptySubject);
        }
        let mut environment = engine().clone();
        let mut add = |part: Part, source: &str| {
            if source.len() > MAX_SOURCE {
                return Err(TemplateError::TooLong { part });
            }
            let mentions =
                inspect(source).map_err(|(line, message)| TemplateError::Syntax { part, line: Some(line), message })?;
            environment
                .add_template_owned(part.name(), source.to_owned())
                .map_err(|error| TemplateError::from_engine(&error, part, String::new))?;
            Ok(mentions)
        };
        let (subject, body) = (add(Part::Subject, subject)?, add(Part::Body, body)?);
        Ok(Self { environment, subject, body })
    }

    /// The variables that the template takes from the context, with dots: `first_name`, `custom.city`.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        self.environment.templates().flat_map(|(_, template)| template.undeclared_variables(true)).collect()
    }

    /// Renders it for one recipient. The context is an object; nothing outside it can be reached.
    ///
    /// # Errors
    ///
    /// `undefined_variable`, `wrong_type`, `too_expensive`, `too_long`, `subject_line_break` or `empty_subject`.
    pub fn render(&self, context: &impl Serialize) -> Result<Rendered, TemplateError> {
        let mut context = serde_json::to_value(context).map_err(|error| TemplateError::WrongType {
            part: Part::Body,
            line: None,
            message: error.to_string(),
        })?;
        let mut room = MAX_CONTEXT;
        if !drop_nulls(&mut context, &mut room) {
            return Err(TemplateError::TooLong { part: Part::Body });
        }
        let values = Value::from(Serde(&context));
        let subject = self.render_part(Part::Subject, MAX_SUBJECT, &values, &context)?;
        if subject.contains(['\r', '\n', '\0']) {
            return Err(TemplateError::SubjectLineBreak);
        }
        let subject = subject.trim().to_owned();
        if subject.is_empty() {
            return Err(TemplateError::EmptySubject);
        }
        let body = self.render_part(Part::Body, MAX_OUTPUT, &values, &context)?;
        Ok(Rendered { subject, body })
    }

    fn render_part(&self, part: Part, room: usize, values: &Value, context: &Json) -> Result<String, TemplateError> {
        let mentions = match part {
            Part::Subject => &self.subject,
            Part::Body => &self.body,
        };
        let mut output = Bounded { text: Vec::new(), room };
        self.environment
            .get_template(part.name())
            .and_then(|template| template.render_captured_to(values.clone(), &mut output).map(drop))
            .map_err(|error| {
                TemplateError::from_engine(&error, part, || name_missing(mentions, error.line(), context))
            })?;
        // The engine writes whole texts, so the bytes are UTF-8.
        Ok(String::from_utf8_lossy(&output.text).into_owned())
    }
}

impl TemplateError {
    fn from_engine(error: &minijinja::Error, part: Part, name: impl FnOnce() -> String) -> Self {
        let line = error.line();
        let message = || error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        match error.kind() {
            ErrorKind::OutOfFuel => Self::TooExpensive { part },
            ErrorKind::WriteFailure => Self::TooLong { part },
            ErrorKind::UndefinedError => Self::UndefinedVariable { part, line, name: name() },
            ErrorKind::SyntaxError
            | ErrorKind::BadEscape
            | ErrorKind::InvalidDelimiter
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::MissingArgument
            | ErrorKind::TooManyArguments => Self::Syntax { part, line, message: message() },
            _ => Self::WrongType { part, line, message: message() },
        }
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Body => "body",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Neither shows its text, which would carry people's names into a log.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").finish_non_exhaustive()
    }
}

/// A text that refuses to grow past its room.
struct Bounded {
    text: Vec<u8>,
    room: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes every null out of a context, so that it counts as missing. False if the context is larger than the room.
fn drop_nulls(value: &mut Json, room: &mut usize) -> bool {
    // Small values count too, or a list of a million numbers would be free.
    let size = 8 + value.as_str().map_or(0, str::len);
    let Some(left) = room.checked_sub(size) else { return false };
    *room = left;
    match value {
        Json::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().all(|item| drop_nulls(item, room))
        }
        Json::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().all(|field| drop_nulls(field, room))
        }
        _ => true,
    }
}

/// The engine with nothing in it but what templates may use. It has no loader, so no file can be reached.
fn engine() -> &'static Environment<'static> {
    static ENGINE: OnceLock<Environment<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_DEPTH);
        environment.add_filter("default", filters::default);
        environment.add_filter("d", filters::default);
        environment.add_filter("upper", |value: &Value| filters::text(value).map(|text| text.to_uppercase()));
        environment.add_filter("lower", |value: &Value| filters::text(value).map(|text| text.to_lowercase()));
        environment.add_filter("trim", |value: &Value| filters::text(value).map(|text| text.trim().to_owned()));
        environment.add_filter("capitalize", |value: &Value| filters::text(value).map(|text| filters::capital(&text)));
        environment.add_filter("title", filters::title);
        environment.add_filter("truncate", filters::truncate);
        environment.add_filter("join", filters::join);
        environment.add_filter("first", |value: &Value| minijinja::filters::first(filters::defined(value)?));
        environment.add_filter("last", |value: &Value| minijinja::filters::last(filters::defined(value)?.clone()));
        environment.add_filter("length", filters::length);
        environment.add_filter("count", filters::length);
        environment.add_test("defined", minijinja::tests::is_defined);
        environment.add_test("undefined", minijinja::tests::is_undefined);
        environment.add_test("none", minijinja::tests::is_none);
        environment.add_test("string", minijinja::tests::is_string);
        environment.add_test("number", minijinja::tests::is_number);
        environment.add_test("even", minijinja::tests::is_even);
        environment.add_test("odd", minijinja::tests::is_odd);
        environment.add_test("divisibleby", minijinja::tests::is_divisibleby);
        environment
    })
}

/// Filters of our own: the engine's accept more than a mail needs, or make a text out of a missing value.
mod filters {
    use std::borrow::Cow;

    use minijinja::value::{Value, ValueKind};
    use minijinja::{Error, ErrorKind};

    use super::MAX_OUTPUT;

    /// Ends a text that was cut.
    const ELLIPSIS: char = '…';

    /// The value, unless it is missing.
    pub(super) fn defined(value: &Value) -> Result<&Value, Error> {
        if value.is_undefined() { Err(ErrorKind::UndefinedError.into()) } else { Ok(value) }
    }

    /// How many items a list has, or characters a text.
    pub(super) fn length(value: &Value) -> Result<usize, Error> {
        minijinja::filters::length(defined(value)?)
    }

    /// The text of a text, number or boolean.
    pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
        match (value.as_str(), defined(value)?.kind()) {
            (Some(text), _) => Ok(Cow::Borrowed(text)),
            (None, ValueKind::Number | ValueKind::Bool) => Ok(Cow::Owned(value.to_string())),
            (None, kind) => Err(Error::new(ErrorKind::InvalidOperation, format!("a text is needed, not a {kind}"))),
        }
    }

    /// The other value where this one is missing or blank. The third argument, Jinja's own switch for that, is allowed.
    pub(super) fn default(value: &Value, other: Option<Value>, _blank_too: Option<bool>) -> Value {
        let missing = value.is_undefined() || value.is_none() || value.as_str().is_some_and(|t| t.trim().is_empty());
        if missing { other.unwrap_or_else(|| Value::from("")) } else { value.clone() }
    }

    /// The first letter large, the others small.
    pub(super) fn capital(text: &str) -> String {
        let mut chars = text.chars();
        chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
    }

    /// Each word with a large first letter and small others. A space or a hyphen ends a word, an apostrophe does not.
    pub(super) fn title(value: &Value) -> Result<String, Error> {
        let mut titled = String::new();
        for word in text(value)?.split_inclusive(|c: char| c.is_whitespace() || c == '-') {
            titled.push_str(&capital(word));
        }
        Ok(titled)
    }

    /// At most so many characters, with an ellipsis as the last where something was cut.
    pub(super) fn truncate(value: &Value, length: Option<usize>) -> Result<String, Error> {
        const USUAL_LENGTH: usize = 255;
        let (text, length) = (text(value)?, length.unwrap_or(USUAL_LENGTH));
        if text.chars().nth(length).is_none() {
            return Ok(text.into_owned());
        }
        Ok(text.chars().take(length.saturating_sub(1)).chain([ELLIPSIS]).take(length).collect())
    }

    /// The texts of a list with a separator between them. It grows no longer than the whole mail may be.
    pub(super) fn join(list: &Value, separator: Option<&str>) -> Result<String, Error> {
        let mut joined = String::new();
        for (index, item) in defined(list)?.try_iter()?.enumerate() {
            if index > 0 {
                joined.push_str(separator.unwrap_or_default());
            }
            joined.push_str(&text(&item)?);
            if joined.len() > MAX_OUTPUT {
                return Err(Error::new(ErrorKind::WriteFailure, "the list is too long"));
            }
        }
        Ok(joined)
    }
}

/// The most suspected variable without a value on the line, or in the whole part if the line has none.
fn name_missing(mentions: &[Mention], line: Option<usize>, context: &Json) -> String {
    let is_missing = |mention: &&Mention| {
        mention.path.iter().try_fold(context, |value, name| value.get(name)).is_none_or(Json::is_null)
    };
    let missing = mentions.iter().filter(is_missing);
    missing
        .min_by_key(|mention| (line.is_some_and(|line| line != mention.line), mention.excuse))
        .map_or_else(|| "?".to_owned(), |mention| mention.path.join("."))
}

#[cfg(test)]
mod tests;
