use axum::Router;
use axum::http::Method;
use functions::api::segments;
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::campaigns::Desk;

fn router(app: &App) -> Router {
    segments::router(app.scene.db.app())
}

async fn create(app: &App, body: Value) -> Answer {
    app.send(router(app), Method::POST, "/v1/segments", Some(body)).await
}

#[tokio::test]
async fn a_segment_is_made_asked_changed_and_deleted() {
    let app = App::new().await;
    let people = app.scene.contacts(3).await;
    app.scene.run("update contacts set company = 'ACME' where id = $1", &[&people[1]]).await;
    let created = app.sample(router(&app), "segments/create", &[]).await.expect(201);
    let id = created.text("/id").to_owned();
    assert_eq!(created.headers["location"], format!("/v1/segments/{id}"));
    assert_eq!(created.body["text"], "country = \"AU\" and score >= 60 and opened(30d)");
    assert_eq!(created.body["tree"]["and"][1], json!({"field": "score", "operator": "ge", "value": 60.0}));
    let fill = [("SEGMENT_ID", id.as_str())];
    assert_eq!(app.sample(router(&app), "segments/count", &fill).await.expect(200).body, json!({"count": 0}));

    let updated = app.sample(router(&app), "segments/update", &fill).await.expect(200);
    assert_eq!((updated.text("/text"), updated.text("/name")), ("company = \"Acme\"", "Everybody at Acme"));
    assert_eq!(app.sample(router(&app), "segments/find", &fill).await.expect(200).body, updated.body);
    let page = app.sample(router(&app), "segments/list", &[]).await.expect(200);
    assert_eq!(page.body, json!({"data": [updated.body], "next_cursor": null}));
    assert_eq!(app.sample(router(&app), "segments/count", &fill).await.expect(200).body, json!({"count": 1}));
    let preview = app.sample(router(&app), "segments/preview", &fill).await.expect(200);
    assert_eq!((&preview.body["count"], preview.text("/data/0/id")), (&json!(1), people[1].to_string().as_str()));
    let members = app.sample(router(&app), "segments/members", &fill).await.expect(200);
    assert_eq!(members.body, json!({"data": preview.body["data"], "next_cursor": null}));
    let preview = app.sample(router(&app), "segments/preview_filter", &[]).await.expect(200);
    assert_eq!(preview.body["count"], 1, "begins with Ac, in any case");

    app.sample(router(&app), "segments/delete", &fill).await.expect(204);
    for gone in ["find", "count", "members", "preview", "update", "delete"] {
        app.sample(router(&app), &format!("segments/{gone}"), &fill).await.expect(404);
    }
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 3, "the people stay");
}

#[tokio::test]
async fn what_is_wrong_with_conditions_is_told_with_its_place() {
    let app = App::new().await;
    for (body, field, code, message) in [
        (json!({"name": "a"}), "tree", "required", "tree or text is needed"),
        (
            json!({"name": "a", "text": "contry = \"AU\""}),
            "text",
            "unknown_field",
            "line 1, column 1: there is no field contry; did you mean country?",
        ),
        (json!({"name": "a", "text": "tag = \"x\""}), "text", "unknown_tag", "there is no tag \"x\""),
        (
            json!({"name": "a", "text": "everybody", "tree": {"everybody": true}}),
            "text",
            "ambiguous",
            "tree or text, and not both",
        ),
        (
            json!({"name": "a", "tree": {"and": [{"field": "score", "operator": "eq", "value": "x"}]}}),
            "tree.and[0].value",
            "wrong_value",
            "score is compared with a number",
        ),
    ] {
        let answer = create(&app, body.clone()).await.expect(422);
        assert_eq!(answer.body["errors"], json!([{"field": field, "code": code, "message": message}]), "{body}");
    }
    for body in [
        json!({}),
        json!({"name": "a", "tree": "everybody"}),
        json!({"name": "a", "text": 3}),
        json!({"name": null, "text": "everybody"}),
    ] {
        create(&app, body).await.expect(422);
    }
    create(&app, json!({"name": "a", "text": "everybody"})).await.expect(201);
    assert_eq!(
        create(&app, json!({"name": "a", "text": "everybody"})).await.expect(409).text("/code"),
        "segment_name_taken"
    );
    let broken = app.send(router(&app), Method::GET, "/v1/segments/preview?filter=score%20%3E", None).await.expect(422);
    assert_eq!(broken.body["errors"][0]["code"], "syntax");
    app.send(router(&app), Method::GET, "/v1/segments/preview", None).await.expect(400);
}

#[tokio::test]
async fn contacts_are_listed_by_all_that_can_be_asked_and_a_cursor_belongs_to_what_was_asked() {
    let app = App::new().await;
    let people = app.scene.contacts(5).await;
    let organization = &app.scene.organization;
    app.scene
        .run("insert into tags (organization_id, id, name) values ($1, md5('t')::uuid, 'VIP')", &[organization])
        .await;
    app.scene
        .run(
            "insert into contact_tags (organization_id, tag_id, contact_id) select $1, md5('t')::uuid, unnest($2::uuid[])",
            &[organization, &people[1..4].to_vec()],
        )
        .await;
    let ask = async |query: &str| {
        app.send(crate::contacts::router(&app), Method::GET, &format!("/v1/contacts?{query}"), None).await
    };
    let ids = |answer: &Answer| -> Vec<String> {
        answer.body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let expected = |of: &[usize]| of.iter().map(|n| people[*n].to_string()).collect::<Vec<_>>();
    let first = ask("tag=vip&limit=2").await.expect(200);
    assert_eq!(ids(&first), expected(&[3, 2]));
    let cursor = first.text("/next_cursor");
    assert_eq!(ids(&ask(&format!("tag=vip&limit=2&cursor={cursor}")).await.expect(200)), expected(&[1]));
    ask(&format!("limit=2&cursor={cursor}")).await.expect(400);
    ask(&format!("tag=vip&q=person&cursor={cursor}")).await.expect(400);
    // Their names are Person 1 and so on; the fifth has no tag.
    assert_eq!(ids(&ask("tag=VIP&q=person%204").await.expect(200)), expected(&[3]));
    assert_eq!(ids(&ask("tag=VIP&q=person%205").await.expect(200)), Vec::<String>::new());
    assert_eq!(ids(&ask("tag=VIP&q=4%20person").await.expect(200)), Vec::<String>::new());
    assert_eq!(ids(&ask("q=person4").await.expect(200)), expected(&[3]));
    assert_eq!(ids(&ask("filter=not%20tag%20%3D%20%22vip%22&status=active").await.expect(200)), expected(&[4, 0]));
    assert_eq!(ids(&ask("email=PERSON1@people.test&email_prefix=x").await.expect(200)), Vec::<String>::new());
    assert_eq!(ids(&ask("email=%00").await.expect(200)), Vec::<String>::new());
    assert_eq!(ask("tag=nobody").await.expect(422).body["errors"][0]["code"], "unknown_tag");
    assert_eq!(ask("filter=score").await.expect(422).body["errors"][0]["code"], "syntax");
    ask(&format!("q={}", "a+".repeat(9))).await.expect(422);
    ask("q=%00").await.expect(422);
}

#[tokio::test]
async fn a_campaign_takes_its_people_from_a_segment_as_it_is_when_it_is_activated() {
    let desk = Desk::new().await;
    let scene = desk.draft(4).await;
    let app = &desk.app;
    app.scene.run("update contacts set company = 'Acme' where id = any ($1)", &[&scene.contacts[..3].to_vec()]).await;
    let segment = create(app, json!({"name": "Acme", "text": "company = \"acme\""})).await.expect(201);
    let path = format!("/v1/campaigns/{}", scene.campaign);
    let patch = async |body: Value| desk.send(Method::PATCH, &path, Some(body)).await;
    let both = patch(json!({"segment_id": segment.text("/id")})).await.expect(422);
    assert_eq!(both.body["errors"][0]["code"], "ambiguous");
    let unknown = patch(json!({"list_id": null, "segment_id": shared::ids::fresh()})).await.expect(422);
    assert_eq!(unknown.body["errors"][0]["field"], "segment_id");
    let patched = patch(json!({"list_id": null, "segment_id": segment.text("/id")})).await.expect(200);
    assert_eq!((&patched.body["list_id"], patched.text("/segment_id")), (&Value::Null, segment.text("/id")));

    // In use by a draft.
    let segment_path = format!("/v1/segments/{}", segment.text("/id"));
    let delete = async || app.send(router(app), Method::DELETE, &segment_path, None).await;
    assert_eq!(delete().await.expect(409).text("/code"), "segment_in_use");
    let preflight = desk.sample("preflight", &[("CAMPAIGN_ID", &scene.campaign.to_string())]).await.expect(200);
    assert_eq!((&preflight.body["errors"], &preflight.body["audience"]), (&json!([]), &json!(3)));

    desk.sample("activate", &[("CAMPAIGN_ID", &scene.campaign.to_string())]).await.expect(200);
    assert_eq!(app.scene.number("select count(*) from audience_snapshots", &[]).await, 0, "nothing is left behind");
    // Whoever comes to fit later is not in the audience, and whoever does not fit any more stays.
    app.scene.run("update contacts set company = case when company is null then 'Acme' end", &[]).await;
    let enrolled = app.scene.rows("select contact_id from enrollments order by contact_id", &[]).await;
    let enrolled: Vec<shared::ContactId> = enrolled.iter().map(|row| row.get(0)).collect();
    assert_eq!(enrolled, scene.contacts[..3]);
    delete().await.expect(204);
    assert_eq!(desk.send(Method::GET, &path, None).await.expect(200).body["segment_id"], Value::Null);
}

#[tokio::test]
async fn a_campaign_is_not_activated_with_a_segment_that_can_not_be_asked() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    let app = &desk.app;
    app.scene
        .run(
            "insert into tags (organization_id, id, name) values ($1, md5('t')::uuid, 'VIP')",
            &[&app.scene.organization],
        )
        .await;
    let segment = create(app, json!({"name": "Others", "text": "not tag = \"VIP\""})).await.expect(201);
    let path = format!("/v1/campaigns/{}", scene.campaign);
    desk.send(Method::PATCH, &path, Some(json!({"list_id": null, "segment_id": segment.text("/id")})))
        .await
        .expect(200);
    app.scene.run("delete from tags", &[]).await;
    let refused = desk.sample("activate", &[("CAMPAIGN_ID", &scene.campaign.to_string())]).await.expect(409);
    assert_eq!(refused.text("/code"), "preflight_failed");
    assert!(refused.text("/detail").contains("segment_broken"), "{}", refused.body);
    assert_eq!(app.scene.number("select count(*) from enrollments", &[]).await, 0);
}
