use axum::Router;
use axum::http::Method;
use functions::api::senders;
use serde_json::{Value, json};
use shared::delivery::gates::{self, Gate};

use crate::app::{Answer, App};

fn router(app: &App) -> Router {
    senders::router(app.scene.db.app())
}

async fn create(app: &App, body: Value) -> Answer {
    app.send(router(app), Method::POST, "/v1/senders", Some(body)).await
}

#[tokio::test]
async fn a_sender_is_made_changed_paused_resumed_and_deleted() {
    let app = App::new().await;
    let created = app.sample(router(&app), "senders/create", &[]).await.expect(201);
    let id = created.text("/id").to_owned();
    assert_eq!(created.headers["location"], format!("/v1/senders/{id}"));
    let mut shown = created.body.clone();
    for field in ["id", "created_at", "updated_at"] {
        shown[field].take();
    }
    assert_eq!(
        shown,
        json!({
            "id": null, "email": "grace@example.test", "domain_id": app.scene.domain, "display_name": "Grace Hopper",
            "signature": "Grace\nExample Ltd", "provider": "ses", "status": "active", "paused_reason": null, "paused_at": null,
            "timezone": "America/New_York", "daily_limit": 600, "ramp": null, "limit_today": 600, "gap_seconds": 30, "used_today": 0,
            "health_score": 100, "health": null,
            "created_at": null, "updated_at": null,
        })
    );
    let fill = [("SENDER_ID", id.as_str())];
    let updated = app.sample(router(&app), "senders/update", &fill).await.expect(200);
    assert_eq!((&updated.body["daily_limit"], &updated.body["signature"]), (&json!(200), &Value::Null));
    assert_eq!((updated.text("/display_name"), &updated.body["gap_seconds"]), ("Grace Hopper", &json!(30)));

    let paused = app.sample(router(&app), "senders/pause", &fill).await.expect(200);
    assert_eq!((paused.text("/status"), paused.text("/paused_reason")), ("paused", "on holiday"));
    let resumed = app.sample(router(&app), "senders/resume", &fill).await.expect(200);
    assert_eq!((resumed.text("/status"), &resumed.body["paused_reason"]), ("active", &Value::Null));
    let path = format!("/v1/senders/{id}/pause");
    let silent = app.send(router(&app), Method::POST, &path, None).await.expect(200);
    assert_eq!((silent.text("/status"), &silent.body["paused_reason"]), ("paused", &Value::Null));
    app.send(router(&app), Method::POST, &path, Some(json!({"reason": "a\nb"}))).await.expect(422);
    app.send(router(&app), Method::POST, &path, Some(json!({"raeson": "a"}))).await.expect(422);

    let found = app.sample(router(&app), "senders/find", &fill).await.expect(200);
    let page = app.sample(router(&app), "senders/list", &[]).await.expect(200);
    assert_eq!(page.body, json!({"data": [found.body], "next_cursor": null}));
    app.sample(router(&app), "senders/delete", &fill).await.expect(204);
    app.sample(router(&app), "senders/find", &fill).await.expect(404);
    let acts = app.scene.rows("select action from audit_log order by id", &[]).await;
    let acts: Vec<String> = acts.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        acts,
        ["sender.created", "sender.updated", "sender.paused", "sender.resumed", "sender.paused", "sender.deleted"]
    );
}

#[tokio::test]
async fn a_sender_has_defaults_and_an_address_of_its_own() {
    let app = App::new().await;
    let created = create(&app, json!({"email": "Grace@Example.Test", "status": "pending"})).await.expect(201);
    assert_eq!(
        (
            &created.body["daily_limit"],
            &created.body["gap_seconds"],
            created.text("/timezone"),
            created.text("/status")
        ),
        (&json!(50), &json!(120), "UTC", "pending")
    );
    let path = format!("/v1/senders/{}/resume", created.text("/id"));
    let started = app.send(router(&app), Method::POST, &path, None).await.expect(200);
    assert_eq!((started.text("/status"), &started.body["limit_today"]), ("warming", &json!(5)));
    assert_eq!(started.body["ramp"], json!({"started_on": "2026-03-04", "from": 5, "days": 30}));
    let warming =
        create(&app, json!({"email": "ada@example.test", "status": "warming", "timezone": "Pacific/Kiritimati"}));
    let warming = warming.await.expect(201);
    assert_eq!((warming.text("/status"), warming.text("/ramp/started_on")), ("warming", "2026-03-05"));
    let twice = create(&app, json!({"email": "grace@example.test"})).await.expect(409);
    assert_eq!(twice.text("/code"), "sender_exists");
}

#[tokio::test]
async fn a_sender_is_in_a_domain_of_its_organization() {
    let app = App::new().await;
    app.scene.another_organization("globex").await;
    for email in ["grace@globex.test", "grace@elsewhere.test", "grace@sub.example.test"] {
        let refused = create(&app, json!({"email": email})).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), ("email", "unknown_domain"));
    }
    assert_eq!(app.scene.number("select count(*) from senders", &[]).await, 0);
}

#[tokio::test]
async fn nothing_can_be_put_into_a_header() {
    let app = App::new().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"email": "grace@example.test"});
        body[field] = value;
        body
    };
    for (field, value) in [
        ("email", json!("grace@example.test\r\nBcc: all@people.test")),
        ("email", json!("grace\u{0}@example.test")),
        ("email", json!("Grace <grace@example.test>")),
        ("display_name", json!("Grace\r\nBcc: all@people.test")),
        ("display_name", json!("Grace\nHopper")),
        ("display_name", json!("Grace\rHopper")),
        ("display_name", json!("Grace\u{0}Hopper")),
        ("display_name", json!("x".repeat(201))),
        ("signature", json!("nul\u{0}")),
        ("signature", json!("x".repeat(10_001))),
        ("timezone", json!("Mars/Olympus")),
        ("daily_limit", json!(-1)),
        ("daily_limit", json!(1_000_001)),
        ("daily_limit", json!(5_000_000_000_i64)),
        ("daily_limit", json!(1.5)),
        ("gap_seconds", json!(86_401)),
        ("status", json!("paused")),
        ("provider", json!("smtp")),
        ("organization_id", json!("x")),
    ] {
        let answer = create(&app, with(field, value.clone())).await;
        assert_eq!(answer.status.as_u16(), 422, "{field} {value} -> {}", answer.body);
    }
    assert_eq!(app.scene.number("select count(*) from senders", &[]).await, 0);

    let id = app.scene.sender(1, 10, 0).await;
    let path = format!("/v1/senders/{id}");
    for body in [
        json!({"display_name": "a\nb"}),
        json!({"signature": "nul\u{0}"}),
        json!({"email": "other@example.test"}),
        json!({"status": "active"}),
        json!({"timezone": "x"}),
    ] {
        app.send(router(&app), Method::PATCH, &path, Some(body)).await.expect(422);
    }
    let reset = json!({"daily_limit": null, "gap_seconds": null, "timezone": null});
    let answer = app.send(router(&app), Method::PATCH, &path, Some(reset)).await.expect(200);
    assert_eq!((&answer.body["daily_limit"], &answer.body["gap_seconds"]), (&json!(50), &json!(120)));
}

#[tokio::test]
async fn what_is_used_today_is_counted_on_the_senders_own_day() {
    let app = App::new().await;
    // It is Wednesday, 10:00 UTC: already Thursday on Kiritimati, still Tuesday on Pago Pago when its clock is at 23:00.
    let (line, utc) = (app.scene.sender(1, 10, 0).await, app.scene.sender(2, 10, 0).await);
    let samoa = app.scene.sender(3, 10, 0).await;
    app.scene.run("update senders set timezone = 'Pacific/Kiritimati' where id = $1", &[&line]).await;
    app.scene.run("update senders set timezone = 'Pacific/Pago_Pago' where id = $1", &[&samoa]).await;
    for sender in [line, utc, samoa] {
        app.scene
            .run(
                "insert into limit_usage (organization_id, scope, scope_id, day, used)
                 select $1, 'sender', $2, day::date, extract(day from day)::int
                   from generate_series('2026-03-01'::date, '2026-03-09'::date, '1 day') as day",
                &[&app.scene.organization, &sender],
            )
            .await;
    }
    let used = async |sender: shared::SenderId| {
        let answer = app.send(router(&app), Method::GET, &format!("/v1/senders/{sender}"), None).await.expect(200);
        answer.body["used_today"].as_i64().unwrap()
    };
    assert_eq!((used(line).await, used(utc).await), (5, 4));
    let page = app.send(router(&app), Method::GET, "/v1/senders", None).await.expect(200);
    let listed: Vec<i64> =
        page.body["data"].as_array().unwrap().iter().map(|row| row["used_today"].as_i64().unwrap()).collect();
    assert_eq!(listed, [3, 4, 5]);
}

#[tokio::test]
async fn a_pause_waits_for_those_who_are_letting_mail_through() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 10, 0).await;
    for act in ["pause", "resume"] {
        let claim = app.scene.db.as_role("martlet_sender").begin_for(&[app.scene.organization]).await.unwrap();
        gates::pass(&claim, &[Gate::Sender(sender)]).await.unwrap();
        let path = format!("/v1/senders/{sender}/{act}");
        let before = app.scene.rows("select status from senders", &[]).await[0].get::<_, String>(0);
        let waiting = "select count(*) from pg_locks
                        where locktype = 'advisory' and not granted
                          and database = (select oid from pg_database where datname = current_database())";
        let (answer, ()) = tokio::join!(app.send(router(&app), Method::POST, &path, None), async {
            while app.scene.number(waiting, &[]).await == 0 {}
            assert_eq!(app.scene.rows("select status from senders", &[]).await[0].get::<_, String>(0), before);
            claim.commit().await.unwrap();
        });
        assert_ne!(answer.expect(200).text("/status"), before);
    }
}

#[tokio::test]
async fn nobody_holds_up_the_mail_of_another_organization() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 10, 0).await;
    let (other, _) = app.scene.another_organization("globex").await;
    let key = app.scene.api_key_of(other).await;
    let claim = app.scene.db.as_role("martlet_sender").begin_for(&[app.scene.organization]).await.unwrap();
    gates::pass(&claim, &[Gate::Sender(sender)]).await.unwrap();
    // A gate asked for would wait for the claim, and this test for ever.
    for (method, act) in [(Method::POST, "/pause"), (Method::POST, "/resume"), (Method::DELETE, "")] {
        let path = format!("/v1/senders/{sender}{act}");
        app.send_as(router(&app), method, &path, None, Some(&key)).await.expect(404);
    }
    claim.commit().await.unwrap();
}

#[tokio::test]
async fn a_sender_that_a_campaign_uses_stays() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 10, 0).await;
    app.scene.running_campaign(1, &[sender], 1, 10).await;
    let path = format!("/v1/senders/{sender}");
    let refuse = async || app.send(router(&app), Method::DELETE, &path, None).await.expect(409);
    assert_eq!(refuse().await.text("/code"), "sender_in_use");
    app.scene.run("delete from campaign_senders", &[]).await;
    assert_eq!(refuse().await.text("/code"), "sender_in_use", "people are enrolled with it");
    app.scene.run("delete from enrollments", &[]).await;
    app.send(router(&app), Method::DELETE, &path, None).await.expect(204);
}
