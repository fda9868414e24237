use axum::http::Method;
use serde_json::{Value, json};
use shared::{CampaignId, ContactId};

use crate::app::Answer;
use crate::bulk::Desk;

async fn make(desk: &Desk, fields: Value) -> String {
    desk.post("/v1/contacts", fields).await.expect(201).text("/id").to_owned()
}

async fn merge(desk: &Desk, winner: &str, others: &[&str]) -> Answer {
    desk.post(&format!("/v1/contacts/{winner}/merge"), json!({"contact_ids": others})).await
}

#[tokio::test]
async fn what_was_learned_is_taken_over_where_nothing_was() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(make(&desk, json!({"email": format!("{n}@x.test")})).await);
    }
    for (n, city) in [(1, "Bonn"), (2, "Ulm"), (4, "Kiel")] {
        let path = format!("/v1/contacts/{}/person", ids[n]);
        desk.send(Method::PATCH, &path, Some(json!({"city": city}))).await.expect(200);
    }
    // The first of the others of whom anything is known, in the order in which they are named.
    merge(&desk, &ids[0], &[&ids[3], &ids[2], &ids[1]]).await.expect(200);
    let person = desk.get(&format!("/v1/contacts/{}/person", ids[0])).await;
    assert_eq!((&person["city"], &person["set_by_hand"]), (&json!("Ulm"), &json!(["city"])));
    // Whoever has a person keeps it, and what is left of the others' goes with the bin.
    merge(&desk, &ids[4], &[&ids[0]]).await.expect(200);
    assert_eq!(desk.get(&format!("/v1/contacts/{}/person", ids[4])).await["city"], "Kiel");
    for id in &ids[..4] {
        desk.send(Method::DELETE, &format!("/v1/contacts/deleted/{id}"), None).await.expect(204);
    }
    let left = desk.app.scene.rows("select city from persons", &[]).await;
    assert_eq!(left.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), ["Kiel"]);
}

#[tokio::test]
async fn the_winner_keeps_what_it_has_and_takes_what_it_lacks() {
    let desk = Desk::new().await;
    let winner = make(&desk, json!({"email": "w@x.test", "first_name": "Ada", "custom": {"a": 1}})).await;
    let one = make(
        &desk,
        json!({"email": "one@x.test", "first_name": "A.", "last_name": "Lovelace", "custom": {"a": 2, "b": 2}}),
    )
    .await;
    let two = make(
        &desk,
        json!({"email": "two@x.test", "last_name": "L.", "company": "Analytical", "custom": {"b": 3, "c": 3}}),
    )
    .await;
    let list = shared::ListId::fresh();
    desk.app
        .scene
        .run(
            "insert into lists (organization_id, id, name) values ($1, $2, 'All')",
            &[&desk.app.scene.organization, &list],
        )
        .await;
    desk.act(json!({"kind": "add_to_list", "list_id": list}), json!({"contact_ids": [two]})).await;
    let tag = desk.post("/v1/tags", json!({"name": "Hot"})).await.expect(201).text("/id").to_owned();
    desk.post(&format!("/v1/contacts/{one}/tags"), json!({"tag_ids": [tag]})).await.expect(200);
    // A plan without room for another one: the winner takes a place that is free then.
    desk.app.scene.run("update organizations set has_plan_limits = true", &[]).await;
    desk.app.scene.run("update plan_limits set maximum = 1 where name = 'contacts_a_list'", &[]).await;

    let merged = merge(&desk, &winner, &[&one, &two]).await.expect(200);
    let of = |name: &str| merged.body[name].clone();
    assert_eq!((of("id"), of("email")), (json!(winner), json!("w@x.test")));
    assert_eq!(
        (of("first_name"), of("last_name"), of("company")),
        (json!("Ada"), json!("Lovelace"), json!("Analytical"))
    );
    assert_eq!(of("custom"), json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!((of("lists"), of("tags")), (json!([{"id": list, "name": "All"}]), json!([{"id": tag, "name": "Hot"}])));
    assert_eq!((of("merged"), of("full_lists")), (json!([one, two]), json!([])));
    desk.send(Method::GET, &format!("/v1/contacts/{one}"), None).await.expect(404);
    let bin = desk.get(&format!("/v1/contacts/deleted/{one}")).await;
    assert_eq!((&bin["reason"], &bin["merged_into"]), (&json!("merged"), &json!(winner)));
    let timeline = desk.get(&format!("/v1/contacts/{winner}/timeline")).await;
    assert_eq!(timeline["data"][0]["kind"], "contact.merged");
}

/// Where each contact's ways stand, as `contact status step`.
async fn ways(desk: &Desk, campaign: CampaignId) -> Vec<(String, String, i32)> {
    let sql =
        "select contact_id::text, status, current_step from enrollments where campaign_id = $1 order by contact_id";
    desk.app.scene.rows(sql, &[&campaign]).await.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn nobody_gets_the_same_mail_twice_by_a_merge() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let sender = scene.sender(1, 100, 0).await;
    let shared = scene.running_campaign(3, &[sender], 3, 100).await;
    let [winner, further, alone] = shared.contacts[..] else { panic!("three were asked for") };
    let step = "update enrollments set current_step = 1, status = 'in_progress' where contact_id = $1";
    scene.run(step, &[&further]).await;
    // The third is in another campaign, in which the winner is not.
    let other = scene.running_campaign(0, &[sender], 1, 100).await;
    scene.run("update enrollments set campaign_id = $2 where contact_id = $1", &[&alone, &other.campaign]).await;
    merge(&desk, &winner.to_string(), &[&further.to_string(), &alone.to_string()]).await.expect(200);
    assert_eq!(ways(&desk, shared.campaign).await, [(winner.to_string(), "stopped".to_owned(), 0)]);
    assert_eq!(
        ways(&desk, other.campaign).await,
        [(winner.to_string(), "stopped".to_owned(), 0)],
        "and is never taken into it"
    );
    let waiting = "select count(*) from enrollments where next_due_at is not null or waiting_message_id is not null";
    assert_eq!(scene.number(waiting, &[]).await, 0);

    // A way of which the others have not had more goes on.
    let third = scene.running_campaign(2, &[sender], 1, 100).await;
    merge(&desk, &third.contacts[1].to_string(), &[&third.contacts[0].to_string()]).await.expect(200);
    assert_eq!(ways(&desk, third.campaign).await, [(third.contacts[1].to_string(), "pending".to_owned(), 0)]);
}

#[tokio::test]
async fn each_mail_of_two_ways_through_a_campaign_stays_with_its_own_way() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let sender = scene.sender(1, 100, 0).await;
    let campaign = scene.running_campaign(2, &[sender], 1, 100).await;
    let [winner, other] = campaign.contacts[..] else { panic!("two were asked for") };
    let sent = "insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, enrollment_id, contact_id, sender_id,
                                      recipient, state, slot_day, send_at, expires_at, sent_at)
                select e.organization_id, gen_random_uuid(), e.id::text, e.campaign_id, s.id, e.id, e.contact_id, e.sender_id,
                       c.email, 'sent', current_date, now(), now(), now()
                  from enrollments e
                  join contacts c on c.id = e.contact_id
                  join steps s on s.campaign_id = e.campaign_id and s.position = 1";
    scene.run(sent, &[]).await;
    merge(&desk, &winner.to_string(), &[&other.to_string()]).await.expect(200);
    let of_nobody_else = "select count(*) from messages where contact_id = $1";
    assert_eq!(scene.number(of_nobody_else, &[&winner]).await, 2);
    let by_way = "select count(*) from messages m join enrollments e on e.id = m.enrollment_id group by e.id";
    let counts: Vec<i64> = scene.rows(by_way, &[]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(counts, [1], "one person has had a step once");
}

#[tokio::test]
async fn whoever_lies_in_the_bin_is_merged_into_whoever_has_the_address_now() {
    let desk = Desk::new().await;
    let old = make(&desk, json!({"email": "ada@x.test", "company": "Analytical"})).await;
    let message = "insert into messages (organization_id, id, kind, dedupe_key, contact_id, recipient, state, send_at, expires_at)
                   values ($1, gen_random_uuid(), 'direct', 'x', $2::text::uuid, 'ada@x.test', 'cancelled', now(), now())";
    desk.app.scene.run(message, &[&desk.app.scene.organization, &old]).await;
    desk.send(Method::DELETE, &format!("/v1/contacts/{old}"), None).await.expect(204);
    let new = make(&desk, json!({"email": "Ada@x.test"})).await;
    let merged = merge(&desk, &new, &[&old]).await.expect(200);
    assert_eq!(merged.body["company"], "Analytical");
    let own = "select count(*) from messages where contact_id::text = $1";
    assert_eq!(desk.app.scene.number(own, &[&new]).await, 1);
    merge(&desk, &new, &[&old]).await.expect(200);
}

#[tokio::test]
async fn a_contact_is_merged_with_others_that_are_there() {
    let desk = Desk::new().await;
    let ours = desk.app.scene.contacts(2).await;
    let (winner, other) = (ours[0].to_string(), ours[1].to_string());
    let (organization, _) = desk.app.scene.another_organization("globex").await;
    let theirs = ContactId::fresh();
    let sql = "insert into contacts (organization_id, id, email) values ($1, $2, 'their@people.test')";
    desk.app.scene.run(sql, &[&organization, &theirs]).await;
    merge(&desk, &winner, &[&other, &theirs.to_string()]).await.expect(404);
    merge(&desk, &theirs.to_string(), &[&other]).await.expect(404);
    merge(&desk, &winner, &[&other, &winner]).await.expect(422);
    merge(&desk, &winner, &[&other, &other]).await.expect(422);
    merge(&desk, &winner, &[]).await.expect(422);
    assert_eq!(desk.app.scene.number("select count(*) from contacts", &[]).await, 3);
}

/// Of whoever took others in, and those others in turn, nothing is left that could be written to.
#[tokio::test]
async fn whoever_is_erased_goes_with_all_that_was_merged_into_them() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for name in ["first", "second", "winner", "again"] {
        ids.push(make(&desk, json!({"email": format!("{name}@merged.test")})).await);
    }
    let [first, second, winner, again] = [&ids[0], &ids[1], &ids[2], &ids[3]];
    merge(&desk, second, &[first]).await.expect(200);
    merge(&desk, winner, &[second]).await.expect(200);
    merge(&desk, winner, &[again]).await.expect(200);
    // One of the addresses is a contact of its own again.
    let back = make(&desk, json!({"email": "again@merged.test"})).await;
    desk.post(&format!("/v1/contacts/{winner}/erase"), json!({})).await.expect(200);
    for id in [first, second, winner, again] {
        desk.send(Method::GET, &format!("/v1/contacts/{id}"), None).await.expect(404);
        desk.post(&format!("/v1/contacts/deleted/{id}/restore"), json!({})).await.expect(404);
    }
    assert_eq!(desk.get(&format!("/v1/contacts/{back}")).await["email"], "again@merged.test");
    let scene = &desk.app.scene;
    assert_eq!(scene.number("select count(*) from deleted_contacts", &[]).await, 0);
    // The three addresses that nobody has any more are suppressed, and only recognized.
    let suppressed = "select count(*) from suppressions where email_lower is null and email_hash is not null";
    assert_eq!(scene.number(suppressed, &[]).await, 3);
    assert_eq!(scene.number("select count(*) from suppressions where email_lower is not null", &[]).await, 0);
}
