//! `/v1/senders`: the addresses that mail goes out from.

use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::delivery::senders::{self, NewSender, Sender, SenderFields};
use shared::{Database, SenderId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/senders"), list)
        .on(route!(POST "/v1/senders"), create)
        .on(route!(GET "/v1/senders/{id}"), find)
        .on(route!(PATCH "/v1/senders/{id}"), update)
        .on(route!(DELETE "/v1/senders/{id}"), delete)
        .on(route!(POST "/v1/senders/{id}/pause"), pause)
        .on(route!(POST "/v1/senders/{id}/resume"), resume)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest senders first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Sender>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = senders::list(&caller.tx, page.before.map(SenderId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |sender| sender.id.0)))
}

/// Makes a sender in a domain of the organization.
async fn create(caller: Caller, Body(new): Body<NewSender>) -> ApiResult<Created<Sender>> {
    let sender = senders::create(&caller.tx, new).await?;
    caller.record("sender.created", sender.id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/senders/{}", sender.id), sender))
}

/// One sender with what it has used of today.
async fn find(caller: Caller, Id(id): Id<SenderId>) -> ApiResult<Json<Sender>> {
    let sender = senders::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(sender))
}

/// Changes the fields that are given.
async fn update(caller: Caller, Id(id): Id<SenderId>, Body(fields): Body<SenderFields>) -> ApiResult<Json<Sender>> {
    let before = senders::find(&caller.tx, id).await?;
    let sender = senders::update(&caller.tx, id, fields).await?;
    caller.record_change("sender.updated", id.0, &before, &sender).await?;
    caller.commit().await?;
    Ok(Json(sender))
}

/// Why a sender is paused.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pause {
    reason: Option<String>,
}

/// Pauses a sender: what is planned or queued waits; nothing new is handed to the provider.
async fn pause(caller: Caller, Id(id): Id<SenderId>, body: Option<Body<Pause>>) -> ApiResult<Json<Sender>> {
    let reason = body.and_then(|Body(pause)| pause.reason);
    let sender = senders::pause(&caller.tx, id, reason.as_deref()).await?;
    caller.record("sender.paused", id.0, &json!({"reason": sender.paused_reason})).await?;
    caller.commit().await?;
    Ok(Json(sender))
}

/// Lets a paused or pending sender send.
async fn resume(caller: Caller, Id(id): Id<SenderId>) -> ApiResult<Json<Sender>> {
    let sender = senders::resume(&caller.tx, id).await?;
    caller.record("sender.resumed", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(sender))
}

/// Deletes a sender that was never used.
async fn delete(caller: Caller, Id(id): Id<SenderId>) -> ApiResult<NoContent> {
    senders::delete(&caller.tx, id).await?;
    caller.record("sender.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}
