//! `/v1/auth/oidc`: logging in by an identity provider.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::platform::{identities, identity_providers, oidc_logins};

use super::opened::{ByProvider, Opened};
use super::{Auth, place};
use crate::http::openapi::{Operation, Output};
use crate::http::{ApiResult, Body, Visitor};

/// The pages to which providers send people back, each to one of its own that ends in its name.
const RETURN_PATH: &str = "/login/callback";

/// The providers there are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IdentityProviders")]
pub(super) struct Names {
    /// By their names.
    data: Vec<Name>,
}

/// A provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IdentityProvider")]
pub(super) struct Name {
    /// What it is called here.
    name: String,
}

/// The identity providers that people can log in by.
pub(super) async fn list(State(auth): State<Auth>, _: Visitor) -> ApiResult<Json<Names>> {
    let configured = identity_providers::read(&auth.db).await?;
    let data = configured.providers.into_iter().map(|provider| Name { name: provider.name }).collect();
    Ok(Json(Names { data }))
}

/// Which provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// Its name.
    provider: String,
}

/// A login that has begun.
#[derive(Serialize, JsonSchema)]
pub(super) struct Started {
    /// Where the person goes.
    authorization_url: String,
    /// What whoever has begun keeps, and shows at the end: the `state` in the address of a page is not enough.
    ticket: String,
}

impl IntoResponse for Started {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}

impl Output for Started {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Self>(200, "Where the person goes.");
        operation.problem(404, "There is no such identity provider.");
    }
}

/// Begins a login, for ten minutes.
pub(super) async fn start(State(auth): State<Auth>, _: Visitor, Body(start): Body<Start>) -> ApiResult<Started> {
    let configured = identity_providers::read(&auth.db).await?;
    let provider = configured.provider(&start.provider)?;
    let base = configured.console_url.as_deref().unwrap_or(&auth.public_url);
    let redirect_uri = format!("{base}{RETURN_PATH}/{}", provider.name);
    let begun = oidc_logins::begin(&auth.db, &provider.name, &redirect_uri).await?;
    let authorization_url = auth.providers.authorization_url(provider, &begun, &redirect_uri).await?;
    Ok(Started { authorization_url, ticket: begun.ticket })
}

/// What somebody comes back with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Return {
    /// The provider on whose page somebody has come back: the end of the page's path.
    provider: String,
    /// As the provider has sent it along.
    state: String,
    /// As the provider has sent it along.
    code: String,
    /// As it was told at the beginning.
    ticket: String,
    /// Whether the session is kept in a cookie, for a browser, and not told in the answer.
    #[serde(default)]
    cookie: bool,
}

/// Ends a login: opens a session for whoever the provider says it is.
pub(super) async fn callback(
    State(auth): State<Auth>,
    visitor: Visitor,
    Body(given): Body<Return>,
) -> ApiResult<Opened<ByProvider>> {
    let pending = oidc_logins::redeem(&auth.db, &given.provider, &given.state, &given.ticket).await?;
    let configured = identity_providers::read(&auth.db).await?;
    let claimed = auth.providers.claimed(configured.provider(&pending.provider)?, &pending, &given.code).await?;
    let logged_in = identities::log_in(&auth.entrance(), &claimed, &place(&visitor)).await?;
    Ok(Opened::new(logged_in, given.cookie))
}
