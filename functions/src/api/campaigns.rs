//! `/v1/campaigns`: campaigns and everything below them.

mod enrollments;
mod senders;
mod settings;
mod steps;

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::provider_account::{ProviderAccount, WatchedAccount};
use shared::outreach::activation::{self, Activation};
use shared::outreach::campaigns::{self, Campaign, CampaignPatch, NewCampaign, Status};
use shared::outreach::enrollments::Counts;
use shared::outreach::preflight::{self, Preflight};
use shared::outreach::reports::{self, Report};
use shared::outreach::statistics::daily::{self, Filter, Period, PeriodQuery, Series};
use shared::outreach::statistics::funnel::{self, Funnel};
use shared::outreach::statistics::{self, Statistics};
use shared::outreach::{campaign_senders, enrollments as people};
use shared::platform::jobs::{Job, JobQueue};
use shared::{CampaignId, Database, ListId, SegmentId, SenderId};
use tokio::time::Instant;

use crate::http::{
    Accepted, ApiResult, Body, Caller, Created, Either, Id, Listing, NoContent, Page, Parameters, Routes, created,
    given, patched, route,
};

/// What the routes need: the database, where a large activation waits, and the account that will send.
#[derive(Clone)]
pub struct Campaigns {
    db: Database,
    queue: Arc<dyn JobQueue>,
    account: Arc<WatchedAccount>,
}

impl FromRef<Campaigns> for Database {
    fn from_ref(state: &Campaigns) -> Self {
        state.db.clone()
    }
}

/// The routes.
pub fn routes<R: Routes<Campaigns>>(routes: R) -> R {
    routes
        .on(route!(POST "/v1/campaigns"), create)
        .on(route!(GET "/v1/campaigns"), list)
        .on(route!(GET "/v1/campaigns/{id}"), find)
        .on(route!(PATCH "/v1/campaigns/{id}"), update)
        .on(route!(DELETE "/v1/campaigns/{id}"), remove)
        .on(route!(POST "/v1/campaigns/{id}/steps"), steps::create)
        .on(route!(GET "/v1/campaigns/{id}/steps"), steps::list)
        .on(route!(PUT "/v1/campaigns/{id}/steps/order"), steps::reorder)
        .on(route!(PATCH "/v1/campaigns/{id}/steps/{step_id}"), steps::update)
        .on(route!(DELETE "/v1/campaigns/{id}/steps/{step_id}"), steps::remove)
        .on(route!(GET "/v1/campaigns/{id}/settings"), settings::find)
        .on(route!(PATCH "/v1/campaigns/{id}/settings"), settings::update)
        .on(route!(GET "/v1/campaigns/{id}/senders"), senders::list)
        .on(route!(PUT "/v1/campaigns/{id}/senders"), senders::replace)
        .on(route!(GET "/v1/campaigns/{id}/preflight"), check)
        .on(route!(POST "/v1/campaigns/{id}/activate"), activate)
        .on(route!(POST "/v1/campaigns/{id}/pause"), pause)
        .on(route!(POST "/v1/campaigns/{id}/resume"), resume)
        .on(route!(POST "/v1/campaigns/{id}/archive"), archive)
        .on(route!(GET "/v1/campaigns/{id}/enrollments"), enrollments::list)
        .on(route!(POST "/v1/campaigns/{id}/enrollments"), enrollments::create)
        .on(route!(DELETE "/v1/campaigns/{id}/enrollments/{enrollment_id}"), enrollments::remove)
        .on(route!(GET "/v1/campaigns/{id}/enrollments/{enrollment_id}/why"), enrollments::why)
        .on(route!(GET "/v1/campaigns/{id}/report"), report)
        .on(route!(GET "/v1/campaigns/{id}/statistics"), read_statistics)
        .on(route!(GET "/v1/campaigns/{id}/statistics/daily"), read_daily_statistics)
}

/// Serves the routes.
pub fn router(db: Database, queue: Arc<dyn JobQueue>, account: Arc<dyn ProviderAccount>) -> Router {
    routes(Router::new()).with_state(Campaigns { db, queue, account: Arc::new(WatchedAccount::new(account)) })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewCampaignBody {
    #[schemars(length(min = 1, max = campaigns::NAME_LIMIT))]
    name: String,
    #[schemars(length(max = campaigns::TEXT_LIMIT))]
    description: Option<String>,
    #[schemars(length(max = campaigns::TEXT_LIMIT))]
    strategy: Option<String>,
    #[schemars(length(max = campaigns::TEXT_LIMIT))]
    summary: Option<String>,
    #[schemars(url)]
    cta_url: Option<String>,
    list_id: Option<ListId>,
    segment_id: Option<SegmentId>,
    #[serde(default)]
    sender_ids: Vec<SenderId>,
}

/// Makes a draft.
async fn create(caller: Caller, Body(body): Body<NewCampaignBody>) -> ApiResult<Created<Campaign>> {
    let NewCampaignBody { name, description, strategy, summary, cta_url, list_id, segment_id, sender_ids } = body;
    let new = NewCampaign { name, description, strategy, summary, cta_url, list_id, segment_id };
    let campaign = campaigns::create(&caller.tx, &new).await?;
    campaign_senders::insert(&caller.tx, campaign.id, &sender_ids).await?;
    caller.record("campaign.created", campaign.id.0, &json!({"name": campaign.name})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/campaigns/{}", campaign.id), campaign))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CampaignFilter {
    status: Option<String>,
}

/// The newest campaigns first, of one status or all.
async fn list(caller: Caller, listing: Listing<CampaignFilter>) -> ApiResult<Json<Page<Campaign>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let status = filter.status.as_deref().map(Status::parse).transpose()?;
    let rows = campaigns::list(&caller.tx, status, page.before.map(CampaignId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |campaign| campaign.id.0)))
}

#[derive(Serialize, JsonSchema)]
struct CampaignView {
    #[serde(flatten)]
    campaign: Campaign,
    enrollments: Counts,
}

/// One campaign, with how many people are in each status.
async fn find(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<CampaignView>> {
    let campaign = campaigns::find(&caller.tx, id).await?;
    let enrollments = people::counts(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(CampaignView { campaign, enrollments }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CampaignPatchBody {
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    #[schemars(length(min = 1, max = campaigns::NAME_LIMIT))]
    name: Option<String>,
    #[serde(default, deserialize_with = "patched")]
    #[schemars(length(max = campaigns::TEXT_LIMIT))]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    #[schemars(length(max = campaigns::TEXT_LIMIT))]
    strategy: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    #[schemars(length(max = campaigns::TEXT_LIMIT))]
    summary: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    #[schemars(url)]
    cta_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    list_id: Option<Option<ListId>>,
    #[serde(default, deserialize_with = "patched")]
    segment_id: Option<Option<SegmentId>>,
}

/// Changes a draft or a paused campaign.
async fn update(
    caller: Caller,
    Id(id): Id<CampaignId>,
    Body(body): Body<CampaignPatchBody>,
) -> ApiResult<Json<Campaign>> {
    let CampaignPatchBody { name, description, strategy, summary, cta_url, list_id, segment_id } = body;
    let patch = CampaignPatch { name, description, strategy, summary, cta_url, list_id, segment_id };
    let before = campaigns::find(&caller.tx, id).await?;
    let campaign = campaigns::update(&caller.tx, id, patch).await?;
    caller.record_change("campaign.updated", id.0, &before, &campaign).await?;
    caller.commit().await?;
    Ok(Json(campaign))
}

/// Deletes a draft.
async fn remove(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<NoContent> {
    campaigns::delete(&caller.tx, id).await?;
    caller.record("campaign.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// What stands against activating it, and what is worth knowing before.
async fn check(State(state): State<Campaigns>, caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<Preflight>> {
    let campaign = campaigns::find(&caller.tx, id).await?;
    let account = state.account.state(Instant::now()).await;
    let preflight = preflight::check(&caller.tx, &campaign, account.as_ref()).await?;
    caller.commit().await?;
    Ok(Json(preflight))
}

/// Enrolls the audience and lets the campaign send: at once for a small audience, by a job (202) for a large one.
async fn activate(
    State(state): State<Campaigns>,
    caller: Caller,
    Id(id): Id<CampaignId>,
) -> ApiResult<Either<Json<Campaign>, Accepted<Job>>> {
    // Before anything is locked.
    let account = state.account.state(Instant::now()).await;
    match activation::activate(&caller.tx, id, account.as_ref()).await? {
        Activation::Done(campaign) => answer(caller, "campaign.activated", *campaign).await.map(Either::One),
        Activation::Running(job) => {
            let organization = caller.organization();
            caller.record("campaign.activating", id.0, &json!({"job_id": job.id})).await?;
            caller.commit().await?;
            // After the commit, so that the job is there when the hint arrives. Asking again repeats a hint that was lost.
            state.queue.enqueue(organization, job.id).await?;
            Ok(Either::Other(Accepted { path: format!("/v1/jobs/{}", job.id), body: *job }))
        }
    }
}

/// Pauses an active campaign: what is planned or queued waits; nothing new is handed to a provider.
async fn pause(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<Campaign>> {
    let campaign = campaigns::pause(&caller.tx, id).await?;
    answer(caller, "campaign.paused", campaign).await
}

/// Lets a paused campaign go on.
async fn resume(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<Campaign>> {
    let campaign = campaigns::resume(&caller.tx, id).await?;
    answer(caller, "campaign.resumed", campaign).await
}

/// Ends a campaign for good.
async fn archive(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<Campaign>> {
    let campaign = campaigns::archive(&caller.tx, id).await?;
    answer(caller, "campaign.archived", campaign).await
}

#[derive(Serialize, JsonSchema)]
struct CampaignStatistics {
    #[serde(flatten)]
    accounting: Statistics,
    funnel: Funnel,
}

/// What became of everybody, and how far the mails have come, step by step.
async fn read_statistics(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<CampaignStatistics>> {
    campaigns::find(&caller.tx, id).await?;
    let accounting = statistics::read(&caller.tx, id).await?;
    let funnel = funnel::read(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(CampaignStatistics { accounting, funnel }))
}

/// What became of everybody, as it was when the last of them had come to an end.
async fn report(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Json<Report>> {
    let report = reports::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(report))
}

/// The campaign's counts of each day.
async fn read_daily_statistics(
    caller: Caller,
    Id(id): Id<CampaignId>,
    Parameters(query): Parameters<PeriodQuery>,
) -> ApiResult<Json<Series>> {
    let period = Period::new(query.from, query.to, caller.now().date_naive())?;
    campaigns::find(&caller.tx, id).await?;
    let series = daily::read(&caller.tx, period, Filter { campaign: Some(id), ..Filter::default() }).await?;
    caller.commit().await?;
    Ok(Json(series))
}

/// Records the act, commits, and shows the campaign as it is now.
async fn answer(caller: Caller, action: &str, campaign: Campaign) -> ApiResult<Json<Campaign>> {
    caller.record(action, campaign.id.0, &json!({"status": campaign.status})).await?;
    caller.commit().await?;
    Ok(Json(campaign))
}
