//! `/v1/lead-forms`: the forms that people come through by themselves.

use axum::{Json, Router};
use serde_json::json;
use shared::audience::lead_forms::{self, LeadForm, LeadFormFields, Rotation};
use shared::audience::leads::{self, FormLead};
use shared::{Database, LeadFormId, LeadId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/lead-forms"), list)
        .on(route!(POST "/v1/lead-forms"), create)
        .on(route!(GET "/v1/lead-forms/{id}"), find)
        .on(route!(GET "/v1/lead-forms/{id}/leads"), list_leads)
        .on(route!(PATCH "/v1/lead-forms/{id}"), update)
        .on(route!(DELETE "/v1/lead-forms/{id}"), delete)
        .on(route!(POST "/v1/lead-forms/{id}/rotate"), rotate)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest forms first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<LeadForm>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = lead_forms::list(&caller.tx, page.before.map(LeadFormId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |form| form.id.0)))
}

/// Makes a form, with its key.
async fn create(caller: Caller, Body(fields): Body<LeadFormFields>) -> ApiResult<Created<LeadForm>> {
    let form = lead_forms::create(&caller.tx, fields).await?;
    caller.record("lead_form.created", form.id.0, &json!({"name": form.name})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/lead-forms/{}", form.id), form))
}

/// One form, with what has become of all that came through it.
async fn find(caller: Caller, Id(id): Id<LeadFormId>) -> ApiResult<Json<LeadForm>> {
    let form = lead_forms::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(form))
}

/// Who has come through a form, the newest first.
async fn list_leads(caller: Caller, Id(id): Id<LeadFormId>, listing: Listing) -> ApiResult<Json<Page<FormLead>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = leads::list(&caller.tx, id, page.before.map(LeadId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |lead| lead.id.0)))
}

/// Changes the fields that are given; also enables and disables.
async fn update(
    caller: Caller,
    Id(id): Id<LeadFormId>,
    Body(fields): Body<LeadFormFields>,
) -> ApiResult<Json<LeadForm>> {
    let before = lead_forms::find(&caller.tx, id).await?;
    let form = lead_forms::update(&caller.tx, id, fields).await?;
    caller.record_change("lead_form.updated", id.0, &before, &form).await?;
    caller.commit().await?;
    Ok(Json(form))
}

/// Deletes a form for good; whoever came through it stays.
async fn delete(caller: Caller, Id(id): Id<LeadFormId>) -> ApiResult<NoContent> {
    lead_forms::delete(&caller.tx, id).await?;
    caller.record("lead_form.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// Gives a form another key; the present one goes on beside it for a while.
async fn rotate(caller: Caller, Id(id): Id<LeadFormId>, body: Option<Body<Rotation>>) -> ApiResult<Json<LeadForm>> {
    let rotation = body.map(|Body(rotation)| rotation).unwrap_or_default();
    let form = lead_forms::rotate(&caller.tx, id, &rotation).await?;
    let details = json!({"previous_key_ends_at": form.previous_key_ends_at});
    caller.record("lead_form.rotated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(form))
}
