//! `/v1/organizations`: the caller's own organization and its API keys.

mod keys;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use shared::platform::organizations::{self, Organization, OrganizationFields};
use shared::{Database, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new()
        .route("/v1/organizations", get(list))
        .route("/v1/organizations/{id}", get(find).patch(update))
        .route("/v1/organizations/{id}/keys", get(keys::list).post(keys::create))
        .route("/v1/organizations/{id}/keys/{key_id}", get(keys::find).patch(keys::update).delete(keys::revoke))
        .with_state(db)
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
    let details = json!({"fields": fields.names()});
    let organization = organizations::update(&caller.tx, id, fields).await?;
    caller.record("organization.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(organization))
}
