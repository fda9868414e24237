//! A visitor: whoever calls a public route of the API, known by the address that the request comes from alone.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;
use shared::Database;
use shared::delivery::tokens::KeyRing;
use shared::platform::rate_limits;

use super::openapi::{Input, Operation};
use super::rate_limits::Noted;
use super::{ApiError, RequestId};

/// A caller without credentials, whose request has been counted against those of its address.
pub struct Visitor {
    /// Where the request comes from, as API Gateway saw it.
    pub address: IpAddr,
    /// What the browser or program calls itself.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: String,
}

impl<S> FromRequestParts<S> for Visitor
where
    S: Send + Sync,
    Database: FromRef<S>,
    Arc<KeyRing>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let address = source(parts);
        let standing = rate_limits::count_address(&Database::from_ref(state), &Arc::from_ref(state), address).await?;
        if let Some(noted) = parts.extensions.get::<Noted>() {
            noted.note(standing);
        }
        if standing.is_exceeded() {
            return Err(ApiError::too_many_requests());
        }
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self { address, user_agent, request_id })
    }
}

impl Input for Visitor {
    fn describe(operation: &mut Operation<'_>) {
        operation.usual_problems(&[429, 503]);
    }
}

/// The address, which only API Gateway knows: a header could say anything. Those that it does not tell are one.
fn source(parts: &Parts) -> IpAddr {
    let told = match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    };
    told.and_then(|text| text.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
