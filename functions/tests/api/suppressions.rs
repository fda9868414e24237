use axum::Router;
use axum::http::Method;
use functions::api::suppressions::{self, Suppressions};
use serde_json::{Value, json};

use crate::app::App;

pub(crate) fn router(app: &App) -> Router {
    suppressions::router(Suppressions { db: app.scene.db.app(), keys: testkit::key_ring().into() })
}

async fn contact_status(app: &App, email: &str) -> String {
    app.scene.rows("select status from contacts where email = $1", &[&email]).await[0].get(0)
}

#[tokio::test]
async fn an_address_is_suppressed_shown_forgotten_and_lifted() {
    let app = App::new().await;
    let made = app.sample(router(&app), "suppressions/create", &[]).await.expect(201);
    let id = made.text("/id").to_owned();
    assert_eq!(made.headers["location"], format!("/v1/suppressions/{id}"));
    assert_eq!((made.text("/email"), made.text("/reason")), ("ada@people.test", "manual"));
    // The same again is the same.
    let again = app.sample(router(&app), "suppressions/create", &[]).await.expect(200);
    assert_eq!(again.body, made.body);
    let fill = [("SUPPRESSION_ID", id.as_str())];
    let found = app.sample(router(&app), "suppressions/find", &fill).await.expect(200);
    assert_eq!(found.body, made.body);
    let page = app.sample(router(&app), "suppressions/list", &[]).await.expect(200);
    assert_eq!(page.body["data"], json!([made.body]));

    let forgotten = app.sample(router(&app), "suppressions/forget", &fill).await.expect(200);
    assert_eq!(forgotten.body["email"], json!(null));
    assert_eq!(forgotten.body["note"], json!(null));
    assert!(forgotten.text("/email_hash").starts_with("1."));
    let again = app.sample(router(&app), "suppressions/forget", &fill).await.expect(200);
    assert_eq!(again.body, forgotten.body);
    for (query, count) in [
        ("email=ADA@people.test", 1),
        ("email=bob@people.test", 0),
        ("email=%00", 0),
        ("reason=complaint", 0),
        ("scope=organization", 1),
        ("scope=campaign", 0),
        ("from=2000-01-01T00:00:00Z", 1),
        ("to=2000-01-01T00:00:00Z", 0),
    ] {
        let path = format!("/v1/suppressions?{query}");
        let listed = app.send(router(&app), Method::GET, &path, None).await.expect(200);
        assert_eq!(listed.body["data"].as_array().unwrap().len(), count, "{query}");
    }
    app.sample(router(&app), "suppressions/lift", &fill).await.expect(204);
    app.sample(router(&app), "suppressions/lift", &fill).await.expect(404);
    app.sample(router(&app), "suppressions/forget", &fill).await.expect(404);
    let told = "select count(*) from audit_log where details::text like '%people.test%'";
    assert_eq!(app.scene.number(told, &[]).await, 0, "an address is in the audit log");
}

#[tokio::test]
async fn a_suppression_stops_people_and_lifting_it_enrolls_nobody() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 0).await;
    let campaign = app.scene.running_campaign(3, &[sender], 1, 100).await.campaign;
    app.scene.running_campaign(0, &[sender], 1, 100).await;
    let add = |email: &str, reason: &str, scope: Value| {
        let body = json!({"email": email, "reason": reason, "campaign_id": scope});
        (Method::POST, "/v1/suppressions", Some(body))
    };
    let (method, path, body) = add("person1@people.test", "complaint", json!(null));
    let complaint = app.send(router(&app), method, path, body).await.expect(201).text("/id").to_owned();
    let (method, path, body) = add("person2@people.test", "unsubscribe", json!(campaign));
    app.send(router(&app), method, path, body).await.expect(201);
    let stopped = "select string_agg(format('%s %s', e.status, coalesce(stop_reason, '-')), ', ' order by c.email)
                     from enrollments e join contacts c on c.id = e.contact_id";
    let stopped = async || app.scene.rows(stopped, &[]).await[0].get::<_, String>(0);
    assert_eq!(stopped().await, "stopped complaint, unsubscribed -, pending -");
    assert_eq!(contact_status(&app, "person1@people.test").await, "unsubscribed");
    assert_eq!(contact_status(&app, "person2@people.test").await, "active", "only one campaign is left");

    let path = format!("/v1/suppressions/{complaint}");
    for unconfirmed in [path.clone(), format!("{path}?confirm=false")] {
        let refused = app.send(router(&app), Method::DELETE, &unconfirmed, None).await.expect(409);
        assert_eq!(refused.text("/code"), "confirmation_needed");
    }
    app.send(router(&app), Method::DELETE, &format!("{path}?confirm=perhaps"), None).await.expect(400);
    app.send(router(&app), Method::DELETE, &format!("{path}?confirm=true"), None).await.expect(204);
    assert_eq!(contact_status(&app, "person1@people.test").await, "active");
    assert_eq!(stopped().await, "stopped complaint, unsubscribed -, pending -");
}

#[tokio::test]
async fn a_graver_reason_takes_the_place_of_a_lesser_and_never_the_other_way_round() {
    let app = App::new().await;
    app.scene.contacts(1).await;
    let add = async |reason: &str| {
        let body = json!({"email": "person1@people.test", "reason": reason});
        app.send(router(&app), Method::POST, "/v1/suppressions", Some(body)).await
    };
    let made = add("manual").await.expect(201).text("/id").to_owned();
    for (given, stays) in [("unsubscribe", "unsubscribe"), ("manual", "unsubscribe"), ("complaint", "complaint")] {
        let answer = add(given).await.expect(200);
        assert_eq!((answer.text("/id"), answer.text("/reason")), (made.as_str(), stays), "after {given}");
    }
    assert_eq!(
        add("hard_bounce").await.expect(200).text("/reason"),
        "complaint",
        "of two that are alike the first stays"
    );
    let path = format!("/v1/suppressions/{made}");
    let refused = app.send(router(&app), Method::DELETE, &path, None).await.expect(409);
    assert_eq!(refused.text("/code"), "confirmation_needed");
}

#[tokio::test]
async fn a_domain_is_suppressed_once_for_all_campaigns_and_once_for_a_list_s() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 0).await;
    app.scene.running_campaign(1, &[sender], 1, 100).await;
    let list: shared::ListId = app.scene.rows("select id from lists", &[]).await[0].get(0);
    let post = async |body| app.send(router(&app), Method::POST, "/v1/suppressions", Some(body)).await;
    let everywhere = post(json!({"domain": "@Competitor.test", "note": "theirs"})).await.expect(201);
    assert_eq!((everywhere.text("/domain"), &everywhere.body["email"]), ("competitor.test", &json!(null)));
    assert_eq!(post(json!({"domain": "competitor.test"})).await.expect(200).body, everywhere.body);
    let for_list = post(json!({"domain": "competitor.test", "list_id": list})).await.expect(201);
    assert_eq!(for_list.text("/list_id"), list.to_string());
    let both = json!({"domain": "competitor.test", "list_id": list, "campaign_id": shared::CampaignId::fresh()});
    assert_eq!(post(both).await.expect(422).text("/errors/0/code"), "two_scopes");
    for (query, count) in [
        ("domain=COMPETITOR.test", 2),
        ("domain=other.test", 0),
        ("domain=%00", 0),
        ("email=a@competitor.test", 0),
        ("scope=list", 1),
        ("scope=organization", 1),
        ("scope=campaign", 0),
        (&format!("list_id={list}"), 1),
    ] {
        let path = format!("/v1/suppressions?{query}");
        let listed = app.send(router(&app), Method::GET, &path, None).await.expect(200);
        assert_eq!(listed.body["data"].as_array().unwrap().len(), count, "{query}");
    }
    let forget = format!("/v1/suppressions/{}/forget", everywhere.text("/id"));
    let refused = app.send(router(&app), Method::POST, &forget, None).await.expect(409);
    assert_eq!(refused.text("/code"), "not_an_address");
}

#[tokio::test]
async fn what_is_no_suppression_is_refused() {
    let app = App::new().await;
    for (body, field) in [
        (json!({"email": "nobody"}), "email"),
        (json!({"email": "a@people.test", "note": "x".repeat(201)}), "note"),
        (json!({"email": "a@people.test", "campaign_id": shared::CampaignId::fresh()}), "campaign_id"),
        (json!({"email": "a@people.test", "list_id": shared::ListId::fresh()}), "list_id"),
        (json!({"email": "a@people.test", "domain": "people.test"}), "email"),
        (json!({"domain": "no domain"}), "domain"),
        (json!({}), "email"),
    ] {
        let refused = app.send(router(&app), Method::POST, "/v1/suppressions", Some(body)).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), field);
    }
    for body in [json!({"email": "a@people.test", "reason": "odd"}), json!({"email": 1})] {
        app.send(router(&app), Method::POST, "/v1/suppressions", Some(body)).await.expect(422);
    }
    for query in ["scope=all", "from=yesterday", "campaign_id=x", "unknown=1"] {
        app.send(router(&app), Method::GET, &format!("/v1/suppressions?{query}"), None).await.expect(400);
    }
}

#[tokio::test]
async fn a_list_is_imported_once_and_comes_back_from_its_export() {
    let app = App::new().await;
    let first = app.sample(router(&app), "suppressions/import", &[]).await.expect(200);
    assert_eq!(first.body["lines"], 3);
    assert_eq!((&first.body["added"], &first.body["known"], &first.body["refused"]), (&json!(2), &json!(0), &json!(1)));
    assert_eq!(first.body["errors"][0]["line"], 4);
    assert_eq!(first.text("/errors/0/code"), "no_at");
    let second = app.sample(router(&app), "suppressions/import", &[]).await.expect(200);
    assert_eq!((&second.body["added"], &second.body["known"]), (&json!(0), &json!(2)));

    let entries = json!({"entries": [{"email": "=odd@people.test", "note": "=1+1"}, {"reason": "manual"}]});
    let path = "/v1/suppressions/import";
    let third = app.send(router(&app), Method::POST, path, Some(entries)).await.expect(200);
    assert_eq!((third.body["added"].clone(), third.text("/errors/0/code")), (json!(1), "empty"));
    let ada = app.send(router(&app), Method::GET, "/v1/suppressions?email=ada@people.test", None).await;
    let forget = format!("/v1/suppressions/{}/forget", ada.text("/data/0/id"));
    app.send(router(&app), Method::POST, &forget, None).await.expect(200);

    let exported = app.sample(router(&app), "suppressions/export", &[]).await.expect(200);
    assert_eq!(exported.headers["content-type"], "text/csv; charset=utf-8");
    assert!(!exported.headers.contains_key("x-next-cursor"));
    let csv = exported.body.as_str().unwrap().to_owned();
    assert!(csv.contains("'=odd@people.test") && csv.contains("'=1+1") && !csv.contains("ada@"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
    let page = app.send(router(&app), Method::GET, "/v1/suppressions/export?limit=2", None).await.expect(200);
    let next = format!("/v1/suppressions/export?limit=2&cursor={}", page.headers["x-next-cursor"].to_str().unwrap());
    let last = app.send(router(&app), Method::GET, &next, None).await.expect(200);
    assert_eq!(last.body.as_str().unwrap().lines().count(), 2);
    app.send(router(&app), Method::GET, "/v1/suppressions/export?limit=20001", None).await.expect(422);

    app.scene.run("delete from suppressions", &[]).await;
    let back = app.send_text(router(&app), path, "text/csv; charset=utf-8", csv.clone()).await.expect(200);
    assert_eq!((&back.body["added"], &back.body["refused"]), (&json!(3), &json!(0)), "{:#}", back.body);
    let again = app.sample(router(&app), "suppressions/export", &[]).await.expect(200);
    let without_times = |csv: &str| {
        let mut lines: Vec<String> = csv.lines().filter_map(|line| Some(line.rsplit_once(',')?.0.to_owned())).collect();
        lines.sort();
        lines
    };
    assert_eq!(without_times(again.body.as_str().unwrap()), without_times(&csv));
}

#[tokio::test]
async fn of_the_lines_of_one_address_the_gravest_counts_and_no_reason_is_guessed() {
    let app = App::new().await;
    let csv = "email,reason\na@people.test,manual\na@people.test,complaint\na@people.test,\n\
               b@people.test,?!\nc@people.test,Über\nd@people.test,\n";
    let path = "/v1/suppressions/import";
    let imported = app.send_text(router(&app), path, "text/csv", csv.to_owned()).await.expect(200);
    assert_eq!((&imported.body["added"], &imported.body["refused"]), (&json!(2), &json!(2)), "{:#}", imported.body);
    let lines: Vec<&Value> = imported.body["errors"].as_array().unwrap().iter().map(|error| &error["line"]).collect();
    assert_eq!(lines, [&json!(5), &json!(6)]);
    let listed = app.send(router(&app), Method::GET, "/v1/suppressions", None).await.expect(200);
    let mut reasons: Vec<(&str, &str)> = listed.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["email"].as_str().unwrap(), row["reason"].as_str().unwrap()))
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [("a@people.test", "complaint"), ("d@people.test", "manual")]);
}

#[tokio::test]
async fn a_list_that_can_not_be_read_changes_nothing() {
    let app = App::new().await;
    let path = "/v1/suppressions/import";
    for (kind, text, status) in [
        ("text/plain", "a@people.test".to_owned(), 415),
        ("application/json", "{".to_owned(), 400),
        ("application/json", "{\"entries\": [{\"mail\": \"a@people.test\"}]}".to_owned(), 422),
        ("text/csv", "reason\nmanual\n".to_owned(), 422),
        ("text/csv", "a@people.test\n".repeat(80_000), 413),
    ] {
        let refused = app.send_text(router(&app), path, kind, text).await.expect(status);
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    let blank = app.send_text(router(&app), path, "text/csv", "\n\n".to_owned()).await.expect(200);
    assert_eq!(blank.body, json!({"lines": 0, "added": 0, "known": 0, "refused": 0, "errors": []}));
    assert_eq!(app.scene.number("select count(*) from suppressions", &[]).await, 0);
}
