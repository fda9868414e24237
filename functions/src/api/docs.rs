//! `/v1/openapi.json` and `/v1/docs`: what the API is, for programs and for people. The same for everybody, so nothing is
//! counted here and caches may keep it.

use std::sync::LazyLock;

use askama::Template;
use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;

use crate::http::{Routes, route};

/// The document, as the handlers' signatures make it: a test holds it to them.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

/// What is served: half as much.
static SERVED: LazyLock<String> = LazyLock::new(|| {
    serde_json::from_str::<Value>(DOCUMENT).map_or_else(|_| DOCUMENT.to_owned(), |document| document.to_string())
});

/// For how long a cache may keep either; a release changes them.
const CACHE_CONTROL: &str = "public, max-age=300";

/// Nothing but the page's own inline style.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The routes.
pub fn routes<R: Routes<()>>(routes: R) -> R {
    routes.beside(route!(GET "/v1/openapi.json"), document).beside(route!(GET "/v1/docs"), page)
}

/// Serves the routes.
pub fn router() -> Router {
    routes(Router::new())
}

/// The document.
async fn document() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, CACHE_CONTROL)];
    (headers, SERVED.as_str()).into_response()
}

/// The same as a page.
async fn page() -> Response {
    let headers = [
        (header::CACHE_CONTROL, CACHE_CONTROL),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    let rendered = serde_json::from_str(DOCUMENT).map(|document| Docs::new(&document).render());
    match rendered {
        Ok(Ok(html)) => (headers, Html(html)).into_response(),
        _ => {
            tracing::error!("the page of the API can't be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    version: String,
    sections: Vec<Section>,
    schemas: Vec<NamedSchema>,
}

/// The operations of a resource.
struct Section {
    name: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    needs: String,
    parameters: Vec<Parameter>,
    bodies: Vec<NamedSchema>,
    answers: Vec<Answer>,
}

struct Parameter {
    name: String,
    place: String,
    kind: String,
    description: String,
}

struct Answer {
    status: String,
    description: String,
    schema: String,
}

struct NamedSchema {
    name: String,
    text: String,
}

impl Docs {
    fn new(document: &Value) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let name = text(&operation["tags"][0]);
                let operation = Operation::new(document, method, path, operation);
                match sections.iter_mut().find(|section| section.name == name) {
                    Some(section) => section.operations.push(operation),
                    None => sections.push(Section { name, operations: vec![operation] }),
                }
            }
        }
        let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
        let schemas = schemas.map(|(name, schema)| NamedSchema { name: name.clone(), text: pretty(schema) }).collect();
        Self { version: text(&document["info"]["version"]), sections, schemas }
    }
}

impl Operation {
    fn new(document: &Value, method: &str, path: &str, operation: &Value) -> Self {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let bodies = operation["requestBody"]["content"].as_object().into_iter().flatten();
        let answers = operation["responses"].as_object().into_iter().flatten();
        Self {
            id: text(&operation["operationId"]),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            needs: text(&operation["description"]),
            parameters: parameters.filter(|parameter| parameter["$ref"].is_null()).map(Parameter::new).collect(),
            bodies: bodies
                .map(|(name, body)| NamedSchema { name: name.clone(), text: pretty(&body["schema"]) })
                .collect(),
            answers: answers.map(|(status, answer)| Answer::new(status, resolved(document, answer))).collect(),
        }
    }
}

impl Parameter {
    fn new(parameter: &Value) -> Self {
        let schema = &parameter["schema"];
        let format = schema["format"].as_str().or(schema["type"].as_str()).unwrap_or("one of several");
        Self {
            name: text(&parameter["name"]),
            place: text(&parameter["in"]),
            kind: format.to_owned(),
            description: text(&parameter["description"]),
        }
    }
}

impl Answer {
    fn new(status: &str, answer: &Value) -> Self {
        let schema = answer["content"].as_object().and_then(|content| content.values().next());
        let reference = schema.and_then(|content| content["schema"]["$ref"].as_str()).unwrap_or_default();
        Self {
            status: status.to_owned(),
            description: text(&answer["description"]),
            schema: reference.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    }
}

/// What a reference into the document leads to, or what is written out.
fn resolved<'a>(document: &'a Value, written: &'a Value) -> &'a Value {
    let reference = written["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(written)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
