//! `/u/{token}`: unsubscribing, for everybody who holds a link.
//!
//! GET shows a page and changes nothing, since scanners and previews follow links; POST acts, with the one click of a mail
//! program (RFC 8058) or with the page's button. No cookie, no redirect, no credentials: the token is the right.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use shared::delivery::tokens::KeyRing;
use shared::delivery::unsubscribing::{self, Subscription};
use shared::{Database, Error, MessageId, OrganizationId};

use crate::http::{ApiError, ApiResult};

/// Nothing but the page's own inline style; no scripts, no frames, forms only to us.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Tracking {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Opens the tokens of links.
    pub keys: Arc<KeyRing>,
}

/// The routes.
pub fn router(tracking: Tracking) -> Router {
    Router::new().route("/u/{token}", get(show).post(act)).with_state(tracking)
}

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct Page {
    organization_name: String,
    masked_address: String,
    is_unsubscribed: bool,
}

/// Shows what the link is about.
async fn show(State(tracking): State<Tracking>, Path(token): Path<String>) -> ApiResult<Response> {
    let (organization, message) = open(&tracking, &token)?;
    let tx = tracking.db.begin(organization).await?;
    let subscription = unsubscribing::look_up(&tx, message).await?;
    tx.commit().await?;
    page(subscription)
}

/// Unsubscribes. The body does not matter: a mail program sends `List-Unsubscribe=One-Click`, the page's form nothing.
async fn act(State(tracking): State<Tracking>, Path(token): Path<String>) -> ApiResult<Response> {
    let (organization, message) = open(&tracking, &token)?;
    let tx = tracking.db.begin(organization).await?;
    unsubscribing::unsubscribe(&tx, message).await?;
    let subscription = unsubscribing::look_up(&tx, message).await?;
    tx.commit().await?;
    page(subscription)
}

fn open(tracking: &Tracking, token: &str) -> ApiResult<(OrganizationId, MessageId)> {
    // A token that was tampered with is a link that leads nowhere.
    let (organization, message) =
        tracking.keys.open_unsubscribe_token(token).map_err(|_| ApiError::from(Error::not_found("subscription")))?;
    Ok((OrganizationId(organization), MessageId(message)))
}

fn page(subscription: Subscription) -> ApiResult<Response> {
    let Subscription { organization_name, masked_address, is_unsubscribed } = subscription;
    let html = Page { organization_name, masked_address, is_unsubscribed }.render().map_err(Error::internal)?;
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    Ok((StatusCode::OK, headers, Html(html)).into_response())
}
