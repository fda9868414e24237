//! `/v1/organizations/{id}/exports`: all data of an organization, for its owners.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use serde_json::json;
use shared::platform::exports::{self, ArchiveStore, Export};
use shared::platform::jobs::{Job, JobQueue};
use shared::platform::organizations;
use shared::{Database, JobId, OrganizationId};

use crate::http::{Accepted, ApiResult, Caller, Id, Routes, route};

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Exports {
    /// As the role of tenant work.
    pub db: Database,
    /// Where archives lie.
    pub store: Arc<dyn ArchiveStore>,
    /// Where jobs wait for their runner.
    pub queue: Arc<dyn JobQueue>,
}

/// The routes.
pub fn routes<R: Routes<Exports>>(routes: R) -> R {
    routes
        .on(route!(POST "/v1/organizations/{id}/exports"), create)
        .on(route!(GET "/v1/organizations/{id}/exports/{job_id}"), find)
}

/// Serves the routes.
pub fn router(state: Exports) -> Router {
    routes(Router::new()).with_state(state)
}

/// Begins to write an archive, or tells of the one that is being written.
async fn create(State(state): State<Exports>, caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Accepted<Job>> {
    organizations::check(&caller.tx, id)?;
    let job = exports::create(&caller.tx).await?;
    caller.record("organization.export_asked_for", id.0, &json!({"job_id": job.id})).await?;
    caller.commit().await?;
    // After the commit, so that the job is there when the hint arrives. Asking again repeats a hint that was lost.
    state.queue.enqueue(id, job.id).await?;
    Ok(Accepted { path: format!("/v1/organizations/{id}/exports/{}", job.id), body: job })
}

/// One export with its progress, and a link to the archive once there is one.
async fn find(
    State(state): State<Exports>,
    caller: Caller,
    Id((id, job)): Id<(OrganizationId, JobId)>,
) -> ApiResult<Json<Export>> {
    organizations::check(&caller.tx, id)?;
    let export = exports::find(&caller.tx, &*state.store, job).await?;
    if export.download_url.is_some() {
        caller.record("organization.export_opened", id.0, &json!({"job_id": job})).await?;
    }
    caller.commit().await?;
    Ok(Json(export))
}
