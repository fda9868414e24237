//! `/v1/organizations/{id}/members`: who belongs to the organization.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::platform::memberships::{self, Change, KeysMade, Member, Removal, Role};
use shared::platform::organizations;
use shared::{OrganizationId, UserId};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page, Parameters};

/// What a member becomes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleBody {
    role: Role,
}

/// The members.
pub(super) async fn list(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    listing: Listing,
) -> ApiResult<Json<Page<Member>>> {
    let (_, page) = listing.read(caller.organization())?;
    organizations::check(&caller.tx, id)?;
    let rows = memberships::list(&caller.tx, page.before.map(UserId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |member| member.user_id.0)))
}

/// One member.
pub(super) async fn find(caller: Caller, Id((id, user)): Id<(OrganizationId, UserId)>) -> ApiResult<Json<Member>> {
    organizations::check(&caller.tx, id)?;
    let member = memberships::find(&caller.tx, user).await?;
    caller.commit().await?;
    Ok(Json(member))
}

/// Gives a member another role.
pub(super) async fn update(
    caller: Caller,
    Id((id, user)): Id<(OrganizationId, UserId)>,
    Body(body): Body<RoleBody>,
) -> ApiResult<Json<Member>> {
    organizations::check(&caller.tx, id)?;
    let (acting, _) = caller.needed_person()?;
    let change = memberships::change_role(&caller.tx, acting, user, body.role).await?;
    let Change { before, member, sessions_ended } = change;
    if before != member.role {
        let details = json!({
            "before": {"role": before}, "after": {"role": member.role}, "sessions_ended": sessions_ended,
        });
        caller.record("member.role_changed", user.0, &details).await?;
    }
    caller.commit().await?;
    Ok(Json(member))
}

/// What becomes of what they have made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Removing {
    /// Whether the API keys that they have made are revoked; they go on unless asked for.
    #[serde(default)]
    revoke_keys: bool,
}

/// What was done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Removed {
    /// How many of their sessions here have ended.
    sessions_ended: u64,
    /// API keys that they had made and that go on: whoever has them still gets in.
    api_keys_left: usize,
    /// API keys of theirs that were revoked.
    api_keys_revoked: usize,
}

/// Takes a member out of the organization.
pub(super) async fn remove(
    caller: Caller,
    Id((id, user)): Id<(OrganizationId, UserId)>,
    Parameters(removing): Parameters<Removing>,
) -> ApiResult<Json<Removed>> {
    organizations::check(&caller.tx, id)?;
    let (acting, _) = caller.needed_person()?;
    let keys_made = if removing.revoke_keys { KeysMade::Revoked } else { KeysMade::GoOn };
    let removal = memberships::remove(&caller.tx, acting, user, keys_made).await?;
    gone(caller, "member.removed", &removal).await
}

/// Lets the caller go.
pub(super) async fn leave(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Removed>> {
    organizations::check(&caller.tx, id)?;
    let (user, _) = caller.needed_person()?;
    let removal = memberships::leave(&caller.tx, user).await?;
    gone(caller, "member.left", &removal).await
}

async fn gone(caller: Caller, action: &str, removal: &Removal) -> ApiResult<Json<Removed>> {
    let made = removal.api_keys.as_slice();
    let (left, revoked) = match removal.keys_made {
        KeysMade::GoOn => (made, [].as_slice()),
        KeysMade::Revoked => ([].as_slice(), made),
    };
    let details = json!({
        "before": {"role": removal.member.role}, "sessions_ended": removal.sessions_ended,
        "api_keys_left": left, "api_keys_revoked": revoked,
    });
    caller.record(action, removal.member.user_id.0, &details).await?;
    caller.commit().await?;
    let sessions_ended = removal.sessions_ended;
    Ok(Json(Removed { sessions_ended, api_keys_left: left.len(), api_keys_revoked: revoked.len() }))
}
