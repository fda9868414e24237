//! An organization with an API key, and a way to call routers as API Gateway does.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lambda_http::http::HeaderMap;
use serde_json::Value;
use testkit::Scene;
use tower::ServiceExt;

/// A caller with a key, and what it sees.
pub(crate) struct App {
    pub(crate) scene: Scene,
    key: String,
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
        let path = format!("{}/../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        for (placeholder, value) in fill.iter().chain(&[("API_KEY", self.key.as_str())]) {
            text = text.replace(&format!("${{{placeholder}}}"), value);
        }
        assert!(!text.contains("${"), "{name} has a placeholder that nobody filled: {text}");
        let request = lambda_http::request::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        call(router, request.map(|body| Body::from(body.to_vec()))).await
    }

    /// Sends a request with this caller's key.
    pub(crate) async fn send(&self, router: Router, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_as(router, method, path, body, Some(&self.key)).await
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
        call(router, request.body(body).unwrap()).await
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

async fn call(router: Router, request: Request<Body>) -> Answer {
    let response = functions::http::finish(router).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer { status: parts.status, headers: parts.headers, body }
}
