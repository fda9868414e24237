use axum::http::Method;
use functions::api::organizations;
use serde_json::json;

use crate::app::App;

#[tokio::test]
async fn an_organization_sees_and_changes_itself() {
    let app = App::new().await;
    let router = organizations::router(app.scene.db.app());
    let list = app.sample(router.clone(), "organizations/list", &[]).await.expect(200);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(1));
    let id = list.text("/data/0/id").to_owned();
    assert_eq!(id, app.scene.organization.to_string());

    let fill = [("ORGANIZATION_ID", id.as_str())];
    let changed = app.sample(router.clone(), "organizations/update", &fill).await.expect(200);
    assert_eq!(changed.text("/postal_address"), "1 Example Street, Example Town");
    let found = app.sample(router.clone(), "organizations/find", &fill).await.expect(200);
    assert_eq!((found.text("/timezone"), found.text("/slug")), ("Europe/Berlin", "acme"));
    assert_eq!(app.scene.number("select count(*) from audit_log where action = 'organization.updated'", &[]).await, 1);

    let path = format!("/v1/organizations/{id}");
    let without = app.send(router, Method::PATCH, &path, Some(json!({"postal_address": null}))).await.expect(200);
    assert!(without.body["postal_address"].is_null());
}

#[tokio::test]
async fn what_is_not_valid_is_named_and_nothing_else_can_be_set() {
    let app = App::new().await;
    let router = organizations::router(app.scene.db.app());
    let path = format!("/v1/organizations/{}", app.scene.organization);
    let wrong = json!({"name": " ", "timezone": "Mars/Olympus", "postal_address": "\u{0}"});
    let refused = app.send(router.clone(), Method::PATCH, &path, Some(wrong)).await.expect(422);
    let named: Vec<_> = refused.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(named, ["name", "timezone", "postal_address"]);
    for field in ["id", "plan_type", "status", "slug"] {
        let body = json!({field: "free"});
        app.send(router.clone(), Method::PATCH, &path, Some(body)).await.expect(422);
    }
}

#[tokio::test]
async fn another_organization_is_not_found() {
    let app = App::new().await;
    let router = organizations::router(app.scene.db.app());
    let (other, _) = app.scene.another_organization("other").await;
    let path = format!("/v1/organizations/{other}");
    app.send(router.clone(), Method::GET, &path, None).await.expect(404);
    app.send(router.clone(), Method::PATCH, &path, Some(json!({"name": "Mine"}))).await.expect(404);
    app.send_as(router, Method::GET, &path, None, None).await.expect(401);
    let kept = app.scene.rows("select name from organizations where id = $1", &[&other]).await;
    assert_eq!(kept[0].get::<_, &str>(0), "other");
}
