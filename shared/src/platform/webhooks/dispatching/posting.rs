//! What is posted, and what comes back.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::platform::webhooks::secrets::Secret;
use crate::platform::webhooks::signatures;
use crate::{Error, Result, WebhookEventId, WorkflowRunId, timestamps};

/// The way out, which asks an address once, follows no redirect, and goes nowhere that not everybody can reach.
pub trait Poster: Send + Sync {
    /// Posts a body as JSON. There is always an answer: that there was none is one as well.
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Answer>;
}

/// A request to be made.
#[derive(Clone)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// `webhook-id`: the event's id, the same in each attempt.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: i64,
    /// `webhook-signature`: one for each secret that is valid.
    pub signature: String,
    /// JSON.
    pub body: String,
}

/// It shows neither signature nor body, and of the address no path, which may be a secret of its own.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Post {
    pub(super) fn signed(
        url: String,
        event: WebhookEventId,
        at: DateTime<Utc>,
        body: String,
        secrets: &[Secret],
    ) -> Self {
        let (id, timestamp) = (event.to_string(), at.timestamp());
        let signature = signatures::sign(secrets, &id, timestamp, body.as_bytes());
        Self { url, id, timestamp, signature, body }
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub outcome: Result<u16, Failure>,
    /// The beginning of what was answered.
    pub body: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.outcome, Ok(200..=299))
    }

    /// The endpoint says that it is no more (Standard Webhooks, "Response Status codes").
    pub(super) fn is_gone(&self) -> bool {
        self.outcome == Ok(410)
    }

    /// Why it was not taken, as a stable name.
    pub(super) fn error(&self) -> Option<&'static str> {
        match self.outcome {
            Ok(200..=299) => None,
            // Where it leads nobody has checked.
            Ok(300..=399) => Some("redirected"),
            Ok(410) => Some("gone"),
            Ok(_) => Some("refused"),
            Err(failure) => Some(failure.name()),
        }
    }
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The address leads where not everybody can go, or is none.
    AddressNotPublic,
    /// Nobody has answered in time.
    TimedOut,
    /// There was no connection, none to whom the certificate belongs, or it broke.
    NoConnection,
    /// Nothing was posted: what it would be signed with can't be opened, which a new secret mends.
    SecretUnreadable,
}

impl Failure {
    /// Stable name, in the log of deliveries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AddressNotPublic => "address_not_public",
            Self::TimedOut => "timed_out",
            Self::NoConnection => "no_connection",
            Self::SecretUnreadable => "secret_unreadable",
        }
    }
}

/// What a workflow is told of the run that it is to do.
#[derive(Serialize)]
pub(super) struct Run<'a> {
    pub(super) id: WorkflowRunId,
    pub(super) execution_id: &'a str,
    /// Where it reports how the run has ended.
    pub(super) callback_url: String,
}

/// The payload: `type`, `timestamp` and `data` as Standard Webhooks has them, and for a workflow `run`.
pub(super) fn body(event_type: &str, at: DateTime<Utc>, data: &Value, run: Option<Run<'_>>) -> Result<String> {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'a str,
        timestamp: String,
        data: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<Run<'a>>,
    }
    let body = Body { r#type: event_type, timestamp: timestamps::text(at), data, run };
    serde_json::to_string(&body).map_err(Error::internal)
}
