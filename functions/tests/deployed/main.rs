//! One mail from end to end through the deployed stack: API Gateway, the functions, SQS, the stand-in for SES; and what the adapters rely
//! on of the services that it plays.
//!
//! `cargo xtask test` starts the stack and says by `STACK_…` where it is; alone these tests are left out.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod imports;
mod stack;
mod stores;

use serde_json::{Value, json};

use crate::stack::Stack;

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn a_mail_goes_out_is_delivered_answered_and_unsubscribed_from() {
    let stack = Stack::from_environment();
    let name = stack.unique("e2e");
    let organizations = stack.get("/v1/organizations").await;
    let organization = format!("/v1/organizations/{}", id(&organizations["data"][0]));
    stack.patch(&organization, json!({"postal_address": "1 Example Street, Example Town"}), 200).await;
    let domain = stack.post("/v1/domains", json!({"name": format!("{name}.test")}), 201).await;
    stack.post(&format!("/v1/domains/{}/verify", id(&domain)), json!({}), 200).await;
    let sender = json!({"email": format!("hello@{name}.test"), "display_name": "Grüße, Martlet", "gap_seconds": 0});
    let sender = stack.post("/v1/senders", sender, 201).await;
    let answering = format!("answers@{name}.example");
    let leaving = format!("leaves@{name}.example");
    let list = stack.post("/v1/lists", json!({"name": name}), 201).await;
    let mut contacts = Vec::new();
    for (address, first_name) in [(&answering, "Ada"), (&leaving, "Lin")] {
        let contact = stack.post("/v1/contacts", json!({"email": address, "first_name": first_name}), 201).await;
        contacts.push(contact["id"].clone());
    }
    stack.post(&format!("/v1/lists/{}/members", id(&list)), json!({"contact_ids": contacts}), 200).await;

    let campaign = json!({"name": name, "list_id": list["id"], "sender_ids": [sender["id"]]});
    let campaign = stack.post("/v1/campaigns", campaign, 201).await;
    let path = format!("/v1/campaigns/{}", id(&campaign));
    for (step, delay) in [("first", 0), ("second", 2)] {
        let body = json!({
            "name": step, "subject_template": "Hello {{ first_name }}", "body_template": "The {{ company | default('small') }} one.",
            "delay_days": delay,
        });
        stack.post(&format!("{path}/steps"), body, 201).await;
    }
    let always = json!({
        "window_start": "00:00", "window_end": "00:00", "gap_seconds": 0,
        "send_days": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    });
    stack.patch(&format!("{path}/settings"), always, 200).await;
    let preflight = stack.get(&format!("{path}/preflight")).await;
    assert_eq!(preflight["can_activate"], true, "{preflight:#}");
    stack.post(&format!("{path}/activate"), json!({}), 200).await;

    // The tick comes each minute by itself; the test does not wait for it.
    stack.invoke("Scheduler", &json!({})).await;
    let sent = format!("/v1/messages?campaign_id={}&state=sent", id(&campaign));
    stack
        .until(&sent, "both are delivered", |page| {
            let data = page["data"].as_array().cloned().unwrap_or_default();
            data.len() == 2 && data.iter().all(|message| message["delivered_at"].is_string())
        })
        .await;
    let mails = stack.mails_to(&[&answering, &leaving]).await;
    assert_eq!(mails.len(), 2, "each is accepted once: {mails:#?}");
    let greeting = mails.iter().find(|mail| mail["to"][0] == answering.as_str()).map(|mail| &mail["subject"]);
    assert_eq!(greeting, Some(&json!("Hello Ada")));

    for mail in &mails {
        let raw = stack.raw(mail).await;
        assert!(raw.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{raw}");
    }
    let of = |address: &str| mails.iter().find(|mail| mail["to"][0] == address).cloned().unwrap_or_default();
    stack.postbox("reply", json!({"mail": of(&answering)["provider_message_id"], "text": "Tell me more."})).await;
    stack.postbox("outcome", json!({"mail": of(&leaving)["provider_message_id"], "outcome": "unsubscribe"})).await;
    let people = format!("{path}/enrollments");
    stack
        .until(&people, "one has replied and one has unsubscribed", |page| {
            let mut statuses: Vec<&str> =
                page["data"].as_array().into_iter().flatten().filter_map(|row| row["status"].as_str()).collect();
            statuses.sort_unstable();
            statuses == ["replied", "unsubscribed"]
        })
        .await;
    let statistics = stack.get(&format!("{path}/statistics")).await;
    assert_eq!(statistics["balanced"], true, "{statistics:#}");

    // Nobody is left, so nothing more goes out and the campaign completes.
    stack.invoke("Scheduler", &json!({})).await;
    stack.until(&path, "the campaign is completed", |campaign| campaign["status"] == "completed").await;
    assert_eq!(stack.mails_to(&[&answering, &leaving]).await.len(), 2);
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap_or_else(|| panic!("no id in {thing:#}"))
}
