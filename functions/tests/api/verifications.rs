use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::verifications::{self, Verifications};
use serde_json::{Value, json};
use shared::Database;
use shared::audience::verifications::checking::MailHost;
use testkit::{FakeAsker, FakeEnrichmentQueue, FakeMailHosts};

use crate::app::App;

pub(crate) fn of(db: Database) -> Router {
    with(db, Arc::default())
}

pub(crate) fn router(app: &App) -> Router {
    of(app.scene.db.app())
}

fn with(db: Database, hosts: Arc<FakeMailHosts>) -> Router {
    verifications::router(Verifications {
        db,
        queue: Arc::<FakeEnrichmentQueue>::default(),
        hosts,
        asker: Arc::<FakeAsker>::default(),
        keys: Arc::new(testkit::key_ring()),
    })
}

#[tokio::test]
async fn an_address_is_checked_and_without_a_provider_none_is_valid() {
    let app = App::new().await;
    let hosts = Arc::<FakeMailHosts>::default();
    hosts.say("nowhere.test", MailHost::Absent);
    hosts.say("null.test", MailHost::NullMx);
    hosts.say("slow.test", MailHost::Unknown);
    let found = app.sample(with(app.scene.db.app(), hosts.clone()), "verifications/check", &[]).await.expect(200);
    assert_eq!((found.text("/status"), found.text("/reason")), ("unverified", "no_provider"));
    let passed = json!({"syntax": "passed", "disposable": "passed", "role_based": "passed", "deliverable": "unknown",
                        "blacklisted": "passed"});
    assert_eq!(found.body["checks"], passed);
    for (email, status, reason, failed) in [
        ("ada@nowhere.test", "invalid", "no_mail_host", Some("deliverable")),
        ("ada@null.test", "invalid", "takes_no_mail", Some("deliverable")),
        ("ada@slow.test", "unverified", "dns_unavailable", None),
        ("info@people.test", "invalid", "role_address", Some("role_based")),
        ("ada@x.mailinator.com", "invalid", "disposable_domain", Some("disposable")),
        ("ada@people", "invalid", "syntax_domain", Some("syntax")),
        ("müller@bücher.test", "invalid", "syntax_not_ascii", Some("syntax")),
        (" ada@bücher.test ", "unverified", "no_provider", None),
    ] {
        let body = Some(json!({"email": email}));
        let router = with(app.scene.db.app(), hosts.clone());
        let found = app.send(router, Method::POST, "/v1/verifications", body).await.expect(200);
        assert_eq!((found.text("/status"), found.text("/reason")), (status, reason), "{email}");
        let failing = found.body["checks"].as_object().unwrap().iter().find(|(_, state)| *state == "failed");
        assert_eq!(failing.map(|(name, _)| name.as_str()), failed, "{email}");
    }
    // Nobody has these addresses, so nothing is kept of them.
    let page = app.sample(router(&app), "verifications/list", &[]).await.expect(200);
    assert_eq!(page.body["data"], json!([]));
}

#[tokio::test]
async fn what_is_known_is_listed_by_address_and_counted() {
    let app = App::new().await;
    app.scene.contacts(3).await;
    for email in ["PERSON1@people.test", "person2@people.test", "person3@mailinator.com"] {
        if email.ends_with(".com") {
            let sql = "update contacts set email = $1 where email = 'person3@people.test'";
            app.scene.run(sql, &[&email]).await;
        }
        let body = Some(json!({"email": email}));
        app.send(router(&app), Method::POST, "/v1/verifications", body).await.expect(200);
    }
    let list =
        async |query: &str| app.send(router(&app), Method::GET, &format!("/v1/verifications{query}"), None).await;
    let emails = |body: &Value| -> Vec<String> {
        let rows = body["data"].as_array().unwrap().iter();
        rows.map(|row| row["email"].as_str().unwrap().to_owned()).collect()
    };
    let first = list("?limit=2").await.expect(200);
    assert_eq!(emails(&first.body), ["person1@people.test", "person2@people.test"]);
    let next = list(&format!("?limit=2&cursor={}", first.text("/next_cursor"))).await.expect(200);
    assert_eq!(emails(&next.body), ["person3@mailinator.com"]);
    assert_eq!(emails(&list("?status=invalid").await.expect(200).body), ["person3@mailinator.com"]);
    assert_eq!(emails(&list("?email=Person2@people.test").await.expect(200).body), ["person2@people.test"]);
    assert_eq!(emails(&list("?email=nobody&status=valid").await.expect(200).body), [""; 0]);
    list("?status=odd").await.expect(400);
    let summary = app.sample(router(&app), "verifications/summary", &[]).await.expect(200);
    assert_eq!(summary.body, json!({"valid": 0, "invalid": 1, "unverified": 2}));
    let told = "select count(*) from audit_log where details::text like '%@%'";
    assert_eq!(app.scene.number(told, &[]).await, 0, "an address is in the audit log");
}

#[tokio::test]
async fn one_verification_of_many_runs_at_a_time_and_is_stopped_and_goes_on() {
    let app = App::new().await;
    app.scene.contacts(2).await;
    let made = app.sample(router(&app), "verifications/jobs_create", &[]).await.expect(202);
    let id = made.text("/id").to_owned();
    assert_eq!(made.headers["location"], format!("/v1/verifications/jobs/{id}"));
    assert_eq!((&made.body["total"], &made.body["valid"]), (&json!(2), &json!(0)));
    let second = app.sample(router(&app), "verifications/jobs_create", &[]).await.expect(409);
    assert_eq!(second.text("/code"), "verification_is_running");
    let fill = [("VERIFICATION_JOB_ID", id.as_str())];
    let cancelled = app.sample(router(&app), "verifications/jobs_cancel", &fill).await.expect(200);
    assert_eq!(cancelled.text("/status"), "cancelled");
    let resumed = app.sample(router(&app), "verifications/jobs_resume", &fill).await.expect(202);
    let found = app.sample(router(&app), "verifications/jobs_find", &fill).await.expect(200);
    assert_eq!((found.text("/status"), &found.body), ("running", &resumed.body));
    let page = app.sample(router(&app), "verifications/jobs_list", &[]).await.expect(200);
    assert_eq!(page.body["data"], json!([found.body]));
    app.scene.run("update verification_jobs set selection = null, status = 'cancelled', ended_at = now()", &[]).await;
    let refused = app.sample(router(&app), "verifications/jobs_resume", &fill).await.expect(409);
    assert_eq!(refused.text("/code"), "selection_is_gone");
}
