use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::subscriptions::{self, Subscriptions};
use serde_json::json;
use shared::platform::memberships::Role;

use crate::app::App;

/// The routes with the keys of the tests.
pub(crate) fn router(app: &App) -> Router {
    subscriptions::router(Subscriptions { db: app.scene.db.app(), keys: Arc::new(testkit::key_ring()) })
}

#[tokio::test]
async fn the_onboarding_goes_its_steps_and_ends_with_a_trial() {
    let app = App::new().await;
    // Whose trial it is.
    app.scene.session(Role::Owner).await;
    let router = || router(&app);
    let begun = app.sample(router(), "onboarding/find", &[]).await.expect(200);
    assert_eq!((begun.text("/step"), &begun.body["mails"]), ("pending", &json!([])));
    let told = app.sample(router(), "onboarding/update", &[]).await.expect(200);
    assert_eq!((told.text("/step"), told.text("/full_name")), ("info_captured", "Ada Lovelace"));
    let patch = async |body| app.send(router(), Method::PATCH, "/v1/onboarding", Some(body)).await;
    let skipped = patch(json!({"step": "completed"})).await.expect(409);
    assert_eq!(skipped.text("/code"), "onboarding_step_order");
    let empty = patch(json!({"step": "intent_captured"})).await.expect(422);
    assert_eq!(empty.text("/errors/0/field"), "brand_description");
    patch(json!({"plan_type": "enterprise"})).await.expect(422);
    patch(json!({"step": "intent_captured", "brand_description": "We compute."})).await.expect(200);
    let done = patch(json!({"step": "completed"})).await.expect(200);
    assert_eq!(done.body["mails"].as_array().unwrap().len(), 3);
    let subscription = app.sample(router(), "subscriptions/find", &[]).await.expect(200);
    assert_eq!((subscription.text("/status"), subscription.text("/trial/status")), ("none", "active"));
    assert_eq!(subscription.text("/trial/ends_at"), "2026-03-11T10:00:00.000Z");
    let (organization, asked_at) =
        testkit::key_ring().open_checkout_token(subscription.text("/checkout_reference")).unwrap();
    assert_eq!((organization, asked_at.timestamp()), (app.scene.organization.0, 1_772_618_400));
    let acts = "select count(*) from audit_log where action = 'onboarding.updated'";
    assert_eq!(app.scene.number(acts, &[]).await, 3);
}

#[tokio::test]
async fn usage_is_told_of_the_own_organization_alone() {
    let app = App::new().await;
    let router = || router(&app);
    app.scene
        .run("update organizations set plan_type = 'free', plan_source = 'default', has_plan_limits = true", &[])
        .await;
    app.scene.sender(1, 50, 60).await;
    let id = app.scene.organization.to_string();
    let usage = app.sample(router(), "organizations/usage", &[("ORGANIZATION_ID", &id)]).await.expect(200);
    assert_eq!(usage.text("/plan_type"), "free");
    assert_eq!(usage.body["limits"][1], json!({"limit": "senders", "used": 1, "maximum": 5}));
    assert_eq!(usage.text("/month/began_at"), "2026-03-01T00:00:00.000Z");
    let (second, _) = app.scene.another_organization("second").await;
    let path = format!("/v1/organizations/{second}/usage");
    app.send(router(), Method::GET, &path, None).await.expect(404);
}
