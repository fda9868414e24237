//! `/v1/campaigns/{id}/senders`: the pool of senders.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::outreach::campaign_senders::{self, CampaignSender, PoolMember};
use shared::outreach::campaigns;
use shared::{CampaignId, Error, SenderId};

use crate::http::{ApiResult, Body, Caller, Id, given};

/// The whole pool: it is so small that there are no pages.
#[derive(Serialize, JsonSchema)]
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

/// The senders, with their weights or without.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolBody {
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Vec<SenderId>")]
    sender_ids: Option<Vec<SenderId>>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Vec<PoolMember>")]
    senders: Option<Vec<PoolMember>>,
}

impl PoolBody {
    /// The field that is given, and what it names.
    fn members(self) -> shared::Result<(&'static str, Vec<PoolMember>)> {
        match (self.sender_ids, self.senders) {
            (Some(ids), None) => Ok(("sender_ids", ids.into_iter().map(PoolMember::from).collect())),
            (None, Some(members)) => Ok(("senders", members)),
            _ => Err(Error::invalid("senders", "required", "either senders or sender_ids is given")),
        }
    }
}

/// Replaces the pool of a draft.
pub(super) async fn replace(
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    Body(body): Body<PoolBody>,
) -> ApiResult<Json<Pool>> {
    let (field, members) = body.members()?;
    let data = campaign_senders::replace(&caller.tx, campaign, field, &members).await?;
    caller.record("campaign.senders_changed", campaign.0, &json!({"senders": members})).await?;
    caller.commit().await?;
    Ok(Json(Pool { data }))
}
