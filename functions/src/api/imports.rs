//! `/v1/imports`: files of contacts, uploaded by a signed URL and read by the importer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audience::imports::uploads::{self, PARTS_WINDOW, UPLOAD_WINDOW};
use shared::audience::imports::{
    self, ColumnMapping, DOWNLOAD_WINDOW, Existing, Import, ImportError, ImportQueue, NewImport, ObjectStore,
    PresignedPut, Preview, Unmapped, Upload,
};
use shared::{Database, ImportId, ListId, TagId};

use crate::http::{Accepted, ApiResult, Body, Caller, Created, Id, Listing, Page, Routes, created, route};

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Imports {
    /// As the role of tenant work.
    pub db: Database,
    /// Where clients put their files.
    pub store: Arc<dyn ObjectStore>,
    /// Where started imports wait for the importer.
    pub queue: Arc<dyn ImportQueue>,
}

/// The routes.
pub fn routes<R: Routes<Imports>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/imports"), list)
        .on(route!(POST "/v1/imports"), create)
        .on(route!(GET "/v1/imports/{id}"), find)
        .on(route!(POST "/v1/imports/{id}/upload"), sign_upload)
        .on(route!(POST "/v1/imports/{id}/complete"), complete)
        .on(route!(POST "/v1/imports/{id}/abort"), abort)
        .on(route!(POST "/v1/imports/{id}/start"), start)
        .on(route!(GET "/v1/imports/{id}/preview"), preview)
        .on(route!(GET "/v1/imports/{id}/errors"), list_errors)
        .on(route!(GET "/v1/imports/{id}/errors/file"), find_error_file)
}

/// Serves the routes.
pub fn router(state: Imports) -> Router {
    routes(Router::new()).with_state(state)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    file_name: String,
    list_id: Option<ListId>,
    column_mapping: Option<BTreeMap<String, Option<String>>>,
    sheet: Option<String>,
    size: u64,
    #[serde(default)]
    tag_ids: Vec<TagId>,
    #[serde(default)]
    existing: Existing,
    #[serde(default)]
    unmapped: Unmapped,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StartBody {
    column_mapping: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Serialize, JsonSchema)]
struct CreatedView {
    #[serde(flatten)]
    import: Import,
    upload: UploadView,
}

/// The request that uploads the file, to be sent as it is; or one for each part.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ImportUpload")]
#[serde(untagged)]
enum UploadView {
    Whole {
        method: &'static str,
        url: String,
        headers: BTreeMap<String, String>,
        #[serde(serialize_with = "shared::timestamps::millis")]
        expires_at: DateTime<Utc>,
    },
    Parts {
        method: &'static str,
        /// Bytes of each part but the last.
        part_size: u64,
        /// Those that are to be put.
        parts: Vec<PartView>,
        #[serde(serialize_with = "shared::timestamps::millis")]
        expires_at: DateTime<Utc>,
    },
}

/// The request that uploads a part.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ImportUploadPart")]
struct PartView {
    /// From 1 on, in the order of the file.
    number: i32,
    url: String,
    headers: BTreeMap<String, String>,
}

impl UploadView {
    fn new(upload: Upload, now: DateTime<Utc>) -> Self {
        let part = |(number, put): (i32, PresignedPut)| PartView { number, url: put.url, headers: put.headers };
        match upload {
            Upload::Whole(PresignedPut { url, headers }) => {
                Self::Whole { method: "PUT", url, headers, expires_at: expiry(now, UPLOAD_WINDOW) }
            }
            Upload::Parts { size, parts } => Self::Parts {
                method: "PUT",
                part_size: size,
                parts: parts.into_iter().map(part).collect(),
                expires_at: expiry(now, PARTS_WINDOW),
            },
        }
    }
}

/// A URL that needs no key.
#[derive(Serialize, JsonSchema)]
struct DownloadView {
    url: String,
    #[serde(serialize_with = "shared::timestamps::millis")]
    expires_at: DateTime<Utc>,
}

fn expiry(now: DateTime<Utc>, window: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(window).unwrap_or_default()
}

/// Makes an import, and says where its file goes.
async fn create(
    State(state): State<Imports>,
    caller: Caller,
    Body(body): Body<CreateBody>,
) -> ApiResult<Created<CreatedView>> {
    let column_mapping = body.column_mapping.map(ColumnMapping::parse).transpose()?;
    let CreateBody { file_name, list_id, sheet, size, tag_ids, existing, unmapped, .. } = body;
    let new = NewImport { file_name, list_id, column_mapping, sheet, size, tag_ids, existing, unmapped };
    let (import, upload) = imports::create(&caller.tx, &*state.store, new).await?;
    let (id, upload) = (import.id, UploadView::new(upload, caller.now()));
    caller.record("import.created", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/imports/{id}"), CreatedView { import, upload }).showing_once(&["/upload"]))
}

/// The requests that upload the file, or what is missing of it, signed anew.
async fn sign_upload(
    State(state): State<Imports>,
    caller: Caller,
    Id(id): Id<ImportId>,
) -> ApiResult<Created<CreatedView>> {
    let upload = UploadView::new(uploads::find(&caller.tx, &*state.store, id).await?, caller.now());
    let import = imports::find(&caller.tx, id).await?;
    caller.record("import.upload_signed", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/imports/{id}"), CreatedView { import, upload }).showing_once(&["/upload"]))
}

/// Makes the file of the parts that have been uploaded.
async fn complete(State(state): State<Imports>, caller: Caller, Id(id): Id<ImportId>) -> ApiResult<Json<Import>> {
    let import = uploads::complete(&caller.tx, &*state.store, id).await?;
    caller.record("import.uploaded", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(import))
}

/// Gives an upload in parts up, and the import with it.
async fn abort(State(state): State<Imports>, caller: Caller, Id(id): Id<ImportId>) -> ApiResult<Json<Import>> {
    let import = uploads::abort(&caller.tx, &*state.store, id).await?;
    caller.record("import.aborted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(import))
}

/// Starts an import whose file has been uploaded.
async fn start(
    State(state): State<Imports>,
    caller: Caller,
    Id(id): Id<ImportId>,
    body: Option<Body<StartBody>>,
) -> ApiResult<Accepted<Import>> {
    let given = body.and_then(|Body(body)| body.column_mapping);
    let mapping = given.map(ColumnMapping::parse).transpose()?;
    caller.record("import.started", id.0, &json!({})).await?;
    let import = imports::start(&caller.tx, &*state.store, &*state.queue, id, mapping).await?;
    caller.commit().await?;
    Ok(Accepted { path: format!("/v1/imports/{id}"), body: import })
}

/// The newest imports first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Import>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = imports::list(&caller.tx, page.before.map(ImportId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |import| import.id.0)))
}

/// One import with its progress.
async fn find(caller: Caller, Id(id): Id<ImportId>) -> ApiResult<Json<Import>> {
    let import = imports::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(import))
}

/// What the import would make of its file, before it is started.
async fn preview(State(state): State<Imports>, caller: Caller, Id(id): Id<ImportId>) -> ApiResult<Json<Preview>> {
    let waiting = caller.wait().await?;
    let preview = imports::preview(&state.db, waiting.organization(), &*state.store, id).await?;
    waiting.go_on(&state.db).await?.commit().await?;
    Ok(Json(preview))
}

/// Where the rows that could not be taken are downloaded as CSV.
async fn find_error_file(
    State(state): State<Imports>,
    caller: Caller,
    Id(id): Id<ImportId>,
) -> ApiResult<Json<DownloadView>> {
    let url = imports::error_file(&caller.tx, &*state.store, id).await?;
    let view = DownloadView { url, expires_at: expiry(caller.now(), DOWNLOAD_WINDOW) };
    caller.commit().await?;
    Ok(Json(view))
}

/// The rows that could not be taken, in the order of the file.
async fn list_errors(caller: Caller, Id(id): Id<ImportId>, listing: Listing) -> ApiResult<Json<Page<ImportError>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = imports::list_errors(&caller.tx, id, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |error| error.line)))
}
