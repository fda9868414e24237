//! `/v1/analytics`: what the organization sent, and what came of it.

use axum::{Json, Router};
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::outreach::statistics::daily::{self, Filter, Period, Series};
use shared::{CampaignId, Database, SenderId, StepId};

use crate::http::{ApiResult, Caller, Parameters, Routes, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes.on(route!(GET "/v1/analytics/daily"), read_daily)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
}

#[derive(Deserialize, JsonSchema)]
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
