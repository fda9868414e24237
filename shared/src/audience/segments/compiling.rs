//! From a tree to SQL: fragments that stand here, joined, and parameters for everything that somebody wrote.
//!
//! A condition is about the row `c` of `contacts`. It names no organization: row-level security does. An index condition under
//! row-level security has to be leakproof, so text is compared in columns of lower case in the `C` collation, "begins with" is a
//! range of such a column, and whatever a jsonb holds has rows of its own. A test holds the operators to that.
//!
//! There are two [`Form`]s of the same condition. [`Form::Sets`] asks for the whole audience: other tables are joined, so that the
//! planner, who sees the values, begins with what fits the fewest, by its index. [`Form::Probes`] asks about one contact after the
//! other: other tables are looked up by the contact's id, and can't be joined, so that few contacts never cost the reading of a
//! whole table.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::TZ_VARIANTS;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::fields::{Field, day, moment};
use super::tree::{Act, Engagement, FieldTest, Literal, Operator, Takes, Tree, Wrong};
use crate::audience::email_address;
use crate::{Error, ListId, Result, Tx};

/// How a condition is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Of everybody at once.
    Sets,
    /// Of one contact after the other.
    Probes,
}

/// A condition, and the parameters that it names.
#[derive(Debug)]
pub struct Condition {
    /// A boolean expression about the row `c`.
    pub sql: String,
    /// What the rows `c` are, where they need not be contacts.
    rows: Option<String>,
    values: Vec<Value>,
}

/// What is asked, with names resolved: what a tree says, in the form in which only conditions themselves are denied.
#[derive(Debug, Clone)]
pub struct Question {
    normal: Normal,
}

/// A tree without `not` over `and` and `or`.
#[derive(Debug, Clone)]
enum Normal {
    All(Vec<Self>),
    Any(Vec<Self>),
    Leaf { test: Test, holds: bool },
}

/// A condition with everything resolved that needs the database.
#[derive(Debug, Clone)]
enum Test {
    Everybody,
    /// A column of the contact.
    Contact(Comparison),
    /// A column of the contact's person.
    Person(Comparison),
    /// A word with which the address, the company or a part of the name begins.
    Word(String),
    Tag(Option<Vec<Uuid>>),
    List(Option<Vec<Uuid>>),
    Verification(Option<Vec<String>>),
    Custom {
        field: Uuid,
        comparison: Comparison,
    },
    Engaged {
        act: Act,
        since: Option<DateTime<Utc>>,
        campaigns: Option<Vec<Uuid>>,
    },
}

/// A column and how it compares; never with null.
#[derive(Debug, Clone)]
struct Comparison {
    column: &'static str,
    relation: Relation,
}

#[derive(Debug, Clone)]
enum Relation {
    Is(Value),
    /// One of the values of an array.
    IsOneOf(Value),
    Below(Value),
    UpTo(Value),
    Above(Value),
    From(Value),
    BeginsWith(String),
    IsKnown,
    /// What no value can be.
    Never,
}

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Texts(Vec<String>),
    Id(Uuid),
    Ids(Vec<Uuid>),
    Small(i16),
    Smalls(Vec<i16>),
    Number(f64),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Day(NaiveDate),
    Days(Vec<NaiveDate>),
    Moment(DateTime<Utc>),
}

impl Value {
    fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Text(value) => (value, Type::TEXT),
            Self::Texts(value) => (value, Type::TEXT_ARRAY),
            Self::Id(value) => (value, Type::UUID),
            Self::Ids(value) => (value, Type::UUID_ARRAY),
            Self::Small(value) => (value, Type::INT2),
            Self::Smalls(value) => (value, Type::INT2_ARRAY),
            Self::Number(value) => (value, Type::FLOAT8),
            Self::Numbers(value) => (value, Type::FLOAT8_ARRAY),
            Self::Booleans(value) => (value, Type::BOOL_ARRAY),
            Self::Day(value) => (value, Type::DATE),
            Self::Days(value) => (value, Type::DATE_ARRAY),
            Self::Moment(value) => (value, Type::TIMESTAMPTZ),
        }
    }
}

impl Condition {
    /// The parameters of the condition behind those of the statement around it.
    #[must_use]
    pub fn after<'a>(&'a self, statement: &[(&'a (dyn ToSql + Sync), Type)]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            statement.iter().map(|(value, r#type)| (*value, r#type.clone())).collect();
        parameters.extend(self.values.iter().map(Value::parameter));
        parameters
    }

    /// A statement with this condition in the place that it keeps for it.
    #[must_use]
    pub fn within(&self, statement: &str) -> String {
        let sql = statement.replace(PLACE, &self.sql);
        match &self.rows {
            Some(rows) => sql.replace(ROWS, rows),
            None => sql,
        }
    }
}

/// Where a statement says that it needs nothing of the rows `c` but their ids.
pub const ROWS: &str = "contacts c /* by id */";

/// Where a statement keeps the place of a condition: everybody, as long as there is none.
pub const PLACE: &str = "true /* who */";

/// The rows that a tree names by something else than their ids.
#[derive(Debug, Default)]
struct Resolved {
    tags: BTreeMap<String, Uuid>,
    lists: BTreeMap<String, Uuid>,
    campaigns: BTreeMap<String, Vec<Uuid>>,
    fields: BTreeMap<String, (Uuid, String, bool)>,
}

/// The code of a tag that is not there; of all names, those of tags alone are the same in any case.
const TAG: &str = "unknown_tag";

/// Resolves what a tree names, by one statement where it names anything.
///
/// Errors, inside: `unknown_tag`, `unknown_list`, `unknown_campaign`, `unknown_custom_field`, `custom_field_filling`, and
/// `wrong_operator` or `wrong_value` where a custom field is of another type.
pub async fn resolve(tx: &Tx, tree: &Tree) -> Result<Result<Question, Wrong>> {
    let resolved = look_up(tx, tree).await?;
    Ok(normal(tree, true, &resolved, tx.now()).map(|normal| Question { normal }))
}

async fn look_up(tx: &Tx, tree: &Tree) -> Result<Resolved> {
    let (mut tags, mut lists, mut campaigns, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for leaf in tree.leaves() {
        match leaf {
            Tree::Field(test) => {
                let texts = test.values().iter().filter_map(text);
                match test.field() {
                    Field::Tag => tags.extend(texts.map(str::to_ascii_lowercase)),
                    Field::List => lists.extend(texts.map(str::to_owned)),
                    Field::Custom(key) => keys.push(key.clone()),
                    _ => (),
                }
            }
            Tree::Engagement(engagement) => campaigns.extend(engagement.campaign.clone()),
            Tree::Everybody | Tree::And(_) | Tree::Or(_) | Tree::Not(_) => (),
        }
    }
    let mut resolved = Resolved::default();
    if tags.is_empty() && lists.is_empty() && campaigns.is_empty() && keys.is_empty() {
        return Ok(resolved);
    }
    let ids = |names: &[String]| names.iter().filter_map(|name| Uuid::try_parse(name).ok()).collect::<Vec<_>>();
    let (list_ids, campaign_ids) = (ids(&lists), ids(&campaigns));
    let rows = tx
        .query(include_str!("compiling/resolve.sql"), &[&tags, &lists, &list_ids, &campaigns, &campaign_ids, &keys])
        .await?;
    for row in rows {
        let (kind, name, id): (&str, String, Uuid) = (row.try_get("kind")?, row.try_get("name")?, row.try_get("id")?);
        match kind {
            "tag" => drop(resolved.tags.insert(name, id)),
            "list" => drop(resolved.lists.insert(name, id)),
            "campaign" => resolved.campaigns.entry(name).or_default().push(id),
            "field" => {
                let field = (id, row.try_get("type")?, row.try_get("is_ready")?);
                resolved.fields.insert(name, field);
            }
            other => return Err(Error::internal(format!("unknown kind of a name: {other}"))),
        }
    }
    Ok(resolved)
}

fn text(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) => Some(text),
        Literal::Number(_) | Literal::Boolean(_) => None,
    }
}

/// Denials are pushed down to the conditions: what is left of a tree then joins sets of people, and only conditions are denied.
fn normal(tree: &Tree, holds: bool, resolved: &Resolved, now: DateTime<Utc>) -> Result<Normal, Wrong> {
    let each =
        |trees: &[Tree]| trees.iter().map(|tree| normal(tree, holds, resolved, now)).collect::<Result<Vec<_>, _>>();
    Ok(match tree {
        Tree::Everybody => Normal::Leaf { test: Test::Everybody, holds },
        Tree::Not(tree) => normal(tree, !holds, resolved, now)?,
        Tree::And(trees) if holds => Normal::All(each(trees)?),
        Tree::Or(trees) if !holds => Normal::All(each(trees)?),
        Tree::And(trees) | Tree::Or(trees) => Normal::Any(each(trees)?),
        Tree::Field(test) => {
            let denied = matches!(test.operator(), Operator::Ne | Operator::NotIn | Operator::IsNotSet);
            Normal::Leaf { test: field_test(test, resolved)?, holds: holds != denied }
        }
        Tree::Engagement(engagement) => Normal::Leaf { test: engaged(engagement, resolved, now)?, holds },
    })
}

fn engaged(engagement: &Engagement, resolved: &Resolved, now: DateTime<Utc>) -> Result<Test, Wrong> {
    let campaigns = engagement.campaign.as_ref().map(|name| {
        let found = resolved.campaigns.get(name).or_else(|| resolved.campaigns.get(&id(name)?));
        found.cloned().ok_or_else(|| Wrong::new("unknown_campaign", format!("there is no campaign {}", quoted(name))))
    });
    let since = engagement.within_days().map(|days| now - Duration::days(days.into()));
    Ok(Test::Engaged { act: engagement.act, since, campaigns: campaigns.transpose()? })
}

/// The id that stands in place of a name, as it is written in answers.
fn id(name: &str) -> Option<String> {
    Uuid::try_parse(name).ok().map(|id| id.to_string())
}

fn quoted(name: &str) -> String {
    Literal::Text(name.to_owned()).to_string()
}

fn field_test(test: &FieldTest, resolved: &Resolved) -> Result<Test, Wrong> {
    let named = |known: &BTreeMap<String, Uuid>, code, noun: &str| -> Result<Option<Vec<Uuid>>, Wrong> {
        if test.operator().takes() == Takes::None {
            return Ok(None);
        }
        let ids = test.values().iter().filter_map(text).map(|name| {
            let found = known.get(name).or_else(|| known.get(&name.to_ascii_lowercase()).filter(|_| code == TAG));
            let found = found.or_else(|| known.get(&id(name)?));
            found.copied().ok_or_else(|| Wrong::new(code, format!("there is no {noun} {}", quoted(name))))
        });
        ids.collect::<Result<Vec<_>, _>>().map(Some)
    };
    let contact = |column, fold: fn(&str) -> String| Test::Contact(compare_text(column, test, fold));
    let person = |column, fold: fn(&str) -> String| Test::Person(compare_text(column, test, fold));
    Ok(match test.field() {
        Field::Email => contact("c.email_lower", email_address::folded),
        Field::EmailDomain => contact("c.email_domain", email_address::folded_domain),
        Field::Name => contact("c.name_lower", str::to_ascii_lowercase),
        Field::FirstName => contact("c.first_name_lower", str::to_ascii_lowercase),
        Field::LastName => contact("c.last_name_lower", str::to_ascii_lowercase),
        Field::Company => contact("c.company_lower", str::to_ascii_lowercase),
        Field::Status => contact("c.status", str::to_owned),
        Field::Timezone => contact("c.timezone collate \"C\"", zone),
        Field::Source => contact("c.source collate \"C\"", str::to_ascii_lowercase),
        Field::CreatedAt => Test::Contact(compare_moment("c.created_at", test)),
        Field::Import => Test::Contact(compare_id("c.import_batch_id", test)),
        Field::City => person("p.city_lower", str::to_ascii_lowercase),
        Field::Region => person("p.region_lower", str::to_ascii_lowercase),
        Field::Country => person("p.country", str::to_ascii_uppercase),
        Field::PersonCompany => person("p.company_lower", str::to_ascii_lowercase),
        Field::Profession => person("p.profession_lower", str::to_ascii_lowercase),
        Field::PersonTimezone => person("p.timezone", zone),
        Field::Score => Test::Person(compare_score(test)),
        Field::Tag => Test::Tag(named(&resolved.tags, TAG, "tag")?),
        Field::List => Test::List(named(&resolved.lists, "unknown_list", "list")?),
        Field::Verification => {
            let values: Vec<String> = test.values().iter().filter_map(text).map(str::to_owned).collect();
            Test::Verification((test.operator().takes() != Takes::None).then_some(values))
        }
        Field::Custom(key) => {
            let Some((id, r#type, is_ready)) = resolved.fields.get(key) else {
                let message =
                    format!("no custom field {} is defined: only defined ones can be selected by", quoted(key));
                return Err(Wrong::new("unknown_custom_field", message));
            };
            if !is_ready {
                let message = format!("the values of {} are still being read; try again in a while", quoted(key));
                return Err(Wrong::new("custom_field_filling", message));
            }
            Test::Custom { field: *id, comparison: compare_custom(key, r#type, test)? }
        }
    })
}

/// A zone's name as the database of zones writes it, whatever the case.
fn zone(name: &str) -> String {
    let known = TZ_VARIANTS.iter().map(|zone| zone.name()).find(|zone| zone.eq_ignore_ascii_case(name));
    known.unwrap_or(name).to_owned()
}

fn compare_text(column: &'static str, test: &FieldTest, fold: fn(&str) -> String) -> Comparison {
    let mut values: Vec<String> = test.values().iter().filter_map(text).map(fold).collect();
    let relation = match (test.operator(), values.len()) {
        (Operator::IsSet | Operator::IsNotSet, _) => Relation::IsKnown,
        (Operator::BeginsWith, 1) => Relation::BeginsWith(values.remove(0)),
        (_, 0) => Relation::Never,
        (_, 1) => Relation::Is(Value::Text(values.remove(0))),
        _ => Relation::IsOneOf(Value::Texts(values)),
    };
    Comparison { column, relation }
}

fn compare_id(column: &'static str, test: &FieldTest) -> Comparison {
    let ids: Vec<Uuid> = test.values().iter().filter_map(text).filter_map(|text| Uuid::try_parse(text).ok()).collect();
    let relation = match (test.operator().takes(), ids.as_slice()) {
        (Takes::None, _) => Relation::IsKnown,
        (_, [id]) => Relation::Is(Value::Id(*id)),
        _ => Relation::IsOneOf(Value::Ids(ids)),
    };
    Comparison { column, relation }
}

fn compare_moment(column: &'static str, test: &FieldTest) -> Comparison {
    let at = test.values().first().and_then(text).and_then(moment).map(Value::Moment);
    Comparison { column, relation: at.map_or(Relation::Never, |at| ordered(test.operator(), at)) }
}

fn ordered(operator: Operator, value: Value) -> Relation {
    match operator {
        Operator::Lt => Relation::Below(value),
        Operator::Le => Relation::UpTo(value),
        Operator::Gt => Relation::Above(value),
        Operator::Ge => Relation::From(value),
        _ => Relation::Is(value),
    }
}

/// The score is a small whole number, and compared as one: with another type no index on it would be of use.
fn compare_score(test: &FieldTest) -> Comparison {
    let column = "p.score";
    #[expect(clippy::cast_possible_truncation, reason = "a float is clamped to the bounds of the integer")]
    let small = |number: f64| Value::Small(number as i16);
    let number = |literal: &Literal| match literal {
        Literal::Number(number) => Some(*number),
        Literal::Text(_) | Literal::Boolean(_) => None,
    };
    let numbers: Vec<f64> = test.values().iter().filter_map(number).collect();
    let relation = match (test.operator(), numbers.as_slice()) {
        (Operator::IsSet | Operator::IsNotSet, _) => Relation::IsKnown,
        (Operator::Lt, [number]) => Relation::Below(small(number.ceil())),
        (Operator::Le, [number]) => Relation::UpTo(small(number.floor())),
        (Operator::Gt, [number]) => Relation::Above(small(number.floor())),
        (Operator::Ge, [number]) => Relation::From(small(number.ceil())),
        (_, numbers) => {
            let is_small = |number: &&f64| number.fract() == 0.0 && number.abs() <= f64::from(i16::MAX);
            #[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds")]
            let whole: Vec<i16> = numbers.iter().filter(is_small).map(|number| *number as i16).collect();
            match whole.as_slice() {
                [] => Relation::Never,
                [number] => Relation::Is(Value::Small(*number)),
                _ => Relation::IsOneOf(Value::Smalls(whole)),
            }
        }
    };
    Comparison { column, relation }
}

fn compare_custom(key: &str, r#type: &str, test: &FieldTest) -> Result<Comparison, Wrong> {
    let operator = test.operator();
    let not_so = || {
        let message = format!("custom.{key} is a {}, which is not compared by {}", said(r#type), operator.text());
        Wrong::new("wrong_operator", message)
    };
    let not_with = || Wrong::new("wrong_value", format!("custom.{key} is compared with {}", expected(r#type)));
    let is_range = matches!(operator, Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge);
    if operator.takes() == Takes::None {
        // A row is there for what is known, in whichever column.
        return Ok(Comparison { column: "v.field_id", relation: Relation::IsKnown });
    }
    if (operator == Operator::BeginsWith && r#type != "text") || (is_range && matches!(r#type, "text" | "boolean")) {
        return Err(not_so());
    }
    match r#type {
        "text" => {
            if test.values().iter().any(|value| text(value).is_none()) {
                return Err(not_with());
            }
            Ok(compare_text("v.text_lower", test, str::to_ascii_lowercase))
        }
        "number" => {
            let number = |literal: &Literal| if let Literal::Number(number) = literal { Some(*number) } else { None };
            let numbers: Option<Vec<f64>> = test.values().iter().map(number).collect();
            let numbers = numbers.ok_or_else(not_with)?;
            let relation = match numbers.as_slice() {
                [number] => ordered(operator, Value::Number(*number)),
                _ => Relation::IsOneOf(Value::Numbers(numbers)),
            };
            Ok(Comparison { column: "v.number_value", relation })
        }
        "boolean" => {
            let truth = |literal: &Literal| if let Literal::Boolean(truth) = literal { Some(*truth) } else { None };
            let truths: Option<Vec<bool>> = test.values().iter().map(truth).collect();
            let truths = truths.ok_or_else(not_with)?;
            // Of one value the planner makes `not boolean_value`, of which it does not see that it is never null.
            Ok(Comparison { column: "v.boolean_value", relation: Relation::IsOneOf(Value::Booleans(truths)) })
        }
        "date" => {
            let days: Option<Vec<NaiveDate>> = test.values().iter().map(|value| text(value).and_then(day)).collect();
            let days = days.ok_or_else(not_with)?;
            let relation = match days.as_slice() {
                [day] => ordered(operator, Value::Day(*day)),
                _ => Relation::IsOneOf(Value::Days(days)),
            };
            Ok(Comparison { column: "v.date_value", relation })
        }
        other => {
            Err(Wrong::new("wrong_value", format!("custom.{key} is of the type {other}, which can't be compared")))
        }
    }
}

fn said(r#type: &str) -> &'static str {
    match r#type {
        "number" => "number",
        "boolean" => "yes or no",
        "date" => "date",
        _ => "text",
    }
}

fn expected(r#type: &str) -> &'static str {
    match r#type {
        "number" => "a number",
        "boolean" => "true or false",
        "date" => "a day as \"2026-03-04\"",
        _ => "text in quotes",
    }
}

impl Question {
    /// Whoever there is.
    #[must_use]
    pub fn everybody() -> Self {
        Self { normal: Normal::All(Vec::new()) }
    }

    /// Nobody at all.
    #[must_use]
    pub fn nobody() -> Self {
        Self { normal: Normal::Leaf { test: Test::Everybody, holds: false } }
    }

    /// Whoever is on a list; nobody where there is no such list.
    #[must_use]
    pub fn on_list(list: ListId) -> Self {
        Self { normal: Normal::Leaf { test: Test::List(Some(vec![list.0])), holds: true } }
    }

    /// Everybody of whom the address, the company or a part of the name begins with each of these words; or the company or a name with all of
    /// them together, as those do that are of several words.
    #[must_use]
    pub fn words(words: &[String]) -> Self {
        let word = |word: &str| Normal::Leaf { test: Test::Word(word.to_ascii_lowercase()), holds: true };
        let each = Normal::All(words.iter().map(|its| word(its)).collect());
        if words.len() < 2 {
            return Self { normal: each };
        }
        let phrase = words.join(" ").to_ascii_lowercase();
        let begins = |column| {
            let comparison = Comparison { column, relation: Relation::BeginsWith(phrase.clone()) };
            Normal::Leaf { test: Test::Contact(comparison), holds: true }
        };
        let of_several_words =
            ["c.company_lower", "c.first_name_lower", "c.last_name_lower", "c.name_lower"].map(begins);
        Self { normal: Normal::Any([each].into_iter().chain(of_several_words).collect()) }
    }

    /// Those whom both mean.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let parts = |normal| match normal {
            Normal::All(parts) => parts,
            one => vec![one],
        };
        let (mut all, more) = (parts(self.normal), parts(other.normal));
        all.extend(more);
        Self { normal: Normal::All(all) }
    }

    /// The condition, whose parameters come behind the `statement`'s own.
    #[must_use]
    pub fn condition(&self, form: Form, statement: usize) -> Condition {
        let mut writer = Writer { form, first: statement, values: Vec::new() };
        let sql = writer.write(&self.normal);
        Condition { sql: format!("({sql})"), rows: None, values: writer.values }
    }

    /// The condition of everybody for a statement that needs their ids alone. Where nothing is said of the contact itself, the rows of a
    /// list, of a tag or of a custom field are enough, each of which is about one contact that there is.
    #[must_use]
    pub fn condition_by_id(&self, statement: usize) -> Condition {
        let parts = self.parts();
        let first =
            parts.iter().position(Normal::is_once_of_contact).filter(|_| parts.iter().all(Normal::needs_id_alone));
        let mut writer = Writer { form: Form::Sets, first: statement, values: Vec::new() };
        if let Some(first) = first
            && let Normal::Leaf { test, .. } = &parts[first]
            && let Some((table, condition)) = writer.rows_of_contact(test)
        {
            let alias = alias(table);
            let rows = format!("(select {alias}.contact_id as id from {table} {alias} where {condition}) c");
            let others: Vec<Normal> = [&parts[..first], &parts[first + 1..]].concat();
            let sql = writer.write(&Normal::All(others));
            return Condition { sql: format!("({sql})"), rows: Some(rows), values: writer.values };
        }
        self.condition(Form::Sets, statement)
    }

    /// What has to hold of everybody who is meant.
    fn parts(&self) -> &[Normal] {
        match &self.normal {
            Normal::All(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }

    /// The list or tag that everybody who is meant is on or has: its members lie in the order of their ids.
    #[must_use]
    pub fn ordered_by(&self) -> Option<OrderedBy> {
        self.parts().iter().find_map(|part| match part {
            Normal::Leaf { test: Test::List(Some(ids)), holds: true } if ids.len() == 1 => {
                ids.first().copied().map(OrderedBy::List)
            }
            Normal::Leaf { test: Test::Tag(Some(ids)), holds: true } if ids.len() == 1 => {
                ids.first().copied().map(OrderedBy::Tag)
            }
            _ => None,
        })
    }

    /// Whether one contact at most is meant, or as few as have an address of a list of addresses.
    #[must_use]
    pub fn names_addresses(&self) -> bool {
        let names = |part: &Normal| {
            let Normal::Leaf { test: Test::Contact(comparison), holds: true } = part else { return false };
            comparison.column == "c.email_lower"
                && matches!(comparison.relation, Relation::Is(_) | Relation::IsOneOf(_))
        };
        self.parts().iter().any(names)
    }
}

/// What lies in the order of its members' ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedBy {
    /// This list.
    List(Uuid),
    /// This tag.
    Tag(Uuid),
}

struct Writer {
    form: Form,
    /// Parameters of the statement around.
    first: usize,
    values: Vec<Value>,
}

impl Writer {
    fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.first + self.values.len())
    }

    fn write(&mut self, normal: &Normal) -> String {
        match normal {
            Normal::All(parts) if parts.is_empty() => "true".to_owned(),
            Normal::All(parts) => self.all(parts),
            // Conditions on contacts alone are found by several indexes together. Others are sets of ids, unless a part of them is
            // nearly everybody: that is no set to begin with.
            Normal::Any(parts) if self.form == Form::Sets && !normal.is_of_contacts() && normal.is_narrow() => {
                let sets: Vec<String> = parts.iter().map(|part| self.set(part)).collect();
                format!("c.id in ({})", sets.join(" union all "))
            }
            Normal::Any(parts) => self.joined(parts, " or "),
            Normal::Leaf { test, holds } => self.leaf(test, *holds),
        }
    }

    /// What is said of the same person is one look at their row.
    fn all(&mut self, parts: &[Normal]) -> String {
        let (mut of_person, mut others) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Normal::Leaf { test: Test::Person(comparison), holds: true } => {
                    of_person.push(self.comparison(comparison));
                }
                other => others.push(format!("({})", self.write(other))),
            }
        }
        if !of_person.is_empty() {
            others
                .push(format!("({})", self.related(true, "persons p", "p.id = c.person_id", &of_person.join(" and "))));
        }
        others.join(" and ")
    }

    fn joined(&mut self, parts: &[Normal], word: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| format!("({})", self.write(part))).collect();
        parts.join(word)
    }

    /// The ids of those for whom it holds, straight from where they stand.
    fn set(&mut self, normal: &Normal) -> String {
        if let Normal::Leaf { test, holds: true } = normal
            && let Some((table, condition)) = self.rows_of_contact(test)
        {
            let alias = alias(table);
            return format!("select {alias}.contact_id from {table} {alias} where {condition}");
        }
        format!("select c.id from contacts c where {}", self.write(normal))
    }

    /// The table with rows about contacts that a condition is about, and what it says of them.
    fn rows_of_contact(&mut self, test: &Test) -> Option<(&'static str, String)> {
        Some(match test {
            Test::Tag(None) => ("contact_tags", "true".to_owned()),
            Test::Tag(Some(ids)) => ("contact_tags", self.is_one_of("t.tag_id", ids)),
            Test::List(None) => ("list_members", "true".to_owned()),
            Test::List(Some(ids)) => ("list_members", self.is_one_of("m.list_id", ids)),
            Test::Custom { field, comparison } => {
                let field = self.parameter(Value::Id(*field));
                let compared = self.comparison(comparison);
                ("custom_values", format!("v.field_id = {field} and {compared}"))
            }
            Test::Engaged { act, since, campaigns } => {
                let kind = self.parameter(Value::Text(act.name().to_owned()));
                let mut conditions = vec![format!("e.kind = {kind}")];
                if let Some(since) = since {
                    let since = self.parameter(Value::Moment(*since));
                    conditions.push(format!("e.occurred_at >= {since}"));
                }
                if let Some(ids) = campaigns {
                    conditions.push(self.is_one_of("e.campaign_id", ids));
                }
                ("engagements", conditions.join(" and "))
            }
            Test::Everybody | Test::Contact(_) | Test::Person(_) | Test::Word(_) | Test::Verification(_) => {
                return None;
            }
        })
    }

    fn is_one_of(&mut self, column: &str, ids: &[Uuid]) -> String {
        match ids {
            // The planner knows how frequent one value is.
            [id] => format!("{column} = {}", self.parameter(Value::Id(*id))),
            ids => format!("{column} = any ({})", self.parameter(Value::Ids(ids.to_vec()))),
        }
    }

    fn leaf(&mut self, test: &Test, holds: bool) -> String {
        if let Some((table, condition)) = self.rows_of_contact(test) {
            let alias = alias(table);
            let is_about = format!("{alias}.contact_id = c.id");
            return self.related(holds, &format!("{table} {alias}"), &is_about, &condition);
        }
        match test {
            Test::Contact(comparison) => {
                let compared = self.comparison(comparison);
                match (holds, &comparison.relation) {
                    (true, _) => compared,
                    (false, Relation::IsKnown) => format!("{} is null", comparison.column),
                    (false, _) => format!("({compared}) is not true"),
                }
            }
            Test::Person(comparison) => {
                let compared = self.comparison(comparison);
                self.related(holds, "persons p", "p.id = c.person_id", &compared)
            }
            Test::Verification(values) => {
                let compared = match values.as_deref() {
                    None => "true".to_owned(),
                    Some([value]) => format!("y.status = {}", self.parameter(Value::Text(value.clone()))),
                    Some(values) => format!("y.status = any ({})", self.parameter(Value::Texts(values.to_vec()))),
                };
                self.related(holds, "email_verifications y", "y.email_lower = c.email_lower", &compared)
            }
            Test::Word(word) => {
                const COLUMNS: [&str; 6] = [
                    "c.email_lower",
                    "c.first_name_lower",
                    "c.last_name_lower",
                    "c.name_lower",
                    "c.name_end_lower",
                    "c.company_lower",
                ];
                let (from, below) = self.range(word);
                let ranges = COLUMNS.map(|column| format!("{column} >= {from} and {column} < {below}"));
                let any = ranges.join(" or ");
                if holds { any } else { format!("({any}) is not true") }
            }
            // Everything else stands in a table of its own.
            _ => if holds { "true" } else { "false" }.to_owned(),
        }
    }

    /// Whether there is a row of another table that is about the contact and of which the condition holds.
    fn related(&self, holds: bool, table: &str, is_about: &str, condition: &str) -> String {
        match (self.form, holds) {
            (Form::Sets, true) => format!("exists (select from {table} where {is_about} and {condition})"),
            (Form::Sets, false) => format!("not exists (select from {table} where {is_about} and {condition})"),
            // A subquery with a value stays one: it is asked of each contact that comes so far.
            (Form::Probes, true) => format!("(select true from {table} where {is_about} and {condition} limit 1)"),
            (Form::Probes, false) => {
                format!("(select true from {table} where {is_about} and {condition} limit 1) is not true")
            }
        }
    }

    fn comparison(&mut self, comparison: &Comparison) -> String {
        let column = comparison.column;
        let mut with = |operator: &str, value: &Value| format!("{column} {operator} {}", self.parameter(value.clone()));
        match &comparison.relation {
            Relation::Is(value) => with("=", value),
            Relation::IsOneOf(values) => format!("{column} = any ({})", self.parameter(values.clone())),
            Relation::Below(value) => with("<", value),
            Relation::UpTo(value) => with("<=", value),
            Relation::Above(value) => with(">", value),
            Relation::From(value) => with(">=", value),
            Relation::BeginsWith(text) => {
                let (from, below) = self.range(text);
                format!("{column} >= {from} and {column} < {below}")
            }
            Relation::IsKnown => format!("{column} is not null"),
            Relation::Never => "false".to_owned(),
        }
    }

    /// What begins with a text lies between it and it followed by the largest character.
    fn range(&mut self, text: &str) -> (String, String) {
        let from = self.parameter(Value::Text(text.to_owned()));
        let below = self.parameter(Value::Text(format!("{text}\u{10FFFF}")));
        (from, below)
    }
}

/// What the conditions on a table call its row.
fn alias(table: &str) -> &'static str {
    match table {
        "contact_tags" => "t",
        "list_members" => "m",
        "custom_values" => "v",
        _ => "e",
    }
}

impl Normal {
    /// Whether it holds of whom a table has a row about, and one row at most of each.
    fn is_once_of_contact(&self) -> bool {
        match self {
            Self::Leaf { test: Test::Tag(Some(ids)) | Test::List(Some(ids)), holds: true } => ids.len() == 1,
            Self::Leaf { test: Test::Custom { .. }, holds: true } => true,
            _ => false,
        }
    }

    /// Whether only what other tables say of a contact's id is asked.
    fn needs_id_alone(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::needs_id_alone),
            Self::Leaf { test, .. } => {
                matches!(test, Test::Tag(_) | Test::List(_) | Test::Custom { .. } | Test::Engaged { .. })
            }
        }
    }

    /// Whether only columns of contacts are compared.
    fn is_of_contacts(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_of_contacts),
            Self::Leaf { test, .. } => matches!(test, Test::Contact(_) | Test::Word(_)),
        }
    }

    /// Whether something that holds limits it, so that it is not everybody but some.
    fn is_narrow(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(Self::is_narrow),
            Self::Any(parts) => parts.iter().all(Self::is_narrow),
            Self::Leaf { test, holds } => *holds && !matches!(test, Test::Everybody),
        }
    }
}
