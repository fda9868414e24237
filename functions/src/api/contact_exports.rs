//! `/v1/contacts/exports`: contacts as a CSV file.

use axum::Json;
use axum::extract::State;
use serde_json::json;
use shared::JobId;
use shared::audience::contact_exports::{self, ContactExport, NewContactExport};
use shared::platform::jobs::Job;

use super::contacts::{Contacts, Queue, Store};
use crate::http::{Accepted, ApiResult, Body, Caller, Id, Routes, route};

/// The routes.
pub fn routes<R: Routes<Contacts>>(routes: R) -> R {
    routes.on(route!(POST "/v1/contacts/exports"), create).on(route!(GET "/v1/contacts/exports/{job_id}"), find)
}

/// Begins to write a file.
async fn create(
    caller: Caller,
    State(queue): State<Queue>,
    Body(asked): Body<NewContactExport>,
) -> ApiResult<Accepted<Job>> {
    let job = contact_exports::create(&caller.tx, asked).await?;
    caller.record("contacts.export_asked_for", job.id.0, &json!({"total": job.total})).await?;
    let organization = caller.organization();
    caller.commit().await?;
    queue.enqueue(organization, job.id).await?;
    Ok(Accepted { path: format!("/v1/contacts/exports/{}", job.id), body: job })
}

/// One export with its progress, and a link to the file once there is one.
async fn find(caller: Caller, State(store): State<Store>, Id(id): Id<JobId>) -> ApiResult<Json<ContactExport>> {
    let export = contact_exports::find(&caller.tx, &*store, id).await?;
    if export.download_url.is_some() {
        caller.record("contacts.export_opened", id.0, &json!({})).await?;
    }
    caller.commit().await?;
    Ok(Json(export))
}
