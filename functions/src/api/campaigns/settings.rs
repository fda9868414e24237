//! `/v1/campaigns/{id}/settings`: when and how fast the campaign sends, and what it tracks.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::CampaignId;
use shared::outreach::settings::{self, Settings, SettingsPatch};

use crate::http::{ApiResult, Body, Caller, Id, given};

/// The settings.
pub(super) async fn find(caller: Caller, Id(campaign): Id<CampaignId>) -> ApiResult<Json<Settings>> {
    let settings = settings::show(&caller.tx, campaign).await?;
    caller.commit().await?;
    Ok(Json(settings))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsBody {
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    window_start: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    window_end: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    send_days: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    timezone: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    timezone_mode: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    holidays: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "i32")]
    daily_limit: Option<i32>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "i32")]
    gap_seconds: Option<i32>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "i32")]
    jitter_seconds: Option<i32>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "i32")]
    maximum_lateness_seconds: Option<i32>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "bool")]
    track_opens: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "bool")]
    track_clicks: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    sender_strategy: Option<String>,
}

/// Changes the settings of a draft or a paused campaign. What a paused campaign's people are due for is not moved: the
/// claim checks the window again, and whoever is due outside of it waits until it opens.
pub(super) async fn update(
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    Body(body): Body<SettingsBody>,
) -> ApiResult<Json<Settings>> {
    let patch = SettingsPatch {
        window_start: body.window_start,
        window_end: body.window_end,
        send_days: body.send_days,
        timezone: body.timezone,
        timezone_mode: body.timezone_mode,
        holidays: body.holidays,
        daily_limit: body.daily_limit,
        gap_seconds: body.gap_seconds,
        jitter_seconds: body.jitter_seconds,
        maximum_lateness_seconds: body.maximum_lateness_seconds,
        track_opens: body.track_opens,
        track_clicks: body.track_clicks,
        sender_strategy: body.sender_strategy,
    };
    let before = settings::show(&caller.tx, campaign).await?;
    let settings = settings::update(&caller.tx, campaign, patch).await?;
    caller.record_change("campaign.settings_changed", campaign.0, &before, &settings).await?;
    caller.commit().await?;
    Ok(Json(settings))
}
