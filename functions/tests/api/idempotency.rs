//! Requests that are sent twice, and everything that may break between their work and their answer.

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use functions::api::{auth, lists, tracking};
use functions::http::{ApiError, ApiResult, Caller};
use serde_json::{Value, json};
use shared::platform::idempotency::{self, Claim, Request};
use shared::platform::memberships::Role;
use shared::{Database, Error};

use crate::app::{Answer, App, call, filled_sample};

async fn create(app: &App, name: &str, email: &str) -> Answer {
    let router = crate::contacts::router(app);
    app.send_under(router, name, Method::POST, "/v1/contacts", Some(json!({"email": email}))).await
}

async fn contacts(app: &App) -> i64 {
    app.scene.number("select count(*) from contacts", &[]).await
}

/// The state of the only key.
async fn state(app: &App) -> Option<String> {
    app.scene.rows("select state from idempotency_keys", &[]).await.first().map(|row| row.get(0))
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotency-replayed")
}

#[tokio::test]
async fn the_same_request_is_answered_again_and_another_one_under_its_key_is_refused() {
    let app = App::new().await;
    let first = create(&app, "one", "ada@people.test").await.expect(201);
    let again = create(&app, "one", "ada@people.test").await.expect(201);
    assert_eq!((again.body, again.headers["location"].clone()), (first.body, first.headers["location"].clone()));
    assert!(is_replayed(&Answer { body: Value::Null, ..create(&app, "one", "ada@people.test").await }));
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_ne!(again.headers["x-request-id"], first.headers["x-request-id"], "each request has an id of its own");

    let other_body = create(&app, "one", "grace@people.test").await.expect(409);
    assert_eq!(other_body.text("/code"), "idempotency_mismatch");
    let router = lists::router(app.scene.db.app());
    let body = Some(json!({"email": "ada@people.test"}));
    let other_path = app.send_under(router, "one", Method::POST, "/v1/lists", body).await.expect(409);
    assert_eq!(other_path.text("/code"), "idempotency_mismatch");
    assert_eq!(contacts(&app).await, 1);
    // Under another key it is another request, and refused for its own reason; that answer is kept as well.
    for is_second in [false, true] {
        let refused = create(&app, "two", "ada@people.test").await.expect(409);
        assert_eq!((refused.text("/code"), is_replayed(&refused)), ("contact_exists", is_second));
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn a_key_is_its_organizations_own() {
    let app = App::new().await;
    create(&app, "one", "ada@people.test").await.expect(201);
    let (other, _) = app.scene.another_organization("globex").await;
    let theirs = App { key: app.scene.api_key_of(other).await, ..app };
    let made = create(&theirs, "one", "ada@people.test").await.expect(201);
    assert!(!is_replayed(&made));
    assert_eq!(theirs.scene.number("select count(*) from idempotency_keys", &[]).await, 2);
}

#[tokio::test]
async fn what_one_caller_was_answered_is_no_answer_to_another() {
    let app = App::new().await;
    create(&app, "one", "ada@people.test").await.expect(201);
    let (member, viewer) = (app.scene.session(Role::Member).await, app.scene.session(Role::Viewer).await);
    let own = app.key.clone();
    let mut app = app;
    for other in [app.scene.api_key().await, member.clone()] {
        app.key = other;
        let refused = create(&app, "one", "ada@people.test").await.expect(409);
        assert_eq!((refused.text("/code"), is_replayed(&refused)), ("idempotency_mismatch", false));
    }
    // Who may not call the route is told nothing of the key.
    app.key = viewer;
    create(&app, "one", "ada@people.test").await.expect(403);
    app.key = own;
    assert!(is_replayed(&create(&app, "one", "ada@people.test").await.expect(201)));
    // A person is the same in another session, but for what is about their session.
    app.key = member;
    create(&app, "two", "grace@people.test").await.expect(201);
    let user: shared::UserId = app.scene.rows("select user_id from sessions order by id limit 1", &[]).await[0].get(0);
    let tx = app.scene.db.as_role("martlet_identity").begin(app.scene.organization).await.unwrap();
    let place = shared::platform::sessions::Place::default();
    let opened = shared::platform::sessions::open(&tx, app.scene.organization, user, &place).await.unwrap();
    tx.commit().await.unwrap();
    let first = app.key.clone();
    app.key = opened.1;
    assert!(is_replayed(&create(&app, "two", "grace@people.test").await.expect(201)));
    let update = async |key: &str| {
        let router = auth::router(crate::auth::state(&app.scene.db));
        let mut request = filled_sample("auth/update_me", &[("API_KEY", key)]);
        request.headers_mut().insert("idempotency-key", "me".parse().unwrap());
        call(router, request).await
    };
    update(&first).await.expect(200);
    assert!(is_replayed(&update(&first).await.expect(200)));
    assert_eq!(update(&app.key).await.expect(409).text("/code"), "idempotency_mismatch");
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_reading_needs_none() {
    let app = App::new().await;
    for bad in ["two words", "", &"k".repeat(256)] {
        let refused = create(&app, bad, "ada@people.test").await.expect(400);
        assert_eq!(refused.text("/code"), "invalid_idempotency_key");
    }
    assert_eq!(contacts(&app).await, 0);
    let router = || crate::contacts::router(&app);
    for _ in 0..2 {
        let read = app.send_under(router(), "one", Method::GET, "/v1/contacts", None).await.expect(200);
        assert!(!is_replayed(&read));
    }
    let large = Some(json!({"email": "e".repeat(1 << 20)}));
    app.send_under(router(), "one", Method::POST, "/v1/contacts", large).await.expect(413);
    // A public route has no caller to whom a key could belong.
    let keys = std::sync::Arc::new(testkit::key_ring());
    let public = tracking::router(tracking::Tracking { db: app.scene.db.app(), keys });
    for name in ["one", "no key at all"] {
        let answer = app.send_under(public.clone(), name, Method::POST, "/u/nothing", None).await.expect(404);
        assert!(!is_replayed(&answer));
    }
    assert_eq!(state(&app).await, None);
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let app = App::new().await;
    let answers = futures_util::future::join_all((0..10).map(|_| create(&app, "one", "ada@people.test"))).await;
    let mut made = 0;
    for answer in answers {
        match answer.status {
            StatusCode::CREATED => made += usize::from(!is_replayed(&answer)),
            StatusCode::CONFLICT => assert_eq!(answer.text("/code"), "idempotency_in_flight"),
            other => panic!("{other}: {:#}", answer.body),
        }
    }
    assert_eq!((made, contacts(&app).await), (1, 1));
    assert!(is_replayed(&create(&app, "one", "ada@people.test").await.expect(201)));
}

#[tokio::test]
async fn a_request_is_tried_again_only_when_the_lease_of_an_attempt_without_a_commit_is_over() {
    let app = App::new().await;
    let first = create(&app, "one", "ada@people.test").await.expect(201);
    let set = async |what: &str| app.scene.run(&format!("update idempotency_keys set {what}"), &[]).await;
    // As if the function had died before its commit.
    app.scene.run("delete from contacts", &[]).await;
    set("state = 'in_flight', answer_code = null").await;
    assert_eq!(create(&app, "one", "ada@people.test").await.expect(409).text("/code"), "idempotency_in_flight");
    set("lease_until = now()").await;
    let other = create(&app, "one", "grace@people.test").await.expect(409);
    assert_eq!(other.text("/code"), "idempotency_mismatch");
    let made = create(&app, "one", "ada@people.test").await.expect(201);
    assert_ne!(made.text("/id"), first.text("/id"));

    // As if it had died after its commit: nothing is done again, however long one waits.
    set("state = 'committed', answer_code = null, lease_until = now()").await;
    assert_eq!(create(&app, "one", "ada@people.test").await.expect(409).text("/code"), "idempotency_answer_lost");
    assert_eq!(contacts(&app).await, 1);

    // After its day the key is free for anything.
    set("expires_at = now()").await;
    create(&app, "one", "grace@people.test").await.expect(201);
    assert_eq!(state(&app).await.as_deref(), Some("answered"));
}

#[tokio::test]
async fn an_attempt_that_has_lost_its_lease_cannot_commit() {
    let app = App::new().await;
    let (slow, fast) = (app.scene.db.app(), app.scene.db.app());
    let request = Request { key: "one".into(), hash: [7; 32] };
    let organization = app.scene.organization;
    let Ok(Claim::Ours(slow_tx, slow_attempt)) = idempotency::claim(&slow, organization, &request).await else {
        panic!("the key was not free");
    };
    app.scene.run("update idempotency_keys set lease_until = now()", &[]).await;
    let Ok(Claim::Ours(fast_tx, fast_attempt)) = idempotency::claim(&fast, organization, &request).await else {
        panic!("the lease was not over");
    };
    let refused = idempotency::commit(&slow_tx, &slow_attempt).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "idempotency_in_flight", .. })), "{refused:?}");
    drop(slow_tx);
    // Neither does it take the key away, nor leave its answer there.
    idempotency::give_back(&slow, &slow_attempt).await.unwrap();
    let answer = idempotency::Answer { code: 409, content_type: None, location: None, body: Vec::new() };
    idempotency::keep(&slow, &slow_attempt, &answer).await.unwrap();
    idempotency::commit(&fast_tx, &fast_attempt).await.unwrap();
    fast_tx.commit().await.unwrap();
    assert_eq!(state(&app).await.as_deref(), Some("committed"));
}

/// A route that fails on our side, before its commit or after it.
fn failing(db: Database) -> Router {
    async fn before(caller: Caller) -> ApiResult<StatusCode> {
        act(&caller).await?;
        Err(ApiError::from(Error::Unavailable("away".into())))
    }
    async fn after(caller: Caller) -> ApiResult<StatusCode> {
        act(&caller).await?;
        caller.commit().await?;
        Err(ApiError::from(Error::internal("a defect")))
    }
    async fn act(caller: &Caller) -> ApiResult<()> {
        caller.record("test.acted", shared::ids::fresh(), &json!({})).await
    }
    Router::new().route("/v1/lists", post(before)).route("/v1/contacts", post(after)).with_state(db)
}

#[tokio::test]
async fn an_answer_that_is_not_final_is_not_kept_and_work_is_never_done_twice() {
    let app = App::new().await;
    let acts = async || app.scene.number("select count(*) from audit_log", &[]).await;
    let fail = async |path: &str| app.send_under(failing(app.scene.db.app()), "one", Method::POST, path, None).await;
    for _ in 0..2 {
        fail("/v1/lists").await.expect(503);
        assert_eq!((state(&app).await, acts().await), (None, 0));
    }
    fail("/v1/contacts").await.expect(500);
    assert_eq!((state(&app).await.as_deref(), acts().await), (Some("committed"), 1));
    assert_eq!(fail("/v1/contacts").await.expect(409).text("/code"), "idempotency_answer_lost");
    assert_eq!(acts().await, 1);
}

#[tokio::test]
async fn a_new_key_sweeps_a_few_whose_day_is_over() {
    let app = App::new().await;
    let (other, _) = app.scene.another_organization("globex").await;
    for organization in [app.scene.organization, other] {
        app.scene
            .run(
                "insert into idempotency_keys (organization_id, key, request_hash, attempt, lease_until, expires_at)
                 select $1, n::text, sha256('x'), gen_random_uuid(), now(), now() - interval '1 hour' from generate_series(1, 30) as n",
                &[&organization],
            )
            .await;
    }
    let left = async || {
        let sql = "select count(*) from idempotency_keys where expires_at < now() and organization_id = $1";
        (app.scene.number(sql, &[&app.scene.organization]).await, app.scene.number(sql, &[&other]).await)
    };
    create(&app, "new", "ada@people.test").await.expect(201);
    assert_eq!(left().await, (10, 30));
    create(&app, "newer", "grace@people.test").await.expect(201);
    assert_eq!(left().await, (0, 30));
}
