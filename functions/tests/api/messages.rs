use axum::http::Method;
use functions::api::messages;

use crate::app::App;

/// A ledger of three sent messages and one that failed.
async fn ledger() -> App {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 30).await;
    app.scene.running_campaign(4, &[sender], 1, 100).await;
    app.scene
        .run(
            "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                   recipient, state, slot_day, send_at, expires_at)
             select e.organization_id, gen_random_uuid(), e.id::text, e.id, e.campaign_id, s.id, e.contact_id, e.sender_id,
                    c.email, case when c.email like 'person4@%' then 'failed' else 'sent' end, current_date, now(), now()
               from enrollments e
               join steps s on s.campaign_id = e.campaign_id
               join contacts c on c.id = e.contact_id",
            &[],
        )
        .await;
    app
}

#[tokio::test]
async fn the_ledger_is_listed_by_state_in_pages() {
    let app = ledger().await;
    let router = messages::router(app.scene.db.app());
    let all = app.sample(router.clone(), "messages/list", &[]).await.expect(200);
    assert_eq!(all.body["data"].as_array().unwrap().len(), 3);
    assert_eq!(all.body["next_cursor"], serde_json::Value::Null);

    let first = app.send(router.clone(), Method::GET, "/v1/messages?limit=2", None).await.expect(200);
    let cursor = first.text("/next_cursor").to_owned();
    let path = format!("/v1/messages?limit=2&cursor={cursor}");
    let second = app.send(router.clone(), Method::GET, &path, None).await.expect(200);
    assert_eq!(second.body["data"].as_array().unwrap().len(), 2);
    let other_filter = format!("/v1/messages?state=sent&cursor={cursor}");
    app.send(router.clone(), Method::GET, &other_filter, None).await.expect(400);
    app.send(router.clone(), Method::GET, "/v1/messages?state=lost", None).await.expect(400);
    let none = app.send(router, Method::GET, "/v1/messages?limit=101", None).await.expect(422);
    assert_eq!(none.text("/errors/0/field"), "limit");
}

#[tokio::test]
async fn a_message_is_shown_with_its_events_and_to_its_own_organization_alone() {
    let app = ledger().await;
    let router = messages::router(app.scene.db.app());
    let id: uuid::Uuid = app.scene.rows("select id from messages where state = 'sent'", &[]).await[0].get(0);
    app.scene
        .run(
            "insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at)
             values ($1, gen_random_uuid(), $2, 'delivered', 'delivered', now())",
            &[&app.scene.organization, &id],
        )
        .await;
    let shown = app.sample(router.clone(), "messages/find", &[("MESSAGE_ID", &id.to_string())]).await.expect(200);
    assert_eq!(shown.text("/state"), "sent");
    assert_eq!(shown.text("/events/0/kind"), "delivered");

    let (stranger, _) = app.scene.another_organization("other").await;
    let key = app.scene.api_key_of(stranger).await;
    let path = format!("/v1/messages/{id}");
    app.send_as(router.clone(), Method::GET, &path, None, Some(&key)).await.expect(404);
    app.send_as(router.clone(), Method::GET, &path, None, None).await.expect(401);
    let list = app.send_as(router, Method::GET, "/v1/messages", None, Some(&key)).await.expect(200);
    assert_eq!(list.body["data"], serde_json::json!([]));
}
