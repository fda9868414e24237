//! Secrets Manager's GetSecretValue.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Secrets(HashMap<String, String>);

impl Secrets {
    pub(super) fn put(&mut self, arn: &str, text: String) {
        self.0.insert(arn.to_owned(), text);
    }

    pub(super) fn get(&self, request: &Value) -> Response<Body> {
        let arn = request["SecretId"].as_str().unwrap_or_default();
        match self.0.get(arn) {
            Some(text) => super::json_answer(&json!({ "ARN": arn, "Name": arn, "SecretString": text })),
            None => super::error(StatusCode::BAD_REQUEST, "ResourceNotFoundException", "there is no such secret"),
        }
    }
}
