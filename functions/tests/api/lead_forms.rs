//! `/v1/lead-forms`: what an organization says of its forms.

use axum::Router;
use axum::http::Method;
use functions::api::lead_forms;
use serde_json::{Value, json};

use crate::app::{Answer, App};

fn router(app: &App) -> Router {
    lead_forms::router(app.scene.db.app())
}

async fn make(app: &App, body: Value) -> Answer {
    app.send(router(app), Method::POST, "/v1/lead-forms", Some(body)).await
}

async fn change(app: &App, id: &str, body: Value) -> Answer {
    app.send(router(app), Method::PATCH, &format!("/v1/lead-forms/{id}"), Some(body)).await
}

#[tokio::test]
async fn a_form_is_made_changed_rotated_and_deleted() {
    let app = App::new().await;
    let made = app.sample(router(&app), "lead_forms/create", &[]).await.expect(201);
    let (id, key) = (made.text("/id").to_owned(), made.text("/key").to_owned());
    assert_eq!(made.headers["location"], format!("/v1/lead-forms/{id}"));
    assert_eq!(made.text("/path"), format!("/v1/leads/{key}"));
    assert!(key.starts_with(&format!("lead_{}", app.scene.organization.0.simple())), "{key}");
    assert_eq!(made.body["allowed_origins"], json!(["https://www.example.com"]));
    assert_eq!(made.body["fields"], json!(["company", "first_name", "last_name"]));
    assert_eq!((made.text("/unknown_fields"), &made.body["is_enabled"]), ("refuse", &json!(true)));
    assert_eq!((&made.body["minute_limit"], &made.body["day_limit"]), (&json!(30), &json!(1000)));
    let none = json!({"accepted": 0, "refused": 0, "throttled": 0, "trapped": 0, "not_listed": 0});
    assert_eq!(made.body["counts"], none);

    let fill = [("LEAD_FORM_ID", id.as_str())];
    let found = app.sample(router(&app), "lead_forms/find", &fill).await.expect(200);
    assert_eq!(found.body, made.body);
    let updated = app.sample(router(&app), "lead_forms/update", &fill).await.expect(200);
    assert_eq!((updated.text("/name"), updated.text("/unknown_fields")), ("Newsletter of the spring", "ignore"));
    assert_eq!(updated.body["consent_text"], Value::Null);
    assert_eq!(updated.body["honeypot_field"], "website", "what is not given stays");
    let page = app.sample(router(&app), "lead_forms/list", &[]).await.expect(200);
    assert_eq!(page.body, json!({"data": [updated.body], "next_cursor": null}));

    let rotated = app.sample(router(&app), "lead_forms/rotate", &fill).await.expect(200);
    assert!(rotated.text("/key") != key && rotated.body["previous_key_ends_at"].is_string(), "{:#}", rotated.body);
    let path = format!("/v1/lead-forms/{id}/rotate");
    let over = app.send(router(&app), Method::POST, &path, Some(json!({"overlap_seconds": 0}))).await.expect(200);
    assert_eq!(over.body["previous_key_ends_at"], Value::Null);
    for overlap in [-1, 2_592_001] {
        app.send(router(&app), Method::POST, &path, Some(json!({"overlap_seconds": overlap}))).await.expect(422);
    }

    app.sample(router(&app), "lead_forms/delete", &fill).await.expect(204);
    for gone in ["lead_forms/find", "lead_forms/update", "lead_forms/rotate", "lead_forms/delete"] {
        app.sample(router(&app), gone, &fill).await.expect(404);
    }
    let acts = app.scene.rows("select action from audit_log order by id", &[]).await;
    let acts: Vec<String> = acts.iter().map(|row| row.get(0)).collect();
    let expected = ["created", "updated", "rotated", "rotated", "deleted"].map(|act| format!("lead_form.{act}"));
    assert_eq!(acts, expected);
}

#[tokio::test]
async fn what_a_form_can_not_be_is_refused_with_its_place() {
    let app = App::new().await;
    let (other, _) = app.scene.another_organization("globex").await;
    let theirs = shared::ids::fresh();
    for table in ["lists", "tags"] {
        let sql = format!("insert into {table} (organization_id, id, name) values ($1, $2, 'Theirs')");
        app.scene.run(&sql, &[&other, &theirs]).await;
    }
    let long = "x".repeat(2_001);
    for (field, value, place, code) in [
        ("name", json!(""), "name", "required"),
        ("name", json!("a\nb"), "name", "control_character"),
        ("allowed_origins", json!(["https://a.test", "https://b.test/page"]), "allowed_origins.1", "invalid_origin"),
        ("allowed_origins", json!(["*"]), "allowed_origins.0", "invalid_origin"),
        ("allowed_origins", json!(["null"]), "allowed_origins.0", "invalid_origin"),
        ("list_ids", json!([theirs]), "list_ids", "unknown_list"),
        ("tag_ids", json!([theirs]), "tag_ids", "unknown_tag"),
        ("fields", json!(["email"]), "fields", "unknown_field"),
        ("fields", json!(["status"]), "fields", "unknown_field"),
        ("fields", json!(["custom.nobody_defined"]), "fields", "unknown_field"),
        ("consent_text", json!(long), "consent_text", "too_long"),
        ("honeypot_field", json!("email"), "honeypot_field", "used_by_people"),
        ("honeypot_field", json!("a b"), "honeypot_field", "invalid_name"),
        ("thank_you_url", json!("javascript:alert(1)"), "thank_you_url", "invalid_url"),
        ("thank_you_url", json!("/thanks"), "thank_you_url", "invalid_url"),
        ("thank_you_url", json!("https://a.test/\r\nset-cookie: a"), "thank_you_url", "invalid_url"),
        ("minute_limit", json!(0), "minute_limit", "out_of_range"),
        ("day_limit", json!(100_001), "day_limit", "out_of_range"),
    ] {
        let mut body = json!({"name": "Form"});
        body[field] = value;
        let refused = make(&app, body).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), (place, code), "{field}");
    }
    make(&app, json!({})).await.expect(422);
    make(&app, json!({"name": "Form", "key": "lead_mine"})).await.expect(422);
    make(&app, json!({"name": "Form", "organization_id": other})).await.expect(422);
    make(&app, json!({"name": null})).await.expect(422);
    assert_eq!(app.scene.number("select count(*) from lead_forms", &[]).await, 0);
}

#[tokio::test]
async fn origins_are_kept_as_browsers_write_them_each_once() {
    let app = App::new().await;
    let given = json!(["HTTPS://WWW.Example.com:443", "https://www.example.com", "http://localhost:3000"]);
    let made = make(&app, json!({"name": "Form", "allowed_origins": given})).await.expect(201);
    assert_eq!(made.body["allowed_origins"], json!(["http://localhost:3000", "https://www.example.com"]));
    let none = change(&app, made.text("/id"), json!({"allowed_origins": []})).await.expect(200);
    assert_eq!(none.body["allowed_origins"], json!([]));
}

#[tokio::test]
async fn a_list_that_a_form_fills_is_in_use_and_a_tag_goes_from_it() {
    let app = App::new().await;
    let lists = || functions::api::lists::router(app.scene.db.app());
    let list = app.sample(lists(), "lists/create", &[]).await.expect(201).text("/id").to_owned();
    let tag = app.sample(crate::contacts::router(&app), "tags/create", &[]).await.expect(201).text("/id").to_owned();
    let body = json!({"name": "Form", "list_ids": [list, list], "tag_ids": [tag]});
    let made = make(&app, body).await.expect(201);
    assert_eq!((&made.body["list_ids"], &made.body["tag_ids"]), (&json!([list]), &json!([tag])));

    let refused = app.sample(lists(), "lists/delete", &[("LIST_ID", &list)]).await.expect(409);
    assert_eq!(refused.text("/code"), "list_in_use");
    app.sample(crate::contacts::router(&app), "tags/delete", &[("TAG_ID", &tag)]).await.expect(204);
    let freed = change(&app, made.text("/id"), json!({"list_ids": []})).await.expect(200);
    assert_eq!((&freed.body["list_ids"], &freed.body["tag_ids"]), (&json!([]), &json!([])));
    app.sample(lists(), "lists/delete", &[("LIST_ID", &list)]).await.expect(204);
}

#[tokio::test]
async fn an_organization_has_a_hundred_forms_at_most() {
    let app = App::new().await;
    make(&app, json!({"name": "First"})).await.expect(201);
    let sql = "insert into lead_forms (organization_id, id, name, key)
               select $1, gen_random_uuid(), 'Form', 'lead_' || lpad(n::text, 56, '0') from generate_series(2, 100) as n";
    app.scene.run(sql, &[&app.scene.organization]).await;
    assert_eq!(make(&app, json!({"name": "Last"})).await.expect(409).text("/code"), "too_many_lead_forms");
}
