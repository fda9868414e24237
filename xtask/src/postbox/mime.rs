//! Reading the mails that arrive, and building one from the parts of SES's simple form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::MessageParser;

use super::addresses::{self, Mailbox};

/// The longest line of a mail that SES takes, in bytes without its end (RFC 5321 says 1,000 with it).
const MAX_LINE: usize = 998;

/// How many bytes of base64 go on one line (RFC 2045).
const BASE64_LINE: usize = 76;

/// How many bytes of text go into one encoded word, so that it stays below 75 characters (RFC 2047).
const ENCODED_WORD_BYTES: usize = 45;

/// Headers that a mail may carry once at most.
const SINGLE_HEADERS: [&str; 9] = ["from", "to", "cc", "bcc", "subject", "reply-to", "sender", "date", "message-id"];

/// What is read from a mail's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Every header in its order, unfolded but not decoded.
    pub(crate) headers: Vec<(String, String)>,
    /// The subject, decoded.
    pub(crate) subject: String,
    /// Who it is from.
    pub(crate) from: Vec<Mailbox>,
    /// Where answers go, where the mail says so.
    pub(crate) reply_to: Vec<Mailbox>,
    /// The recipients of the To, Cc and Bcc headers.
    pub(crate) recipients: Vec<Mailbox>,
}

/// Reads a mail as SES does.
///
/// # Errors
///
/// Says why SES would refuse it: no header, a header twice, a line that is too long.
pub(crate) fn parse(raw: &[u8]) -> Result<Parsed, String> {
    if raw.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end().len() > MAX_LINE) {
        return Err(format!("A line of the message is longer than {MAX_LINE} characters."));
    }
    let mail = MessageParser::default().parse(raw).ok_or("The message has no header.")?;
    let headers: Vec<_> = mail.headers_raw().map(|(name, value)| (name.to_owned(), unfold(value))).collect();
    for single in SINGLE_HEADERS {
        if headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(single)).count() > 1 {
            return Err(format!("Duplicate header '{single}'."));
        }
    }
    let list = |header: Option<&mail_parser::Address<'_>>| header.map(addresses::mailboxes).unwrap_or_default();
    Ok(Parsed {
        subject: mail.subject().unwrap_or_default().to_owned(),
        from: list(mail.from()),
        reply_to: list(mail.reply_to()),
        recipients: [list(mail.to()), list(mail.cc()), list(mail.bcc())].concat(),
        headers,
    })
}

/// The bodies of a mail, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bodies {
    /// The plain text; made from the HTML where the mail has no other.
    pub(crate) text: String,
    /// The HTML, where the mail has some.
    pub(crate) html: Option<String>,
}

/// The bodies of a mail.
pub(crate) fn bodies(raw: &[u8]) -> Bodies {
    let Some(mail) = MessageParser::default().parse(raw) else {
        return Bodies::default();
    };
    let has_html = mail.html_bodies().any(mail_parser::MessagePart::is_text_html);
    Bodies {
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: has_html.then(|| mail.body_html(0).unwrap_or_default().into_owned()),
    }
}

/// Builds a mail from headers (name and value, encoded here where needed) and bodies.
pub(crate) fn build(headers: &[(&str, &str)], text: Option<&str>, html: Option<&str>, boundary: &str) -> Vec<u8> {
    let mut mail = String::new();
    for (name, value) in headers {
        mail.push_str(&format!("{name}: {value}\r\n"));
    }
    mail.push_str("MIME-Version: 1.0\r\n");
    match (text, html) {
        (Some(text), Some(html)) => {
            mail.push_str(&format!("Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n"));
            for (kind, body) in [("plain", text), ("html", html)] {
                mail.push_str(&format!("--{boundary}\r\n{}", part(kind, body)));
            }
            mail.push_str(&format!("--{boundary}--\r\n"));
        }
        (None, Some(html)) => mail.push_str(&part("html", html)),
        (text, None) => mail.push_str(&part("plain", text.unwrap_or_default())),
    }
    mail.into_bytes()
}

fn part(kind: &str, body: &str) -> String {
    let encoded = STANDARD.encode(body);
    let lines: Vec<_> =
        encoded.as_bytes().chunks(BASE64_LINE).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!(
        "Content-Type: text/{kind}; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    )
}

/// Text made safe for a header: control characters become spaces, and what is not ASCII becomes
/// encoded words (RFC 2047).
pub(crate) fn header_text(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_ascii() && text.len() < MAX_LINE / 2 {
        return text;
    }
    let mut words = vec![String::new()];
    for character in text.chars() {
        let full = words.last().is_some_and(|word| word.len() + character.len_utf8() > ENCODED_WORD_BYTES);
        if full {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    let words: Vec<_> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// A mailbox as it stands in a header.
pub(crate) fn header_mailbox(mailbox: &Mailbox) -> String {
    match &mailbox.name {
        None => mailbox.address.clone(),
        Some(name) => {
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            let quoted = if name.is_ascii() {
                format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
            } else {
                header_text(&name)
            };
            format!("{quoted} <{}>", mailbox.address)
        }
    }
}

fn unfold(value: &str) -> String {
    value.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_with_its_headers_decoded_where_people_see_them() {
        let raw = b"From: =?UTF-8?Q?J=C3=BCrgen?= <j@example.com>\r\nTo: a@example.com\r\nReply-To: t0k@replies.example.com\r\n\
            Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nX-Long: one\r\n two\r\n\r\nHello\r\n";
        let parsed = parse(raw).unwrap();
        assert_eq!(parsed.subject, "Grüße");
        assert_eq!(parsed.from[0].name.as_deref(), Some("Jürgen"));
        assert_eq!(parsed.reply_to[0].address, "t0k@replies.example.com");
        assert_eq!(parsed.recipients[0].address, "a@example.com");
        assert!(parsed.headers.contains(&("X-Long".into(), "one two".into())));
        assert_eq!(bodies(raw), Bodies { text: "Hello\r\n".into(), html: None });
    }

    #[test]
    fn what_ses_refuses_is_refused() {
        assert!(parse(b"From: a@example.com\r\nFrom: b@example.com\r\n\r\n").unwrap_err().contains("Duplicate"));
        let long = format!("From: a@example.com\r\n\r\n{}\r\n", "x".repeat(999));
        assert!(parse(long.as_bytes()).unwrap_err().contains("longer"));
        assert!(parse(b"").is_err());
    }

    #[test]
    fn what_is_built_can_be_read() {
        let long = "ü".repeat(200);
        let subject = header_text(&long);
        let from = header_mailbox(&Mailbox { name: Some("Jane \"J\" Döe".into()), address: "j@example.com".into() });
        let raw = build(&[("From", &from), ("Subject", &subject)], Some("Grüße"), Some("<p>Grüße</p>"), "b0");
        let parsed = parse(&raw).unwrap();
        assert_eq!(parsed.subject, long);
        assert_eq!(parsed.from[0].name.as_deref(), Some("Jane \"J\" Döe"));
        let bodies = bodies(&raw);
        assert_eq!(bodies.text, "Grüße");
        assert_eq!(bodies.html.as_deref(), Some("<p>Grüße</p>"));
    }

    #[test]
    fn a_header_cannot_be_split() {
        assert_eq!(header_text("Hello\r\nBcc: x@example.com"), "Hello  Bcc: x@example.com");
    }
}
