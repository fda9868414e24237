use axum::http::Method;
use serde_json::{Value, json};
use shared::audience::deleted_contacts::emptying;
use tokio::time::Instant;

use crate::bulk::Desk;

/// Somebody with everything that a contact can have, in a campaign that wrote to them once.
struct Person {
    desk: Desk,
    id: String,
    list: String,
}

impl Person {
    async fn new() -> Self {
        let desk = Desk::new().await;
        let scene = &desk.app.scene;
        let campaign = scene.running_campaign(2, &[scene.sender(1, 100, 0).await], 2, 100).await;
        let id = campaign.contacts[0];
        desk.post("/v1/custom-fields", json!({"key": "seats", "type": "number"})).await.expect(201);
        let fields = json!({"first_name": "Ada", "company": "Analytical", "custom": {"seats": 3, "other": [1]}});
        desk.send(Method::PATCH, &format!("/v1/contacts/{id}"), Some(fields)).await.expect(200);
        let tag = desk.post("/v1/tags", json!({"name": "Hot"})).await.expect(201);
        desk.post(&format!("/v1/contacts/{id}/tags"), json!({"tag_ids": [tag.text("/id")]})).await.expect(200);
        let sent = "insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, enrollment_id, contact_id, sender_id,
                                          recipient, state, slot_day, send_at, expires_at, sent_at)
                    select e.organization_id, gen_random_uuid(), 'sent', e.campaign_id, s.id, e.id, e.contact_id, e.sender_id,
                           'person1@people.test', 'sent', current_date, now(), now(), now()
                      from enrollments e join steps s on s.campaign_id = e.campaign_id and s.position = 1
                     where e.contact_id = $1";
        scene.run(sent, &[&id]).await;
        let reply = "insert into replies (organization_id, id, message_id, contact_id, mime_message_id, from_address, is_automatic,
                                          object_key, received_at)
                     select organization_id, gen_random_uuid(), id, contact_id, '1@people.test', 'person1@people.test', false, 'inbound/1', now()
                       from messages";
        scene.run(reply, &[]).await;
        let list = campaign.list.to_string();
        Self { id: id.to_string(), desk, list }
    }

    fn path(&self) -> String {
        format!("/v1/contacts/{}", self.id)
    }

    async fn delete(&self) {
        self.desk.send(Method::DELETE, &self.path(), None).await.expect(204);
    }

    async fn restore(&self) -> crate::app::Answer {
        self.desk.send(Method::POST, &format!("/v1/contacts/deleted/{}/restore", self.id), None).await
    }

    /// What is linked to the contact, and how its ways stand.
    async fn linked(&self) -> (i64, i64, i64, i64, Vec<String>) {
        let scene = &self.desk.app.scene;
        let count = async |table: &str| {
            let sql = format!("select count(*) from {table} where contact_id::text = $1");
            scene.number(&sql, &[&self.id]).await
        };
        let ways = "select format('%s %s %s %s', e.id, e.status, e.stop_reason, m.state)
                      from enrollments e left join messages m on m.enrollment_id = e.id where e.contact_id::text = $1";
        let ways = scene.rows(ways, &[&self.id]).await.iter().map(|row| row.get(0)).collect();
        (
            count("messages").await,
            count("replies").await,
            count("list_members").await,
            count("custom_values").await,
            ways,
        )
    }
}

#[tokio::test]
async fn a_deleted_contact_lies_in_the_bin_and_comes_back_as_it_was_but_stopped() {
    let person = Person::new().await;
    let desk = &person.desk;
    let mut before = desk.get(&person.path()).await;
    let enrollment = person.linked().await.4[0].split(' ').next().unwrap().to_owned();
    person.delete().await;
    desk.send(Method::GET, &person.path(), None).await.expect(404);
    assert_eq!(desk.get("/v1/contacts").await["data"].as_array().unwrap().len(), 1, "no list shows it");
    assert_eq!(person.linked().await, (0, 0, 0, 0, vec![]));
    let bin = desk.get("/v1/contacts/deleted").await;
    assert_eq!((&bin["data"][0]["id"], &bin["data"][0]["first_name"]), (&json!(person.id), &json!("Ada")));
    assert_eq!((&bin["data"][0]["reason"], &bin["next_cursor"]), (&json!("deleted"), &Value::Null));
    assert!(bin["data"][0]["deleted_by"].is_string());
    assert_eq!(desk.get(&format!("/v1/contacts/deleted/{}", person.id)).await, bin["data"][0]);

    let restored = person.restore().await.expect(200);
    let mut after = desk.get(&person.path()).await;
    assert_eq!(restored.body["full_lists"], json!([]));
    for contact in [&mut before, &mut after] {
        contact.as_object_mut().unwrap().remove("updated_at");
    }
    assert_eq!(after, before);
    let (messages, replies, lists, values, ways) = person.linked().await;
    assert_eq!((messages, replies, lists, values), (1, 1, 1, 1));
    assert_eq!(ways, [format!("{enrollment} stopped removed sent")], "and nobody goes on writing to it");
    assert_eq!(desk.get("/v1/contacts/deleted").await["data"], json!([]));
    person.restore().await.expect(404);
    let acts = "select count(*) from audit_log where action in ('contact.deleted', 'contact.restored')";
    assert_eq!(desk.app.scene.number(acts, &[]).await, 2);
}

#[tokio::test]
async fn whoever_has_the_address_meanwhile_keeps_it() {
    let person = Person::new().await;
    let desk = &person.desk;
    person.delete().await;
    let email = desk.get(&format!("/v1/contacts/deleted/{}", person.id)).await["email"].clone();
    let other = desk.post("/v1/contacts", json!({"email": email})).await.expect(201).text("/id").to_owned();
    let refused = person.restore().await.expect(409);
    assert_eq!(refused.text("/code"), "contact_exists");
    assert!(refused.text("/detail").contains(&other) && refused.text("/detail").contains("merge"));
    // The other one may go the same way, and both lie there.
    desk.send(Method::DELETE, &format!("/v1/contacts/{other}"), None).await.expect(204);
    let page = desk.get("/v1/contacts/deleted?limit=1").await;
    assert_eq!(page["data"][0]["id"], json!(other));
    let rest = desk.get(&format!("/v1/contacts/deleted?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&rest["data"][0]["id"], &rest["next_cursor"]), (&json!(person.id), &Value::Null));
    person.restore().await.expect(200);
}

#[tokio::test]
async fn what_is_gone_or_full_it_comes_back_without() {
    let person = Person::new().await;
    let desk = &person.desk;
    let scene = &desk.app.scene;
    person.delete().await;
    scene.run("delete from tags", &[]).await;
    scene.run("update organizations set has_plan_limits = true", &[]).await;
    scene.run("update plan_limits set maximum = 1 where name = 'contacts_a_list'", &[]).await;
    scene.run("update deleted_contacts set snapshot = jsonb_set(snapshot, '{contact,import_batch_id}', to_jsonb(gen_random_uuid()))", &[]).await;
    let restored = person.restore().await.expect(200);
    assert_eq!((&restored.body["tags"], &restored.body["lists"]), (&json!([]), &json!([])));
    assert_eq!(restored.body["full_lists"], json!([person.list]));
    assert_eq!(restored.body["import_batch_id"], Value::Null);
}

#[tokio::test]
async fn the_bin_is_emptied_after_its_time_and_before_by_whoever_asks() {
    let person = Person::new().await;
    let desk = &person.desk;
    let scene = &desk.app.scene;
    person.delete().await;
    let db = scene.db.as_role("martlet_maintenance");
    let empty =
        async || emptying::empty(&db, Instant::now() + std::time::Duration::from_secs(60)).await.unwrap().contacts;
    scene.run("update deleted_contacts set deleted_at = clock_now() - interval '29 days 23 hours'", &[]).await;
    assert_eq!(empty().await, 0);
    scene.run("update deleted_contacts set deleted_at = clock_now() - interval '30 days 1 minute'", &[]).await;
    assert_eq!(empty().await, 1);
    person.restore().await.expect(404);

    let other = desk.get("/v1/contacts").await["data"][0]["id"].as_str().unwrap().to_owned();
    desk.send(Method::DELETE, &format!("/v1/contacts/{other}"), None).await.expect(204);
    let path = format!("/v1/contacts/deleted/{other}");
    desk.send(Method::DELETE, &path, None).await.expect(204);
    desk.send(Method::DELETE, &path, None).await.expect(404);
    assert_eq!(desk.get("/v1/contacts/deleted").await["data"], json!([]));
}

#[tokio::test]
async fn whoever_lies_in_the_bin_is_exported_and_erased_like_everybody() {
    let person = Person::new().await;
    let desk = &person.desk;
    person.delete().await;
    let exported = desk.get(&format!("{}/export", person.path())).await;
    assert_eq!(exported["data"]["deleted_contacts"][0]["snapshot"]["contact"]["first_name"], "Ada");
    assert_eq!(exported["data"]["messages"].as_array().unwrap().len(), 1);
    let erased = desk.send(Method::POST, &format!("{}/erase", person.path()), None).await.expect(200);
    assert_eq!((&erased.body["deleted_contacts"], &erased.body["messages"]), (&json!(1), &json!(1)));
    let left = "select count(*) from deleted_contacts";
    assert_eq!(desk.app.scene.number(left, &[]).await, 0);
    assert_eq!(desk.app.scene.number("select count(*) from messages where recipient <> 'erased'", &[]).await, 0);
    person.restore().await.expect(404);
}

#[tokio::test]
async fn whoever_was_suppressed_meanwhile_comes_back_suppressed() {
    let person = Person::new().await;
    person.delete().await;
    let suppressions = crate::suppressions::router(&person.desk.app);
    let asked = json!({"email": "person1@people.test", "reason": "unsubscribe"});
    person.desk.app.send(suppressions, Method::POST, "/v1/suppressions", Some(asked)).await.expect(201);
    assert_eq!(person.restore().await.expect(200).text("/status"), "unsubscribed");
    assert_eq!(person.desk.get(&person.path()).await["status"], "unsubscribed");
}
