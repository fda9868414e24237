//! Pages for people in a browser: plain, without scripts and without anything from elsewhere.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use shared::Error;
use shared::error::describe;

/// Nothing but the page's own inline style; no scripts, no frames, forms only to us.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// How long a browser waits before it tries again while the database is away, in seconds.
const RETRY_AFTER: &str = "30";

/// An answer that is a page.
pub(super) fn page(status: StatusCode, page: &impl Template) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    match page.render() {
        Ok(html) => (status, headers, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page can't be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An error that a person sees as a page.
pub(super) struct PageError(Error);

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice {
    title: &'static str,
    text: &'static str,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self.0 {
            Error::NotFound(_) => page(
                StatusCode::NOT_FOUND,
                &Notice {
                    title: "This link leads nowhere",
                    text: "It may have been cut off or changed on its way. Try the link in the mail itself.",
                },
            ),
            Error::Unavailable(cause) => {
                tracing::error!(error = describe(&*cause), "the database is not available");
                let notice = Notice {
                    title: "Please try again in a moment",
                    text: "This link works, but we can't answer just now. Nothing has been changed.",
                };
                let mut response = page(StatusCode::SERVICE_UNAVAILABLE, &notice);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
                response
            }
            other => {
                tracing::error!(error = describe(&other), "a public request failed");
                let notice = Notice {
                    title: "Something went wrong on our side",
                    text: "Nothing has been changed. Please try again later.",
                };
                page(StatusCode::INTERNAL_SERVER_ERROR, &notice)
            }
        }
    }
}
