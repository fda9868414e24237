//! Who calls: the one way into tenant data over HTTP.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::platform::api_keys::{self, Authenticated, PresentedKey};
use shared::platform::audit::{self, Actor};
use shared::platform::idempotency::{self, Attempt};
use shared::{ApiKeyId, Database, Error, OrganizationId, Tx};
use uuid::Uuid;

use super::idempotency::Keyed;
use super::rate_limits::Noted;
use super::{ApiError, ApiResult, RequestId};

/// An authenticated caller, and the open transaction of the request, which sees the caller's organization alone.
pub struct Caller {
    /// The request's transaction; end it by [`Caller::commit`].
    pub tx: Tx,
    who: Authenticated,
    request_id: String,
    attempt: Option<Attempt>,
}

impl Caller {
    /// The organization that the credentials belong to.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.who.organization
    }

    /// The key that the caller has shown.
    #[must_use]
    pub fn key(&self) -> ApiKeyId {
        self.who.key
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

    /// Makes the request's changes durable. In the same transaction an `Idempotency-Key` is marked as carried out.
    ///
    /// Errors: 409 when another attempt has taken the key over.
    pub async fn commit(self) -> ApiResult<()> {
        if let Some(attempt) = &self.attempt {
            idempotency::commit(&self.tx, attempt).await?;
        }
        Ok(self.tx.commit().await?)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Database: FromRef<S>,
{
    // Not always an error: a request that was answered before is answered here again.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let db = Database::from_ref(state);
        let (tx, who) = authenticate(&db, parts).await.map_err(IntoResponse::into_response)?;
        let (tx, attempt) = match parts.extensions.get::<Keyed>() {
            None => (tx, None),
            Some(keyed) => {
                tx.rollback().await.map_err(|error| ApiError::from(error).into_response())?;
                let (tx, attempt) = keyed.claim(&db, who.organization).await?;
                (tx, Some(attempt))
            }
        };
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self { tx, who, request_id, attempt })
    }
}

/// Errors: 401, and 429 when the key has used up its requests.
async fn authenticate(db: &Database, parts: &Parts) -> ApiResult<(Tx, Authenticated)> {
    let key = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(Error::Unauthorized)?;
    let (tx, who) = api_keys::authenticate(db, &PresentedKey::parse(key.trim())?).await?;
    if let Some(noted) = parts.extensions.get::<Noted>() {
        noted.note(who.standing);
    }
    if who.standing.is_exceeded() {
        tx.rollback().await?;
        return Err(ApiError::too_many_requests());
    }
    Ok((tx, who))
}
