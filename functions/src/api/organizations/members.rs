//! `/v1/organizations/{id}/members`: who belongs to the organization.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::platform::memberships::{self, Change, Member, Role};
use shared::platform::organizations;
use shared::{OrganizationId, UserId};

use crate::http::{ApiResult, Body, Caller, Id, Listing, NoContent, Page};

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
    let change = memberships::change_role(&caller.tx, caller.needed_role()?, user, body.role).await?;
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

/// Takes a member out of the organization.
pub(super) async fn remove(caller: Caller, Id((id, user)): Id<(OrganizationId, UserId)>) -> ApiResult<NoContent> {
    organizations::check(&caller.tx, id)?;
    let change = memberships::remove(&caller.tx, caller.needed_role()?, user).await?;
    gone(caller, "member.removed", &change).await
}

/// Lets the caller go.
pub(super) async fn leave(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<NoContent> {
    organizations::check(&caller.tx, id)?;
    let (user, _) = caller.needed_person()?;
    let change = memberships::leave(&caller.tx, user).await?;
    gone(caller, "member.left", &change).await
}

async fn gone(caller: Caller, action: &str, change: &Change) -> ApiResult<NoContent> {
    let details = json!({"before": {"role": change.before}, "sessions_ended": change.sessions_ended});
    caller.record(action, change.member.user_id.0, &details).await?;
    caller.commit().await?;
    Ok(NoContent)
}
