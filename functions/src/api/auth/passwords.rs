//! `/v1/auth/password`: changing one, and choosing another where it is forgotten.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::platform::logins;

use super::{Address, Auth, BY_MAIL, ByMail, Redeemed, attempts, person, place};
use crate::http::openapi::{Operation, Output};
use crate::http::{ApiResult, Body, Caller, Visitor};

/// A change of a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The present one.
    present_password: String,
    /// The new one: 8 to 200 characters.
    password: String,
}

/// What came of a change.
#[derive(Serialize, JsonSchema)]
pub(super) struct Changed {
    /// Other sessions that have ended.
    sessions_ended: i64,
}

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl Output for Changed {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Self>(200, "It is done.");
        attempts(operation);
    }
}

/// Changes the password of whoever is logged in. Their other sessions end.
pub(super) async fn change(
    State(auth): State<Auth>,
    visitor: Visitor,
    caller: Caller,
    Body(change): Body<Change>,
) -> ApiResult<Changed> {
    let who = person(&caller)?;
    // Hashing takes a while, and nothing is held meanwhile.
    caller.commit().await?;
    let passwords = (change.present_password.as_str(), change.password.as_str());
    let sessions_ended = logins::change_password(&auth.entrance(), who, passwords, &place(&visitor)).await?;
    Ok(Changed { sessions_ended })
}

/// Has a mail sent by which another password is chosen.
pub(super) async fn forgot(State(auth): State<Auth>, _: Visitor, Body(asked): Body<Address>) -> ApiResult<ByMail> {
    logins::ask_for_reset(&auth.entrance(), &asked.email).await?;
    Ok(BY_MAIL)
}

/// Another password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    /// What stands behind `#token=` in the link of the mail.
    token: String,
    /// The new password: 8 to 200 characters.
    password: String,
}

/// Keeps another password, once. All sessions end.
pub(super) async fn reset(State(auth): State<Auth>, visitor: Visitor, Body(given): Body<Reset>) -> ApiResult<Redeemed> {
    logins::reset(&auth.entrance(), &given.token, &given.password, &place(&visitor)).await?;
    Ok(Redeemed)
}
