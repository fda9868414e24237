//! Reports of the provider, as SES publishes them through SNS into a queue.

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::delivery::feedback::{self, Event, EventKind};
use shared::delivery::messages::MessageKey;
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
        Err(error) => Err(error),
    }
}

/// A report as SES writes it (event publishing to SNS).
#[derive(Deserialize)]
struct SesEvent {
    #[serde(rename = "eventType")]
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
    let tag = |name: &str| event.mail.tags.get(name).and_then(|values| values.first());
    let (Some(organization), Some(message)) = (tag("organization_id"), tag("message_id")) else { return Ok(None) };
    let message = MessageKey {
        organization: organization.parse().map_err(Error::internal)?,
        id: message.parse().map_err(Error::internal)?,
    };
    let Some((kind, part)) = kind(&event) else { return Ok(None) };
    let part = event.parts.get(part);
    let field = |name: &str| part.and_then(|part| part.get(name)).and_then(Value::as_str);
    let told = |text: Option<&str>| text.map(|text| text.replace('\0', ""));
    let occurred_at = match field("timestamp") {
        Some(text) => text.parse().map_err(Error::internal)?,
        None => event.mail.timestamp,
    };
    // A bounce and a complaint have an id of their own; of the others a mail has one each, told apart by its time.
    let occurrence = field("feedbackId").map_or_else(|| occurred_at.to_rfc3339(), ToOwned::to_owned);
    let dedupe_key = match kind {
        EventKind::Sent | EventKind::Rejected | EventKind::RenderingFailed => kind.name().to_owned(),
        _ => format!("{}:{occurrence}", kind.name()),
    };
    Ok(Some(Event {
        message,
        kind,
        provider_message_id: event.mail.message_id.clone(),
        occurred_at,
        sent_at: event.mail.timestamp,
        dedupe_key,
        // The database keeps every character but NUL, and other servers write what they like.
        details: json!({
            "type": told(field("bounceType").or_else(|| field("complaintFeedbackType")).or_else(|| field("delayType"))),
            "sub_type": told(field("bounceSubType").or_else(|| field("complaintSubType"))),
            "reason": told(field("reason").or_else(|| field("errorMessage"))),
            "diagnostic": told(diagnostic(part)),
        }),
    }))
}

/// What is reported, and the name of the part that says more.
fn kind(event: &SesEvent) -> Option<(EventKind, &'static str)> {
    Some(match event.event_type.as_str() {
        "Send" => (EventKind::Sent, "send"),
        "Delivery" => (EventKind::Delivered, "delivery"),
        "Bounce" => {
            let is_permanent = event
                .parts
                .get("bounce")
                .and_then(|part| part.get("bounceType"))
                .is_some_and(|kind| kind == "Permanent");
            (if is_permanent { EventKind::Bounced } else { EventKind::SoftBounced }, "bounce")
        }
        "Complaint" => (EventKind::Complained, "complaint"),
        "Reject" => (EventKind::Rejected, "reject"),
        "DeliveryDelay" => (EventKind::Delayed, "deliveryDelay"),
        "Rendering Failure" => (EventKind::RenderingFailed, "failure"),
        _ => return None,
    })
}

/// What the other server said, which may quote the address: it is kept for the organization and never logged.
fn diagnostic(part: Option<&Value>) -> Option<&str> {
    part?.get("bouncedRecipients")?.get(0)?.get("diagnosticCode")?.as_str()
}
