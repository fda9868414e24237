//! An organization with an API key, and a way to call routers as API Gateway does.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use chrono::{DateTime, NaiveDateTime};
use lambda_http::http::HeaderMap;
use serde_json::Value;
use testkit::Scene;
use tower::ServiceExt;

/// A caller with a key, and what it sees.
pub(crate) struct App {
    pub(crate) scene: Scene,
    pub(crate) key: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl App {
    pub(crate) async fn new() -> Self {
        let scene = Scene::new().await;
        let key = scene.api_key().await;
        Self { scene, key }
    }

    /// Sends the sample `events/<name>.json`, with `${API_KEY}` and the given placeholders filled in.
    pub(crate) async fn sample(&self, router: Router, name: &str, fill: &[(&str, &str)]) -> Answer {
        call(router, self.sample_request(name, fill)).await
    }

    /// The sample as the request that API Gateway makes of it.
    pub(crate) fn sample_request(&self, name: &str, fill: &[(&str, &str)]) -> Request<Body> {
        filled_sample(name, &[fill, &[("API_KEY", self.key.as_str())]].concat())
    }

    /// Sends a request with this caller's key and an `Idempotency-Key`.
    pub(crate) async fn send_under(
        &self,
        router: Router,
        name: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = request(method, path, body, Some(&self.key));
        request.headers_mut().insert("idempotency-key", name.parse().unwrap());
        call(router, request).await
    }

    /// Sends a request with this caller's key.
    pub(crate) async fn send(&self, router: Router, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_as(router, method, path, body, Some(&self.key)).await
    }

    /// Posts a text of any kind with this caller's key.
    pub(crate) async fn send_text(&self, router: Router, path: &str, kind: &str, text: String) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path).header("content-type", kind);
        let request = request.header("authorization", format!("Bearer {}", self.key));
        call(router, request.body(Body::from(text)).unwrap()).await
    }

    /// Sends a request with any key, or none.
    pub(crate) async fn send_as(
        &self,
        router: Router,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Answer {
        call(router, request(method, path, body, key)).await
    }
}

impl Answer {
    /// Fails unless the status is `status`; shows the body where it isn't.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self
    }

    /// A field of the body as text.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {:#}", self.body))
    }
}

/// The sample `events/<name>.json` as the request that API Gateway makes of it, with its placeholders filled in.
pub(crate) fn filled_sample(name: &str, fill: &[(&str, &str)]) -> Request<Body> {
    let path = format!("{}/../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (placeholder, value) in fill {
        text = text.replace(&format!("${{{placeholder}}}"), value);
    }
    assert!(!text.contains("${"), "{name} has a placeholder that nobody filled: {text}");
    let request = lambda_http::request::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    request.map(|body| Body::from(body.to_vec()))
}

/// Calls a router as its binary does.
pub(crate) async fn call(router: Router, request: Request<Body>) -> Answer {
    let response = functions::http::finish(router).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    let other = instants_in_another_form(&body);
    assert!(other.is_empty(), "times that are not written as shared::timestamps does: {other:?}");
    Answer { status: parts.status, headers: parts.headers, body }
}

fn request(method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let body = match body {
        Some(json) => {
            request = request.header("content-type", "application/json");
            Body::from(json.to_string())
        }
        None => Body::empty(),
    };
    request.body(body).unwrap()
}

/// What people and other systems wrote themselves, and rows that are kept as they were, are passed on as they are.
const PASSED_ON: [&str; 4] = ["custom", "raw_data", "details", "snapshot"];

/// The instants of an answer that are not in UTC with milliseconds.
fn instants_in_another_form(body: &Value) -> Vec<&str> {
    match body {
        Value::String(text) => {
            let is_instant = DateTime::parse_from_rfc3339(text).is_ok() || text.parse::<NaiveDateTime>().is_ok();
            let is_ours = text.len() == "2026-03-04T10:00:00.000Z".len() && text.ends_with('Z');
            if is_instant && !is_ours { vec![text] } else { Vec::new() }
        }
        Value::Array(items) => items.iter().flat_map(instants_in_another_form).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !PASSED_ON.contains(&name.as_str()))
            .flat_map(|(_, value)| instants_in_another_form(value))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_check_of_times_bites() {
    for other in [
        "2026-03-04T10:00:00Z",
        "2026-03-04T10:00:00.000000Z",
        "2026-03-04T10:00:00.000+00:00",
        "2026-03-04T10:00:00.123456Z",
        "2026-03-04T10:00:00.000",
        "2026-03-04 10:00:00.000+01:00",
    ] {
        let body = serde_json::json!({"data": [{"created_at": other, "custom": {"seen": other}}]});
        assert_eq!(instants_in_another_form(&body), [other]);
    }
    let ours = serde_json::json!({"created_at": "2026-03-04T10:00:00.000Z", "slot_day": "2026-03-04", "name": "Z"});
    assert_eq!(instants_in_another_form(&ours), [""; 0]);
}
