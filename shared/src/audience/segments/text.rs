//! The text form of a tree, as people write it: `country = "AU" and score >= 60 and opened(30d)`.
//!
//! ```text
//! who        = and { "or" and }
//! and        = unary { "and" unary }
//! unary      = "not" unary | "(" who ")" | "everybody" | condition
//! condition  = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" "(" value { "," value } ")"
//!            | field "begins" "with" value
//!            | field "is" [ "not" ] "set"
//!            | ( "opened" | "clicked" | "replied" ) "(" [ campaign ] [ "," ] [ days "d" ] ")"
//! value      = text in quotes | number | "true" | "false"
//! ```
//!
//! Words are read in any case. In quotes, a backslash takes the next character as it is.

use super::fields::Field;
use super::tree::{
    Act, DEPTH_MAXIMUM, Engagement, FieldTest, LEAVES_MAXIMUM, Literal, Operator, Takes, Tree, Wrong, too_deep,
};

/// Characters of a text: a hundred conditions that are each longer than a line.
pub const TEXT_MAXIMUM: usize = 20_000;
/// Words that stand for themselves and are no fields.
const WORDS: [&str; 11] = ["and", "or", "not", "in", "is", "set", "begins", "with", "true", "false", "everybody"];

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Stable name of what is wrong.
    pub code: &'static str,
    /// What a person reads, without the place.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// Reads the text form.
///
/// Errors: the first mistake from the left.
pub fn parse(text: &str) -> Result<Tree, Mistake> {
    if text.chars().count() > TEXT_MAXIMUM {
        let message = format!("the text has {TEXT_MAXIMUM} characters at most");
        return Err(Mistake { code: "too_long", message, line: 1, column: 1 });
    }
    let mut reader = Reader { text, tokens: tokens(text)?, next: 0, leaves: 0 };
    let tree = reader.alternatives(0)?;
    match reader.peek() {
        Token::End => Ok(tree),
        _ => Err(reader.expected("\"and\", \"or\" or the end")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A word in small letters, and as it was written.
    Word(String, String),
    Text(String),
    Number(f64),
    /// A number of days, as `30d`.
    Days(f64),
    Sign(&'static str),
    End,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(lower, _) if lower == word)
    }

    fn describe(&self) -> String {
        match self {
            Self::Word(_, word) => format!("\"{}\"", word.chars().take(40).collect::<String>()),
            Self::Text(_) => "a text".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Days(days) => format!("{days}d"),
            Self::Sign(sign) => format!("\"{sign}\""),
            Self::End => "the end".to_owned(),
        }
    }
}

const SIGNS: [&str; 9] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", ","];

/// The tokens with the bytes at which they begin; the last is the end.
fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), sign.len())
        } else if first == '"' || first == '\'' {
            quoted(rest, first).ok_or_else(|| mistake(text, at, Wrong::new("syntax", "the quote does not end")))?
        } else if first.is_ascii_digit() || first == '-' {
            number(rest).ok_or_else(|| mistake(text, at, Wrong::new("syntax", "this is no number")))?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let word = &rest[..length];
            (Token::Word(word.to_ascii_lowercase(), word.to_owned()), length)
        } else {
            let message = format!("{first:?} means nothing here; texts are in quotes");
            return Err(mistake(text, at, Wrong::new("syntax", message)));
        };
        tokens.push((token, at));
        at += length;
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
}

/// A text in quotes and its bytes.
fn quoted(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => text.push(characters.next()?.1),
            _ if character == quote => return Some((Token::Text(text), at + 1)),
            _ => text.push(character),
        }
    }
    None
}

/// A number, or a number of days, and its bytes.
fn number(rest: &str) -> Option<(Token, usize)> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let number: f64 = rest[..length].parse().ok()?;
    let ends_here = |at: usize| !rest[at..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if rest[length..].starts_with(['d', 'D']) && ends_here(length + 1) {
        return Some((Token::Days(number), length + 1));
    }
    ends_here(length).then_some((Token::Number(number), length))
}

fn mistake(text: &str, at: usize, wrong: Wrong) -> Mistake {
    let before = &text[..at];
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    Mistake { code: wrong.code, message: wrong.message, line, column }
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    next: usize,
    leaves: usize,
}

impl Reader<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    /// Takes the next token if it is this word.
    fn word(&mut self, word: &str) -> bool {
        let is_it = self.peek().is_word(word);
        self.next += usize::from(is_it);
        is_it
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(next) if *next == sign);
        self.next += usize::from(is_it);
        is_it
    }

    fn place(&self, token: usize) -> usize {
        self.tokens.get(token).map_or(self.text.len(), |(_, at)| *at)
    }

    fn wrong_at(&self, token: usize, wrong: Wrong) -> Mistake {
        mistake(self.text, self.place(token), wrong)
    }

    fn expected(&self, what: &str) -> Mistake {
        let message = format!("expected {what}, found {}", self.peek().describe());
        self.wrong_at(self.next, Wrong::new("syntax", message))
    }

    fn need(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("\"{sign}\""))) }
    }

    /// `depth` levels lie above.
    fn alternatives(&mut self, depth: usize) -> Result<Tree, Mistake> {
        let begins = self.next;
        let mut trees = vec![self.conjunction(depth)?];
        while self.word("or") {
            trees.push(self.conjunction(depth)?);
        }
        let tree = Tree::any(trees).map_err(|wrong| self.wrong_at(begins, wrong))?;
        self.bounded(begins, depth, tree)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Tree, Mistake> {
        let begins = self.next;
        let mut trees = vec![self.unary(depth)?];
        while self.word("and") {
            trees.push(self.unary(depth)?);
        }
        let tree = Tree::all(trees).map_err(|wrong| self.wrong_at(begins, wrong))?;
        self.bounded(begins, depth, tree)
    }

    fn bounded(&self, begins: usize, depth: usize, tree: Tree) -> Result<Tree, Mistake> {
        // Two levels of grammar may share one of the tree, so this is looked at with what has become of it.
        if depth == 0 && tree.depth() > DEPTH_MAXIMUM {
            return Err(self.wrong_at(begins, too_deep()));
        }
        Ok(tree)
    }

    fn unary(&mut self, depth: usize) -> Result<Tree, Mistake> {
        // Parentheses that join nothing make no level of the tree, and must not make one of the stack either.
        if depth > 2 * DEPTH_MAXIMUM {
            return Err(self.wrong_at(self.next, too_deep()));
        }
        if self.word("not") {
            return Ok(Tree::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.sign("(") {
            let tree = self.alternatives(depth + 1)?;
            self.need(")")?;
            return Ok(tree);
        }
        self.leaves += 1;
        if self.leaves > LEAVES_MAXIMUM {
            let message = format!("there are {LEAVES_MAXIMUM} conditions at most");
            return Err(self.wrong_at(self.next, Wrong::new("too_many_conditions", message)));
        }
        if self.word("everybody") {
            return Ok(Tree::Everybody);
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Tree, Mistake> {
        let begins = self.next;
        let Token::Word(lower, written) = self.peek().clone() else {
            return Err(self.expected("a condition, as country = \"AU\""));
        };
        if WORDS.contains(&lower.as_str()) {
            return Err(self.expected("a condition, as country = \"AU\""));
        }
        self.next += 1;
        if matches!(self.peek(), Token::Sign("(")) {
            return self.engagement(begins, &lower);
        }
        let field = Field::parse(&written).map_err(|wrong| self.wrong_at(begins, wrong))?;
        let operator = self.operator(&field)?;
        let values_begin = self.next;
        let values = self.values(operator)?;
        let test = FieldTest::new(field, operator, values).map_err(|wrong| {
            // What is wrong is the operator or what stands behind it.
            let at = if wrong.code == "wrong_operator" { begins + 1 } else { values_begin };
            self.wrong_at(at, wrong)
        })?;
        Ok(Tree::Field(test))
    }

    fn operator(&mut self, field: &Field) -> Result<Operator, Mistake> {
        const WHAT: &str = "=, !=, <, <=, >, >=, \"in\", \"not in\", \"begins with\", \"is set\" or \"is not set\"";
        let written = |operator: &Operator| matches!(self.peek(), Token::Sign(sign) if *sign == operator.text());
        if let Some(operator) = Operator::ALL.iter().copied().find(written) {
            self.next += 1;
            return Ok(operator);
        }
        if self.word("in") {
            return Ok(Operator::In);
        }
        if self.word("not") {
            return if self.word("in") { Ok(Operator::NotIn) } else { Err(self.expected("\"in\"")) };
        }
        if self.word("begins") {
            return if self.word("with") { Ok(Operator::BeginsWith) } else { Err(self.expected("\"with\"")) };
        }
        if self.word("is") {
            let operator = if self.word("not") { Operator::IsNotSet } else { Operator::IsSet };
            return if self.word("set") { Ok(operator) } else { Err(self.expected("\"set\" or \"not set\"")) };
        }
        Err(self.expected(&format!("how to compare {field}: {WHAT}")))
    }

    fn values(&mut self, operator: Operator) -> Result<Vec<Literal>, Mistake> {
        match operator.takes() {
            Takes::None => Ok(Vec::new()),
            Takes::One => Ok(vec![self.value()?]),
            Takes::Several => {
                self.need("(")?;
                let mut values = vec![self.value()?];
                while self.sign(",") {
                    values.push(self.value()?);
                }
                if !self.sign(")") {
                    return Err(self.expected("\",\" or \")\""));
                }
                Ok(values)
            }
        }
    }

    fn value(&mut self) -> Result<Literal, Mistake> {
        let value = match self.peek() {
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Number(number) => Literal::Number(*number),
            Token::Word(word, _) if word == "true" => Literal::Boolean(true),
            Token::Word(word, _) if word == "false" => Literal::Boolean(false),
            _ => return Err(self.expected("a value: text in quotes, a number, true or false")),
        };
        self.next += 1;
        Ok(value)
    }

    fn engagement(&mut self, begins: usize, name: &str) -> Result<Tree, Mistake> {
        let Some(act) = Act::ALL.into_iter().find(|act| act.name() == name) else {
            let known = Act::ALL.map(Act::name);
            let message = match super::fields::most_similar(name, known.into_iter()) {
                Some(similar) => format!("nobody does this with a mail; did you mean {similar}?"),
                None => format!("what people do with a mail is {}", known.join(", ")),
            };
            return Err(self.wrong_at(begins, Wrong::new("unknown_field", message)));
        };
        self.need("(")?;
        let arguments = self.next;
        let (mut campaign, mut days) = (None, None);
        if let Token::Text(text) = self.peek().clone() {
            self.next += 1;
            campaign = Some(text);
            if self.sign(",") && !matches!(self.peek(), Token::Days(_)) {
                return Err(self.expected("days, as 30d"));
            }
        }
        if let Token::Days(number) = *self.peek() {
            let days_at = self.next;
            self.take();
            let whole = (number.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&number)).then_some(number);
            // Checked just before: whole, and within u16.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within u16")]
            let whole = whole.map(|number| number as u16);
            days = Some(whole.ok_or_else(|| {
                let message = format!("days are between 1 and {}", super::tree::DAYS_MAXIMUM);
                self.wrong_at(days_at, Wrong::new("wrong_value", message))
            })?);
        }
        if !self.sign(")") {
            return Err(self.expected("a campaign in quotes, days as 30d, or \")\""));
        }
        let engagement = Engagement::new(act, campaign, days).map_err(|wrong| self.wrong_at(arguments, wrong))?;
        Ok(Tree::Engagement(engagement))
    }
}
