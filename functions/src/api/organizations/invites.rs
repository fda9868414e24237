//! `/v1/organizations/{id}/invites`: who may become a member. Whoever was sent one has `api::invites`.

use axum::Json;
use serde_json::json;
use shared::platform::invites::{self, Invite, NewInvite};
use shared::platform::organizations;
use shared::{InviteId, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, Page, created};

/// The newest invites first, ended ones too.
pub(super) async fn list(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    listing: Listing,
) -> ApiResult<Json<Page<Invite>>> {
    let (_, page) = listing.read(caller.organization())?;
    organizations::check(&caller.tx, id)?;
    let rows = invites::list(&caller.tx, page.before.map(InviteId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |invite| invite.id.0)))
}

/// Invites somebody.
pub(super) async fn create(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    Body(new): Body<NewInvite>,
) -> ApiResult<Created<Invite>> {
    organizations::check(&caller.tx, id)?;
    let (user, _) = caller.needed_person()?;
    let invite = invites::create(&caller.tx, user, &new).await?;
    let details = json!({"role": invite.role, "expires_at": invite.expires_at});
    caller.record("invite.created", invite.id.0, &details).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/organizations/{id}/invites/{}", invite.id), invite))
}

/// One invite.
pub(super) async fn find(caller: Caller, Id((id, invite)): Id<(OrganizationId, InviteId)>) -> ApiResult<Json<Invite>> {
    organizations::check(&caller.tx, id)?;
    let invite = invites::find(&caller.tx, invite).await?;
    caller.commit().await?;
    Ok(Json(invite))
}

/// Sends an invite once more.
pub(super) async fn resend(
    caller: Caller,
    Id((id, invite)): Id<(OrganizationId, InviteId)>,
) -> ApiResult<Json<Invite>> {
    organizations::check(&caller.tx, id)?;
    let (user, _) = caller.needed_person()?;
    let invite = invites::resend(&caller.tx, user, invite).await?;
    let details = json!({"mails": invite.mails, "expires_at": invite.expires_at});
    caller.record("invite.resent", invite.id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(invite))
}

/// Takes an invite back.
pub(super) async fn revoke(
    caller: Caller,
    Id((id, invite)): Id<(OrganizationId, InviteId)>,
) -> ApiResult<Json<Invite>> {
    organizations::check(&caller.tx, id)?;
    let (user, _) = caller.needed_person()?;
    let invite = invites::revoke(&caller.tx, user, invite).await?;
    caller.record("invite.revoked", invite.id.0, &json!({"role": invite.role})).await?;
    caller.commit().await?;
    Ok(Json(invite))
}
