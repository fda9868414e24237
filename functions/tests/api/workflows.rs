use axum::Router;
use axum::http::Method;
use functions::api::workflows;
use serde_json::{Value, json};
use shared::platform::webhooks::secrets::Secret;
use shared::platform::webhooks::signatures;

use crate::app::{Answer, App, call, filled_sample};

fn router(app: &App) -> Router {
    workflows::router(crate::webhooks::webhooks(app.scene.db.app()))
}

/// The sample of a callback, signed so many seconds ago.
async fn call_back(app: &App, path: &str, secret: &str, age: i64) -> Answer {
    // As it stands in the sample, space by space.
    let body = r#"{"status": "success", "metrics": {"mails": 3}}"#;
    let now = app.scene.number("select extract(epoch from now())::bigint", &[]).await - age;
    let signature = signatures::sign(&[Secret::parse(secret).unwrap()], "msg_1", now, body.as_bytes());
    let token = path.strip_prefix("/v1/workflows/callbacks/").unwrap();
    let fill = [("CALLBACK_TOKEN", token), ("TIMESTAMP", &now.to_string()), ("SIGNATURE", &signature)];
    call(router(app), filled_sample("workflows/callback", &fill)).await
}

#[tokio::test]
async fn a_workflow_is_made_run_and_reports() {
    let app = App::new().await;
    let created = app.sample(router(&app), "workflows/create", &[]).await.expect(201);
    let (id, secret) = (created.text("/id").to_owned(), created.text("/secret").to_owned());
    let fill = [("WORKFLOW_ID", id.as_str())];
    let taken = app.sample(router(&app), "workflows/create", &[]).await.expect(409);
    assert_eq!(taken.text("/code"), "workflow_name_taken");
    let updated = app.sample(router(&app), "workflows/update", &fill).await.expect(200);
    assert_eq!(updated.text("/description"), "Writes a first answer");
    let found = app.sample(router(&app), "workflows/find", &fill).await.expect(200);
    assert!(found.body.get("secret").is_none());

    let run = app.sample(router(&app), "workflows/runs_create", &fill).await.expect(201);
    assert_eq!((run.text("/status"), run.text("/trigger")), ("running", "manual"));
    let (path, run_id) = (run.text("/callback_path").to_owned(), run.text("/id").to_owned());
    let taken = app.sample(router(&app), "workflows/runs_create", &fill).await.expect(409);
    assert_eq!(taken.text("/code"), "execution_id_taken");

    let forged = Secret::fresh().unwrap().text();
    call_back(&app, &path, &forged, 0).await.expect(401);
    call_back(&app, &path, &secret, 301).await.expect(401);
    call_back(&app, &format!("{path}x"), &secret, 0).await.expect(404);
    // Without a signature, or with a body that nobody has signed.
    app.send_as(router(&app), Method::POST, &path, Some(json!({"status": "error"})), None).await.expect(401);
    let ended = call_back(&app, &path, &secret, 0).await.expect(200);
    assert_eq!((ended.text("/status"), &ended.body["metrics"]), ("success", &json!({"mails": 3})));
    let replayed = call_back(&app, &path, &secret, 0).await.expect(409);
    assert_eq!(replayed.text("/code"), "callback_replayed");

    let shown = app.sample(router(&app), "workflows/runs_find", &[("RUN_ID", &run_id)]).await.expect(200);
    assert_eq!(shown.body, ended.body);
    let list = app.send(router(&app), Method::GET, "/v1/workflows/runs?status=success", None).await.expect(200);
    assert_eq!(list.body["data"], json!([shown.body]));
    let none = app.sample(router(&app), "workflows/runs_list", &[]).await.expect(200);
    assert_eq!(none.body["data"], json!([]));
    app.sample(router(&app), "workflows/delete", &fill).await.expect(204);
    let kept = app.sample(router(&app), "workflows/runs_find", &[("RUN_ID", &run_id)]).await.expect(200);
    assert_eq!(kept.body["workflow_id"], Value::Null);
}

#[tokio::test]
async fn a_run_needs_a_workflow_and_an_input_of_a_bearable_size() {
    let app = App::new().await;
    let id = app.sample(router(&app), "workflows/create", &[]).await.expect(201).text("/id").to_owned();
    for (body, field) in [
        (json!({"trigger": "manual"}), "workflow_id"),
        (json!({"trigger": "manual", "workflow_id": id, "workflow_name": "Answer leads"}), "workflow_id"),
        (json!({"trigger": "manual", "workflow_name": "Nobody"}), "workflow_name"),
        (json!({"trigger": "manual", "workflow_id": "00000000-0000-7000-8000-000000000000"}), "workflow_id"),
        (json!({"trigger": "manual", "workflow_id": id, "input": {"x": "y".repeat(70_000)}}), "input"),
        (json!({"trigger": "manual", "workflow_id": id, "execution_id": "x".repeat(256)}), "execution_id"),
    ] {
        let refused = app.send(router(&app), Method::POST, "/v1/workflows/runs", Some(body)).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), field);
    }
    let nul = json!({"trigger": "manual", "workflow_id": id, "input": {"x": "\u{0}"}});
    app.send(router(&app), Method::POST, "/v1/workflows/runs", Some(nul)).await.expect(400);
}
