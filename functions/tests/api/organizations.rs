use std::sync::Arc;

use axum::http::Method;
use functions::api::{campaigns, organizations};
use serde_json::{Value, json};
use testkit::FakeAccount;
use testkit::scene::wednesday_morning;

use crate::app::{Answer, App};
use crate::campaigns::Hints;

fn path_of(id: &str) -> String {
    format!("/v1/organizations/{id}")
}

async fn keys(app: &App, method: Method, rest: &str, body: Option<Value>) -> Answer {
    let path = format!("/v1/organizations/{}/keys{rest}", app.scene.organization);
    app.send(organizations::router(app.scene.db.app()), method, &path, body).await
}

/// What a key may read of its organization: 200, or 401 when it is no key any more.
async fn status_with(app: &App, key: &str) -> u16 {
    let router = organizations::router(app.scene.db.app());
    app.send_as(router, Method::GET, "/v1/organizations", None, Some(key)).await.status.as_u16()
}

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

    assert_eq!(found.body["holidays"], json!(["2026-12-25", "2026-12-26"]));
    assert_eq!(found.text("/branding/colour"), "#1a7f5a");
    assert_eq!(found.body["settings"]["campaign_daily_limit"], 200);
    let look = json!({"branding": {"logo_url": null}, "settings": {"campaign_daily_limit": null}});
    let changed = app.send(router.clone(), Method::PATCH, &path_of(&id), Some(look)).await.expect(200);
    assert_eq!(
        changed.body["branding"],
        json!({"name": "Acme", "colour": "#1a7f5a", "logo_url": null, "logo_path": null})
    );
    let settings = json!({
        "campaign_timezone": "Europe/Berlin", "campaign_daily_limit": null, "campaign_gap_seconds": null,
        "daily_limit": 5000, "recipient_domain_hourly_limit": 300, "person_limit": {"mails": 3, "days": 7},
    });
    assert_eq!(changed.body["settings"], settings);
    assert_eq!(changed.body["holidays"], json!(["2026-12-25", "2026-12-26"]), "absent is not null");
    let fewer = json!({"settings": {"daily_limit": null, "person_limit": null}});
    let changed = app.send(router.clone(), Method::PATCH, &path_of(&id), Some(fewer)).await.expect(200);
    let settings = &changed.body["settings"];
    let kept = [&settings["daily_limit"], &settings["person_limit"], &settings["recipient_domain_hourly_limit"]];
    assert_eq!(kept, [&json!(null), &json!(null), &json!(300)]);
    let plain = json!({"branding": null, "settings": null, "holidays": []});
    let changed = app.send(router.clone(), Method::PATCH, &path_of(&id), Some(plain)).await.expect(200);
    assert_eq!(changed.body["branding"], json!({"name": null, "colour": null, "logo_url": null, "logo_path": null}));
    assert_eq!(changed.body["holidays"], json!([]));

    let path = path_of(&id);
    let without = app.send(router, Method::PATCH, &path, Some(json!({"postal_address": null}))).await.expect(200);
    assert!(without.body["postal_address"].is_null());
}

#[tokio::test]
async fn what_is_not_valid_is_named_and_nothing_else_can_be_set() {
    let app = App::new().await;
    let router = organizations::router(app.scene.db.app());
    let path = format!("/v1/organizations/{}", app.scene.organization);
    let wrong = json!({
        "name": " ", "timezone": "Mars/Olympus", "holidays": ["tomorrow"], "postal_address": "\u{0}",
        "branding": {"name": "a\nb", "colour": "red", "logo_url": "http://example.test/logo.png"},
        "settings": {"campaign_timezone": "Mars", "campaign_daily_limit": 0, "campaign_gap_seconds": -1,
                     "daily_limit": 0, "recipient_domain_hourly_limit": -1, "person_limit": {"mails": 0, "days": 32}},
    });
    let refused = app.send(router.clone(), Method::PATCH, &path, Some(wrong)).await.expect(422);
    let named: Vec<_> = refused.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    let expected = [
        "name",
        "timezone",
        "holidays",
        "postal_address",
        "branding.name",
        "branding.colour",
        "branding.logo_url",
        "settings.campaign_timezone",
        "settings.person_limit.mails",
        "settings.person_limit.days",
        "settings.campaign_daily_limit",
        "settings.campaign_gap_seconds",
        "settings.daily_limit",
        "settings.recipient_domain_hourly_limit",
    ];
    assert_eq!(named, expected);
    // Null empties only what may be empty.
    for null in [json!({"name": null}), json!({"timezone": null}), json!({"holidays": null})] {
        app.send(router.clone(), Method::PATCH, &path, Some(null)).await.expect(422);
    }
    for unknown in [json!({"settings": {"theme": "dark"}}), json!({"branding": {"font": "Comic Sans"}})] {
        app.send(router.clone(), Method::PATCH, &path, Some(unknown)).await.expect(422);
    }
    for half in [json!({"mails": 3}), json!({"mails": 3, "days": 7, "hours": 1})] {
        let body = json!({"settings": {"person_limit": half}});
        app.send(router.clone(), Method::PATCH, &path, Some(body)).await.expect(422);
    }
    for field in ["id", "plan_type", "status", "delete_after"] {
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

#[tokio::test]
async fn a_new_campaign_begins_as_the_organization_has_settled() {
    let app = App::new().await;
    let path = path_of(&app.scene.organization.to_string());
    let settings = json!({"settings": {"campaign_timezone": "Asia/Tokyo", "campaign_gap_seconds": 300}});
    let router = organizations::router(app.scene.db.app());
    app.send(router, Method::PATCH, &path, Some(settings)).await.expect(200);
    let router = campaigns::router(app.scene.db.app(), Arc::<Hints>::default(), Arc::<FakeAccount>::default());
    let campaign = app.send(router.clone(), Method::POST, "/v1/campaigns", Some(json!({"name": "Spring"}))).await;
    let path = format!("/v1/campaigns/{}/settings", campaign.expect(201).text("/id"));
    let settings = app.send(router, Method::GET, &path, None).await.expect(200);
    assert_eq!(settings.text("/timezone"), "Asia/Tokyo");
    assert_eq!((&settings.body["gap_seconds"], &settings.body["daily_limit"]), (&json!(300), &json!(50)));
}

#[tokio::test]
async fn a_key_is_made_shown_once_changed_and_revoked() {
    let app = App::new().await;
    let id = app.scene.organization.to_string();
    let router = || organizations::router(app.scene.db.app());
    let made = app.sample(router(), "organizations/keys_create", &[("ORGANIZATION_ID", &id)]).await.expect(201);
    let (key, text) = (made.text("/id").to_owned(), made.text("/key").to_owned());
    assert_eq!(made.headers["location"], format!("/v1/organizations/{id}/keys/{key}"));
    assert!(text.starts_with(made.text("/prefix")) && text.len() > made.text("/prefix").len() + 26, "{:#}", made.body);
    assert_eq!((made.text("/expires_at"), &made.body["last_used_at"]), ("2027-03-04T10:00:00.000Z", &Value::Null));
    assert_eq!(status_with(&app, &text).await, 200);

    let fill = [("ORGANIZATION_ID", id.as_str()), ("KEY_ID", key.as_str())];
    let found = app.sample(router(), "organizations/keys_find", &fill).await.expect(200);
    assert_eq!((found.body.get("key"), &found.body["is_current"]), (None, &json!(false)));
    assert!(found.body["last_used_at"].is_string());
    let changed = app.sample(router(), "organizations/keys_update", &fill).await.expect(200);
    assert_eq!((changed.text("/name"), &changed.body["expires_at"]), ("reports", &Value::Null));
    keys(&app, Method::PATCH, &format!("/{key}"), Some(json!({"name": null}))).await.expect(422);
    let kept = keys(&app, Method::PATCH, &format!("/{key}"), Some(json!({}))).await.expect(200);
    assert_eq!(kept.text("/name"), "reports");

    let listed = app.sample(router(), "organizations/keys_list", &fill).await.expect(200);
    let current: Vec<_> = listed.body["data"].as_array().unwrap().iter().map(|key| key["is_current"].clone()).collect();
    assert_eq!(current, [json!(false), json!(true)]);
    assert_ne!(listed.text("/data/0/prefix"), listed.text("/data/1/prefix"), "prefixes tell keys apart");
    assert!(!listed.body.to_string().contains(&text));

    let revoked = app.sample(router(), "organizations/keys_revoke", &fill).await.expect(200);
    let at = revoked.text("/revoked_at").to_owned();
    assert_eq!(status_with(&app, &text).await, 401);
    let again = app.sample(router(), "organizations/keys_revoke", &fill).await.expect(200);
    assert_eq!(again.text("/revoked_at"), at);
    let refused = app.sample(router(), "organizations/keys_update", &fill).await.expect(409);
    assert_eq!(refused.text("/code"), "api_key_revoked");
    let acts = app.scene.rows("select details::text from audit_log where action like 'api_key.%'", &[]).await;
    assert_eq!(acts.len(), 5);
    assert!(!acts.iter().any(|act| act.get::<_, &str>(0).contains(&text)));
}

#[tokio::test]
async fn a_key_gives_no_more_than_it_has() {
    let app = App::new().await;
    let scopes = json!(["api_keys:read", "api_keys:write", "lists:read"]);
    let made = keys(&app, Method::POST, "", Some(json!({"name": "some", "scopes": scopes}))).await.expect(201);
    assert_eq!(made.body["scopes"], scopes);
    let (id, text) = (made.text("/id").to_owned(), made.text("/key").to_owned());
    let all = keys(&app, Method::GET, "?limit=2", None).await.expect(200).text("/data/1/id").to_owned();
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let path = format!("/v1/organizations/{}/keys{path}", app.scene.organization);
        app.send_as(organizations::router(app.scene.db.app()), method, &path, body, Some(&text)).await
    };
    ask(Method::POST, "", Some(json!({"name": "less", "scopes": ["lists:read"]}))).await.expect(201);
    for (method, path, body) in [
        (Method::POST, String::new(), json!({"name": "all"})),
        (Method::POST, String::new(), json!({"name": "more", "scopes": ["lists:read", "lists:write"]})),
        (Method::PATCH, format!("/{id}"), json!({"scopes": ["*"]})),
        // What another one has, it does not get by another text, nor another life.
        (Method::POST, format!("/{all}/rotate"), json!({})),
        (Method::PATCH, format!("/{all}"), json!({"expires_at": null})),
        // Nor does it take away what it has not.
        (Method::PATCH, format!("/{all}"), json!({"scopes": ["lists:read"]})),
        (Method::PATCH, format!("/{all}"), json!({"name": "mine"})),
        (Method::DELETE, format!("/{all}"), json!({})),
    ] {
        let refused = ask(method, &path, Some(body)).await.expect(403);
        assert_eq!(refused.text("/code"), "forbidden");
    }
    let kept = keys(&app, Method::GET, &format!("/{id}"), None).await.expect(200);
    assert_eq!(kept.body["scopes"], scopes);
}

#[tokio::test]
async fn a_key_that_ends_makes_none_that_goes_on_after_it() {
    let app = App::new().await;
    let end = wednesday_morning() + chrono::Duration::hours(1);
    let made = keys(&app, Method::POST, "", Some(json!({"name": "short", "expires_at": end}))).await.expect(201);
    let (id, text) = (made.text("/id").to_owned(), made.text("/key").to_owned());
    let forever = keys(&app, Method::GET, "?limit=2", None).await.expect(200).text("/data/1/id").to_owned();
    let lesser =
        keys(&app, Method::POST, "", Some(json!({"name": "lesser", "scopes": ["lists:read"]}))).await.expect(201);
    let lesser = lesser.text("/id").to_owned();
    let ask = async |method: Method, path: &str, body: Value| {
        let path = format!("/v1/organizations/{}/keys{path}", app.scene.organization);
        app.send_as(organizations::router(app.scene.db.app()), method, &path, Some(body), Some(&text)).await
    };
    let later = end + chrono::Duration::seconds(1);
    for (method, path, body) in [
        (Method::POST, String::new(), json!({"name": "later", "expires_at": later})),
        (Method::PATCH, format!("/{id}"), json!({"expires_at": null})),
        (Method::PATCH, format!("/{id}"), json!({"expires_at": later})),
        (Method::POST, format!("/{forever}/rotate"), json!({})),
        // A lesser one that never ends gets none of its scopes.
        (Method::PATCH, format!("/{lesser}"), json!({"scopes": ["*"]})),
    ] {
        assert_eq!(ask(method, &path, body).await.expect(403).text("/code"), "forbidden", "{path}");
    }
    // What says nothing of an end ends with it, and what it is it may be again.
    let like = ask(Method::POST, "", json!({"name": "like it"})).await.expect(201);
    assert_eq!(like.body["expires_at"], made.body["expires_at"]);
    let again = ask(Method::POST, &format!("/{id}/rotate"), json!({})).await.expect(201);
    assert_eq!(again.body["expires_at"], made.body["expires_at"]);
    ask(Method::PATCH, &format!("/{forever}"), json!({"name": "renamed"})).await.expect(200);
    app.scene.db.set_clock(end).await;
    for text in [like.text("/key"), again.text("/key"), text.as_str()] {
        assert_eq!(status_with(&app, text).await, 401);
    }
}

#[tokio::test]
async fn a_test_key_makes_no_live_one() {
    let app = App::new().await;
    let made = keys(&app, Method::POST, "", Some(json!({"name": "trial", "mode": "test"}))).await.expect(201);
    let (text, prefix) = (made.text("/key").to_owned(), made.text("/prefix").to_owned());
    assert!(text.starts_with("mk_test_") && text.starts_with(&prefix) && made.text("/mode") == "test");
    assert_eq!(status_with(&app, &text).await, 200);
    assert_eq!(status_with(&app, &text.replace("mk_test_", "mk_live_")).await, 401);
    let live = keys(&app, Method::GET, "?limit=2", None).await.expect(200);
    assert_eq!(live.text("/data/1/mode"), "live");
    let live = live.text("/data/1/id").to_owned();
    let ask = async |method: Method, path: &str, body: Value| {
        let path = format!("/v1/organizations/{}/keys{path}", app.scene.organization);
        app.send_as(organizations::router(app.scene.db.app()), method, &path, Some(body), Some(&text)).await
    };
    for (method, path, body) in [
        (Method::POST, String::new(), json!({"name": "live", "mode": "live"})),
        (Method::POST, format!("/{live}/rotate"), json!({})),
        (Method::PATCH, format!("/{live}"), json!({"name": "mine"})),
        (Method::DELETE, format!("/{live}"), json!({})),
    ] {
        ask(method, &path, body).await.expect(403);
    }
    let another = ask(Method::POST, "", json!({"name": "another"})).await.expect(201);
    assert!(another.text("/key").starts_with("mk_test_"));
    ask(Method::PATCH, &format!("/{}", another.text("/id")), json!({"mode": "live"})).await.expect(422);
    let rotated = ask(Method::POST, &format!("/{}/rotate", another.text("/id")), json!({})).await.expect(201);
    assert!(rotated.text("/key").starts_with("mk_test_"));
}

#[tokio::test]
async fn a_rotated_key_goes_on_beside_the_new_one_until_the_overlap_is_over() {
    let app = App::new().await;
    let id = app.scene.organization.to_string();
    let router = || organizations::router(app.scene.db.app());
    let old = app.sample(router(), "organizations/keys_create", &[("ORGANIZATION_ID", &id)]).await.expect(201);
    let fill = [("ORGANIZATION_ID", id.as_str()), ("KEY_ID", old.text("/id"))];
    let new = app.sample(router(), "organizations/keys_rotate", &fill).await.expect(201);
    for field in ["name", "scopes", "expires_at"] {
        assert_eq!(new.body[field], old.body[field], "{field}");
    }
    assert_ne!((new.text("/id"), new.text("/key")), (old.text("/id"), old.text("/key")));
    let both = async || [status_with(&app, old.text("/key")).await, status_with(&app, new.text("/key")).await];
    assert_eq!(both().await, [200, 200]);
    app.scene.db.set_clock(wednesday_morning() + chrono::Duration::seconds(3600)).await;
    assert_eq!(both().await, [401, 200]);
    // At once, for one that has leaked.
    let path = format!("/{}/rotate", new.text("/id"));
    keys(&app, Method::POST, &path, Some(json!({"overlap_seconds": 0}))).await.expect(201);
    assert_eq!(both().await, [401, 401]);
    for wrong in [-1, 2_592_001] {
        let refused = keys(&app, Method::POST, &path, Some(json!({"overlap_seconds": wrong}))).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), "overlap_seconds");
    }
    keys(&app, Method::DELETE, &format!("/{}", new.text("/id")), None).await.expect(200);
    let refused = keys(&app, Method::POST, &path, None).await.expect(409);
    assert_eq!(refused.text("/code"), "api_key_revoked");
}

#[tokio::test]
async fn a_key_may_revoke_itself_and_is_told_so() {
    let app = App::new().await;
    let listed = keys(&app, Method::GET, "", None).await.expect(200);
    let own = format!("/{}", listed.text("/data/0/id"));
    let revoked = keys(&app, Method::DELETE, &own, None).await.expect(200);
    assert_eq!(revoked.body["is_current"], true);
    keys(&app, Method::GET, "", None).await.expect(401);
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let app = App::new().await;
    let at = wednesday_morning() + chrono::Duration::hours(1);
    let made = keys(&app, Method::POST, "", Some(json!({"name": "short", "expires_at": at}))).await.expect(201);
    let text = made.text("/key").to_owned();
    app.scene.db.set_clock(at - chrono::Duration::seconds(1)).await;
    assert_eq!(status_with(&app, &text).await, 200);
    app.scene.db.set_clock(at).await;
    assert_eq!(status_with(&app, &text).await, 401);
    // Who is still in may let it live on.
    let path = format!("/{}", made.text("/id"));
    keys(&app, Method::PATCH, &path, Some(json!({"expires_at": null}))).await.expect(200);
    assert_eq!(status_with(&app, &text).await, 200);
}

#[tokio::test]
async fn keys_that_are_not_valid_or_too_many_are_refused() {
    let app = App::new().await;
    for (wrong, field) in [
        (json!({"name": " "}), "name"),
        (json!({"name": "past", "expires_at": wednesday_morning()}), "expires_at"),
        (json!({"name": "scoped", "scopes": []}), "scopes"),
        (json!({"name": "scoped", "scopes": ["contacts:read", "contacts"]}), "scopes"),
        (json!({"name": "scoped", "scopes": ["everything:write"]}), "scopes"),
        (json!({"name": "known", "key": "mk_live_mine"}), "key"),
    ] {
        let refused = keys(&app, Method::POST, "", Some(wrong)).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), field);
    }
    app.scene
        .run(
            "insert into api_keys (organization_id, id, name, prefix, key_hash)
             select $1, gen_random_uuid(), 'one of many', 'mk_live_', sha256(n::text::bytea) from generate_series(1, 98) as n",
            &[&app.scene.organization],
        )
        .await;
    let last = keys(&app, Method::POST, "", Some(json!({"name": "the last"}))).await.expect(201);
    let refused = keys(&app, Method::POST, "", Some(json!({"name": "one more"}))).await.expect(409);
    assert_eq!(refused.text("/code"), "too_many_api_keys");
    keys(&app, Method::DELETE, &format!("/{}", last.text("/id")), None).await.expect(200);
    keys(&app, Method::POST, "", Some(json!({"name": "instead"}))).await.expect(201);
}

#[tokio::test]
async fn another_organizations_keys_are_not_found() {
    let app = App::new().await;
    let (other, _) = app.scene.another_organization("other").await;
    app.scene.api_key_of(other).await;
    let sql = "select id::text from api_keys where organization_id = $1";
    let theirs: String = app.scene.rows(sql, &[&other]).await[0].get(0);
    let router = || organizations::router(app.scene.db.app());
    for path in [
        format!("/v1/organizations/{other}/keys/{theirs}"),
        format!("{}/keys/{theirs}", path_of(&app.scene.organization.to_string())),
    ] {
        app.send(router(), Method::GET, &path, None).await.expect(404);
        app.send(router(), Method::PATCH, &path, Some(json!({"name": "mine"}))).await.expect(404);
        app.send(router(), Method::DELETE, &path, None).await.expect(404);
    }
    let list = format!("/v1/organizations/{other}/keys");
    app.send(router(), Method::GET, &list, None).await.expect(404);
    app.send(router(), Method::POST, &list, Some(json!({"name": "mine"}))).await.expect(404);
    let left = "select count(*) from api_keys where organization_id = $1 and revoked_at is null and name = 'test'";
    assert_eq!(app.scene.number(left, &[&other]).await, 1);
}
