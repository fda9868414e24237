//! `/v1/campaigns/{id}/enrollments`: the people in the campaign.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::audience::selection::Selection;
use shared::outreach::campaigns;
use shared::outreach::enrolling;
use shared::outreach::enrollments::why::{self, Why};
use shared::outreach::enrollments::{self, Enrollment, Status};
use shared::platform::jobs::Job;
use shared::{CampaignId, ContactId, EnrollmentId};

use super::Campaigns;
use crate::http::{Accepted, ApiResult, Body, Caller, Id, Listing, NoContent, Page};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrollmentFilter {
    status: Option<String>,
}

/// The people, the newest contacts first, of one status or all.
pub(super) async fn list(
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    listing: Listing<EnrollmentFilter>,
) -> ApiResult<Json<Page<Enrollment>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let status = filter.status.as_deref().map(Status::parse).transpose()?;
    campaigns::find(&caller.tx, campaign).await?;
    let rows = enrollments::list(&caller.tx, campaign, status, page.before.map(ContactId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |enrollment| enrollment.contact_id.0)))
}

/// Whom to enroll.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PeopleToEnroll")]
pub(super) struct People {
    selection: Selection,
}

/// Enrolls everybody whom the selection has now, by a job.
pub(super) async fn create(
    State(state): State<Campaigns>,
    caller: Caller,
    Id(campaign): Id<CampaignId>,
    Body(people): Body<People>,
) -> ApiResult<Accepted<Job>> {
    let job = enrolling::create(&caller.tx, campaign, people.selection).await?;
    caller.record("campaign.adding_people", campaign.0, &json!({"job_id": job.id, "total": job.total})).await?;
    let organization = caller.organization();
    caller.commit().await?;
    state.queue.enqueue(organization, job.id).await?;
    Ok(Accepted { path: format!("/v1/jobs/{}", job.id), body: job })
}

/// Takes a person out of what follows.
pub(super) async fn remove(caller: Caller, Id((campaign, id)): Id<(CampaignId, EnrollmentId)>) -> ApiResult<NoContent> {
    enrollments::remove(&caller.tx, campaign, id).await?;
    caller.record("enrollment.removed", campaign.0, &json!({"enrollment_id": id})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// When the person is written to next, and what holds that, or how their way ended.
pub(super) async fn why(caller: Caller, Id((campaign, id)): Id<(CampaignId, EnrollmentId)>) -> ApiResult<Json<Why>> {
    let told = why::of_enrollment(&caller.tx, campaign, id).await?;
    caller.commit().await?;
    Ok(Json(told))
}
