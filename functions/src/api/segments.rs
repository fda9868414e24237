//! `/v1/segments`: groups of contacts that are said by conditions.

use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::audience::contacts::Contact;
use shared::audience::segments::text::TEXT_MAXIMUM;
use shared::audience::segments::{self, Count, Preview, Segment, SegmentFields};
use shared::{ContactId, Database, SegmentId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Parameters, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/segments"), list)
        .on(route!(POST "/v1/segments"), create)
        .on(route!(GET "/v1/segments/preview"), preview_filter)
        .on(route!(GET "/v1/segments/{id}"), find)
        .on(route!(PATCH "/v1/segments/{id}"), update)
        .on(route!(DELETE "/v1/segments/{id}"), delete)
        .on(route!(GET "/v1/segments/{id}/count"), count)
        .on(route!(GET "/v1/segments/{id}/members"), members)
        .on(route!(GET "/v1/segments/{id}/preview"), preview)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest segments first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Segment>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = segments::list(&caller.tx, page.before.map(SegmentId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |segment| segment.id.0)))
}

/// Makes a segment.
async fn create(caller: Caller, Body(fields): Body<SegmentFields>) -> ApiResult<Created<Segment>> {
    let segment = segments::create(&caller.tx, fields).await?;
    caller.record("segment.created", segment.id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/segments/{}", segment.id), segment))
}

/// Who is asked about, in the text form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[schemars(length(min = 1, max = TEXT_MAXIMUM))]
    filter: String,
}

/// How many people a filter means that no segment has yet, and the newest of them.
async fn preview_filter(caller: Caller, Parameters(asked): Parameters<Asked>) -> ApiResult<Json<Preview>> {
    let preview = segments::preview_filter(&caller.tx, &asked.filter).await?;
    caller.commit().await?;
    Ok(Json(preview))
}

/// One segment.
async fn find(caller: Caller, Id(id): Id<SegmentId>) -> ApiResult<Json<Segment>> {
    let segment = segments::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(segment))
}

/// Changes the fields that are given.
async fn update(caller: Caller, Id(id): Id<SegmentId>, Body(fields): Body<SegmentFields>) -> ApiResult<Json<Segment>> {
    let segment = segments::update(&caller.tx, id, fields).await?;
    caller.record("segment.updated", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(segment))
}

/// Deletes a segment that nothing is about to use; its people stay.
async fn delete(caller: Caller, Id(id): Id<SegmentId>) -> ApiResult<NoContent> {
    segments::delete(&caller.tx, id).await?;
    caller.record("segment.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// How many people are in a segment at this moment.
async fn count(caller: Caller, Id(id): Id<SegmentId>) -> ApiResult<Json<Count>> {
    let count = segments::count(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(count))
}

/// Who is in a segment at this moment, the newest first.
async fn members(caller: Caller, Id(id): Id<SegmentId>, listing: Listing) -> ApiResult<Json<Page<Contact>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = segments::members(&caller.tx, id, page.before.map(ContactId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |contact| contact.id.0)))
}

/// How many people are in a segment at this moment, and the newest of them.
async fn preview(caller: Caller, Id(id): Id<SegmentId>) -> ApiResult<Json<Preview>> {
    let preview = segments::preview(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(preview))
}
