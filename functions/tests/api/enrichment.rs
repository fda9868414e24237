use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::enrichment::{self, Enrichment};
use serde_json::{Value, json};
use shared::Database;
use testkit::FakeEnrichmentQueue;

use crate::app::App;

pub(crate) fn of(db: Database) -> Router {
    enrichment::router(Enrichment { db, queue: Arc::<FakeEnrichmentQueue>::default() })
}

pub(crate) fn router(app: &App) -> Router {
    of(app.scene.db.app())
}

#[tokio::test]
async fn one_enrichment_runs_at_a_time_and_is_stopped_and_goes_on() {
    let app = App::new().await;
    app.scene.contacts(1).await;
    let queue = Arc::<FakeEnrichmentQueue>::default();
    let router = || enrichment::router(Enrichment { db: app.scene.db.app(), queue: queue.clone() });
    let made = app.sample(router(), "enrichment/create", &[]).await.expect(202);
    let id = made.text("/id").to_owned();
    assert_eq!(made.headers["location"], format!("/v1/enrichment/jobs/{id}"));
    assert_eq!((made.text("/status"), &made.body["selection"]), ("running", &json!({"everybody": true})));
    assert_eq!(queue.drain().len(), 1);
    let second = app.sample(router(), "enrichment/create", &[]).await.expect(409);
    assert_eq!(second.text("/code"), "enrichment_is_running");
    assert!(queue.drain().is_empty(), "nothing waits for a job that was not made");

    let fill = [("ENRICHMENT_JOB_ID", id.as_str())];
    let cancelled = app.sample(router(), "enrichment/cancel", &fill).await.expect(200);
    assert_eq!(cancelled.text("/status"), "cancelled");
    let other = app.sample(router(), "enrichment/create", &[]).await.expect(202).text("/id").to_owned();
    let refused = app.sample(router(), "enrichment/resume", &fill).await.expect(409);
    assert_eq!(refused.text("/code"), "enrichment_is_running");
    app.sample(router(), "enrichment/cancel", &[("ENRICHMENT_JOB_ID", &other)]).await.expect(200);
    let resumed = app.sample(router(), "enrichment/resume", &fill).await.expect(202);
    assert_eq!((resumed.text("/status"), &resumed.body["ended_at"]), ("running", &Value::Null));
    let found = app.sample(router(), "enrichment/find", &fill).await.expect(200);
    assert_eq!(found.body, resumed.body);
    let page = app.sample(router(), "enrichment/list", &[]).await.expect(200);
    assert_eq!(page.body["data"].as_array().unwrap().len(), 2);
    let tasks = app.sample(router(), "enrichment/tasks", &fill).await.expect(200);
    assert_eq!(tasks.body["data"], json!([]));
    app.scene
        .run("update enrichment_jobs set status = 'completed', ended_at = now() where id::text = $1", &[&id])
        .await;
    let refused = app.sample(router(), "enrichment/resume", &fill).await.expect(409);
    assert_eq!(refused.text("/code"), "job_is_completed");
}

#[tokio::test]
async fn what_is_no_enrichment_is_refused() {
    let app = App::new().await;
    let path = "/v1/enrichment/jobs";
    for body in [
        json!({}),
        json!({"selection": {}}),
        json!({"selection": {"everybody": false}}),
        json!({"selection": {"contact_ids": []}}),
        json!({"selection": {"everybody": true}, "provider": "mine"}),
    ] {
        app.send(router(&app), Method::POST, path, Some(body)).await.expect(422);
    }
    let gone = json!({"selection": {"list_id": shared::ListId::fresh()}});
    app.send(router(&app), Method::POST, path, Some(gone)).await.expect(404);
    for path in ["/v1/enrichment/jobs/nonsense", "/v1/enrichment/jobs/00000000-0000-7000-8000-000000000000/tasks"] {
        app.send(router(&app), Method::GET, path, None).await.expect(404);
    }
    app.send(router(&app), Method::GET, "/v1/enrichment/jobs?status=running", None).await.expect(400);
}
