//! The events that SES publishes, and the envelope that SNS puts around them.
//! <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::store::{Mail, provider_id};
use super::{addresses, clock};

/// The account that everything local belongs to.
pub(crate) const ACCOUNT: &str = "000000000000";

/// How many bytes of headers SES puts into an event at most.
const MAX_HEADER_BYTES: usize = 10 * 1024;

/// Which of SES's bounces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bounce {
    /// There is no such mailbox.
    Permanent,
    /// The mailbox is full.
    Transient,
    /// SES suppresses the address itself.
    Suppressed,
}

/// SES has taken the mail over.
pub(crate) fn send(mail: &Mail) -> Value {
    event(mail, "Send", "send", json!({}))
}

/// The recipient's server has accepted the mail.
pub(crate) fn delivery(mail: &Mail, at: DateTime<Utc>) -> Value {
    let taken = (at - mail.accepted_at).num_milliseconds().max(1);
    event(
        mail,
        "Delivery",
        "delivery",
        json!({
            "timestamp": clock::stamp(at),
            "processingTimeMillis": taken,
            "recipients": recipients(mail),
            "smtpResponse": "250 2.6.0 Message received",
            "remoteMtaIp": "127.0.0.1",
            "reportingMTA": "a8-53.smtp-out.amazonses.com",
        }),
    )
}

/// The mail has bounced.
pub(crate) fn bounce(mail: &Mail, at: DateTime<Utc>, bounce: Bounce) -> Value {
    let (kind, sub_kind, status, code) = match bounce {
        Bounce::Permanent => ("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"),
        Bounce::Transient => ("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"),
        Bounce::Suppressed => ("Permanent", "Suppressed", "5.1.1", "Amazon SES has suppressed sending to this address"),
    };
    let recipients: Vec<_> = mail
        .draft
        .recipients
        .iter()
        .map(|to| json!({ "emailAddress": to.address, "action": "failed", "status": status, "diagnosticCode": code }))
        .collect();
    event(
        mail,
        "Bounce",
        "bounce",
        json!({
            "bounceType": kind,
            "bounceSubType": sub_kind,
            "bouncedRecipients": recipients,
            "timestamp": clock::stamp(at),
            "feedbackId": provider_id(at),
            "reportingMTA": "dns; a8-53.smtp-out.amazonses.com",
        }),
    )
}

/// The recipient has reported the mail as spam.
pub(crate) fn complaint(mail: &Mail, at: DateTime<Utc>) -> Value {
    let recipients: Vec<_> = recipients(mail).into_iter().map(|address| json!({ "emailAddress": address })).collect();
    event(
        mail,
        "Complaint",
        "complaint",
        json!({
            "complainedRecipients": recipients,
            "timestamp": clock::stamp(at),
            "feedbackId": provider_id(at),
            "complaintSubType": null,
            "userAgent": "Amazon SES Mailbox Simulator",
            "complaintFeedbackType": "abuse",
            "arrivalDate": clock::stamp(at),
        }),
    )
}

fn event(mail: &Mail, kind: &str, object: &str, content: Value) -> Value {
    let mut event = Map::new();
    event.insert("eventType".into(), kind.into());
    event.insert("mail".into(), mail_object(mail));
    event.insert(object.into(), content);
    Value::Object(event)
}

fn recipients(mail: &Mail) -> Vec<&str> {
    mail.draft.recipients.iter().map(|to| to.address.as_str()).collect()
}

fn mail_object(mail: &Mail) -> Value {
    let draft = &mail.draft;
    let (headers, truncated) = headers(&draft.headers);
    json!({
        "timestamp": clock::stamp(mail.accepted_at),
        "source": draft.source,
        "sourceArn": format!("arn:aws:ses:us-east-1:{ACCOUNT}:identity/{}", addresses::domain(&draft.from)),
        "sendingAccountId": ACCOUNT,
        "messageId": mail.provider_id,
        "destination": recipients(mail),
        "headersTruncated": truncated,
        "headers": headers,
        "commonHeaders": common_headers(&draft.headers, &mail.provider_id, &draft.subject),
        "tags": tags(mail),
    })
}

/// The headers as SES lists them, and whether it left some out for their length.
pub(crate) fn headers(headers: &[(String, String)]) -> (Vec<Value>, bool) {
    let mut bytes = 0;
    let listed: Vec<_> = headers
        .iter()
        .take_while(|(name, value)| {
            bytes += name.len() + value.len();
            bytes <= MAX_HEADER_BYTES
        })
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let truncated = listed.len() < headers.len();
    (listed, truncated)
}

/// The usual headers in a form that is easy to read.
pub(crate) fn common_headers(headers: &[(String, String)], message_id: &str, subject: &str) -> Value {
    let value = |name: &str| headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let mut common = Map::new();
    for (key, name) in [("from", "From"), ("to", "To"), ("cc", "Cc"), ("replyTo", "Reply-To")] {
        if let Some(value) = value(name) {
            common.insert(key.into(), json!([value]));
        }
    }
    if let Some(date) = value("Date") {
        common.insert("date".into(), json!(date));
    }
    common.insert("messageId".into(), message_id.into());
    common.insert("subject".into(), subject.into());
    Value::Object(common)
}

fn tags(mail: &Mail) -> Value {
    let draft = &mail.draft;
    let mut tags: Map<String, Value> = draft.tags.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    let own = [
        ("ses:operation", "SendEmail".to_owned()),
        ("ses:source-ip", "127.0.0.1".to_owned()),
        ("ses:from-domain", addresses::domain(&draft.from)),
        ("ses:caller-identity", "local".to_owned()),
    ];
    let set = draft.configuration_set.clone().map(|set| ("ses:configuration-set", set));
    for (name, value) in set.into_iter().chain(own) {
        tags.insert(name.into(), json!([value]));
    }
    Value::Object(tags)
}

/// What a topic delivers to a queue that has not asked for raw messages: the message as text.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
///
/// The signature is no signature: whoever reads the local queues does not check it.
pub(crate) fn notification(topic: &str, subject: &str, message: &Value, at: DateTime<Utc>) -> String {
    let topic = format!("arn:aws:sns:us-east-1:{ACCOUNT}:{topic}");
    json!({
        "Type": "Notification",
        "MessageId": clock::fresh_id(),
        "TopicArn": topic,
        "Subject": subject,
        "Message": message.to_string(),
        "Timestamp": clock::stamp(at),
        "SignatureVersion": "1",
        "Signature": "bm90IHNpZ25lZA==",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-local.pem",
        "UnsubscribeURL":
            format!("https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={topic}:local"),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::testing::{AT, kept_mail};

    #[test]
    fn a_permanent_bounce_has_the_form_of_ses() {
        let mail = kept_mail();
        let at = AT + chrono::TimeDelta::milliseconds(1_500);
        let mut event = bounce(&mail, at, Bounce::Permanent);
        assert!(event["bounce"]["feedbackId"].as_str().unwrap().starts_with("0100"));
        event["bounce"]["feedbackId"] = json!("…");
        let expected = json!({
            "eventType": "Bounce",
            "mail": {
                "timestamp": "2026-08-05T09:30:00.000Z",
                "source": "Sales <sales@mail.example.com>",
                "sourceArn": "arn:aws:ses:us-east-1:000000000000:identity/mail.example.com",
                "sendingAccountId": "000000000000",
                "messageId": "0100-id",
                "destination": ["Jane@example.com"],
                "headersTruncated": false,
                "headers": [
                    { "name": "From", "value": "Sales <sales@mail.example.com>" },
                    { "name": "To", "value": "Jane Doe <Jane@example.com>" },
                    { "name": "Reply-To", "value": "t0k3n@replies.example.com" },
                    { "name": "Subject", "value": "=?UTF-8?Q?Hello_Jan=C3=A9?=" },
                    { "name": "References", "value": "<0100-earlier@email.amazonses.com>" },
                    { "name": "List-Unsubscribe", "value": "<http://api.localhost:9/u/t0k3n>" },
                    { "name": "List-Unsubscribe-Post", "value": "List-Unsubscribe=One-Click" },
                    { "name": "Content-Type", "value": "text/plain; charset=UTF-8" },
                ],
                "commonHeaders": {
                    "from": ["Sales <sales@mail.example.com>"],
                    "to": ["Jane Doe <Jane@example.com>"],
                    "replyTo": ["t0k3n@replies.example.com"],
                    "messageId": "0100-id",
                    "subject": "Hello Jané",
                },
                "tags": {
                    "message_id": ["m-1"],
                    "attempt": ["a-1"],
                    "ses:configuration-set": ["martlet"],
                    "ses:operation": ["SendEmail"],
                    "ses:source-ip": ["127.0.0.1"],
                    "ses:from-domain": ["mail.example.com"],
                    "ses:caller-identity": ["local"],
                },
            },
            "bounce": {
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "bouncedRecipients": [{
                    "emailAddress": "Jane@example.com",
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                }],
                "timestamp": "2026-08-05T09:30:01.500Z",
                "feedbackId": "…",
                "reportingMTA": "dns; a8-53.smtp-out.amazonses.com",
            },
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn the_other_events_carry_their_own_objects() {
        let mail = kept_mail();
        let at = AT + chrono::TimeDelta::milliseconds(20);
        assert_eq!(send(&mail)["send"], json!({}));
        let delivery = delivery(&mail, at);
        assert_eq!(delivery["eventType"], "Delivery");
        assert_eq!(delivery["delivery"]["processingTimeMillis"], 20);
        assert_eq!(delivery["delivery"]["recipients"], json!(["Jane@example.com"]));
        let soft = bounce(&mail, at, Bounce::Transient);
        assert_eq!(soft["bounce"]["bounceType"], "Transient");
        assert_eq!(bounce(&mail, at, Bounce::Suppressed)["bounce"]["bounceSubType"], "Suppressed");
        let complaint = complaint(&mail, at);
        assert_eq!(complaint["complaint"]["complainedRecipients"][0]["emailAddress"], "Jane@example.com");
        assert_eq!(complaint["complaint"]["complaintFeedbackType"], "abuse");
    }

    #[test]
    fn long_headers_are_truncated_and_say_so() {
        let many: Vec<_> = (0..30).map(|n| (format!("X-{n}"), "x".repeat(1_000))).collect();
        let (listed, truncated) = headers(&many);
        assert!(truncated && listed.len() == 10);
    }

    #[test]
    fn the_envelope_holds_the_message_as_text() {
        let text = notification("ses-events", "Subject", &json!({ "eventType": "Send" }), AT);
        let envelope: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(envelope["Type"], "Notification");
        assert_eq!(envelope["Message"], r#"{"eventType":"Send"}"#);
        assert_eq!(envelope["Timestamp"], "2026-08-05T09:30:00.000Z");
        assert_eq!(envelope["TopicArn"], "arn:aws:sns:us-east-1:000000000000:ses-events");
    }
}
