//! `/v1/organizations/{id}/logo`, by which an organization sets its logo, and `/logos`, from which everybody gets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::tokens::KeyRing;
use shared::platform::organizations::Organization;
use shared::platform::organizations::logos::{self, RemovingStore, UPLOAD_WINDOW, Upload};
use shared::{Database, Error, OrganizationId};
use uuid::Uuid;

use crate::http::{ApiResult, Body, Caller, Created, Id, Routes, Visitor, created, route};

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Logos {
    /// As the role of tenant work.
    pub db: Database,
    /// Makes hashes of addresses, by which requests of everybody are counted.
    pub keys: Arc<KeyRing>,
    /// Where the files lie.
    pub store: Arc<dyn RemovingStore>,
}

/// The routes.
pub fn routes<R: Routes<Logos>>(routes: R) -> R {
    routes
        .on(route!(POST "/v1/organizations/{id}/logo"), create)
        .on(route!(PUT "/v1/organizations/{id}/logo"), set)
        .on(route!(DELETE "/v1/organizations/{id}/logo"), remove)
        .beside(route!(GET "/logos/{id}/{name}"), show)
}

/// Serves the routes.
pub fn router(state: Logos) -> Router {
    routes(Router::new()).with_state(state)
}

/// Where the file goes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogoUpload")]
struct UploadView {
    upload_id: Uuid,
    upload: PutView,
}

/// The request that uploads the file, to be sent as it is.
#[derive(Serialize, JsonSchema)]
struct PutView {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    #[serde(serialize_with = "shared::timestamps::millis")]
    expires_at: DateTime<Utc>,
}

/// What is uploaded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    /// Bytes of the file.
    size: u64,
}

/// Which upload becomes the logo.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetBody {
    upload_id: Uuid,
}

/// Says where a logo is uploaded to.
async fn create(
    caller: Caller,
    State(store): State<Arc<dyn RemovingStore>>,
    Id(id): Id<OrganizationId>,
    Body(body): Body<CreateBody>,
) -> ApiResult<Created<UploadView>> {
    let Upload { id: upload_id, put } = logos::begin(&caller.tx, store.as_ref(), id, body.size).await?;
    let expires_at = caller.now() + TimeDelta::from_std(UPLOAD_WINDOW).map_err(Error::internal)?;
    caller.record("organization.logo_upload_signed", id.0, &json!({"upload_id": upload_id})).await?;
    caller.commit().await?;
    let upload = PutView { method: "PUT", url: put.url, headers: put.headers, expires_at };
    let path = format!("/v1/organizations/{id}/logo");
    Ok(created(path, UploadView { upload_id, upload }).showing_once(&["/upload"]))
}

/// Makes what was uploaded the logo.
async fn set(
    caller: Caller,
    State(store): State<Arc<dyn RemovingStore>>,
    Id(id): Id<OrganizationId>,
    Body(body): Body<SetBody>,
) -> ApiResult<Json<Organization>> {
    let (organization, before) = logos::take(&caller.tx, store.as_ref(), id, body.upload_id).await?;
    let details = json!({"before": {"logo": before}, "after": {"logo": organization.branding.logo_path}});
    caller.record("organization.logo_set", id.0, &details).await?;
    caller.commit().await?;
    forget(store.as_ref(), id, before).await;
    Ok(Json(organization))
}

/// Takes the logo away.
async fn remove(
    caller: Caller,
    State(store): State<Arc<dyn RemovingStore>>,
    Id(id): Id<OrganizationId>,
) -> ApiResult<Json<Organization>> {
    let (organization, before) = logos::remove(&caller.tx, id).await?;
    caller.record("organization.logo_removed", id.0, &json!({"before": {"logo": before}})).await?;
    caller.commit().await?;
    forget(store.as_ref(), id, before).await;
    Ok(Json(organization))
}

/// What nobody is shown any more goes. A file that stays is in nobody's way, and goes with the organization.
async fn forget(store: &dyn RemovingStore, organization: OrganizationId, name: Option<String>) {
    let Some(name) = name else { return };
    if let Err(error) = logos::forget(store, organization, &name).await {
        tracing::warn!(%organization, error = shared::error::describe(&error), "the file of a former logo stays");
    }
}

/// The logo. Its name follows from its content, so it may be kept; for a day, since the organization may take it away.
async fn show(
    State(logos): State<Logos>,
    _: Visitor,
    Path((organization, name)): Path<(String, String)>,
) -> ApiResult<Response> {
    let organization: OrganizationId = organization.parse().map_err(|_| Error::not_found("logo"))?;
    let (format, bytes) = logos::read(&logos.db, logos.store.as_ref(), organization, &name).await?;
    let headers = [
        (CONTENT_TYPE, format.media_type()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "public, max-age=86400"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    Ok((headers, bytes).into_response())
}
