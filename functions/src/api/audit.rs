//! `/v1/audit`: who did what, and when.

use axum::{Json, Router};
use serde_json::json;
use shared::Database;
use shared::platform::audit::{self, Act, Filter};

use crate::http::{ApiResult, Caller, CsvFile, Listing, Page, Routes, route};

/// Acts in one file; the details of each have a few KiB at most.
const EXPORT_MAXIMUM: i64 = 1_000;

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes.on(route!(GET "/v1/audit"), list).on(route!(GET "/v1/audit/export"), export)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest acts first; filtered by `actor`, `action`, `subject_id`, `from` and `to`.
async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Act>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = audit::list(&caller.tx, &filter, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |act| (act.created_at, act.id))))
}

/// The acts as CSV files, newest first: `x-next-cursor` asks for the next.
async fn export(caller: Caller, listing: Listing<Filter, EXPORT_MAXIMUM>) -> ApiResult<CsvFile> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = audit::list(&caller.tx, &filter, page.before, page.fetch).await?;
    caller.record("audit.exported", caller.organization().0, &json!({})).await?;
    caller.commit().await?;
    let page = page.page(rows, |act| (act.created_at, act.id));
    Ok(CsvFile { name: "audit.csv", text: audit::to_csv(&page.data)?, next_cursor: page.next_cursor })
}
