//! `/v1/suppressions`: the addresses that must not be written to.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use shared::audience::suppressions::{self, Confirmation, Filter, Given, Imported, Lines, NewSuppression, Suppression};
use shared::delivery::tokens::KeyRing;
use shared::{Database, SuppressionId};

use crate::http::{ApiError, ApiResult, Body, Caller, Id, Listing, Page, created};

/// Rows of one exported file: with the longest addresses and notes it stays well below the 6 MB of a Lambda's answer.
const EXPORT_MAXIMUM: i64 = 2_500;

type Keys = Arc<KeyRing>;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Suppressions {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Recognizes forgotten addresses.
    pub keys: Keys,
}

/// The routes.
pub fn router(suppressions: Suppressions) -> Router {
    Router::new()
        .route("/v1/suppressions", get(list).post(create))
        .route("/v1/suppressions/export", get(export))
        .route("/v1/suppressions/import", post(import))
        .route("/v1/suppressions/{id}", get(find).delete(lift))
        .route("/v1/suppressions/{id}/forget", post(forget))
        .with_state(suppressions)
}

/// The newest suppressions first; filtered by `reason`, `email`, `campaign_id`, `scope`, `from` and `to`.
async fn list(
    caller: Caller,
    State(keys): State<Keys>,
    listing: Listing<Filter>,
) -> ApiResult<Json<Page<Suppression>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = suppressions::list(&caller.tx, &keys, &filter, page.before.map(SuppressionId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |suppression| suppression.id.0)))
}

/// Suppresses an address; one that is suppressed so already is answered as it is.
async fn create(caller: Caller, Body(new): Body<NewSuppression>) -> ApiResult<Response> {
    let (suppression, is_new) = suppressions::create(&caller.tx, new).await?;
    if is_new {
        let details = json!({"reason": suppression.reason, "campaign_id": suppression.campaign_id});
        caller.record("suppression.created", suppression.id.0, &details).await?;
    }
    caller.commit().await?;
    Ok(if is_new {
        created(format!("/v1/suppressions/{}", suppression.id), suppression).into_response()
    } else {
        Json(suppression).into_response()
    })
}

/// One suppression.
async fn find(caller: Caller, Id(id): Id<SuppressionId>) -> ApiResult<Json<Suppression>> {
    let suppression = suppressions::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(suppression))
}

/// How a suppression is lifted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifting {
    #[serde(default)]
    confirm: bool,
}

/// Lifts a suppression; nobody is enrolled again.
async fn lift(
    caller: Caller,
    State(keys): State<Keys>,
    Id(id): Id<SuppressionId>,
    lifting: Result<Query<Lifting>, axum::extract::rejection::QueryRejection>,
) -> ApiResult<StatusCode> {
    let confirmation = if lifting?.0.confirm { Confirmation::Given } else { Confirmation::Missing };
    let lifted = suppressions::lift(&caller.tx, &keys, id, confirmation).await?;
    let details = json!({"reason": lifted.reason, "campaign_id": lifted.campaign_id});
    caller.record("suppression.lifted", id.0, &details).await?;
    caller.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a keyed hash in place of the address.
async fn forget(caller: Caller, State(keys): State<Keys>, Id(id): Id<SuppressionId>) -> ApiResult<Json<Suppression>> {
    let suppression = suppressions::forget(&caller.tx, &keys, id).await?;
    caller.record("suppression.address_forgotten", id.0, &json!({"remains": suppression.id})).await?;
    caller.commit().await?;
    Ok(Json(suppression))
}

/// A list as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    entries: Vec<Given>,
}

/// Suppresses a list of addresses, as JSON or as CSV; what can't be read is told line by line.
async fn import(
    caller: Caller,
    State(keys): State<Keys>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<Imported>> {
    let body = body?;
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let lines = if media_type.eq_ignore_ascii_case("text/csv") {
        Lines::from_csv(&body)?
    } else if media_type.eq_ignore_ascii_case("application/json") {
        let Json(Entries { entries }) = Json::from_bytes(&body)?;
        Lines::from_entries(entries)
    } else {
        return Err(ApiError::unsupported_media_type("send the list as text/csv or application/json"));
    };
    let imported = suppressions::import(&caller.tx, &keys, lines).await?;
    let details = json!({"lines": imported.lines, "added": imported.added, "refused": imported.refused});
    caller.record("suppressions.imported", caller.organization().0, &details).await?;
    caller.commit().await?;
    Ok(Json(imported))
}

/// The list as CSV files, newest first: `x-next-cursor` asks for the next.
async fn export(caller: Caller, State(keys): State<Keys>, listing: Listing<Filter>) -> ApiResult<impl IntoResponse> {
    let (filter, page) = listing.read_up_to(caller.organization(), EXPORT_MAXIMUM)?;
    let rows = suppressions::list(&caller.tx, &keys, &filter, page.before.map(SuppressionId), page.fetch).await?;
    caller.record("suppressions.exported", caller.organization().0, &json!({})).await?;
    caller.commit().await?;
    let page = page.page(rows, |suppression| suppression.id.0);
    let next = page.next_cursor.map(|cursor| [(HeaderName::from_static("x-next-cursor"), cursor)]);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"suppressions.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let csv = suppressions::to_csv(&page.data)?;
    let next: HeaderMap =
        next.into_iter().flatten().filter_map(|(name, cursor)| Some((name, cursor.parse().ok()?))).collect();
    Ok((headers, next, csv))
}
