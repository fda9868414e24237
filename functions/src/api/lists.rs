//! `/v1/lists`: named groups of contacts.

use axum::{Json, Router};
use serde_json::json;
use shared::audience::contacts::Contact;
use shared::audience::lists::{self, Added, List, ListFields, NewMembers};
use shared::{ContactId, Database, ListId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/lists"), list)
        .on(route!(POST "/v1/lists"), create)
        .on(route!(GET "/v1/lists/{id}"), find)
        .on(route!(PATCH "/v1/lists/{id}"), update)
        .on(route!(DELETE "/v1/lists/{id}"), delete)
        .on(route!(GET "/v1/lists/{id}/members"), members)
        .on(route!(POST "/v1/lists/{id}/members"), add_members)
        .on(route!(DELETE "/v1/lists/{id}/members/{contact_id}"), remove_member)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest lists first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<List>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = lists::list(&caller.tx, page.before.map(ListId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |list| list.id.0)))
}

/// Makes a list.
async fn create(caller: Caller, Body(fields): Body<ListFields>) -> ApiResult<Created<List>> {
    let list = lists::create(&caller.tx, fields).await?;
    caller.record("list.created", list.id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/lists/{}", list.id), list))
}

/// One list.
async fn find(caller: Caller, Id(id): Id<ListId>) -> ApiResult<Json<List>> {
    let list = lists::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(list))
}

/// Changes the fields that are given.
async fn update(caller: Caller, Id(id): Id<ListId>, Body(fields): Body<ListFields>) -> ApiResult<Json<List>> {
    let before = lists::find(&caller.tx, id).await?;
    let list = lists::update(&caller.tx, id, fields).await?;
    caller.record_change("list.updated", id.0, &before, &list).await?;
    caller.commit().await?;
    Ok(Json(list))
}

/// Deletes a list that nothing is about to use; its contacts stay.
async fn delete(caller: Caller, Id(id): Id<ListId>) -> ApiResult<NoContent> {
    lists::delete(&caller.tx, id).await?;
    caller.record("list.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// The newest members first.
async fn members(caller: Caller, Id(id): Id<ListId>, listing: Listing) -> ApiResult<Json<Page<Contact>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = lists::members(&caller.tx, id, page.before.map(ContactId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |contact| contact.id.0)))
}

/// Puts contacts on a list, by id or address.
async fn add_members(caller: Caller, Id(id): Id<ListId>, Body(members): Body<NewMembers>) -> ApiResult<Json<Added>> {
    let added = lists::add_members(&caller.tx, id, members).await?;
    caller.record("list.members_added", id.0, &json!({"added": added.added})).await?;
    caller.commit().await?;
    Ok(Json(added))
}

/// Takes a contact off a list.
async fn remove_member(caller: Caller, Id((id, contact)): Id<(ListId, ContactId)>) -> ApiResult<NoContent> {
    lists::remove_member(&caller.tx, id, contact).await?;
    caller.record("list.member_removed", id.0, &json!({"contact_id": contact})).await?;
    caller.commit().await?;
    Ok(NoContent)
}
