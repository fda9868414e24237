//! `/v1/suppressions`: the addresses that must not be written to.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::audience::suppressions::{self, Confirmation, Filter, Given, Imported, Lines, NewSuppression, Suppression};
use shared::delivery::tokens::KeyRing;
use shared::{Database, SuppressionId};

use crate::http::{
    ApiResult, Body, Caller, Created, CsvFile, Either, Id, JsonOrCsv, Listing, NoContent, Page, Parameters, Routes,
    created, route,
};

/// Rows of one exported file, which has fewer where they are long.
const EXPORT_MAXIMUM: i64 = 20_000;

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
pub fn routes<R: Routes<Suppressions>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/suppressions"), list)
        .on(route!(POST "/v1/suppressions"), create)
        .on(route!(GET "/v1/suppressions/export"), export)
        .on(route!(POST "/v1/suppressions/import"), import)
        .on(route!(GET "/v1/suppressions/{id}"), find)
        .on(route!(DELETE "/v1/suppressions/{id}"), lift)
        .on(route!(POST "/v1/suppressions/{id}/forget"), forget)
}

/// Serves the routes.
pub fn router(suppressions: Suppressions) -> Router {
    routes(Router::new()).with_state(suppressions)
}

/// The newest suppressions first; filtered by `reason`, `email`, `domain`, `campaign_id`, `list_id`, `scope`,
/// `from` and `to`.
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

/// Suppresses an address or a domain; one that is suppressed so already is answered as it is.
async fn create(
    caller: Caller,
    Body(new): Body<NewSuppression>,
) -> ApiResult<Either<Created<Suppression>, Json<Suppression>>> {
    let (suppression, is_new) = suppressions::create(&caller.tx, new).await?;
    if is_new {
        let details = json!({"reason": suppression.reason, "campaign_id": suppression.campaign_id, "list_id": suppression.list_id});
        caller.record("suppression.created", suppression.id.0, &details).await?;
    }
    caller.commit().await?;
    Ok(if is_new {
        Either::One(created(format!("/v1/suppressions/{}", suppression.id), suppression))
    } else {
        Either::Other(Json(suppression))
    })
}

/// One suppression.
async fn find(caller: Caller, Id(id): Id<SuppressionId>) -> ApiResult<Json<Suppression>> {
    let suppression = suppressions::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(suppression))
}

/// How a suppression is lifted.
#[derive(Deserialize, JsonSchema)]
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
    Parameters(lifting): Parameters<Lifting>,
) -> ApiResult<NoContent> {
    let confirmation = if lifting.confirm { Confirmation::Given } else { Confirmation::Missing };
    let lifted = suppressions::lift(&caller.tx, &keys, id, confirmation).await?;
    let details = json!({"reason": lifted.reason, "campaign_id": lifted.campaign_id, "list_id": lifted.list_id});
    caller.record("suppression.lifted", id.0, &details).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// Puts a keyed hash in place of the address.
async fn forget(caller: Caller, State(keys): State<Keys>, Id(id): Id<SuppressionId>) -> ApiResult<Json<Suppression>> {
    let suppression = suppressions::forget(&caller.tx, &keys, id).await?;
    caller.record("suppression.address_forgotten", id.0, &json!({"remains": suppression.id})).await?;
    caller.commit().await?;
    Ok(Json(suppression))
}

/// A list as JSON.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Entries {
    entries: Vec<Given>,
}

/// Suppresses a list of addresses and domains, as JSON or as CSV; what can't be read is told line by line.
async fn import(caller: Caller, State(keys): State<Keys>, body: JsonOrCsv<Entries>) -> ApiResult<Json<Imported>> {
    let lines = match body {
        JsonOrCsv::Json(Entries { entries }) => Lines::from_entries(entries),
        JsonOrCsv::Csv(text) => Lines::from_csv(&text)?,
    };
    let imported = suppressions::import(&caller.tx, &keys, lines).await?;
    let details = json!({"lines": imported.lines, "added": imported.added, "refused": imported.refused});
    caller.record("suppressions.imported", caller.organization().0, &details).await?;
    caller.commit().await?;
    Ok(Json(imported))
}

/// The list as CSV files, newest first: `x-next-cursor` asks for the next.
async fn export(
    caller: Caller,
    State(keys): State<Keys>,
    listing: Listing<Filter, EXPORT_MAXIMUM>,
) -> ApiResult<CsvFile> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = suppressions::list(&caller.tx, &keys, &filter, page.before.map(SuppressionId), page.fetch).await?;
    caller.record("suppressions.exported", caller.organization().0, &json!({})).await?;
    caller.commit().await?;
    let limit = usize::try_from(page.fetch - 1).unwrap_or_default();
    let (text, taken) = suppressions::to_csv(&rows[..limit.min(rows.len())])?;
    let last = rows[..taken].last().filter(|_| taken < rows.len());
    let next_cursor = last.and_then(|suppression| page.cursor(suppression.id.0));
    Ok(CsvFile { name: "suppressions.csv", text, next_cursor })
}
