//! `/v1/onboarding`, `/v1/subscription` and `/v1/organizations/{id}/usage`: how an organization came, what it pays for, and what it
//! has used.

use axum::{Json, Router};
use serde_json::json;
use shared::platform::onboarding::{self, Onboarding, OnboardingFields};
use shared::platform::organizations;
use shared::platform::subscriptions::{self, Subscription};
use shared::platform::usage::{self, Usage};
use shared::{Database, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Id, Routes, route};

/// The routes.
pub fn routes<R: Routes<Database>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/onboarding"), find_onboarding)
        .on(route!(PATCH "/v1/onboarding"), update_onboarding)
        .on(route!(GET "/v1/subscription"), find)
        .on(route!(GET "/v1/organizations/{id}/usage"), find_usage)
}

/// Serves the routes.
pub fn router(db: Database) -> Router {
    routes(Router::new()).with_state(db)
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
async fn find(caller: Caller) -> ApiResult<Json<Subscription>> {
    let subscription = subscriptions::find(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(subscription))
}

/// What is used of each limit of the plan, and of the present month.
async fn find_usage(caller: Caller, Id(id): Id<OrganizationId>) -> ApiResult<Json<Usage>> {
    organizations::check(&caller.tx, id)?;
    let usage = usage::find(&caller.tx).await?;
    caller.commit().await?;
    Ok(Json(usage))
}
