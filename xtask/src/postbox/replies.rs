//! Answers to mails, by people and by machines, and the notification that SES sends on receiving
//! one. <https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html>

use chrono::{DateTime, Utc};
use serde_json::json;

use super::addresses::Mailbox;
use super::store::Mail;
use super::{addresses, clock, draws, events, mime};

/// How many lines of the answered mail are quoted.
const QUOTED_LINES: usize = 40;

/// How long a quoted line may be, in characters; UTF-8 keeps it below 998 bytes.
const QUOTED_WIDTH: usize = 200;

/// What people answer.
const TEXTS: [&str; 8] = [
    "Thanks for reaching out. Could you send me some more details?",
    "Sounds interesting. Do you have time for a call on Thursday?",
    "We already have a supplier for this, but let's talk again next quarter.",
    "I'm not the right person for this. Please write to my colleague in purchasing.",
    "What does it cost for a team of twelve?",
    "Not interested, thank you.",
    "Danke für Ihre Nachricht. Können wir nächste Woche telefonieren?",
    "Merci ! Pouvez-vous m’envoyer une présentation ?",
];

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// A person; `text` is what they write, else it is drawn.
    Person {
        /// What they write.
        text: Option<&'a str>,
    },
    /// An out-of-office message (RFC 3834).
    Machine,
}

impl Answer<'_> {
    /// The name in a mail's history.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Person { .. } => "Reply",
            Self::Machine => "AutoReply",
        }
    }
}

/// An answer as SES has received it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The id that SES gives it.
    pub(crate) id: String,
    /// Who it is from.
    pub(crate) from: String,
    /// Where it went.
    pub(crate) to: String,
    /// The whole mail.
    pub(crate) raw: Vec<u8>,
    text: String,
}

/// Writes the recipient's answer to a mail; nothing where the mail says not where to.
pub(crate) fn write(mail: &Mail, answer: Answer<'_>, at: DateTime<Utc>) -> Option<Received> {
    let to = mail.draft.reply_to.first()?.clone();
    let from = mail.draft.recipients.first()?;
    let id = format!("{}{:08x}", clock::fresh_id().simple(), mail.sequence);
    let text = text(mail, answer);
    let mut body = text.replace("\r\n", "\n").replace('\n', "\r\n");
    if let Answer::Person { .. } = answer {
        body.push_str(&quoted(mail));
    }
    let answered = format!("<{}@email.amazonses.com>", mail.provider_id);
    let references = match mail.header("References") {
        Some(earlier) => format!("{earlier}\r\n {answered}"),
        None => answered.clone(),
    };
    let date = at.to_rfc2822();
    let domain = addresses::domain(&from.address);
    let mut headers = vec![
        ("Return-Path", format!("<{}>", from.address)),
        (
            "Received",
            format!(
                "from mx.{domain} (mx.{domain} [192.0.2.25])\r\n by inbound-smtp.us-east-1.amazonaws.com with SMTP id {id}\r\n for {to};\r\n {date}"
            ),
        ),
        ("X-SES-Spam-Verdict", "PASS".into()),
        ("X-SES-Virus-Verdict", "PASS".into()),
        ("From", mime::header_mailbox(&Mailbox { name: Some(display_name(from)), address: from.address.clone() })),
        ("To", to.clone()),
        ("Subject", mime::header_text(&subject(&mail.draft.subject, answer))),
        ("Date", date),
        ("Message-ID", format!("<{}@{domain}>", clock::fresh_id())),
        ("In-Reply-To", answered),
        ("References", references),
    ];
    if answer == Answer::Machine {
        headers.push(("Auto-Submitted", "auto-replied".into()));
        headers.push(("Precedence", "auto_reply".into()));
        headers.push(("X-Auto-Response-Suppress", "All".into()));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let raw = mime::build(&headers, Some(&body), None, "");
    Some(Received { id, from: from.address.clone(), to, raw, text })
}

impl Received {
    /// The beginning of what was written, for a list.
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// What SES tells the topic of the receipt rule once it has stored the mail, in SNS's envelope.
    pub(crate) fn notification(&self, bucket: &str, key: &str, at: DateTime<Utc>) -> String {
        let parsed = mime::parse(&self.raw).unwrap_or_default();
        let (headers, truncated) = events::headers(&parsed.headers);
        let message_id = parsed.headers.iter().find(|(name, _)| name == "Message-ID").map(|(_, id)| id.as_str());
        let common = events::common_headers(&parsed.headers, message_id.unwrap_or_default(), &parsed.subject);
        let passed = json!({ "status": "PASS" });
        let message = json!({
            "notificationType": "Received",
            "mail": {
                "timestamp": clock::stamp(at),
                "source": self.from,
                "messageId": self.id,
                "destination": [self.to],
                "headersTruncated": truncated,
                "headers": headers,
                "commonHeaders": common,
            },
            "receipt": {
                "timestamp": clock::stamp(at),
                "processingTimeMillis": 250,
                "recipients": [self.to],
                "spamVerdict": passed,
                "virusVerdict": passed,
                "spfVerdict": passed,
                "dkimVerdict": passed,
                "dmarcVerdict": passed,
                "action": {
                    "type": "S3",
                    "topicArn": format!("arn:aws:sns:us-east-1:{}:ses-inbound", events::ACCOUNT),
                    "bucketName": bucket,
                    "objectKeyPrefix": "inbound",
                    "objectKey": key,
                },
            },
        });
        events::notification("ses-inbound", "Amazon SES Email Receipt Notification", &message, at)
    }
}

fn text(mail: &Mail, answer: Answer<'_>) -> String {
    match answer {
        Answer::Person { text: Some(text) } => text.to_owned(),
        Answer::Person { text: None } => {
            let drawn = draws::below(TEXTS.len() as u64, u64::from(mail.step), "text", &[mail.recipient()]);
            TEXTS[usize::try_from(drawn).unwrap_or(0)].to_owned()
        }
        Answer::Machine => "I am out of the office and will be back next week. I will answer your message then.".into(),
    }
}

fn subject(subject: &str, answer: Answer<'_>) -> String {
    let is_answer = subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    match answer {
        Answer::Machine => format!("Automatic reply: {subject}"),
        Answer::Person { .. } if is_answer => subject.to_owned(),
        Answer::Person { .. } => format!("Re: {subject}"),
    }
}

fn quoted(mail: &Mail) -> String {
    let written = mail.accepted_at.format("On %a, %-d %b %Y at %H:%M");
    let mut quoted = format!("\r\n\r\n{written}, {} wrote:\r\n\r\n", mail.draft.source);
    for line in mime::bodies(&mail.draft.raw).text.lines().take(QUOTED_LINES) {
        let line: String = line.chars().take(QUOTED_WIDTH).collect();
        quoted.push_str(&format!("> {line}\r\n"));
    }
    quoted
}

/// The recipient's name as the mail gave it, or made from the address.
fn display_name(recipient: &Mailbox) -> String {
    recipient.name.clone().unwrap_or_else(|| {
        let local = recipient.address.split(['@', '+']).next().unwrap_or_default();
        let words = local.split(['.', '_', '-']).filter(|word| !word.is_empty()).map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        });
        words.collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::postbox::testing::{AT, kept_mail};

    fn header(raw: &[u8], name: &str) -> Option<String> {
        let parsed = mime::parse(raw).unwrap();
        parsed.headers.into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    #[test]
    fn a_reply_goes_to_the_token_and_belongs_to_the_thread() {
        let received = write(&kept_mail(), Answer::Person { text: Some("Yes, please.") }, AT).unwrap();
        let raw = &received.raw;
        assert_eq!(received.to, "t0k3n@replies.example.com");
        assert_eq!(header(raw, "From").unwrap(), "\"Jane\" <Jane@example.com>");
        assert_eq!(header(raw, "To").unwrap(), "t0k3n@replies.example.com");
        assert_eq!(mime::parse(raw).unwrap().subject, "Re: Hello Jané");
        assert_eq!(header(raw, "In-Reply-To").unwrap(), "<0100-id@email.amazonses.com>");
        assert_eq!(
            header(raw, "References").unwrap(),
            "<0100-earlier@email.amazonses.com> <0100-id@email.amazonses.com>"
        );
        assert_eq!(header(raw, "Date").unwrap(), "Wed, 5 Aug 2026 09:30:00 +0000");
        assert_eq!(header(raw, "Auto-Submitted"), None);
        let text = mime::bodies(raw).text;
        assert!(text.starts_with("Yes, please.\r\n"), "{text}");
        assert!(text.contains("> Hello Jané,"), "{text}");
    }

    #[test]
    fn an_automatic_reply_says_that_it_is_one() {
        let received = write(&kept_mail(), Answer::Machine, AT).unwrap();
        assert_eq!(header(&received.raw, "Auto-Submitted").unwrap(), "auto-replied");
        assert_eq!(header(&received.raw, "Precedence").unwrap(), "auto_reply");
        assert!(header(&received.raw, "Subject").unwrap().starts_with("=?UTF-8?B?"));
        assert!(!mime::bodies(&received.raw).text.contains("> "));
    }

    #[test]
    fn the_receipt_names_the_object_and_the_verdicts() {
        let received = write(&kept_mail(), Answer::Machine, AT).unwrap();
        let envelope: Value = serde_json::from_str(&received.notification("uploads", "inbound/x", AT)).unwrap();
        let message: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
        assert_eq!(message["notificationType"], "Received");
        assert_eq!(message["receipt"]["recipients"], json!(["t0k3n@replies.example.com"]));
        assert_eq!(message["receipt"]["action"]["objectKey"], "inbound/x");
        assert_eq!(message["receipt"]["spamVerdict"]["status"], "PASS");
        assert_eq!(message["mail"]["source"], "Jane@example.com");
        assert_eq!(message["mail"]["commonHeaders"]["subject"], "Automatic reply: Hello Jané");
    }

    #[test]
    fn names_are_made_from_addresses() {
        let named = |address: &str| display_name(&Mailbox { name: None, address: address.into() });
        assert_eq!(named("jane.van-doe+crm@example.com"), "Jane Van Doe");
        assert_eq!(subject("RE: Hello", Answer::Person { text: None }), "RE: Hello");
    }
}
