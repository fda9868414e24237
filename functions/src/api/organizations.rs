//! `/v1/organizations`: the caller's own organization, its people and its API keys.

mod invites;
mod keys;
mod members;

use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::platform::organizations::founding::{self, Founded, NewOrganization};
use shared::platform::organizations::{self, Organization, OrganizationFields, deleting};
use shared::{Database, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, Page, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/organizations"), list)
        .on(route!(POST "/v1/organizations"), create)
        .on(route!(GET "/v1/organizations/{id}"), find)
        .on(route!(PATCH "/v1/organizations/{id}"), update)
        .on(route!(POST "/v1/organizations/{id}/delete"), delete)
        .on(route!(GET "/v1/organizations/{id}/invites"), invites::list)
        .on(route!(POST "/v1/organizations/{id}/invites"), invites::create)
        .on(route!(GET "/v1/organizations/{id}/invites/{invite_id}"), invites::find)
        .on(route!(DELETE "/v1/organizations/{id}/invites/{invite_id}"), invites::revoke)
        .on(route!(POST "/v1/organizations/{id}/invites/{invite_id}/resend"), invites::resend)
        .on(route!(GET "/v1/organizations/{id}/keys"), keys::list)
        .on(route!(POST "/v1/organizations/{id}/keys"), keys::create)
        .on(route!(GET "/v1/organizations/{id}/keys/{key_id}"), keys::find)
        .on(route!(PATCH "/v1/organizations/{id}/keys/{key_id}"), keys::update)
        .on(route!(DELETE "/v1/organizations/{id}/keys/{key_id}"), keys::revoke)
        .on(route!(POST "/v1/organizations/{id}/keys/{key_id}/rotate"), keys::rotate)
        .on(route!(POST "/v1/organizations/{id}/leave"), members::leave)
        .on(route!(GET "/v1/organizations/{id}/members"), members::list)
        .on(route!(GET "/v1/organizations/{id}/members/{user_id}"), members::find)
        .on(route!(PATCH "/v1/organizations/{id}/members/{user_id}"), members::update)
        .on(route!(DELETE "/v1/organizations/{id}/members/{user_id}"), members::remove)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// What confirms a deletion.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteBody {
    /// The present slug of the organization.
    slug: String,
}

/// The organizations that the caller belongs to: a key belongs to one.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Organization>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = vec![organizations::current(&caller.tx).await?];
    caller.commit().await?;
    Ok(Json(page.page(rows, |organization| organization.id.0)))
}

/// Makes another organization, whose owner is the caller. It is recorded here and there.
async fn create(caller: Caller, Body(new): Body<NewOrganization>) -> ApiResult<Created<Founded>> {
    let (user, _) = caller.needed_person()?;
    let founded = founding::found(&caller.tx, user, new, Some(caller.request_id())).await?;
    caller.record("organization.founded", founded.id.0, &json!({"name": founded.name, "slug": founded.slug})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/organizations/{}", founded.id), founded))
}

/// The organization.
async fn find(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Organization>> {
    let organization = organizations::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(organization))
}

/// Changes the fields that are given.
async fn update(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    Body(fields): Body<OrganizationFields>,
) -> ApiResult<Json<Organization>> {
    let before = organizations::find(&caller.tx, id).await?;
    let organization = organizations::update(&caller.tx, id, fields).await?;
    caller.record_change("organization.updated", id.0, &before, &organization).await?;
    caller.commit().await?;
    Ok(Json(organization))
}

/// Begins to delete the organization.
async fn delete(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    Body(body): Body<DeleteBody>,
) -> ApiResult<Json<Organization>> {
    let (user, _) = caller.needed_person()?;
    let deletion = deleting::schedule(&caller.tx, id, &body.slug, user).await?;
    let details = json!({
        "before": {"status": "active"}, "after": {"status": "deleting"}, "delete_after": deletion.delete_after,
    });
    caller.record("organization.deleting", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(deletion.organization))
}
