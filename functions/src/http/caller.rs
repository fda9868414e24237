//! Who calls: the one way into tenant data over HTTP.

use axum::extract::{FromRef, FromRequestParts, MatchedPath};
use axum::http::HeaderName;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::platform::audit::{self, Actor};
use shared::platform::credentials::{self, Credential, Principal, Rights};
use shared::platform::csrf;
use shared::platform::idempotency::{self, Attempt};
use shared::platform::memberships::Role;
use shared::platform::sessions;
use shared::{ApiKeyId, Database, Error, OrganizationId, SessionId, Tx, UserId};
use uuid::Uuid;

use super::idempotency::Keyed;
use super::openapi::{Input, Operation};
use super::rate_limits::Noted;
use super::{ApiError, ApiResult, RequestId, access};

/// Where a script sends the token beside a session's cookie.
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// An authenticated caller, and the open transaction of the request, which sees the caller's organization alone.
pub struct Caller {
    /// The request's transaction; end it by [`Caller::commit`].
    pub tx: Tx,
    who: Principal,
    request_id: String,
    attempt: Option<Attempt>,
    csrf_token: Option<String>,
}

impl Caller {
    /// The organization that the credentials belong to.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.who.organization
    }

    /// Who it is, and what they may do.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.who.rights
    }

    /// Who it is, for the record.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self.who.rights {
            Rights::Key { id, .. } => Actor::ApiKey(id),
            Rights::Person { user, .. } => Actor::User(user),
        }
    }

    /// The key that the caller has shown, where it is a program.
    #[must_use]
    pub fn key(&self) -> Option<ApiKeyId> {
        match self.who.rights {
            Rights::Key { id, .. } => Some(id),
            Rights::Person { .. } => None,
        }
    }

    /// The id of the person or of the key.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.key().map(|key| key.0).or_else(|| self.person().map(|(user, _)| user.0))
    }

    /// The person who is logged in, and where.
    #[must_use]
    pub fn person(&self) -> Option<(UserId, SessionId)> {
        match self.who.rights {
            Rights::Person { user, session, .. } => Some((user, session)),
            Rights::Key { .. } => None,
        }
    }

    /// What the caller is in the organization, where it is a person.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.who.rights {
            Rights::Person { role, .. } => Some(role),
            Rights::Key { .. } => None,
        }
    }

    /// The person who is logged in, for a route that is for people alone.
    ///
    /// Errors: 403 for a program.
    pub fn needed_person(&self) -> ApiResult<(UserId, SessionId)> {
        Ok(self.person().ok_or_else(|| Error::Forbidden("a session of a person".to_owned()))?)
    }

    /// What that person is in the organization.
    ///
    /// Errors: 403 for a program.
    pub fn needed_role(&self) -> ApiResult<Role> {
        Ok(self.role().ok_or_else(|| Error::Forbidden("a session of a person".to_owned()))?)
    }

    /// Where the session came in a cookie: what has to come beside it with everything that changes something.
    #[must_use]
    pub fn csrf_token(&self) -> Option<&str> {
        self.csrf_token.as_deref()
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// People's time of this request.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.tx.now()
    }

    /// Records an act of this caller in the same transaction.
    pub async fn record(&self, action: &str, subject: Uuid, details: &Value) -> ApiResult<()> {
        Ok(audit::record(&self.tx, self.actor(), action, subject, details, Some(&self.request_id)).await?)
    }

    /// Records a change of something, with the fields that differ as they were and as they are.
    pub async fn record_change<T: Serialize>(
        &self,
        action: &str,
        subject: Uuid,
        before: &T,
        after: &T,
    ) -> ApiResult<()> {
        self.record(action, subject, &audit::change(before, after)?).await
    }

    /// Lets the request's transaction end, so that none is open while somebody else is asked; what was written so far stays. A key
    /// under which the request came is not carried out by that.
    pub async fn wait(self) -> ApiResult<Waiting> {
        let Self { tx, who, request_id, attempt, csrf_token } = self;
        tx.commit().await?;
        Ok(Waiting { who, request_id, attempt, csrf_token })
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

/// A caller whose request has no transaction at the moment.
pub struct Waiting {
    who: Principal,
    request_id: String,
    attempt: Option<Attempt>,
    csrf_token: Option<String>,
}

impl Waiting {
    /// The organization that the credentials belong to.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.who.organization
    }

    /// Opens the transaction for the rest of the request's work.
    pub async fn go_on(self, db: &Database) -> ApiResult<Caller> {
        let Self { who, request_id, attempt, csrf_token } = self;
        let tx = db.begin(who.organization).await?;
        Ok(Caller { tx, who, request_id, attempt, csrf_token })
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
        let presented = Presented::read(parts).map_err(|error| ApiError::from(error).into_response())?;
        let (tx, who) = authenticate(&db, &presented.credential, parts).await.map_err(IntoResponse::into_response)?;
        let (tx, attempt) = match parts.extensions.get::<Keyed>() {
            None => (tx, None),
            Some(keyed) => {
                tx.rollback().await.map_err(|error| ApiError::from(error).into_response())?;
                let (tx, attempt) = keyed.claim(&db, &who).await?;
                (tx, Some(attempt))
            }
        };
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self { tx, who, request_id, attempt, csrf_token: presented.csrf_token })
    }
}

impl Input for Caller {
    fn describe(operation: &mut Operation<'_>) {
        operation.caller();
    }
}

/// What a request was sent with.
struct Presented {
    credential: Credential,
    csrf_token: Option<String>,
}

impl Presented {
    fn read(parts: &Parts) -> shared::Result<Self> {
        match bearer(parts) {
            Some(text) => Ok(Self { credential: Credential::parse(text)?, csrf_token: None }),
            None => session_cookie(parts),
        }
    }
}

/// Errors: 401, 429 when the credentials have used up their requests, 403 where they do not allow the route.
async fn authenticate(db: &Database, credential: &Credential, parts: &Parts) -> ApiResult<(Tx, Principal)> {
    let (tx, who) = credentials::authenticate(db, credential).await?;
    if let Some(noted) = parts.extensions.get::<Noted>() {
        noted.note(who.standing);
    }
    if who.standing.is_exceeded() {
        tx.rollback().await?;
        return Err(ApiError::too_many_requests());
    }
    if let Some(used_up) = &who.used_up {
        tx.rollback().await?;
        return Err(ApiError::used_up(used_up));
    }
    if let Err(error) = authorize(parts, &who.rights) {
        tx.rollback().await?;
        return Err(error.into());
    }
    Ok((tx, who))
}

/// The route's row says who may call it. One without a row is for nobody.
fn authorize(parts: &Parts, rights: &Rights) -> shared::Result<()> {
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let route = access::matched(&parts.method, path);
    route.ok_or_else(|| Error::internal(format!("the table of routes has no {path}")))?.check(rights)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

/// The session of a browser, by its cookie. What changes something also needs the token that our own pages send beside it: the
/// cookie alone comes with what other sites make a browser send.
///
/// Errors: 401 without a cookie, 403 without its token.
fn session_cookie(parts: &Parts) -> shared::Result<Presented> {
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(sessions::COOKIE)?.strip_prefix('='));
    let token = values.next().ok_or(Error::Unauthorized)?;
    let credential = Credential::parse(token)?;
    if !credential.is_session() || values.next().is_some() {
        return Err(Error::Unauthorized);
    }
    let sent = parts.headers.get(CSRF_TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !parts.method.is_safe() && !csrf::is_valid(token, sent) {
        return Err(Error::Forbidden(format!("beside a session's cookie its token in {CSRF_TOKEN}")));
    }
    Ok(Presented { credential, csrf_token: Some(csrf::token(token)) })
}
