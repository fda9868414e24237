//! The language of templates: what may stand in a source, checked before the engine sees it.
//!
//! The engine accepts more than a mail needs and has no switch for its operators, so a source is read here first. What is
//! left out and why, [`super`] says.

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

/// Tokens in one tag. The engine's parser calls itself for each `not` and each link of a chain without a bound of its
/// own, and a stack that overflows takes the process with it.
const MAX_TOKENS: usize = 200;

/// How many `elif` a part may have: the engine nests each in the one before.
const MAX_ELIFS: usize = 50;

/// A variable in the source, kept to name the one that has no value: the engine does not.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// How little it is suspected when something has no value; 0 is the most.
    pub(super) excuse: u8,
}

/// Refuses what the doc of [`super`] leaves out, and collects the variables. An error has the line and what is wrong.
///
/// The engine accepts a larger language and has no switch for its operators. This reads the source as the engine's
/// lexer does; where it might read differently (braces, `raw` blocks), it refuses.
pub(super) fn inspect(source: &str) -> Result<Vec<Mention>, (usize, String)> {
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
