//! Sessions as callers: what their token and their cookie open, and what ends them.

use axum::body::Body;
use axum::http::{Method, Request};
use functions::api::lists;
use serde_json::json;
use shared::platform::csrf;
use shared::platform::memberships::Role;
use shared::platform::sessions;

use crate::app::{Answer, App, call};

async fn ask(app: &App, method: Method, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(&method).uri("/v1/lists").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == Method::GET {
        Body::empty()
    } else {
        Body::from(json!({"name": shared::ids::fresh().to_string()}).to_string())
    };
    call(lists::router(app.scene.db.app()), request.body(body).unwrap()).await
}

async fn status_with(app: &App, token: &str) -> u16 {
    ask(app, Method::GET, &[("authorization", &format!("Bearer {token}"))]).await.status.as_u16()
}

#[tokio::test]
async fn a_cookie_opens_what_is_read_and_needs_its_csrf_token_for_what_changes() {
    let app = App::new().await;
    let (token, other) = (app.scene.session(Role::Member).await, app.scene.session(Role::Member).await);
    let cookie = format!("theme=dark; {}={token}", sessions::COOKIE);
    let (csrf, foreign) = (csrf::token(&token), csrf::token(&other));
    ask(&app, Method::GET, &[("cookie", &cookie)]).await.expect(200);
    for wrong in ["", "nonsense", &foreign, &token] {
        let refused = ask(&app, Method::POST, &[("cookie", &cookie), ("x-csrf-token", wrong)]).await.expect(403);
        assert_eq!(refused.text("/code"), "forbidden");
    }
    ask(&app, Method::POST, &[("cookie", &cookie)]).await.expect(403);
    assert_eq!(app.scene.number("select count(*) from lists", &[]).await, 0);
    ask(&app, Method::POST, &[("cookie", &cookie), ("x-csrf-token", &csrf)]).await.expect(201);
    // A cookie holds sessions alone, and one of them.
    let key = format!("{}={}", sessions::COOKIE, app.key);
    ask(&app, Method::GET, &[("cookie", &key)]).await.expect(401);
    let two = format!("{cookie}; {}={other}", sessions::COOKIE);
    ask(&app, Method::GET, &[("cookie", &two)]).await.expect(401);
    // A token in the header needs no cookie, since no other site can make a browser send it.
    ask(&app, Method::POST, &[("authorization", &format!("Bearer {token}"))]).await.expect(201);
}

#[tokio::test]
async fn a_session_ends_when_it_is_old_or_unused_or_ended_or_its_member_has_left() {
    let app = App::new().await;
    for end in [
        "update sessions set expires_at = now() where id = $1",
        "update sessions set last_used_at = now() - interval '7 days 1 second' where id = $1",
        "update sessions set ended_at = now() where id = $1",
        "delete from memberships where user_id = (select user_id from sessions where id = $1)",
        "update organizations set status = 'suspended' where id = (select organization_id from sessions where id = $1)",
    ] {
        let token = app.scene.session(Role::Viewer).await;
        let id: shared::SessionId =
            app.scene.rows("select id from sessions order by id desc limit 1", &[]).await[0].get(0);
        assert_eq!(status_with(&app, &token).await, 200);
        app.scene.run(end, &[&id]).await;
        assert_eq!(status_with(&app, &token).await, 401, "{end}");
    }
}

#[tokio::test]
async fn sessions_and_keys_have_128_bits_at_least_and_are_kept_as_hashes() {
    let app = App::new().await;
    let tokens = [app.scene.session(Role::Viewer).await, app.scene.session(Role::Viewer).await];
    for (token, other) in [(&tokens[0], &tokens[1]), (&app.key, &app.scene.api_key().await)] {
        // After the organization's id, 26 characters of base32 with one bit to spare, all is the secret.
        let secret =
            |token: &str| token.split_once('_').unwrap().1.replace("live_", "").replace("test_", "")[26..].to_owned();
        assert!(secret(token).len() * 5 >= 128 && secret(token) != secret(other), "{token}");
        let found = app
            .scene
            .number(
                "select (select count(*) from sessions s where s::text like '%' || $1 || '%')
                      + (select count(*) from api_keys k where k::text like '%' || $1 || '%')",
                &[&secret(token)],
            )
            .await;
        assert_eq!(found, 0, "the secret is nowhere");
    }
    // A role that changes takes effect with the next request.
    let token = app.scene.session(Role::Member).await;
    let authorization = format!("Bearer {token}");
    ask(&app, Method::POST, &[("authorization", &authorization)]).await.expect(201);
    app.scene.run("update memberships set role = 'viewer'", &[]).await;
    ask(&app, Method::POST, &[("authorization", &authorization)]).await.expect(403);
}
