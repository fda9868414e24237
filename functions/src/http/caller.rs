//! Who calls: the one way into tenant data over HTTP.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::platform::api_keys::{self, Authenticated, PresentedKey};
use shared::platform::audit::{self, Actor};
use shared::{Database, Error, OrganizationId, Tx};
use uuid::Uuid;

use super::{ApiError, ApiResult, RequestId};

/// An authenticated caller, and the open transaction of the request, which sees the caller's organization alone.
pub struct Caller {
    /// The request's transaction; end it by [`Caller::commit`].
    pub tx: Tx,
    who: Authenticated,
    request_id: String,
}

impl Caller {
    /// The organization that the credentials belong to.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.who.organization
    }

    /// People's time of this request.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.tx.now()
    }

    /// Records an act of this caller in the same transaction.
    pub async fn record(&self, action: &str, subject: Uuid, details: &Value) -> ApiResult<()> {
        let actor = Actor::ApiKey(self.who.key);
        Ok(audit::record(&self.tx, actor, action, subject, details, Some(&self.request_id)).await?)
    }

    /// Makes the request's changes durable.
    pub async fn commit(self) -> ApiResult<()> {
        Ok(self.tx.commit().await?)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Database: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let key = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(Error::Unauthorized)?;
        let key = PresentedKey::parse(key.trim())?;
        let (tx, who) = api_keys::authenticate(&Database::from_ref(state), &key).await?;
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self { tx, who, request_id })
    }
}
