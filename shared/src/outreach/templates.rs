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

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::OnceLock;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value as Json;

/// Filters that a template may use.
pub const FILTERS: [&str; 13] = [
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "join",
    "last",
    "length",
    "lower",
    "title",
    "trim",
    "truncate",
    "upper",
];

/// Tests that a template may use, after `is` or `is not`.
pub const TESTS: [&str; 8] = ["defined", "divisibleby", "even", "none", "number", "odd", "string", "undefined"];

/// Tags that a template may use.
const TAGS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// Words of the language that are no variables.
const KEYWORDS: [&str; 12] =
    ["and", "else", "elif", "endfor", "endif", "for", "if", "in", "is", "not", "or", "recursive"];

/// Words of the language that are values.
const CONSTANTS: [&str; 6] = ["true", "True", "false", "False", "none", "None"];

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

/// Tokens in one tag. The engine's parser calls itself for each `not` and each link of a chain without a bound of its
/// own, and a stack that overflows takes the process with it.
const MAX_TOKENS: usize = 200;

/// How many `elif` a part may have: the engine nests each in the one before.
const MAX_ELIFS: usize = 50;

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
        let mut environment = language().clone();
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
fn language() -> &'static Environment<'static> {
    static LANGUAGE: OnceLock<Environment<'static>> = OnceLock::new();
    LANGUAGE.get_or_init(|| {
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

/// A variable in the source, kept to name the one that has no value: the engine does not.
#[derive(Debug)]
struct Mention {
    line: usize,
    path: Vec<String>,
    /// How little it is suspected when something has no value; 0 is the most.
    excuse: u8,
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

/// What is collected while a source is read.
#[derive(Default)]
struct Inspection {
    mentions: Vec<Mention>,
    loop_names: Vec<String>,
    elifs: usize,
}

/// A token of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    /// A text or a number.
    Literal(&'a str),
    Symbol(&'a str),
}

/// What an open bracket is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bracket {
    /// Arguments of a filter or a test.
    Call,
    /// Parentheses around an expression.
    Group,
    /// `x[…]`.
    Subscript,
}

/// Refuses what the module's doc leaves out, and collects the variables. An error has the line and what is wrong.
///
/// The engine accepts a larger language and has no switch for its operators. This reads the source as the engine's
/// lexer does; where it might read differently (braces, `raw` blocks), it refuses.
fn inspect(source: &str) -> Result<Vec<Mention>, (usize, String)> {
    let mut found = Inspection::default();
    let mut rest = source;
    loop {
        let line = 1 + source.len().checked_sub(rest.len()).map_or(0, |read| newlines(source.get(..read)));
        let Some(open) = rest.find('{') else { return Ok(found.mentions) };
        let (line, tag) = (line + newlines(rest.get(..open)), rest.get(open..).unwrap_or_default());
        rest = if let Some(comment) = tag.strip_prefix("{#") {
            comment.split_once("#}").ok_or_else(|| (line, "a comment has no end".to_owned()))?.1
        } else if let Some(inner) = tag.strip_prefix("{{") {
            let (tokens, after) = tokenize(inner, "}}", line)?;
            check_tokens(&tokens, None, &mut found)?;
            after
        } else if let Some(inner) = tag.strip_prefix("{%") {
            let (tokens, after) = tokenize(inner, "%}", line)?;
            let Some(((line, Token::Name(name)), tokens)) = tokens.split_first() else {
                return Err((line, "a tag has no name".to_owned()));
            };
            if !TAGS.contains(name) {
                return Err((*line, format!("the tag `{name}` is not available")));
            }
            found.elifs += usize::from(*name == "elif");
            if found.elifs > MAX_ELIFS {
                return Err((*line, "there are too many `elif`".to_owned()));
            }
            check_tokens(tokens, Some(name), &mut found)?;
            after
        } else {
            tag.get(1..).unwrap_or_default()
        };
    }
}

fn newlines(text: Option<&str>) -> usize {
    text.unwrap_or_default().bytes().filter(|byte| *byte == b'\n').count()
}

/// Tokens with their lines.
type Tokens<'a> = Vec<(usize, Token<'a>)>;

/// The tokens up to the end of a tag, and the source after it.
fn tokenize<'a>(source: &'a str, end: &str, mut line: usize) -> Result<(Tokens<'a>, &'a str), (usize, String)> {
    const SYMBOLS: [&str; 15] = ["==", "!=", ">=", "<=", "<", ">", "=", ".", ",", "|", "(", ")", "[", "]", "-"];
    // A sign next to the edge of a tag is about white space.
    let mut rest = source.strip_prefix(['-', '+']).unwrap_or(source);
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        line += newlines(rest.get(..rest.len() - trimmed.len()));
        rest = trimmed;
        let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if depth == 0
            && let Some(after) = unsigned.strip_prefix(end).or_else(|| rest.strip_prefix(end))
        {
            return Ok((tokens, after));
        }
        let Some(first) = rest.chars().next() else { return Err((line, "a tag has no end".to_owned())) };
        let token = if first == '"' || first == '\'' {
            let length = text_length(rest, first).ok_or_else(|| (line, "a text has no end".to_owned()))?;
            Token::Literal(rest.get(..length).unwrap_or_default())
        } else if first.is_ascii_alphanumeric() || first == '_' {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let word = rest.get(..rest.find(|c| !is_word(c)).unwrap_or(rest.len())).unwrap_or_default();
            if first.is_ascii_digit() { Token::Literal(word) } else { Token::Name(word) }
        } else {
            let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
            Token::Symbol(symbol.ok_or_else(|| (line, format!("`{first}` is not available")))?)
        };
        match token {
            Token::Symbol("(" | "[") => depth += 1,
            Token::Symbol(")" | "]") => {
                depth = depth.checked_sub(1).ok_or_else(|| (line, "a bracket was not opened".to_owned()))?;
            }
            _ => {}
        }
        let (Token::Name(text) | Token::Literal(text) | Token::Symbol(text)) = token;
        tokens.push((line, token));
        if tokens.len() > MAX_TOKENS {
            return Err((line, "a tag is too long".to_owned()));
        }
        line += newlines(Some(text));
        rest = rest.get(text.len()..).unwrap_or_default();
    }
}

/// Bytes of the quoted text at the start, with its quotes.
fn text_length(source: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in source.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(index + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Checks the tokens of an expression, or of a tag after its name, and collects its variables.
fn check_tokens(
    tokens: &[(usize, Token<'_>)],
    tag: Option<&str>,
    found: &mut Inspection,
) -> Result<(), (usize, String)> {
    let mut brackets = Vec::new();
    // The names before `in` are the loop's own.
    let mut naming = tag == Some("for");
    for (index, (line, token)) in tokens.iter().enumerate() {
        let at = |offset: isize| index.checked_add_signed(offset).and_then(|i| tokens.get(i)).map(|(_, token)| *token);
        let refuse = |message: &str| Err((*line, message.to_owned()));
        match *token {
            Token::Symbol("(") if is_filter_or_test(at(-1), at(-2), at(-3)) => brackets.push(Bracket::Call),
            Token::Symbol("(") => match at(-1) {
                Some(Token::Name(name)) if !KEYWORDS.contains(&name) => return refuse("functions are not available"),
                Some(Token::Literal(_) | Token::Symbol(")" | "]")) => return refuse("functions are not available"),
                _ => brackets.push(Bracket::Group),
            },
            Token::Symbol("[") => match at(-1) {
                Some(Token::Name(name)) if !KEYWORDS.contains(&name) => brackets.push(Bracket::Subscript),
                Some(Token::Symbol(")" | "]")) => brackets.push(Bracket::Subscript),
                _ => return refuse("lists in brackets are not available"),
            },
            Token::Symbol(")") if !matches!(brackets.pop(), Some(Bracket::Call | Bracket::Group)) => {
                return refuse("the brackets do not match");
            }
            Token::Symbol("]") if brackets.pop() != Some(Bracket::Subscript) => {
                return refuse("the brackets do not match");
            }
            Token::Symbol(",") if brackets.last() != Some(&Bracket::Call) && !(naming && brackets.is_empty()) => {
                return refuse("lists with commas are not available");
            }
            Token::Symbol("=") if brackets.last() != Some(&Bracket::Call) => {
                return refuse("`=` is not available; to compare, write `==`");
            }
            Token::Symbol("|") => match at(1) {
                Some(Token::Name(name)) if !FILTERS.contains(&name) => {
                    return Err((*line, format!("the filter `{name}` is not available")));
                }
                _ => {}
            },
            Token::Name("is") => match if at(1) == Some(Token::Name("not")) { at(2) } else { at(1) } {
                Some(Token::Name(name)) if !TESTS.contains(&name) => {
                    return Err((*line, format!("the test `{name}` is not available")));
                }
                _ => {}
            },
            Token::Name("in") => naming = false,
            Token::Name(name) if KEYWORDS.contains(&name) || CONSTANTS.contains(&name) => {}
            Token::Name(_) if at(-1) == Some(Token::Symbol(".")) || is_filter_or_test(Some(*token), at(-1), at(-2)) => {
            }
            Token::Name(_) if brackets.last() == Some(&Bracket::Call) && at(1) == Some(Token::Symbol("=")) => {}
            Token::Name(name) if naming => found.loop_names.push(name.to_owned()),
            Token::Name(name) => {
                let (path, after) = path(name, tokens.get(index + 1..).unwrap_or_default());
                let asked_for = matches!(
                    after,
                    [(_, Token::Symbol("|")), (_, Token::Name("default" | "d")), ..] | [(_, Token::Name("is")), ..]
                );
                let is_condition = matches!(at(-1), Some(Token::Name("if" | "not" | "and" | "or")))
                    || (at(-1).is_none() && matches!(tag, Some("if" | "elif")));
                let excuse = match (asked_for, is_condition) {
                    (true, _) => 3,
                    _ if found.loop_names.iter().any(|known| known == name) || name == "loop" => 2,
                    (false, true) => 1,
                    (false, false) => 0,
                };
                found.mentions.push(Mention { line: *line, path, excuse });
            }
            Token::Literal(_) | Token::Symbol(_) => {}
        }
    }
    Ok(())
}

/// Is this the name of a filter or a test, by the two tokens before it?
fn is_filter_or_test(name: Option<Token<'_>>, before: Option<Token<'_>>, first: Option<Token<'_>>) -> bool {
    matches!(name, Some(Token::Name(_)))
        && matches!(
            (first, before),
            (_, Some(Token::Symbol("|") | Token::Name("is"))) | (Some(Token::Name("is")), Some(Token::Name("not")))
        )
}

/// The attributes after a name, by dots or by texts in brackets, and the tokens after them.
fn path<'t, 'a>(name: &str, mut after: &'t [(usize, Token<'a>)]) -> (Vec<String>, &'t [(usize, Token<'a>)]) {
    let mut path = vec![name.to_owned()];
    loop {
        let (step, rest) = match after {
            [(_, Token::Symbol(".")), (_, Token::Name(step)), rest @ ..] => (*step, rest),
            [(_, Token::Symbol("[")), (_, Token::Literal(step)), (_, Token::Symbol("]")), rest @ ..] => {
                (step.trim_matches(['"', '\'']), rest)
            }
            _ => return (path, after),
        };
        path.push(step.to_owned());
        after = rest;
    }
}

#[cfg(test)]
mod tests;
