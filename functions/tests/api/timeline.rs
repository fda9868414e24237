use axum::http::Method;
use serde_json::{Value, json};

use crate::bulk::Desk;

#[tokio::test]
async fn what_has_happened_to_a_contact_is_told_the_newest_first_page_by_page() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let campaign = scene.running_campaign(2, &[scene.sender(1, 100, 0).await], 1, 100).await;
    let contact = campaign.contacts[0];
    let path = format!("/v1/contacts/{contact}");
    for (sql, at) in [
        ("update contacts set created_at = $1", "2026-01-01"),
        ("update list_members set added_at = $1", "2026-01-02"),
        ("update enrollments set enrolled_at = $1", "2026-01-03"),
    ] {
        scene.run(&sql.replace("$1", &format!("'{at}'")), &[]).await;
    }
    let history = "with m as (
            insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, enrollment_id, contact_id, sender_id, recipient,
                                  state, slot_day, send_at, expires_at, sent_at)
            select e.organization_id, gen_random_uuid(), e.id::text, e.campaign_id, s.id, e.id, e.contact_id, e.sender_id, 'x@x.test', 'sent',
                   current_date, now(), now(), '2026-01-04'
              from enrollments e join steps s on s.campaign_id = e.campaign_id
            returning organization_id, id, contact_id),
        v as (
            insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, is_machine)
            select organization_id, gen_random_uuid(), id, kind, kind, at::timestamptz, kind = 'opened'
              from m, (values ('sent', '2026-01-04'), ('delivered', '2026-01-05'), ('opened', '2026-01-06')) as o (kind, at))
        insert into replies (organization_id, id, message_id, contact_id, mime_message_id, from_address, is_automatic, object_key, received_at)
        select organization_id, gen_random_uuid(), id, contact_id, id::text, 'x@x.test', false, 'inbound/1', '2026-01-07' from m";
    scene.run(history, &[]).await;
    scene
        .run(
            "insert into suppressions (organization_id, id, email_lower, reason, created_at)
               select organization_id, gen_random_uuid(), email_lower, 'manual', '2026-01-08' from contacts",
            &[],
        )
        .await;
    let domains = "insert into suppressions (organization_id, id, domain, reason, created_at)
                   select $1, gen_random_uuid(), domain, 'manual', '2026-01-09'
                     from unnest(array['people.test', 'test', 'other.test']) as domain";
    scene.run(domains, &[&scene.organization]).await;
    desk.send(Method::PATCH, &path, Some(json!({"company": "Analytical"}))).await.expect(200);

    let all = desk.get(&format!("{path}/timeline")).await;
    let kinds: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    let expected = [
        "contact.updated",
        "suppressed",
        "suppressed",
        "reply_received",
        "message_opened",
        "message_delivered",
        "message_sent",
        "enrolled",
        "listed",
        "created",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(all["data"][4]["details"]["is_machine"], json!(true));
    assert_eq!(all["data"][0]["details"]["fields"], json!(["company"]));
    assert_eq!(all["data"][1]["details"]["domain"], "people.test");
    assert_eq!(all["data"][8]["subject_id"], json!(campaign.list));

    let (mut paged, mut next): (Vec<Value>, String) = (Vec::new(), format!("{path}/timeline?limit=2"));
    loop {
        let page = desk.get(&next).await;
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}/timeline?limit=2&cursor={cursor}");
    }
    assert_eq!(json!(paged), all["data"]);
    desk.app
        .sample(desk.router(), "contacts/timeline", &[("CONTACT_ID", "00000000-0000-7000-8000-000000000000")])
        .await
        .expect(404);
}
