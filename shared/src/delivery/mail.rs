//! The bytes of a mail: RFC 5322 headers and a `multipart/alternative` of plain text and HTML.
//!
//! The same input gives the same bytes: the boundary and the Message-ID come from the message's id, the date is an
//! argument. The header fields are written here rather than by the MIME crate, whose own defaults take the wall clock
//! and a random boundary, and which puts encoded words into quoted strings (RFC 2047 section 5 forbids that).
//!
//! Nothing that a person or a file gave can end a header field: CR, LF and NUL are refused by the field's name, other
//! characters that a field can't have are encoded where it is text and refused where it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use uuid::Uuid;

/// Longest line of a header without its CRLF, where it can be folded (RFC 5322 section 2.1.1).
const LINE: usize = 76;

/// Longest text that cannot be folded: a line has at most 998 characters (RFC 5322 section 2.1.1), its name included.
const MAX_UNFOLDED: usize = 900;

/// Bytes of text in one encoded word. In base64 with `=?utf-8?B?…?=` around it and a field's name before it, it stays
/// below the 76 characters of a line (RFC 2047 section 2).
const ENCODED_WORD: usize = 39;

/// A mail to be composed.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The name that the recipient sees; none if it is blank.
    pub from_name: Option<&'a str>,
    /// The sender's address.
    pub from: &'a str,
    /// The recipient's address.
    pub to: &'a str,
    /// The address that replies go to; the sender's own where there is none.
    pub reply_to: Option<&'a str>,
    /// The subject: one line of any text.
    pub subject: &'a str,
    /// The text. Its line breaks may be of any kind; control characters are left out.
    pub body_text: &'a str,
    /// The sender's postal address, in one or more lines, for the footer.
    pub postal_address: Option<&'a str>,
    /// The sender's signature, in one or more lines.
    pub signature: Option<&'a str>,
    /// Where the recipient unsubscribes: an http or https URL that acts on POST (RFC 8058). A mail without one is what a machine
    /// says to one person about their own account, and says that it is (RFC 3834 section 5).
    pub unsubscribe_url: Option<&'a str>,
    /// Where links of the HTML part lead instead, by their URL in the text; those that are not here lead where they say.
    /// The plain part keeps what was written.
    pub link_urls: &'a BTreeMap<String, String>,
    /// A picture of one pixel at the end of the HTML part, whose fetching tells of an open.
    pub pixel_url: Option<&'a str>,
    /// The Message-ID of the mail that this one follows, without its brackets.
    pub in_reply_to: Option<&'a str>,
    /// The Message-IDs of the thread, oldest first, without their brackets.
    pub references: &'a [&'a str],
    /// The date of the mail.
    pub date: DateTime<Utc>,
    /// The message's own id: the Message-ID and the boundary are made of it.
    pub message_ref: Uuid,
}

/// Why a mail can't be composed. The content of the field is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A field of the header has a CR, LF or NUL, which could begin another field.
    #[error("{field} has a line break or a NUL in it")]
    LineBreak {
        /// Name of the field in [`Outgoing`].
        field: &'static str,
    },
    /// A field is not of its form: an address, a Message-ID or a URL.
    #[error("{field} is not valid")]
    Invalid {
        /// Name of the field in [`Outgoing`].
        field: &'static str,
    },
    /// The bytes could not be written. They go to memory, so this does not happen.
    #[error("the mail could not be written")]
    Unwritable(#[from] io::Error),
}

impl ComposeError {
    /// Stable name of what is wrong.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::LineBreak { .. } => "line_break",
            Self::Invalid { .. } => "invalid",
            Self::Unwritable(_) => "unwritable",
        }
    }

    /// The field that it is about.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::LineBreak { field } | Self::Invalid { field } => Some(field),
            Self::Unwritable(_) => None,
        }
    }
}

/// It shows no address and no text.
impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("message_ref", &self.message_ref).finish_non_exhaustive()
    }
}

/// Composes the bytes of a mail, ready to be sent.
///
/// # Errors
///
/// [`ComposeError`] names the first field that is refused.
pub fn compose(mail: &Outgoing<'_>) -> Result<Vec<u8>, ComposeError> {
    check(mail)?;
    let (text, html) = (plain_text(mail), html(mail));
    let mut bytes = header(mail).into_bytes();
    let boundary = boundary(mail.message_ref, &[&text, &html]);
    let content_type = ContentType::new("multipart/alternative").attribute("boundary", boundary);
    // The last part is the best one (RFC 2046 section 5.1.4).
    let parts = vec![MimePart::new("text/plain", text), MimePart::new("text/html", html)];
    MimePart::new(content_type, parts).write_part(&mut bytes)?;
    Ok(bytes)
}

/// Bytes of the HTML part before it is encoded: what a mail program has to show.
#[must_use]
pub fn html_length(mail: &Outgoing<'_>) -> usize {
    html(mail).len()
}

/// The http and https URLs that are links in the HTML part made of these texts.
#[must_use]
pub fn links<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut links = BTreeSet::new();
    for text in texts {
        for line in clean(text).split('\n') {
            let mut rest = line;
            while let Some((_, url, after)) = first_url(rest) {
                links.insert(url.to_owned());
                rest = after;
            }
        }
    }
    links
}

/// Refuses what a header field can't carry.
fn check(mail: &Outgoing<'_>) -> Result<(), ComposeError> {
    let fields = [
        ("from_name", mail.from_name.unwrap_or_default()),
        ("from", mail.from),
        ("to", mail.to),
        ("reply_to", mail.reply_to.unwrap_or_default()),
        ("subject", mail.subject),
        ("unsubscribe_url", mail.unsubscribe_url.unwrap_or_default()),
        ("in_reply_to", mail.in_reply_to.unwrap_or_default()),
    ];
    let references = mail.references.iter().map(|id| ("references", *id));
    if let Some((field, _)) = fields.into_iter().chain(references).find(|(_, value)| value.contains(['\r', '\n', '\0']))
    {
        return Err(ComposeError::LineBreak { field });
    }
    let invalid = [
        ("from", is_address(mail.from)),
        ("to", is_address(mail.to)),
        ("reply_to", mail.reply_to.is_none_or(is_address)),
        ("unsubscribe_url", mail.unsubscribe_url.is_none_or(is_url)),
        ("link_urls", mail.link_urls.values().all(|url| is_url(url))),
        ("pixel_url", mail.pixel_url.is_none_or(is_url)),
        ("in_reply_to", mail.in_reply_to.is_none_or(is_message_id)),
        ("references", mail.references.iter().all(|id| is_message_id(id))),
    ];
    match invalid.into_iter().find(|(_, valid)| !valid) {
        Some((field, _)) => Err(ComposeError::Invalid { field }),
        None => Ok(()),
    }
}

/// Could this stand between angle brackets and be one address? Whoever stored it has parsed it; this keeps a second
/// recipient out of the field even so.
fn is_address(text: &str) -> bool {
    let Some((local_part, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |c: char| c.is_ascii_graphic() && !"()<>[]:;@\\,\"".contains(c);
    let is_quoted = local_part.len() > 1
        && local_part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|inner| {
            let mut escaped = false;
            let fits = inner.chars().all(|c| {
                let fits = (' '..='~').contains(&c) && (escaped || c != '"');
                escaped = c == '\\' && !escaped;
                fits
            });
            fits && !escaped
        });
    text.len() <= MAX_UNFOLDED
        && (is_quoted || (!local_part.is_empty() && local_part.chars().all(is_atom)))
        && !domain.is_empty()
        && domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// An absolute http or https URL of characters that need no brackets of their own (RFC 3986 section 2).
fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
        && text.len() <= MAX_UNFOLDED
        && text.chars().all(|c| c.is_ascii_graphic() && !"<>\"\\^`{|}".contains(c))
}

/// `id-left "@" id-right` of RFC 5322 section 3.6.4, as far as a field can be broken by it.
fn is_message_id(text: &str) -> bool {
    text.len() <= MAX_UNFOLDED
        && text.chars().all(|c| c.is_ascii_graphic() && !"<>()\"\\,".contains(c))
        && text.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty())
}

/// The header fields, each ending in CRLF, up to those of the MIME structure.
fn header(mail: &Outgoing<'_>) -> String {
    let mut header = String::new();
    let mut field = |name: &str, value: &str| {
        header.push_str(name);
        header.push_str(": ");
        header.push_str(value);
        header.push_str("\r\n");
    };
    let from_domain = mail.from.rsplit_once('@').map_or("", |(_, domain)| domain);
    field("From", &mailbox(mail.from_name, mail.from));
    field("To", &mailbox(None, mail.to));
    if let Some(reply_to) = mail.reply_to {
        field("Reply-To", &mailbox(None, reply_to));
    }
    field("Subject", &unstructured("Subject", mail.subject));
    // RFC 5322 section 3.3, written out because the format of the library's own function fails past the year 9999.
    field("Date", &mail.date.format("%a, %-d %b %Y %H:%M:%S +0000").to_string());
    field("Message-ID", &format!("<{}@{from_domain}>", mail.message_ref));
    if let Some(parent) = mail.in_reply_to {
        field("In-Reply-To", &format!("<{parent}>"));
    }
    // The parent ends the list of its own thread (RFC 5322 section 3.6.4), whether or not the caller has put it there.
    let parent = mail.in_reply_to.filter(|parent| !mail.references.contains(parent));
    let references: Vec<_> = mail.references.iter().copied().chain(parent).map(|id| format!("<{id}>")).collect();
    if !references.is_empty() {
        field("References", &references.join("\r\n "));
    }
    match mail.unsubscribe_url {
        Some(url) => {
            field("List-Unsubscribe", &format!("<{url}>"));
            field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        }
        None => field("Auto-Submitted", "auto-generated"),
    }
    field("MIME-Version", "1.0");
    header
}

/// An address with the name before it.
fn mailbox(name: Option<&str>, address: &str) -> String {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return format!("<{address}>") };
    let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    // A name that looks like an encoded word is encoded itself, or a mail program would decode it.
    let phrase = if is_printable(name) && quoted.len() < LINE - "From: ".len() && !name.contains("=?") {
        quoted
    } else {
        encoded_words(name)
    };
    let last_line = phrase.rsplit('\n').next().map_or(0, str::len);
    let separator = if last_line + "From: ".len() + address.len() + 3 > LINE { "\r\n " } else { " " };
    format!("{phrase}{separator}<{address}>")
}

/// Free text: as it is where that is ASCII that folds, else as encoded words.
fn unstructured(name: &str, text: &str) -> String {
    let spaced_oddly = text.starts_with(' ') || text.ends_with(' ') || text.contains("  ");
    let too_long = text.split(' ').any(|word| word.len() > LINE - name.len() - 2);
    if !is_printable(text) || text.contains("=?") || spaced_oddly || too_long {
        return encoded_words(text);
    }
    let mut folded = String::new();
    let mut column = name.len() + 2;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            let fits = column + 1 + word.len() <= LINE;
            folded.push_str(if fits { " " } else { "\r\n " });
            column = if fits { column + 1 } else { 1 };
        }
        folded.push_str(word);
        column += word.len();
    }
    folded
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// RFC 2047 encoded words, one a line, each of whole characters.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded: Vec<_> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    encoded.join("\r\n ")
}

/// A boundary made of the message's id that no part contains.
fn boundary(message_ref: Uuid, parts: &[&str]) -> String {
    let base = format!("=_{}", message_ref.simple());
    let mut boundary = base.clone();
    let mut attempt = 0_u32;
    while parts.iter().any(|part| part.contains(&boundary)) {
        attempt += 1;
        boundary = format!("{base}_{attempt}");
    }
    boundary
}

/// The text with line feeds only, no other control characters but tabs, and no blank lines at its ends.
fn clean(text: &str) -> String {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    let cleaned: String = unified.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let first = cleaned.find(|c: char| !c.is_whitespace()).unwrap_or(cleaned.len());
    let start = cleaned.get(..first).and_then(|blank| blank.rfind('\n')).map_or(0, |line_feed| line_feed + 1);
    cleaned.get(start..).unwrap_or_default().trim_end().to_owned()
}

/// A text that is there and not blank, cleaned.
fn present(text: Option<&str>) -> Option<String> {
    text.map(clean).filter(|text| !text.is_empty())
}

/// The plain part: text, signature below the usual `-- ` (RFC 3676 section 4.3), postal address, unsubscribe link.
fn plain_text(mail: &Outgoing<'_>) -> String {
    let mut text = clean(mail.body_text);
    if let Some(signature) = present(mail.signature) {
        text.push_str("\n\n-- \n");
        text.push_str(&signature);
    }
    if let Some(address) = present(mail.postal_address) {
        text.push_str("\n\n");
        text.push_str(&address);
    }
    if let Some(url) = mail.unsubscribe_url {
        text.push_str("\n\nUnsubscribe: ");
        text.push_str(url);
    }
    text.push('\n');
    // The canonical line break of text (RFC 2046 section 4.1.1), whatever the transfer encoding turns out to be.
    text.replace('\n', "\r\n")
}

/// The HTML part, derived from the same texts.
fn html(mail: &Outgoing<'_>) -> String {
    let mut html = String::from("<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"></head>\n<body>\n");
    paragraphs(&mut html, &clean(mail.body_text), "<p>", mail.link_urls);
    if let Some(signature) = present(mail.signature) {
        paragraphs(&mut html, &signature, "<p>", mail.link_urls);
    }
    if let Some(address) = present(mail.postal_address) {
        paragraphs(&mut html, &address, FOOTER, mail.link_urls);
    }
    if let Some(url) = mail.unsubscribe_url {
        html.push_str(FOOTER);
        html.push_str("<a href=\"");
        escape(&mut html, url);
        html.push_str("\">Unsubscribe</a></p>\n");
    }
    if let Some(pixel_url) = mail.pixel_url {
        html.push_str("<img src=\"");
        escape(&mut html, pixel_url);
        html.push_str("\" width=\"1\" height=\"1\" alt=\"\">\n");
    }
    html.push_str("</body>\n</html>\n");
    html.replace('\n', "\r\n")
}

/// Opens a paragraph of the footer.
const FOOTER: &str = "<p style=\"color:#666666;font-size:12px\">";

/// Adds the paragraphs of a text, which blank lines divide.
fn paragraphs(html: &mut String, text: &str, open: &str, link_urls: &BTreeMap<String, String>) {
    let lines: Vec<_> = text.split('\n').collect();
    for paragraph in lines.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty()) {
        html.push_str(open);
        for (index, line) in paragraph.iter().enumerate() {
            if index > 0 {
                html.push_str("<br>\n");
            }
            linked(html, line, link_urls);
        }
        html.push_str("</p>\n");
    }
}

/// Adds a line, escaped, with its http and https URLs as links.
fn linked(html: &mut String, line: &str, link_urls: &BTreeMap<String, String>) {
    let mut rest = line;
    while let Some((before, url, after)) = first_url(rest) {
        escape(html, before);
        html.push_str("<a href=\"");
        escape(html, link_urls.get(url).map_or(url, String::as_str));
        html.push_str("\">");
        escape(html, url);
        html.push_str("</a>");
        rest = after;
    }
    escape(html, rest);
}

/// The first URL in a line, with what is before and after it.
fn first_url(line: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + line.get(from..)?.find("http")?;
        let candidate = line.get(start..)?;
        let scheme = ["https://", "http://"].into_iter().find(|scheme| candidate.starts_with(scheme));
        let inside_word = line.get(..start)?.ends_with(|c: char| c.is_alphanumeric());
        if let Some(scheme) = scheme.filter(|_| !inside_word) {
            let end = candidate.find(|c: char| c.is_whitespace() || "<>\"`".contains(c)).unwrap_or(candidate.len());
            let url = without_punctuation(candidate.get(..end)?);
            if url.len() > scheme.len() {
                return Some((line.get(..start)?, url, candidate.get(url.len()..)?));
            }
        }
        from = start + "http".len();
    }
}

/// The URL without what ends the sentence around it. A closing bracket stays if the URL opens it.
fn without_punctuation(mut url: &str) -> &str {
    loop {
        let closes_nothing = [('(', ')'), ('[', ']'), ('{', '}')]
            .into_iter()
            .any(|(open, close)| url.ends_with(close) && url.matches(open).count() < url.matches(close).count());
        match url.strip_suffix(['.', ',', ';', ':', '!', '?', '\'', '*']) {
            Some(shorter) => url = shorter,
            None if closes_nothing => url = url.get(..url.len() - 1).unwrap_or_default(),
            None => return url,
        }
    }
}

/// Adds a text to HTML, for content and for attributes in quotes.
fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
