//! The mailbox page: every mail that the stand-in holds, for people to look at.
//!
//! The pages have no scripts. Mails are not trusted: all of their text is escaped, and their HTML
//! is served by itself, in a sandbox that may run, load and submit nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Postbox;
use super::mime;
use super::outcomes::Outcome;
use super::store::{Happening, Kept, Mail};
use super::unsubscribes;

/// How many mails are on a page of the list.
const PAGE_SIZE: usize = 50;

/// What our own pages may do: show our style, hold our frames, send our forms.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// What a mail's HTML may do: be shown, with the style and the pictures it brings along.
const MAIL_POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

pub(super) fn routes() -> Router<Arc<Postbox>> {
    Router::new()
        .route("/", get(list))
        .route("/style.css", get(style))
        .route("/mails/{id}", get(show))
        .route("/mails/{id}/html", get(body))
        .route("/mails/{id}/reply", post(reply))
        .route("/mails/{id}/outcome", post(outcome))
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css")).into_response()
}

#[derive(Debug, Default, Deserialize)]
struct Search {
    #[serde(default)]
    to: String,
    #[serde(default)]
    page: usize,
}

async fn list(State(postbox): State<Arc<Postbox>>, Query(search): Query<Search>) -> Response {
    let wanted = search.to.trim().to_lowercase();
    let store = postbox.store();
    let matches = |kept: &&Kept| {
        wanted.is_empty() || kept.mail.draft.recipients.iter().any(|to| to.address.to_lowercase().contains(&wanted))
    };
    // One more than is shown tells whether there is a next page.
    let start = search.page.saturating_mul(PAGE_SIZE);
    let mut found: Vec<_> = store.mails().iter().rev().filter(matches).skip(start).take(PAGE_SIZE + 1).collect();
    let more = found.len() > PAGE_SIZE;
    found.truncate(PAGE_SIZE);
    let header = format!(
        "<p>{} mails</p><p>Simulated time {}</p>{}",
        store.mails().len(),
        time(store.now()),
        search_form(&search.to),
    );
    let content = format!("{}{}", rows(&found), pager(&search, more));
    drop(store);
    page("Mailbox", &header, &content)
}

fn search_form(to: &str) -> String {
    format!(
        "<form class=\"search\" method=\"get\" action=\"/\"><label>Recipient\
         <input type=\"search\" name=\"to\" value=\"{}\"></label><button>Search</button></form>",
        escape(to)
    )
}

fn rows(found: &[&Kept]) -> String {
    if found.is_empty() {
        return "<section class=\"empty\">No mails here. What is sent to SES on the local stack appears on this \
            page.</section>"
            .into();
    }
    let mut rows = String::from(
        "<section class=\"list\"><table><thead><tr><th>#</th><th>Accepted (simulated)</th><th>To</th>\
         <th>Subject</th><th>Outcome</th></tr></thead><tbody>",
    );
    for Kept { mail, .. } in found {
        let _ = write!(
            rows,
            "<tr><td class=\"number\">{sequence}</td><td class=\"time\">{at}</td><td>{to}</td>\
             <td><a href=\"/mails/{sequence}\">{subject}</a></td><td>{outcome}</td></tr>",
            sequence = mail.sequence,
            at = time(mail.accepted_at),
            to = escape(&recipients(mail)),
            subject = escape(subject(mail)),
            outcome = chip(mail.outcome),
        );
    }
    rows.push_str("</tbody></table></section>");
    rows
}

fn pager(search: &Search, more: bool) -> String {
    let link =
        |page: usize, words: &str| format!("<a href=\"/?to={}&amp;page={page}\">{words}</a>", query_value(&search.to));
    let newer = if search.page > 0 { link(search.page - 1, "← Newer") } else { "<span></span>".into() };
    let older = if more { link(search.page + 1, "Older →") } else { "<span></span>".into() };
    format!("<nav>{newer}{older}</nav>")
}

async fn show(State(postbox): State<Arc<Postbox>>, Path(id): Path<String>) -> Response {
    let found = {
        let store = postbox.store();
        store.find(&id).map(|kept| (kept.mail.clone(), kept.history.clone()))
    };
    let Some((mail, history)) = found else {
        return (StatusCode::NOT_FOUND, page("No such mail", "", "<section class=\"empty\">No such mail.</section>"))
            .into_response();
    };
    let bodies = mime::bodies(&mail.draft.raw);
    let mut content = facts(&mail);
    content.push_str(&happenings(&history));
    if bodies.html.is_some() {
        let _ = write!(
            content,
            "<section><h2>HTML</h2><iframe sandbox title=\"HTML of the mail\" src=\"/mails/{}/html\"></iframe></section>",
            mail.sequence
        );
    }
    let _ = write!(content, "<section><h2>Text</h2><pre>{}</pre></section>", escape(&bodies.text));
    content.push_str(&by_hand(&mail));
    let _ = write!(
        content,
        "<section><details><summary>Headers</summary><dl>{}</dl></details></section>\
         <section><details><summary>Source</summary><pre>{}</pre></details>\
         <p><a href=\"/_postbox/mails/{}/raw\">Download</a></p></section>",
        pairs(mail.draft.headers.iter().map(|(name, value)| (name.as_str(), escape(value)))),
        escape(&String::from_utf8_lossy(&mail.draft.raw)),
        mail.sequence,
    );
    page(subject(&mail), &format!("<p>Mail {}</p>", mail.sequence), &content)
}

fn facts(mail: &Mail) -> String {
    let draft = &mail.draft;
    let tags: Vec<_> = draft.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut facts = vec![
        ("From", escape(&draft.source)),
        ("To", escape(&recipients(mail))),
        ("Reply to", escape(&draft.reply_to.join(", "))),
        ("Subject", escape(subject(mail))),
        ("Accepted", format!("{} simulated, {} real", time(mail.accepted_at), time(mail.accepted_at_real))),
        ("Outcome", chip(mail.outcome)),
        ("Message id", escape(&mail.provider_id)),
        ("Configuration set", escape(draft.configuration_set.as_deref().unwrap_or("none"))),
        ("Tags", escape(&tags.join(", "))),
    ];
    if let Some(url) = mail.header("List-Unsubscribe").and_then(unsubscribes::web_address) {
        let url = escape(url.as_str());
        facts.push(("Unsubscribe", format!("<a href=\"{url}\" rel=\"noreferrer noopener\">{url}</a>")));
    }
    format!("<section><h2>{}</h2><dl>{}</dl></section>", escape(subject(mail)), pairs(facts.into_iter()))
}

/// A list of names and values; the values are HTML already.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    pairs.map(|(name, value)| format!("<dt>{}</dt><dd>{value}</dd>", escape(name))).collect()
}

fn happenings(history: &[Happening]) -> String {
    let mut rows = String::new();
    for Happening { at, name, note } in history {
        let _ = write!(
            rows,
            "<tr><td class=\"time\">{}</td><td>{}</td><td>{}</td></tr>",
            time(*at),
            escape(name),
            escape(note)
        );
    }
    if rows.is_empty() {
        rows.push_str("<tr><td>Nothing has happened yet.</td></tr>");
    }
    format!(
        "<section class=\"list\"><table><thead><tr><th>When (simulated)</th><th>Event</th><th>Detail</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )
}

fn by_hand(mail: &Mail) -> String {
    let options: String =
        [Outcome::Bounce, Outcome::SoftBounce, Outcome::Complaint, Outcome::AutoReply, Outcome::Unsubscribe]
            .map(|outcome| format!("<option value=\"{}\">{}</option>", outcome.name(), label(outcome)))
            .concat();
    format!(
        "<section><h2>Answer as the recipient</h2>\
         <form method=\"post\" action=\"/mails/{sequence}/reply\"><label class=\"wide\">Text\
         <textarea name=\"text\" rows=\"4\" required></textarea></label><button>Send reply</button></form></section>\
         <section><h2>Let something happen</h2>\
         <form method=\"post\" action=\"/mails/{sequence}/outcome\"><label>Outcome\
         <select name=\"outcome\">{options}</select></label><button>Do it</button></form></section>",
        sequence = mail.sequence
    )
}

/// The mail's HTML by itself, for the frame.
async fn body(State(postbox): State<Arc<Postbox>>, Path(id): Path<String>) -> Response {
    let found = postbox.store().find(&id).map(|kept| kept.mail.clone());
    let html = found.and_then(|mail| mime::bodies(&mail.draft.raw).html);
    match html {
        Some(html) => guarded(MAIL_POLICY, Html(html)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct ReplyForm {
    text: String,
}

async fn reply(State(postbox): State<Arc<Postbox>>, Path(id): Path<String>, Form(form): Form<ReplyForm>) -> Response {
    perform(&postbox, &id, Outcome::Reply, Some(&form.text)).await
}

#[derive(Debug, Deserialize)]
struct OutcomeForm {
    outcome: Outcome,
}

async fn outcome(
    State(postbox): State<Arc<Postbox>>,
    Path(id): Path<String>,
    Form(form): Form<OutcomeForm>,
) -> Response {
    perform(&postbox, &id, form.outcome, None).await
}

async fn perform(postbox: &Postbox, id: &str, outcome: Outcome, text: Option<&str>) -> Response {
    let mail = match postbox.mail(id) {
        Ok(mail) => mail,
        Err(refused) => return refused.into_response(),
    };
    // How it went is in the mail's history, which is where the browser goes next.
    postbox.perform(&mail, outcome, postbox.simulated_now(), text).await;
    Redirect::to(&format!("/mails/{}", mail.sequence)).into_response()
}

fn page(title: &str, header: &str, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} · postbox</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><header><h1><a href=\"/\">postbox</a></h1>{header}</header><main>{content}</main></body></html>",
        escape(title)
    );
    guarded(PAGE_POLICY, Html(html))
}

fn guarded(policy: &'static str, html: Html<String>) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With "no-referrer" browsers would hide the origin of our own forms from us.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html).into_response()
}

fn recipients(mail: &Mail) -> String {
    let addresses: Vec<_> = mail.draft.recipients.iter().map(|to| to.address.as_str()).collect();
    addresses.join(", ")
}

fn subject(mail: &Mail) -> &str {
    if mail.draft.subject.trim().is_empty() { "(no subject)" } else { &mail.draft.subject }
}

fn label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "Delivered",
        Outcome::Bounce => "Bounce",
        Outcome::SoftBounce => "Soft bounce",
        Outcome::Suppressed => "Suppressed",
        Outcome::Complaint => "Complaint",
        Outcome::Reply => "Reply",
        Outcome::AutoReply => "Automatic reply",
        Outcome::Unsubscribe => "Unsubscribe",
    }
}

fn chip(outcome: Outcome) -> String {
    let kind = match outcome {
        Outcome::Delivered | Outcome::Reply => "good",
        Outcome::SoftBounce | Outcome::AutoReply | Outcome::Unsubscribe => "warn",
        Outcome::Bounce | Outcome::Suppressed | Outcome::Complaint => "bad",
    };
    format!("<span class=\"chip {kind}\">{}</span>", label(outcome))
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Text made safe for HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text made safe for the value of a query parameter.
fn query_value(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;
    use crate::postbox::testing::{Bench, send_request};

    const HOSTILE: &str = "<script>alert(\"1\")</script>";

    async fn hostile() -> Bench {
        let bench = Bench::start().await;
        let raw = format!(
            "From: \"{HOSTILE}\" <a@mail.example.com>\r\nTo: a@example.com\r\nSubject: {HOSTILE}\r\n\
             X-Evil: {HOSTILE}\r\nList-Unsubscribe: <javascript:alert(1)>\r\n\
             Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{HOSTILE}\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>Hi</p>{HOSTILE}\r\n--b--\r\n"
        );
        let mut request = send_request("a@example.com");
        request["Content"]["Raw"]["Data"] = json!(STANDARD.encode(raw));
        assert_eq!(bench.post("/v2/email/outbound-emails", &request).await.0, 200);
        bench
    }

    #[tokio::test]
    async fn everything_of_a_mail_is_escaped() {
        let bench = hostile().await;
        let search = format!("/?to={}", query_value("a@\"><script>"));
        for path in ["/", "/mails/1", search.as_str()] {
            let html = bench.text(path).await;
            assert!(!html.contains("<script"), "{path}: {html}");
            assert!(!html.contains("href=\"javascript"), "{path}");
        }
        let shown = bench.text("/mails/1").await;
        assert!(shown.matches("&lt;script&gt;").count() >= 5);
        assert!(shown.contains("<iframe sandbox "));
    }

    #[tokio::test]
    async fn the_html_of_a_mail_is_served_in_a_sandbox() {
        let bench = hostile().await;
        let response = bench.request(reqwest::Method::GET, "/mails/1/html").send().await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("sandbox; default-src 'none'"), "{policy}");
        assert!(response.text().await.unwrap().contains("<p>Hi</p>"));
        let response = bench.request(reqwest::Method::GET, "/mails/1").send().await.unwrap();
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    }

    #[tokio::test]
    async fn the_list_is_paged_newest_first_and_searched_by_recipient() {
        let bench = Bench::start().await;
        for number in 0..51 {
            bench.send(&format!("p{number}@example.com")).await;
        }
        let first = bench.text("/").await;
        assert!(first.find("p50@example.com").unwrap() < first.find("p49@example.com").unwrap());
        assert!(!first.contains("p0@example.com") && first.contains("Older"));
        let second = bench.text("/?page=1").await;
        assert!(second.contains("p0@example.com") && second.contains("Newer"));
        let found = bench.text("/?to=P17%40").await;
        assert!(found.contains("p17@example.com") && !found.contains("p18@example.com"));
        assert_eq!(bench.get("/mails/999").await.0, 404);
    }

    #[tokio::test]
    async fn the_forms_answer_by_hand() {
        let bench = Bench::start().await;
        bench.send("a@example.com").await;
        let form = bench.request(reqwest::Method::POST, "/mails/1/reply").form(&[("text", "Grüße")]);
        let response = form.send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &"/mails/1".parse().unwrap()));
        let form = bench.request(reqwest::Method::POST, "/mails/1/outcome").form(&[("outcome", "bounce")]);
        assert_eq!(form.send().await.unwrap().status(), 303);
        let shown = bench.text("/mails/1").await;
        assert!(shown.contains("t0k3n@replies.example.com: Grüße") && shown.contains("user unknown"));
    }
}
