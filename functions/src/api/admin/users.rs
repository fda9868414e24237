//! `/v1/admin/users`: people with an account, and which of them run the installation.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::UserId;
use shared::platform::administration::users::{self, Belonging, Changed, User};

use super::record;
use crate::http::{ApiResult, Caller, Id, Listing, Page};

/// Which people to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// A part of the address or of a name.
    q: Option<String>,
}

/// A person, and where they belong.
#[derive(Serialize, JsonSchema)]
pub(super) struct UserView {
    #[serde(flatten)]
    user: User,
    organizations: Vec<Belonging>,
}

/// The newest people first.
pub(super) async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<User>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = users::list(&caller.tx, filter.q.as_deref(), page.before.map(UserId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |user| user.id.0)))
}

/// One person, and where they belong.
pub(super) async fn find(caller: Caller, Id(id): Id<UserId>) -> ApiResult<Json<UserView>> {
    let user = users::find(&caller.tx, id).await?;
    let organizations = users::belongings(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(UserView { user, organizations }))
}

/// Makes somebody an administrator.
pub(super) async fn promote(caller: Caller, Id(id): Id<UserId>) -> ApiResult<Json<User>> {
    let changed = users::promote(&caller.tx, id).await?;
    done(caller, "user.promoted", changed).await
}

/// Takes somebody's right to run the installation.
pub(super) async fn demote(caller: Caller, Id(id): Id<UserId>) -> ApiResult<Json<User>> {
    let changed = users::demote(&caller.tx, id).await?;
    done(caller, "user.demoted", changed).await
}

/// Keeps somebody from logging in, and ends their sessions.
pub(super) async fn disable(caller: Caller, Id(id): Id<UserId>) -> ApiResult<Json<User>> {
    let changed = users::disable(&caller.tx, id).await?;
    done(caller, "user.disabled", changed).await
}

/// Lets somebody log in again.
pub(super) async fn enable(caller: Caller, Id(id): Id<UserId>) -> ApiResult<Json<User>> {
    let changed = users::enable(&caller.tx, id).await?;
    done(caller, "user.enabled", changed).await
}

async fn done(caller: Caller, action: &str, Changed { user, is_new }: Changed) -> ApiResult<Json<User>> {
    if is_new {
        record(&caller, action, Some(user.id.0), &json!({})).await?;
    }
    caller.commit().await?;
    Ok(Json(user))
}
