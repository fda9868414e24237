//! `/v1/auth`: accounts, logging in and out, sessions.

mod invites;
mod oidc;
mod opened;
mod passwords;
mod sessions;

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::tokens::KeyRing;
use shared::platform::logins::{self, Entrance};
use shared::platform::passwords::Hasher;
use shared::platform::sessions::Place;
use shared::platform::sign_ups::{self, NewAccount};
use shared::platform::users::{self, OwnOrganization, User, UserFields};
use shared::{Database, Error, SessionId, UserId};

use self::opened::{ByPassword, Opened};
use crate::http::openapi::{Operation, Output};
use crate::http::{ApiResult, Body, Caller, NoContent, Routes, Visitor, route};
use crate::oidc::Providers;

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Auth {
    /// The database, as the role that logs people in.
    pub db: Database,
    /// Signs what is sent.
    pub keys: Arc<KeyRing>,
    /// Hashes passwords.
    pub hasher: Arc<Hasher>,
    /// Identity providers.
    pub providers: Arc<Providers>,
    /// The public address of the installation, without a slash at the end.
    pub public_url: Arc<str>,
}

impl Auth {
    fn entrance(&self) -> Entrance<'_> {
        Entrance { db: &self.db, keys: &self.keys, hasher: &self.hasher }
    }
}

/// The routes.
pub fn routes<R: Routes<Auth>>(routes: R) -> R {
    routes
        .on(route!(POST "/v1/auth/signup"), sign_up)
        .on(route!(POST "/v1/auth/email/confirm"), confirm)
        .on(route!(POST "/v1/auth/email/resend"), resend)
        .on(route!(POST "/v1/auth/login"), log_in)
        .on(route!(POST "/v1/auth/logout"), sessions::log_out)
        .on(route!(GET "/v1/auth/me"), me)
        .on(route!(PATCH "/v1/auth/me"), update_me)
        .on(route!(GET "/v1/auth/oidc"), oidc::list)
        .on(route!(POST "/v1/auth/oidc/callback"), oidc::callback)
        .on(route!(POST "/v1/auth/oidc/start"), oidc::start)
        .on(route!(POST "/v1/auth/password"), passwords::change)
        .on(route!(POST "/v1/auth/password/forgot"), passwords::forgot)
        .on(route!(POST "/v1/auth/password/reset"), passwords::reset)
        .on(route!(GET "/v1/auth/sessions"), sessions::list)
        .on(route!(DELETE "/v1/auth/sessions"), sessions::end_others)
        .on(route!(DELETE "/v1/auth/sessions/{id}"), sessions::end)
        .on(route!(POST "/v1/auth/signup/invite"), invites::sign_up)
        .on(route!(POST "/v1/auth/switch"), sessions::switch)
}

/// Serves the routes.
pub fn router(state: Auth) -> Router {
    routes(Router::new()).with_state(state)
}

/// 202: what was asked for is done by mail, if there is anything to do. The same for whoever has an account and whoever has none.
#[derive(Serialize, JsonSchema)]
struct ByMail {
    /// A sentence for whoever has asked.
    message: &'static str,
}

const BY_MAIL: ByMail = ByMail { message: "if this address can be written to for that, a mail is on its way" };

impl IntoResponse for ByMail {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

impl Output for ByMail {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Self>(202, "What comes of it is told by mail alone.");
        attempts(operation);
    }
}

/// 204: what the token was for is done.
struct Redeemed;

impl IntoResponse for Redeemed {
    fn into_response(self) -> Response {
        NoContent.into_response()
    }
}

impl Output for Redeemed {
    fn describe(operation: &mut Operation<'_>) {
        NoContent::describe(operation);
        operation.problem(409, "The token was used, has ended, or never was one.");
    }
}

/// What a route answers to too many attempts.
fn attempts(operation: &mut Operation<'_>) {
    operation.problem(429, "There were too many attempts or requests; `Retry-After` says when to come back.");
}

/// Where somebody logs in.
fn place(visitor: &Visitor) -> Place {
    Place {
        user_agent: visitor.user_agent.clone(),
        address: Some(visitor.address),
        request_id: Some(visitor.request_id.clone()),
    }
}

/// The person who calls, and their session.
///
/// Errors: [`Error::Forbidden`] for a program, which the table of routes lets nowhere here.
fn person(caller: &Caller) -> ApiResult<(UserId, SessionId)> {
    Ok(caller.person().ok_or_else(|| Error::Forbidden("a session of a person".to_owned()))?)
}

/// Makes an account and an organization of its own, and has the address confirmed by a mail.
async fn sign_up(State(auth): State<Auth>, visitor: Visitor, Body(new): Body<NewAccount>) -> ApiResult<ByMail> {
    sign_ups::sign_up(&auth.entrance(), &new, visitor.address, Some(&visitor.request_id)).await?;
    Ok(BY_MAIL)
}

/// What somebody was sent, and what only they know.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// What stands behind `#token=` in the link of the mail.
    token: String,
    /// The password that was chosen at the sign-up.
    password: String,
}

/// 204: the address is confirmed.
struct Confirmed;

impl IntoResponse for Confirmed {
    fn into_response(self) -> Response {
        Redeemed.into_response()
    }
}

impl Output for Confirmed {
    fn describe(operation: &mut Operation<'_>) {
        Redeemed::describe(operation);
        attempts(operation);
    }
}

/// Confirms an address, once.
async fn confirm(State(auth): State<Auth>, visitor: Visitor, Body(given): Body<Confirmation>) -> ApiResult<Confirmed> {
    logins::confirm(&auth.entrance(), &given.token, &given.password, &place(&visitor)).await?;
    Ok(Confirmed)
}

/// An address.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    /// The address.
    email: String,
}

/// Has the mail sent again by which an address is confirmed.
async fn resend(State(auth): State<Auth>, _: Visitor, Body(asked): Body<Address>) -> ApiResult<ByMail> {
    logins::ask_for_confirmation(&auth.entrance(), &asked.email).await?;
    Ok(BY_MAIL)
}

/// Who logs in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The address.
    email: String,
    /// The password.
    password: String,
    /// Whether the session is kept in a cookie, for a browser, and not told in the answer.
    #[serde(default)]
    cookie: bool,
}

/// Opens a session.
async fn log_in(
    State(auth): State<Auth>,
    visitor: Visitor,
    Body(who): Body<Credentials>,
) -> ApiResult<Opened<ByPassword>> {
    let logged_in = logins::log_in(&auth.entrance(), &who.email, &who.password, &place(&visitor)).await?;
    Ok(Opened::new(logged_in, who.cookie))
}

/// Somebody, where they are logged in, and where they could be.
#[derive(Serialize, JsonSchema)]
struct Me {
    #[serde(flatten)]
    user: User,
    /// The session that asks.
    session_id: SessionId,
    /// The organization in which it works.
    organization_id: shared::OrganizationId,
    /// Where the session came in a cookie, and to GET alone: what the field `x-csrf-token` of every request that changes something must
    /// hold, for a page that was loaded anew.
    csrf_token: Option<String>,
    /// All that they belong to.
    organizations: Vec<OwnOrganization>,
}

/// Who is logged in.
async fn me(caller: Caller) -> ApiResult<Json<Me>> {
    let me = Me { csrf_token: caller.csrf_token().map(str::to_owned), ..read_me(&caller).await? };
    caller.commit().await?;
    Ok(Json(me))
}

/// Changes what somebody says of themselves.
async fn update_me(caller: Caller, Body(fields): Body<UserFields>) -> ApiResult<Json<Me>> {
    let (user, _) = person(&caller)?;
    let details = json!({"fields": fields.names()});
    users::update(&caller.tx, user, fields).await?;
    caller.record("user.updated", user.0, &details).await?;
    let me = read_me(&caller).await?;
    caller.commit().await?;
    Ok(Json(me))
}

async fn read_me(caller: &Caller) -> ApiResult<Me> {
    let (user, session_id) = person(caller)?;
    Ok(Me {
        user: users::find(&caller.tx, user).await?,
        session_id,
        organization_id: caller.organization(),
        // An answer that may be kept under an Idempotency-Key has none.
        csrf_token: None,
        organizations: users::organizations(&caller.tx, user).await?,
    })
}
