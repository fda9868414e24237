use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use functions::api::tracking::{self, Tracking};
use shared::Database;
use shared::delivery::tokens::KeyRing;
use tower::ServiceExt;
use uuid::Uuid;

use crate::app::{Answer, App};

const URL: &str = "https://example.com/offer?a=1&b=2#part";

/// An organization whose only message was sent an hour ago and has one link, with the routes around it.
struct Mailbox {
    app: App,
    router: Router,
    keys: KeyRing,
    organization: Uuid,
    message: Uuid,
    link: Uuid,
}

impl Mailbox {
    async fn new() -> Self {
        let app = App::new().await;
        let sender = app.scene.sender(1, 100, 30).await;
        app.scene.running_campaign(1, &[sender], 2, 100).await;
        app.scene
            .run(
                "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                       recipient, state, slot_day, send_at, expires_at, attempts, sent_at)
                 select e.organization_id, gen_random_uuid(), 'one', e.id, e.campaign_id, s.id, e.contact_id, e.sender_id,
                        'Person1@People.test', 'sent', current_date, clock_now() - interval '1 hour', clock_now(), 1,
                        clock_now() - interval '1 hour'
                   from enrollments e join steps s on s.campaign_id = e.campaign_id and s.position = 1",
                &[],
            )
            .await;
        app.scene
            .run(
                "insert into tracked_links (organization_id, id, campaign_id, step_id, url)
                 select organization_id, gen_random_uuid(), campaign_id, step_id, $1 from messages",
                &[&URL],
            )
            .await;
        let sql = "select m.organization_id, m.id, l.id from messages m cross join tracked_links l";
        let row = app.scene.rows(sql, &[]).await.remove(0);
        let keys = testkit::key_ring();
        let router = router(app.scene.db.app(), &keys);
        Self { app, router, keys, organization: row.get(0), message: row.get(1), link: row.get(2) }
    }

    fn unsubscribe_token(&self) -> String {
        self.keys.unsubscribe_token(self.organization, self.message)
    }

    fn pixel_token(&self) -> String {
        self.keys.pixel_token(self.organization, self.message)
    }

    fn click_token(&self) -> String {
        self.keys.click_token(self.organization, self.message, self.link)
    }

    async fn sample(&self, name: &str, token: &str) -> Answer {
        self.app.sample(self.router.clone(), &format!("tracking/{name}"), &[("TOKEN", token)]).await
    }

    async fn send(&self, method: Method, path: &str) -> Answer {
        self.app.send_as(self.router.clone(), method, path, None, None).await
    }

    /// The same routes, whose database nobody answers for.
    fn without_a_database(&self) -> Router {
        let mut config = self.app.scene.db.config("martlet_app");
        // The discard port: refused at once.
        config.port = 9;
        router(Database::new(&config).unwrap(), &self.keys)
    }

    async fn count(&self, what: &str) -> i64 {
        self.app.scene.number(&format!("select count(*) from {what}"), &[]).await
    }

    async fn unfinished(&self) -> i64 {
        self.count("enrollments where status in ('pending', 'in_progress')").await
    }
}

fn router(db: Database, keys: &KeyRing) -> Router {
    tracking::router(Tracking { db, keys: Arc::new(keys.clone()) })
}

/// Fails unless it is a page for a person, with nothing that a browser keeps or runs.
#[track_caller]
fn expect_page(answer: Answer, status: u16) -> String {
    let answer = answer.expect(status);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none';"));
    assert!(answer.headers.get("set-cookie").is_none() && answer.headers.get("location").is_none());
    let html = answer.body.as_str().unwrap().to_owned();
    assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("href="), "{html}");
    html
}

#[tokio::test]
async fn unsubscribe_get_changes_nothing_post_does_no_cookie_no_redirect() {
    let mailbox = Mailbox::new().await;
    let token = mailbox.unsubscribe_token();
    let html = expect_page(mailbox.sample("show", &token).await, 200);
    assert!(html.contains("<form method=\"post\">") && html.contains("P…@People.test"), "{html}");
    assert!(!html.contains("Person1"), "the page does not show the whole address: {html}");
    assert!(!html.contains("Spring"), "nor how the sender calls its campaign: {html}");
    mailbox.send(Method::HEAD, &format!("/u/{token}")).await.expect(200);
    assert_eq!((mailbox.count("suppressions").await, mailbox.count("message_events").await), (0, 0));
    assert_eq!(mailbox.unfinished().await, 1);
    let html = expect_page(mailbox.sample("one_click", &token).await, 200);
    assert!(html.contains("You are unsubscribed") && !html.contains("<form"), "{html}");
    assert_eq!((mailbox.count("suppressions").await, mailbox.unfinished().await), (1, 0));
}

#[tokio::test]
async fn one_click_unsubscribes_from_everything_and_a_second_click_changes_nothing_more() {
    let mailbox = Mailbox::new().await;
    for _ in 0..2 {
        expect_page(mailbox.sample("one_click", &mailbox.unsubscribe_token()).await, 200);
    }
    let suppressed = mailbox.app.scene.rows("select email_lower, campaign_id from suppressions", &[]).await;
    assert_eq!(suppressed.len(), 1);
    assert_eq!((suppressed[0].get(0), suppressed[0].get(1)), ("person1@people.test", None::<Uuid>));
    assert_eq!(mailbox.unfinished().await, 0);
    let sql = "select details, host(ip) from message_events where kind = 'unsubscribed'";
    let events = mailbox.app.scene.rows(sql, &[]).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].get::<_, serde_json::Value>(0), serde_json::json!({"scope": "everything"}));
    assert_eq!(events[0].get::<_, &str>(1), "192.0.2.1");
    assert_eq!(mailbox.count("contacts where status = 'unsubscribed'").await, 1);
}

#[tokio::test]
async fn the_page_s_form_leaves_one_campaign_and_offers_the_rest() {
    let mailbox = Mailbox::new().await;
    let token = mailbox.unsubscribe_token();
    let html = expect_page(mailbox.sample("unsubscribe", &token).await, 200);
    assert!(html.contains("unsubscribed from these mails") && html.contains("Stop everything"), "{html}");
    assert_eq!(mailbox.count("suppressions where campaign_id is not null").await, 1);
    let events = mailbox.app.scene.rows("select details, user_agent from message_events", &[]).await;
    let expected = serde_json::json!({"scope": "campaign", "reason": "too_often", "comment": "Every day!"});
    assert_eq!(events[0].get::<_, serde_json::Value>(0), expected);
    assert_eq!(events[0].get::<_, &str>(1), "A browser");
    assert!(!html.contains("Every day!"), "what somebody wrote is not shown to whoever holds the link");
    expect_page(mailbox.sample("one_click", &token).await, 200);
    assert_eq!(mailbox.count("suppressions where campaign_id is null").await, 1);
}

/// RFC 8058 section 3.2 lets a mail program post a form of either kind.
#[tokio::test]
async fn whoever_posts_wants_to_leave_whatever_the_body_is() {
    let form = "application/x-www-form-urlencoded";
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    for (content_type, body) in [
        ("multipart/form-data; boundary=x", multipart.to_owned()),
        (form, String::new()),
        (form, "scope=campaign&List-Unsubscribe=One-Click".to_owned()),
        (form, "scope=nothing&reason=%00&comment=%ff%00".to_owned()),
        (form, "scope=campaign&scope=campaign".to_owned()),
        (form, format!("comment={}", "x".repeat(2 << 20))),
        ("application/json", "{\"scope\":\"campaign\"}".to_owned()),
    ] {
        let mailbox = Mailbox::new().await;
        let request = Request::post(format!("/u/{}", mailbox.unsubscribe_token())).header("content-type", content_type);
        let router = functions::http::finish(mailbox.router.clone());
        let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{content_type}");
        assert_eq!(mailbox.count("suppressions where campaign_id is null").await, 1, "{content_type}");
    }
}

#[tokio::test]
async fn click_tokens_redirect_only_to_the_stored_url_tampered_tokens_404() {
    let mailbox = Mailbox::new().await;
    let token = mailbox.click_token();
    for method in [Method::GET, Method::HEAD] {
        // Whatever a query says, the redirect goes where the table says.
        let path = format!("/t/c/{token}?url=https://evil.test&next=//evil.test");
        let answer = mailbox.send(method, &path).await.expect(302);
        assert_eq!(answer.headers["location"], URL);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(answer.headers.get("set-cookie").is_none());
    }
    let other = if token.ends_with('A') { "B" } else { "A" };
    let two = KeyRing::from_json(r#"{"current": 2, "key_2": "for tests only: abcdefghij abcdefghij"}"#).unwrap();
    let (organization, message) = (mailbox.organization, mailbox.message);
    for wrong in [
        format!("{}{other}", &token[..token.len() - 1]),
        token[1..].to_owned(),
        format!("{token}/https://evil.test"),
        format!("{token}="),
        two.click_token(organization, message, mailbox.link),
        mailbox.pixel_token(),
        mailbox.unsubscribe_token(),
        mailbox.keys.click_token(organization, message, Uuid::nil()),
        mailbox.keys.click_token(Uuid::nil(), message, mailbox.link),
        "https://evil.test".to_owned(),
        "%ff".to_owned(),
        "x".to_owned(),
    ] {
        let html = expect_page(mailbox.send(Method::GET, &format!("/t/c/{wrong}")).await, 404);
        assert!(html.contains("This link leads nowhere"), "{html}");
    }
    assert_eq!(mailbox.count("message_events").await, 1, "one program in one minute; what leads nowhere is nobody's");
}

#[tokio::test]
async fn tokens_of_an_old_key_still_work() {
    let mailbox = Mailbox::new().await;
    let rotated =
        testkit::KEYS.replace("\"current\": 1", "\"current\": 2, \"key_2\": \"for tests only: abcdefghij abcdefghij\"");
    let router = router(mailbox.app.scene.db.app(), &KeyRing::from_json(&rotated).unwrap());
    for (name, token, status) in [
        ("click", mailbox.click_token(), 302),
        ("open", mailbox.pixel_token(), 200),
        ("show", mailbox.unsubscribe_token(), 200),
    ] {
        let name = format!("tracking/{name}");
        mailbox.app.sample(router.clone(), &name, &[("TOKEN", &token)]).await.expect(status);
    }
}

#[tokio::test]
async fn pixel_is_no_store_and_opens_by_proxies_are_marked_machine() {
    let mailbox = Mailbox::new().await;
    let pixel = mailbox.sample("open", &mailbox.pixel_token()).await.expect(200);
    assert_eq!(pixel.headers["content-type"], "image/gif");
    assert_eq!(pixel.headers["cache-control"], "no-store");
    assert!(pixel.headers.get("set-cookie").is_none());
    assert!(pixel.body.as_str().unwrap().starts_with("GIF89a"));
    let proxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    for (user_agent, prefetch) in [(proxy, false), ("Mozilla/5.0", false), ("", false), (browser, true)] {
        let mut request = Request::get(format!("/t/o/{}", mailbox.pixel_token())).header("user-agent", user_agent);
        if prefetch {
            request = request.header("sec-purpose", "prefetch;prerender");
        }
        let router = functions::http::finish(mailbox.router.clone());
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["cache-control"]),
            (200, &"no-store".parse().unwrap())
        );
    }
    let sql = "select is_machine, count(*) from message_events where kind = 'opened' group by 1 order by 1";
    let rows = mailbox.app.scene.rows(sql, &[]).await;
    let counted: Vec<(bool, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counted, [(false, 1), (true, 4)]);
    let bad = mailbox.send(Method::GET, "/t/o/tampered").await;
    expect_page(bad, 404);
}

#[tokio::test]
async fn a_visitor_s_address_is_what_the_front_door_saw_and_not_what_a_header_says() {
    let mailbox = Mailbox::new().await;
    mailbox.sample("click", &mailbox.click_token()).await.expect(302);
    let request = Request::get(format!("/t/c/{}", mailbox.click_token()))
        .header("x-forwarded-for", "198.51.100.66")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
    let router = functions::http::finish(mailbox.router.clone());
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let sql = "select host(ip), user_agent from message_events where kind = 'clicked' order by ip nulls last";
    let rows = mailbox.app.scene.rows(sql, &[]).await;
    let seen: Vec<Option<&str>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(seen, [Some("192.0.2.1"), None]);
    assert!(rows[0].get::<_, &str>(1).contains("Thunderbird"));
}

#[tokio::test]
async fn without_the_database_a_pixel_is_shown_and_a_page_says_to_come_back() {
    let mailbox = Mailbox::new().await;
    let router = mailbox.without_a_database();
    let send = async |name: &str, token: &str| {
        mailbox.app.sample(router.clone(), &format!("tracking/{name}"), &[("TOKEN", token)]).await
    };
    let pixel = send("open", &mailbox.pixel_token()).await.expect(200);
    assert_eq!(
        (&pixel.headers["content-type"], &pixel.headers["cache-control"]),
        (&"image/gif".parse().unwrap(), &"no-store".parse().unwrap())
    );
    for (name, token) in [
        ("click", mailbox.click_token()),
        ("show", mailbox.unsubscribe_token()),
        ("one_click", mailbox.unsubscribe_token()),
    ] {
        let answer = send(name, &token).await;
        assert_eq!(answer.headers["retry-after"], "30", "{name}");
        assert!(expect_page(answer, 503).contains("try again"), "{name}");
    }
    // A token that nobody signed is found out without a database.
    expect_page(send("click", "tampered").await, 404);
}

#[tokio::test]
async fn a_pixel_of_a_message_that_is_gone_or_was_never_sent_is_shown() {
    let mailbox = Mailbox::new().await;
    let gone = mailbox.keys.pixel_token(mailbox.organization, Uuid::nil());
    mailbox.app.scene.run("update messages set state = 'scheduled', attempts = 0", &[]).await;
    for token in [gone, mailbox.pixel_token()] {
        let pixel = mailbox.sample("open", &token).await.expect(200);
        assert_eq!(pixel.headers["content-type"], "image/gif");
    }
    mailbox.sample("click", &mailbox.click_token()).await.expect(302);
    assert_eq!(mailbox.count("message_events").await, 0);
    assert_eq!(mailbox.count("messages where state = 'scheduled'").await, 1);
}

#[tokio::test]
async fn a_tampered_unsubscribe_link_is_a_page_that_says_so() {
    let mailbox = Mailbox::new().await;
    let token = mailbox.unsubscribe_token();
    let other = if token.ends_with('A') { "B" } else { "A" };
    let tampered = format!("{}{other}", &token[..token.len() - 1]);
    for token in [tampered.as_str(), "x", "..%2f", &mailbox.pixel_token()] {
        for name in ["show", "one_click", "unsubscribe"] {
            expect_page(mailbox.sample(name, token).await, 404);
        }
    }
    assert_eq!(mailbox.count("suppressions").await, 0);
}
