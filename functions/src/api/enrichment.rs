//! `/v1/enrichment`: learning about the people behind contacts.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use serde_json::json;
use shared::audience::enrichment::{
    self, EnrichmentJob, EnrichmentQueue, EnrichmentTask, NewEnrichmentJob, TaskFilter, Work,
};
use shared::{Database, EnrichmentJobId};

use crate::http::{Accepted, ApiResult, Body, Caller, Id, Listing, Page, Routes, route};

type Queue = Arc<dyn EnrichmentQueue>;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Enrichment {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Where jobs wait for whoever does them.
    pub queue: Queue,
}

/// The routes.
pub fn routes<R: Routes<Enrichment>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/enrichment/jobs"), list)
        .on(route!(POST "/v1/enrichment/jobs"), create)
        .on(route!(GET "/v1/enrichment/jobs/{id}"), find)
        .on(route!(POST "/v1/enrichment/jobs/{id}/cancel"), cancel)
        .on(route!(POST "/v1/enrichment/jobs/{id}/resume"), resume)
        .on(route!(GET "/v1/enrichment/jobs/{id}/tasks"), tasks)
}

/// Serves the routes.
pub fn router(enrichment: Enrichment) -> Router {
    routes(Router::new()).with_state(enrichment)
}

/// The newest jobs first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<EnrichmentJob>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = enrichment::list(&caller.tx, page.before.map(EnrichmentJobId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |job| job.id.0)))
}

/// Begins a job.
async fn create(
    State(queue): State<Queue>,
    caller: Caller,
    Body(new): Body<NewEnrichmentJob>,
) -> ApiResult<Accepted<EnrichmentJob>> {
    let job = enrichment::create(&caller.tx, &new).await?;
    let details = json!({"with_persona": new.with_persona, "again": new.again});
    caller.record("enrichment.started", job.id.0, &details).await?;
    hint(&queue, caller, job).await
}

/// One job with its progress.
async fn find(caller: Caller, Id(id): Id<EnrichmentJobId>) -> ApiResult<Json<EnrichmentJob>> {
    let job = enrichment::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(job))
}

/// Stops a job.
async fn cancel(caller: Caller, Id(id): Id<EnrichmentJobId>) -> ApiResult<Json<EnrichmentJob>> {
    let job = enrichment::cancel(&caller.tx, id).await?;
    caller.record("enrichment.cancelled", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(job))
}

/// Lets a cancelled job go on, or one that stands still. One that runs is left as it is.
async fn resume(
    State(queue): State<Queue>,
    caller: Caller,
    Id(id): Id<EnrichmentJobId>,
) -> ApiResult<Accepted<EnrichmentJob>> {
    let (job, goes_on) = enrichment::resume(&caller.tx, id).await?;
    if !goes_on {
        caller.commit().await?;
        return Ok(accepted(job));
    }
    caller.record("enrichment.resumed", id.0, &json!({})).await?;
    hint(&queue, caller, job).await
}

/// What came of each contact, in the order of contacts.
async fn tasks(
    caller: Caller,
    Id(id): Id<EnrichmentJobId>,
    listing: Listing<TaskFilter>,
) -> ApiResult<Json<Page<EnrichmentTask>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = enrichment::tasks(&caller.tx, id, &filter, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |task| task.contact_id)))
}

/// After the commit, so that the job is there when the hint arrives.
async fn hint(queue: &Queue, caller: Caller, job: EnrichmentJob) -> ApiResult<Accepted<EnrichmentJob>> {
    let organization = caller.organization();
    caller.commit().await?;
    queue.enqueue(organization, Work::EnrichmentJobId(job.id), Duration::ZERO).await?;
    Ok(accepted(job))
}

fn accepted(job: EnrichmentJob) -> Accepted<EnrichmentJob> {
    Accepted { path: format!("/v1/enrichment/jobs/{}", job.id), body: job }
}
