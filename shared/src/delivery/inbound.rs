//! Mail received: whose answer it is, and whether a person wrote it.
//!
//! The address it was sent to carries a token that names the message it answers. What a machine wrote (RFC 3834) is kept
//! and stops nothing.

use chrono::{DateTime, Utc};
use mail_parser::MessageParser;
use serde_json::json;

use super::automatic_replies::{self, Received};
use super::messages::MessageKey;
use super::stopping::{self, Stop};
use super::tokens::KeyRing;
use crate::platform::webhooks::EventType;
use crate::platform::webhooks::outbox::{self, MessageEvent};
use crate::{ContactId, Database, EnrollmentId, MessageId, OrganizationId, ReplyId, Result};

/// Longer subjects are cut: they are shown, not kept for evidence; the mail itself is in the bucket.
const SUBJECT_CHARACTERS: usize = 500;

/// A mail as it came in.
pub struct Incoming<'a> {
    /// The addresses it was delivered to.
    pub recipients: &'a [String],
    /// The whole mail.
    pub raw: &'a [u8],
    /// Where it is kept.
    pub object_key: &'a str,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// A person's answer: their way through the campaign has ended.
    Reply,
    /// A machine's answer.
    AutomaticReply,
    /// A report about a delivery, which the provider's own events tell better.
    DeliveryReport,
    /// It was here before.
    Known,
    /// None of its addresses carries a token of ours.
    NotOurs,
    /// It is no mail.
    Unreadable,
}

/// Takes a mail in: finds the message it answers, writes the reply, and stops the person if a person answered.
pub async fn take(db: &Database, keys: &KeyRing, mail: &Incoming<'_>) -> Result<Taken> {
    let Some(answered) = mail.recipients.iter().find_map(|address| answered(keys, address)) else {
        return Ok(Taken::NotOurs);
    };
    let Some(parsed) = MessageParser::default().parse(mail.raw) else { return Ok(Taken::Unreadable) };
    let received = automatic_replies::classify(&parsed);
    if matches!(received, Received::DeliveryReport) {
        return Ok(Taken::DeliveryReport);
    }
    let is_automatic = !matches!(received, Received::Human);
    let tx = db.begin_for(&[answered.organization]).await?;
    let MessageKey { organization, id } = answered;
    let Some(row) = tx.query_opt(include_str!("inbound/find_message.sql"), &[&organization, &id]).await? else {
        tx.commit().await?;
        return Ok(Taken::NotOurs);
    };
    let contact: Option<ContactId> = row.try_get("contact_id")?;
    let enrollment: Option<EnrollmentId> = row.try_get("enrollment_id")?;
    // Locks in their order: contact, enrollment, message.
    tx.query(include_str!("inbound/lock_contact.sql"), &[&organization, &contact]).await?;
    tx.query(include_str!("inbound/lock_enrollment.sql"), &[&organization, &enrollment]).await?;
    tx.query(include_str!("inbound/lock_message.sql"), &[&organization, &id]).await?;
    let from = parsed.from().and_then(|from| from.first()).and_then(|from| from.address()).unwrap_or_default();
    let subject: Option<String> =
        parsed.subject().map(|subject| subject.replace('\0', "").chars().take(SUBJECT_CHARACTERS).collect());
    let snippet = automatic_replies::snippet(&parsed).replace('\0', "");
    let reply = ReplyId::fresh();
    let written = tx
        .execute(
            include_str!("inbound/insert_reply.sql"),
            &[
                &organization,
                &reply,
                &id,
                &parsed.message_id().unwrap_or(mail.object_key).replace('\0', ""),
                &from.replace('\0', ""),
                &subject,
                &snippet,
                &is_automatic,
                &mail.object_key,
                &mail.received_at,
            ],
        )
        .await?;
    if written == 0 {
        tx.commit().await?;
        return Ok(Taken::Known);
    }
    let kind = if is_automatic { "auto_replied" } else { "replied" };
    tx.execute(
        include_str!("inbound/insert_event.sql"),
        &[&organization, &crate::ids::fresh(), &id, &kind, &mail.object_key, &mail.received_at],
    )
    .await?;
    if !is_automatic {
        tx.execute(include_str!("inbound/mark_message.sql"), &[&organization, &id, &mail.received_at]).await?;
        tx.execute(include_str!("inbound/mark_contact.sql"), &[&organization, &contact]).await?;
        if let Some(enrollment) = enrollment {
            stopping::stop_enrollment(&tx, organization, enrollment, Stop::Replied).await?;
        }
        let told = MessageEvent {
            message: answered,
            event_type: EventType::ReplyReceived,
            occurred_at: mail.received_at,
            more: json!({ "reply_id": reply }),
        };
        outbox::emit_of_messages(&tx, &[told]).await?;
    }
    tx.commit().await?;
    Ok(if is_automatic { Taken::AutomaticReply } else { Taken::Reply })
}

/// The message whose token is the local part of `address`.
fn answered(keys: &KeyRing, address: &str) -> Option<MessageKey> {
    let (local_part, _) = address.rsplit_once('@')?;
    let (organization, id) = keys.open_reply_token(local_part).ok()?;
    Some(MessageKey { organization: OrganizationId(organization), id: MessageId(id) })
}
