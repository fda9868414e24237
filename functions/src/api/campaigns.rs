//! `/v1/campaigns`: campaigns and everything below them.

mod enrollments;
mod senders;
mod settings;
mod steps;

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
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
use shared::platform::jobs::JobQueue;
use shared::{CampaignId, Database, ListId, SenderId};
use tokio::time::Instant;

use crate::http::{ApiResult, Body, Caller, Id, Listing, Page, Parameters, given, patched};

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
pub fn router(db: Database, queue: Arc<dyn JobQueue>, account: Arc<dyn ProviderAccount>) -> Router {
    Router::new()
        .route("/v1/campaigns", post(create).get(list))
        .route("/v1/campaigns/{id}", get(find).patch(update).delete(remove))
        .route("/v1/campaigns/{id}/steps", post(steps::create).get(steps::list))
        .route("/v1/campaigns/{id}/steps/order", put(steps::reorder))
        .route("/v1/campaigns/{id}/steps/{step_id}", patch(steps::update).delete(steps::remove))
        .route("/v1/campaigns/{id}/settings", get(settings::find).patch(settings::update))
        .route("/v1/campaigns/{id}/senders", get(senders::list).put(senders::replace))
        .route("/v1/campaigns/{id}/preflight", get(check))
        .route("/v1/campaigns/{id}/activate", post(activate))
        .route("/v1/campaigns/{id}/pause", post(pause))
        .route("/v1/campaigns/{id}/resume", post(resume))
        .route("/v1/campaigns/{id}/archive", post(archive))
        .route("/v1/campaigns/{id}/enrollments", get(enrollments::list))
        .route("/v1/campaigns/{id}/enrollments/{enrollment_id}", delete(enrollments::remove))
        .route("/v1/campaigns/{id}/enrollments/{enrollment_id}/why", get(enrollments::why))
        .route("/v1/campaigns/{id}/report", get(report))
        .route("/v1/campaigns/{id}/statistics", get(read_statistics))
        .route("/v1/campaigns/{id}/statistics/daily", get(read_daily_statistics))
        .with_state(Campaigns { db, queue, account: Arc::new(WatchedAccount::new(account)) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCampaignBody {
    name: String,
    description: Option<String>,
    strategy: Option<String>,
    summary: Option<String>,
    cta_url: Option<String>,
    list_id: Option<ListId>,
    #[serde(default)]
    sender_ids: Vec<SenderId>,
}

/// Makes a draft.
async fn create(caller: Caller, Body(body): Body<NewCampaignBody>) -> ApiResult<Response> {
    let NewCampaignBody { name, description, strategy, summary, cta_url, list_id, sender_ids } = body;
    let new = NewCampaign { name, description, strategy, summary, cta_url, list_id };
    let campaign = campaigns::create(&caller.tx, &new).await?;
    campaign_senders::insert(&caller.tx, campaign.id, &sender_ids).await?;
    caller.record("campaign.created", campaign.id.0, &json!({"name": campaign.name})).await?;
    caller.commit().await?;
    Ok(created(&format!("/v1/campaigns/{}", campaign.id), &campaign))
}

#[derive(Deserialize)]
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

#[derive(Serialize)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CampaignPatchBody {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "patched")]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    strategy: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    summary: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    cta_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "patched")]
    list_id: Option<Option<ListId>>,
}

/// Changes a draft or a paused campaign.
async fn update(
    caller: Caller,
    Id(id): Id<CampaignId>,
    Body(body): Body<CampaignPatchBody>,
) -> ApiResult<Json<Campaign>> {
    let CampaignPatchBody { name, description, strategy, summary, cta_url, list_id } = body;
    let patch = CampaignPatch { name, description, strategy, summary, cta_url, list_id };
    let details = json!({"fields": patch.names()});
    let campaign = campaigns::update(&caller.tx, id, patch).await?;
    caller.record("campaign.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(campaign))
}

/// Deletes a draft.
async fn remove(caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<StatusCode> {
    campaigns::delete(&caller.tx, id).await?;
    caller.record("campaign.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(StatusCode::NO_CONTENT)
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
async fn activate(State(state): State<Campaigns>, caller: Caller, Id(id): Id<CampaignId>) -> ApiResult<Response> {
    // Before anything is locked.
    let account = state.account.state(Instant::now()).await;
    match activation::activate(&caller.tx, id, account.as_ref()).await? {
        Activation::Done(campaign) => Ok(answer(caller, "campaign.activated", *campaign).await?.into_response()),
        Activation::Running(job) => {
            let organization = caller.organization();
            caller.record("campaign.activating", id.0, &json!({"job_id": job.id})).await?;
            caller.commit().await?;
            // After the commit, so that the job is there when the hint arrives. Asking again repeats a hint that was lost.
            state.queue.enqueue(organization, job.id).await?;
            let location = [(header::LOCATION, format!("/v1/jobs/{}", job.id))];
            Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
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

#[derive(Serialize)]
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

/// 201 with the place of what was made.
fn created(location: &str, what: &impl Serialize) -> Response {
    let headers: [(HeaderName, &str); 1] = [(header::LOCATION, location)];
    (StatusCode::CREATED, headers, Json(what)).into_response()
}
