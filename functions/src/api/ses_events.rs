//! `POST /hooks/ses`: what SES reports, brought by SNS over HTTPS.
//!
//! What is verified goes into the queue as it came, in the form in which SNS itself would have put it there, and counts
//! once however often it comes: the feedback function knows what it has had. SNS sends again what was answered 5xx and
//! nothing else, so that is the answer while it can't be told or the queue is away, and for nothing that stays wrong.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use shared::Result;

use crate::http::{ApiError, ApiResult, Routes, route};
use crate::sns::envelopes::Kind;
use crate::sns::{Refusal, Verifier};

/// SNS sends 256 KiB at most, which its envelope quotes.
const BODY_LIMIT: usize = 512 << 10;

/// Where notifications wait for the feedback function.
pub trait NotificationQueue: Send + Sync {
    /// Puts an envelope there as it is.
    fn put(&self, notification: String) -> BoxFuture<'_, Result<()>>;
}

/// What the route needs.
#[derive(Clone)]
pub struct SesEvents {
    /// Knows our topic.
    pub verifier: Arc<Verifier>,
    /// Takes what is verified.
    pub queue: Arc<dyn NotificationQueue>,
}

/// The routes.
pub fn routes<R: Routes<SesEvents>>(routes: R) -> R {
    routes.beside(route!(POST "/hooks/ses"), receive)
}

/// Serves the routes.
pub fn router(ses_events: SesEvents) -> Router {
    routes(Router::new()).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(ses_events)
}

/// Takes an envelope. SNS declares it to be plain text, so that nothing is asked of its content type.
async fn receive(State(hook): State<SesEvents>, body: Result<Bytes, BytesRejection>) -> ApiResult<StatusCode> {
    let body = body?;
    let envelope = hook.verifier.verify(&body).await?;
    match envelope.kind {
        Kind::Notification => {
            // What JSON could be read from is UTF-8.
            let text = String::from_utf8(body.into()).map_err(|_| ApiError::malformed("the body is not UTF-8"))?;
            hook.queue.put(text).await?;
        }
        Kind::SubscriptionConfirmation => {
            hook.verifier.confirm(&envelope).await?;
            tracing::info!("the subscription of the topic is confirmed");
        }
        // Its link would subscribe again, against the will of whoever has ended it.
        Kind::UnsubscribeConfirmation => tracing::error!("the topic no longer sends its notifications here"),
    }
    Ok(StatusCode::NO_CONTENT)
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(why) => Self::malformed(why),
            Refusal::Forged(why) => {
                tracing::warn!(why, "a notification is refused");
                Self::refused(why)
            }
            Refusal::Undecided(error) => Self::from(error),
        }
    }
}
