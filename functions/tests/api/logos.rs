use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::logos::{Logos, router};
use serde_json::json;
use testkit::FakeObjectStore;

use crate::app::App;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

fn logos(app: &App, store: &Arc<FakeObjectStore>) -> Router {
    router(Logos { db: app.scene.db.app(), keys: Arc::new(testkit::key_ring()), store: store.clone() })
}

#[tokio::test]
async fn a_logo_is_uploaded_by_a_signed_url_and_served_to_everybody() {
    let (app, store) = (App::new().await, Arc::<FakeObjectStore>::default());
    let id = app.scene.organization.to_string();
    let fill = [("ORGANIZATION_ID", id.as_str())];
    let place = app.sample(logos(&app, &store), "organizations/logo_create", &fill).await.expect(201);
    assert_eq!(place.text("/upload/method"), "PUT");
    let upload = place.text("/upload_id").to_owned();
    assert!(place.text("/upload/url").contains("?size=2048&"), "{}", place.body);
    let set = [fill[0], ("UPLOAD_ID", upload.as_str())];
    let missing = app.sample(logos(&app, &store), "organizations/logo_set", &set).await.expect(409);
    assert_eq!(missing.text("/code"), "file_missing");
    store.upload(&format!("uploads/{id}/logo-{upload}"), PNG);
    let organization = app.sample(logos(&app, &store), "organizations/logo_set", &set).await.expect(200);
    let path = organization.text("/branding/logo_path").to_owned();

    let name = path.rsplit('/').next().unwrap();
    let shown = [fill[0], ("NAME", name)];
    let logo = app.sample(logos(&app, &store), "organizations/logo_show", &shown).await.expect(200);
    for (header, value) in [
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "public, max-age=86400"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(logo.headers[header], value);
    }
    assert!(!logo.headers.contains_key("set-cookie"));
    let removed = app.sample(logos(&app, &store), "organizations/logo_remove", &fill).await.expect(200);
    assert!(removed.body["branding"]["logo_path"].is_null());
    app.sample(logos(&app, &store), "organizations/logo_show", &shown).await.expect(404);
    assert_eq!(store.object(&format!("logos/{id}/{name}")), None);
}

#[tokio::test]
async fn logos_are_counted_by_the_address_that_asks_for_them() {
    let (app, store) = (App::new().await, Arc::<FakeObjectStore>::default());
    app.scene.run("update system_config set value = '2' where category = 'rate_limits' and key = 'public'", &[]).await;
    let id = app.scene.organization.to_string();
    let fill = [("ORGANIZATION_ID", id.as_str()), ("NAME", "0123456789abcdef0123456789abcdef.png")];
    for _ in 0..2 {
        app.sample(logos(&app, &store), "organizations/logo_show", &fill).await.expect(404);
    }
    let refused = app.sample(logos(&app, &store), "organizations/logo_show", &fill).await.expect(429);
    assert_eq!(refused.text("/code"), "rate_limited");
}

#[tokio::test]
async fn what_is_no_logo_is_refused_and_another_organization_has_none_of_ours() {
    let (app, store) = (App::new().await, Arc::<FakeObjectStore>::default());
    let id = app.scene.organization;
    let upload = shared::ids::fresh();
    store.upload(&format!("uploads/{id}/logo-{upload}"), "<svg onload=\"alert(1)\"/>");
    let path = format!("/v1/organizations/{id}/logo");
    for (size, code) in [(0, "file_empty"), (512 * 1024 + 1, "too_large")] {
        let refused = app.send(logos(&app, &store), Method::POST, &path, Some(json!({"size": size}))).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), ("size", code));
    }
    let body = Some(json!({"upload_id": upload}));
    let refused = app.send(logos(&app, &store), Method::PUT, &path, body.clone()).await.expect(422);
    assert_eq!(refused.text("/errors/0/code"), "unknown_format");
    let (other, _) = app.scene.another_organization("other").await;
    let path = format!("/v1/organizations/{other}/logo");
    app.send(logos(&app, &store), Method::PUT, &path, body).await.expect(404);
    app.send(logos(&app, &store), Method::POST, &path, Some(json!({"size": 100}))).await.expect(404);
    app.send(logos(&app, &store), Method::DELETE, &path, None).await.expect(404);
    for path in ["/logos/nobody/logo.png".to_owned(), format!("/logos/{id}/logo.png"), format!("/logos/{other}/..")] {
        app.send_as(logos(&app, &store), Method::GET, &path, None, None).await.expect(404);
    }
}
