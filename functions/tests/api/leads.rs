//! `/v1/leads/{key}`: people who come by themselves, and everybody else who can read a page.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use functions::api::lead_forms;
use functions::api::leads::{self, Leads};
use serde_json::{Value, json};
use shared::ContactId;

use crate::app::{Answer, App, call, filled_sample};

const ORIGIN: &str = "https://www.example.com";
const CONSENT: &str = "Write to me about Martlet.";

/// An organization with a page in which a form stands, with a list and a tag.
struct Page {
    app: App,
    id: String,
    key: String,
    list: String,
    tag: String,
}

impl Page {
    async fn new() -> Self {
        let app = App::new().await;
        let db = app.scene.db.app();
        let list = app.sample(functions::api::lists::router(db), "lists/create", &[]).await.expect(201);
        let tag = app.sample(crate::contacts::router(&app), "tags/create", &[]).await.expect(201);
        let made = app.sample(router(&app), "lead_forms/create", &[]).await.expect(201);
        let (list, tag) = (list.text("/id").to_owned(), tag.text("/id").to_owned());
        let (id, key) = (made.text("/id").to_owned(), made.text("/key").to_owned());
        let page = Self { app, id, key, list, tag };
        page.change(json!({"list_ids": [page.list], "tag_ids": [page.tag]})).await;
        page
    }

    async fn change(&self, body: Value) -> Answer {
        let path = format!("/v1/lead-forms/{}", self.id);
        self.app.send(router(&self.app), Method::PATCH, &path, Some(body)).await.expect(200)
    }

    async fn form(&self) -> Value {
        let path = format!("/v1/lead-forms/{}", self.id);
        self.app.send(router(&self.app), Method::GET, &path, None).await.expect(200).body
    }

    /// Accepted, refused, throttled, trapped and not listed.
    async fn counts(&self) -> [i64; 5] {
        let counts = &self.form().await["counts"];
        ["accepted", "refused", "throttled", "trapped", "not_listed"].map(|name| counts[name].as_i64().unwrap())
    }

    /// What a script of the page sends.
    async fn send(&self, body: Value) -> Answer {
        self.send_as("application/json", body.to_string(), Some(ORIGIN)).await
    }

    async fn send_as(&self, kind: &str, body: String, origin: Option<&str>) -> Answer {
        self.send_under(&self.key, kind, body, origin).await
    }

    async fn send_under(&self, key: &str, kind: &str, body: String, origin: Option<&str>) -> Answer {
        let mut request = Request::builder().method(Method::POST).uri(format!("/v1/leads/{key}"));
        request = request.header("content-type", kind);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        call(router(&self.app), request.body(Body::from(body)).unwrap()).await
    }

    async fn sample(&self, name: &str) -> Answer {
        call(router(&self.app), filled_sample(name, &[("LEAD_KEY", &self.key)])).await
    }

    async fn number(&self, sql: &str) -> i64 {
        self.app.scene.number(sql, &[]).await
    }

    async fn contacts(&self) -> i64 {
        self.number("select count(*) from contacts").await
    }

    async fn contact_of(&self, email: &str) -> Value {
        let sql = "select id from contacts where email_lower = lower($1)";
        let id: ContactId = self.app.scene.rows(sql, &[&email]).await[0].get(0);
        let path = format!("/v1/contacts/{id}");
        self.app.send(crate::contacts::router(&self.app), Method::GET, &path, None).await.expect(200).body
    }

    /// Carries something out on a contact, or on what lies in the bin.
    async fn act(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.app.send(crate::contacts::router(&self.app), method, path, body).await
    }
}

fn router(app: &App) -> Router {
    let db = app.scene.db.app();
    lead_forms::router(db.clone()).merge(leads::router(Leads { db, keys: testkit::key_ring().into() }))
}

fn lead(email: &str) -> Value {
    json!({"email": email, "consent": true})
}

/// What a visitor sees of an answer, but for what counts requests and names them.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let told = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "ratelimit-remaining" | "ratelimit-reset"));
    let told = told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status.as_u16(), told, answer.body.to_string())
}

#[tokio::test]
async fn whoever_comes_is_a_contact_on_the_list_with_what_they_agreed_to() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    let endpoint = "insert into webhook_endpoints (organization_id, id, kind, url)
                    values ($1, gen_random_uuid(), 'webhook', 'https://example.test/hooks')";
    scene.run(endpoint, &[&scene.organization]).await;
    let answer = page.sample("leads/create").await.expect(202);
    assert_eq!(answer.body, json!({"status": "accepted"}));
    assert_eq!(answer.headers["access-control-allow-origin"], ORIGIN);
    assert_eq!(
        (&answer.headers["vary"], &answer.headers["cache-control"]),
        (&"origin".parse().unwrap(), &"no-store".parse().unwrap())
    );
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));

    let contact = page.contact_of("ada@people.test").await;
    assert_eq!((&contact["email"], &contact["source"]), (&json!("Ada@people.test"), &json!("lead")));
    assert_eq!((&contact["first_name"], &contact["company"]), (&json!("Ada"), &json!("Analytical Engines")));
    assert_eq!((&contact["lists"][0]["id"], &contact["tags"][0]["id"]), (&json!(page.list), &json!(page.tag)));
    let told = "select count(*) from webhook_events where type = 'contact.created'";
    assert_eq!(page.number(told).await, 1);

    let path = format!("/v1/contacts/{}/timeline", contact["id"].as_str().unwrap());
    let timeline = page.act(Method::GET, &path, None).await.expect(200);
    let entry =
        timeline.body["data"].as_array().unwrap().iter().find(|entry| entry["kind"] == "lead_received").unwrap();
    let expected = json!({
        "form": "Newsletter", "origin": ORIGIN, "page_url": "https://www.example.com/news", "consent_text": CONSENT,
    });
    assert_eq!((&entry["subject_id"], &entry["details"]), (&json!(page.id), &expected));
    let stored = "select count(*) from leads where network_hash <> sha256('') and length(network_hash) = 32";
    assert_eq!(page.number(stored).await, 1);
    assert_eq!(page.counts().await, [1, 0, 0, 0, 0]);
    assert_eq!(page.number("select count(*) from audit_log where actor_kind = 'system'").await, 0);
}

#[tokio::test]
async fn a_plain_form_leads_on_to_the_forms_own_page_and_to_no_other() {
    let page = Page::new().await;
    let answer = page.sample("leads/create_form").await.expect(303);
    assert_eq!(answer.headers["location"], "https://www.example.com/thanks");
    assert_eq!(page.contact_of("ada@people.test").await["first_name"], "Ada");

    const FORM: &str = "application/x-www-form-urlencoded";
    page.change(json!({"unknown_fields": "ignore"})).await;
    for name in ["thank_you_url", "redirect", "next", "_next", "return_to"] {
        let body = format!("email=eve%40people.test&consent=on&{name}=https%3A%2F%2Fevil.example%2F");
        let answer = page.send_as(FORM, body, Some(ORIGIN)).await.expect(303);
        assert_eq!(answer.headers["location"], "https://www.example.com/thanks", "{name}");
    }
    page.change(json!({"thank_you_url": null})).await;
    let stays = page.send_as(FORM, "email=bob%40people.test&consent=on".to_owned(), Some(ORIGIN)).await.expect(202);
    assert!(!stays.headers.contains_key("location"));
}

#[tokio::test]
async fn a_browser_is_told_of_allowed_origins_alone() {
    let page = Page::new().await;
    let answer = page.sample("leads/preflight").await.expect(204);
    for (name, value) in [
        ("access-control-allow-origin", ORIGIN),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type"),
        ("vary", "origin"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    let ask = async |key: &str, origin: Option<&str>| {
        let mut request = Request::builder().method(Method::OPTIONS).uri(format!("/v1/leads/{key}"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        call(router(&page.app), request.body(Body::empty()).unwrap()).await
    };
    for origin in [Some("https://evil.example"), Some("null"), Some("https://www.example.com.evil.example"), None] {
        let refused = ask(&page.key, origin).await.expect(403);
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{origin:?}");
    }
    ask("lead_nothing", Some(ORIGIN)).await.expect(404);
    page.change(json!({"is_enabled": false})).await;
    ask(&page.key, Some(ORIGIN)).await.expect(404);
    assert_eq!(page.counts().await, [0; 5], "who asks has sent nothing");
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_and_a_program_is_not() {
    let page = Page::new().await;
    let body = || lead("eve@people.test").to_string();
    const JSON: &str = "application/json";
    for origin in ["https://evil.example", "http://www.example.com", "https://www.example.com:8443", "null", ""] {
        let refused = page.send_as(JSON, body(), Some(origin)).await.expect(403);
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    assert_eq!((page.contacts().await, page.counts().await), (0, [0, 5, 0, 0, 0]));
    let program = page.send_as(JSON, body(), None).await.expect(202);
    assert!(!program.headers.contains_key("access-control-allow-origin"));
    // A form without origins is for programs alone.
    page.change(json!({"allowed_origins": []})).await;
    page.send_as(JSON, body(), Some(ORIGIN)).await.expect(403);
    page.send_as(JSON, body(), None).await.expect(202);
}

#[tokio::test]
async fn whoever_fills_in_what_nobody_sees_is_answered_alike_and_not_kept() {
    let page = Page::new().await;
    let taken = page.send(lead("ada@people.test")).await.expect(202);
    let mut trapped = lead("bot@people.test");
    trapped["website"] = json!("https://casino.example");
    let answer = page.send(trapped).await;
    assert_eq!(seen(&answer), seen(&taken));
    // Whatever else is wrong with it.
    let answer = page.send(json!({"email": "no address", "website": "x", "more": 1})).await;
    assert_eq!(seen(&answer), seen(&taken));
    assert_eq!((page.contacts().await, page.counts().await), (1, [1, 0, 0, 2, 0]));
    // Empty as people leave it.
    page.send(json!({"email": "bob@people.test", "consent": true, "website": ""})).await.expect(202);
    assert_eq!(page.contacts().await, 2);
}

#[tokio::test]
async fn a_key_that_is_no_more_opens_nothing() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    let send = async |key: &str| {
        page.send_under(key, "application/json", lead("ada@people.test").to_string(), Some(ORIGIN)).await
    };
    let rotate = async |seconds: i64| {
        let path = format!("/v1/lead-forms/{}/rotate", page.id);
        let body = json!({"overlap_seconds": seconds});
        page.app.send(router(&page.app), Method::POST, &path, Some(body)).await.expect(200).text("/key").to_owned()
    };
    let first = page.key.as_str();
    let second = rotate(3_600).await;
    send(first).await.expect(202);
    send(&second).await.expect(202);
    scene.run("update lead_forms set previous_key_ends_at = clock_now() - interval '1 second'", &[]).await;
    send(first).await.expect(404);
    let third = rotate(0).await;
    send(&second).await.expect(404);
    send(&third).await.expect(202);

    // The same chance under another organization, and what is no key at all.
    let (other, _) = scene.another_organization("globex").await;
    let elsewhere = third.replace(&scene.organization.0.simple().to_string(), &other.0.simple().to_string());
    for key in [elsewhere.as_str(), "lead_", "nonsense", page.app.key.as_str(), &third.to_uppercase()] {
        send(key).await.expect(404);
    }
    page.change(json!({"is_enabled": false})).await;
    send(&third).await.expect(404);
    page.change(json!({"is_enabled": true})).await;
    send(&third).await.expect(202);
    scene.run("update organizations set status = 'suspended' where id = $1", &[&scene.organization]).await;
    send(&third).await.expect(404);
    scene.run("update organizations set status = 'active' where id = $1", &[&scene.organization]).await;
    let path = format!("/v1/lead-forms/{}", page.id);
    page.app.send(router(&page.app), Method::DELETE, &path, None).await.expect(204);
    send(&third).await.expect(404);
    assert_eq!(page.contacts().await, 1);
    assert_eq!(page.number("select count(*) from leads").await, 1, "what was agreed to stays");
    // A key of a form is none of the API's.
    let lists = functions::api::lists::router(scene.db.app());
    page.app.send_as(lists, Method::GET, "/v1/lists", None, Some(&third)).await.expect(401);
}

#[tokio::test]
async fn every_address_is_answered_alike_and_whoever_is_stopped_stays_stopped() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    let suppressions = || crate::suppressions::router(&page.app);
    for email in ["known@people.test", "gone@people.test", "erased@people.test", "stopped@people.test"] {
        page.act(Method::POST, "/v1/contacts", Some(json!({"email": email}))).await.expect(201);
    }
    for email in ["stopped@people.test", "nobody@people.test"] {
        let body = json!({"email": email});
        page.app.send(suppressions(), Method::POST, "/v1/suppressions", Some(body)).await.expect(201);
    }
    let id = async |email: &str| page.contact_of(email).await["id"].as_str().unwrap().to_owned();
    let (gone, erased) = (id("gone@people.test").await, id("erased@people.test").await);
    page.act(Method::DELETE, &format!("/v1/contacts/{gone}"), None).await.expect(204);
    page.act(Method::POST, &format!("/v1/contacts/{erased}/erase"), None).await.expect(200);
    let status = page.contact_of("stopped@people.test").await["status"].clone();

    let fresh = seen(&page.send(lead("new@people.test")).await.expect(202));
    for email in [
        "new@people.test",
        "known@people.test",
        "KNOWN@people.test",
        "gone@people.test",
        "erased@people.test",
        "stopped@people.test",
        "nobody@people.test",
    ] {
        assert_eq!(seen(&page.send(lead(email)).await), fresh, "{email}");
    }
    assert_eq!(page.contact_of("stopped@people.test").await["status"], status);
    assert_eq!(page.number("select count(*) from suppressions").await, 3, "nobody's suppression is lifted");
    assert_eq!(page.number("select count(*) from deleted_contacts").await, 1, "nobody is brought back from the bin");
    let named = "select count(*) from contacts where email_lower = 'erased@people.test'";
    assert_eq!(page.number(named).await, 0, "of a forgotten address nothing is kept");
    assert_eq!(page.number("select count(*) from leads").await, 5);
    assert_eq!(page.counts().await, [8, 0, 0, 0, 0]);
    assert_eq!(scene.number("select count(*) from messages", &[]).await, 0);
}

#[tokio::test]
async fn a_stranger_overwrites_nothing_and_fills_what_is_lacking() {
    let page = Page::new().await;
    let field = json!({"key": "seats", "type": "number"});
    page.act(Method::POST, "/v1/custom-fields", Some(field)).await.expect(201);
    page.change(json!({"fields": ["first_name", "last_name", "company", "timezone", "custom.seats"]})).await;
    let known = json!({"email": "Ada@people.test", "last_name": "Lovelace", "custom": {"seats": 1, "other": "kept"}});
    let before = page.act(Method::POST, "/v1/contacts", Some(known)).await.expect(201).body;
    let typed = json!({
        "email": "ADA@People.test", "first_name": "Eve", "last_name": "Evil", "company": "Theirs", "timezone": "Europe/Berlin",
        "custom": {"seats": "99"}, "consent": true,
    });
    page.send(typed.clone()).await.expect(202);
    let after = page.contact_of("ada@people.test").await;
    for field in ["id", "email", "name", "first_name", "last_name", "custom", "status", "source"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!((&after["company"], &after["timezone"]), (&json!("Theirs"), &json!("Europe/Berlin")));
    assert_eq!((&after["lists"][0]["id"], &after["tags"][0]["id"]), (&json!(page.list), &json!(page.tag)));
    // Once more, and nothing changes.
    page.send(typed).await.expect(202);
    assert_eq!(page.contact_of("ada@people.test").await, after);
}

#[tokio::test]
async fn the_same_sent_twice_makes_one_contact_also_at_once() {
    let page = Page::new().await;
    let (one, other) = tokio::join!(page.send(lead("ada@people.test")), page.send(lead("Ada@people.test")));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (202, 202));
    page.send(lead("ada@people.test")).await.expect(202);
    assert_eq!((page.contacts().await, page.number("select count(*) from leads").await), (1, 1));
    assert_eq!(page.number("select count(*) from list_members").await, 1);
    assert_eq!(page.counts().await, [3, 0, 0, 0, 0]);
    // Later, or to another text, it is another lead of the same contact.
    page.app.scene.run("update leads set received_at = received_at - interval '1 hour'", &[]).await;
    page.send(lead("ada@people.test")).await.expect(202);
    page.change(json!({"consent_text": "Write to me about everything."})).await;
    page.send(lead("ada@people.test")).await.expect(202);
    assert_eq!((page.contacts().await, page.number("select count(*) from leads").await), (1, 3));
    let texts = "select count(distinct consent_text) from leads";
    assert_eq!(page.number(texts).await, 2, "each has what was agreed to then");
    // The form tells who came, page by page.
    let leads = async |rest: &str| {
        let path = format!("/v1/lead-forms/{}/leads?limit=2{rest}", page.id);
        page.app.send(router(&page.app), Method::GET, &path, None).await.expect(200).body
    };
    let newest = leads("").await;
    assert_eq!(newest["data"][0]["consent_text"], "Write to me about everything.");
    assert_eq!((&newest["data"][1]["consent_text"], &newest["data"][1]["origin"]), (&json!(CONSENT), &json!(ORIGIN)));
    let oldest = leads(&format!("&cursor={}", newest["next_cursor"].as_str().unwrap())).await;
    let everybody = [&newest["data"][0], &newest["data"][1], &oldest["data"][0]].map(|lead| lead["email"].as_str());
    assert!(everybody.iter().all(|email| email.unwrap().eq_ignore_ascii_case("ada@people.test")), "{everybody:?}");
    assert_eq!((oldest["data"].as_array().unwrap().len(), &oldest["next_cursor"]), (1, &Value::Null));
    page.app.sample(router(&page.app), "lead_forms/leads", &[("LEAD_FORM_ID", &page.list)]).await.expect(404);
}

#[tokio::test]
async fn a_form_takes_as_much_as_its_limits_say() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    page.change(json!({"minute_limit": 2, "day_limit": 4})).await;
    // In a minute and on a day that do not end while the test runs.
    let hold = "update lead_form_usage set minute = now() + interval '1 hour', minute_used = 0,
                       day = (now() at time zone 'UTC')::date + 1";
    scene.run(hold, &[]).await;
    let send = async |n: usize| page.send(lead(&format!("person{n}@people.test"))).await;
    for n in [1, 2] {
        send(n).await.expect(202);
    }
    let refused = send(3).await.expect(429);
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<i64>().unwrap() > 0);
    assert_eq!(refused.headers["access-control-allow-origin"], ORIGIN, "the page may read it");
    send(3).await.expect(429);
    assert_eq!((page.contacts().await, page.counts().await), (2, [2, 0, 2, 0, 0]));
    // Another minute; what the last one had too much of uses up none of the day.
    scene.run("update lead_form_usage set minute_used = 0", &[]).await;
    for n in [4, 5] {
        send(n).await.expect(202);
    }
    scene.run("update lead_form_usage set minute_used = 0", &[]).await;
    let day = send(6).await.expect(429);
    assert!(day.headers["retry-after"].to_str().unwrap().parse::<i64>().unwrap() > 60);
    // The next day.
    scene.run("update lead_form_usage set minute_used = 0, day = day - 2", &[]).await;
    send(6).await.expect(202);
    // Another form has limits of its own.
    let other = json!({"name": "Other", "minute_limit": 1});
    let made = page.app.send(router(&page.app), Method::POST, "/v1/lead-forms", Some(other)).await.expect(201);
    let body = || json!({"email": "ada@people.test"}).to_string();
    page.send_under(made.text("/key"), "application/json", body(), None).await.expect(202);
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_pass_as_the_form_takes() {
    let page = Page::new().await;
    page.change(json!({"minute_limit": 3})).await;
    page.app.scene.run("update lead_form_usage set minute = now() + interval '1 hour', minute_used = 0", &[]).await;
    let sent = (0..8).map(|n| {
        let page = &page;
        async move { page.send(lead(&format!("person{n}@people.test"))).await.status.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(sent).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 202, 202, 429, 429, 429, 429, 429]);
    assert_eq!((page.contacts().await, page.counts().await), (3, [3, 0, 5, 0, 0]));
}

#[tokio::test]
async fn one_network_has_a_third_of_a_forms_minute_and_of_its_day() {
    let page = Page::new().await;
    page.change(json!({"minute_limit": 36})).await;
    page.send(lead("person1@people.test")).await.expect(202);
    // A minute that does not end while the test runs.
    for table in ["lead_form_usage set minute", "address_request_counts set window_start"] {
        page.app.scene.run(&format!("update {table} = now() + interval '1 hour'"), &[]).await;
    }
    for n in 2..=12 {
        page.send(lead(&format!("person{n}@people.test"))).await.expect(202);
    }
    let refused = page.send(lead("person13@people.test")).await.expect(429);
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<i64>().unwrap() > 0);
    assert_eq!(page.counts().await, [12, 0, 1, 0, 0]);
    // Whoever else comes is taken.
    page.sample("leads/create").await.expect(202);
    assert_eq!((page.contacts().await, page.counts().await), (13, [13, 0, 1, 0, 0]));
    // What was too much for the minute was none of the day's hundred.
    let network = testkit::key_ring().network_hash(std::net::Ipv4Addr::UNSPECIFIED.into());
    let share = async |of: &str| {
        let sql = "select used from address_request_counts where address_hash = sha256($1 || uuid_send($2::text::uuid) || $3::text::bytea)";
        page.app.scene.number(sql, &[&network.as_slice(), &page.id, &of]).await
    };
    assert_eq!((share("minute").await, share("day").await), (13, 12));
    page.change(json!({"day_limit": 300})).await;
    page.app
        .scene
        .run("update address_request_counts set used = case used when 12 then 99 else 0 end + 1 where used >= 12", &[])
        .await;
    let refused = page.send(lead("person14@people.test")).await.expect(429);
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<i64>().unwrap() > 60);
    assert_eq!(page.counts().await, [13, 0, 2, 0, 0]);
    // Whoever sends for many is given the whole.
    page.change(json!({"allowed_origins": []})).await;
    page.send_as("application/json", lead("person15@people.test").to_string(), None).await.expect(202);
    // What is refused uses up nothing of it.
    page.send_as("application/json", json!({"email": "no address"}).to_string(), None).await.expect(422);
    assert_eq!(share("day").await, 101);
}

#[tokio::test]
async fn an_address_has_a_number_of_requests_a_minute_over_all_forms() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    scene.run("update system_config set value = '3' where category = 'rate_limits' and key = 'public'", &[]).await;
    page.sample("leads/create").await.expect(202);
    scene.run("update address_request_counts set window_start = now() + interval '1 hour', used = 1", &[]).await;
    page.sample("leads/preflight").await.expect(204);
    page.sample("leads/create").await.expect(202);
    page.sample("leads/create").await.expect(429);
    page.sample("leads/preflight").await.expect(429);
    assert_eq!(page.counts().await, [2, 0, 0, 0, 0], "the form is not asked");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_kept() {
    let page = Page::new().await;
    for (key, kind) in
        [("seats", "number"), ("agrees", "boolean"), ("day", "date"), ("note", "text"), ("secret", "text")]
    {
        let field = json!({"key": key, "type": kind});
        page.act(Method::POST, "/v1/custom-fields", Some(field)).await.expect(201);
    }
    let fields = json!(["name", "timezone", "custom.seats", "custom.agrees", "custom.day", "custom.note"]);
    page.change(json!({"fields": fields})).await;
    let long = "x".repeat(201);
    for (field, value, code) in [
        ("email", json!("no address"), "no_at"),
        ("email", json!(7), "wrong_type"),
        ("email", json!(""), "required"),
        ("consent", json!("no"), "required"),
        ("consent", json!(false), "required"),
        ("name", json!(long), "too_long"),
        ("name", json!("https://evil.example/refund"), "link"),
        ("name", json!("Dear customer, see WWW.evil.example"), "link"),
        ("name", json!("see evil.example/refund"), "link"),
        ("name", json!("a\r\nbcc: b"), "control_character"),
        ("name", json!(["a"]), "wrong_type"),
        ("timezone", json!("Mars/Olympus"), "unknown_timezone"),
        ("custom.seats", json!("many"), "wrong_type"),
        ("custom.agrees", json!("maybe"), "wrong_type"),
        ("custom.day", json!("28.02.2026"), "wrong_type"),
        ("custom.note", json!("a\u{0}b"), "control_character"),
        ("custom.note", json!("a\u{1b}b"), "control_character"),
        ("custom.secret", json!("x"), "unknown_field"),
        ("company", json!("x"), "unknown_field"),
        ("status", json!("active"), "unknown_field"),
        ("organization_id", json!("x"), "unknown_field"),
    ] {
        let mut body = lead("ada@people.test");
        body[field] = value;
        let refused = page.send(body).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), (field, code), "{field}");
        assert_eq!(refused.headers["access-control-allow-origin"], ORIGIN, "the page may say what is wrong");
        page.app.scene.run("update lead_form_usage set minute_used = 0", &[]).await;
        page.app.scene.run("delete from address_request_counts", &[]).await;
    }
    let all = page.send(json!({"email": "x", "name": long})).await.expect(422);
    assert_eq!(all.body["errors"].as_array().unwrap().len(), 3, "all of it at once: {:#}", all.body);
    const JSON: &str = "application/json";
    page.send_as(JSON, "{".to_owned(), Some(ORIGIN)).await.expect(400);
    page.send_as(JSON, "[]".to_owned(), Some(ORIGIN)).await.expect(422);
    page.send_as("text/plain", lead("a@b.test").to_string(), Some(ORIGIN)).await.expect(415);
    let large = json!({"email": "ada@people.test", "consent": true, "custom": {"note": "x".repeat(17_000)}});
    page.send_as(JSON, large.to_string(), Some(ORIGIN)).await.expect(413);
    let twice = "email=a%40b.test&email=c%40d.test&consent=on".to_owned();
    page.send_as("application/x-www-form-urlencoded", twice, Some(ORIGIN)).await.expect(422);
    assert_eq!((page.contacts().await, page.number("select count(*) from leads").await), (0, 0));
    let [accepted, refused, ..] = page.counts().await;
    assert_eq!((accepted, refused), (0, 27));
    assert_eq!(
        page.number("select day_used::bigint from lead_form_usage").await,
        0,
        "what is refused shuts nobody out for a day"
    );
}

#[tokio::test]
async fn what_pages_send_as_text_is_of_its_fields_types() {
    let page = Page::new().await;
    for (key, kind) in [("seats", "number"), ("agrees", "boolean"), ("day", "date"), ("note", "text")] {
        let field = json!({"key": key, "type": kind});
        page.act(Method::POST, "/v1/custom-fields", Some(field)).await.expect(201);
    }
    let fields = json!(["custom.seats", "custom.agrees", "custom.day", "custom.note"]);
    page.change(json!({"fields": fields, "unknown_fields": "keep"})).await;
    let form = "email=ada%40people.test&consent=on&custom.seats=12&custom.agrees=on&custom.day=2026-03-04\
                &custom.note=one%0D%0Atwo&utm_source=ads&last_name=";
    page.send_as("application/x-www-form-urlencoded", form.to_owned(), Some(ORIGIN)).await.expect(303);
    let expected = json!({"seats": 12, "agrees": true, "day": "2026-03-04", "note": "one\ntwo", "utm_source": "ads"});
    assert_eq!(page.contact_of("ada@people.test").await["custom"], expected);
    let values = "select count(*) from custom_values";
    assert_eq!(page.number(values).await, 4, "contacts can be selected by them");
    // Kept are those that nobody has defined: others the form has to name.
    for (field, code) in [("company", "unknown_field"), ("a b", "invalid_key"), ("custom.1", "invalid_key")] {
        let mut body = lead("bob@people.test");
        body[field] = json!("x");
        let refused = page.send(body).await.expect(422);
        assert_eq!((refused.text("/errors/0/field"), refused.text("/errors/0/code")), (field, code));
    }
    page.change(json!({"unknown_fields": "ignore"})).await;
    page.send(json!({"email": "bob@people.test", "consent": true, "company": "x", "a b": 1})).await.expect(202);
    let bob = page.contact_of("bob@people.test").await;
    assert_eq!((&bob["company"], &bob["custom"]), (&Value::Null, &json!({})));
}

#[tokio::test]
async fn a_list_without_room_is_left_out_and_nobody_outside_is_told() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    let bound = "insert into plan_limits (plan_type, name, maximum) values ('free', 'contacts_a_list', 1)
                     on conflict (plan_type, name) do update set maximum = 1";
    scene.run(bound, &[]).await;
    scene.run("update organizations set plan_type = 'free', has_plan_limits = true", &[]).await;
    let first = page.send(lead("ada@people.test")).await.expect(202);
    let second = page.send(lead("bob@people.test")).await.expect(202);
    assert_eq!(seen(&first), seen(&second));
    assert_eq!(page.number("select count(*) from list_members").await, 1);
    assert_eq!(page.contact_of("bob@people.test").await["tags"][0]["id"], page.tag.as_str());
    // Whoever is on it already is not missing.
    page.send(lead("ada@people.test")).await.expect(202);
    assert_eq!(page.counts().await, [3, 0, 0, 0, 1]);
}

#[tokio::test]
async fn what_comes_through_a_form_is_its_organizations_alone() {
    let page = Page::new().await;
    let scene = &page.app.scene;
    let (other, _) = scene.another_organization("globex").await;
    let sql = "insert into contacts (organization_id, id, email) values ($1, gen_random_uuid(), 'ada@people.test')";
    scene.run(sql, &[&other]).await;
    let theirs = async || {
        let sql = "select t::text from contacts t where organization_id = $1";
        scene.rows(sql, &[&other]).await.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    let before = theirs().await;
    page.sample("leads/create").await.expect(202);
    assert_eq!(theirs().await, before);
    for table in ["leads", "list_members", "contact_tags"] {
        let sql = format!("select count(*) from {table} where organization_id = $1");
        assert_eq!(scene.number(&sql, &[&other]).await, 0, "{table}");
    }
    // Another organization sees neither the form nor its counts.
    let key = scene.api_key_of(other).await;
    let path = format!("/v1/lead-forms/{}", page.id);
    for (method, body) in
        [(Method::GET, None), (Method::PATCH, Some(json!({"is_enabled": false}))), (Method::DELETE, None)]
    {
        page.app.send_as(router(&page.app), method, &path, body, Some(&key)).await.expect(404);
    }
    assert_eq!(page.form().await["is_enabled"], true);
}

#[tokio::test]
async fn what_somebody_agreed_to_goes_where_they_go() {
    let page = Page::new().await;
    page.sample("leads/create").await.expect(202);
    let ada = page.contact_of("ada@people.test").await["id"].as_str().unwrap().to_owned();
    let leads = async |of: &str| {
        let sql = "select count(*) from leads where contact_id::text = $1 and consent_text is not null";
        page.app.scene.number(sql, &[&of]).await
    };
    let kept = async || {
        let sql = "select (to_jsonb(l) - 'contact_id')::text from leads l";
        page.app.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    let before = kept().await;
    // Into the bin and back.
    page.act(Method::DELETE, &format!("/v1/contacts/{ada}"), None).await.expect(204);
    assert_eq!(leads(&ada).await, 0);
    page.act(Method::POST, &format!("/v1/contacts/deleted/{ada}/restore"), None).await.expect(200);
    assert_eq!((leads(&ada).await, kept().await), (1, before.clone()));
    // Into whoever they are merged with.
    let bob = page.act(Method::POST, "/v1/contacts", Some(json!({"email": "bob@people.test"}))).await.expect(201);
    let bob = bob.text("/id").to_owned();
    let merge = json!({"contact_ids": [ada]});
    page.act(Method::POST, &format!("/v1/contacts/{bob}/merge"), Some(merge)).await.expect(200);
    assert_eq!((leads(&bob).await, kept().await), (1, before));
    let export = page.act(Method::GET, &format!("/v1/contacts/{bob}/export"), None).await.expect(200);
    let told = &export.body["data"]["leads"][0];
    assert_eq!((&told["consent_text"], &told["origin"]), (&json!(CONSENT), &json!(ORIGIN)));
    // And gone with them.
    page.act(Method::POST, &format!("/v1/contacts/{bob}/erase"), None).await.expect(200);
    assert_eq!(page.number("select count(*) from leads").await, 0);
    page.send(lead("bob@people.test")).await.expect(202);
    assert_eq!((page.number("select count(*) from leads").await, page.contacts().await), (0, 0));
}
