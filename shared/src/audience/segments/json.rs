//! The tree as JSON, which is how the API takes and shows it and how it is stored.
//!
//! `{"and": […]}`, `{"or": […]}`, `{"not": {…}}`, `{"everybody": true}`, `{"field": "country", "operator": "eq", "value": "AU"}`
//! (`in` and `not_in` with `values`, `is_set` and `is_not_set` with neither), `{"engagement": "opened", "campaign": "Spring",
//! "within_days": 30}`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::fields::Field;
use super::tree::{
    Act, DAYS_MAXIMUM, DEPTH_MAXIMUM, Engagement, FieldTest, LEAVES_MAXIMUM, LITERAL_MAXIMUM, Literal, Operator, Takes,
    Tree, VALUES_MAXIMUM, Wrong, too_deep,
};
use crate::FieldError;

/// Reads a tree; `field` is where it stands in the request, and begins the names of the fields that are wrong.
///
/// Errors: the first mistake, with its path.
pub fn read(field: &str, value: &Value) -> Result<Tree, FieldError> {
    let tree = node(field, value, 1)?;
    tree.check_size().map_err(|wrong| at(field, wrong))?;
    Ok(tree)
}

fn at(path: &str, wrong: Wrong) -> FieldError {
    FieldError { field: path.to_owned(), code: wrong.code, message: wrong.message }
}

fn syntax(path: &str, message: impl Into<String>) -> FieldError {
    at(path, Wrong::new("syntax", message))
}

fn node(path: &str, value: &Value, depth: usize) -> Result<Tree, FieldError> {
    const FORMS: &str = "\"and\", \"or\", \"not\", \"everybody\", \"field\" or \"engagement\"";
    if depth > DEPTH_MAXIMUM {
        return Err(at(path, too_deep()));
    }
    let Value::Object(object) = value else { return Err(syntax(path, format!("expected an object with {FORMS}"))) };
    let inner = |name: &str| format!("{path}.{name}");
    let several = |name: &str, value: &Value| -> Result<Vec<Tree>, FieldError> {
        only(path, object, &[name])?;
        let Value::Array(values) = value else { return Err(syntax(&inner(name), "expected an array")) };
        if values.len() > LEAVES_MAXIMUM {
            let wrong = Wrong::new("too_many_conditions", format!("there are {LEAVES_MAXIMUM} conditions at most"));
            return Err(at(&inner(name), wrong));
        }
        let nodes = values.iter().enumerate();
        nodes.map(|(number, value)| node(&format!("{path}.{name}[{number}]"), value, depth + 1)).collect()
    };
    if let Some(value) = object.get("and") {
        return Tree::all(several("and", value)?).map_err(|wrong| at(&inner("and"), wrong));
    }
    if let Some(value) = object.get("or") {
        return Tree::any(several("or", value)?).map_err(|wrong| at(&inner("or"), wrong));
    }
    if let Some(value) = object.get("not") {
        only(path, object, &["not"])?;
        return Ok(Tree::Not(Box::new(node(&inner("not"), value, depth + 1)?)));
    }
    if let Some(value) = object.get("everybody") {
        only(path, object, &["everybody"])?;
        let is_true = value == &Value::Bool(true);
        return if is_true { Ok(Tree::Everybody) } else { Err(syntax(&inner("everybody"), "expected true")) };
    }
    if object.contains_key("field") {
        return field_test(path, object);
    }
    if object.contains_key("engagement") {
        return engagement(path, object);
    }
    Err(syntax(path, format!("expected one of {FORMS}")))
}

/// Refuses what is neither named nor known.
fn only(path: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), FieldError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let shown: String = key.chars().take(40).collect();
            Err(syntax(path, format!("{shown:?} does not belong here; expected {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

fn text<'a>(path: &str, object: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, FieldError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(syntax(&format!("{path}.{name}"), "expected text")),
    }
}

fn field_test(path: &str, object: &Map<String, Value>) -> Result<Tree, FieldError> {
    let field_path = format!("{path}.field");
    let name = text(path, object, "field")?.ok_or_else(|| syntax(&field_path, "expected the name of a field"))?;
    let field = Field::parse(name).map_err(|wrong| at(&field_path, wrong))?;
    let operator_path = format!("{path}.operator");
    let operator =
        text(path, object, "operator")?.and_then(|name| Operator::ALL.into_iter().find(|it| it.name() == name));
    let operator = operator.ok_or_else(|| {
        let known = Operator::ALL.map(Operator::name).join(", ");
        syntax(&operator_path, format!("expected one of {known}"))
    })?;
    let (key, values) = match operator.takes() {
        Takes::None => ("", Vec::new()),
        Takes::One => ("value", object.get("value").into_iter().collect()),
        Takes::Several => {
            let values = object.get("values").and_then(Value::as_array);
            ("values", values.ok_or_else(|| syntax(&format!("{path}.values"), "expected an array"))?.iter().collect())
        }
    };
    let known = ["field", "operator", key];
    only(path, object, if key.is_empty() { &known[..2] } else { &known })?;
    let value_path = format!("{path}.{key}");
    let values = values.into_iter().map(|value| literal(&value_path, value)).collect::<Result<Vec<_>, _>>()?;
    let test = FieldTest::new(field, operator, values).map_err(|wrong| {
        let is_operator = wrong.code == "wrong_operator";
        at(if is_operator { &operator_path } else { &value_path }, wrong)
    })?;
    Ok(Tree::Field(test))
}

fn literal(path: &str, value: &Value) -> Result<Literal, FieldError> {
    match value {
        Value::String(text) => Ok(Literal::Text(text.clone())),
        Value::Bool(truth) => Ok(Literal::Boolean(*truth)),
        Value::Number(number) if number.as_f64().is_some() => Ok(Literal::Number(number.as_f64().unwrap_or_default())),
        _ => Err(syntax(path, "expected text, a number, true or false")),
    }
}

fn engagement(path: &str, object: &Map<String, Value>) -> Result<Tree, FieldError> {
    only(path, object, &["engagement", "campaign", "within_days"])?;
    let name = text(path, object, "engagement")?;
    let act = name.and_then(|name| Act::ALL.into_iter().find(|act| act.name() == name));
    let act = act.ok_or_else(|| {
        let known = Act::ALL.map(Act::name).join(", ");
        syntax(&format!("{path}.engagement"), format!("expected one of {known}"))
    })?;
    let days = match object.get("within_days") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let days = value.as_u64().and_then(|days| u16::try_from(days).ok());
            let message = format!("days are between 1 and {DAYS_MAXIMUM}");
            Some(days.ok_or_else(|| at(&format!("{path}.within_days"), Wrong::new("wrong_value", message)))?)
        }
    };
    let campaign = text(path, object, "campaign")?.map(str::to_owned);
    Engagement::new(act, campaign, days).map(Tree::Engagement).map_err(|wrong| at(path, wrong))
}

/// The JSON of a tree.
#[must_use]
pub fn write(tree: &Tree) -> Value {
    let all = |trees: &[Tree]| trees.iter().map(write).collect::<Vec<_>>();
    match tree {
        Tree::Everybody => json!({"everybody": true}),
        Tree::And(trees) => json!({"and": all(trees)}),
        Tree::Or(trees) => json!({"or": all(trees)}),
        Tree::Not(tree) => json!({"not": write(tree)}),
        Tree::Field(test) => {
            let mut object = json!({"field": test.field().to_string(), "operator": test.operator().name()});
            let values: Vec<Value> = test.values().iter().map(literal_json).collect();
            match test.operator().takes() {
                Takes::None => (),
                Takes::One => object["value"] = values.into_iter().next().unwrap_or_default(),
                Takes::Several => object["values"] = Value::Array(values),
            }
            object
        }
        Tree::Engagement(engagement) => json!({
            "engagement": engagement.act.name(),
            "campaign": engagement.campaign,
            "within_days": engagement.within_days(),
        }),
    }
}

fn literal_json(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) => json!(text),
        Literal::Number(number) => json!(number),
        Literal::Boolean(truth) => json!(truth),
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self).serialize(serializer)
    }
}

impl JsonSchema for Tree {
    fn schema_name() -> Cow<'static, str> {
        "SegmentTree".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tree = generator.subschema_for::<Self>();
        let several = json!({"type": "array", "items": tree, "minItems": 1, "maxItems": LEAVES_MAXIMUM});
        let literal = json!({
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": LITERAL_MAXIMUM}, {"type": "number"}, {"type": "boolean"}],
        });
        let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        json_schema!({
            "description": "Who is meant: conditions joined by and, or and not. What is not known of somebody equals nothing.",
            "anyOf": [
                object(json!({"everybody": {"const": true}}), json!(["everybody"])),
                object(json!({"and": several}), json!(["and"])),
                object(json!({"or": several}), json!(["or"])),
                object(json!({"not": tree}), json!(["not"])),
                object(
                    json!({
                        "field": {"type": "string", "description": "country, score, tag …, or custom.<key>"},
                        "operator": {"enum": Operator::ALL.map(Operator::name)},
                        "value": literal,
                        "values": {"type": "array", "items": literal, "minItems": 1, "maxItems": VALUES_MAXIMUM},
                    }),
                    json!(["field", "operator"]),
                ),
                object(
                    json!({
                        "engagement": {"enum": Act::ALL.map(Act::name)},
                        "campaign": {"type": ["string", "null"], "description": "The id or name of a campaign; any unless given."},
                        "within_days": {"type": ["integer", "null"], "minimum": 1, "maximum": DAYS_MAXIMUM},
                    }),
                    json!(["engagement"]),
                ),
            ],
        })
    }
}
