//! Reports of the provider, as SES publishes them through SNS into a queue.
//!
//! The form is that of "Contents of event data that Amazon SES publishes to Amazon SNS" in the developer guide of SES.
//! Fields that we don't know are not read; a type that we don't know is said in the log and is done with. Opens, clicks
//! and subscriptions come only where an operator has SES publish them: template.yaml has the first two done by ourselves.

use std::collections::HashMap;
use std::net::IpAddr;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::delivery::feedback::{self, Event, EventKind};
use shared::delivery::messages::MessageKey;
use shared::delivery::visitors::{Manner, Visit, Visitor};
use shared::{Database, Error, Result};

use super::batch::{self, Batch};
use shared::error::describe;

/// Applies a batch of reports.
pub async fn handle(db: &Database, event: SqsEvent) -> Result<SqsBatchResponse> {
    let batch = Batch::<Option<Event>>::read(event, |message| {
        if batch::is_greeting(message) { Ok(None) } else { read(batch::notification(message)?) }
    });
    let events: Vec<Event> = batch.contents().flatten().cloned().collect();
    match feedback::apply(db, &events).await {
        Ok(applied) => {
            tracing::info!(?applied, "the reports are applied");
            Ok(batch.answer(|_| false))
        }
        // One that can't be written must not keep the others, so each is tried by itself.
        Err(Error::Internal(cause)) => {
            tracing::error!(error = describe(&*cause), "a batch of reports can't be applied at once");
            let mut kept = Vec::new();
            for event in &events {
                if let Err(error) = feedback::apply(db, std::slice::from_ref(event)).await {
                    tracing::error!(error = describe(&error), "a report can't be applied");
                    kept.push((event.message, event.dedupe_key.clone()));
                }
            }
            Ok(batch.answer(|content| {
                content.as_ref().is_some_and(|event| kept.contains(&(event.message, event.dedupe_key.clone())))
            }))
        }
        Err(_) if shared::fault_points::defect("checkpoint_at_fetch") => Ok(batch.answer(|_| false)),
        Err(error) => Err(error),
    }
}

/// What of a user agent or a link is kept.
const MOST_TEXT: usize = 2048;

/// A report as SES writes it (event publishing to SNS).
#[derive(Deserialize)]
struct SesEvent {
    // As notificationType where an identity notifies without a configuration set: such a report has no tags.
    #[serde(rename = "eventType", alias = "notificationType")]
    event_type: String,
    mail: SesMail,
    #[serde(flatten)]
    parts: HashMap<String, Value>,
}

#[derive(Deserialize)]
struct SesMail {
    #[serde(rename = "messageId")]
    message_id: String,
    timestamp: DateTime<Utc>,
    #[serde(default)]
    tags: HashMap<String, Vec<String>>,
}

/// Reads a report; `None` where it is about a mail that carries no tags of ours or says what we don't follow.
fn read(event: SesEvent) -> Result<Option<Event>> {
    let Some(message) = message(&event.mail) else { return Ok(None) };
    let Some((kind, part)) = kind(&event) else {
        tracing::warn!(message_id = %message.id, "a report is of a type that is not known, and is passed over");
        return Ok(None);
    };
    let part = event.parts.get(part).unwrap_or(&Value::Null);
    let field = |name: &str| part.get(name).and_then(Value::as_str);
    let occurred_at = match field("timestamp") {
        Some(text) => text.parse().map_err(Error::internal)?,
        None => event.mail.timestamp,
    };
    Ok(Some(Event {
        message,
        kind,
        provider_message_id: event.mail.message_id.clone(),
        occurred_at,
        sent_at: event.mail.timestamp,
        dedupe_key: dedupe_key(kind, part, occurred_at),
        details: details(part),
        visit: matches!(kind, EventKind::Opened | EventKind::Clicked).then(|| visit(kind, part)),
    }))
}

/// The message that the tags name, which the sender has set. A mail of somebody else in the account has none, or others.
fn message(mail: &SesMail) -> Option<MessageKey> {
    let tag = |name: &str| mail.tags.get(name).and_then(|values| values.first());
    Some(MessageKey { organization: tag("organization_id")?.parse().ok()?, id: tag("message_id")?.parse().ok()? })
}

/// What is reported, and the name of the part that says more.
fn kind(event: &SesEvent) -> Option<(EventKind, &'static str)> {
    let field = |part: &str, name: &str| event.parts.get(part).and_then(|part| part.get(name));
    Some(match event.event_type.as_str() {
        "Send" => (EventKind::Sent, "send"),
        "Delivery" => (EventKind::Delivered, "delivery"),
        // Transient and undetermined ones may not come back another time.
        "Bounce" if field("bounce", "bounceType").is_some_and(|kind| kind == "Permanent") => {
            (EventKind::Bounced, "bounce")
        }
        "Bounce" => (EventKind::SoftBounced, "bounce"),
        "Complaint" if field("complaint", "complaintFeedbackType").is_some_and(|kind| kind == "not-spam") => {
            (EventKind::NotSpam, "complaint")
        }
        "Complaint" => (EventKind::Complained, "complaint"),
        "Reject" => (EventKind::Rejected, "reject"),
        "Open" => (EventKind::Opened, "open"),
        "Click" => (EventKind::Clicked, "click"),
        "DeliveryDelay" => (EventKind::Delayed, "deliveryDelay"),
        "Rendering Failure" => (EventKind::RenderingFailed, "failure"),
        "Subscription" => {
            let wanted = field("subscription", "newTopicPreferences");
            let wants_nothing = wanted.and_then(|wanted| wanted.get("unsubscribeAll")).is_some_and(|all| all == true);
            (if wants_nothing { EventKind::Unsubscribed } else { EventKind::SubscriptionChanged }, "subscription")
        }
        _ => return None,
    })
}

/// The same occurrence reported twice has the same key. A bounce and a complaint have an id of their own; a mail is sent,
/// refused and unsubscribed from once; the others are told apart by their time.
fn dedupe_key(kind: EventKind, part: &Value, occurred_at: DateTime<Utc>) -> String {
    let name = kind.name();
    match (kind, part.get("feedbackId").and_then(Value::as_str)) {
        (EventKind::Sent | EventKind::Rejected | EventKind::RenderingFailed | EventKind::Unsubscribed, _) => {
            name.to_owned()
        }
        (_, Some(id)) => format!("{name}:{id}"),
        _ => format!("{name}:{}", occurred_at.to_rfc3339()),
    }
}

/// What else is said, without the mail's content. What the other server said may quote the address: it is kept for the
/// organization and never logged.
fn details(part: &Value) -> Value {
    let first = |names: &[&str]| names.iter().find_map(|name| told(part, name));
    let recipient = ["bouncedRecipients", "delayedRecipients"].iter().find_map(|name| part.get(name)?.get(0));
    json!({
        "type": first(&["bounceType", "complaintFeedbackType", "delayType"]),
        "sub_type": first(&["bounceSubType", "complaintSubType"]),
        "reason": first(&["reason", "errorMessage"]),
        "diagnostic": recipient.and_then(|recipient| told(recipient, "diagnosticCode")),
        "link": first(&["link"]),
        "source": first(&["source"]),
    })
}

/// Who opened or clicked. SES says nothing of the method: mail programs and browsers fetch by GET.
fn visit(kind: EventKind, part: &Value) -> Visit {
    let ip = part.get("ipAddress").and_then(Value::as_str).and_then(|ip| ip.parse::<IpAddr>().ok());
    let visitor = Visitor::new(ip, &told(part, "userAgent").unwrap_or_default(), Manner::Get);
    Visit { visitor, link: (kind == EventKind::Clicked).then(|| told(part, "link").unwrap_or_default()) }
}

/// A text of others. The database keeps every character but NUL, and other servers write what they like.
fn told(part: &Value, name: &str) -> Option<String> {
    let text = part.get(name)?.as_str()?;
    Some(text[..text.floor_char_boundary(MOST_TEXT)].replace('\0', ""))
}
