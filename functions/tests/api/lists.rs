use axum::Router;
use axum::http::Method;
use functions::api::lists;
use serde_json::{Value, json};

use crate::app::{Answer, App};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

fn router(app: &App) -> Router {
    lists::router(app.scene.db.app())
}

async fn create(app: &App, body: Value) -> Answer {
    app.send(router(app), Method::POST, "/v1/lists", Some(body)).await
}

#[tokio::test]
async fn a_list_is_made_filled_changed_and_deleted() {
    let app = App::new().await;
    let created = app.sample(router(&app), "lists/create", &[]).await.expect(201);
    let id = created.text("/id").to_owned();
    assert_eq!(created.headers["location"], format!("/v1/lists/{id}"));
    assert_eq!(created.body["member_count"], 0);

    let contact = app.scene.contacts(1).await[0].to_string();
    let fill = [("LIST_ID", id.as_str()), ("CONTACT_ID", contact.as_str())];
    let added = app.sample(router(&app), "lists/add_members", &fill).await.expect(200);
    assert_eq!(added.body, json!({"added": 1, "already": 0, "unknown": [], "unknown_emails": []}));
    let again = app.sample(router(&app), "lists/add_members", &fill).await.expect(200);
    assert_eq!(again.body, json!({"added": 0, "already": 1, "unknown": [], "unknown_emails": []}));
    let members = app.sample(router(&app), "lists/members", &fill).await.expect(200);
    assert_eq!(members.text("/data/0/id"), contact);
    assert_eq!(app.sample(router(&app), "lists/find", &fill).await.expect(200).body["member_count"], 1);

    let updated = app.sample(router(&app), "lists/update", &fill).await.expect(200);
    assert_eq!((updated.text("/name"), &updated.body["description"]), ("Buyers", &Value::Null));
    assert_eq!(updated.body["member_count"], 1);
    let page = app.sample(router(&app), "lists/list", &[]).await.expect(200);
    assert_eq!(page.body, json!({"data": [updated.body], "next_cursor": null}));
    app.send(router(&app), Method::GET, "/v1/lists?nmae=Buyers", None).await.expect(400);

    app.sample(router(&app), "lists/remove_member", &fill).await.expect(204);
    app.sample(router(&app), "lists/remove_member", &fill).await.expect(404);
    app.sample(router(&app), "lists/add_members", &fill).await.expect(200);
    app.sample(router(&app), "lists/delete", &fill).await.expect(204);
    app.sample(router(&app), "lists/find", &fill).await.expect(404);
    app.sample(router(&app), "lists/members", &fill).await.expect(404);
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 1, "the people stay");
    let acts = app.scene.rows("select action from audit_log order by id", &[]).await;
    let acts: Vec<String> = acts.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        acts,
        [
            "list.created",
            "list.members_added",
            "list.members_added",
            "list.updated",
            "list.member_removed",
            "list.members_added",
            "list.deleted"
        ]
    );
}

#[tokio::test]
async fn a_name_belongs_to_one_list_of_an_organization() {
    let app = App::new().await;
    create(&app, json!({"name": "Customers"})).await.expect(201);
    let taken = create(&app, json!({"name": " Customers "})).await.expect(409);
    assert_eq!(taken.text("/code"), "list_name_taken");
    let other = create(&app, json!({"name": "Others"})).await.expect(201);
    let path = format!("/v1/lists/{}", other.text("/id"));
    let taken = app.send(router(&app), Method::PATCH, &path, Some(json!({"name": "Customers"}))).await.expect(409);
    assert_eq!(taken.text("/code"), "list_name_taken");
    app.send(router(&app), Method::PATCH, &path, Some(json!({"name": "Others"}))).await.expect(200);

    let (organization, _) = app.scene.another_organization("globex").await;
    let key = app.scene.api_key_of(organization).await;
    let body = Some(json!({"name": "Customers"}));
    app.send_as(router(&app), Method::POST, "/v1/lists", body, Some(&key)).await.expect(201);

    for body in [
        json!({}),
        json!({"name": null}),
        json!({"name": " "}),
        json!({"name": "x".repeat(201)}),
        json!({"name": "a\nb"}),
        json!({"name": "a", "description": "nul\u{0}"}),
        json!({"name": "a", "member_count": 3}),
    ] {
        create(&app, body).await.expect(422);
    }
    app.send(router(&app), Method::PATCH, &path, Some(json!({"name": null}))).await.expect(422);
    assert_eq!(app.scene.number("select count(*) from lists", &[]).await, 3);
}

#[tokio::test]
async fn of_the_contacts_to_add_the_unknown_ones_are_named() {
    let app = App::new().await;
    let list = create(&app, json!({"name": "Customers"})).await.expect(201).text("/id").to_owned();
    let path = format!("/v1/lists/{list}/members");
    let ours = app.scene.contacts(3).await;
    let (organization, _) = app.scene.another_organization("globex").await;
    let theirs = shared::ContactId::fresh();
    app.scene
        .run(
            "insert into contacts (organization_id, id, email) values ($1, $2, 'their@people.test')",
            &[&organization, &theirs],
        )
        .await;
    let add = async |ids: Value| app.send(router(&app), Method::POST, &path, Some(json!({"contact_ids": ids}))).await;

    add(json!([ours[0]])).await.expect(200);
    let answer = add(json!([ours[1], theirs, ours[0], ours[2], NOBODY, ours[1]])).await.expect(200);
    let mut unknown = vec![theirs.to_string(), NOBODY.to_owned()];
    unknown.sort();
    assert_eq!(answer.body, json!({"added": 2, "already": 1, "unknown": unknown, "unknown_emails": []}));
    assert_eq!(app.scene.number("select count(*) from list_members", &[]).await, 3);

    let page = app.send(router(&app), Method::GET, &format!("{path}?limit=2"), None).await.expect(200);
    let cursor = page.text("/next_cursor");
    let rest = app.send(router(&app), Method::GET, &format!("{path}?cursor={cursor}"), None).await.expect(200);
    let data = [page.body["data"].as_array().unwrap().clone(), rest.body["data"].as_array().unwrap().clone()].concat();
    let seen: Vec<&str> = data.iter().map(|row| row["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = ours.iter().rev().map(ToString::to_string).collect();
    assert_eq!(seen, expected);

    let many: Vec<String> = (0..1001).map(|_| shared::ContactId::fresh().to_string()).collect();
    add(json!(many)).await.expect(422);
    assert_eq!(add(json!(many[..1000])).await.expect(200).body["unknown"].as_array().unwrap().len(), 1000);
    for broken in [json!([]), json!(["nonsense"]), json!(null), json!("x")] {
        add(broken).await.expect(422);
    }
    let missing = format!("/v1/lists/{NOBODY}/members");
    app.send(router(&app), Method::POST, &missing, Some(json!({"contact_ids": [ours[0]]}))).await.expect(404);
}

#[tokio::test]
async fn contacts_are_put_on_a_list_by_address_too() {
    let app = App::new().await;
    let list = create(&app, json!({"name": "Customers"})).await.expect(201).text("/id").to_owned();
    let path = format!("/v1/lists/{list}/members");
    let ours = app.scene.contacts(3).await;
    let add = async |body: Value| app.send(router(&app), Method::POST, &path, Some(body)).await;
    let body = json!({"contact_ids": [ours[0]], "emails": ["PERSON2@people.test", "person1@people.test", " person2@people.test", "Nobody@people.test"]});
    let answer = add(body.clone()).await.expect(200);
    assert_eq!(answer.body, json!({"added": 2, "already": 0, "unknown": [], "unknown_emails": ["nobody@people.test"]}));
    let answer = add(body).await.expect(200);
    assert_eq!(answer.body, json!({"added": 0, "already": 2, "unknown": [], "unknown_emails": ["nobody@people.test"]}));
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 3, "nobody is made");
    let refused = add(json!({"emails": ["person3@people.test", "nonsense", ""]})).await.expect(422);
    assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/1/field")), ("emails[1]", "emails[2]"));
    let many: Vec<String> = (0..1_000).map(|n| format!("x{n}@people.test")).collect();
    add(json!({"emails": many, "contact_ids": [ours[2]]})).await.expect(422);
    add(json!({})).await.expect(422);
    assert_eq!(app.scene.number("select count(*) from list_members", &[]).await, 2, "all or none");
}

#[tokio::test]
async fn of_a_large_list_the_list_of_lists_counts_no_more_than_it_must() {
    let app = App::new().await;
    let list = create(&app, json!({"name": "Large"})).await.expect(201);
    assert_eq!(list.body["has_more_members"], json!(false));
    let id: shared::ListId = list.text("/id").parse().unwrap();
    app.scene.contacts(10_001).await;
    let fill =
        "insert into list_members (organization_id, list_id, contact_id) select organization_id, $1, id from contacts";
    app.scene.run(fill, &[&id]).await;
    for (count, has_more) in [(10_000, true), (10_000, false)] {
        let page = app.send(router(&app), Method::GET, "/v1/lists", None).await.expect(200).body["data"][0].clone();
        assert_eq!((&page["member_count"], &page["has_more_members"]), (&json!(count), &json!(has_more)));
        let found = app.send(router(&app), Method::GET, &format!("/v1/lists/{id}"), None).await.expect(200).body;
        assert_eq!(found["has_more_members"], json!(false));
        assert_eq!(found["member_count"], json!(if has_more { 10_001 } else { 10_000 }));
        app.scene.run("delete from contacts where email = 'person1@people.test'", &[]).await;
    }
}

#[tokio::test]
async fn a_list_is_kept_while_a_campaign_or_an_import_is_about_to_use_it() {
    let app = App::new().await;
    let scene = app.scene.draft_campaign(1, &[], 0, 10).await;
    let path = format!("/v1/lists/{}", scene.list);
    let delete = async || app.send(router(&app), Method::DELETE, &path, None).await;
    for status in ["draft", "activating"] {
        app.scene.run("update campaigns set status = $1", &[&status]).await;
        assert_eq!(delete().await.expect(409).text("/code"), "list_in_use", "{status}");
    }
    app.scene.run("update campaigns set status = 'active'", &[]).await;
    app.scene
        .run(
            "insert into import_batches (organization_id, id, file_name, object_key, list_id, status)
             values ($1, gen_random_uuid(), 'a.csv', 'a', $2, 'processing')",
            &[&app.scene.organization, &scene.list],
        )
        .await;
    assert_eq!(delete().await.expect(409).text("/code"), "list_in_use");
    app.scene.run("update import_batches set status = 'completed'", &[]).await;
    assert_eq!(app.scene.number("select count(*) from list_members", &[]).await, 1);
    // Whoever must not be written to for this list is known by the list alone.
    let suppressed = json!({"email": "person1@people.test", "list_id": scene.list});
    let suppressions = crate::suppressions::router(&app);
    app.send(suppressions, Method::POST, "/v1/suppressions", Some(suppressed)).await.expect(201);
    for status in ["active", "paused"] {
        app.scene.run("update campaigns set status = $1", &[&status]).await;
        assert_eq!(delete().await.expect(409).text("/code"), "list_in_use", "{status}");
    }
    app.scene.run("update campaigns set status = 'completed'", &[]).await;
    delete().await.expect(204);
    assert_eq!(app.scene.number("select count(*) from campaigns where list_id is null", &[]).await, 1);
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 1);
}
