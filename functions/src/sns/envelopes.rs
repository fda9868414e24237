//! What SNS puts around a message, and the text of it that SNS signs.
//!
//! The form and the order of the signed fields are those of "Verifying the signatures of Amazon SNS messages" in the
//! developer guide of SNS.

use serde::Deserialize;

use super::certificates::Algorithm;

/// What an envelope is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// It carries what somebody has published.
    Notification,
    /// SNS asks whether this address wants what the topic gets.
    SubscriptionConfirmation,
    /// This address gets no more.
    UnsubscribeConfirmation,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// How it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum SignatureVersion {
    #[serde(rename = "1")]
    One,
    #[serde(rename = "2")]
    Two,
}

/// An envelope. Fields that SNS does not sign are not read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Envelope {
    /// What it is for.
    #[serde(rename = "Type")]
    pub kind: Kind,
    message_id: String,
    /// The topic that it says it is from.
    pub topic_arn: String,
    subject: Option<String>,
    message: String,
    timestamp: String,
    signature_version: SignatureVersion,
    /// The signature in Base64.
    pub signature: String,
    /// Where it says that the certificate is.
    #[serde(rename = "SigningCertURL")]
    pub signing_cert_url: String,
    /// Where a subscription is confirmed.
    #[serde(rename = "SubscribeURL")]
    pub subscribe_url: Option<String>,
    /// With what a subscription is confirmed.
    pub token: Option<String>,
}

impl Envelope {
    /// Reads a body.
    ///
    /// Errors: what is wrong with it, for people.
    pub fn read(body: &[u8]) -> Result<Self, &'static str> {
        let envelope: Self = serde_json::from_slice(body)
            .map_err(|_| "the body is not the envelope of SNS; the delivery of raw messages must be off")?;
        let is_confirmation = envelope.kind != Kind::Notification;
        if is_confirmation && (envelope.subscribe_url.is_none() || envelope.token.is_none()) {
            return Err("a confirmation has SubscribeURL and Token");
        }
        // The signed text joins names and values by line feeds: were these in other values than the message, which comes
        // first, then two envelopes could have the same text.
        let single_lines = [
            Some(&envelope.message_id),
            envelope.subject.as_ref(),
            Some(&envelope.timestamp),
            Some(&envelope.topic_arn),
            envelope.subscribe_url.as_ref(),
            envelope.token.as_ref(),
        ];
        if single_lines.into_iter().flatten().any(|value| value.contains('\n')) {
            return Err("only the message has lines");
        }
        Ok(envelope)
    }

    /// How the signature was made.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.signature_version {
            SignatureVersion::One => Algorithm::RsaSha1,
            SignatureVersion::Two => Algorithm::RsaSha256,
        }
    }

    /// The text that SNS signs: names and values by turns, each followed by a line feed, the names in their order.
    #[must_use]
    pub fn signed_text(&self) -> String {
        let kind = self.kind.name();
        let is_notification = self.kind == Kind::Notification;
        let subject = self.subject.as_deref().filter(|_| is_notification);
        let subscribe_url = self.subscribe_url.as_deref().filter(|_| !is_notification);
        let token = self.token.as_deref().filter(|_| !is_notification);
        let fields = [
            ("Message", Some(self.message.as_str())),
            ("MessageId", Some(self.message_id.as_str())),
            ("Subject", subject),
            ("SubscribeURL", subscribe_url),
            ("Timestamp", Some(self.timestamp.as_str())),
            ("Token", token),
            ("TopicArn", Some(self.topic_arn.as_str())),
            ("Type", Some(kind)),
        ];
        let mut text = String::new();
        for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
            for part in [*name, "\n", value, "\n"] {
                text.push_str(part);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Envelope;

    fn envelope(kind: &str) -> Value {
        json!({
            "Type": kind, "MessageId": "id", "TopicArn": "topic", "Message": "one\ntwo", "Timestamp": "time",
            "SignatureVersion": "2", "Signature": "", "SigningCertURL": "url", "SubscribeURL": "there", "Token": "token",
            "UnsubscribeURL": "elsewhere", "MessageAttributes": {"new": {}},
        })
    }

    fn read(value: &Value) -> Result<Envelope, &'static str> {
        Envelope::read(value.to_string().as_bytes())
    }

    #[test]
    fn the_signed_text_names_the_fields_in_their_order() {
        let mut notification = envelope("Notification");
        let without_subject =
            "Message\none\ntwo\nMessageId\nid\nTimestamp\ntime\nTopicArn\ntopic\nType\nNotification\n";
        assert_eq!(read(&notification).unwrap().signed_text(), without_subject);
        notification["Subject"] = json!("Hello");
        let with_subject =
            "Message\none\ntwo\nMessageId\nid\nSubject\nHello\nTimestamp\ntime\nTopicArn\ntopic\nType\nNotification\n";
        assert_eq!(read(&notification).unwrap().signed_text(), with_subject);
        for kind in ["SubscriptionConfirmation", "UnsubscribeConfirmation"] {
            let text = format!(
                "Message\none\ntwo\nMessageId\nid\nSubscribeURL\nthere\nTimestamp\ntime\nToken\ntoken\nTopicArn\ntopic\nType\n{kind}\n"
            );
            assert_eq!(read(&envelope(kind)).unwrap().signed_text(), text);
        }
    }

    #[test]
    fn no_two_envelopes_have_the_same_signed_text() {
        for field in ["MessageId", "Timestamp", "TopicArn", "SubscribeURL", "Token", "Subject"] {
            let mut spoilt = envelope("SubscriptionConfirmation");
            spoilt[field] = json!("a\nSubject\nb");
            assert!(read(&spoilt).is_err(), "{field}");
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for (field, value) in [
            ("Type", json!("Publish")),
            ("Type", Value::Null),
            ("SignatureVersion", json!("3")),
            ("SignatureVersion", json!(1)),
            ("Message", json!({"eventType": "Bounce"})),
            ("Token", Value::Null),
        ] {
            let mut spoilt = envelope("SubscriptionConfirmation");
            spoilt[field] = value;
            assert!(read(&spoilt).is_err(), "{field}");
        }
        for body in ["", "null", "[]", "{", r#"{"eventType":"Bounce","mail":{}}"#, "\u{feff}{}"] {
            assert!(Envelope::read(body.as_bytes()).is_err(), "{body}");
        }
        let twice = envelope("Notification").to_string().replacen('{', r#"{"Message":"another","#, 1);
        assert!(Envelope::read(twice.as_bytes()).is_err(), "which of two messages is meant nobody can tell");
    }
}
