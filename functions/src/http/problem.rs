//! Errors as RFC 9457 problem documents, mapped once for every route.

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{Error, FieldError};

use shared::error::{describe, is_unstorable};
use shared::platform::credentials::UsedUp;
use shared::platform::plans::PLAN_LIMIT_REACHED;

/// How long a caller waits before it tries again while the database is away, in seconds.
const RETRY_AFTER: &str = "5";

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// An error on its way to the caller. The request id is added when the response is complete.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    // Boxed: it is much larger than what a handler returns when all goes well.
    problem: Box<Problem>,
}

/// The document (RFC 9457).
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    /// In seconds, for the header.
    #[serde(skip)]
    retry_after: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let problem = Problem {
            r#type: format!("urn:martlet:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            retry_after: None,
            request_id: None,
            errors: Vec::new(),
        };
        Self { status, problem: Box::new(problem) }
    }

    /// The request can't be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }

    pub(super) fn invalid_idempotency_key() -> Self {
        let detail = "an Idempotency-Key has 1 to 255 visible ASCII characters, and a request has one of it";
        Self::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail)
    }

    pub(super) fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is longer than this route takes")
    }

    pub(super) fn too_many_requests() -> Self {
        let detail = "all requests of this minute are used up";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
    }

    pub(super) fn used_up(used_up: &UsedUp) -> Self {
        let mut refused = Self::new(StatusCode::TOO_MANY_REQUESTS, PLAN_LIMIT_REACHED, used_up.sentence.clone());
        refused.problem.retry_after = Some(used_up.reset);
        refused
    }

    /// The request is not from whom it says, or about what is none of ours.
    pub fn refused(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "refused", detail)
    }

    /// The body is of another kind than the route reads.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }
}

/// A route that exists answers other methods.
pub fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not answer this method")
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", text),
            Error::Conflict { code, message } => Self::new(StatusCode::CONFLICT, code, message),
            Error::Invalid(errors) => {
                let mut invalid = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", text);
                invalid.problem.errors = errors;
                invalid
            }
            Error::Unauthorized => Self::new(StatusCode::UNAUTHORIZED, "unauthorized", text),
            Error::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", text),
            Error::TestKey => Self::new(StatusCode::FORBIDDEN, "test_key", text),
            Error::TooManyAttempts { retry_after } => {
                let mut refused = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", text);
                refused.problem.retry_after = Some(retry_after);
                refused
            }
            Error::Unavailable(cause) => {
                tracing::error!(error = describe(&*cause), "what the request needs is not available");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again in a moment")
            }
            error if is_unstorable(&error) => {
                Self::malformed("a value holds a NUL, or is a time before 4713 BC or after 9999")
            }
            Error::Internal(cause) => {
                tracing::error!(error = describe(&*cause), "internal error");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed for a reason on our side")
            }
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type("send the body as application/json"),
            StatusCode::PAYLOAD_TOO_LARGE => Self::body_too_large(),
            StatusCode::UNPROCESSABLE_ENTITY => {
                let message = rejection.body_text();
                let message = message.rsplit_once("target type: ").map_or(message.as_str(), |(_, rest)| rest);
                let field = message.split_once(": ").map_or("", |(path, _)| path);
                let field = if field.contains(' ') { "" } else { field };
                Self::from(Error::invalid(field, "invalid", message))
            }
            _ => Self::malformed("the body is not valid JSON"),
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::body_too_large(),
            _ => Self::malformed("the body can't be read"),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::malformed(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(*self.problem);
        response
    }
}

/// Writes the problem document of a failed response, now that its request id is known.
pub(super) async fn complete(mut response: Response, request_id: &str) -> Response {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else { return response };
    problem.request_id = Some(request_id.to_owned());
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    match problem.status {
        401 => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        429 => {
            // One that is over its minute is told by the fields of the limit.
            headers.extend(problem.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        }
        503 => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        _ => {}
    }
    *response.body_mut() = Body::from(body);
    response
}
