//! `/v1/campaigns/{id}/enrollments`: the people in the campaign.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::outreach::campaigns;
use shared::outreach::enrollments::why::{self, Why};
use shared::outreach::enrollments::{self, Enrollment, Status};
use shared::{CampaignId, ContactId, EnrollmentId};

use crate::http::{ApiResult, Caller, Id, Listing, NoContent, Page};

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
