//! `/v1/auth/signup/invite`: an account by the link of an invite.

use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::platform::sign_ups::by_invite::{self, NewMember};

use super::opened::{ByInvite, Opened};
use super::{Auth, place};
use crate::http::{ApiResult, Body, Visitor};

/// Somebody who was invited and has no account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invited {
    /// What stands behind `#token=` in the link of the mail.
    token: String,
    /// The password: 8 to 200 characters.
    password: String,
    /// The first name.
    first_name: Option<String>,
    /// The last name.
    last_name: Option<String>,
    /// Whether the session is kept in a cookie, for a browser, and not told in the answer.
    #[serde(default)]
    cookie: bool,
}

/// Makes an account with the address that was invited, which the link shows to be theirs, and opens a session where they were invited.
pub(super) async fn sign_up(
    State(auth): State<Auth>,
    visitor: Visitor,
    Body(invited): Body<Invited>,
) -> ApiResult<Opened<ByInvite>> {
    let new = NewMember {
        token: &invited.token,
        password: &invited.password,
        first_name: invited.first_name.as_deref(),
        last_name: invited.last_name.as_deref(),
    };
    let logged_in = by_invite::sign_up(&auth.entrance(), &new, &place(&visitor)).await?;
    Ok(Opened::new(logged_in, invited.cookie))
}
