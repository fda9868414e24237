//! What the functions call in AWS, as far as they call it, in memory and on the loopback interface: secrets, queues, mail
//! and objects. One server answers for all of them, as `AWS_ENDPOINT_URL` has it.

mod lines;
mod mail;
mod objects;
mod queues;
mod secrets;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::{Router, body};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use mail::{MailAnswer, SentMail, provider_id};
pub use queues::QueuedMessage;

use self::lines::{Line, Lines};
use self::mail::Mails;
use self::objects::Objects;
use self::queues::Queues;
use self::secrets::Secrets;

/// Larger than any request of a function.
const BODY_LIMIT: usize = 64 << 20;

/// The stand-in. Its server ends when it is dropped.
pub struct AwsStandIn {
    address: SocketAddr,
    content: Arc<Content>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Content {
    secrets: Mutex<Secrets>,
    queues: Mutex<Queues>,
    mails: Mutex<Mails>,
    objects: Mutex<Objects>,
}

impl AwsStandIn {
    /// Starts one with nothing in it.
    pub async fn start() -> Self {
        let content = Arc::new(Content::default());
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(content.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            axum::serve(Lines(listener), router.into_make_service_with_connect_info::<Line>()).await.unwrap();
        });
        Self { address, content, server }
    }

    /// Where it is reached, as `http://127.0.0.1:4567`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keeps a secret's text.
    pub fn put_secret(&self, arn: &str, text: impl Into<String>) {
        self.content.secrets.lock().unwrap().put(arn, text.into());
    }

    /// The URL of a queue, which need not be made.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.url())
    }

    /// Takes all messages out of a queue, in the order in which they came.
    pub fn drain_queue(&self, name: &str) -> Vec<QueuedMessage> {
        self.content.queues.lock().unwrap().drain(&self.queue_url(name))
    }

    /// The provider takes this long for each mail.
    pub fn delay_mail(&self, delay: std::time::Duration) {
        self.content.mails.lock().unwrap().delay = delay;
    }

    /// The next mails are answered with these, in turn; those after them are accepted.
    pub fn answer_next_mails(&self, answers: impl IntoIterator<Item = MailAnswer>) {
        self.content.mails.lock().unwrap().answers.extend(answers);
    }

    /// Every mail that was handed over, in the order in which they came, whatever the sender was told.
    pub fn mails(&self) -> Vec<SentMail> {
        self.content.mails.lock().unwrap().handed.clone()
    }

    /// Those from the one at `first` on.
    pub fn mails_from(&self, first: usize) -> Vec<SentMail> {
        self.content.mails.lock().unwrap().handed[first..].to_vec()
    }

    /// How many mails were handed over.
    pub fn mail_count(&self) -> usize {
        self.content.mails.lock().unwrap().handed.len()
    }

    /// The answers that were given by [`Self::answer_next_mails`] and not used are forgotten, and the answers that are held
    /// are given.
    pub fn answer_as_usual(&self) {
        let mut mails = self.content.mails.lock().unwrap();
        mails.answers.clear();
        mails.releases.send_modify(|releases| *releases += 1);
    }

    /// Waits until this many mails were handed over.
    pub async fn mail_arrives(&self, count: usize) {
        let mut handed = self.content.mails.lock().unwrap().count.subscribe();
        handed.wait_for(|handed| *handed >= count).await.unwrap();
    }

    /// Puts an object, as a client does with a signed URL.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        self.content.objects.lock().unwrap().put(&format!("/{bucket}/{key}"), body.into());
    }

    /// What lies under a key.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.content.objects.lock().unwrap().body(&format!("/{bucket}/{key}"))
    }
}

impl Drop for AwsStandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(content): State<Arc<Content>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // A caller that was killed in the middle of its request waits for no answer.
    let Ok(body) = body::to_bytes(body, BODY_LIMIT).await else { return Response::new(Body::empty()) };
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    match (&parts.method, target, parts.uri.path()) {
        (&Method::POST, Some("secretsmanager.GetSecretValue"), _) => content.secrets.lock().unwrap().get(&read(&body)),
        (&Method::POST, Some("AmazonSQS.SendMessage"), _) => content.queues.lock().unwrap().send(&read(&body)),
        (&Method::POST, Some("AmazonSQS.SendMessageBatch"), _) => {
            content.queues.lock().unwrap().send_batch(&read(&body))
        }
        (&Method::POST, None, "/v2/email/outbound-emails") => mail::send(&content.mails, &line, &read(&body)).await,
        (&Method::GET, None, "/v2/email/account") => mail::account(),
        (method, None, path) => objects::answer(&content.objects, method, path, &parts.headers, body),
        _ => error(StatusCode::BAD_REQUEST, "UnknownOperationException", "the stand-in has no such operation"),
    }
}

/// What is no JSON has none of the fields that are asked for.
fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn json_answer(body: &Value) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

/// An error in the form that the JSON protocols share.
fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("x-amzn-errortype", code)
        .body(Body::from(json!({ "__type": code, "message": message }).to_string()))
        .unwrap()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
