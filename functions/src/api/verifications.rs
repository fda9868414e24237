//! `/v1/verifications`: whether addresses take mail.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::audience::enrichment::{EnrichmentQueue, Work};
use shared::audience::providers::Asker;
use shared::audience::verifications::checking::{self, MailHosts, Means};
use shared::audience::verifications::jobs::{self, NewVerificationJob, VerificationJob};
use shared::audience::verifications::{self, Filter, Summary, Verification};
use shared::delivery::tokens::KeyRing;
use shared::{Database, VerificationJobId};

use crate::http::{Accepted, ApiResult, Body, Caller, Id, Listing, Page, Routes, route};

type Queue = Arc<dyn EnrichmentQueue>;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Verifications {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Where jobs wait for whoever does them.
    pub queue: Queue,
    /// DNS.
    pub hosts: Arc<dyn MailHosts>,
    /// The way out to the provider.
    pub asker: Arc<dyn Asker>,
    /// Recognizes forgotten addresses.
    pub keys: Arc<KeyRing>,
}

/// The routes.
pub fn routes<R: Routes<Verifications>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/verifications"), list)
        .on(route!(POST "/v1/verifications"), check)
        .on(route!(GET "/v1/verifications/jobs"), list_jobs)
        .on(route!(POST "/v1/verifications/jobs"), create_job)
        .on(route!(GET "/v1/verifications/jobs/{id}"), find_job)
        .on(route!(POST "/v1/verifications/jobs/{id}/cancel"), cancel_job)
        .on(route!(POST "/v1/verifications/jobs/{id}/resume"), resume_job)
        .on(route!(GET "/v1/verifications/summary"), summary)
}

/// Serves the routes.
pub fn router(verifications: Verifications) -> Router {
    routes(Router::new()).with_state(verifications)
}

/// What is known of addresses, in their order; filtered by `status` and `email`.
async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Verification>>> {
    let (filter, page) = listing.read::<String>(caller.organization())?;
    let rows = verifications::list(&caller.tx, &filter, page.before.as_deref(), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |verification| verification.email.clone())))
}

/// What is to be checked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewVerification")]
struct Address {
    email: String,
}

/// Checks one address; what was found is kept where a contact has it.
async fn check(
    State(Verifications { db, hosts, asker, keys, .. }): State<Verifications>,
    caller: Caller,
    Body(address): Body<Address>,
) -> ApiResult<Json<Verification>> {
    let means = Means { hosts: &*hosts, asker: &*asker, keys: &keys };
    let waiting = caller.wait().await?;
    let found = checking::check_one(&db, waiting.organization(), means, &address.email).await?;
    let caller = waiting.go_on(&db).await?;
    let verification = found.keep(&caller.tx, &keys).await?;
    let details = json!({"status": verification.status});
    caller.record("verification.made", caller.organization().0, &details).await?;
    caller.commit().await?;
    Ok(Json(verification))
}

/// How many addresses are what.
async fn summary(caller: Caller) -> ApiResult<Json<Summary>> {
    let summary = verifications::summary(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(summary))
}

/// The newest jobs first.
async fn list_jobs(caller: Caller, listing: Listing) -> ApiResult<Json<Page<VerificationJob>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = jobs::list(&caller.tx, page.before.map(VerificationJobId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |job| job.id.0)))
}

/// Begins a job.
async fn create_job(
    State(queue): State<Queue>,
    caller: Caller,
    Body(new): Body<NewVerificationJob>,
) -> ApiResult<Accepted<VerificationJob>> {
    let job = jobs::create(&caller.tx, &new).await?;
    caller.record("verification.started", job.id.0, &json!({"again": new.again})).await?;
    hint(&queue, caller, job).await
}

/// One job with its progress.
async fn find_job(caller: Caller, Id(id): Id<VerificationJobId>) -> ApiResult<Json<VerificationJob>> {
    let job = jobs::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(job))
}

/// Stops a job.
async fn cancel_job(caller: Caller, Id(id): Id<VerificationJobId>) -> ApiResult<Json<VerificationJob>> {
    let job = jobs::cancel(&caller.tx, id).await?;
    caller.record("verification.cancelled", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(Json(job))
}

/// Lets a cancelled job go on, or one that stands still. One that runs is left as it is.
async fn resume_job(
    State(queue): State<Queue>,
    caller: Caller,
    Id(id): Id<VerificationJobId>,
) -> ApiResult<Accepted<VerificationJob>> {
    let (job, goes_on) = jobs::resume(&caller.tx, id).await?;
    if !goes_on {
        caller.commit().await?;
        return Ok(accepted(job));
    }
    caller.record("verification.resumed", id.0, &json!({})).await?;
    hint(&queue, caller, job).await
}

/// After the commit, so that the job is there when the hint arrives.
async fn hint(queue: &Queue, caller: Caller, job: VerificationJob) -> ApiResult<Accepted<VerificationJob>> {
    let organization = caller.organization();
    caller.commit().await?;
    queue.enqueue(organization, Work::VerificationJobId(job.id), Duration::ZERO).await?;
    Ok(accepted(job))
}

fn accepted(job: VerificationJob) -> Accepted<VerificationJob> {
    Accepted { path: format!("/v1/verifications/jobs/{}", job.id), body: job }
}
