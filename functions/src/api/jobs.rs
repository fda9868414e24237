//! `/v1/jobs`: long work, to be polled.

use axum::{Json, Router};
use shared::platform::jobs::{self, Job};
use shared::{Database, JobId};

use crate::http::{ApiResult, Caller, Id, Listing, Page, Routes, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes.on(route!(GET "/v1/jobs"), list).on(route!(GET "/v1/jobs/{id}"), find)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

/// The newest jobs first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Job>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = jobs::list(&caller.tx, page.before.map(JobId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |job| job.id.0)))
}

/// One job with its progress.
async fn find(caller: Caller, Id(id): Id<JobId>) -> ApiResult<Json<Job>> {
    let job = jobs::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(job))
}
