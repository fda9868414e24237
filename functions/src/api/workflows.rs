//! `/v1/workflows`: programs elsewhere that are started from here, their runs, and what they report of them.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::platform::webhooks::secrets::Secret;
use shared::platform::webhooks::signatures::Signed;
use shared::platform::workflows::callbacks::{self, Report};
use shared::platform::workflows::runs::{self, Filter, NewRun, Run};
use shared::platform::workflows::{self, NewWorkflow, Workflow, WorkflowFields, callback_path};
use shared::{Error, WorkflowId, WorkflowRunId};

use super::webhooks::Webhooks;
use crate::http::{ApiError, ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Webhooks>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/workflows"), list)
        .on(route!(POST "/v1/workflows"), create)
        .on(route!(GET "/v1/workflows/{id}"), find)
        .on(route!(PATCH "/v1/workflows/{id}"), update)
        .on(route!(DELETE "/v1/workflows/{id}"), delete)
        .on(route!(POST "/v1/workflows/{id}/rotate"), rotate)
        .on(route!(GET "/v1/workflows/runs"), list_runs)
        .on(route!(POST "/v1/workflows/runs"), create_run)
        .on(route!(GET "/v1/workflows/runs/{id}"), find_run)
        .beside(route!(POST "/v1/workflows/callbacks/{token}"), callback)
}

/// Serves the routes.
pub fn router(webhooks: Webhooks) -> Router {
    routes(Router::new()).with_state(webhooks)
}

/// A workflow with a secret that has just been made: this answer alone holds it.
#[derive(Serialize, JsonSchema)]
struct NewWorkflowView {
    #[serde(flatten)]
    workflow: Workflow,
    /// `whsec_` and base64.
    secret: String,
}

/// A run, and where its end is reported.
#[derive(Serialize, JsonSchema)]
struct NewRunView {
    #[serde(flatten)]
    run: Run,
    /// Below the public URL; for the workflow alone, whose signature it asks for.
    callback_path: String,
}

/// The newest workflows first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Workflow>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = workflows::list(&caller.tx, page.before.map(WorkflowId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |workflow| workflow.id.0)))
}

/// Makes a workflow.
async fn create(
    State(Webhooks { keys, reach, .. }): State<Webhooks>,
    caller: Caller,
    Body(new): Body<NewWorkflow>,
) -> ApiResult<Created<NewWorkflowView>> {
    let made = workflows::create(&caller.tx, &keys, reach, &new).await?;
    show(caller, "workflow.created", made).await
}

/// Makes another secret.
async fn rotate(
    State(Webhooks { keys, .. }): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WorkflowId>,
) -> ApiResult<Created<NewWorkflowView>> {
    let made = workflows::rotate_secret(&caller.tx, &keys, id).await?;
    show(caller, "workflow.secret_rotated", made).await
}

/// Records a new secret, commits, and shows it.
async fn show(
    caller: Caller,
    action: &str,
    (workflow, secret): (Workflow, Secret),
) -> ApiResult<Created<NewWorkflowView>> {
    caller.record(action, workflow.id.0, &json!({ "name": workflow.name })).await?;
    caller.commit().await?;
    let path = format!("/v1/workflows/{}", workflow.id);
    Ok(created(path, NewWorkflowView { workflow, secret: secret.text() }).showing_once(&["/secret"]))
}

/// One workflow.
async fn find(caller: Caller, Id(id): Id<WorkflowId>) -> ApiResult<Json<Workflow>> {
    let workflow = workflows::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(workflow))
}

/// Changes the fields that are given.
async fn update(
    State(Webhooks { reach, .. }): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WorkflowId>,
    Body(fields): Body<WorkflowFields>,
) -> ApiResult<Json<Workflow>> {
    let details = json!({ "fields": fields.names(), "status": fields.status });
    let workflow = workflows::update(&caller.tx, reach, id, fields).await?;
    caller.record("workflow.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(workflow))
}

/// Deletes a workflow; its runs stay.
async fn delete(caller: Caller, Id(id): Id<WorkflowId>) -> ApiResult<NoContent> {
    workflows::delete(&caller.tx, id).await?;
    caller.record("workflow.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// The newest runs first; filtered by `workflow_id`, `status`, `trigger`, `execution_id`, `from` and `to`.
async fn list_runs(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Run>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = runs::list(&caller.tx, &filter, page.before.map(WorkflowRunId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |run| run.id.0)))
}

/// Starts a workflow, or notes a run that began elsewhere.
async fn create_run(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Body(new): Body<NewRun>,
) -> ApiResult<Created<NewRunView>> {
    let run = runs::create(&caller.tx, new).await?;
    let details = json!({ "workflow_id": run.workflow_id, "trigger": run.trigger });
    caller.record("workflow_run.created", run.id.0, &details).await?;
    let organization = caller.organization();
    caller.commit().await?;
    webhooks.hint(organization).await;
    let callback_path = callback_path(&webhooks.keys, organization, run.id);
    Ok(created(format!("/v1/workflows/runs/{}", run.id), NewRunView { run, callback_path }))
}

/// One run.
async fn find_run(caller: Caller, Id(id): Id<WorkflowRunId>) -> ApiResult<Json<Run>> {
    let run = runs::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(run))
}

/// Takes what a workflow reports. Nothing is read of the body before the signature over it is found to be right.
async fn callback(
    State(Webhooks { db, keys, .. }): State<Webhooks>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<Run>> {
    let body = body?;
    let address = callbacks::address(&keys, &token)?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Error::Unauthorized);
    let signed = Signed {
        id: header("webhook-id")?,
        timestamp: header("webhook-timestamp")?,
        signature: header("webhook-signature")?,
    };
    let read = |body: &[u8]| -> ApiResult<Report> { Ok(Json::<Report>::from_bytes(body).map_err(ApiError::from)?.0) };
    Ok(Json(callbacks::take(&db, &keys, address, signed, &body, read).await?))
}
