//! `/v1/admin/organizations`: the organizations of the installation. What is done to one is recorded there.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::OrganizationId;
use shared::platform::administration::organizations::{self, Administrator, Plan, Summary};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page};

/// Which organizations to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// A part of the name or the slug.
    q: Option<String>,
}

/// What changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanBody {
    plan_type: Plan,
}

/// The newest organizations first.
pub(super) async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Summary>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let before = page.before.map(OrganizationId);
    let rows = organizations::list(&caller.tx, filter.q.as_deref(), before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |organization| organization.id.0)))
}

/// One organization.
pub(super) async fn find(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Summary>> {
    let organization = organizations::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(organization))
}

/// Sets the plan.
pub(super) async fn update(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    Body(body): Body<PlanBody>,
) -> ApiResult<Json<Summary>> {
    let organization = organizations::set_plan(&caller.tx, id, body.plan_type, administrator(&caller)?).await?;
    caller.commit().await?;
    Ok(Json(organization))
}

/// Stops it.
pub(super) async fn suspend(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Summary>> {
    let organization = organizations::suspend(&caller.tx, id, administrator(&caller)?).await?;
    caller.commit().await?;
    Ok(Json(organization))
}

/// Lets it go on.
pub(super) async fn resume(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Summary>> {
    let organization = organizations::resume(&caller.tx, id, administrator(&caller)?).await?;
    caller.commit().await?;
    Ok(Json(organization))
}

fn administrator(caller: &Caller) -> ApiResult<Administrator<'_>> {
    let (user, _) = caller.needed_person()?;
    Ok(Administrator { user, request_id: Some(caller.request_id()) })
}
