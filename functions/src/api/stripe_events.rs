//! `POST /hooks/stripe`: what Stripe tells of subscriptions.
//!
//! Stripe delivers again what was not answered 2xx, for days, so that is the answer to whatever was taken, had been taken, or says
//! nothing to us. An installation without the endpoint's secret has no such route.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use shared::delivery::tokens::KeyRing;
use shared::platform::stripe::{self, Event, Refusal, Secret};
use shared::platform::subscriptions::receiving;
use shared::{Database, Error};

use crate::http::{ApiError, ApiResult, Routes, route};

/// A subscription with many items is far below it.
const BODY_LIMIT: usize = 512 << 10;
/// The header with the time and the signatures.
const SIGNATURE: &str = "stripe-signature";

/// What the route needs.
#[derive(Clone)]
pub struct StripeEvents {
    /// Logged in as martlet_billing.
    pub db: Database,
    /// What the references of checkouts are signed with.
    pub keys: Arc<KeyRing>,
    /// The endpoint's secret, where there is one.
    pub secret: Option<Arc<Secret>>,
}

/// The routes.
pub fn routes<R: Routes<StripeEvents>>(routes: R) -> R {
    routes.beside(route!(POST "/hooks/stripe"), receive)
}

/// Serves the routes.
pub fn router(state: StripeEvents) -> Router {
    routes(Router::new()).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(state)
}

/// Takes an event.
async fn receive(
    State(hook): State<StripeEvents>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<StatusCode> {
    let secret = hook.secret.as_deref().ok_or(Error::not_found("endpoint"))?;
    let body = body?;
    let header = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).ok_or(Refusal::Malformed)?;
    let signed = stripe::verify(secret, header, &body)?;
    // Asked after the signature: whoever forges one costs the database nothing.
    let tx = hook.db.begin_for(&[]).await?;
    let now = tx.now();
    tx.commit().await?;
    signed.check_age(now)?;
    let Some(event) = Event::read(&hook.keys, &body)? else { return Ok(StatusCode::NO_CONTENT) };
    let received = receiving::receive(&hook.db, &event).await?;
    tracing::info!(event_id = event.id, customer_id = event.customer, ?received, "an event of Stripe has come");
    Ok(StatusCode::NO_CONTENT)
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        tracing::warn!(why = refusal.sentence(), "an event under the name of Stripe is refused");
        match refusal {
            Refusal::Malformed => Self::malformed(refusal.sentence()),
            Refusal::Forged | Refusal::Old => Self::refused(refusal.sentence()),
        }
    }
}
