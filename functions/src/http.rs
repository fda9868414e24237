//! What every HTTP route shares: who calls, what they sent, and how an answer or an error is written.

pub mod access;
pub mod answers;
pub mod caller;
mod idempotency;
pub mod openapi;
pub mod pages;
pub mod parts;
pub mod problem;
mod rate_limits;
pub mod routes;
pub mod visitor;

pub use answers::{Accepted, Created, CsvFile, Either, JsonFile, Linked, NoContent, created};
pub use caller::Caller;
pub use pages::{Listing, NoFilter, Page};
pub use parts::{Body, Id, JsonOrCsv, Parameters, given, patched};
pub use problem::{ApiError, ApiResult};
pub use routes::Routes;
pub use visitor::Visitor;

pub use crate::route;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use lambda_http::request::RequestContext;

/// Bodies beyond this are refused; files go to S3 by a presigned URL.
const BODY_LIMIT: usize = 1 << 20;

/// The id of a request, in its answer, its errors, its log line and its audit entries.
#[derive(Clone)]
pub struct RequestId(pub String);

/// Puts what all routes share around a router: limits, request ids, repeated requests, error
/// bodies and the log line.
pub fn finish(router: Router) -> Router {
    router
        .fallback(async || ApiError::from(shared::Error::not_found("route")))
        .method_not_allowed_fallback(async || problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(around))
}

async fn around(mut request: Request, next: Next) -> Response {
    let id = RequestId(request_id(&request));
    // The route and not the path, which may hold a token: that would be a credential in the log.
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let standing = rate_limits::Noted::default();
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(standing.clone());
    let (response, keyed) = match idempotency::prepare(request).await {
        Ok((request, keyed)) => (next.run(request).await, keyed),
        Err(error) => (error.into_response(), None),
    };
    let response = problem::complete(response, &id.0).await;
    let mut response = idempotency::settle(keyed, response).await;
    standing.show(&mut response);
    tracing::info!(request_id = id.0, %method, route, status = response.status().as_u16(), "the request is answered");
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

fn request_id(request: &Request) -> String {
    match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) if context.request_id.is_some() => {
            context.request_id.clone().unwrap_or_default()
        }
        _ => shared::ids::fresh().to_string(),
    }
}
