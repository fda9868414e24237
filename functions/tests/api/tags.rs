use axum::http::Method;
use serde_json::json;

use crate::bulk::Desk;

#[tokio::test]
async fn a_tag_is_made_given_taken_renamed_and_deleted() {
    let desk = Desk::new().await;
    let app = &desk.app;
    let tag = app.sample(desk.router(), "tags/create", &[]).await.expect(201);
    let contact = app.scene.contacts(1).await[0].to_string();
    let fill = [("TAG_ID", tag.text("/id")), ("CONTACT_ID", contact.as_str())];
    assert_eq!(tag.headers["location"], format!("/v1/tags/{}", tag.text("/id")));
    let has = json!([{"id": tag.text("/id"), "name": "Hot lead"}]);
    for _ in 0..2 {
        let given = app.sample(desk.router(), "contacts/tags_give", &fill).await.expect(200);
        assert_eq!(given.body, json!({"tags": has}));
    }
    assert_eq!(app.sample(desk.router(), "contacts/find", &fill).await.expect(200).body["tags"], has);
    let renamed = app.sample(desk.router(), "tags/update", &fill).await.expect(200);
    assert_eq!((renamed.text("/name"), &renamed.body["contact_count"]), ("Warm lead", &json!(1)));
    let page = app.sample(desk.router(), "tags/list", &[]).await.expect(200);
    assert_eq!(page.body, json!({"data": [renamed.body], "next_cursor": null}));
    app.sample(desk.router(), "contacts/tags_take", &fill).await.expect(204);
    app.sample(desk.router(), "contacts/tags_take", &fill).await.expect(404);
    app.sample(desk.router(), "contacts/tags_give", &fill).await.expect(200);
    app.sample(desk.router(), "tags/delete", &fill).await.expect(204);
    app.sample(desk.router(), "tags/find", &fill).await.expect(404);
    assert_eq!(app.sample(desk.router(), "contacts/find", &fill).await.expect(200).body["tags"], json!([]));
}

#[tokio::test]
async fn a_name_belongs_to_one_tag_in_any_case_and_tags_are_bounded() {
    let desk = Desk::new().await;
    let make = async |name: &str| desk.post("/v1/tags", json!({"name": name})).await;
    let other = make("Cold").await.expect(201);
    make("Hot").await.expect(201);
    assert_eq!(make(" HOT ").await.expect(409).text("/code"), "tag_name_taken");
    let path = format!("/v1/tags/{}", other.text("/id"));
    let taken = desk.send(Method::PATCH, &path, Some(json!({"name": "hOt"}))).await.expect(409);
    assert_eq!(taken.text("/code"), "tag_name_taken");
    for name in ["", " ", "a\nb", "nul\u{0}", &"x".repeat(101)] {
        make(name).await.expect(422);
    }
    desk.post("/v1/tags", json!({"name": "a", "contact_count": 1})).await.expect(422);
    let fill = "insert into tags (organization_id, id, name) select $1, gen_random_uuid(), 't' || n from generate_series(3, 1000) n";
    desk.app.scene.run(fill, &[&desk.app.scene.organization]).await;
    assert_eq!(make("One more").await.expect(409).text("/code"), "too_many_tags");
}

#[tokio::test]
async fn a_contact_gets_all_of_the_tags_or_none() {
    let desk = Desk::new().await;
    let contact = desk.app.scene.contacts(1).await[0];
    let ours = desk.post("/v1/tags", json!({"name": "Ours"})).await.expect(201).text("/id").to_owned();
    let (organization, _) = desk.app.scene.another_organization("globex").await;
    let theirs = shared::TagId::fresh();
    let sql = "insert into tags (organization_id, id, name) values ($1, $2, 'Theirs')";
    desk.app.scene.run(sql, &[&organization, &theirs]).await;
    let path = format!("/v1/contacts/{contact}/tags");
    for tags in [json!([ours, theirs]), json!([]), json!(["x"]), json!(null)] {
        desk.post(&path, json!({"tag_ids": tags})).await.expect(422);
    }
    desk.post(&format!("/v1/contacts/{theirs}/tags"), json!({"tag_ids": [ours]})).await.expect(404);
    assert_eq!(desk.app.scene.number("select count(*) from contact_tags", &[]).await, 0);
}

#[tokio::test]
async fn of_a_tag_that_very_many_have_the_list_of_tags_counts_no_more_than_it_must() {
    let desk = Desk::new().await;
    let tag = desk.post("/v1/tags", json!({"name": "Large"})).await.expect(201);
    assert_eq!(tag.body["has_more_contacts"], json!(false));
    let id: shared::TagId = tag.text("/id").parse().unwrap();
    desk.app.scene.contacts(10_001).await;
    let fill =
        "insert into contact_tags (organization_id, tag_id, contact_id) select organization_id, $1, id from contacts";
    desk.app.scene.run(fill, &[&id]).await;
    for (count, has_more) in [(10_001, true), (10_000, false)] {
        let listed = desk.get("/v1/tags").await["data"][0].clone();
        assert_eq!((&listed["contact_count"], &listed["has_more_contacts"]), (&json!(10_000), &json!(has_more)));
        let found = desk.get(&format!("/v1/tags/{id}")).await;
        assert_eq!((&found["contact_count"], &found["has_more_contacts"]), (&json!(count), &json!(false)));
        desk.app.scene.run("delete from contacts where email = 'person1@people.test'", &[]).await;
    }
}
