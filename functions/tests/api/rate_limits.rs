//! How many requests a key may make, and what its holder is told of it.

use std::sync::Arc;

use axum::http::Method;
use functions::api::tracking::{self, Tracking};
use functions::api::{lists, organizations};
use shared::platform::credentials::{self, Credential};
use shared::platform::memberships::Role;
use shared::platform::rate_limits::sweeping;

use crate::app::{Answer, App};

/// The limit of the tests.
const LIMIT: i64 = 5;

/// An organization with few requests a minute, in a minute that does not end while the test runs.
async fn limited() -> App {
    let app = App::new().await;
    app.scene
        .run(
            "update system_config set value = $1 where category = 'rate_limits' and key = 'enterprise'",
            &[&LIMIT.to_string()],
        )
        .await;
    ask(&app).await.expect(200);
    app.scene.run("update request_counts set window_start = now() + interval '1 hour', used = 1", &[]).await;
    app
}

async fn ask(app: &App) -> Answer {
    app.send(lists::router(app.scene.db.app()), Method::GET, "/v1/lists", None).await
}

fn told(answer: &Answer) -> [Option<i64>; 2] {
    ["ratelimit-limit", "ratelimit-remaining"].map(|name| answer.headers.get(name)?.to_str().ok()?.parse().ok())
}

#[tokio::test]
async fn every_answer_to_a_caller_tells_where_its_key_stands() {
    let app = App::new().await;
    let first = ask(&app).await.expect(200);
    assert_eq!(told(&first), [Some(3000), Some(2999)]);
    let reset: i64 = first.headers["ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&reset), "{reset}");
    // Errors too, and a plan with fewer requests.
    app.scene.run("update organizations set plan_type = 'free'", &[]).await;
    let path = format!("/v1/lists/{}", shared::ids::fresh());
    let missing = app.send(lists::router(app.scene.db.app()), Method::GET, &path, None).await.expect(404);
    assert_eq!(told(&missing)[0], Some(60));
}

#[tokio::test]
async fn requests_of_keys_are_counted_by_the_month_and_end_where_a_plan_says_so() {
    let app = App::new().await;
    let usage = async |key: &str| {
        let path = format!("/v1/organizations/{}/usage", app.scene.organization);
        app.send_as(crate::subscriptions::router(&app), Method::GET, &path, None, Some(key)).await
    };
    let (first, second) = (app.scene.api_key().await, app.scene.api_key().await);
    let session = app.scene.session(Role::Viewer).await;
    for asked in 1..=3 {
        let used = usage(&first).await.expect(200);
        assert_eq!(
            (&used.body["month"]["api_requests"], used.body["limits"][5]["used"].as_i64()),
            (&asked.into(), Some(asked))
        );
        assert_eq!(used.body["limits"][5]["maximum"], serde_json::Value::Null);
    }
    // What was counted in the month outlives its minutes.
    app.scene.run("update request_counts set window_start = window_start - interval '2 hours'", &[]).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(600);
    sweeping::sweep(&app.scene.db.as_role("martlet_maintenance"), deadline).await.unwrap();
    // A session is nobody's use of the API.
    assert_eq!(usage(&session).await.expect(200).body["month"]["api_requests"], 3);
    app.scene
        .run("insert into plan_limits (plan_type, name, maximum) values ('free', 'api_requests_a_month', 5)", &[])
        .await;
    app.scene.run("update organizations set plan_type = 'free', has_plan_limits = true", &[]).await;
    usage(&first).await.expect(200);
    usage(&second).await.expect(200);
    for key in [&first, &second] {
        let refused = usage(key).await.expect(429);
        assert_eq!(refused.text("/code"), "plan_limit_reached");
        assert!(refused.text("/detail").contains("api_requests_a_month"), "{}", refused.text("/detail"));
        let seconds: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=31 * 86_400).contains(&seconds), "{seconds}");
    }
    // People come in still, and another organization's use is its own.
    usage(&session).await.expect(200);
    app.scene.run("update request_counts set month = month - interval '1 month'", &[]).await;
    assert_eq!(usage(&first).await.expect(200).body["month"]["api_requests"], 1);
    app.scene.run("update organizations set has_plan_limits = false", &[]).await;
    app.scene.run("update request_counts set month_used = 9", &[]).await;
    usage(&first).await.expect(200);
}

#[tokio::test]
async fn the_request_after_the_last_is_refused_until_the_minute_is_over() {
    let app = limited().await;
    for left in (0..LIMIT - 1).rev() {
        assert_eq!(told(&ask(&app).await.expect(200)), [Some(LIMIT), Some(left)]);
    }
    for _ in 0..2 {
        let refused = ask(&app).await.expect(429);
        assert_eq!((refused.text("/code"), told(&refused)), ("rate_limited", [Some(LIMIT), Some(0)]));
        assert_eq!(refused.headers["content-type"], "application/problem+json");
        assert_eq!(refused.headers["retry-after"], refused.headers["ratelimit-reset"]);
    }
    // What is refused does nothing, and takes no Idempotency-Key.
    let body = serde_json::json!({"name": "Customers"});
    let router = lists::router(app.scene.db.app());
    app.send_under(router, "once", Method::POST, "/v1/lists", Some(body)).await.expect(429);
    assert_eq!(app.scene.number("select count(*) from lists", &[]).await, 0);
    assert_eq!(app.scene.number("select count(*) from idempotency_keys", &[]).await, 0);

    // Another key of the same organization has requests of its own.
    let other = app.scene.api_key().await;
    let router = lists::router(app.scene.db.app());
    let passed = app.send_as(router, Method::GET, "/v1/lists", None, Some(&other)).await.expect(200);
    assert_eq!(told(&passed), [Some(LIMIT), Some(LIMIT - 1)]);

    // Time passes: the minute in which the key was used up is long ago.
    app.scene.run("update request_counts set window_start = window_start - interval '2 hours'", &[]).await;
    assert_eq!(told(&ask(&app).await.expect(200)), [Some(LIMIT), Some(LIMIT - 1)]);
}

#[tokio::test]
async fn of_many_requests_at_once_exactly_as_many_pass_as_are_left() {
    let app = limited().await;
    let asked = futures_util::future::join_all((0..3 * LIMIT).map(|_| ask(&app))).await;
    let passed = asked.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(i64::try_from(passed).unwrap(), LIMIT - 1);
    assert_eq!(asked.iter().filter(|answer| answer.status == 429).count() + passed, asked.len());
    assert_eq!(app.scene.number("select used from request_counts", &[]).await, 1 + 3 * LIMIT);
}

#[tokio::test]
async fn a_request_at_work_holds_no_other_back() {
    let app = App::new().await;
    let key = Credential::parse(&app.scene.api_key().await).unwrap();
    let (first, second) = (app.scene.db.app(), app.scene.db.app());
    let (at_work, _) = credentials::authenticate(&first, &key).await.unwrap();
    // It would wait for ever for a row that the first has locked.
    let (tx, who) = credentials::authenticate(&second, &key).await.unwrap();
    assert_eq!((who.standing.used, who.standing.remaining()), (2, 2998));
    tx.commit().await.unwrap();
    // What is counted stays counted when the work is undone.
    at_work.rollback().await.unwrap();
    assert_eq!(app.scene.number("select used from request_counts", &[]).await, 2);
}

#[tokio::test]
async fn nobody_else_uses_up_what_a_key_has_and_public_routes_are_exempt() {
    let app = limited().await;
    let router = lists::router(app.scene.db.app());
    for key in [None, Some("mk_live_nonsense")] {
        let refused = app.send_as(router.clone(), Method::GET, "/v1/lists", None, key).await.expect(401);
        assert_eq!(told(&refused), [None, None]);
    }
    // A key of the right organization with a wrong secret.
    let mut wrong = app.scene.api_key().await;
    let last = if wrong.pop() == Some('a') { 'q' } else { 'a' };
    wrong.push(last);
    app.send_as(router, Method::GET, "/v1/lists", None, Some(&wrong)).await.expect(401);
    assert_eq!(app.scene.number("select sum(used)::bigint from request_counts", &[]).await, 1);

    let keys = Arc::new(testkit::key_ring());
    let public = tracking::router(Tracking { db: app.scene.db.app(), keys });
    for _ in 0..2 * LIMIT {
        let answer = app.send_as(public.clone(), Method::GET, "/u/nothing", None, None).await.expect(404);
        assert_eq!(told(&answer), [None, None]);
    }
}

#[tokio::test]
async fn the_last_use_is_noted_once_a_minute() {
    let app = App::new().await;
    let last_use = async || -> String {
        app.scene.rows("select coalesce(last_used_at::text, 'never') from api_keys", &[]).await[0].get(0)
    };
    assert_eq!(last_use().await, "never");
    ask(&app).await.expect(200);
    let noted = last_use().await;
    assert_ne!(noted, "never");
    // As fresh as can be, whatever the machine's clock does meanwhile.
    app.scene.run("update api_keys set last_used_at = now() + interval '1 hour'", &[]).await;
    let fresh = last_use().await;
    ask(&app).await.expect(200);
    assert_eq!(last_use().await, fresh);
    app.scene.run("update api_keys set last_used_at = now() - interval '61 seconds'", &[]).await;
    let stale = last_use().await;
    let id = app.scene.organization;
    let router = organizations::router(app.scene.db.app());
    app.send(router, Method::GET, &format!("/v1/organizations/{id}"), None).await.expect(200);
    assert_ne!(last_use().await, stale);
}
