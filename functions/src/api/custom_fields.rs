//! `/v1/custom-fields`: what the keys of contacts' custom fields mean.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audience::custom_fields::{self, CustomField, NewCustomField};
use shared::{CustomFieldId, JobId};

use super::contacts::{Contacts, Queue};
use crate::http::{ApiResult, Body, Caller, Created, Id, NoContent, Routes, created, route};

/// The routes.
pub fn routes<R: Routes<Contacts>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/custom-fields"), list)
        .on(route!(POST "/v1/custom-fields"), create)
        .on(route!(GET "/v1/custom-fields/{id}"), find)
        .on(route!(PATCH "/v1/custom-fields/{id}"), update)
        .on(route!(DELETE "/v1/custom-fields/{id}"), delete)
}

/// Every field that is defined.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomFields")]
struct All {
    /// By key; an organization defines 50 at most.
    data: Vec<CustomField>,
}

/// Every field that is defined, by key.
async fn list(caller: Caller) -> ApiResult<Json<All>> {
    let data = custom_fields::all(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(All { data }))
}

/// A field that has been defined.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DefinedCustomField")]
struct Defined {
    #[serde(flatten)]
    field: CustomField,
    /// The job that fills it with what contacts have already.
    job_id: JobId,
}

/// Defines a field.
async fn create(
    caller: Caller,
    State(queue): State<Queue>,
    Body(given): Body<NewCustomField>,
) -> ApiResult<Created<Defined>> {
    let (field, job) = custom_fields::create(&caller.tx, given).await?;
    caller.record("custom_field.created", field.id.0, &json!({"key": field.key, "type": field.kind})).await?;
    let organization = caller.organization();
    caller.commit().await?;
    queue.enqueue(organization, job.id).await?;
    Ok(created(format!("/v1/custom-fields/{}", field.id), Defined { field, job_id: job.id }))
}

/// One field.
async fn find(caller: Caller, Id(id): Id<CustomFieldId>) -> ApiResult<Json<CustomField>> {
    let field = custom_fields::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(field))
}

/// What may be changed of a field: with another key or type it is another one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomFieldChange")]
struct Change {
    #[schemars(length(min = 1, max = custom_fields::NAME_MAXIMUM))]
    name: String,
}

/// Gives a field another name.
async fn update(caller: Caller, Id(id): Id<CustomFieldId>, Body(change): Body<Change>) -> ApiResult<Json<CustomField>> {
    let before = custom_fields::find(&caller.tx, id).await?;
    let field = custom_fields::rename(&caller.tx, id, &change.name).await?;
    caller.record_change("custom_field.updated", id.0, &before, &field).await?;
    caller.commit().await?;
    Ok(Json(field))
}

/// Deletes the definition of a field; what contacts have stays.
async fn delete(caller: Caller, Id(id): Id<CustomFieldId>) -> ApiResult<NoContent> {
    custom_fields::delete(&caller.tx, id).await?;
    caller.record("custom_field.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}
