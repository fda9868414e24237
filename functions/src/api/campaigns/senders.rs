//! `/v1/campaigns/{id}/senders`: the pool of senders.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::outreach::campaign_senders::{self, CampaignSender};
use shared::outreach::campaigns;
use shared::{CampaignId, SenderId};

use crate::http::{ApiResult, Body, Caller, Id};

/// The whole pool: it is so small that there are no pages.
#[derive(Serialize)]
pub(super) struct Pool {
    data: Vec<CampaignSender>,
}

/// The pool.
pub(super) async fn list(caller: Caller, Id(campaign): Id<CampaignId>) -> ApiResult<Json<Pool>> {
    campaigns::find(&caller.tx, campaign).await?;
    let data = campaign_senders::list(&caller.tx, campaign).await?;
    caller.commit().await?;
    Ok(Json(Pool { data }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolBody {
    sender_ids: Vec<SenderId>,
}

/// Replaces the pool of a draft.
pub(super) async fn replace(
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    Body(body): Body<PoolBody>,
) -> ApiResult<Json<Pool>> {
    let data = campaign_senders::replace(&caller.tx, campaign, &body.sender_ids).await?;
    caller.record("campaign.senders_changed", campaign.0, &json!({"sender_ids": body.sender_ids})).await?;
    caller.commit().await?;
    Ok(Json(Pool { data }))
}
