use axum::http::Method;
use serde_json::{Value, json};

use crate::bulk::Desk;

/// The values by which contacts can be selected, as `address=value`.
async fn values(desk: &Desk) -> Vec<String> {
    let sql = "select format('%s=%s', c.email_lower, coalesce(v.text_value, v.number_value::text, v.boolean_value::text, v.date_value::text))
                 from custom_values v join contacts c on c.id = v.contact_id order by 1";
    desk.app.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
}

async fn make(desk: &Desk, email: &str, custom: Value) -> String {
    let body = json!({"email": email, "custom": custom});
    desk.post("/v1/contacts", body).await.expect(201).text("/id").to_owned()
}

#[tokio::test]
async fn a_field_is_defined_filled_followed_renamed_and_deleted() {
    let desk = Desk::new().await;
    let app = &desk.app;
    for (email, seats) in [("a@x.test", json!(3)), ("b@x.test", json!("4.5")), ("c@x.test", json!("many"))] {
        make(&desk, email, json!({"seats": seats})).await;
    }
    make(&desk, "d@x.test", json!({"other": 1})).await;
    let field = app.sample(desk.router(), "custom_fields/create", &[]).await.expect(201);
    assert_eq!((field.text("/state"), field.text("/type"), field.text("/key")), ("filling", "number", "seats"));
    let fill = [("FIELD_ID", field.text("/id"))];
    // Whoever is made meanwhile is followed at once, and comes to the same by the filling.
    let made = make(&desk, "e@x.test", json!({"seats": 5})).await;
    assert_eq!(values(&desk).await, ["e@x.test=5"]);
    desk.run_jobs().await;
    assert_eq!(values(&desk).await, ["a@x.test=3", "b@x.test=4.5", "e@x.test=5"]);
    let found = app.sample(desk.router(), "custom_fields/find", &fill).await.expect(200);
    assert_eq!(found.text("/state"), "ready");
    let job = desk.get(&format!("/v1/jobs/{}", field.text("/job_id"))).await;
    assert_eq!((&job["state"], &job["outcomes"]), (&json!("completed"), &json!({"filled": 3})));

    let path = format!("/v1/contacts/{made}");
    let change = async |custom: Value| desk.send(Method::PATCH, &path, Some(json!({"custom": custom}))).await;
    change(json!({"seats": 6, "other": "x"})).await.expect(200);
    assert_eq!(values(&desk).await.last().unwrap(), "e@x.test=6");
    let refused = change(json!({"seats": "7"})).await.expect(422);
    assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), ("custom.seats", "wrong_type"));
    change(json!({"seats": null})).await.expect(200);
    assert_eq!(values(&desk).await, ["a@x.test=3", "b@x.test=4.5"]);

    let renamed = app.sample(desk.router(), "custom_fields/update", &fill).await.expect(200);
    assert_eq!(renamed.text("/name"), "Number of seats");
    let all = app.sample(desk.router(), "custom_fields/list", &[]).await.expect(200);
    assert_eq!(all.body, json!({"data": [renamed.body]}));
    let path = format!("/v1/custom-fields/{}", field.text("/id"));
    desk.send(Method::PATCH, &path, Some(json!({"name": "x", "type": "text"}))).await.expect(422);
    app.sample(desk.router(), "custom_fields/delete", &fill).await.expect(204);
    app.sample(desk.router(), "custom_fields/delete", &fill).await.expect(404);
    assert_eq!(values(&desk).await, [""; 0]);
    let kept = "select count(*) from contacts where custom ? 'seats'";
    assert_eq!(app.scene.number(kept, &[]).await, 3, "what contacts have stays");
}

#[tokio::test]
async fn what_files_bring_has_a_value_where_it_says_just_that() {
    let desk = Desk::new().await;
    for kind in ["text", "number", "boolean", "date"] {
        desk.post("/v1/custom-fields", json!({"key": format!("a_{kind}"), "type": kind})).await.expect(201);
    }
    let expected = [
        (json!("x"), [Some("x"), None, None, None]),
        (json!(""), [None; 4]),
        (json!("x".repeat(2_001)), [None; 4]),
        (json!("-1.5e3"), [Some("-1.5e3"), Some("-1500"), None, None]),
        (json!("NaN"), [Some("NaN"), None, None, None]),
        (json!("1e999"), [Some("1e999"), None, None, None]),
        (json!(7), [None, Some("7"), None, None]),
        (json!("Yes"), [Some("Yes"), None, Some("true"), None]),
        (json!(false), [None, None, Some("false"), None]),
        (json!("2026-02-28"), [Some("2026-02-28"), None, None, Some("2026-02-28")]),
        (json!("2026-02-30"), [Some("2026-02-30"), None, None, None]),
        (json!({"a": 1}), [None; 4]),
        (json!([1]), [None; 4]),
    ];
    let sql = "select v.text_value, v.number_value::text, v.boolean_value::text, v.date_value::text
                 from unnest(array['text', 'number', 'boolean', 'date']) with ordinality as t (type, n),
                      typed_custom_value(t.type, $1) as v order by t.n";
    for (value, expected) in expected {
        let rows = desk.app.scene.rows(sql, &[&value]).await;
        let found: Vec<Option<String>> = (0..4).map(|n| rows[n].get(n)).collect();
        assert_eq!(found, expected.map(|text| text.map(str::to_owned)), "{value}");
    }
    // A file of everybody at once, changed at once: a statement has many contacts.
    let scene = &desk.app.scene;
    let insert = "insert into contacts (organization_id, id, email, custom)
                  select $1, gen_random_uuid(), n || '@x.test', jsonb_build_object('a_number', n, 'a_date', 'no day')
                    from generate_series(1, 50) n";
    scene.run(insert, &[&scene.organization]).await;
    let sum = "select sum(number_value)::bigint from custom_values";
    assert_eq!(scene.number(sum, &[]).await, 1_275);
    scene
        .run("update contacts set custom = custom || '{\"a_number\": \"1\"}', name = 'x' where email_lower < '3'", &[])
        .await;
    let changed = scene.number("select count(*) from contacts where email_lower < '3'", &[]).await;
    let rest = scene
        .number("select sum((custom ->> 'a_number')::bigint)::bigint from contacts where email_lower >= '3'", &[])
        .await;
    assert_eq!(scene.number(sum, &[]).await, changed + rest);
    scene.run("update contacts set custom = '{}'", &[]).await;
    assert_eq!(scene.number("select count(*) from custom_values", &[]).await, 0);
}

#[tokio::test]
async fn a_key_is_defined_once_and_fields_are_bounded() {
    let desk = Desk::new().await;
    let define = async |body: Value| desk.post("/v1/custom-fields", body).await;
    define(json!({"key": "plan", "type": "text"})).await.expect(201);
    assert_eq!(define(json!({"key": "plan", "type": "date"})).await.expect(409).text("/code"), "custom_field_exists");
    define(json!({"key": "Plan", "type": "date"})).await.expect(201);
    for body in [
        json!({"key": "2x", "type": "text"}),
        json!({"key": "a-b", "type": "text"}),
        json!({"key": "a", "type": "list"}),
        json!({"key": "a"}),
        json!({"key": "a", "type": "text", "name": ""}),
        json!({"key": "a", "type": "text", "state": "ready"}),
    ] {
        define(body).await.expect(422);
    }
    for n in 3..=50 {
        define(json!({"key": format!("k{n}"), "type": "text"})).await.expect(201);
    }
    assert_eq!(define(json!({"key": "k51", "type": "text"})).await.expect(409).text("/code"), "too_many_custom_fields");
}

#[tokio::test]
async fn a_field_that_is_deleted_while_it_is_filled_ends_its_job() {
    let desk = Desk::new().await;
    make(&desk, "a@x.test", json!({"seats": 1})).await;
    let field = desk.app.sample(desk.router(), "custom_fields/create", &[]).await.expect(201);
    let path = format!("/v1/custom-fields/{}", field.text("/id"));
    desk.send(Method::DELETE, &path, None).await.expect(204);
    desk.run_jobs().await;
    let job = desk.get(&format!("/v1/jobs/{}", field.text("/job_id"))).await;
    assert_eq!((&job["state"], &job["error"]), (&json!("failed"), &json!("the custom field was deleted")));
}
