//! `/u/{token}`, `/t/o/{token}` and `/t/c/{token}`: what recipients of mail reach, for everybody who holds a link.
//!
//! No cookie and no credentials: the token is the right. A link that nobody signed leads to a page that says so.

mod pages;
mod unsubscribing;
mod visits;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{Method, header};
use lambda_http::request::RequestContext;
use shared::delivery::messages::MessageKey;
use shared::delivery::tokens::{BadToken, KeyRing};
use shared::delivery::visitors::{Manner, Visitor};
use shared::{Database, Error, MessageId, OrganizationId};
use uuid::Uuid;

use pages::PageError;

use crate::http::{Routes, route};

/// Where browsers and previews say that they fetch ahead: the Fetch standard's field, and its forerunners.
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Tracking {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Opens the tokens of links.
    pub keys: Arc<KeyRing>,
}

/// The routes. A token takes the rest of the path: a link that something was added to is answered by a page as well.
pub fn routes<R: Routes<Tracking>>(routes: R) -> R {
    routes
        .beside(route!(GET "/u/{*token}"), unsubscribing::show)
        .beside(route!(POST "/u/{*token}"), unsubscribing::act)
        .beside(route!(GET "/t/o/{*token}"), visits::pixel)
        .beside(route!(GET "/t/c/{*token}"), visits::click)
}

/// Serves the routes.
pub fn router(tracking: Tracking) -> Router {
    routes(Router::new()).with_state(tracking)
}

/// The token of a link, whatever it is.
struct Token(String);

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(token)| Self(token)).map_err(|_| Error::not_found("link").into())
    }
}

/// A token that was tampered with is a link that leads nowhere.
fn opened<T>(token: Result<T, BadToken>) -> Result<T, PageError> {
    token.map_err(|_| Error::not_found("link").into())
}

fn message(organization: Uuid, message: Uuid) -> MessageKey {
    MessageKey { organization: OrganizationId(organization), id: MessageId(message) }
}

/// Whoever calls. The address is the one that API Gateway has seen: a field of the header says whatever it was told.
struct Calling(Visitor);

impl<S: Sync> FromRequestParts<S> for Calling {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let ip: Option<IpAddr> = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok())
            }
            _ => None,
        };
        let field = |name: &str| {
            parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default()
        };
        let fetches_ahead = PURPOSES.iter().any(|name| {
            let purpose = field(name).to_ascii_lowercase();
            purpose.contains("prefetch") || purpose.contains("preview") || purpose.contains("prerender")
        });
        let manner = match parts.method {
            Method::HEAD => Manner::Head,
            _ if fetches_ahead => Manner::Prefetch,
            _ => Manner::Get,
        };
        Ok(Self(Visitor::new(ip, &field(header::USER_AGENT.as_str()), manner)))
    }
}
