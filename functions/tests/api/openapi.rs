//! The OpenAPI document: it is what the handlers say, all of it is served, and template.yaml leads to all of it.

use std::collections::BTreeSet;
use std::path::Path;

use functions::api;
use functions::http::access::{ROUTES, Who};
use serde_json::Value;

use crate::app::App;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_document_is_what_the_handlers_say() {
    let description = api::describe();
    let left: Vec<String> = description.left().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert!(left.is_empty(), "routes in the table that no module serves: {left:#?}");
    let text = format!("{:#}\n", description.document());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(root().join("openapi.json"), &text).unwrap();
    }
    assert!(
        text == std::fs::read_to_string(root().join("openapi.json")).unwrap(),
        "run the test with UPDATE_OPENAPI=1"
    );
}

#[test]
fn every_operation_has_a_name_an_answer_and_whole_references() {
    let document = api::describe().document();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()) && name.contains('.'), "{method} {path}: {name}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{name} has no answer");
            // Whoever logs in has no credentials yet, and shows some.
            let is_login = name == "auth.log_in";
            let has_caller = operation["security"] != serde_json::json!([]);
            assert!(answers.contains_key("401") == (has_caller || is_login), "{name}");
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(
            !name.ends_with(|last: char| last.is_ascii_digit()),
            "{name}: two types have this name, give them others"
        );
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[test]
fn template_yaml_leads_to_every_route_of_the_table_and_to_nothing_else() {
    let template = std::fs::read_to_string(root().join("../template.yaml")).unwrap();
    let mapping = template.split("  Routes:\n").nth(1).unwrap();
    let entries: Vec<(&str, &str)> = mapping
        .lines()
        .map_while(|line| line.strip_prefix("    "))
        .map(|line| {
            let (name, rest) = line.split_once(": {Path: ").unwrap();
            (name, rest.split(',').next().unwrap())
        })
        .collect();
    assert!(entries.len() >= 15, "{entries:?}");
    let own_path = |path: &str| {
        entries
            .iter()
            .filter(|(_, prefix)| {
                path == *prefix || path.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with('/'))
            })
            // As API Gateway chooses.
            .max_by_key(|(_, prefix)| prefix.len())
    };
    let looped = |name: &str| -> BTreeSet<String> {
        let names = template.split(&format!("Fn::ForEach::{name}:\n    - Name\n    - [")).nth(1).unwrap();
        names.split(']').next().unwrap().split(',').map(|name| name.trim().to_owned()).collect()
    };
    let (routes, resource_routes) = (looped("Routes"), looped("ResourceRoutes"));
    for route in ROUTES {
        let (name, prefix) = own_path(route.path).unwrap_or_else(|| panic!("template.yaml has no path for {route:?}"));
        assert!(routes.contains(*name), "{name} is not in the loop Routes");
        assert!(route.path != *prefix || resource_routes.contains(*name), "{name} is not in the loop ResourceRoutes");
    }
    for (name, prefix) in &entries {
        let leads = ROUTES.iter().any(|route| own_path(route.path).is_some_and(|(_, own)| own == prefix));
        assert!(leads, "{name}: no route of the table begins with {prefix}");
    }
}

/// Routes that everybody may call: the list only shrinks, or somebody has thought about it.
#[test]
fn every_route_answers_401_without_credentials_except_a_list_that_only_shrinks() {
    let open: Vec<String> = ROUTES
        .iter()
        .filter(|route| route.who == Who::Everyone)
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(
        open,
        [
            "POST /v1/auth/email/confirm",
            "POST /v1/auth/email/resend",
            "POST /v1/auth/login",
            "GET /v1/auth/oidc",
            "POST /v1/auth/oidc/callback",
            "POST /v1/auth/oidc/start",
            "POST /v1/auth/password/forgot",
            "POST /v1/auth/password/reset",
            "POST /v1/auth/signup",
            // Whoever is called by it has no account yet: its token is the right.
            "POST /v1/auth/signup/invite",
            "GET /v1/docs",
            "POST /hooks/ses",
            "POST /hooks/stripe",
            "POST /v1/invites/show",
            // A form in a page that everybody can read: its key is the right to come in, and to nothing else.
            "POST /v1/leads/{key}",
            "OPTIONS /v1/leads/{key}",
            "GET /logos/{id}/{name}",
            "GET /v1/openapi.json",
            "POST /v1/restorations",
            "GET /t/c/{*token}",
            "GET /t/o/{*token}",
            "GET /u/{*token}",
            "POST /u/{*token}",
            "POST /v1/workflows/callbacks/{token}",
        ]
    );
}

#[tokio::test]
async fn the_document_and_its_page_are_served_to_everybody() {
    let app = App::new().await;
    let served = app.sample(api::docs::router(), "docs/openapi", &[]).await.expect(200);
    assert!(served.body == api::describe().document(), "something else is served");
    assert_eq!(served.headers["content-type"], "application/json");
    let page = app.sample(api::docs::router(), "docs/page", &[]).await.expect(200);
    let html = page.body.as_str().unwrap();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/v1/") && route.who != Who::Everyone) {
        assert!(html.contains(&format!("<code>{}</code>", route.path)), "{} is not on the page", route.path);
    }
    assert!(
        !html.contains("<script")
            && page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
    );
}
