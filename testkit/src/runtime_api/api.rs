//! The Runtime API itself, version 2018-06-01, for one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use super::Failure;

/// How a function has ended an invocation.
pub(super) enum Reply {
    Answered(Value),
    Failed(Failure),
}

/// The driver's end: events go in, replies come out.
pub(super) struct Exchange {
    events: mpsc::UnboundedSender<Event>,
    state: Arc<Process>,
    replies: Mutex<mpsc::UnboundedReceiver<(String, Reply)>>,
    count: AtomicU64,
}

struct Event {
    id: String,
    body: Vec<u8>,
}

/// What the process's end of the exchange knows.
struct Process {
    name: String,
    timeout: Duration,
    events: Mutex<mpsc::UnboundedReceiver<Event>>,
    replies: mpsc::UnboundedSender<(String, Reply)>,
    start: watch::Sender<Start>,
}

#[derive(Clone)]
enum Start {
    UnderWay,
    Done,
    Failed(Failure),
}

/// Begins to serve on a port of its own.
pub(super) async fn serve(name: &str, timeout: Duration) -> (Exchange, SocketAddr, JoinHandle<()>) {
    let (events, waiting) = mpsc::unbounded_channel();
    let (reply, replies) = mpsc::unbounded_channel();
    let state = Arc::new(Process {
        name: name.to_owned(),
        timeout,
        events: Mutex::new(waiting),
        replies: reply,
        start: watch::channel(Start::UnderWay).0,
    });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(initialization_error))
        // Lambda takes answers of six megabytes.
        .layer(axum::extract::DefaultBodyLimit::max(6 << 20))
        .with_state(state.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (Exchange { events, state, replies: Mutex::new(replies), count: AtomicU64::new(0) }, address, server)
}

impl Exchange {
    pub(super) async fn invoke(&self, event: &Value) -> Reply {
        let id = format!("00000000-0000-4000-8000-{:012x}", self.count.fetch_add(1, Ordering::Relaxed));
        self.events.send(Event { id: id.clone(), body: serde_json::to_vec(event).unwrap() }).unwrap();
        let mut replies = self.replies.lock().await;
        loop {
            // A reply to an event that the driver has given up is nobody's.
            match replies.recv().await {
                Some((of, reply)) if of == id => return reply,
                _ => {}
            }
        }
    }

    pub(super) async fn ready(&self) -> Result<(), Failure> {
        let mut start = self.state.start.subscribe();
        let start = start.wait_for(|start| !matches!(start, Start::UnderWay)).await.unwrap();
        match &*start {
            Start::Failed(failure) => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    pub(super) fn initialization_failure(&self) -> Option<Failure> {
        match &*self.state.start.borrow() {
            Start::Failed(failure) => Some(failure.clone()),
            _ => None,
        }
    }
}

async fn next(State(process): State<Arc<Process>>) -> Response<Body> {
    process.start.send_if_modified(|start| {
        let first = matches!(start, Start::UnderWay);
        if first {
            *start = Start::Done;
        }
        first
    });
    let Some(event) = process.events.lock().await.recv().await else {
        // The environment is being dropped, and the process is dead already.
        return std::future::pending().await;
    };
    let arn = format!("arn:aws:lambda:eu-central-1:000000000000:function:{}", process.name);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", event.id)
        .header("lambda-runtime-deadline-ms", deadline(process.timeout))
        .header("lambda-runtime-invoked-function-arn", arn)
        .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        .body(Body::from(event.body))
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the machine's time, as Lambda tells it")]
fn deadline(timeout: Duration) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    (since + timeout).as_millis().to_string()
}

async fn response(State(process): State<Arc<Process>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let reply = match serde_json::from_slice(&body) {
        Ok(answer) => Reply::Answered(answer),
        Err(error) => {
            Reply::Failed(Failure { error_type: "Runtime.InvalidJson".to_owned(), error_message: error.to_string() })
        }
    };
    process.reply(id, reply)
}

async fn error(State(process): State<Arc<Process>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    process.reply(id, Reply::Failed(failure(&body)))
}

async fn initialization_error(State(process): State<Arc<Process>>, body: Bytes) -> StatusCode {
    process.start.send_replace(Start::Failed(failure(&body)));
    StatusCode::ACCEPTED
}

/// Read whatever content type it has: the runtime names none.
fn failure(body: &[u8]) -> Failure {
    serde_json::from_slice(body).unwrap_or_else(|_| Failure {
        error_type: String::new(),
        error_message: String::from_utf8_lossy(body).into_owned(),
    })
}

impl Process {
    fn reply(&self, id: String, reply: Reply) -> StatusCode {
        // Nobody waits any more where the environment is being dropped.
        drop(self.replies.send((id, reply)));
        StatusCode::ACCEPTED
    }
}
