//! What the tests share: a served stand-in, and an emulator that remembers what it was told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{post, put};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::store::{Draft, Mail};
use super::{Config, clock, mime, outcomes::Outcome};

/// 2026-08-05 09:30 UTC, a Wednesday.
pub(crate) const AT: DateTime<Utc> = DateTime::from_timestamp(1_785_922_200, 0).expect("a valid time");

/// How long a test waits for something that is on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A raw mail to someone, as Martlet sends it.
pub(crate) fn raw_mail(to: &str) -> String {
    raw_mail_with(to, "http://api.localhost:9/u/t0k3n")
}

fn raw_mail_with(to: &str, unsubscribe: &str) -> String {
    format!(
        "From: Sales <sales@mail.example.com>\r\nTo: Jane Doe <{to}>\r\nReply-To: t0k3n@replies.example.com\r\n\
         Subject: =?UTF-8?Q?Hello_Jan=C3=A9?=\r\nReferences: <0100-earlier@email.amazonses.com>\r\n\
         List-Unsubscribe: <{unsubscribe}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
         Content-Type: text/plain; charset=UTF-8\r\n\r\nHello Jané,\r\nhow are you?\r\n"
    )
}

/// The SendEmail request of such a mail.
pub(crate) fn send_request(to: &str) -> Value {
    send_request_of(to, &raw_mail(to))
}

fn send_request_of(to: &str, raw: &str) -> Value {
    json!({
        "FromEmailAddress": "Sales <sales@mail.example.com>",
        "Destination": { "ToAddresses": [to] },
        "Content": { "Raw": { "Data": STANDARD.encode(raw) } },
        "EmailTags": [{ "Name": "message_id", "Value": "m-1" }, { "Name": "attempt", "Value": "a-1" }],
        "ConfigurationSetName": "martlet",
    })
}

/// A mail as it is kept.
pub(crate) fn kept_mail() -> Mail {
    kept_mail_with("http://api.localhost:9/u/t0k3n")
}

/// A mail as it is kept, with an address to unsubscribe at.
pub(crate) fn kept_mail_with(unsubscribe: &str) -> Mail {
    let raw = raw_mail_with("Jane@example.com", unsubscribe).into_bytes();
    let parsed = mime::parse(&raw).unwrap();
    Mail {
        sequence: 1,
        provider_id: "0100-id".into(),
        accepted_at: AT,
        accepted_at_real: clock::real_now(),
        step: 0,
        outcome: Outcome::Delivered,
        draft: Draft {
            raw,
            headers: parsed.headers,
            subject: parsed.subject,
            source: "Sales <sales@mail.example.com>".into(),
            from: "sales@mail.example.com".into(),
            reply_to: vec!["t0k3n@replies.example.com".into()],
            recipients: super::addresses::parse_list("Jane@example.com"),
            tags: vec![("message_id".into(), "m-1".into()), ("attempt".into(), "a-1".into())],
            configuration_set: Some("martlet".into()),
        },
    }
}

/// A served stand-in beside a fake emulator.
pub(crate) struct Bench {
    /// Its base URL.
    pub(crate) url: String,
    /// The emulator that it talks to.
    pub(crate) emulator: FakeEmulator,
    client: Client,
    server: AbortHandle,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Bench {
    /// Starts one in which `mail.example.com` may send.
    pub(crate) async fn start() -> Self {
        let emulator = FakeEmulator::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = Config {
            emulator_url: emulator.url.clone(),
            feedback_queue_url: format!("{}/000000000000/feedback", emulator.url),
            inbound_queue_url: format!("{}/000000000000/inbound", emulator.url),
            bucket: "uploads".into(),
        };
        let server = tokio::spawn(super::serve(listener, config)).abort_handle();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let bench = Self { url, emulator, client, server };
        bench.identity("mail.example.com").await;
        bench
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn identity(&self, name: &str) {
        let (status, _) = self.post("/v2/email/identities", &json!({ "EmailIdentity": name })).await;
        assert_eq!(status, 200);
    }

    /// Sends a mail whose unsubscribe link is the emulator's, and returns it as listed.
    pub(crate) async fn send(&self, to: &str) -> Value {
        let link = format!("http://api.localhost:{}/u/t0k3n", self.emulator.port());
        let request = send_request_of(to, &raw_mail_with(to, &link));
        let (status, answer) = self.post("/v2/email/outbound-emails", &request).await;
        assert_eq!(status, 200, "{answer}");
        self.get(&format!("/_postbox/mails/{}", answer["MessageId"].as_str().unwrap())).await.1
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn get_bytes(&self, path: &str) -> Vec<u8> {
        self.request(Method::GET, path).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        self.request(Method::GET, path).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until everything that happens at once is published: an advance does that first.
    pub(crate) async fn idle(&self) {
        self.post("/_postbox/advance", &json!({})).await;
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A one-click unsubscribe as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Unsubscribed {
    pub(crate) host: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

#[derive(Debug, Default)]
struct Told {
    /// Bodies of messages by the last part of the queue's URL.
    messages: HashMap<String, VecDeque<Value>>,
    objects: HashMap<String, Vec<u8>>,
    unsubscribes: Vec<Unsubscribed>,
    failures: u32,
    refusals: u32,
}

/// An emulator that remembers what it was told, and the server of the unsubscribe links.
pub(crate) struct FakeEmulator {
    /// Its base URL.
    pub(crate) url: String,
    told: Arc<(Mutex<Told>, Notify)>,
    server: AbortHandle,
}

impl Drop for FakeEmulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Shared = State<Arc<(Mutex<Told>, Notify)>>;

impl FakeEmulator {
    pub(crate) async fn start() -> Self {
        let told = Arc::<(Mutex<Told>, Notify)>::default();
        let router = Router::new()
            .route("/", post(take_message))
            .route("/{bucket}/{*key}", put(take_object))
            .route("/u/t0k3n", post(take_unsubscribe))
            .with_state(told.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { url, told, server }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// Lets the next so many calls of SQS fail.
    pub(crate) fn fail_next(&self, calls: u32) {
        self.told.0.lock().unwrap().failures = calls;
    }

    /// Lets the next so many unsubscribes be answered with 500.
    pub(crate) fn refuse_unsubscribes(&self, calls: u32) {
        self.told.0.lock().unwrap().refusals = calls;
    }

    /// Waits until so many events have come, and takes them.
    pub(crate) async fn feedback(&self, count: usize) -> Vec<Value> {
        let waiting = async {
            loop {
                let changed = self.told.1.notified();
                let enough = self.told.0.lock().unwrap().messages.get("feedback").is_some_and(|m| m.len() >= count);
                if enough {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the events should have come");
        self.take_feedback()
    }

    /// Takes the events that have come.
    pub(crate) fn take_feedback(&self) -> Vec<Value> {
        self.take("feedback")
    }

    /// Takes the receipt notifications that have come.
    pub(crate) fn take_inbound(&self) -> Vec<Value> {
        self.take("inbound")
    }

    fn take(&self, queue: &str) -> Vec<Value> {
        self.told.0.lock().unwrap().messages.remove(queue).unwrap_or_default().into()
    }

    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        self.told.0.lock().unwrap().objects[key].clone()
    }

    pub(crate) fn take_unsubscribes(&self) -> Vec<Unsubscribed> {
        std::mem::take(&mut self.told.0.lock().unwrap().unsubscribes)
    }
}

/// Takes SendMessage, and unwraps the envelope of SNS.
async fn take_message(State(told): Shared, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessage");
    assert_eq!(headers["content-type"], "application/x-amz-json-1.0");
    assert!(headers["authorization"].to_str().unwrap().contains("/us-east-1/sqs/aws4_request"));
    let mut guard = told.0.lock().unwrap();
    if guard.failures > 0 {
        guard.failures -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let queue = request["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let envelope: Value = serde_json::from_str(request["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(envelope["Type"], "Notification");
    let message = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    guard.messages.entry(queue).or_default().push_back(message);
    told.1.notify_waiters();
    StatusCode::OK
}

async fn take_object(State(told): Shared, Path((bucket, key)): Path<(String, String)>, body: Bytes) {
    assert_eq!(bucket, "uploads");
    told.0.lock().unwrap().objects.insert(key, body.to_vec());
}

async fn take_unsubscribe(State(told): Shared, headers: HeaderMap, body: String) -> StatusCode {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut told = told.0.lock().unwrap();
    if told.refusals > 0 {
        told.refusals -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    told.unsubscribes.push(Unsubscribed { host: text("host"), content_type: text("content-type"), body });
    StatusCode::OK
}
