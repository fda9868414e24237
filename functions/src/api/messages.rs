//! `/v1/messages`: the ledger, and what a person decides about mail in doubt.

use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::delivery::messages::resolving::{self, Choice, Resolved, Selection};
use shared::delivery::messages::{self, Filter, Message, MessageWithEvents};
use shared::{Database, MessageId};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page, Routes, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/messages"), list)
        .on(route!(POST "/v1/messages/resolve"), resolve_all)
        .on(route!(GET "/v1/messages/{id}"), find)
        .on(route!(POST "/v1/messages/{id}/resolve"), resolve)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest messages first; filtered by what they belong to, `kind`, `state`, `skipped`, `from` and `to`.
async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Message>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = messages::list(&caller.tx, &filter, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |message| (message.created_at, message.id))))
}

/// One message with why it stands where it stands and what was reported of it.
async fn find(caller: Caller, Id(id): Id<MessageId>) -> ApiResult<Json<MessageWithEvents>> {
    let message = messages::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(message))
}

/// What a person has chosen.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Resolution {
    action: Choice,
}

/// Skips a message in review, or has it sent again.
async fn resolve(
    caller: Caller,
    Id(id): Id<MessageId>,
    Body(Resolution { action }): Body<Resolution>,
) -> ApiResult<Json<MessageWithEvents>> {
    let message = resolving::resolve_one(&caller.tx, id, action, caller.actor()).await?;
    caller.record(action.act(), id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(message))
}

/// The same for messages by their ids, or for those of a campaign; what can't be resolved is passed over.
async fn resolve_all(caller: Caller, Body(selection): Body<Selection>) -> ApiResult<Json<Resolved>> {
    let (action, campaign) = (selection.action, selection.campaign_id);
    let resolved = resolving::resolve(&caller.tx, selection, caller.actor()).await?;
    let subject = campaign.map_or(caller.organization().0, |campaign| campaign.0);
    caller.record(action.act(), subject, &json!({"message_ids": resolved.resolved})).await?;
    caller.commit().await?;
    Ok(Json(resolved))
}
