use axum::http::Method;
use functions::api::admin::{self, Admin};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::platform::administration::health::{Queue, Queues};
use shared::platform::memberships::Role;
use testkit::scene;

use crate::app::{Answer, App, call};

/// Queues with one hint and nothing that could not be done.
pub(crate) struct FakeQueues;

impl Queues for FakeQueues {
    fn depths(&self) -> BoxFuture<'_, Vec<Queue>> {
        Box::pin(async { vec![queue(Some(1))] })
    }
}

struct QueuesAway;

impl Queues for QueuesAway {
    fn depths(&self) -> BoxFuture<'_, Vec<Queue>> {
        Box::pin(async { vec![queue(None)] })
    }
}

fn queue(waiting: Option<i64>) -> Queue {
    let nothing = waiting.map(|_| 0);
    Queue { name: "send".to_owned(), waiting, in_flight: nothing, delayed: nothing, dead_letters: nothing }
}

/// An administrator who is logged in.
async fn administrator(app: &App) -> String {
    scene::session(&app.scene.db, app.scene.organization, Role::Viewer, true).await
}

async fn ask(app: &App, session: &str, sample: &str, fill: &[(&str, &str)]) -> Answer {
    let state = Admin { db: app.scene.db.as_role("martlet_admin"), queues: std::sync::Arc::new(FakeQueues) };
    let fill = [fill, &[("API_KEY", session)]].concat();
    call(admin::router(state), crate::app::filled_sample(sample, &fill)).await
}

async fn send(app: &App, session: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let state = Admin { db: app.scene.db.as_role("martlet_admin"), queues: std::sync::Arc::new(QueuesAway) };
    app.send_as(admin::router(state), method, path, body, Some(session)).await
}

#[tokio::test]
async fn settings_are_seen_set_with_their_bounds_and_set_back() {
    let app = App::new().await;
    let session = administrator(&app).await;
    let all = ask(&app, &session, "admin/config_list", &[]).await.expect(200);
    assert!(all.body["data"].as_array().unwrap().len() > 25);
    let found = ask(&app, &session, "admin/config_find", &[]).await.expect(200);
    assert_eq!((found.text("/value"), found.text("/value_type"), found.text("/minimum")), ("30m", "duration", "1m"));
    assert_eq!(ask(&app, &session, "admin/config_set", &[]).await.expect(200).text("/value"), "45m");
    let path = "/v1/admin/config/sending/unknown_grace";
    for (value, code) in
        [(json!("a while"), "wrong_type"), (json!("30 days"), "out_of_range"), (json!(30), "wrong_type")]
    {
        let refused = send(&app, &session, Method::PUT, path, Some(json!({"value": value}))).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), ("value", code));
    }
    let history = ask(&app, &session, "admin/config_history", &[]).await.expect(200);
    assert_eq!((history.text("/data/0/before"), history.text("/data/0/after")), ("30m", "45m"));
    // What it was before can be set again.
    let before = history.body["data"][0]["before"].clone();
    send(&app, &session, Method::PUT, path, Some(json!({"value": before}))).await.expect(200);
    let history = ask(&app, &session, "admin/config_history", &[]).await.expect(200);
    assert_eq!(history.body["data"].as_array().map(Vec::len), Some(2));
    let log = ask(&app, &session, "admin/log", &[]).await.expect(200);
    assert_eq!((log.text("/data/0/action"), log.body["data"].as_array().map(Vec::len)), ("setting.changed", Some(2)));
    for path in ["/v1/admin/config/sending/nothing", "/v1/admin/config/nothing/nothing/history"] {
        send(&app, &session, Method::GET, path, None).await.expect(404);
    }
}

#[tokio::test]
async fn organizations_are_listed_given_a_plan_suspended_and_resumed() {
    let app = App::new().await;
    let session = administrator(&app).await;
    let (other, _) = app.scene.another_organization("other").await;
    let id = other.to_string();
    let fill = [("ORGANIZATION_ID", id.as_str())];
    let list = ask(&app, &session, "admin/organizations_list", &[]).await.expect(200);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(3));
    let found = send(&app, &session, Method::GET, "/v1/admin/organizations?q=THE&limit=1", None).await.expect(200);
    assert_eq!((found.text("/data/0/slug"), &found.body["next_cursor"]), ("other", &Value::Null));
    assert_eq!(ask(&app, &session, "admin/organizations_find", &fill).await.expect(200).body["members"], 0);
    let changed = ask(&app, &session, "admin/organizations_update", &fill).await.expect(200);
    assert_eq!(changed.text("/plan_type"), "pro");
    let path = format!("/v1/admin/organizations/{id}");
    for wrong in
        [json!({"plan_type": "platinum"}), json!({"status": "active"}), json!({"plan_type": "pro", "kind": "admin"})]
    {
        send(&app, &session, Method::PATCH, &path, Some(wrong)).await.expect(422);
    }
    let key = app.scene.api_key_of(other).await;
    let lists = functions::api::lists::router(app.scene.db.app());
    app.send_as(lists.clone(), Method::GET, "/v1/lists", None, Some(&key)).await.expect(200);
    assert_eq!(
        ask(&app, &session, "admin/organizations_suspend", &fill).await.expect(200).text("/status"),
        "suspended"
    );
    app.send_as(lists.clone(), Method::GET, "/v1/lists", None, Some(&key)).await.expect(401);
    assert_eq!(ask(&app, &session, "admin/organizations_resume", &fill).await.expect(200).text("/status"), "active");
    app.send_as(lists, Method::GET, "/v1/lists", None, Some(&key)).await.expect(200);
    let own = format!("/v1/admin/organizations/{}/suspend", app.scene.organization);
    assert_eq!(send(&app, &session, Method::POST, &own, None).await.expect(409).text("/code"), "own_organization");
    let nobody = format!("/v1/admin/organizations/{}", shared::OrganizationId::fresh());
    send(&app, &session, Method::GET, &nobody, None).await.expect(404);
    let acts =
        "select count(*) from audit_log where organization_id = $1 and actor_kind = 'user' and request_id is not null";
    assert_eq!(app.scene.number(acts, &[&other]).await, 3);
}

#[tokio::test]
async fn people_are_listed_promoted_demoted_disabled_and_enabled() {
    let app = App::new().await;
    let session = administrator(&app).await;
    let theirs = app.scene.session(Role::Member).await;
    app.scene.run("update users set email_verified_at = now()", &[]).await;
    let user: String =
        app.scene.rows("select user_id::text from memberships where role = 'member'", &[]).await[0].get(0);
    let fill = [("USER_ID", user.as_str())];
    let list = ask(&app, &session, "admin/users_list", &[]).await.expect(200);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(2));
    assert!(!list.body.to_string().contains("password"));
    let found = ask(&app, &session, "admin/users_find", &fill).await.expect(200);
    assert_eq!((found.text("/organizations/0/role"), found.text("/organizations/0/slug")), ("member", "acme"));
    assert_eq!(ask(&app, &session, "admin/users_promote", &fill).await.expect(200).body["is_admin"], true);
    assert_eq!(ask(&app, &session, "admin/users_demote", &fill).await.expect(200).body["is_admin"], false);
    assert!(ask(&app, &session, "admin/users_disable", &fill).await.expect(200).body["disabled_at"].is_string());
    let lists = functions::api::lists::router(app.scene.db.app());
    app.send_as(lists, Method::GET, "/v1/lists", None, Some(&theirs)).await.expect(401);
    assert!(ask(&app, &session, "admin/users_enable", &fill).await.expect(200).body["disabled_at"].is_null());
    let log = ask(&app, &session, "admin/log", &[]).await.expect(200);
    let actions: Vec<&str> =
        log.body["data"].as_array().unwrap().iter().map(|act| act["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["user.enabled", "user.disabled", "user.demoted", "user.promoted"]);
    // There is always somebody who runs the installation.
    let own: String = app.scene.rows("select id::text from users where is_admin", &[]).await[0].get(0);
    for act in ["admin/users_demote", "admin/users_disable"] {
        let refused = ask(&app, &session, act, &[("USER_ID", &own)]).await.expect(409);
        assert_eq!(refused.text("/code"), "last_administrator");
    }
}

#[tokio::test]
async fn health_is_told_even_when_the_queues_are_silent() {
    let app = App::new().await;
    let session = administrator(&app).await;
    let health = ask(&app, &session, "admin/health", &[]).await.expect(200);
    let known = json!({"name": "send", "waiting": 1, "in_flight": 0, "delayed": 0, "dead_letters": 0});
    assert_eq!(health.body["queues"], json!([known]));
    let scheduler = json!({"name": "scheduler", "queue": null, "last_sign_at": null});
    assert_eq!(health.body["functions"][0], scheduler);
    assert_eq!(health.text("/functions/6/queue"), "webhook");
    assert_eq!(health.text("/breakers/0/state"), "closed");
    assert!(health.body["database"]["size_bytes"].as_i64().unwrap() > 0);
    let silent = send(&app, &session, Method::GET, "/v1/admin/health", None).await.expect(200);
    // What is not known is not nothing.
    let unknown = json!({"name": "send", "waiting": null, "in_flight": null, "delayed": null, "dead_letters": null});
    assert_eq!(silent.body["queues"], json!([unknown]));
    assert_eq!(silent.body["work"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn a_test_mail_goes_the_way_of_every_mail() {
    let app = App::new().await;
    let session = administrator(&app).await;
    let planned = ask(&app, &session, "admin/send_test_mail", &[]).await.expect(202);
    let id: shared::MessageId = planned.text("/message_id").parse().unwrap();
    let mail = app.scene.rows("select kind, state, recipient from messages where id = $1", &[&id]).await;
    let mail: [&str; 3] = std::array::from_fn(|column| mail[0].get(column));
    assert_eq!(mail, ["system", "scheduled", "operator@example.test"]);
    let body = json!({"recipient": "nobody"});
    let refused = send(&app, &session, Method::POST, "/v1/admin/test-mails", Some(body)).await.expect(422);
    assert_eq!(refused.text("/errors/0/field"), "recipient");
}

#[tokio::test]
async fn lists_of_addresses_are_taken_from_files_and_a_wrong_file_changes_nothing() {
    let app = App::new().await;
    let session = administrator(&app).await;
    let taken = ask(&app, &session, "admin/address_lists_take", &[]).await.expect(200);
    assert_eq!(taken.body, json!({"taken": 1, "refused": [], "refused_total": 0, "entries": 1}));
    let counts = ask(&app, &session, "admin/address_lists_count", &[]).await.expect(200);
    assert_eq!(counts.body, json!({"entries": {"disposable_domains": 1, "role_names": 0}}));
    let (domains, names) = ("/v1/admin/address-lists/disposable_domains", "/v1/admin/address-lists/role_names");
    // Lines that are no entry are told by their numbers, and the others are taken: in place of those before, unless told otherwise.
    let file = json!({"entries": ["@Away.test", "", "# ours", "a b", "x".repeat(300), "away.test"]});
    let taken = send(&app, &session, Method::PUT, domains, Some(file)).await.expect(200);
    assert_eq!(taken.body, json!({"taken": 1, "refused": [4, 5], "refused_total": 2, "entries": 1}));
    let more = json!({"entries": ["b\u{fc}cher.test"]});
    let taken = send(&app, &session, Method::PUT, &format!("{domains}?mode=add"), Some(more)).await.expect(200);
    assert_eq!((&taken.body["entries"], &taken.body["refused_total"]), (&json!(2), &json!(0)));
    let entries = "select string_agg(entry, ',' order by entry) from address_lists";
    assert_eq!(app.scene.rows(entries, &[]).await[0].get::<_, String>(0), "away.test,xn--bcher-kva.test");

    let before = app.scene.number("select count(*) from admin_log where action = 'address_list.taken'", &[]).await;
    let many: Vec<String> = (0..=100_000).map(|n| format!("r{n}")).collect();
    for (path, body, field, code) in [
        (domains, json!({"entries": ["a b", "nothing\u{0}.test"]}), "body", "no_entries"),
        (names, json!({"entries": many}), "body", "too_many"),
    ] {
        let refused = send(&app, &session, Method::PUT, path, Some(body)).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), (field, code));
    }
    for (path, body, status) in [
        (domains, json!({"entries": "away.test"}), 422),
        (domains, json!({"entries": [1]}), 422),
        (domains, json!({}), 422),
        (domains, json!({"entries": ["away.test"], "mode": "add"}), 422),
        ("/v1/admin/address-lists/role_names?mode=append", json!({"entries": ["sales"]}), 400),
        ("/v1/admin/address-lists/domains", json!({"entries": ["away.test"]}), 404),
    ] {
        let body_text = body.to_string();
        let refused = send(&app, &session, Method::PUT, path, Some(body)).await;
        assert_eq!(refused.status.as_u16(), status, "{path} {body_text}");
    }
    assert_eq!(app.scene.rows(entries, &[]).await[0].get::<_, String>(0), "away.test,xn--bcher-kva.test");
    let log = "select count(*) from admin_log where action = 'address_list.taken'";
    assert_eq!((app.scene.number(log, &[]).await, before), (3, 3));
    // Nobody else changes by what everybody's addresses are judged.
    let owner = app.scene.session(Role::Owner).await;
    for credentials in [owner.as_str(), app.key.as_str()] {
        let body = Some(json!({"entries": ["people.test"]}));
        send(&app, credentials, Method::PUT, domains, body).await.expect(403);
    }
}

#[tokio::test]
async fn nobody_but_an_administrator_who_is_logged_in_administers() {
    let app = App::new().await;
    let owner = app.scene.session(Role::Owner).await;
    for credentials in [owner.as_str(), app.key.as_str()] {
        for (method, path) in [
            (Method::GET, "/v1/admin/health"),
            (Method::GET, "/v1/admin/users"),
            (Method::PUT, "/v1/admin/config/sending/unknown_grace"),
        ] {
            let body = (method == Method::PUT).then(|| json!({"value": "45m"}));
            send(&app, credentials, method, path, body).await.expect(403);
        }
    }
    // Nobody becomes an administrator by saying so.
    let body = json!({"first_name": "Ada", "is_admin": true});
    send(&app, &owner, Method::POST, "/v1/admin/users", Some(body)).await.expect(405);
    assert_eq!(app.scene.number("select count(*) from users where is_admin", &[]).await, 0);
}
