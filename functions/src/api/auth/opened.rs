//! A session that has just been opened: told in the answer for a program, or kept in a cookie for a browser.

use std::marker::PhantomData;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use shared::UserId;
use shared::platform::csrf;
use shared::platform::logins::LoggedIn;
use shared::platform::sessions::{COOKIE, Session};

use super::attempts;
use crate::http::openapi::{Operation, Output};
use crate::http::{Created, created};

/// What every value of it goes with: scripts don't read it, and other sites' forms don't send it.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";
/// As long as a session lasts at most, in seconds. The session itself decides.
const MAX_AGE: u32 = 30 * 86_400;

/// Whoever is logged in, and their session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenedSession")]
pub(super) struct Answer {
    /// Who.
    user_id: UserId,
    /// The session.
    session: Session,
    /// The token of the session, shown this once; null where it is in the cookie.
    token: Option<String>,
    /// Where it is in the cookie: what the field `x-csrf-token` of every request that changes something must hold.
    csrf_token: Option<String>,
}

/// By what a session is opened: its answers to what is wrong differ.
pub(super) trait Way {
    /// Describes them.
    fn describe(operation: &mut Operation<'_>);
}

/// By address and password.
pub(super) struct ByPassword;

impl Way for ByPassword {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(401, "Address or password are wrong, or the address is not confirmed.");
        operation.problem(409, "All organizations that they belong to are suspended or being deleted.");
        attempts(operation);
    }
}

/// By the link of an invite.
pub(super) struct ByInvite;

impl Way for ByInvite {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(404, "The link leads to no invite.");
        operation.problem(409, "The invite was used, was taken back or has expired, or its address has an account.");
        attempts(operation);
    }
}

/// By what an identity provider says.
pub(super) struct ByProvider;

impl Way for ByProvider {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(404, "There is no such identity provider any more.");
        operation
            .problem(409, "The login is not under way any more, the provider refuses it, or it leads to no account.");
    }
}

/// By a session in another organization.
pub(super) struct BySession;

impl Way for BySession {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(404, "They do not belong to this organization.");
    }
}

/// 201 with a session.
pub(super) struct Opened<W> {
    answer: Created<Answer>,
    cookie: Option<String>,
    way: PhantomData<W>,
}

impl<W> Opened<W> {
    pub(super) fn new(LoggedIn { user_id, session, token }: LoggedIn, in_cookie: bool) -> Self {
        let path = format!("/v1/auth/sessions/{}", session.id);
        let cookie = in_cookie.then(|| format!("{COOKIE}={token}; Max-Age={MAX_AGE}; {ATTRIBUTES}"));
        let csrf_token = in_cookie.then(|| csrf::token(&token));
        let answer = Answer { user_id, session, token: (!in_cookie).then_some(token), csrf_token };
        Self { answer: created(path, answer).showing_once(&["/token", "/csrf_token"]), cookie, way: PhantomData }
    }
}

impl<W> IntoResponse for Opened<W> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(cookie) = self.cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl<W: Way> Output for Opened<W> {
    fn describe(operation: &mut Operation<'_>) {
        Created::<Answer>::describe(operation);
        W::describe(operation);
    }
}

/// Has a browser forget the cookie.
pub(super) fn forgotten() -> String {
    format!("{COOKIE}=; Max-Age=0; {ATTRIBUTES}")
}
