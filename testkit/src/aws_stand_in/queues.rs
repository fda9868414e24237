//! SQS's SendMessage and SendMessageBatch. Nobody receives: whoever drives the functions takes the messages out.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

/// A message as it was enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Its body.
    pub body: String,
    /// How many seconds it shall wait.
    pub delay_seconds: u64,
}

#[derive(Default)]
pub(super) struct Queues(HashMap<String, Vec<QueuedMessage>>);

impl Queues {
    pub(super) fn drain(&mut self, url: &str) -> Vec<QueuedMessage> {
        self.0.remove(url).unwrap_or_default()
    }

    pub(super) fn send(&mut self, request: &Value) -> Response<Body> {
        self.add(request, request);
        super::json_answer(&json!({ "MessageId": "driver" }))
    }

    pub(super) fn send_batch(&mut self, request: &Value) -> Response<Body> {
        let entries = request["Entries"].as_array().cloned().unwrap_or_default();
        let taken: Vec<Value> = entries
            .iter()
            .map(|entry| {
                self.add(request, entry);
                json!({ "Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": "" })
            })
            .collect();
        super::json_answer(&json!({ "Successful": taken, "Failed": [] }))
    }

    fn add(&mut self, request: &Value, message: &Value) {
        let url = request["QueueUrl"].as_str().unwrap_or_default().to_owned();
        self.0.entry(url).or_default().push(QueuedMessage {
            body: message["MessageBody"].as_str().unwrap_or_default().to_owned(),
            delay_seconds: message["DelaySeconds"].as_u64().unwrap_or_default(),
        });
    }
}
