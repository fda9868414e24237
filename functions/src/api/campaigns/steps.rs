//! `/v1/campaigns/{id}/steps`: the mails of the sequence.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::outreach::campaigns;
use shared::outreach::steps::{self, NewStep, Step, StepPatch, TimingKind};
use shared::platform::audit;
use shared::{CampaignId, StepId};

use crate::http::{ApiResult, Body, Caller, Created, Id, NoContent, created, given, patched};

/// All steps in order: a sequence has so few that there are no pages.
#[derive(Serialize, JsonSchema)]
pub(super) struct Sequence {
    data: Vec<Step>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewStepBody {
    name: String,
    subject_template: String,
    body_template: String,
    timing: Option<String>,
    #[serde(default)]
    delay_days: i32,
    #[serde(default)]
    delay_hours: i32,
    start_offset_ms: Option<i64>,
}

/// Appends a step to a draft.
pub(super) async fn create(
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    Body(body): Body<NewStepBody>,
) -> ApiResult<Created<Step>> {
    let NewStepBody { name, subject_template, body_template, timing, delay_days, delay_hours, start_offset_ms } = body;
    let timing = timing.as_deref().map(TimingKind::parse).transpose()?.unwrap_or_default();
    let new = NewStep { name, subject_template, body_template, timing, delay_days, delay_hours, start_offset_ms };
    let step = steps::create(&caller.tx, campaign, &new).await?;
    caller.record("step.created", campaign.0, &json!({"step_id": step.id, "position": step.position})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/campaigns/{campaign}/steps/{}", step.id), step))
}

/// The steps in order.
pub(super) async fn list(caller: Caller, Id(campaign): Id<CampaignId>) -> ApiResult<Json<Sequence>> {
    campaigns::find(&caller.tx, campaign).await?;
    let data = steps::list(&caller.tx, campaign).await?;
    caller.commit().await?;
    Ok(Json(Sequence { data }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepPatchBody {
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    subject_template: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    body_template: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    timing: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "i32")]
    delay_days: Option<i32>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "i32")]
    delay_hours: Option<i32>,
    #[serde(default, deserialize_with = "patched")]
    start_offset_ms: Option<Option<i64>>,
}

/// Changes a step: its texts in a draft or a paused campaign, its timing in a draft only.
pub(super) async fn update(
    caller: Caller,
    Id((campaign, id)): Id<(CampaignId, StepId)>,
    Body(body): Body<StepPatchBody>,
) -> ApiResult<Json<Step>> {
    let StepPatchBody { name, subject_template, body_template, timing, delay_days, delay_hours, start_offset_ms } =
        body;
    let timing = timing.as_deref().map(TimingKind::parse).transpose()?;
    let patch = StepPatch { name, subject_template, body_template, timing, delay_days, delay_hours, start_offset_ms };
    let before = steps::find(&caller.tx, campaign, id).await?;
    let step = steps::update(&caller.tx, campaign, id, patch).await?;
    let mut details = audit::change(&before, &step)?;
    details["step_id"] = json!(id);
    caller.record("step.updated", campaign.0, &details).await?;
    caller.commit().await?;
    Ok(Json(step))
}

/// Deletes a step of a draft.
pub(super) async fn remove(caller: Caller, Id((campaign, id)): Id<(CampaignId, StepId)>) -> ApiResult<NoContent> {
    steps::delete(&caller.tx, campaign, id).await?;
    caller.record("step.deleted", campaign.0, &json!({"step_id": id})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderBody {
    step_ids: Vec<StepId>,
}

/// Puts the steps of a draft into another order.
pub(super) async fn reorder(
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    Body(body): Body<OrderBody>,
) -> ApiResult<Json<Sequence>> {
    let data = steps::reorder(&caller.tx, campaign, &body.step_ids).await?;
    caller.record("step.reordered", campaign.0, &json!({"step_ids": body.step_ids})).await?;
    caller.commit().await?;
    Ok(Json(Sequence { data }))
}
