//! `/v1/analytics`: what the organization sent, and what came of it.

use axum::routing::get;
use axum::{Json, Router};
use chrono::NaiveDate;
use serde::Deserialize;
use shared::outreach::statistics::daily::{self, Filter, Period, Series};
use shared::{CampaignId, Database, SenderId, StepId};

use crate::http::{ApiResult, Caller, Parameters};

/// The routes.
pub fn router(db: Database) -> Router {
    Router::new().route("/v1/analytics/daily", get(read_daily)).with_state(db)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DailyQuery {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    campaign_id: Option<CampaignId>,
    step_id: Option<StepId>,
    sender_id: Option<SenderId>,
}

/// Each day's counts, of one campaign, step or sender where asked for.
async fn read_daily(caller: Caller, Parameters(query): Parameters<DailyQuery>) -> ApiResult<Json<Series>> {
    let DailyQuery { from, to, campaign_id, step_id, sender_id } = query;
    let period = Period::new(from, to, caller.now().date_naive())?;
    let filter = Filter { campaign: campaign_id, step: step_id, sender: sender_id };
    let series = daily::read(&caller.tx, period, filter).await?;
    caller.commit().await?;
    Ok(Json(series))
}
