//! Who is meant, as a tree: conditions on what is known of a person, joined by and, or and not.
//!
//! Every condition is true or false of everybody. What is not known of somebody equals nothing, is in no range and begins with
//! nothing; `ne` and `not_in` are the opposites of `eq` and `in`, so that they hold for those of whom nothing is known as
//! well. A tree is never larger than [`DEPTH_MAXIMUM`] and [`LEAVES_MAXIMUM`] say, however it was made.

use std::fmt;

use super::fields::{Field, Kind};
use super::text::TEXT_MAXIMUM;

/// Levels of and, or and not: more than anybody keeps in mind, and few enough for a recursion.
pub const DEPTH_MAXIMUM: usize = 12;
/// Conditions of one tree: each costs the planner time.
pub const LEAVES_MAXIMUM: usize = 100;
/// Values of one `in`.
pub const VALUES_MAXIMUM: usize = 200;
/// Characters of a text that something is compared with.
pub const LITERAL_MAXIMUM: usize = 500;
/// Days that "within" may reach back.
pub const DAYS_MAXIMUM: u16 = 3_650;

/// Who is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// All of the organization's contacts.
    Everybody,
    /// For whom all of these hold; at least two.
    And(Vec<Tree>),
    /// For whom one of these holds; at least two.
    Or(Vec<Tree>),
    /// For whom this does not hold.
    Not(Box<Tree>),
    /// Of whom something known compares so.
    Field(FieldTest),
    /// Who did something with a mail.
    Engagement(Engagement),
}

/// How something that is known of a person compares. Only made by [`FieldTest::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct FieldTest {
    field: Field,
    operator: Operator,
    values: Vec<Literal>,
}

/// What somebody did with a mail, and not a machine for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engagement {
    /// What they did.
    pub act: Act,
    /// With a mail of this campaign, by its id or its name; of any campaign where none is named.
    pub campaign: Option<String>,
    /// Within so many days before now; ever where none is said. Only made by [`Engagement::new`].
    within_days: Option<u16>,
}

/// What somebody can do with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Looked at it.
    Opened,
    /// Followed a link of it.
    Clicked,
    /// Answered it.
    Replied,
}

/// What something is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text, and everything that is written as text: days, ids.
    Text(String),
    /// A finite number.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
}

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Is the same.
    Eq,
    /// Is not the same, or not known.
    Ne,
    /// Is less, or earlier.
    Lt,
    /// Is not more.
    Le,
    /// Is more, or later.
    Gt,
    /// Is not less.
    Ge,
    /// Is one of these.
    In,
    /// Is none of these, or not known.
    NotIn,
    /// Begins with this.
    BeginsWith,
    /// Is known.
    IsSet,
    /// Is not known.
    IsNotSet,
}

/// What is wrong with a tree, without saying where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Stable name of what is wrong.
    pub code: &'static str,
    /// What a person reads.
    pub message: String,
}

impl Wrong {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::In,
        Self::NotIn,
        Self::BeginsWith,
        Self::IsSet,
        Self::IsNotSet,
    ];

    /// Its name in the JSON form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::BeginsWith => "begins_with",
            Self::IsSet => "is_set",
            Self::IsNotSet => "is_not_set",
        }
    }

    /// How the text form writes it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::BeginsWith => "begins with",
            Self::IsSet => "is set",
            Self::IsNotSet => "is not set",
        }
    }

    /// Whether it compares with a list of values, one value or none.
    #[must_use]
    pub fn takes(self) -> Takes {
        match self {
            Self::In | Self::NotIn => Takes::Several,
            Self::IsSet | Self::IsNotSet => Takes::None,
            _ => Takes::One,
        }
    }
}

/// How many values an operator compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None.
    None,
    /// One.
    One,
    /// One or more.
    Several,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Opened, Self::Clicked, Self::Replied];

    /// Its name in both forms, and the kind of its events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Clicked => "clicked",
            Self::Replied => "replied",
        }
    }
}

impl FieldTest {
    /// A comparison that this field can be asked for.
    ///
    /// Errors: `wrong_operator` and `wrong_value`, with what would be right.
    pub fn new(field: Field, operator: Operator, values: Vec<Literal>) -> Result<Self, Wrong> {
        let wrong = |message: String| Err(Wrong::new("wrong_value", message));
        match (operator.takes(), values.len()) {
            (Takes::None, 0) | (Takes::One, 1) => (),
            (Takes::Several, 1..=VALUES_MAXIMUM) => (),
            (Takes::None, _) => return wrong(format!("{} compares with nothing", operator.text())),
            (Takes::One, _) => return wrong(format!("{} compares with one value", operator.text())),
            (Takes::Several, _) => {
                return wrong(format!("{} compares with 1 to {VALUES_MAXIMUM} values", operator.text()));
            }
        }
        let kind = field.kind();
        if !kind.operators().contains(&operator) {
            let operators: Vec<&str> = kind.operators().iter().map(|possible| possible.text()).collect();
            let message = format!("{field} is not compared by {}, but by {}", operator.text(), operators.join(", "));
            return Err(Wrong::new("wrong_operator", message));
        }
        for value in &values {
            if let Literal::Text(text) = value {
                if text.contains('\0') {
                    return wrong("no text has a NUL character".to_owned());
                }
                if text.chars().count() > LITERAL_MAXIMUM {
                    return wrong(format!("a value has {LITERAL_MAXIMUM} characters at most"));
                }
                if text.is_empty() {
                    return wrong(format!("{field} is never empty: ask whether it is set"));
                }
            }
            if matches!(value, Literal::Number(number) if !number.is_finite()) {
                return wrong("a number is finite".to_owned());
            }
            kind.check(&field, value)?;
        }
        Ok(Self { field, operator, values })
    }

    /// What is compared.
    #[must_use]
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// How.
    #[must_use]
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// With what: as many as the operator takes.
    #[must_use]
    pub fn values(&self) -> &[Literal] {
        &self.values
    }
}

impl Engagement {
    /// Errors: `wrong_value` for days outside of 1 to [`DAYS_MAXIMUM`], or a campaign without a name.
    pub fn new(act: Act, campaign: Option<String>, within_days: Option<u16>) -> Result<Self, Wrong> {
        if within_days.is_some_and(|days| !(1..=DAYS_MAXIMUM).contains(&days)) {
            return Err(Wrong::new("wrong_value", format!("days are between 1 and {DAYS_MAXIMUM}")));
        }
        if let Some(campaign) = &campaign {
            // The same bounds as for a text that something is compared with.
            FieldTest::new(Field::Tag, Operator::Eq, vec![Literal::Text(campaign.clone())])
                .map_err(|_| Wrong::new("wrong_value", "a campaign is named by its id or its name"))?;
        }
        Ok(Self { act, campaign, within_days })
    }

    /// Within so many days before now.
    #[must_use]
    pub fn within_days(&self) -> Option<u16> {
        self.within_days
    }
}

impl Tree {
    /// For whom all hold; one alone is itself.
    ///
    /// Errors: `empty` for none.
    pub fn all(mut trees: Vec<Self>) -> Result<Self, Wrong> {
        match trees.len() {
            0 => Err(Wrong::new("empty", "and needs something to join")),
            1 => Ok(trees.remove(0)),
            _ => Ok(Self::And(trees)),
        }
    }

    /// For whom one holds; one alone is itself.
    ///
    /// Errors: `empty` for none.
    pub fn any(mut trees: Vec<Self>) -> Result<Self, Wrong> {
        match trees.len() {
            0 => Err(Wrong::new("empty", "or needs something to join")),
            1 => Ok(trees.remove(0)),
            _ => Ok(Self::Or(trees)),
        }
    }

    /// Its levels; a condition alone is one.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::And(trees) | Self::Or(trees) => 1 + trees.iter().map(Self::depth).max().unwrap_or_default(),
            Self::Not(tree) => 1 + tree.depth(),
            Self::Everybody | Self::Field(_) | Self::Engagement(_) => 1,
        }
    }

    /// Its conditions, from the left to the right.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Self> {
        let mut leaves = Vec::new();
        let mut rest = vec![self];
        while let Some(tree) = rest.pop() {
            match tree {
                Self::And(trees) | Self::Or(trees) => rest.extend(trees.iter().rev()),
                Self::Not(tree) => rest.push(tree),
                Self::Everybody | Self::Field(_) | Self::Engagement(_) => leaves.push(tree),
            }
        }
        leaves
    }

    /// Errors: `too_deep`, `too_many_conditions`, `too_long` for one whose text could not be read again.
    pub(super) fn check_size(&self) -> Result<(), Wrong> {
        if self.depth() > DEPTH_MAXIMUM {
            return Err(too_deep());
        }
        if self.leaves().len() > LEAVES_MAXIMUM {
            return Err(Wrong::new("too_many_conditions", format!("there are {LEAVES_MAXIMUM} conditions at most")));
        }
        if self.to_string().chars().count() > TEXT_MAXIMUM {
            return Err(Wrong::new(
                "too_long",
                format!("the conditions have {TEXT_MAXIMUM} characters at most as text"),
            ));
        }
        Ok(())
    }
}

pub(super) fn too_deep() -> Wrong {
    Wrong::new("too_deep", format!("and, or and not are {DEPTH_MAXIMUM} levels deep at most"))
}

/// The text form, which [`super::text::parse`] reads as the same tree.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::And(trees) => joined(f, trees, " and ", |tree| matches!(tree, Self::And(_) | Self::Or(_))),
            Self::Or(trees) => joined(f, trees, " or ", |tree| matches!(tree, Self::Or(_))),
            Self::Not(tree) if matches!(**tree, Self::And(_) | Self::Or(_)) => write!(f, "not ({tree})"),
            Self::Not(tree) => write!(f, "not {tree}"),
            Self::Field(test) => write!(f, "{test}"),
            Self::Engagement(engagement) => write!(f, "{engagement}"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    trees: &[Tree],
    word: &str,
    needs_parentheses: impl Fn(&Tree) -> bool,
) -> fmt::Result {
    for (number, tree) in trees.iter().enumerate() {
        if number > 0 {
            f.write_str(word)?;
        }
        if needs_parentheses(tree) { write!(f, "({tree})")? } else { write!(f, "{tree}")? }
    }
    Ok(())
}

impl fmt::Display for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.operator.text())?;
        match self.operator.takes() {
            Takes::None => Ok(()),
            Takes::One => self.values.iter().try_for_each(|value| write!(f, " {value}")),
            Takes::Several => {
                let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
                write!(f, " ({})", values.join(", "))
            }
        }
    }
}

impl fmt::Display for Engagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let campaign = self.campaign.as_ref().map(|name| Literal::Text(name.clone()).to_string());
        let days = self.within_days.map(|days| format!("{days}d"));
        let given: Vec<String> = campaign.into_iter().chain(days).collect();
        write!(f, "{}({})", self.act.name(), given.join(", "))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
        }
    }
}

impl Kind {
    /// What is wrong with comparing this field with this value.
    fn check(self, field: &Field, value: &Literal) -> Result<(), Wrong> {
        let expected = match (self, value) {
            (Self::Text | Self::Named, Literal::Text(_)) | (Self::Custom, _) => return Ok(()),
            (Self::Number, Literal::Number(_)) => return Ok(()),
            (Self::Choice(choices), Literal::Text(text)) if choices.contains(&text.as_str()) => return Ok(()),
            (Self::Moment, Literal::Text(text)) if super::fields::moment(text).is_some() => return Ok(()),
            (Self::Id, Literal::Text(text)) if uuid::Uuid::try_parse(text).is_ok() => return Ok(()),
            (Self::Text | Self::Named, _) => "text in quotes".to_owned(),
            (Self::Number, _) => "a number".to_owned(),
            (Self::Choice(choices), _) => format!("one of \"{}\"", choices.join("\", \"")),
            (Self::Moment, _) => "a day as \"2026-03-04\" or a time as \"2026-03-04T10:00:00Z\"".to_owned(),
            (Self::Id, _) => "an id".to_owned(),
        };
        Err(Wrong::new("wrong_value", format!("{field} is compared with {expected}")))
    }
}
