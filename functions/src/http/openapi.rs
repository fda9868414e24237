//! The OpenAPI document (3.1), made of the handlers' signatures and the table of routes.
//!
//! What a handler takes and gives says what can go wrong: an extractor that reads a body brings the answers for bodies that
//! can't be read, a caller those for credentials. Deployed functions never make it: `functions/tests/api/openapi.rs` does,
//! and holds the snapshot that is served (`functions/openapi.json`) to it.

use std::collections::BTreeMap;

use axum::handler::Handler;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::access::{ROUTES, Route, Who};
use super::routes::Routes;

/// The problems that many operations answer alike: status, name in the document, description.
const USUAL_PROBLEMS: [(u16, &str, &str); 11] = [
    (400, "BadRequest", "A parameter, a header or the body can't be read."),
    (401, "Unauthorized", "There are no credentials, or they are not valid."),
    (403, "Forbidden", "The credentials do not allow it: another role or scope is needed."),
    (404, "NotFound", "Something that the request names does not exist for this organization."),
    (409, "Conflict", "The present state or an `Idempotency-Key` forbids it; `code` says why."),
    (413, "ContentTooLarge", "The body has more than 1 MiB."),
    (415, "UnsupportedMediaType", "The body is of another kind."),
    (422, "UnprocessableContent", "Parameters or fields that can be corrected, all of them named."),
    (429, "TooManyRequests", "The requests of this minute are used up; `Retry-After` says when to come back."),
    (500, "InternalServerError", "The request failed for a reason on our side."),
    (503, "ServiceUnavailable", "The database is away; `Retry-After` says when to come back."),
];
/// What an argument of a handler says about its operation.
pub trait Input {
    /// Adds it to the description.
    fn describe(operation: &mut Operation<'_>);
}

/// What a handler's answer says about its operation.
pub trait Output {
    /// Adds it to the description.
    fn describe(operation: &mut Operation<'_>);
}

/// A handler whose arguments `I` and answer describe themselves.
pub trait Describe<I> {
    /// Describes the operation.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! handlers {
    ($(($($input:ident),*);)+) => {$(
        impl<F, Answering, Answer, $($input),*> Describe<($($input,)*)> for F
        where
            F: Fn($($input),*) -> Answering,
            Answering: Future<Output = Answer>,
            Answer: Output,
            $($input: Input,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($input::describe(operation);)*
                Answer::describe(operation);
            }
        }
    )+};
}

handlers! {
    ();
    (A);
    (A, B);
    (A, B, C);
    (A, B, C, D);
    (A, B, C, D, E);
}

/// An operation as it is being described.
pub struct Operation<'a> {
    schemas: &'a mut SchemaGenerator,
    parameters: Vec<Value>,
    body: Map<String, Value>,
    body_is_optional: bool,
    answers: BTreeMap<u16, Answer>,
    /// By status; none where it is a usual one.
    problems: BTreeMap<u16, Option<&'static str>>,
}

#[derive(Default)]
struct Answer {
    description: &'static str,
    content: Map<String, Value>,
    headers: Map<String, Value>,
}

impl Operation<'_> {
    /// The schema of what is read, written out where it stands: what may be sent is not what is answered.
    pub fn read_schema<T: JsonSchema>() -> Value {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.meta_schema = None;
            settings.inline_subschemas = true;
        });
        let mut schema = settings.into_generator().into_root_schema_for::<T>();
        schema.remove("title");
        schema.to_value()
    }

    /// A parameter of the query for each field of `T`.
    pub fn query<T: JsonSchema>(&mut self) {
        let schema = Self::read_schema::<T>();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let mut field = field.clone();
            let description = field.as_object_mut().and_then(|field| field.remove("description"));
            let mut parameter = json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": without_null(field),
            });
            if let (Some(description), Some(parameter)) = (description, parameter.as_object_mut()) {
                parameter.insert("description".to_owned(), description);
            }
            self.parameters.push(parameter);
        }
        self.usual_problems(&[400]);
    }

    /// A parameter of the query.
    pub fn query_parameter(&mut self, name: &str, description: &str, schema: Value) {
        self.parameters.push(
            json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema}),
        );
    }

    /// Ids in the path: each parameter that the route has.
    pub fn path_ids(&mut self) {
        self.usual_problems(&[404]);
    }

    /// A body of a media type.
    pub fn body(&mut self, media_type: &str, schema: Value) {
        self.body.insert(media_type.to_owned(), json!({"schema": schema}));
        self.usual_problems(&[400, 413, 415, 422]);
    }

    /// The body may be left out.
    pub fn body_is_optional(&mut self) {
        self.body_is_optional = true;
    }

    /// An answer of JSON.
    pub fn answer<T: JsonSchema>(&mut self, status: u16, description: &'static str) {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.answer_of(status, description, "application/json", schema);
    }

    /// An answer of any media type.
    pub fn answer_of(&mut self, status: u16, description: &'static str, media_type: &str, schema: Value) {
        let answer = self.answers.entry(status).or_default();
        answer.description = description;
        answer.content.insert(media_type.to_owned(), json!({"schema": schema}));
    }

    /// An answer without a body.
    pub fn empty_answer(&mut self, status: u16, description: &'static str) {
        self.answers.entry(status).or_default().description = description;
    }

    /// A header of an answer that has been told before.
    pub fn answer_header(&mut self, status: u16, name: &str, description: &str) {
        let header = json!({"description": description, "schema": {"type": "string"}});
        self.answers.entry(status).or_default().headers.insert(name.to_owned(), header);
    }

    /// A problem document that this operation means in its own way.
    pub fn problem(&mut self, status: u16, description: &'static str) {
        self.problems.insert(status, Some(description));
    }

    /// Problem documents that mean what they mean everywhere.
    pub fn usual_problems(&mut self, statuses: &[u16]) {
        for status in statuses {
            self.problems.entry(*status).or_default();
        }
    }

    /// What every caller can be told.
    pub fn caller(&mut self) {
        self.usual_problems(&[400, 401, 403, 429, 503]);
    }
}

/// An absent parameter is none, never null.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array() {
        let others: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
        schema["type"] = if let [one] = others.as_slice() { one.clone() } else { Value::Array(others) };
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let others: Vec<Value> = choices.iter().filter(|choice| choice["type"] != "null").cloned().collect();
        if let [one] = others.as_slice() {
            return one.clone();
        }
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|name, value| name != "default" || !value.is_null());
        if let Some(names) = fields.get_mut("enum").and_then(Value::as_array_mut) {
            names.retain(|name| !name.is_null());
        }
    }
    schema
}

/// Describes an API by taking its routes.
pub struct Description {
    schemas: SchemaGenerator,
    paths: BTreeMap<String, Map<String, Value>>,
    taken: Vec<&'static Route>,
}

impl Default for Description {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.contract = Contract::Serialize;
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self { schemas: settings.into_generator(), paths: BTreeMap::new(), taken: Vec::new() }
    }
}

impl<S> Routes<S> for Description {
    fn on<H, T, I>(mut self, route: &'static Route, _: H) -> Self
    where
        H: Handler<T, S> + Describe<I>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let mut operation = Operation {
            schemas: &mut self.schemas,
            parameters: path_parameters(route.path),
            body: Map::new(),
            body_is_optional: false,
            answers: BTreeMap::new(),
            problems: BTreeMap::new(),
        };
        H::describe(&mut operation);
        if route.who != Who::Everyone && route.method != "GET" {
            operation.usual_problems(&[404, 409]);
            operation.parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
        }
        if route.who != Who::Everyone && route.path.contains('{') {
            operation.usual_problems(&[409]);
        }
        operation.usual_problems(&[500]);
        let described = written(route, std::any::type_name::<H>(), operation);
        let path = route.path.replace("{*", "{");
        self.paths.entry(path).or_default().insert(route.method.to_ascii_lowercase(), described);
        self.taken.push(route);
        self
    }

    fn beside<H, T>(mut self, route: &'static Route, _: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.taken.push(route);
        self
    }
}

impl Description {
    /// The rows of the table that nobody has taken: routes that are promised and not served.
    #[must_use]
    pub fn left(&self) -> Vec<&'static Route> {
        ROUTES.iter().filter(|route| !self.taken.contains(route)).collect()
    }

    /// The document.
    #[must_use]
    pub fn document(mut self) -> Value {
        let problem = self.schemas.subschema_for::<super::problem::Problem>();
        debug_assert!(problem.get("$ref").is_some(), "problems are referred to by name");
        let schemas: Map<String, Value> = self.schemas.take_definitions(true);
        let problems: Map<String, Value> = USUAL_PROBLEMS
            .iter()
            .map(|(_, name, description)| ((*name).to_owned(), problem_answer(description)))
            .collect();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Martlet",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Outreach by email: contacts, sequences, sending, and what comes back. `docs/api.md` tells what \
                    lies behind the operations.",
            },
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": problems,
                "parameters": {"IdempotencyKey": {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": false,
                    "description": "The same request under the same key is carried out once, and answered alike for 24 hours.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                }},
                "securitySchemes": {"bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key (`mk_live_…`) or the token of a session (`ms_…`).",
                }},
            },
        })
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameter = |name: &str| {
        let is_id = name == "id" || name.ends_with("_id");
        let schema = if is_id { json!({"type": "string", "format": "uuid"}) } else { json!({"type": "string"}) };
        json!({"name": name.trim_start_matches('*'), "in": "path", "required": true, "schema": schema})
    };
    names.map(parameter).collect()
}

/// The operation as the document has it. `handler` is the name of its type, which ends in `resource::act`.
fn written(route: &'static Route, handler: &str, operation: Operation<'_>) -> Value {
    let words: Vec<&str> = handler.split("::").skip_while(|word| *word != "api").skip(1).collect();
    let mut answers = Map::new();
    for (status, answer) in operation.answers {
        let mut written = json!({"description": answer.description});
        if !answer.content.is_empty() {
            written["content"] = answer.content.into();
        }
        if !answer.headers.is_empty() {
            written["headers"] = answer.headers.into();
        }
        answers.insert(status.to_string(), written);
    }
    for (status, description) in operation.problems {
        let answer = match (description, USUAL_PROBLEMS.iter().find(|(usual, ..)| *usual == status)) {
            (None, Some((_, name, _))) => json!({"$ref": format!("#/components/responses/{name}")}),
            (description, _) => problem_answer(description.unwrap_or_default()),
        };
        answers.insert(status.to_string(), answer);
    }
    let mut written = json!({
        "operationId": words.join("."),
        "summary": route.summary,
        "tags": [tag(route.path)],
        "responses": answers,
    });
    if !operation.parameters.is_empty() {
        written["parameters"] = operation.parameters.into();
    }
    if !operation.body.is_empty() {
        written["requestBody"] = json!({"required": !operation.body_is_optional, "content": operation.body});
    }
    match (route.who, route.scope) {
        (Who::Everyone, _) => written["security"] = json!([]),
        (Who::AtLeast(role), Some(scope)) => {
            written["description"] = format!("Needs the role {} or the scope `{scope}`.", role.name()).into();
        }
        (Who::AtLeast(role), None) => {
            written["description"] = format!("Needs a session of a person with the role {}.", role.name()).into();
        }
        (Who::Administrator, _) => written["description"] = "Needs an administrator of the installation.".into(),
    }
    written
}

/// A problem document as an answer.
fn problem_answer(description: &str) -> Value {
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    json!({"description": description, "content": content})
}

/// The resource: the first word of the path that is not the version.
fn tag(path: &str) -> &str {
    path.trim_start_matches("/v1").trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// The schema of a text that is told in another way.
#[must_use]
pub fn text() -> Value {
    let schema: Schema = json_schema!({"type": "string"});
    schema.to_value()
}

impl<T> Input for axum::extract::State<T> {
    fn describe(_: &mut Operation<'_>) {}
}

impl Input for axum::http::HeaderMap {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: JsonSchema> Output for axum::Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(200, "It is answered.");
    }
}

impl<T: Output, E> Output for Result<T, E> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}
