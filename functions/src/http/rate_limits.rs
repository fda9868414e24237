//! The `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` fields of every answer to an authenticated caller.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use shared::platform::rate_limits::Standing;

/// Where the caller notes how its key stands: the answer may be an error, which knows nothing of its caller.
#[derive(Clone, Default)]
pub(super) struct Noted(Arc<OnceLock<Standing>>);

impl Noted {
    /// Notes how the request's key stands.
    pub(super) fn note(&self, standing: Standing) {
        // A request has one caller, so nobody has set it before.
        let _ = self.0.set(standing);
    }

    /// Writes what was noted into the answer; `Retry-After` too when it was one request too many.
    pub(super) fn show(&self, response: &mut Response) {
        let Some(standing) = self.0.get() else { return };
        let is_refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(standing.limit));
        headers.insert(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(standing.remaining()));
        headers.insert(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(standing.reset));
        if is_refused {
            // What was refused for another reason has said when to come back.
            headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from(standing.reset));
        }
    }
}
