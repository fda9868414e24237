//! `/v1/senders`: the addresses that mail goes out from.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use shared::delivery::senders::{self, NewSender, Sender, SenderFields};
use shared::{Database, SenderId};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page, created};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new()
        .route("/v1/senders", get(list).post(create))
        .route("/v1/senders/{id}", get(find).patch(update).delete(delete))
        .route("/v1/senders/{id}/pause", post(pause))
        .route("/v1/senders/{id}/resume", post(resume))
        .with_state(db)
}

/// The newest senders first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Sender>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = senders::list(&caller.tx, page.before.map(SenderId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |sender| sender.id.0)))
}

/// Makes a sender in a domain of the organization.
async fn create(caller: Caller, Body(new): Body<NewSender>) -> ApiResult<impl IntoResponse> {
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
    let details = json!({"fields": fields.names()});
    let sender = senders::update(&caller.tx, id, fields).await?;
    caller.record("sender.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(sender))
}

/// Why a sender is paused.
#[derive(Default, Deserialize)]
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
async fn delete(caller: Caller, Id(id): Id<SenderId>) -> ApiResult<StatusCode> {
    senders::delete(&caller.tx, id).await?;
    caller.record("sender.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
