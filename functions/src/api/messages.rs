//! `/v1/messages`: the ledger, read.

use axum::routing::get;
use axum::{Json, Router};
use shared::delivery::messages::{self, Filter, Message, MessageWithEvents};
use shared::{Database, MessageId};

use crate::http::{ApiResult, Caller, Id, Listing, Page};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new().route("/v1/messages", get(list)).route("/v1/messages/{id}", get(find)).with_state(db)
}

/// The newest messages first; filtered by what they belong to, `kind`, `state`, `from` and `to`.
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
