//! The parts of a request, with our own errors where they can't be read.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use shared::Error;
pub use shared::fields::{given, patched};

use super::ApiError;

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Body<T>(pub T);

/// `Option<Body<T>>`: a body that may be left out, with its content type. One that is sent must be right.
impl<S, T> OptionalFromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let body = <axum::Json<T> as OptionalFromRequest<S>>::from_request(request, state).await?;
        Ok(body.map(|axum::Json(body)| Self(body)))
    }
}

/// The query of a route that is no list. A parameter that can't be read, and one that is not known, is refused.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Parameters<T>(pub T);

/// The ids in a path, one or a tuple. Text that is no id names nothing, so it is not found.
pub struct Id<T>(pub T);

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
    ImportId,
    DomainId,
    SenderId,
    CampaignId,
    MessageId,
    JobId,
    OrganizationId,
    SuppressionId
);

impl<A: FromStr, B: FromStr> PathIds for (A, B) {
    fn read(segments: &[(String, String)]) -> Option<Self> {
        Some((segment(segments, 0)?, segment(segments, 1)?))
    }
}
