//! The text form and the JSON form of trees.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fields::{Field, Kind};
use super::text::parse;
use super::tree::{Act, DAYS_MAXIMUM, Engagement, FieldTest, Literal, Operator, Takes, Tree};
use super::{json as form, tree::DEPTH_MAXIMUM};

fn mistake(text: &str) -> String {
    let mistake = parse(text).expect_err(text);
    format!("{} {}", mistake.code, mistake)
}

fn refused(value: &Value) -> String {
    let error = form::read("tree", value).expect_err("a mistake");
    format!("{} {}: {}", error.field, error.code, error.message)
}

#[test]
fn the_words_bind_as_everybody_expects() {
    for (text, tree) in [
        (
            "country = \"AU\" and score >= 60 and opened(30d)",
            json!({"and": [
                {"field": "country", "operator": "eq", "value": "AU"},
                {"field": "score", "operator": "ge", "value": 60.0},
                {"engagement": "opened", "campaign": null, "within_days": 30},
            ]}),
        ),
        (
            "tag = 'a' OR tag = 'b' And Not tag = 'c'",
            json!({"or": [
                {"field": "tag", "operator": "eq", "value": "a"},
                {"and": [
                    {"field": "tag", "operator": "eq", "value": "b"},
                    {"not": {"field": "tag", "operator": "eq", "value": "c"}},
                ]},
            ]}),
        ),
        (
            "not (email_domain in (\"a.test\", \"b.test\") or custom.Plan is not set)",
            json!({"not": {"or": [
                {"field": "email_domain", "operator": "in", "values": ["a.test", "b.test"]},
                {"field": "custom.Plan", "operator": "is_not_set"},
            ]}}),
        ),
        (
            "((last_name begins with \"O\\\"Hara\\\\\")) and replied(\"Spring\") and clicked(\"Spring\", 7d)",
            json!({"and": [
                {"field": "last_name", "operator": "begins_with", "value": "O\"Hara\\"},
                {"engagement": "replied", "campaign": "Spring", "within_days": null},
                {"engagement": "clicked", "campaign": "Spring", "within_days": 7},
            ]}),
        ),
        ("Everybody", json!({"everybody": true})),
    ] {
        let read = parse(text).unwrap();
        assert_eq!(form::write(&read), tree, "{text}");
        assert_eq!(form::read("tree", &tree).unwrap(), read, "{text}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_was_expected() {
    for (text, told) in [
        ("", "syntax line 1, column 1: expected a condition, as country = \"AU\", found the end"),
        ("country = \"AU\" and", "syntax line 1, column 19: expected a condition, as country = \"AU\", found the end"),
        (
            "country = \"AU\"\n  and\n  score > > 3",
            "syntax line 3, column 11: expected a value: text in quotes, a number, true or false, found \">\"",
        ),
        ("(score > 3", "syntax line 1, column 11: expected \")\", found the end"),
        ("score > 3)", "syntax line 1, column 10: expected \"and\", \"or\" or the end, found \")\""),
        ("contry = \"AU\"", "unknown_field line 1, column 1: there is no field contry; did you mean country?"),
        (
            "score > 3 and favourite = 1",
            "unknown_field line 1, column 15: there is no field favourite; fields of your own are custom.<key>",
        ),
        ("openend(3d)", "unknown_field line 1, column 1: nobody does this with a mail; did you mean opened?"),
        (
            "score begins with \"6\"",
            "wrong_operator line 1, column 7: score is not compared by begins with, but by =, !=, <, <=, >, >=, in, not in, is set, is not set",
        ),
        ("score = \"60\"", "wrong_value line 1, column 9: score is compared with a number"),
        ("company = \"\"", "wrong_value line 1, column 11: company is never empty: ask whether it is set"),
        (
            "status = \"gone\"",
            "wrong_value line 1, column 10: status is compared with one of \"active\", \"contacted\", \"replied\", \"bounced\", \"unsubscribed\"",
        ),
        (
            "created_at > \"yesterday\"",
            "wrong_value line 1, column 14: created_at is compared with a day as \"2026-03-04\" or a time as \"2026-03-04T10:00:00Z\"",
        ),
        ("company = \"Acme", "syntax line 1, column 11: the quote does not end"),
        (
            "company = Acme",
            "syntax line 1, column 11: expected a value: text in quotes, a number, true or false, found \"Acme\"",
        ),
        ("opened(0d)", "wrong_value line 1, column 8: days are between 1 and 3650"),
        ("opened(1.5d)", "wrong_value line 1, column 8: days are between 1 and 3650"),
        ("opened(30)", "syntax line 1, column 8: expected a campaign in quotes, days as 30d, or \")\", found 30"),
        ("score = 3 ; drop", "syntax line 1, column 11: ';' means nothing here; texts are in quotes"),
        ("score = 3x", "syntax line 1, column 9: this is no number"),
        (
            "custom.2a = 3",
            "unknown_field line 1, column 1: a custom field's name has up to 64 letters, digits and _, and starts with no digit",
        ),
        // The place is counted in characters, not bytes.
        (
            "company = \"Ä€😀\" or or",
            "syntax line 1, column 20: expected a condition, as country = \"AU\", found \"or\"",
        ),
    ] {
        assert_eq!(mistake(text), told, "{text}");
    }
}

#[test]
fn a_mistake_in_json_is_told_with_its_path() {
    for (tree, told) in [
        (
            json!(3),
            "tree syntax: expected an object with \"and\", \"or\", \"not\", \"everybody\", \"field\" or \"engagement\"",
        ),
        (json!({"and": []}), "tree.and empty: and needs something to join"),
        (
            json!({"or": [{"everybody": true}, {"not": {}}]}),
            "tree.or[1].not syntax: expected one of \"and\", \"or\", \"not\", \"everybody\", \"field\" or \"engagement\"",
        ),
        (json!({"not": {"everybody": true}, "and": []}), "tree syntax: \"not\" does not belong here; expected and"),
        (
            json!({"field": "citty", "operator": "is_set"}),
            "tree.field unknown_field: there is no field citty; did you mean city?",
        ),
        (
            json!({"field": "city", "operator": "like", "value": "x"}),
            "tree.operator syntax: expected one of eq, ne, lt, le, gt, ge, in, not_in, begins_with, is_set, is_not_set",
        ),
        (json!({"field": "city", "operator": "eq"}), "tree.value wrong_value: = compares with one value"),
        (
            json!({"field": "city", "operator": "eq", "value": null}),
            "tree.value syntax: expected text, a number, true or false",
        ),
        (
            json!({"field": "city", "operator": "is_set", "value": "x"}),
            "tree syntax: \"value\" does not belong here; expected field, operator",
        ),
        (
            json!({"field": "city", "operator": "eq", "value": "a\0"}),
            "tree.value wrong_value: no text has a NUL character",
        ),
        (
            json!({"engagement": "opened", "within_days": 99_999}),
            "tree.within_days wrong_value: days are between 1 and 3650",
        ),
    ] {
        assert_eq!(refused(&tree), told, "{tree}");
    }
}

#[test]
fn trees_are_bounded() {
    let nested = |levels: usize| format!("{}score > 1{}", "not (".repeat(levels), ")".repeat(levels));
    assert_eq!(parse(&nested(DEPTH_MAXIMUM - 1)).unwrap().depth(), DEPTH_MAXIMUM);
    assert_eq!(parse(&nested(DEPTH_MAXIMUM)).unwrap_err().code, "too_deep");
    // Not even a text that is nothing but parentheses comes to the end of the stack.
    for hostile in ["(", "not ", "not(", "score>1 and("] {
        let text = hostile.repeat(19_000 / hostile.len());
        assert!(matches!(parse(&text).unwrap_err().code, "too_deep" | "syntax"), "{hostile}");
    }
    assert_eq!(parse(&"x".repeat(20_001)).unwrap_err().code, "too_long");
    let many = |count: usize| vec!["score > 1"; count].join(" or ");
    assert_eq!(parse(&many(100)).unwrap().leaves().len(), 100);
    assert_eq!(parse(&many(101)).unwrap_err().code, "too_many_conditions");
    let values = |count: usize| format!("score in ({})", vec!["1"; count].join(","));
    assert!(parse(&values(200)).is_ok());
    assert_eq!(parse(&values(201)).unwrap_err().code, "wrong_value");
    let mut deep = json!({"everybody": true});
    for _ in 0..DEPTH_MAXIMUM {
        deep = json!({"not": deep});
    }
    assert!(refused(&deep).contains("too_deep"));
    let leaves: Vec<Value> = vec![json!({"everybody": true}); 51];
    assert!(refused(&json!({"and": [{"or": leaves}, {"or": leaves}]})).contains("too_many_conditions"));
}

/// Any condition that can be written.
pub(crate) fn any_leaf() -> impl Strategy<Value = Tree> {
    let field = prop_oneof![
        4 => prop::sample::select(Field::named().collect::<Vec<_>>()),
        1 => "[A-Za-z_][A-Za-z0-9_]{0,8}".prop_map(Field::Custom),
    ];
    let test = (field, prop::sample::select(Operator::ALL.to_vec()), any::<u64>()).prop_filter_map(
        "operators that make sense",
        |(field, operator, seed)| {
            let values = match operator.takes() {
                Takes::None => 0,
                Takes::One => 1,
                Takes::Several => 1 + seed % 3,
            };
            let values = (0..values)
                .map(|n| some_literal(field.kind(), seed.rotate_left(7 * u32::try_from(n).unwrap_or(0))))
                .collect();
            FieldTest::new(field, operator, values).ok().map(Tree::Field)
        },
    );
    let engagement =
        (prop::sample::select(Act::ALL.to_vec()), prop::option::of("[^\0]{1,20}"), prop::option::of(1..=DAYS_MAXIMUM))
            .prop_map(|(act, campaign, days)| Tree::Engagement(Engagement::new(act, campaign, days).unwrap()));
    prop_oneof![8 => test, 2 => engagement, 1 => Just(Tree::Everybody)]
}

fn some_literal(kind: Kind, seed: u64) -> Literal {
    let texts = ["AU", "a \"quoted\" one", "back\\slash", "and", "Ünï 😀", "'", "two\nlines"];
    let text = || texts[usize::try_from(seed % 7).unwrap()].to_owned();
    // Any number of the type, and none that is not finite.
    #[expect(clippy::cast_precision_loss, reason = "which number it is does not matter")]
    let number = || Literal::Number((seed % 100_000) as f64 / 8.0 - 100.0);
    match kind {
        Kind::Text | Kind::Named => Literal::Text(text()),
        Kind::Choice(choices) => Literal::Text(choices[usize::try_from(seed).unwrap_or(0) % choices.len()].to_owned()),
        Kind::Number => number(),
        Kind::Moment => Literal::Text(format!("2026-03-{:02}", 1 + seed % 28)),
        Kind::Id => Literal::Text(uuid::Uuid::from_u128(u128::from(seed)).to_string()),
        Kind::Custom => match seed % 3 {
            0 => Literal::Text(text()),
            1 => number(),
            _ => Literal::Boolean(seed.is_multiple_of(2)),
        },
    }
}

/// Any tree within the bounds.
pub(crate) fn any_tree() -> impl Strategy<Value = Tree> {
    any_leaf().prop_recursive(4, 24, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Tree::And),
            several.prop_map(Tree::Or),
            inner.prop_map(|tree| Tree::Not(Box::new(tree))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_tree(tree in any_tree()) {
        let text = tree.to_string();
        prop_assert_eq!(&parse(&text).map_err(|mistake| TestCaseError::fail(format!("{text}: {mistake}")))?, &tree);
        prop_assert_eq!(&form::read("tree", &form::write(&tree)).unwrap(), &tree);
    }

    #[test]
    fn no_text_is_too_odd_to_be_told_about(text in "([a-z._]{1,8}|[()=<>!,\"'\\\\ \n]|[0-9.d-]{1,4}|and|or|not|in|is|set|\\PC){0,40}") {
        if let Ok(tree) = parse(&text) {
            prop_assert_eq!(parse(&tree.to_string()).unwrap(), tree);
        }
    }
}
