//! `/v1/admin/config`: the settings of the installation.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::platform::config::{self, Change, Setting};

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page};

/// Every setting.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InstallationSettings")]
pub(super) struct Settings {
    data: Vec<Setting>,
}

/// What it becomes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetBody {
    /// Of the setting's type; a duration is a text such as `2 days`.
    value: Value,
}

/// Every setting, in the order of their names.
pub(super) async fn list(caller: Caller) -> ApiResult<Json<Settings>> {
    let data = config::list(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(Settings { data }))
}

/// One setting.
pub(super) async fn find(caller: Caller, Id((category, key)): Id<(String, String)>) -> ApiResult<Json<Setting>> {
    let setting = config::find(&caller.tx, &category, &key).await?;
    caller.commit().await?;
    Ok(Json(setting))
}

/// Sets it. Its history is the record of that.
pub(super) async fn set(
    caller: Caller,
    Id((category, key)): Id<(String, String)>,
    Body(body): Body<SetBody>,
) -> ApiResult<Json<Setting>> {
    let (user, _) = caller.needed_person()?;
    let request_id = Some(caller.request_id());
    let setting = config::set(&caller.tx, &category, &key, &body.value, user, request_id).await?;
    caller.commit().await?;
    Ok(Json(setting))
}

/// What was set, by whom, and what it was before; the latest first.
pub(super) async fn history(
    caller: Caller,
    Id((category, key)): Id<(String, String)>,
    listing: Listing,
) -> ApiResult<Json<Page<Change>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = config::history(&caller.tx, &category, &key, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |change| change.id)))
}
