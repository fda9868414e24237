//! `/v1/admin/address-lists`: by what addresses are judged, beside what the program brings.

use std::collections::BTreeMap;

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audience::verifications::lists::{self, AddressList, Mode, Taken};

use super::record;
use crate::http::{ApiResult, Caller, Id, JsonOrCsv, Parameters};

/// Entries that administrators have added, by list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AddressLists")]
pub(super) struct Counts {
    entries: BTreeMap<AddressList, i64>,
}

/// A file as JSON.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AddressListFile")]
pub(super) struct File {
    entries: Vec<String>,
}

/// What becomes of the entries before.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AddressListMode")]
pub(super) struct How {
    /// `replace`, or `add` for a list that comes in several files.
    #[serde(default)]
    mode: Mode,
}

/// How many entries administrators have added.
pub(super) async fn count(caller: Caller) -> ApiResult<Json<Counts>> {
    let entries = lists::count(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(Counts { entries }))
}

/// Takes a file of one entry a line.
pub(super) async fn take(
    caller: Caller,
    Id(list): Id<AddressList>,
    Parameters(how): Parameters<How>,
    body: JsonOrCsv<File>,
) -> ApiResult<Json<Taken>> {
    let text = match body {
        JsonOrCsv::Json(file) => file.entries.join("\n"),
        // What is not UTF-8 is no entry, and told by the number of its line.
        JsonOrCsv::Csv(text) => String::from_utf8_lossy(&text).into_owned(),
    };
    let taken = lists::take(&caller.tx, list, how.mode, &text).await?;
    let details = json!({"list": list, "taken": taken.taken, "entries": taken.entries});
    record(&caller, "address_list.taken", None, &details).await?;
    caller.commit().await?;
    Ok(Json(taken))
}
