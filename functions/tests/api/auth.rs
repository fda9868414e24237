//! Accounts over HTTP: signing up, logging in and out, sessions, passwords.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use functions::adapters::provider_host::HttpProviders;
use functions::api::auth::{self, Auth};
use functions::oidc::{ClientSecrets, Providers};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::Result;
use shared::delivery::system_mail::{Action, ActionPurpose};
use shared::platform::webhooks::Reach;
use shared::platform::{csrf, sessions};
use testkit::TestDb;

use crate::app::{Answer, App, call, filled_sample};

/// The client that has a secret; every other one is public.
pub(crate) const CONFIDENTIAL: &str = "martlet with a secret";

/// One secret, of that client, whoever the issuer is.
struct OneSecret;

impl ClientSecrets for OneSecret {
    fn find<'a>(&'a self, _issuer: &'a str, client_id: &'a str) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move { Ok((client_id == CONFIDENTIAL).then(|| "a secret: 100 %".to_owned())) })
    }
}

/// The function's state on a database, with providers on the loopback interface.
pub(crate) fn state(db: &TestDb) -> Auth {
    Auth {
        db: db.as_role("martlet_identity"),
        keys: Arc::new(testkit::key_ring()),
        hasher: Arc::default(),
        providers: Providers::new(Arc::new(HttpProviders::new(Reach::Loopback)), Arc::new(OneSecret), Reach::Loopback)
            .into(),
        public_url: "https://mail.example.test".into(),
    }
}

/// The routes, and what came in the mail.
pub(crate) struct Desk {
    pub(crate) app: App,
    state: Auth,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let app = App::new().await;
        let state = state(&app.scene.db);
        Self { app, state }
    }

    /// With the somebody of the samples, who has confirmed the address.
    async fn with_ada() -> Self {
        let desk = Self::new().await;
        desk.sample("signup", &[]).await.expect(202);
        let token = desk.token(ActionPurpose::ConfirmEmail).await;
        desk.sample("confirm", &[("TOKEN", &token)]).await.expect(204);
        desk
    }

    pub(crate) async fn sample(&self, name: &str, fill: &[(&str, &str)]) -> Answer {
        call(auth::router(self.state.clone()), filled_sample(&format!("auth/{name}"), fill)).await
    }

    /// Posts a body without credentials.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
        call(auth::router(self.state.clone()), request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn with_cookie(&self, method: Method, path: &str, cookie: &str, csrf: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("cookie", cookie);
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        call(auth::router(self.state.clone()), request.body(Body::empty()).unwrap()).await
    }

    async fn log_in(&self) -> String {
        self.sample("login", &[]).await.expect(201).text("/token").to_owned()
    }

    /// The token in the last mail for this purpose.
    async fn token(&self, purpose: ActionPurpose) -> String {
        let sql = "select action_id from system_mails where action_purpose = $1 order by created_at desc, action_id desc limit 1";
        let id = self.app.scene.rows(sql, &[&purpose.name()]).await[0].get(0);
        self.state.keys.action_token(Action { purpose, id })
    }
}

/// A body without what differs from request to request.
fn said(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

#[tokio::test]
async fn from_signing_up_to_logging_out() {
    let desk = Desk::with_ada().await;
    let token = desk.log_in().await;
    let key = [("API_KEY", token.as_str())];
    let me = desk.sample("me", &key).await.expect(200);
    assert_eq!((me.text("/email"), me.text("/first_name")), ("ada@users.test", "Ada"));
    assert_eq!(me.text("/organizations/0/name"), "Analytical Engines");
    assert_eq!(me.text("/organizations/0/role"), "owner");
    assert!(me.body.get("password_hash").is_none() && me.body["has_password"] == true, "{:#}", me.body);
    let updated = desk.sample("update_me", &key).await.expect(200);
    assert_eq!(updated.text("/settings/theme"), "dark");
    let other = desk.log_in().await;
    let listed = desk.sample("sessions", &key).await.expect(200);
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 2);
    assert_eq!(desk.sample("end_sessions", &key).await.expect(200).body["ended"], 1);
    desk.sample("me", &[("API_KEY", &other)]).await.expect(401);
    let third = desk.log_in().await;
    let id = desk.sample("me", &[("API_KEY", &third)]).await.expect(200).text("/session_id").to_owned();
    let ending = [("API_KEY", token.as_str()), ("SESSION_ID", id.as_str())];
    desk.sample("end_session", &ending).await.expect(204);
    desk.sample("end_session", &ending).await.expect(404);
    desk.sample("me", &[("API_KEY", &third)]).await.expect(401);
    desk.sample("logout", &key).await.expect(204);
    desk.sample("me", &key).await.expect(401);
    let acts = "select string_agg(action, ' ' order by id) from audit_log where actor_kind = 'user'";
    let acts: String = desk.app.scene.rows(acts, &[]).await[0].get(0);
    assert_eq!(
        acts,
        "organization.created user.email_confirmed session.opened user.updated session.opened sessions.ended session.opened session.ended session.ended"
    );
}

#[tokio::test]
async fn an_address_is_confirmed_with_the_password_that_was_chosen() {
    let desk = Desk::new().await;
    desk.sample("signup", &[]).await.expect(202);
    let token = desk.token(ActionPurpose::ConfirmEmail).await;
    let wrong = desk.post("/v1/auth/email/confirm", json!({"token": token, "password": "wrong"})).await.expect(422);
    assert_eq!((wrong.text("/errors/0/field"), wrong.text("/errors/0/code")), ("password", "wrong"));
    desk.post("/v1/auth/email/confirm", json!({"token": token})).await.expect(422);
    desk.sample("login", &[]).await.expect(401);
    desk.sample("confirm", &[("TOKEN", &token)]).await.expect(204);
    let again = desk.sample("confirm", &[("TOKEN", &token)]).await.expect(409);
    assert_eq!(again.text("/code"), "token_not_valid");
    desk.sample("login", &[]).await.expect(201);
}

#[tokio::test]
async fn whoever_is_invited_signs_up_by_the_link_and_is_logged_in() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let invite = "insert into invites (organization_id, id, email, role, expires_at)
                  values ($1, gen_random_uuid(), 'grace@users.test', 'member', clock_now() + interval '1 day') returning id";
    let id = scene.rows(invite, &[&scene.organization]).await[0].get(0);
    let token = desk.state.keys.action_token(Action { purpose: ActionPurpose::Invite, id });
    desk.post("/v1/auth/signup/invite", json!({"token": token, "password": "short"})).await.expect(422);
    for field in ["email", "role", "organization_id", "is_admin"] {
        let body = json!({"token": token, "password": "correct horse battery", field: "owner"});
        desk.post("/v1/auth/signup/invite", body).await.expect(422);
    }
    let joined = desk.sample("signup_invite", &[("TOKEN", &token)]).await.expect(201);
    assert_eq!(joined.headers["cache-control"], "no-store");
    let me = desk.sample("me", &[("API_KEY", joined.text("/token"))]).await.expect(200);
    assert_eq!((me.text("/email"), me.text("/first_name")), ("grace@users.test", "Grace"));
    assert_eq!(me.text("/organizations/0/role"), "member");
    assert_eq!(me.body["organizations"].as_array().map(Vec::len), Some(1), "none of their own is made");
    let again = desk.sample("signup_invite", &[("TOKEN", &token)]).await.expect(409);
    assert_eq!(again.text("/code"), "account_exists");
    desk.sample("signup_invite", &[("TOKEN", "nonsense")]).await.expect(404);
}

#[tokio::test]
async fn whoever_can_work_nowhere_is_told_so_once_they_have_shown_who_they_are() {
    let desk = Desk::with_ada().await;
    desk.app.scene.run("update organizations set status = 'suspended'", &[]).await;
    assert_eq!(desk.sample("login", &[]).await.expect(409).text("/code"), "organizations_suspended");
    desk.post("/v1/auth/login", json!({"email": "ada@users.test", "password": "wrong"})).await.expect(401);
}

#[tokio::test]
async fn same_text_for_an_unknown_user_and_a_wrong_password() {
    let desk = Desk::with_ada().await;
    let wrong = desk.post("/v1/auth/login", json!({"email": "ada@users.test", "password": "wrong horse"})).await;
    let unknown = desk.post("/v1/auth/login", json!({"email": "bob@users.test", "password": "wrong horse"})).await;
    assert_eq!((wrong.status.as_u16(), unknown.status.as_u16()), (401, 401));
    assert_eq!(said(&wrong), said(&unknown));
    for route in ["/v1/auth/password/forgot", "/v1/auth/email/resend"] {
        let known = desk.post(route, json!({"email": "ada@users.test"})).await.expect(202);
        let unknown = desk.post(route, json!({"email": "bob@users.test"})).await.expect(202);
        assert_eq!(known.body, unknown.body);
    }
    let again = desk.sample("signup", &[]).await.expect(202);
    let body = json!({"email": "bob@users.test", "password": "correct horse battery"});
    let fresh = desk.post("/v1/auth/signup", body).await.expect(202);
    assert_eq!(again.body, fresh.body);
}

#[tokio::test]
async fn cookies_are_secure_http_only_and_same_site_and_come_with_a_csrf_token() {
    let desk = Desk::with_ada().await;
    let answer = desk.sample("login_cookie", &[]).await.expect(201);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax");
    let token = pair.strip_prefix("__Host-martlet_session=").unwrap();
    assert_eq!(sessions::COOKIE, "__Host-martlet_session");
    assert!(answer.body["token"].is_null(), "it is in the cookie alone");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.text("/csrf_token"), csrf::token(token));
    // A page that was loaded anew learns the token again, by the cookie alone, and where there is no cookie there is none to learn.
    let me = desk.with_cookie(Method::GET, "/v1/auth/me", pair, None).await.expect(200);
    assert_eq!(me.body["csrf_token"], answer.body["csrf_token"]);
    let me = desk.sample("me", &[("API_KEY", token)]).await.expect(200);
    assert!(me.body["csrf_token"].is_null());
    desk.with_cookie(Method::POST, "/v1/auth/logout", pair, None).await.expect(403);
    let left =
        desk.with_cookie(Method::POST, "/v1/auth/logout", pair, Some(answer.text("/csrf_token"))).await.expect(204);
    assert_eq!(
        left.headers["set-cookie"],
        "__Host-martlet_session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    desk.with_cookie(Method::GET, "/v1/auth/me", pair, None).await.expect(401);
    let plain = desk.sample("login", &[]).await.expect(201);
    assert!(plain.headers.get("set-cookie").is_none() && plain.body["csrf_token"].is_null());
}

#[tokio::test]
async fn sessions_rotate_on_login_and_end_on_logout_and_reset() {
    let desk = Desk::with_ada().await;
    let (one, other) = (desk.log_in().await, desk.log_in().await);
    assert_ne!(one, other);
    desk.sample("forgot", &[]).await.expect(202);
    let token = desk.token(ActionPurpose::ResetPassword).await;
    desk.sample("reset", &[("TOKEN", &token)]).await.expect(204);
    for ended in [&one, &other] {
        desk.sample("me", &[("API_KEY", ended)]).await.expect(401);
    }
    let again = desk.sample("reset", &[("TOKEN", &token)]).await.expect(409);
    assert_eq!(again.text("/code"), "token_not_valid");
    desk.sample("login", &[]).await.expect(401);
}

#[tokio::test]
async fn a_password_is_changed_with_the_present_one() {
    let desk = Desk::with_ada().await;
    let (token, other) = (desk.log_in().await, desk.log_in().await);
    let changed = desk.sample("change_password", &[("API_KEY", &token)]).await.expect(200);
    assert_eq!(changed.body["sessions_ended"], 1);
    desk.sample("me", &[("API_KEY", &token)]).await.expect(200);
    desk.sample("me", &[("API_KEY", &other)]).await.expect(401);
    let wrong = desk.sample("change_password", &[("API_KEY", &token)]).await.expect(422);
    assert_eq!(wrong.text("/errors/0/field"), "present_password");
}

#[tokio::test]
async fn rate_limits_on_login_and_sign_up() {
    let desk = Desk::with_ada().await;
    for _ in 0..5 {
        desk.post("/v1/auth/login", json!({"email": "ada@users.test", "password": "wrong"})).await.expect(401);
    }
    let refused =
        desk.post("/v1/auth/login", json!({"email": "ada@users.test", "password": "wrong"})).await.expect(429);
    assert_eq!(refused.text("/code"), "too_many_attempts");
    let seconds: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((840..=900).contains(&seconds), "{seconds}");
    desk.app.scene.run("update system_config set value = '1' where key = 'sign_ups_of_address'", &[]).await;
    let body = |n: u8| json!({"email": format!("person{n}@users.test"), "password": "correct horse battery"});
    desk.post("/v1/auth/signup", body(1)).await.expect(202);
    desk.post("/v1/auth/signup", body(2)).await.expect(429);
}

#[tokio::test]
async fn public_routes_are_limited_by_the_minute() {
    let desk = Desk::new().await;
    desk.app
        .scene
        .run("update system_config set value = '2' where category = 'rate_limits' and key = 'public'", &[])
        .await;
    for _ in 0..2 {
        desk.sample("providers", &[]).await.expect(200);
    }
    let refused = desk.sample("providers", &[]).await.expect(429);
    assert_eq!(refused.text("/code"), "rate_limited");
}

#[tokio::test]
async fn organization_role_and_is_admin_are_never_settable_from_a_body() {
    let desk = Desk::with_ada().await;
    let token = desk.log_in().await;
    for field in ["organization_id", "role", "is_admin", "email_verified_at"] {
        let mut body = json!({"email": "eve@users.test", "password": "correct horse battery"});
        body[field] = json!(true);
        desk.post("/v1/auth/signup", body.clone()).await.expect(422);
        desk.post("/v1/auth/login", body).await.expect(422);
        let request = Request::builder()
            .method(Method::PATCH)
            .uri("/v1/auth/me")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(json!({ field: true }).to_string())).unwrap();
        call(auth::router(desk.state.clone()), request).await.expect(422);
    }
    assert_eq!(
        desk.app.scene.number("select count(*) from users where is_admin or email_lower like 'eve%'", &[]).await,
        0
    );
}

#[tokio::test]
async fn whoever_switches_has_another_session_and_its_token_is_kept_nowhere() {
    let desk = Desk::with_ada().await;
    let token = desk.log_in().await;
    let there = desk.app.scene.organization.to_string();
    let fill = [("API_KEY", token.as_str()), ("ORGANIZATION_ID", there.as_str())];
    desk.sample("switch", &fill).await.expect(404);
    let join = "insert into memberships (organization_id, user_id, role) select $1, id, 'viewer' from users";
    desk.app.scene.run(join, &[&desk.app.scene.organization]).await;
    let mut request = filled_sample("auth/switch", &fill);
    request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
    let switched = call(auth::router(desk.state.clone()), request).await.expect(201);
    let new = switched.text("/token");
    let me = desk.sample("me", &[("API_KEY", new)]).await.expect(200);
    assert_eq!(me.text("/organization_id"), there);
    desk.sample("me", &[("API_KEY", &token)]).await.expect(401);
    let kept = "select count(*) from idempotency_keys where convert_from(body, 'UTF8') like '%' || $1 || '%'";
    assert_eq!(desk.app.scene.number(kept, &[&new]).await, 0);
}
