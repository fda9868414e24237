use axum::Router;
use axum::http::Method;
use functions::api::contacts::{self, Contacts};
use serde_json::{Value, json};
use shared::audience::suppressions::{self, Reason};

use crate::app::{Answer, App};
use crate::campaigns::Hints;

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

pub(crate) fn router(app: &App) -> Router {
    contacts::router(Contacts {
        db: app.scene.db.app(),
        keys: testkit::key_ring().into(),
        queue: std::sync::Arc::<Hints>::default(),
        store: std::sync::Arc::<testkit::FakeArchiveStore>::default(),
    })
}

async fn create(app: &App, body: Value) -> Answer {
    app.send(router(app), Method::POST, "/v1/contacts", Some(body)).await
}

async fn addresses(app: &App, query: &str) -> Vec<String> {
    let page = app.send(router(app), Method::GET, &format!("/v1/contacts?{query}"), None).await.expect(200);
    let rows = page.body["data"].as_array().unwrap().iter();
    rows.map(|row| row["email"].as_str().unwrap().to_owned()).collect()
}

/// The fields refused, as `field code`.
fn refused(answer: &Answer) -> Vec<String> {
    let errors = answer.body["errors"].as_array().unwrap().iter();
    errors.map(|error| format!("{} {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_contact_is_made_listed_changed_and_deleted() {
    let app = App::new().await;
    let created = app.sample(router(&app), "contacts/create", &[]).await.expect(201);
    let id = created.text("/id").to_owned();
    assert_eq!(created.headers["location"], format!("/v1/contacts/{id}"));
    let at = created.text("/created_at");
    assert!(at.ends_with('Z') && at.len() == "2026-03-04T10:00:00.000Z".len(), "{at}");
    let mut shown = created.body.clone();
    for field in ["id", "created_at", "updated_at"] {
        shown[field].take();
    }
    assert_eq!(
        shown,
        json!({
            "id": null, "email": "Ada.Lovelace@people.test", "name": null, "first_name": "Ada", "last_name": "Lovelace",
            "company": "Analytical Engines", "status": "active", "timezone": "Europe/London",
            "custom": {"plan": "pro", "seats": 3}, "source": "api", "import_batch_id": null,
            "created_at": null, "updated_at": null,
        })
    );

    let page = app.sample(router(&app), "contacts/list", &[]).await.expect(200);
    assert_eq!(page.body, json!({"data": [created.body], "next_cursor": null}));

    let fill = [("CONTACT_ID", id.as_str())];
    let updated = app.sample(router(&app), "contacts/update", &fill).await.expect(200);
    assert_eq!(updated.body["last_name"], "King");
    assert_eq!(updated.body["first_name"], "Ada", "what is absent stays");
    assert_eq!(updated.body["company"], Value::Null, "what is null goes");
    assert_eq!(updated.body["custom"], json!({"seats": 3, "city": "London"}));

    let found = app.sample(router(&app), "contacts/find", &fill).await.expect(200);
    assert_eq!((&found.body["lists"], &found.body["raw_data"]), (&json!([]), &Value::Null));
    assert_eq!(found.body["custom"], updated.body["custom"]);

    app.sample(router(&app), "contacts/delete", &fill).await.expect(204);
    app.sample(router(&app), "contacts/find", &fill).await.expect(404);
    app.sample(router(&app), "contacts/delete", &fill).await.expect(404);
    let acts = app.scene.rows("select action, details::text from audit_log order by id", &[]).await;
    let acts: Vec<(String, String)> = acts.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        acts.iter().map(|act| act.0.as_str()).collect::<Vec<_>>(),
        ["contact.created", "contact.updated", "contact.deleted"]
    );
    assert!(acts.iter().all(|act| !act.1.contains('@')), "{acts:?}");
}

#[tokio::test]
async fn an_address_belongs_to_one_contact_of_an_organization_in_any_case() {
    let app = App::new().await;
    let first = create(&app, json!({"email": "ada@people.test"})).await.expect(201);
    let id = first.text("/id");
    let second = create(&app, json!({"email": "ADA@People.Test"})).await.expect(409);
    assert_eq!(second.text("/code"), "contact_exists");
    assert!(second.text("/detail").contains(id), "{}", second.body);

    let other = create(&app, json!({"email": "grace@people.test"})).await.expect(201);
    let path = format!("/v1/contacts/{}", other.text("/id"));
    let taken =
        app.send(router(&app), Method::PATCH, &path, Some(json!({"email": "Ada@people.test"}))).await.expect(409);
    assert_eq!(taken.text("/code"), "contact_exists");
    assert!(taken.text("/detail").contains(id), "{}", taken.body);
    let own =
        app.send(router(&app), Method::PATCH, &path, Some(json!({"email": "Grace@People.test"}))).await.expect(200);
    assert_eq!(own.text("/email"), "Grace@People.test");

    let (organization, _) = app.scene.another_organization("globex").await;
    let key = app.scene.api_key_of(organization).await;
    let body = Some(json!({"email": "ada@people.test"}));
    app.send_as(router(&app), Method::POST, "/v1/contacts", body, Some(&key)).await.expect(201);
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 3);
}

#[tokio::test]
async fn of_two_who_make_the_same_contact_at_once_one_is_told() {
    let app = App::new().await;
    let body = json!({"email": "ada@people.test"});
    let (one, two) = tokio::join!(create(&app, body.clone()), create(&app, body));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_contact_is_named() {
    let app = App::new().await;
    let answer = create(
        &app,
        json!({
            "email": "nobody", "first_name": "a\nb", "last_name": "x".repeat(201), "name": "nul\u{0}",
            "timezone": "Mars/Olympus", "custom": {"2a": 1, "ok": "nul\u{0}"},
        }),
    )
    .await
    .expect(422);
    let named = refused(&answer);
    for expected in [
        "first_name control_character",
        "last_name too_long",
        "name control_character",
        "timezone unknown_timezone",
        "custom invalid_key",
        "custom control_character",
    ] {
        assert!(named.iter().any(|error| error == expected), "no {expected} in {named:?}");
    }
    assert!(named[0].starts_with("email "), "{named:?}");

    for (body, status) in [
        (json!({}), 422),
        (json!({"email": null}), 422),
        (json!({"email": ""}), 422),
        (json!({"email": "a@people.test\r\nBcc: b@people.test"}), 422),
        (json!({"email": "a\u{0}@people.test"}), 422),
        (json!({"email": "a@people.test", "status": "replied"}), 422),
        (json!({"email": "a@people.test", "organization_id": NOBODY}), 422),
        (json!({"email": "a@people.test", "custom": []}), 422),
        (json!({"email": "a@people.test", "custom": {"a": "x".repeat(17_000)}}), 422),
        (json!([]), 422),
    ] {
        let answer = create(&app, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body} -> {}", answer.body);
    }
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 0);

    let id =
        create(&app, json!({"email": "a@people.test", "first_name": "  "})).await.expect(201).text("/id").to_owned();
    let path = format!("/v1/contacts/{id}");
    for body in [json!({"email": null}), json!({"email": "x"}), json!({"name": 3}), json!({"id": NOBODY})] {
        app.send(router(&app), Method::PATCH, &path, Some(body)).await.expect(422);
    }
    let same = app.send(router(&app), Method::PATCH, &path, Some(json!({}))).await.expect(200);
    assert_eq!((same.text("/email"), &same.body["first_name"]), ("a@people.test", &Value::Null));
}

#[tokio::test]
async fn contacts_are_found_by_address_beginning_list_and_status() {
    let app = App::new().await;
    for name in ["Ada", "Adam", "Grace", "a_b", "a%b"] {
        create(&app, json!({"email": format!("{name}@people.test")})).await.expect(201);
    }
    let scene = app.scene.draft_campaign(2, &[], 0, 10).await;
    app.scene.run("update contacts set status = 'bounced' where id = $1", &[&scene.contacts[0]]).await;
    let list = scene.list;

    assert_eq!(addresses(&app, "email=ADA@people.TEST").await, ["Ada@people.test"]);
    assert_eq!(addresses(&app, "email=ada").await, [""; 0]);
    assert_eq!(addresses(&app, "email_prefix=AD").await, ["Adam@people.test", "Ada@people.test"]);
    assert_eq!(addresses(&app, "email_prefix=a_").await, ["a_b@people.test"], "no pattern");
    assert_eq!(addresses(&app, "email_prefix=a%25").await, ["a%b@people.test"], "no pattern");
    assert_eq!(addresses(&app, "email_prefix=zz").await, [""; 0]);
    assert_eq!(addresses(&app, &format!("list_id={list}")).await, ["person2@people.test", "person1@people.test"]);
    assert_eq!(addresses(&app, "status=bounced").await, ["person1@people.test"]);
    assert_eq!(addresses(&app, &format!("status=active&list_id={list}")).await, ["person2@people.test"]);
    assert_eq!(
        addresses(&app, &format!("email_prefix=person&list_id={list}&status=bounced")).await,
        ["person1@people.test"]
    );
    assert_eq!(addresses(&app, &format!("email=person2@people.test&list_id={list}")).await, ["person2@people.test"]);
    assert_eq!(addresses(&app, &format!("email=person2@people.test&list_id={NOBODY}")).await, [""; 0]);
    assert_eq!(addresses(&app, "email=ada@people.test&email_prefix=g").await, [""; 0]);
    assert_eq!(addresses(&app, "email=%00").await, [""; 0]);
    assert_eq!(addresses(&app, "email_prefix=").await.len(), 7);

    for (query, status) in [
        ("emial=ada@people.test", 400),
        ("status=happy", 400),
        ("list_id=nonsense", 400),
        ("email=a&email=b", 400),
        ("limit=x", 400),
        ("limit=0", 422),
        ("limit=101", 422),
        ("cursor=nonsense", 400),
    ] {
        let answer = app.send(router(&app), Method::GET, &format!("/v1/contacts?{query}"), None).await;
        assert_eq!(answer.status.as_u16(), status, "{query} -> {}", answer.body);
    }
}

#[tokio::test]
async fn pages_follow_each_other_under_one_filter_and_tenant() {
    let app = App::new().await;
    app.scene.draft_campaign(7, &[], 0, 10).await;
    create(&app, json!({"email": "ada@other.test"})).await.expect(201);
    for filter in ["", "&email_prefix=person", "&status=active"] {
        let whole = addresses(&app, &format!("limit=100{filter}")).await;
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/contacts?limit=3{filter}{cursor}");
            let page = app.send(router(&app), Method::GET, &path, None).await.expect(200);
            seen.extend(
                page.body["data"].as_array().unwrap().iter().map(|row| row["email"].as_str().unwrap().to_owned()),
            );
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, whole, "{filter}");
    }
    let page = app.send(router(&app), Method::GET, "/v1/contacts?limit=3&status=active&email_prefix=p", None).await;
    let cursor = page.expect(200).text("/next_cursor").to_owned();
    let same = format!("/v1/contacts?email_prefix=p&status=active&cursor={cursor}");
    app.send(router(&app), Method::GET, &same, None).await.expect(200);
    for other in ["", "&status=active", "&email_prefix=p&status=bounced"] {
        let path = format!("/v1/contacts?cursor={cursor}{other}");
        app.send(router(&app), Method::GET, &path, None).await.expect(400);
    }
    let (organization, _) = app.scene.another_organization("globex").await;
    let key = app.scene.api_key_of(organization).await;
    app.send_as(router(&app), Method::GET, &same, None, Some(&key)).await.expect(400);
    // A long filter is not in the cursor once more; another one that begins like it has other cursors.
    let long = format!("filter=status{}", "%20in%20(%22active%22)%20and%20status".repeat(10));
    let list = async |query: &str| app.send(router(&app), Method::GET, &format!("/v1/contacts?{query}"), None).await;
    let first = list(&format!("limit=3&{long}%20is%20set")).await.expect(200);
    let cursor = first.text("/next_cursor");
    assert!(cursor.len() < 300, "{}", cursor.len());
    let next = list(&format!("limit=3&{long}%20is%20set&cursor={cursor}")).await.expect(200);
    assert_ne!(next.body["data"][0]["id"], first.body["data"][0]["id"]);
    list(&format!("limit=3&{long}%20=%20%22active%22&cursor={cursor}")).await.expect(400);
}

#[tokio::test]
async fn a_deleted_contact_leaves_campaigns_and_lists_and_stays_suppressed() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 0).await;
    let scene = app.scene.running_campaign(2, &[sender], 1, 100).await;
    let tx = app.scene.db.app().begin(app.scene.organization).await.unwrap();
    let organization = app.scene.organization;
    for expected in [true, false] {
        let added =
            suppressions::add(&tx, organization, "person1@people.test", None, Reason::Unsubscribe, None).await.unwrap();
        assert_eq!(added, expected);
    }
    let other = Some(scene.campaign);
    assert!(suppressions::add(&tx, organization, "person1@people.test", other, Reason::Manual, None).await.unwrap());
    tx.commit().await.unwrap();

    let gone = scene.contacts[0];
    let path = format!("/v1/contacts/{gone}");
    let found = app.send(router(&app), Method::GET, &path, None).await.expect(200);
    assert_eq!(found.body["lists"], json!([{"id": scene.list, "name": scene.list.to_string()}]));
    app.send(router(&app), Method::DELETE, &path, None).await.expect(204);
    for table in ["contacts", "enrollments", "list_members"] {
        assert_eq!(app.scene.number(&format!("select count(*) from {table}"), &[]).await, 1, "{table}");
    }
    assert_eq!(app.scene.number("select count(*) from suppressions", &[]).await, 2);
    create(&app, json!({"email": "person1@people.test"})).await.expect(201);
    assert_eq!(app.scene.number("select count(*) from suppressions", &[]).await, 2);
}

#[tokio::test]
async fn a_person_is_exported_as_a_file_and_erased_once() {
    let app = App::new().await;
    let made = app.sample(router(&app), "contacts/create", &[]).await.expect(201);
    let id = made.text("/id").to_owned();
    let fill = [("CONTACT_ID", id.as_str())];
    let export = app.sample(router(&app), "contacts/export", &fill).await.expect(200);
    assert_eq!(export.headers["content-type"], "application/json");
    assert_eq!(export.headers["content-disposition"], format!("attachment; filename=\"contact-{id}.json\""));
    assert_eq!(export.headers["cache-control"], "no-store");
    assert_eq!((export.text("/contact_id"), &export.body["next_cursor"]), (id.as_str(), &Value::Null));
    let contact = &export.body["data"]["contacts"][0];
    for field in ["email", "first_name", "last_name", "company", "custom", "created_at"] {
        assert_eq!(contact[field], made.body[field], "{field}");
    }
    assert_eq!(contact["organization_id"], Value::Null);
    assert_eq!(export.body["data"]["audit_log"][0]["action"], "contact.created");
    assert_eq!(export.body["data"]["messages"], json!([]));

    let erased = app.sample(router(&app), "contacts/erase", &fill).await.expect(200);
    assert_eq!((erased.text("/contact_id"), &erased.body["suppressions"]), (id.as_str(), &json!(1)));
    for again in ["contacts/erase", "contacts/export", "contacts/find"] {
        app.sample(router(&app), again, &fill).await.expect(404);
    }
    let suppressed =
        "select count(*) from suppressions where id::text = $1 and campaign_id is null and email_lower is null
                         and email_hash is not null and reason = 'unsubscribe'";
    assert_eq!(app.scene.number(suppressed, &[&erased.text("/suppression_id")]).await, 1);
    let acts = app.scene.rows("select action, details::text from audit_log order by id", &[]).await;
    let acts: Vec<(String, String)> = acts.iter().map(|row| (row.get(0), row.get(1))).collect();
    let names: Vec<&str> = acts.iter().map(|act| act.0.as_str()).collect();
    assert_eq!(names, ["contact.created", "contact.exported", "contact.erased"]);
    assert!(acts.iter().all(|act| !act.1.contains('@')), "{acts:?}");
    assert!(acts[2].1.contains(erased.text("/suppression_id")), "{acts:?}");
}

#[tokio::test]
async fn an_export_goes_on_where_its_page_ended_and_for_nobody_else() {
    let app = App::new().await;
    let scene = app.scene.draft_campaign(2, &[], 1, 10).await;
    let [one, two] = [0, 1].map(|n| format!("/v1/contacts/{}/export", scene.contacts[n]));
    // Of many mails with long texts a page has as many as fit into an answer.
    app.scene
        .run(
            "insert into messages (organization_id, id, kind, dedupe_key, contact_id, recipient, state, send_at, expires_at, body)
             select $1, gen_random_uuid(), 'direct', n::text, $2, 'person1@people.test', 'cancelled', now(), now(), repeat('x', 200000)
               from generate_series(1, 40) as n",
            &[&app.scene.organization, &scene.contacts[0]],
        )
        .await;
    let mut seen = std::collections::BTreeSet::new();
    let (mut pages, mut cursor) = (0, String::new());
    loop {
        let page = app.send(router(&app), Method::GET, &format!("{one}?limit=1000{cursor}"), None).await.expect(200);
        assert!(page.body.to_string().len() < 4 << 20, "page {pages}");
        pages += 1;
        let messages = page.body["data"]["messages"].as_array().unwrap();
        for message in messages {
            assert!(seen.insert(message["id"].as_str().unwrap().to_owned()), "twice");
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (40, 3));

    let first = app.send(router(&app), Method::GET, &format!("{one}?limit=1"), None).await.expect(200);
    let cursor = first.text("/next_cursor").to_owned();
    assert_eq!(first.body["data"]["contacts"].as_array().unwrap().len(), 1);
    app.send(router(&app), Method::GET, &format!("{two}?limit=1&cursor={cursor}"), None).await.expect(422);
    let (organization, _) = app.scene.another_organization("globex").await;
    let key = app.scene.api_key_of(organization).await;
    let path = format!("{one}?limit=1&cursor={cursor}");
    app.send_as(router(&app), Method::GET, &path, None, Some(&key)).await.expect(400);
    for (query, status) in [("limit=0", 422), ("limit=1001", 422), ("cursor=x", 400), ("table=messages", 400)] {
        app.send(router(&app), Method::GET, &format!("{one}?{query}"), None).await.expect(status);
    }
}

#[tokio::test]
async fn an_answer_kept_for_a_repeated_request_goes_with_the_person() {
    let app = App::new().await;
    let make = || {
        let body = json!({"email": "ada@people.test", "name": "Ada"});
        app.send_under(router(&app), "make", Method::POST, "/v1/contacts", Some(body))
    };
    let id = make().await.expect(201).text("/id").to_owned();
    let path = format!("/v1/contacts/{id}/erase");
    let erase = || app.send_under(router(&app), "erase", Method::POST, &path, None);
    let erased = erase().await.expect(200);
    assert_eq!(erased.body["kept_answers"], 1);
    assert_eq!(make().await.expect(409).text("/code"), "idempotency_answer_lost");
    assert_eq!(app.scene.number("select count(*) from contacts", &[]).await, 0, "it is not carried out again");
    assert_eq!(erase().await.expect(200).body, erased.body, "this answer names nobody and is given again");
}

#[tokio::test]
async fn a_role_that_works_on_several_organizations_suppresses_in_those_alone() {
    let app = App::new().await;
    let (other, _) = app.scene.another_organization("globex").await;
    let (outside, _) = app.scene.another_organization("initech").await;
    let tx = app.scene.db.as_role("martlet_feedback").begin_for(&[app.scene.organization, other]).await.unwrap();
    for organization in [app.scene.organization, other] {
        assert!(suppressions::add(&tx, organization, "a@people.test", None, Reason::HardBounce, None).await.unwrap());
        assert!(!suppressions::add(&tx, organization, "a@people.test", None, Reason::Complaint, None).await.unwrap());
    }
    tx.commit().await.unwrap();
    let tx = app.scene.db.as_role("martlet_feedback").begin_for(&[app.scene.organization, other]).await.unwrap();
    suppressions::add(&tx, outside, "a@people.test", None, Reason::HardBounce, None).await.unwrap_err();
    drop(tx);
    let reasons = "select count(*) from suppressions where reason = 'hard_bounce'";
    assert_eq!(app.scene.number(reasons, &[]).await, 2);
    assert_eq!(app.scene.number("select count(*) from suppressions", &[]).await, 2);
}

#[tokio::test]
async fn another_address_makes_a_bounced_contact_active_and_no_other() {
    let app = App::new().await;
    for (status, body, expected) in [
        ("bounced", json!({"email": "PERSON1@people.test"}), "bounced"),
        ("bounced", json!({"first_name": "New"}), "bounced"),
        ("unsubscribed", json!({"email": "new1@people.test"}), "unsubscribed"),
        ("bounced", json!({"email": "new2@people.test"}), "active"),
    ] {
        let id = app.scene.contacts(1).await[0];
        app.scene.run("update contacts set status = $2 where id = $1", &[&id, &status]).await;
        let path = format!("/v1/contacts/{id}");
        let answer = app.send(router(&app), Method::PATCH, &path, Some(body)).await.expect(200);
        assert_eq!(answer.text("/status"), expected);
        app.send(router(&app), Method::DELETE, &path, None).await.expect(204);
    }
}

#[tokio::test]
async fn contacts_are_looked_up_by_indexes_under_row_level_security() {
    let app = App::new().await;
    let (other, _) = app.scene.another_organization("globex").await;
    app.scene.contacts(500).await;
    app.scene
        .run(
            "insert into contacts (organization_id, id, email)
             select o, gen_random_uuid(), format('%s.%s@bulk.test', chr(97 + n % 26), n)
               from unnest($1::uuid[]) as o, generate_series(1, 20000) as n",
            &[&[app.scene.organization, other].as_slice()],
        )
        .await;
    app.scene.run("analyze contacts", &[]).await;

    let tx = app.scene.db.app().begin(app.scene.organization).await.unwrap();
    tx.query("select set_config('plan_cache_mode', 'force_generic_plan', true)", &[]).await.unwrap();
    let sql = include_str!("../../../shared/src/audience/contacts/find_id_by_email.sql");
    tx.execute(&format!("prepare find (text) as {sql}"), &[]).await.unwrap();
    // The plan for this value, and the one that a connection keeps for all values. Lists are planned for their values each time,
    // and tested where segments are.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        tx.query("select set_config('plan_cache_mode', $1, true)", &[&mode]).await.unwrap();
        let plan = tx.query("explain execute find ('person7@people.test')", &[]).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("contacts_email_key") && !plan.contains("Seq Scan"), "{mode}\n{plan}");
        let condition = plan.lines().find(|line| line.contains("Index Cond")).unwrap();
        assert!(condition.contains("email_lower"), "{mode}\n{plan}");
    }
    tx.commit().await.unwrap();
    assert_eq!(addresses(&app, "email_prefix=person49&limit=100").await.len(), 11);
}
