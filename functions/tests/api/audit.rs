//! The record of who did what, read.

use axum::http::Method;
use functions::api::{audit, organizations};
use serde_json::json;

use crate::app::App;

/// The actions of the answer to a question.
async fn actions(app: &App, query: &str) -> Vec<String> {
    let router = audit::router(app.scene.db.app());
    let answer = app.send(router, Method::GET, &format!("/v1/audit?{query}"), None).await.expect(200);
    answer.body["data"].as_array().unwrap().iter().map(|act| act["action"].as_str().unwrap().to_owned()).collect()
}

/// An act by the owner's hand: number `n` on day `n` of March.
async fn act(app: &App, n: u32) {
    let sql = format!(
        "insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, created_at)
         values ('{}', md5('act {n}')::uuid, 'user', md5('actor {n}')::uuid, 'act.{n}', md5('subject {n}')::uuid, '2026-03-{n:02} 10:00Z')",
        app.scene.organization
    );
    app.scene.run(&sql, &[]).await;
}

#[tokio::test]
async fn an_act_is_told_with_actor_subject_fields_and_request() {
    let app = App::new().await;
    let id = app.scene.organization.to_string();
    let changed = app
        .sample(organizations::router(app.scene.db.app()), "organizations/update", &[("ORGANIZATION_ID", &id)])
        .await
        .expect(200);
    let listed = app.sample(audit::router(app.scene.db.app()), "audit/list", &[]).await.expect(200);
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    let key = app.scene.rows("select id::text from api_keys", &[]).await;
    let act = &listed.body["data"][0];
    assert_eq!((act["actor_kind"].as_str(), act["actor_id"].as_str()), (Some("api_key"), key[0].get(0)));
    assert_eq!((act["action"].as_str(), act["subject_id"].as_str()), (Some("organization.updated"), Some(id.as_str())));
    let (before, after) = (&act["details"]["before"], &act["details"]["after"]);
    assert_eq!((&before["timezone"], &after["timezone"]), (&json!("UTC"), &json!("Europe/Berlin")));
    assert_eq!(
        (&before["postal_address"], &after["postal_address"]),
        (&json!("1 Test Street, Berlin"), &changed.body["postal_address"])
    );
    for named in [before, after] {
        let names: Vec<&String> = named.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["branding", "holidays", "postal_address", "settings", "timezone"],
            "what differs, and no more"
        );
    }
    assert_eq!(act["request_id"].as_str(), changed.headers["x-request-id"].to_str().ok());
    assert_eq!(act["created_at"].as_str().map(str::len), Some("2026-03-04T10:00:00.000Z".len()));
}

#[tokio::test]
async fn acts_are_listed_newest_first_in_pages_and_narrowed() {
    let app = App::new().await;
    for n in [2, 1, 3, 4] {
        act(&app, n).await;
    }
    assert_eq!(actions(&app, "").await, ["act.4", "act.3", "act.2", "act.1"]);
    let router = || audit::router(app.scene.db.app());
    let first = app.send(router(), Method::GET, "/v1/audit?limit=3", None).await.expect(200);
    let cursor = first.text("/next_cursor").to_owned();
    assert_eq!(actions(&app, &format!("limit=3&cursor={cursor}")).await, ["act.1"]);
    let elsewhere = format!("/v1/audit?action=act.1&cursor={cursor}");
    app.send(router(), Method::GET, &elsewhere, None).await.expect(400);

    let of = async |name: &str| {
        let id: String = app.scene.rows(&format!("select md5('{name}')::uuid::text"), &[]).await[0].get(0);
        id
    };
    assert_eq!(actions(&app, &format!("actor={}", of("actor 2").await)).await, ["act.2"]);
    assert_eq!(actions(&app, &format!("subject_id={}", of("subject 3").await)).await, ["act.3"]);
    assert_eq!(actions(&app, "action=act.4").await, ["act.4"]);
    assert_eq!(actions(&app, "from=2026-03-02T10:00:00Z&to=2026-03-04T10:00:00Z").await, ["act.3", "act.2"]);
    // The database knows neither NUL nor such years.
    for bad in ["actor=me", "from=yesterday", "who=me", "action=%00", "from=-9999-01-01T00:00:00Z"] {
        app.send(router(), Method::GET, &format!("/v1/audit?{bad}"), None).await.expect(400);
    }
    app.send(router(), Method::POST, "/v1/audit", Some(json!({}))).await.expect(405);
}

#[tokio::test]
async fn the_record_is_exported_as_csv_that_a_spreadsheet_does_not_compute() {
    let app = App::new().await;
    app.scene.run("insert into audit_log (organization_id, id, actor_kind, action, request_id) values ($1, gen_random_uuid(), 'system', '=1+1', '@sum')", &[&app.scene.organization]).await;
    act(&app, 1).await;
    let router = || audit::router(app.scene.db.app());
    let first = app.send(router(), Method::GET, "/v1/audit/export?limit=1", None).await.expect(200);
    assert_eq!(first.headers["content-type"], "text/csv; charset=utf-8");
    let next = first.headers["x-next-cursor"].to_str().unwrap().to_owned();
    let second =
        app.send(router(), Method::GET, &format!("/v1/audit/export?limit=100&cursor={next}"), None).await.expect(200);
    assert!(second.headers.get("x-next-cursor").is_none());
    let text = format!("{}{}", first.body.as_str().unwrap(), second.body.as_str().unwrap());
    assert!(text.starts_with("created_at,actor_kind,actor_id,action,subject_id,details,request_id\n"), "{text}");
    assert!(text.contains(",'=1+1,") && text.contains(",'@sum\n") && text.contains("act.1"), "{text}");
    assert_eq!(app.scene.number("select count(*) from audit_log where action = 'audit.exported'", &[]).await, 2);
}
