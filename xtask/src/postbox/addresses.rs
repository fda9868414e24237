//! Mail addresses as SES reads them.

use mail_parser::MessageParser;

/// One address with the name shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// The display name, where there is one.
    pub(crate) name: Option<String>,
    /// The bare address, as written.
    pub(crate) address: String,
}

/// Reads a list such as `"Jane Doe" <jane@example.com>, joe@example.com`.
pub(crate) fn parse_list(text: &str) -> Vec<Mailbox> {
    let mail = format!("To: {}\r\n\r\n", text.replace(['\r', '\n'], " "));
    let parsed = MessageParser::default().parse(mail.as_bytes());
    parsed.as_ref().and_then(|mail| mail.to()).map(mailboxes).unwrap_or_default()
}

/// The mailboxes of a parsed address header, groups dissolved.
pub(crate) fn mailboxes(header: &mail_parser::Address<'_>) -> Vec<Mailbox> {
    header
        .iter()
        .filter_map(|entry| {
            Some(Mailbox {
                name: entry.name().map(str::trim).filter(|name| !name.is_empty()).map(Into::into),
                address: entry.address()?.trim().to_owned(),
            })
        })
        .collect()
}

/// Says why SES would refuse an address, in its words, if it would.
pub(crate) fn refuse(address: &str) -> Option<&'static str> {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Some("Missing final '@domain'");
    };
    if domain.is_empty() {
        return Some("Missing final '@domain'");
    }
    if local.is_empty() {
        return Some("Missing local part");
    }
    // SES takes no internationalized local part; a domain has to come as Punycode.
    if !local.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("Local address contains control or whitespace");
    }
    if local.len() > 64 {
        return Some("Local address is too long");
    }
    if !domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)) {
        return Some("Domain contains illegal character");
    }
    if domain.starts_with('.') || domain.ends_with('.') || domain.contains("..") {
        return Some("Domain contains dot-dot");
    }
    None
}

/// The domain of an address in lower case, or an empty text.
pub(crate) fn domain(address: &str) -> String {
    address.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_their_names() {
        let list = parse_list("\"Doe, Jane\" <Jane@example.com>, joe@example.com");
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].name.as_deref(), Some("Doe, Jane"));
        assert_eq!(list[0].address, "Jane@example.com");
        assert_eq!(list[1], Mailbox { name: None, address: "joe@example.com".into() });
    }

    #[test]
    fn what_ses_refuses_is_refused() {
        assert_eq!(refuse("jane+tag@mail.example.com"), None);
        for bad in ["jane", "jane@", "@example.com", "ja ne@example.com", "jané@example.com"] {
            assert!(refuse(bad).is_some(), "{bad}");
        }
        for bad in ["jane@exa mple.com", "jane@exämple.com", "jane@example..com", "jane@.com"] {
            assert!(refuse(bad).is_some(), "{bad}");
        }
    }
}
