//! `/v1/auth/sessions`: where somebody is logged in, in all of their organizations.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::platform::logins;
use shared::platform::sessions::Session;
use shared::{Error, OrganizationId, SessionId};

use super::opened::{BySession, Opened, forgotten};
use super::{Auth, person, place};
use crate::http::openapi::{Operation, Output};
use crate::http::{ApiResult, Body, Caller, Id, NoContent, Visitor};

/// The open sessions of somebody.
#[derive(Serialize, JsonSchema)]
pub(super) struct Sessions {
    /// The one used last first.
    data: Vec<Session>,
}

/// The sessions of whoever is logged in.
pub(super) async fn list(caller: Caller) -> ApiResult<Json<Sessions>> {
    let (user, _) = person(&caller)?;
    let data = logins::list(&caller.tx, user).await?;
    caller.commit().await?;
    Ok(Json(Sessions { data }))
}

/// 204, and a browser forgets the cookie.
pub(super) struct LoggedOut;

impl IntoResponse for LoggedOut {
    fn into_response(self) -> Response {
        let mut response = NoContent.into_response();
        if let Ok(cookie) = HeaderValue::try_from(forgotten()) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl Output for LoggedOut {
    fn describe(operation: &mut Operation<'_>) {
        NoContent::describe(operation);
    }
}

/// Ends the session that asks.
pub(super) async fn log_out(caller: Caller) -> ApiResult<LoggedOut> {
    let (user, session) = person(&caller)?;
    logins::end(&caller.tx, user, Some(session), None).await?;
    caller.record("session.ended", session.0, &json!({})).await?;
    caller.commit().await?;
    Ok(LoggedOut)
}

/// Ends one session of whoever is logged in.
pub(super) async fn end(caller: Caller, Id(id): Id<SessionId>) -> ApiResult<NoContent> {
    let (user, _) = person(&caller)?;
    if logins::end(&caller.tx, user, Some(id), None).await? == 0 {
        return Err(Error::not_found("session").into());
    }
    caller.record("session.ended", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// How many sessions have ended.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EndedSessions")]
pub(super) struct Ended {
    /// Their number.
    ended: i64,
}

/// Ends all sessions of whoever is logged in but the one that asks.
pub(super) async fn end_others(caller: Caller) -> ApiResult<Json<Ended>> {
    let (user, session) = person(&caller)?;
    let ended = logins::end(&caller.tx, user, None, Some(session)).await?;
    caller.record("sessions.ended", user.0, &json!({"ended": ended})).await?;
    caller.commit().await?;
    Ok(Json(Ended { ended }))
}

/// Where somebody goes on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// One of their organizations.
    to: OrganizationId,
    /// Whether the session is kept in a cookie, for a browser, and not told in the answer.
    #[serde(default)]
    cookie: bool,
}

/// Goes on in another organization: with a new session, and the one that asks has ended.
pub(super) async fn switch(
    State(auth): State<Auth>,
    visitor: Visitor,
    caller: Caller,
    Body(switch): Body<Switch>,
) -> ApiResult<Opened<BySession>> {
    let (user, session) = person(&caller)?;
    let from = (caller.organization(), session);
    // The transaction sees one organization; the next one sees both.
    caller.commit().await?;
    let logged_in = logins::switch(&auth.db, user, from, switch.to, &place(&visitor)).await?;
    Ok(Opened::new(logged_in, switch.cookie))
}
