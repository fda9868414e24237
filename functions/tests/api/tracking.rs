use std::sync::Arc;

use axum::Router;
use functions::api::tracking::{self, Tracking};
use shared::delivery::tokens::KeyRing;

use crate::app::App;

const KEYS: &str = r#"{"current": 1, "key_1": "for tests only: 0123456789 0123456789"}"#;

/// An organization whose only message has been sent, the routes, and the message's token.
async fn sent_mail() -> (App, Router, String) {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 30).await;
    app.scene.running_campaign(1, &[sender], 2, 100).await;
    app.scene
        .run(
            "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                   recipient, state, slot_day, send_at, expires_at, attempts)
             select e.organization_id, gen_random_uuid(), 'one', e.id, e.campaign_id, s.id, e.contact_id, e.sender_id,
                    'Person1@People.test', 'sent', current_date, now(), now(), 1
               from enrollments e join steps s on s.campaign_id = e.campaign_id and s.position = 1",
            &[],
        )
        .await;
    let row = app.scene.rows("select organization_id, id from messages", &[]).await;
    let keys = KeyRing::from_json(KEYS).unwrap();
    let token = keys.unsubscribe_token(row[0].get(0), row[0].get(1));
    let router = tracking::router(Tracking { db: app.scene.db.app(), keys: Arc::new(keys) });
    (app, router, token)
}

async fn unfinished(app: &App) -> i64 {
    app.scene.number("select count(*) from enrollments where status in ('pending', 'in_progress')", &[]).await
}

#[tokio::test]
async fn following_the_link_shows_a_page_and_changes_nothing() {
    let (app, router, token) = sent_mail().await;
    let page = app.sample(router, "tracking/show", &[("TOKEN", &token)]).await.expect(200);
    let html = page.body.as_str().unwrap();
    assert!(html.contains("<form method=\"post\">") && html.contains("P…@People.test"), "{html}");
    assert!(!html.contains("Person1"), "the page does not show the whole address: {html}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.headers.get("set-cookie").is_none());
    assert_eq!(app.scene.number("select count(*) from suppressions", &[]).await, 0);
    assert_eq!(unfinished(&app).await, 1);
}

#[tokio::test]
async fn one_click_unsubscribes_and_a_second_click_changes_nothing_more() {
    let (app, router, token) = sent_mail().await;
    for _ in 0..2 {
        let page = app.sample(router.clone(), "tracking/one_click", &[("TOKEN", &token)]).await.expect(200);
        assert!(page.body.as_str().unwrap().contains("You are unsubscribed"));
    }
    let suppressed = app.scene.rows("select email_lower, reason from suppressions", &[]).await;
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0].get::<_, &str>(0), "person1@people.test");
    assert_eq!(unfinished(&app).await, 0);
    assert_eq!(app.scene.number("select count(*) from message_events where kind = 'unsubscribed'", &[]).await, 1);
    assert_eq!(app.scene.number("select count(*) from contacts where status = 'unsubscribed'", &[]).await, 1);
}

#[tokio::test]
async fn a_tampered_token_leads_nowhere() {
    let (app, router, token) = sent_mail().await;
    let other = if token.ends_with('A') { "B" } else { "A" };
    let tampered = format!("{}{other}", &token[..token.len() - 1]);
    for token in [tampered.as_str(), "x", "..%2f"] {
        let missing = app.sample(router.clone(), "tracking/one_click", &[("TOKEN", token)]).await.expect(404);
        assert_eq!(missing.text("/code"), "not_found");
    }
    assert_eq!(app.scene.number("select count(*) from suppressions", &[]).await, 0);
}
