//! How large the mails of a step become: at least, for somebody whose fields are all short, and at most, for somebody who
//! has the longest value of the audience in each field.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::templates::{Template, TemplateError};
use crate::delivery::mail::{self, Outgoing};
use crate::delivery::tracked_links::MAX_LINKS;

/// What SES takes through its API of version 2, the encoding included (Amazon SES developer guide, service quotas).
const SES_LIMIT: usize = 40 * 1024 * 1024;
/// Gmail shows the first 102 KB of an HTML part and hides the rest, the unsubscribe link with it, behind a link.
pub(super) const CLIPPED_FROM: usize = 102 * 1024;
/// About as long as the links become that lead through us, and the unsubscribe link.
const OUR_LINK: usize = 200;

/// What is in every mail beside the template.
#[derive(Debug, Clone, Default)]
pub(super) struct Letterhead {
    /// The organization's postal address.
    pub(super) postal_address: Option<String>,
    /// The longest signature among the campaign's senders.
    pub(super) signature: Option<String>,
}

/// What a step's mail comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// It can be sent; the bytes of its HTML part.
    Fits(usize),
    /// It is longer than a rendered template may be, or than the provider takes.
    TooLarge,
}

/// The size of a step's mail for somebody whose values have these lengths in bytes, 1 for all others; `None` where the
/// template can't be written with such values, which says nothing about its length.
pub(super) fn size(template: &Template, lengths: &BTreeMap<String, usize>, letterhead: &Letterhead) -> Option<Size> {
    let mut sample = Map::new();
    for group in super::GROUPS {
        sample.insert(group.to_owned(), Value::Object(Map::new()));
    }
    for variable in template.variables() {
        let length = match variable.as_str() {
            "unsubscribe_url" => OUR_LINK,
            name => lengths.get(name).copied().unwrap_or(1).max(1),
        };
        super::fill(&mut sample, &variable, &"1".repeat(length));
    }
    let rendered = match template.render(&sample) {
        Ok(rendered) => rendered,
        Err(TemplateError::TooLong { .. }) => return Some(Size::TooLarge),
        Err(_) => return None,
    };
    let our_link = format!("https://{}", "a".repeat(OUR_LINK));
    let texts = [Some(rendered.body.as_str()), letterhead.signature.as_deref(), letterhead.postal_address.as_deref()];
    let links = mail::links(texts.into_iter().flatten()).into_iter().take(MAX_LINKS);
    let link_urls: BTreeMap<String, String> = links.map(|link| (link, our_link.clone())).collect();
    let mail = Outgoing {
        from_name: None,
        from: "sender@example.com",
        to: "recipient@example.com",
        reply_to: Some("reply@example.com"),
        subject: &rendered.subject,
        body_text: &rendered.body,
        postal_address: letterhead.postal_address.as_deref(),
        signature: letterhead.signature.as_deref(),
        unsubscribe_url: Some(&our_link),
        link_urls: &link_urls,
        pixel_url: Some(&our_link),
        in_reply_to: None,
        references: &[],
        date: DateTime::<Utc>::UNIX_EPOCH,
        message_ref: Uuid::nil(),
    };
    let bytes = mail::compose(&mail).ok()?;
    // SES counts what is left of it after base64, which makes four characters of three bytes.
    if bytes.len().div_ceil(3) * 4 > SES_LIMIT {
        return Some(Size::TooLarge);
    }
    Some(Size::Fits(mail::html_length(&mail)))
}
