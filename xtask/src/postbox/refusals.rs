//! The errors of the SES v2 API: which there are, and their form on the wire.
//!
//! SES names the error in the `x-amzn-ErrorType` header and explains it in `{"message": …}`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::clock;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// The request is malformed, or breaks a rule on its content.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    /// The sender's address belongs to no verified identity.
    pub(crate) fn unverified(address: &str) -> Self {
        let message = format!(
            "Email address is not verified. The following identities failed the check in region US-EAST-1: {address}"
        );
        Self::new(StatusCode::BAD_REQUEST, "MessageRejected", message)
    }

    /// The identity's own MAIL FROM domain has no MX record, and it asked to be refused then.
    pub(crate) fn mail_from_unverified() -> Self {
        let message = "The sending domain's custom MAIL FROM domain is not verified.";
        Self::new(StatusCode::BAD_REQUEST, "MailFromDomainNotVerifiedException", message)
    }

    /// More requests per second than the account may make.
    pub(crate) fn throttled() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Maximum sending rate exceeded.")
    }

    /// The account has sent what it may send within 24 hours.
    pub(crate) fn daily_quota() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "LimitExceededException", "Daily message quota exceeded.")
    }

    /// The account was suspended for good.
    pub(crate) fn suspended() -> Self {
        let message = "The account's ability to send email has been permanently restricted.";
        Self::new(StatusCode::BAD_REQUEST, "AccountSuspendedException", message)
    }

    /// Sending is paused, by the account itself or by SES.
    pub(crate) fn paused() -> Self {
        let message = "Email sending is disabled for the account.";
        Self::new(StatusCode::BAD_REQUEST, "SendingPausedException", message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFoundException", message)
    }

    /// There is such a thing already.
    pub(crate) fn already_exists(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "AlreadyExistsException", message)
    }

    /// SES failed.
    pub(crate) fn internal() -> Self {
        let message = "An internal error occurred.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", message)
    }

    /// SES is not there for a while, or the stand-in keeps as much as it may.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// The name of the error type.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "message": self.message }))).into_response();
        response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(self.kind));
        with_request_id(response)
    }
}

/// Adds the request id that every answer of AWS carries.
pub(crate) fn with_request_id(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::from_str(&clock::fresh_id().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
