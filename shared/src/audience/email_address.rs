//! The address of a mailbox on the internet, checked once at the edge.
//!
//! The grammar is the `Mailbox` of RFC 5321 section 4.1.2 without what no person types and no importer means: comments,
//! white space, address literals and obsolete forms. Whether the mailbox exists is not known here.
//!
//! A domain may be written in any script (RFC 5890): it is kept as DNS and SMTP have it, in A-labels by UTS 46, so that every
//! spelling of it is the same address. A local part outside ASCII (RFC 6531) is refused: not every server on the way takes it, the
//! mail provider among them, and there is no other way to write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest address in octets: a path of 256 (RFC 5321 section 4.5.3.1.3) less its two angle brackets.
pub const MAX_ADDRESS: usize = 254;
/// Longest local part in octets (RFC 5321 section 4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Longest domain in octets as written, without the root's dot (RFC 1035 section 2.3.4).
pub const MAX_DOMAIN: usize = 253;
/// Longest label of a domain in octets (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// Octets of a text that is looked at: each character of a domain takes at least one octet of its A-label, and four at most here.
const MAX_TEXT: usize = 4 * MAX_ADDRESS;
/// What an A-label begins with (RFC 5890 section 2.3.2.1).
const A_LABEL: &str = "xn--";

/// An address that mail can be sent to.
///
/// It keeps the spelling that it was given, but for a domain in another script, and two spellings are two values: compare
/// [`EmailAddress::lower`] to find the same mailbox. `Debug` shows no address, so that no log has one by accident.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    domain: String,
}

/// Why a text is not an address that mail can be sent to. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmailAddress {
    /// There is nothing, or only white space.
    #[error("the address is empty")]
    Empty,
    /// There is white space before or behind it.
    #[error("there is white space around the address")]
    WhiteSpace,
    /// It has more than [`MAX_ADDRESS`] octets.
    #[error("the address is longer than 254 characters")]
    TooLong,
    /// It has no `@`.
    #[error("the address has no @")]
    NoAt,
    /// What stands before the `@` is missing, too long, or has a character that needs quotes.
    #[error("the part before the @ is not valid")]
    LocalPart,
    /// What stands after the `@` is not the name of a domain on the internet.
    #[error("the part after the @ is not the name of a domain")]
    Domain,
    /// It has a character outside ASCII before the `@`. Such mailboxes (RFC 6531) exist, but not every server on the way takes them.
    #[error("the part before the @ has a character outside ASCII, which is not supported yet")]
    NotAscii,
}

impl InvalidEmailAddress {
    /// Stable name of what is wrong.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::WhiteSpace => "white_space",
            Self::TooLong => "too_long",
            Self::NoAt => "no_at",
            Self::LocalPart => "local_part",
            Self::Domain => "domain",
            Self::NotAscii => "not_ascii",
        }
    }
}

impl EmailAddress {
    /// Reads an address. White space around it is nobody's mistake where cells and forms bring it: whoever reads those drops it.
    ///
    /// # Errors
    ///
    /// [`InvalidEmailAddress`] names the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        if text.trim().is_empty() {
            return Err(InvalidEmailAddress::Empty);
        }
        if text.trim().len() < text.len() {
            return Err(InvalidEmailAddress::WhiteSpace);
        }
        if text.len() > MAX_TEXT {
            return Err(InvalidEmailAddress::TooLong);
        }
        // The last one divides, because a quoted local part may have others.
        let (local_part, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress::NoAt)?;
        if !local_part.is_ascii() {
            return Err(InvalidEmailAddress::NotAscii);
        }
        let domain = ascii_domain(domain).ok_or(InvalidEmailAddress::Domain)?;
        if local_part.len() + 1 + domain.len() > MAX_ADDRESS {
            return Err(InvalidEmailAddress::TooLong);
        }
        if local_part.len() > MAX_LOCAL_PART || !(is_dot_atom(local_part) || is_quoted_string(local_part)) {
            return Err(InvalidEmailAddress::LocalPart);
        }
        if !is_domain(&domain) {
            return Err(InvalidEmailAddress::Domain);
        }
        Ok(Self { text: format!("{local_part}@{domain}"), domain: domain.to_ascii_lowercase() })
    }

    /// The address as it was given, in ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address with A to Z made small and nothing else changed, as SQL `lower(x collate "C")` has it.
    #[must_use]
    pub fn lower(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The domain in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// What somebody wrote to look for an address, in the form in which addresses are kept; what is no address in lower case.
#[must_use]
pub fn folded(text: &str) -> String {
    EmailAddress::parse(text.trim()).map_or_else(|_| text.to_ascii_lowercase(), |address| address.lower())
}

/// The same for the domain of addresses.
#[must_use]
pub fn folded_domain(text: &str) -> String {
    parse_domain(text.trim()).unwrap_or_else(|| text.to_ascii_lowercase())
}

/// The domain that addresses have, in lower case and in ASCII; `None` for what none can have.
#[must_use]
pub fn parse_domain(name: &str) -> Option<String> {
    // Every domain that takes mail has this address (RFC 5321 section 4.5.1), so one parser serves for both.
    let address = EmailAddress::parse(&format!("postmaster@{name}")).ok().filter(|_| !name.contains('@'));
    address.map(|address| address.domain().to_owned())
}

/// `Dot-string` of RFC 5321 section 4.1.2.
fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// `atext` of RFC 5322 section 3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// `Quoted-string` of RFC 5321 section 4.1.2: printable characters and spaces, quote and backslash escaped.
fn is_quoted_string(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        let content = match byte {
            b'"' => return false,
            b'\\' => bytes.next(),
            other => Some(other),
        };
        // A backslash at the end escapes the closing quote, so the string has no end.
        if !content.is_some_and(|byte| matches!(byte, b' '..=b'~')) {
            return false;
        }
    }
    true
}

/// The domain as DNS has it: as it stands where it is ASCII, else by UTS 46 without transition, as browsers do it. `None` for what is
/// no domain in any script.
fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    if domain.is_ascii() {
        return Some(Cow::Borrowed(domain));
    }
    Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore).ok()
}

/// Labels of letters, digits and hyphens (RFC 5321 section 2.3.5), the last one not a number, and two of them at least but for the
/// domain of a country.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
            && is_no_fake(label)
    };
    let is_last = |last: &str, is_only: bool| {
        if is_only {
            // Some countries have mailboxes at their own name; the others forbid them (RFC 7085). A longer single name is
            // a machine's, or the rest of it was forgotten.
            last.len() == 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        } else {
            // A last label of digits is a mistyped IP address; no top-level domain is one (RFC 3696 section 2).
            !last.bytes().all(|byte| byte.is_ascii_digit())
        }
    };
    let (rest, last) = text.rsplit_once('.').unwrap_or(("", text));
    text.len() <= MAX_DOMAIN && text.split('.').all(is_label) && is_last(last, rest.is_empty())
}

/// Whether a label that looks like an A-label is one: Punycode (RFC 3492) of something outside ASCII. Of another nobody can have
/// registered a domain.
fn is_no_fake(label: &str) -> bool {
    match label.split_at_checked(A_LABEL.len()) {
        Some((prefix, code)) if prefix.eq_ignore_ascii_case(A_LABEL) => {
            idna::punycode::decode_to_string(&code.to_ascii_lowercase()).is_some_and(|text| !text.is_ascii())
        }
        _ => true,
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(hidden)")
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
