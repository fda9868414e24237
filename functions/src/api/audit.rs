//! `/v1/audit`: who did what, and when.

use axum::routing::get;
use axum::{Json, Router};
use shared::Database;
use shared::platform::audit::{self, Act, Filter};

use crate::http::{ApiResult, Caller, Listing, Page};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new().route("/v1/audit", get(list)).with_state(db)
}

/// The newest acts first; filtered by `actor`, `action`, `subject_id`, `from` and `to`.
async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Act>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = audit::list(&caller.tx, &filter, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |act| (act.created_at, act.id))))
}
