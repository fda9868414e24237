//! `/v1/leads/{key}`: what pages that everybody can read send, and programs without an account.
//!
//! The key is no secret, and no right but to this. Answers are for pages of the form's origins alone (CORS), none of them with
//! credentials, and none tells whether an address is known.

mod sent;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use shared::audience::lead_forms::LeadKey;
use shared::audience::leads::{self, OpenForm, Submission};
use shared::delivery::tokens::KeyRing;
use shared::{Database, Error};

use self::sent::{Manner, Sent};
use crate::http::openapi::{Input, Operation, Output};
use crate::http::{ApiError, ApiResult, Routes, Visitor, route};

/// Bytes of a submission: what people type into a form, and not what they attach.
const BODY_LIMIT: usize = 16 << 10;
/// Seconds for which a browser does not ask again whether a page may send.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Leads {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Hashes the networks that submissions come from, and recognizes forgotten addresses.
    pub keys: Arc<KeyRing>,
}

/// The routes.
pub fn routes<R: Routes<Leads>>(routes: R) -> R {
    routes.on(route!(POST "/v1/leads/{key}"), create).beside(route!(OPTIONS "/v1/leads/{key}"), preflight)
}

/// Serves the routes.
pub fn router(state: Leads) -> Router {
    routes(Router::new()).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(state)
}

/// Takes a submission.
async fn create(
    visitor: Visitor,
    State(state): State<Leads>,
    Key(key): Key,
    sent: Sent,
) -> ApiResult<Across<ApiResult<Received>>> {
    let admitted = leads::admit(&state.db, &state.keys, &key, visitor.address).await?;
    let form = admitted.form().clone();
    let origin = sent.origin.clone().filter(|origin| form.admits(Some(origin)));
    let answer = match sent.fields {
        Ok(fields) => {
            let submission = Submission { fields, origin: sent.origin };
            let received = admitted.receive(&state.keys, submission).await;
            received.map(|()| Received::by(sent.manner, form)).map_err(ApiError::from)
        }
        Err(error) => Err(admitted.refuse().await.map_or_else(ApiError::from, |()| error)),
    };
    Ok(Across { origin, answer })
}

/// Tells a browser whether a page may send: of the form's origins alone.
async fn preflight(
    _visitor: Visitor,
    State(state): State<Leads>,
    Key(key): Key,
    headers: HeaderMap,
) -> ApiResult<Across<Preflight>> {
    let form = leads::find_form(&state.db, &key).await?;
    let origin = sent::origin(&headers).filter(|origin| form.admits(Some(origin)));
    let Some(origin) = origin else {
        return Err(Error::Forbidden("a page of an origin that the form allows".to_owned()).into());
    };
    Ok(Across { origin: Some(origin), answer: Preflight })
}

/// The key in the path.
struct Key(LeadKey);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Error::not_found("lead form"))?;
        Ok(Self(LeadKey::parse(&text)?))
    }
}

impl Input for Key {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(404, "There is no such form, or it takes nothing any more.");
    }
}

/// An answer that a page of this origin may read.
struct Across<T> {
    origin: Option<String>,
    answer: T,
}

impl<T: IntoResponse> IntoResponse for Across<T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(origin) = self.origin.and_then(|origin| HeaderValue::try_from(origin).ok()) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let told = HeaderValue::from_static("retry-after, x-request-id");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, told);
        }
        response
    }
}

impl<T: Output> Output for Across<T> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        operation.problem(403, "The page that sends is of no origin that the form allows.");
        operation
            .problem(429, "The address or the form has had too much lately; `Retry-After` says when to come back.");
    }
}

/// What may be sent.
struct Preflight;

impl IntoResponse for Preflight {
    fn into_response(self) -> Response {
        let headers: [(HeaderName, HeaderValue); 3] = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type")),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    }
}

/// The answer to whatever was taken, whoever it is about.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceivedLead")]
struct Thanks {
    /// `accepted`.
    status: &'static str,
}

/// 202, or the form's own page for a browser that has sent the form itself.
enum Received {
    /// To a program or a script.
    Thanks,
    /// To a browser.
    Page(String),
}

impl Received {
    fn by(manner: Manner, form: OpenForm) -> Self {
        match (manner, form.thank_you_url) {
            (Manner::Form, Some(url)) => Self::Page(url),
            _ => Self::Thanks,
        }
    }
}

impl IntoResponse for Received {
    fn into_response(self) -> Response {
        match self {
            Self::Page(url) => (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response(),
            Self::Thanks => (StatusCode::ACCEPTED, Json(Thanks { status: "accepted" })).into_response(),
        }
    }
}

impl Output for Received {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Thanks>(202, "It is taken. The answer is the same whether or not the address is known.");
        operation.empty_answer(303, "It is taken; a browser that has sent the form itself goes on to the form's page.");
        operation.answer_header(303, "Location", "The form's `thank_you_url`.");
    }
}
