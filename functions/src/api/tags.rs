//! `/v1/tags`: short names that contacts have.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::TagId;
use shared::audience::tags::{self, Tag};

use super::contacts::Contacts;
use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Contacts>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/tags"), list)
        .on(route!(POST "/v1/tags"), create)
        .on(route!(GET "/v1/tags/{id}"), find)
        .on(route!(PATCH "/v1/tags/{id}"), update)
        .on(route!(DELETE "/v1/tags/{id}"), delete)
}

/// What a tag is called.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TagFields")]
struct Fields {
    #[schemars(length(min = 1, max = tags::NAME_MAXIMUM))]
    name: String,
}

/// The newest tags first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Tag>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = tags::list(&caller.tx, page.before.map(TagId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |tag| tag.id.0)))
}

/// Makes a tag.
async fn create(caller: Caller, Body(fields): Body<Fields>) -> ApiResult<Created<Tag>> {
    let tag = tags::create(&caller.tx, &fields.name).await?;
    caller.record("tag.created", tag.id.0, &json!({"name": tag.name})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/tags/{}", tag.id), tag))
}

/// One tag, with how many contacts have it.
async fn find(caller: Caller, Id(id): Id<TagId>) -> ApiResult<Json<Tag>> {
    let tag = tags::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(tag))
}

/// Gives a tag another name.
async fn update(caller: Caller, Id(id): Id<TagId>, Body(fields): Body<Fields>) -> ApiResult<Json<Tag>> {
    let before = tags::find(&caller.tx, id).await?;
    let tag = tags::rename(&caller.tx, id, &fields.name).await?;
    caller.record_change("tag.updated", id.0, &before, &tag).await?;
    caller.commit().await?;
    Ok(Json(tag))
}

/// Deletes a tag, which takes it from whoever has it.
async fn delete(caller: Caller, Id(id): Id<TagId>) -> ApiResult<NoContent> {
    tags::delete(&caller.tx, id).await?;
    caller.record("tag.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}
