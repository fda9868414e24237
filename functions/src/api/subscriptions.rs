//! `/v1/onboarding`, `/v1/subscription` and `/v1/organizations/{id}/usage`: how an organization came, what it pays for, and what it
//! has used.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::delivery::tokens::KeyRing;
use shared::platform::onboarding::{self, Onboarding, OnboardingFields};
use shared::platform::organizations;
use shared::platform::stripe;
use shared::platform::subscriptions::{self, Subscription};
use shared::platform::usage::{self, Usage};
use shared::{Database, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Id, Routes, route};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Subscriptions {
    /// Logged in as martlet_app.
    pub db: Database,
    /// What the references of checkouts are signed with.
    pub keys: Arc<KeyRing>,
}

/// A subscription, and how to pay for one.
#[derive(Debug, Serialize, JsonSchema)]
struct Payable {
    /// As it stands.
    #[serde(flatten)]
    subscription: Subscription,
    /// The `client_reference_id` of a checkout for this organization, good for a day.
    checkout_reference: String,
}

/// The routes.
pub fn routes<R: Routes<Subscriptions>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/onboarding"), find_onboarding)
        .on(route!(PATCH "/v1/onboarding"), update_onboarding)
        .on(route!(GET "/v1/subscription"), find)
        .on(route!(GET "/v1/organizations/{id}/usage"), find_usage)
}

/// Serves the routes.
pub fn router(state: Subscriptions) -> Router {
    routes(Router::new()).with_state(state)
}

/// How far the onboarding has come.
async fn find_onboarding(caller: Caller) -> ApiResult<Json<Onboarding>> {
    let onboarding = onboarding::find(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(onboarding))
}

/// Changes the fields that are given and goes on to the step that is asked for.
async fn update_onboarding(caller: Caller, Body(fields): Body<OnboardingFields>) -> ApiResult<Json<Onboarding>> {
    let names = fields.names();
    let person = caller.person().map(|(user, _)| user);
    let onboarding = onboarding::update(&caller.tx, person, fields).await?;
    let details = json!({"fields": names, "step": onboarding.step});
    caller.record("onboarding.updated", caller.organization().0, &details).await?;
    caller.commit().await?;
    Ok(Json(onboarding))
}

/// Plan, trial and subscription as they stand.
async fn find(State(state): State<Subscriptions>, caller: Caller) -> ApiResult<Json<Payable>> {
    let subscription = subscriptions::find(&caller.tx).await?;
    let checkout_reference = stripe::reference_for_checkout(&state.keys, caller.organization(), caller.tx.now());
    caller.commit().await?;
    Ok(Json(Payable { subscription, checkout_reference }))
}

/// What is used of each limit of the plan, and of the present month.
async fn find_usage(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Usage>> {
    organizations::check(&caller.tx, id)?;
    let usage = usage::find(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(usage))
}
