//! SES v2 SendEmail, raw and simple.
//! <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>
//!
//! Signatures are not checked: whoever reaches the local stack may send.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::addresses::{self, Mailbox};
use super::outcomes::Outcome;
use super::refusals::{Refusal, with_request_id};
use super::store::{Draft, Mail};
use super::{Postbox, clock, mime};

/// The largest mail that SES takes, in bytes before base64.
const MAX_MESSAGE: usize = 40 << 20;

/// The largest request: the largest mail in base64, and room for the rest.
const MAX_REQUEST: usize = MAX_MESSAGE / 3 * 4 + (1 << 20);

/// How many recipients SES takes in one call.
const MAX_RECIPIENTS: usize = 50;

/// How long the name and the value of a tag may be.
const MAX_TAG: usize = 256;

pub(super) fn routes() -> Router<Arc<Postbox>> {
    let limit = DefaultBodyLimit::max(MAX_REQUEST);
    Router::new().route("/v2/email/outbound-emails", post(send_email).layer(limit))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SendEmail {
    from_email_address: Option<String>,
    destination: Destination,
    reply_to_addresses: Vec<String>,
    content: Content,
    email_tags: Vec<Pair>,
    configuration_set_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Destination {
    to_addresses: Vec<String>,
    cc_addresses: Vec<String>,
    bcc_addresses: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Content {
    raw: Option<Data>,
    simple: Option<Simple>,
    template: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    data: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Data,
    body: Body,
    #[serde(default)]
    headers: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Data>,
    html: Option<Data>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    name: String,
    value: String,
}

async fn send_email(State(postbox): State<Arc<Postbox>>, body: Bytes) -> Result<Response, Refusal> {
    let draft = read(&body).inspect_err(|refusal| postbox.count_refusal(refusal))?;
    let fault = postbox.store().faults.decide(fault_key(&draft), draft.tag("attempt"));
    if let Some(fault) = fault {
        *postbox.store().counts.faults.entry(fault.name()).or_default() += 1;
        if let Some(refusal) = fault.refusal() {
            return Err(refusal);
        }
    }
    // From here to the hand-over there is no await: a caller that goes away cannot part a mail from
    // its events.
    let mail = postbox.accept(draft).inspect_err(|refusal| postbox.count_refusal(refusal))?;
    postbox.publisher.submit(mail.clone());
    match fault {
        Some(fault) => Ok(fault.answer().await),
        None => Ok(with_request_id(Json(json!({ "MessageId": mail.provider_id })).into_response())),
    }
}

/// What names the mail in the plan of faults: its tag, or its recipient where it has none.
fn fault_key(draft: &Draft) -> &str {
    match draft.tag("message_id") {
        "" => draft.recipients.first().map_or("", |recipient| &recipient.address),
        id => id,
    }
}

impl Postbox {
    fn accept(&self, draft: Draft) -> Result<Arc<Mail>, Refusal> {
        let mut guard = self.store();
        let store = &mut *guard;
        store.identities.of_sender(&draft.from)?;
        if store.account.limits.sandbox {
            for Mailbox { address, .. } in &draft.recipients {
                // It writes to the simulator too, and refuses a recipient in the words that it has for a sender.
                if Outcome::of_simulator(address).is_none() {
                    store.identities.of_sender(address)?;
                }
            }
        }
        // Counting the day's mails is only worth its time where the number matters.
        let sent = store.account.limits.max_24_hour_send.map_or(0, |_| store.sent_last_24_hours());
        store.account.admit(|| sent)?;
        store.accept(draft)
    }

    fn count_refusal(&self, refusal: &Refusal) {
        *self.store().counts.refused.entry(refusal.kind()).or_default() += 1;
    }
}

fn read(body: &[u8]) -> Result<Draft, Refusal> {
    let request: SendEmail =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("Invalid JSON: {error}")))?;
    let destination = &request.destination;
    let given = [&destination.to_addresses, &destination.cc_addresses, &destination.bcc_addresses];
    let given: Vec<Mailbox> = given.into_iter().flatten().map(|text| one_mailbox(text)).collect::<Result<_, _>>()?;
    let tags = read_tags(&request.email_tags)?;
    let raw = read_content(&request)?;
    if raw.len() > MAX_MESSAGE {
        return Err(Refusal::bad_request(format!("Message length is more than {MAX_MESSAGE} bytes long.")));
    }
    let parsed = mime::parse(&raw).map_err(Refusal::bad_request)?;
    let header_from = parsed.from.first().ok_or_else(|| Refusal::bad_request("Missing required header 'From'."))?;
    let from = match &request.from_email_address {
        Some(text) => one_mailbox(text)?,
        None => header_from.clone(),
    };
    let recipients = if given.is_empty() { parsed.recipients } else { named(given, &parsed.recipients) };
    if recipients.is_empty() {
        return Err(Refusal::bad_request("Missing required recipient."));
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(Refusal::bad_request("Recipient count exceeds 50."));
    }
    for mailbox in recipients.iter().chain([&from, header_from]) {
        refuse_address(mailbox)?;
    }
    let answers = if parsed.reply_to.is_empty() { &parsed.from } else { &parsed.reply_to };
    Ok(Draft {
        source: request.from_email_address.unwrap_or_else(|| mime::header_mailbox(header_from)),
        from: from.address,
        reply_to: answers.iter().map(|mailbox| mailbox.address.clone()).collect(),
        headers: parsed.headers,
        subject: parsed.subject,
        configuration_set: request.configuration_set_name.filter(|name| !name.is_empty()),
        recipients,
        tags,
        raw,
    })
}

/// The recipients of the envelope, with the names that the mail's header gives them.
fn named(mut envelope: Vec<Mailbox>, header: &[Mailbox]) -> Vec<Mailbox> {
    for mailbox in envelope.iter_mut().filter(|mailbox| mailbox.name.is_none()) {
        let same = header.iter().find(|other| other.address.eq_ignore_ascii_case(&mailbox.address));
        mailbox.name = same.and_then(|other| other.name.clone());
    }
    envelope
}

fn one_mailbox(text: &str) -> Result<Mailbox, Refusal> {
    match addresses::parse_list(text).as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(Refusal::bad_request(format!("Illegal address: {text}"))),
    }
}

fn refuse_address(mailbox: &Mailbox) -> Result<(), Refusal> {
    match addresses::refuse(&mailbox.address) {
        Some(reason) => Err(Refusal::bad_request(reason)),
        None => Ok(()),
    }
}

fn read_tags(tags: &[Pair]) -> Result<Vec<(String, String)>, Refusal> {
    let fine = |text: &str| {
        let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        letters && (1..=MAX_TAG).contains(&text.len())
    };
    let mut read: Vec<(String, String)> = Vec::with_capacity(tags.len());
    for Pair { name, value } in tags {
        if !fine(name) || !fine(value) {
            return Err(Refusal::bad_request(format!(
                "Invalid tag <{name}>: only alphanumeric ASCII characters, '_' and '-' are allowed, at most {MAX_TAG}."
            )));
        }
        if read.iter().any(|(other, _)| other == name) {
            return Err(Refusal::bad_request(format!("Duplicate tag <{name}>.")));
        }
        read.push((name.clone(), value.clone()));
    }
    Ok(read)
}

fn read_content(request: &SendEmail) -> Result<Vec<u8>, Refusal> {
    let content = &request.content;
    match (&content.raw, &content.simple, &content.template) {
        (Some(raw), None, None) => {
            STANDARD.decode(&raw.data).map_err(|error| Refusal::bad_request(format!("Raw.Data is not base64: {error}")))
        }
        (None, Some(simple), None) => build_simple(request, simple),
        (None, None, Some(_)) => Err(Refusal::bad_request("postbox keeps no templates.")),
        _ => Err(Refusal::bad_request("Exactly one of Raw, Simple and Template is needed.")),
    }
}

fn build_simple(request: &SendEmail, simple: &Simple) -> Result<Vec<u8>, Refusal> {
    let list = |texts: &[String]| -> Result<String, Refusal> {
        let list: Vec<_> = texts.iter().map(|text| one_mailbox(text)).collect::<Result<_, _>>()?;
        Ok(list.iter().map(mime::header_mailbox).collect::<Vec<_>>().join(",\r\n "))
    };
    let from = request.from_email_address.as_ref();
    let from = from.ok_or_else(|| Refusal::bad_request("FromEmailAddress is needed with simple content."))?;
    let mut headers = vec![
        ("From".to_owned(), list(std::slice::from_ref(from))?),
        ("To".to_owned(), list(&request.destination.to_addresses)?),
        ("Cc".to_owned(), list(&request.destination.cc_addresses)?),
        ("Reply-To".to_owned(), list(&request.reply_to_addresses)?),
        ("Subject".to_owned(), mime::header_text(&simple.subject.data)),
    ];
    headers.retain(|(_, value)| !value.is_empty());
    for Pair { name, value } in &simple.headers {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return Err(Refusal::bad_request(format!("Invalid header name <{name}>.")));
        }
        headers.push((name.clone(), mime::header_text(value)));
    }
    let body = &simple.body;
    if body.text.is_none() && body.html.is_none() {
        return Err(Refusal::bad_request("The body needs Text or Html."));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let text = body.text.as_ref().map(|text| text.data.as_str());
    let html = body.html.as_ref().map(|html| html.data.as_str());
    Ok(mime::build(&headers, text, html, &format!("postbox-{}", clock::fresh_id())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::testing::{Bench, raw_mail, send_request};

    const SEND: &str = "/v2/email/outbound-emails";

    #[tokio::test]
    async fn a_raw_mail_is_accepted_and_kept_whole() {
        let bench = Bench::start().await;
        let (status, answer) = bench.post(SEND, &send_request("Jane@example.com")).await;
        assert_eq!(status, 200);
        let id = answer["MessageId"].as_str().unwrap();
        let (_, list) = bench.get("/_postbox/mails").await;
        let mail = &list["mails"][0];
        assert_eq!(mail["provider_message_id"], id);
        assert_eq!(mail["sequence"], 1);
        assert_eq!(mail["from"], "sales@mail.example.com");
        assert_eq!(mail["to"], json!(["Jane@example.com"]));
        assert_eq!(mail["subject"], "Hello Jané");
        assert_eq!(mail["tags"]["message_id"], "m-1");
        assert_eq!(mail["outcome"], "delivered");
        let raw = bench.get_bytes(&format!("/_postbox/mails/{id}/raw")).await;
        assert_eq!(raw, raw_mail("Jane@example.com").into_bytes());
    }

    #[tokio::test]
    async fn a_simple_mail_becomes_a_whole_one() {
        let bench = Bench::start().await;
        let request = json!({
            "FromEmailAddress": "Büro <sales@mail.example.com>",
            "Destination": { "ToAddresses": ["jane@example.com"] },
            "ReplyToAddresses": ["answers@mail.example.com"],
            "Content": { "Simple": {
                "Subject": { "Data": "Grüße", "Charset": "UTF-8" },
                "Body": { "Text": { "Data": "Hallo" }, "Html": { "Data": "<p>Hallo</p>" } },
                "Headers": [{ "Name": "X-Kind", "Value": "invite" }],
            } },
        });
        let (status, answer) = bench.post(SEND, &request).await;
        assert_eq!(status, 200, "{answer}");
        let raw = bench.get_bytes("/_postbox/mails/1/raw").await;
        let parsed = mime::parse(&raw).unwrap();
        assert_eq!(parsed.subject, "Grüße");
        assert_eq!(parsed.reply_to[0].address, "answers@mail.example.com");
        assert!(parsed.headers.contains(&("X-Kind".into(), "invite".into())));
        assert_eq!(mime::bodies(&raw).html.as_deref(), Some("<p>Hallo</p>"));
    }

    #[tokio::test]
    async fn what_ses_refuses_is_refused_with_its_error_type() {
        let bench = Bench::start().await;
        bench.identity("unverified-mail-from.example.com").await;
        let with = |change: fn(&mut Value)| {
            let mut request = send_request("jane@example.com");
            change(&mut request);
            request
        };
        let cases: [(&str, Value); 9] = [
            ("MessageRejected", with(|r| r["FromEmailAddress"] = json!("sales@example.org"))),
            (
                "MailFromDomainNotVerifiedException",
                with(|r| r["FromEmailAddress"] = json!("a@unverified-mail-from.example.com")),
            ),
            ("BadRequestException", with(|r| r["Content"]["Raw"]["Data"] = json!("?"))),
            ("BadRequestException", with(|r| r["Content"] = json!({}))),
            ("BadRequestException", with(|r| r["Destination"]["ToAddresses"] = json!(["no address"]))),
            ("BadRequestException", with(|r| r["Destination"]["ToAddresses"] = json!(["jané@example.com"]))),
            ("BadRequestException", with(|r| r["EmailTags"][0]["Value"] = json!("a@b"))),
            ("BadRequestException", with(|r| r["EmailTags"][1] = r["EmailTags"][0].clone())),
            ("BadRequestException", with(|r| r["Destination"]["ToAddresses"] = json!(vec!["a@example.com"; 51]))),
        ];
        for (kind, request) in &cases {
            let response = bench.request(reqwest::Method::POST, SEND).json(request).send().await.unwrap();
            assert_eq!(response.status(), 400, "{kind}");
            assert_eq!(response.headers()["x-amzn-errortype"], *kind);
            assert!(response.json::<Value>().await.unwrap()["message"].is_string());
        }
        let (_, summary) = bench.get("/_postbox/summary").await;
        assert_eq!(summary["mails"], 0);
        assert_eq!(summary["refused"]["BadRequestException"], 7);
    }

    #[tokio::test]
    async fn the_account_can_be_stopped() {
        let bench = Bench::start().await;
        for (limits, status, kind) in [
            (json!({ "sending": "paused" }), 400, "SendingPausedException"),
            (json!({ "sending": "suspended" }), 400, "AccountSuspendedException"),
            (json!({ "max_24_hour_send": 0 }), 400, "LimitExceededException"),
            (json!({ "max_send_rate": 0 }), 429, "TooManyRequestsException"),
        ] {
            bench.post("/_postbox/account", &limits).await;
            let request = bench.request(reqwest::Method::POST, SEND).json(&send_request("a@example.com"));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["x-amzn-errortype"], kind);
        }
        bench.post("/_postbox/account", &json!({})).await;
        assert_eq!(bench.post(SEND, &send_request("a@example.com")).await.0, 200);
    }

    #[tokio::test]
    async fn faults_refuse_or_accept_as_they_say() {
        for (kind, status, accepted) in [
            ("throttle", 429, 0),
            ("error_500", 500, 0),
            ("error_503", 503, 0),
            ("accept_then_500", 500, 1),
            ("garbage_200", 200, 1),
        ] {
            let bench = Bench::start().await;
            let plan = json!({ "seed": 1, "kinds": { kind: 1.0 } });
            assert_eq!(bench.post("/_postbox/faults", &plan).await.0, 200);
            let request = bench.request(reqwest::Method::POST, SEND).json(&send_request("a@example.com"));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{kind}");
            assert!(response.json::<Value>().await.map_or(true, |body| body["MessageId"].is_null()));
            let (_, summary) = bench.get("/_postbox/summary").await;
            assert_eq!((&summary["mails"], &summary["faults"][kind]), (&json!(accepted), &json!(1)));
        }
    }

    #[tokio::test]
    async fn a_hanging_answer_has_accepted_the_mail_and_its_events_come() {
        let bench = Bench::start().await;
        bench.post("/_postbox/faults", &json!({ "seed": 1, "kinds": { "hang": 1.0 } })).await;
        let request = bench.request(reqwest::Method::POST, SEND).json(&send_request("a@example.com"));
        let sending = tokio::spawn(request.send());
        let events = bench.emulator.feedback(2).await;
        assert_eq!(events[1]["eventType"], "Delivery");
        assert!(!sending.is_finished());
        sending.abort();
    }
}
