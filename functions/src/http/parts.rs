//! The parts of a request, with our own errors where they can't be read.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::json;
use shared::Error;
pub use shared::fields::{given, patched};

use super::ApiError;
use super::openapi::{Input, Operation, text};

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Body<T>(pub T);

impl<T: JsonSchema> Input for Body<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.body("application/json", Operation::read_schema::<T>());
    }
}

impl<T: JsonSchema> Input for Option<Body<T>> {
    fn describe(operation: &mut Operation<'_>) {
        Body::<T>::describe(operation);
        operation.body_is_optional();
    }
}

/// `Option<Body<T>>`: a body that may be left out, whatever its content type says, as many clients name one with every request. One
/// that is sent must be right.
impl<S, T> OptionalFromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        let request = Request::from_parts(parts, body.into());
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

/// A body of JSON, or the same as CSV.
pub enum JsonOrCsv<T> {
    /// `application/json`.
    Json(T),
    /// `text/csv` or `application/octet-stream`, as it came. The gateway carries the first as text, and so loses what is no UTF-8.
    Csv(Bytes),
}

impl<S, T> FromRequest<S> for JsonOrCsv<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = Bytes::from_request(request, state).await?;
        match media_type.as_str() {
            "text/csv" | "application/octet-stream" => Ok(Self::Csv(body)),
            "application/json" => Ok(Self::Json(axum::Json::from_bytes(&body)?.0)),
            _ => Err(ApiError::unsupported_media_type(
                "send the list as text/csv, application/octet-stream or application/json",
            )),
        }
    }
}

impl<T: JsonSchema> Input for JsonOrCsv<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.body("application/json", Operation::read_schema::<T>());
        operation.body("text/csv", text());
        operation.body("application/octet-stream", json!({"type": "string", "format": "binary"}));
    }
}

/// The query of a route that is no list. A parameter that can't be read, and one that is not known, is refused.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Parameters<T>(pub T);

impl<T: JsonSchema> Input for Parameters<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<T>();
        operation.usual_problems(&[422]);
    }
}

/// The ids in a path, one or a tuple. Text that is no id names nothing, so it is not found.
pub struct Id<T>(pub T);

impl<T> Input for Id<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.path_ids();
    }
}

/// Ids that a path can be read as.
pub trait PathIds: Sized {
    /// Reads the segments in order.
    fn read(segments: &[(String, String)]) -> Option<Self>;
}

impl<S, T> FromRequestParts<S> for Id<T>
where
    S: Send + Sync,
    T: PathIds,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segments = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let ids = segments.ok().and_then(|Path(segments)| T::read(&segments));
        Ok(Self(ids.ok_or(Error::not_found("resource"))?))
    }
}

fn segment<T: FromStr>(segments: &[(String, String)], index: usize) -> Option<T> {
    segments.get(index)?.1.parse().ok()
}

macro_rules! single_ids {
    ($($id:ident),+) => {$(
        impl PathIds for shared::$id {
            fn read(segments: &[(String, String)]) -> Option<Self> {
                segment(segments, 0)
            }
        }
    )+};
}

single_ids!(
    ContactId,
    ListId,
    TagId,
    CustomFieldId,
    ImportId,
    LeadFormId,
    DomainId,
    SegmentId,
    EnrichmentJobId,
    SenderId,
    CampaignId,
    MessageId,
    JobId,
    OrganizationId,
    SessionId,
    SuppressionId,
    UserId,
    VerificationJobId,
    WebhookDeliveryId,
    WebhookEndpointId,
    WorkflowId,
    WorkflowRunId
);

impl PathIds for shared::audience::verifications::lists::AddressList {
    fn read(segments: &[(String, String)]) -> Option<Self> {
        segment(segments, 0)
    }
}

impl<A: FromStr, B: FromStr> PathIds for (A, B) {
    fn read(segments: &[(String, String)]) -> Option<Self> {
        Some((segment(segments, 0)?, segment(segments, 1)?))
    }
}
