//! `/v1/contacts/deleted`: the bin.

use axum::Json;
use serde_json::json;
use shared::ContactId;
use shared::audience::deleted_contacts::{self, DeletedContact, Restored};

use super::contacts::Contacts;
use crate::http::{ApiResult, Caller, Id, Listing, NoContent, Page, Routes, route};

/// The routes.
pub fn routes<R: Routes<Contacts>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/contacts/deleted"), list)
        .on(route!(GET "/v1/contacts/deleted/{id}"), find)
        .on(route!(DELETE "/v1/contacts/deleted/{id}"), purge)
        .on(route!(POST "/v1/contacts/deleted/{id}/restore"), restore)
}

/// What was deleted last comes first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<DeletedContact>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = deleted_contacts::list(&caller.tx, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, DeletedContact::place)))
}

/// One contact of the bin.
async fn find(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<Json<DeletedContact>> {
    let contact = deleted_contacts::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(contact))
}

/// Takes a contact out of the bin for good, before its time.
async fn purge(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<NoContent> {
    deleted_contacts::purge(&caller.tx, id).await?;
    caller.record("contact.purged", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// Brings a contact back as it was; what was on its way to it stays stopped.
async fn restore(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<Json<Restored>> {
    let restored = deleted_contacts::restore(&caller.tx, id).await?;
    caller.record("contact.restored", id.0, &json!({"full_lists": restored.full_lists})).await?;
    caller.commit().await?;
    Ok(Json(restored))
}
