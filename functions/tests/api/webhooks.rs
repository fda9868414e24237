use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::webhooks::{self, Webhooks};
use serde_json::{Value, json};
use shared::Database;
use shared::platform::webhooks::Reach;
use testkit::FakeWebhookQueue;

use crate::app::{Answer, App};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// What the routes of webhooks and workflows need, with a queue of which nobody hears.
pub(crate) fn webhooks(db: Database) -> Webhooks {
    let queue = Arc::new(FakeWebhookQueue::default());
    Webhooks { db, keys: testkit::key_ring().into(), queue, reach: Reach::Public }
}

fn router(app: &App) -> Router {
    webhooks::router(webhooks(app.scene.db.app()))
}

async fn create(app: &App, body: Value) -> Answer {
    app.send(router(app), Method::POST, "/v1/webhooks", Some(body)).await
}

#[tokio::test]
async fn an_endpoint_is_made_changed_rotated_and_deleted_and_its_secret_is_shown_once() {
    let app = App::new().await;
    let created = app.sample(router(&app), "webhooks/create", &[]).await.expect(201);
    let id = created.text("/id").to_owned();
    let fill = [("ENDPOINT_ID", id.as_str())];
    assert_eq!(created.headers["location"], format!("/v1/webhooks/{id}"));
    let secret = created.text("/secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "32 bytes in base64");
    let found = app.sample(router(&app), "webhooks/find", &fill).await.expect(200);
    let mut shown = created.body.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(found.body, shown);
    assert_eq!((found.text("/status"), &found.body["failing_since"]), ("enabled", &Value::Null));

    let updated = app.sample(router(&app), "webhooks/update", &fill).await.expect(200);
    assert_eq!(updated.body["event_types"], Value::Null);
    let rotated = app.sample(router(&app), "webhooks/rotate", &fill).await.expect(201);
    assert_ne!(rotated.text("/secret"), secret);
    assert!(rotated.body["previous_secret_expires_at"].is_string());
    let page = app.sample(router(&app), "webhooks/list", &[]).await.expect(200);
    assert_eq!((page.body["data"].as_array().unwrap().len(), &page.body["next_cursor"]), (1, &Value::Null));
    assert!(!page.body.to_string().contains("whsec_"));

    app.sample(router(&app), "webhooks/delete", &fill).await.expect(204);
    app.sample(router(&app), "webhooks/find", &fill).await.expect(404);
    let told = "select count(*) from audit_log where details::text like '%whsec_%' or details::text like '%https%'";
    assert_eq!(app.scene.number(told, &[]).await, 0);
}

#[tokio::test]
async fn an_endpoint_that_can_not_be_is_refused_with_a_reason() {
    let app = App::new().await;
    for (body, field, code) in [
        (json!({"url": "http://hooks.example.com/"}), "url", "not_https"),
        (json!({"url": "https://user:secret@hooks.example.com/"}), "url", "has_credentials"),
        (json!({"url": "https://hooks.example.com:25/"}), "url", "port_not_allowed"),
        (json!({"url": "https://192.168.0.1/"}), "url", "address_not_public"),
        (json!({"url": "https://[::ffff:169.254.169.254]/"}), "url", "address_not_public"),
        (json!({"url": "hooks"}), "url", "not_a_url"),
        (
            json!({"url": "https://hooks.example.com/", "event_types": ["message.lost"]}),
            "event_types",
            "unknown_event_type",
        ),
        (json!({"url": "https://hooks.example.com/", "description": "x".repeat(501)}), "description", "too_long"),
    ] {
        let refused = create(&app, body.clone()).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), (field, code), "{body}");
    }
    create(&app, json!({"url": "https://hooks.example.com/", "secret": "whsec_mine"})).await.expect(422);
    for path in ["", "/rotate", "/test"] {
        let method = if path.is_empty() { Method::GET } else { Method::POST };
        app.send(router(&app), method, &format!("/v1/webhooks/{NOBODY}{path}"), None).await.expect(404);
    }
}

#[tokio::test]
async fn a_test_is_enqueued_and_its_delivery_is_found_and_replayed() {
    let app = App::new().await;
    let queue = Arc::new(FakeWebhookQueue::default());
    let state = Webhooks { queue: queue.clone(), ..webhooks(app.scene.db.app()) };
    let id = app.sample(router(&app), "webhooks/create", &[]).await.expect(201).text("/id").to_owned();
    let fill = [("ENDPOINT_ID", id.as_str())];
    let tested = app.sample(webhooks::router(state.clone()), "webhooks/test", &fill).await.expect(201);
    assert_eq!((tested.text("/type"), tested.text("/state")), ("webhook.test", "pending"));
    assert_eq!(queue.drain().len(), 1);
    let delivery = tested.text("/id").to_owned();
    let fill = [("ENDPOINT_ID", id.as_str()), ("DELIVERY_ID", delivery.as_str())];
    let found = app.sample(router(&app), "webhooks/deliveries_find", &fill).await.expect(200);
    assert_eq!(found.body["data"], json!({"endpoint_id": id}));
    let refused = app.sample(router(&app), "webhooks/deliveries_replay", &fill).await.expect(409);
    assert_eq!(refused.text("/code"), "webhook_delivery_pending");
    app.scene.run("update webhook_deliveries set state = 'failed', next_attempt_at = null", &[]).await;
    let list = app.sample(router(&app), "webhooks/deliveries_list", &[]).await.expect(200);
    assert_eq!(list.body["data"], json!([]), "it is of another type");
    let replayed = app.sample(router(&app), "webhooks/replay", &fill).await.expect(200);
    assert_eq!(replayed.body, json!({"replayed": 1}));
    let path = format!("/v1/webhooks/deliveries?endpoint_id={id}&state=pending&type=webhook.test");
    let list = app.send(router(&app), Method::GET, &path, None).await.expect(200);
    assert_eq!(list.text("/data/0/id"), delivery);
    app.send(router(&app), Method::GET, "/v1/webhooks/deliveries?state=lost", None).await.expect(400);
    app.send(router(&app), Method::PATCH, &format!("/v1/webhooks/{id}"), Some(json!({"status": "disabled"})))
        .await
        .expect(200);
    let refused = app.sample(router(&app), "webhooks/test", &fill).await.expect(409);
    assert_eq!(refused.text("/code"), "webhook_endpoint_disabled");
}
