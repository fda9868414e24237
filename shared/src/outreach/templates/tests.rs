use proptest::prelude::*;
use serde_json::json;

use super::*;

fn context() -> Json {
    json!({
        "first_name": "Ada",
        "last_name": null,
        "company": "  ",
        "age": 36,
        "vip": true,
        "custom": {"city": "London", "the street": "St James's Square", "topics": ["looms", "engines", null], "notes": ""},
        "people": [{"name": "Charles"}, {"name": "Mary"}],
        "markup": "<b>&</b>",
        "break": "a\r\nBcc: eve@example.com",
        "nul": "a\0b",
    })
}

/// Renders a body and gives the text, or the error's code, line and message.
fn body(source: &str) -> String {
    match Template::compile("s", source).and_then(|template| template.render(&context())) {
        Ok(rendered) => rendered.body,
        Err(error) => {
            assert_eq!(error.part(), Part::Body, "{error}");
            format!("{} {}: {error}", error.code(), error.line().unwrap_or_default())
        }
    }
}

/// The code of the error that a subject ends in.
fn subject(source: &str) -> Result<String, &'static str> {
    Template::compile(source, "")
        .and_then(|template| template.render(&context()))
        .map(|rendered| rendered.subject)
        .map_err(|error| error.code())
}

#[test]
fn renders() {
    for (source, expected) in [
        ("", ""),
        ("Hello {{ first_name }},", "Hello Ada,"),
        ("{{ missing | default(\"there\") }}", "there"),
        ("{{ missing | d('there') }} {{ missing | default }}.", "there ."),
        ("{{ last_name | default(\"null\") }} {{ company | default('blank') }}", "null blank"),
        ("{{ company | default('blank', true) }}", "blank"),
        ("{{ custom.city }} {{ custom[\"the street\"] }}", "London St James's Square"),
        ("{{ custom.missing | default('none') }}", "none"),
        ("{% if missing %}a{% elif vip and age >= 18 %}b{% else %}c{% endif %}", "b"),
        ("{% if custom.missing is defined %}a{% else %}b{% endif %}", "b"),
        ("{% if last_name is not defined %}a{% endif %}", "a"),
        ("{% if not missing %}a{% endif %}", "a"),
        ("{{ 'a' if missing else 'b' }}", "b"),
        ("{% for t in custom.topics %}{{ loop.index }}. {{ t }}\n{% endfor %}", "1. looms\n2. engines\n"),
        ("{%- for p in people -%} {{ p.name }}{% if not loop.last %}, {% endif %}{% endfor %}", "Charles, Mary"),
        ("{% for t in missing | default('') %}a{% else %}b{% endfor %}", "b"),
        ("{{ custom.topics | join(\", \") }} {{ custom.topics | length }}", "looms, engines 2"),
        ("{{ custom.topics | first | upper }} {{ custom.topics[1] | capitalize }}", "LOOMS Engines"),
        (
            "{{ 'jean-luc o\\'neil' | title }} {{ 'abcdef' | truncate(4) }}{{ 'abc' | truncate(3) }}",
            "Jean-Luc O'neil abc…abc",
        ),
        ("{{ ' a ' | trim }}{{ (age) }} {{ -age }} {{ vip }}", "a36 -36 True"),
        ("{{ 'A' in first_name }} {{ age is divisibleby(6) }} {{ (age > 3) and (age < 40) }}", "True True True"),
        ("{# {% set a = 1 %} {{ ~ }} #}a", "a"),
        ("{{ markup }} {{ '\"{% if %}\" }}' }}", "<b>&</b> \"{% if %}\" }}"),
        ("{ not a tag } 100% {x}", "{ not a tag } 100% {x}"),
        ("ä {{ 'ö \\u00e9' }}", "ä ö é"),
    ] {
        assert_eq!(body(source), expected, "{source}");
    }
}

#[test]
fn undefined_variables_are_named() {
    for (source, line, name) in [
        ("{{ missing }}", 1, "missing"),
        ("a\n{{ custom.missing }}", 2, "custom.missing"),
        ("{{ custom[\"no such\"] }}", 1, "custom.no such"),
        ("{{ last_name }}", 1, "last_name"),
        ("{{ missing | upper }}", 1, "missing"),
        ("{{ missing | join(',') }}", 1, "missing"),
        ("{{ missing | length }}", 1, "missing"),
        ("{{ missing | first }}", 1, "missing"),
        ("{{ missing | last }}", 1, "missing"),
        ("{{ missing.deeper }}", 1, "missing.deeper"),
        ("{{ missing.deeper | default('a') }}", 1, "missing.deeper"),
        ("{% for a in missing %}{% endfor %}", 1, "missing"),
        ("{% if missing == 'a' %}{% endif %}", 1, "missing"),
        ("{{ other | default('a') }}{% if another %}{% endif %}{{ missing }}", 1, "missing"),
        ("{{ other | default('a') }}\n{{ first_name }} {{ missing }}", 2, "missing"),
        ("{% for p in people %}\n{{ p.name }} {{ p.age }}{% endfor %}", 2, "p.name"),
    ] {
        let shown = body(source);
        let start = format!("undefined_variable {line}: the variable `{name}` in the body has no value");
        if name == "p.name" {
            // In a loop the first of the line is named: which item it is cannot be seen from outside.
            assert!(shown.starts_with("undefined_variable 2: the variable `p."), "{shown}");
        } else {
            assert_eq!(shown, start, "{source}");
        }
    }
}

#[test]
fn syntax_errors_have_a_line() {
    for (source, line, part_of_message) in [
        ("a\n{{ first_name ", 2, "no end"),
        ("a\n\n{% if vip %}", 3, ""),
        ("{{ }}", 1, ""),
        ("{{ 'a }}", 1, "a text has no end"),
        ("{# a", 1, "a comment has no end"),
        ("a\n{{ first_name\n ~ 'a' }}", 3, "`~` is not available"),
        ("{{ 'a' * 9 }}", 1, "`*` is not available"),
        ("{{ age + 1 }}", 1, "`+` is not available"),
        ("{{ age / 1 }}", 1, "`/` is not available"),
        ("{{ age % 2 }}", 1, "`%` is not available"),
        ("{{ {'a': 1} }}", 1, "`{` is not available"),
        ("{{ first_name[1:2] }}", 1, "`:` is not available"),
        ("{{ [1, 2] }}", 1, "lists in brackets"),
        ("{% for a in ['b'] %}{% endfor %}", 1, "lists in brackets"),
        ("{{ (1, 2) }}", 1, "lists with commas"),
        ("{% for a in vip, age %}{% endfor %}", 1, "lists with commas"),
        ("{{ range(9) }}", 1, "functions are not available"),
        ("{{ first_name.upper() }}", 1, "functions are not available"),
        ("{{ people[0](1) }}", 1, "functions are not available"),
        ("{% for a in people recursive %}{{ loop(a) }}{% endfor %}", 1, "functions are not available"),
        ("{% set a = 1 %}", 1, "the tag `set` is not available"),
        ("{%- include 'body' %}", 1, "the tag `include` is not available"),
        ("{%+ macro a() %}{% endmacro %}", 1, "the tag `macro` is not available"),
        ("{% with a = 1 %}{% endwith %}", 1, "the tag `with` is not available"),
        ("{% filter upper %}{% endfilter %}", 1, "the tag `filter` is not available"),
        ("{% raw %}{{ a }}{% endraw %}", 1, "the tag `raw` is not available"),
        ("{{ first_name | safe }}", 1, "the filter `safe` is not available"),
        ("{{ first_name | replace('a', 'b') }}", 1, "the filter `replace` is not available"),
        ("{{ first_name is callable }}", 1, "the test `callable` is not available"),
        ("{{ first_name ) }}", 1, "a bracket was not opened"),
        ("{{ (first_name ] }}", 1, "the brackets do not match"),
        ("{{ first_name = 1 }}", 1, "`=` is not available"),
        ("{{ naïve }}", 1, "`ï` is not available"),
        ("{% endfor %}", 1, ""),
        ("{{ first_name | truncate(1, 2, 3) }}", 1, ""),
    ] {
        let shown = body(source);
        assert!(shown.starts_with(&format!("syntax {line}: ")), "{source}: {shown}");
        assert!(shown.contains(part_of_message), "{source}: {shown}");
    }
}

#[test]
fn wrong_types() {
    for source in
        ["{% for a in age %}{% endfor %}", "{{ custom | upper }}", "{{ -first_name }}", "{{ people | join(',') }}"]
    {
        assert!(body(source).starts_with("wrong_type 1: "), "{source}: {}", body(source));
    }
}

#[test]
fn work_is_bounded() {
    let all = |source: &str, context: &Json| {
        Template::compile("s", source)
            .and_then(|template| template.render(context))
            .map(|r| r.body.len())
            .map_err(|e| e.code())
    };
    let many = json!({"n": (0..200).collect::<Vec<_>>(), "long": "x".repeat(30_000)});
    let loops = "{% for a in n %}{% for b in n %}{% for c in n %}{{ c }}{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(all(loops, &many), Err("too_expensive"));
    assert_eq!(all("{% for a in n %}{{ long }}{% endfor %}", &many), Err("too_long"));
    assert_eq!(all("{{ n | join(long) }}", &many), Err("too_long"));
    assert_eq!(all("{{ long }}{{ long }}", &many), Ok(60_000));
    assert_eq!(all(&"a".repeat(MAX_SOURCE), &many), Ok(MAX_SOURCE));
    assert_eq!(all(&"a".repeat(MAX_SOURCE + 1), &many), Err("too_long"));
    assert_eq!(all("a", &json!({"a": "x".repeat(MAX_CONTEXT)})), Err("too_long"));
    assert_eq!(all("a", &json!({"a": vec![1; MAX_CONTEXT]})), Err("too_long"));
    assert_eq!(all(&"{{ long }}".repeat(8), &many), Ok(240_000));
    assert_eq!(all(&"{{ long }}".repeat(9), &many), Err("too_long"));
    // Deep nesting ends in an error, not in an overflow of the stack.
    for (open, close) in [("(", ")"), ("not ", ""), ("-", ""), ("", "|trim"), ("", ".a"), ("", "[0]"), ("a and ", "")] {
        for times in [10, 40, 90, 150, 5_000] {
            let result = all(&format!("{{{{ {}n{} }}}}", open.repeat(times), close.repeat(times)), &many);
            assert!(times < 200 || result == Err("syntax"), "{open}{close} {times}: {result:?}");
        }
    }
    let elifs = |times| format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(times));
    assert_eq!(all(&elifs(50), &many), Ok(0));
    assert_eq!(all(&elifs(51), &many), Err("syntax"));
    let deep = format!("{}{}", "{% if n %}".repeat(1_000), "{% endif %}".repeat(1_000));
    assert_eq!(all(&deep, &many), Err("syntax"));
    let loops = format!("{}{}", "{% for a in n %}".repeat(100), "{% endfor %}".repeat(100));
    assert!(all(&loops, &many).is_err());
}

#[test]
fn subjects_are_one_line() {
    assert_eq!(subject("  Hello {{ first_name }} "), Ok("Hello Ada".to_owned()));
    assert_eq!(subject(""), Err("empty_subject"));
    assert_eq!(subject(" \n"), Err("empty_subject"));
    assert_eq!(subject("{{ company }}"), Err("empty_subject"));
    assert_eq!(subject("{{ missing }}"), Err("undefined_variable"));
    assert_eq!(subject("{{ break }}"), Err("subject_line_break"));
    assert_eq!(subject("{{ nul }}"), Err("subject_line_break"));
    assert_eq!(subject("a\nb"), Err("subject_line_break"));
    assert_eq!(subject("a\rb"), Err("subject_line_break"));
    assert_eq!(subject(&"a".repeat(MAX_SUBJECT)).map(|s| s.len()), Ok(MAX_SUBJECT));
    assert_eq!(subject(&"a".repeat(MAX_SUBJECT + 1)), Err("too_long"));
}

#[test]
fn variables_have_dots() {
    let template = Template::compile(
        "{{ first_name }}",
        "{{ custom.city }}{% for p in people %}{{ p.name }}{{ loop.index }}{% endfor %}{{ missing | default(other) }}",
    )
    .unwrap();
    let variables: Vec<_> = template.variables().into_iter().collect();
    assert_eq!(variables, ["custom.city", "first_name", "missing", "other", "people"]);
}

#[test]
fn one_template_renders_many() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let template = Template::compile("{{ n }}", "{{ n }}").unwrap();
    is_shared(&template);
    for n in 0..3 {
        assert_eq!(template.render(&json!({"n": n})).unwrap().subject, n.to_string());
    }
    assert_eq!(
        format!("{template:?} {:?}", template.render(&json!({"n": 1})).unwrap()),
        "Template { .. } Rendered { .. }"
    );
}

proptest! {
    /// Whatever is written, it ends, in bounded time and space, without a panic.
    #[test]
    fn never_panics(source in "(\\{\\{|\\}\\}|\\{%|%\\}|\\{#|#\\}|[ \na-c(),.|=<'\"\\\\\\[\\]-]|for|in|if|endif|endfor|is|not|default|\\PC){0,40}") {
        if let Ok(template) = Template::compile("s", &source) {
            let _ = template.variables();
            if let Ok(rendered) = template.render(&json!({"a": {"b": [1, "x"]}, "b": "y", "c": [[1]]})) {
                prop_assert!(rendered.body.len() <= MAX_OUTPUT);
            }
        }
    }

    /// What is not in tags comes out as it went in, and so does a value.
    #[test]
    fn text_is_text(before in "[^{]{0,40}", value in "\\PC{0,40}") {
        let template = Template::compile("s", &format!("{before}{{{{ a }}}}.")).unwrap();
        let rendered = template.render(&json!({"a": value.clone()})).unwrap();
        prop_assert_eq!(rendered.body, format!("{before}{value}."));
    }
}
