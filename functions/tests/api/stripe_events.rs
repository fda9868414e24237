use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use functions::api::stripe_events::{StripeEvents, router};
use serde_json::Value;
use shared::platform::stripe::Secret;

use crate::app::{Answer, App, call};

const SECRET: &str = "whsec_of_the_tests";
/// The Wednesday morning at which the scene's clock stands.
const NOW: i64 = 1_772_618_400;

struct Desk {
    app: App,
    router: Router,
}

impl Desk {
    async fn new() -> Self {
        let app = App::new().await;
        let prices = "update system_config set value = '{\"price_pro\": \"pro\"}' where category = 'stripe'";
        app.scene.run(prices, &[]).await;
        app.scene.run("update organizations set plan_type = 'free', plan_source = 'default'", &[]).await;
        let secret = Some(Arc::new(Secret::new(SECRET).unwrap()));
        let db = app.scene.db.as_role("martlet_billing");
        let router = router(StripeEvents { db, keys: Arc::new(testkit::key_ring()), secret });
        Self { app, router }
    }

    /// The body of the sample.
    fn body(&self) -> String {
        let text = include_str!("../../../events/stripe_events/subscription_updated.json");
        let event: Value = serde_json::from_str(text).unwrap();
        let body = event["body"].as_str().unwrap().replace("${SUBSCRIPTION}", "1");
        body.replace("${ORGANIZATION_ID}", &self.app.scene.organization.to_string())
    }

    async fn post(&self, signature: Option<&str>, body: &str) -> Answer {
        let mut request = Request::builder().method(Method::POST).uri("/hooks/stripe");
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        call(self.router.clone(), request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn plan(&self) -> String {
        let sql = "select plan_type from organizations where id = $1";
        self.app.scene.rows(sql, &[&self.app.scene.organization]).await[0].get(0)
    }
}

/// HMAC-SHA256 by its definition (RFC 2104), so that the tests sign by themselves.
fn signature(secret: &str, at: i64, body: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let inner = Sha256::digest([key.map(|byte| byte ^ 0x36).as_slice(), format!("{at}.{body}").as_bytes()].concat());
    let outer = Sha256::digest([key.map(|byte| byte ^ 0x5c).as_slice(), inner.as_slice()].concat());
    outer.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn header(at: i64, body: &str) -> String {
    format!("t={at},v1={}", signature(SECRET, at, body))
}

#[tokio::test]
async fn a_signed_event_counts_once() {
    let desk = Desk::new().await;
    let body = desk.body();
    for _ in 0..2 {
        desk.post(Some(&header(NOW, &body)), &body).await.expect(204);
    }
    assert_eq!(desk.plan().await, "pro");
    assert_eq!(desk.app.scene.number("select count(*) from stripe_events", &[]).await, 1);
    let acts = "select count(*) from audit_log where action = 'subscription.changed'";
    assert_eq!(desk.app.scene.number(acts, &[]).await, 1);
}

#[tokio::test]
async fn a_forged_an_old_and_a_replayed_event_change_nothing() {
    let desk = Desk::new().await;
    let body = desk.body();
    let cases = [
        (None, 400, "malformed_request"),
        (Some(format!("t={NOW}")), 400, "malformed_request"),
        (Some(format!("t={NOW},v1={}", signature("whsec_other", NOW, &body))), 403, "refused"),
        (Some(header(NOW, &body.replace("active", "canceled"))), 403, "refused"),
        (Some(header(NOW - 301, &body)), 403, "refused"),
        (Some(header(NOW + 301, &body)), 403, "refused"),
    ];
    for (signature, status, code) in cases {
        let refused = desk.post(signature.as_deref(), &body).await.expect(status);
        assert_eq!(refused.text("/code"), code);
    }
    assert_eq!(desk.plan().await, "free");
    let kept = "select (select count(*) from stripe_events) + (select count(*) from stripe_events_waiting)";
    assert_eq!(desk.app.scene.number(kept, &[]).await, 0);
    // What was taken once is of no use to whoever overheard it: within five minutes it is known, after them it is old.
    desk.post(Some(&header(NOW, &body)), &body).await.expect(204);
    desk.app.scene.run("update organizations set plan_type = 'free', plan_source = 'default'", &[]).await;
    desk.post(Some(&header(NOW, &body)), &body).await.expect(204);
    assert_eq!(desk.plan().await, "free");
}

#[tokio::test]
async fn events_of_no_concern_and_of_unknown_customers_are_acknowledged() {
    let desk = Desk::new().await;
    let other = r#"{"id": "evt_2", "created": 1, "type": "charge.refunded", "data": {"object": {}}}"#;
    desk.post(Some(&header(NOW, other)), other).await.expect(204);
    let unknown = desk.body().replace(&desk.app.scene.organization.to_string(), "nonsense");
    desk.post(Some(&header(NOW, &unknown)), &unknown).await.expect(204);
    assert_eq!(desk.plan().await, "free");
    desk.post(Some(&header(NOW, "{}")), "{}").await.expect(422);
}

#[tokio::test]
async fn without_a_secret_there_is_no_such_route() {
    let desk = Desk::new().await;
    let db = desk.app.scene.db.as_role("martlet_billing");
    let desk = Desk { router: router(StripeEvents { db, keys: Arc::new(testkit::key_ring()), secret: None }), ..desk };
    let body = desk.body();
    desk.post(Some(&header(NOW, &body)), &body).await.expect(404);
}
