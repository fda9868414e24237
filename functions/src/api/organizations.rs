//! `/v1/organizations`: the caller's own organization and its API keys.

mod keys;

use axum::{Json, Router};
use shared::platform::organizations::{self, Organization, OrganizationFields};
use shared::{Database, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page, Routes, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/organizations"), list)
        .on(route!(GET "/v1/organizations/{id}"), find)
        .on(route!(PATCH "/v1/organizations/{id}"), update)
        .on(route!(GET "/v1/organizations/{id}/keys"), keys::list)
        .on(route!(POST "/v1/organizations/{id}/keys"), keys::create)
        .on(route!(GET "/v1/organizations/{id}/keys/{key_id}"), keys::find)
        .on(route!(PATCH "/v1/organizations/{id}/keys/{key_id}"), keys::update)
        .on(route!(DELETE "/v1/organizations/{id}/keys/{key_id}"), keys::revoke)
        .on(route!(POST "/v1/organizations/{id}/keys/{key_id}/rotate"), keys::rotate)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The organizations that the caller belongs to: a key belongs to one.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Organization>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = vec![organizations::current(&caller.tx).await?];
    caller.commit().await?;
    Ok(Json(page.page(rows, |organization| organization.id.0)))
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
