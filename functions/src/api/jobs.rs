//! `/v1/jobs`: long work, to be polled.

use axum::routing::get;
use axum::{Json, Router};
use shared::platform::jobs::{self, Job};
use shared::{Database, JobId};

use crate::http::{ApiResult, Caller, Id, Listing, Page};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new().route("/v1/jobs", get(list)).route("/v1/jobs/{id}", get(find)).with_state(db)
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
