//! `/v1/contacts`: the people an organization may write to.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use shared::audience::contacts::{self, Contact, ContactFields, ContactInFull, Filter};
use shared::{ContactId, Database};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page, created};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new()
        .route("/v1/contacts", get(list).post(create))
        .route("/v1/contacts/{id}", get(find).patch(update).delete(delete))
        .with_state(db)
}

/// The newest contacts first; filtered by `email`, `email_prefix`, `list_id` and `status`.
async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Contact>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = contacts::list(&caller.tx, &filter, page.before.map(ContactId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |contact| contact.id.0)))
}

/// Makes a contact.
async fn create(caller: Caller, Body(fields): Body<ContactFields>) -> ApiResult<impl IntoResponse> {
    let contact = contacts::create(&caller.tx, fields).await?;
    caller.record("contact.created", contact.id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/contacts/{}", contact.id), contact))
}

/// One contact with its lists and its imported row.
async fn find(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<Json<ContactInFull>> {
    let contact = contacts::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(contact))
}

/// Changes the fields that are given.
async fn update(caller: Caller, Id(id): Id<ContactId>, Body(fields): Body<ContactFields>) -> ApiResult<Json<Contact>> {
    let details = json!({"fields": fields.names()});
    let contact = contacts::update(&caller.tx, id, fields).await?;
    caller.record("contact.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(contact))
}

/// Deletes a contact and takes back what is queued for it; suppressions stay.
async fn delete(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<StatusCode> {
    contacts::delete(&caller.tx, id).await?;
    caller.record("contact.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
