//! Events as Lambda hands them to a function.

use serde::Serialize;
use serde_json::{Value, json};

/// A batch of queue messages with these bodies, as JSON; the message at `n` has the id [`message_id`] gives.
pub fn queue_batch<T: Serialize>(bodies: &[T]) -> Value {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| {
            json!({
                "messageId": message_id(n),
                "receiptHandle": format!("receipt-{n}"),
                "body": serde_json::to_string(body).unwrap(),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1772618400000",
                    "SenderId": "driver",
                    "ApproximateFirstReceiveTimestamp": "1772618400001",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:driver",
                "awsRegion": "eu-central-1",
            })
        })
        .collect();
    json!({ "Records": records })
}

/// The id of the message at `n` of a batch.
#[must_use]
pub fn message_id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// A request to the HTTP API (payload format 2.0), with a query after a `?` of the path, and an API key where there is one.
#[must_use]
pub fn http_request(method: &str, path: &str, api_key: Option<&str>, body: Option<&Value>) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut headers = json!({ "host": "api.example.test" });
    if let Some(key) = api_key {
        headers["authorization"] = format!("Bearer {key}").into();
    }
    if body.is_some() {
        headers["content-type"] = "application/json".into();
    }
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "driver",
            "domainName": "api.example.test",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "driver",
            },
            "requestId": shared::ids::fresh().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": "04/Mar/2026:10:00:00 +0000",
            "timeEpoch": 1_772_618_400_000_i64,
        },
        "body": body.map(ToString::to_string),
        "isBase64Encoded": false,
    })
}

/// A tick of the schedule. What it says does not matter to the function, whose time is the database's.
#[must_use]
pub fn tick() -> Value {
    json!({})
}
