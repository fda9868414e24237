//! What the log says of a request.

use std::fmt;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::app::call;
use crate::whole;

/// Keeps every event with its fields as text.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn no_token_in_a_path_is_in_the_log() {
    let db = testkit::TestDb::new().await;
    let kept = Kept::default();
    let _until_the_end = tracing::subscriber::set_default(kept.clone());
    for (method, path, route) in [
        ("POST", "/v1/workflows/callbacks/a-very-secret-token", "/v1/workflows/callbacks/{token}"),
        ("GET", "/v1/lists/a-very-secret-token", "/v1/lists/{id}"),
        ("GET", "/v1/nothing/a-very-secret-token?token=a-very-secret-token", "(none)"),
        ("GET", "/logos/a-very-secret-token/a-very-secret-token", "/logos/{id}/{name}"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::from("{}")).unwrap();
        call(whole::router(&db), request).await;
        let lines = std::mem::take(&mut *kept.0.lock().unwrap());
        let answered: Vec<&String> = lines.iter().filter(|line| line.contains("the request is answered")).collect();
        assert_eq!(answered.len(), 1, "{lines:#?}");
        assert!(answered[0].contains(&format!("route={route:?}")), "{answered:#?}");
        assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:#?}");
    }
}
