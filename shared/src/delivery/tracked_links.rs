//! Links of mails that lead through us: what a click is led to is what is stored here, and nothing else.
//!
//! A link belongs to a step and has one URL; a URL with something personal in it is a link of its own. Its id is a hash
//! of both, so that a letter can name its links before anybody has asked whether they are known.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;
use uuid::Builder;

use super::messages::MessageKey;
use crate::{CampaignId, LinkId, MessageId, OrganizationId, Result, StepId, Tx};

/// Longest URL that is tracked, in bytes: what browsers and proxies carry without trouble. A longer one stays as it is.
const MAX_URL: usize = 2048;

/// Most links of one mail that are tracked; the others stay as they are.
pub const MAX_LINKS: usize = 100;

/// A link in the mails of a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackedLink {
    /// Whose it is.
    pub organization: OrganizationId,
    /// A hash of the step and the URL.
    pub id: LinkId,
    /// The campaign whose mails have it.
    pub campaign: CampaignId,
    /// The step whose mails have it.
    pub step: StepId,
    /// Where it leads: ASCII, http or https.
    pub url: String,
}

impl TrackedLink {
    /// The link to `url` as it stands in a mail of this step; none for a URL that can't be led to by a header field, or
    /// that is one of our own, below `public_url`: an unsubscription must not depend on anything else.
    #[must_use]
    pub fn to(
        url: &str,
        organization: OrganizationId,
        campaign: CampaignId,
        step: StepId,
        public_url: &str,
    ) -> Option<Self> {
        let own = url.strip_prefix(public_url).and_then(|path| path.get(..3));
        if matches!(own, Some("/u/" | "/t/")) {
            return None;
        }
        let url = in_ascii(url).filter(|url| url.len() <= MAX_URL)?;
        let id = LinkId(Builder::from_custom_bytes(hash(organization, step, &url)).into_uuid());
        Some(Self { organization, id, campaign, step, url })
    }
}

/// The first bytes of SHA-256: half of its length keeps accidental collisions out, and nobody gains by making one among
/// their own links.
fn hash(organization: OrganizationId, step: StepId, url: &str) -> [u8; 16] {
    let digest = Sha256::new()
        .chain_update(b"martlet link\0")
        .chain_update(organization.0.as_bytes())
        .chain_update(step.0.as_bytes())
        .chain_update(url.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
    bytes
}

/// An http or https URL as a Location field can carry it: what is not ASCII after the host is percent-encoded (RFC 3987
/// section 3.1). None for a host that is not ASCII, whose encoding is another one, and for no such URL.
fn in_ascii(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#', '\\']).next().filter(|host| !host.is_empty())?;
    if !host.is_ascii() || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let mut ascii = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii() {
            ascii.push(byte.into());
        } else {
            ascii.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(ascii)
}

/// Stores the links that nobody has stored before, in one statement, and of each which message has it, and which other one.
///
/// The caller holds no locks of the ledger: an insert waits for another transaction's insert of the same link.
pub(super) async fn insert(tx: &Tx, links: impl Iterator<Item = (TrackedLink, MessageId)>) -> Result<()> {
    // In the order of their ids, so that two batches with the same links don't wait for each other in a circle.
    let mut messages: BTreeMap<TrackedLink, (MessageId, Option<MessageId>)> = BTreeMap::new();
    for (link, message) in links {
        let (first, other) = messages.entry(link).or_insert((message, None));
        if *first != message {
            *other = Some(message);
        }
    }
    if messages.is_empty() {
        return Ok(());
    }
    let (links, messages): (Vec<TrackedLink>, Vec<_>) = messages.into_iter().unzip();
    let (messages, others): (Vec<MessageId>, Vec<Option<MessageId>>) = messages.into_iter().unzip();
    let organizations: Vec<OrganizationId> = links.iter().map(|link| link.organization).collect();
    let ids: Vec<LinkId> = links.iter().map(|link| link.id).collect();
    let campaigns: Vec<CampaignId> = links.iter().map(|link| link.campaign).collect();
    let steps: Vec<StepId> = links.iter().map(|link| link.step).collect();
    let urls: Vec<&str> = links.iter().map(|link| link.url.as_str()).collect();
    let parameters: [&(dyn ToSql + Sync); 7] = [&organizations, &ids, &campaigns, &steps, &urls, &messages, &others];
    tx.execute(include_str!("tracked_links/insert.sql"), &parameters).await?;
    Ok(())
}

/// The path of a click on this link in this message, below the public URL.
#[must_use]
pub fn click_path(keys: &super::tokens::KeyRing, message: MessageKey, link: LinkId) -> String {
    format!("/t/c/{}", keys.click_token(message.organization.0, message.id.0, link.0))
}

/// The path of a message's pixel, below the public URL.
#[must_use]
pub fn pixel_path(keys: &super::tokens::KeyRing, message: MessageKey) -> String {
    format!("/t/o/{}", keys.pixel_token(message.organization.0, message.id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC_URL: &str = "https://mail.example.test";

    fn link(url: &str) -> Option<TrackedLink> {
        let id = uuid::Uuid::from_u128;
        TrackedLink::to(url, OrganizationId(id(1)), CampaignId(id(2)), StepId(id(3)), PUBLIC_URL)
    }

    #[test]
    fn a_url_is_led_to_as_it_is() {
        for url in ["http://example.com", "https://example.com/a?b=c&d=%20#e", "https://user@example.com:8080/(x)"] {
            assert_eq!(link(url).unwrap().url, url);
        }
        assert_eq!(link("https://example.com/ä?ö=ü").unwrap().url, "https://example.com/%C3%A4?%C3%B6=%C3%BC");
    }

    #[test]
    fn what_cannot_be_led_to_or_is_our_own_stays_as_it_is() {
        for url in [
            "mailto:ada@example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "//example.com",
            "https://",
            "https:///path",
            "https://exämple.com/",
            "https://example.com/\r\nSet-Cookie: a=b",
            "https://example.com/a b",
            "https://mail.example.test/u/token",
            "https://mail.example.test/t/c/token",
            &format!("https://example.com/{}", "a".repeat(MAX_URL)),
        ] {
            assert_eq!(link(url), None, "{url}");
        }
        assert!(link("https://mail.example.test/unrelated").is_some());
        assert!(link("https://mail.example.test.evil.test/u/token").is_some(), "another host");
    }

    #[test]
    fn the_id_follows_from_the_step_and_the_url() {
        let one = link("https://example.com/").unwrap();
        assert_eq!(Some(&one), link("https://example.com/").as_ref());
        assert_ne!(one.id, link("https://example.com/?person=1").unwrap().id);
        let id = uuid::Uuid::from_u128;
        let other = |organization, step| {
            let (organization, campaign, step) =
                (OrganizationId(id(organization)), CampaignId(id(2)), StepId(id(step)));
            TrackedLink::to("https://example.com/", organization, campaign, step, PUBLIC_URL).unwrap().id
        };
        assert_eq!(one.id, other(1, 3));
        assert_ne!(one.id, other(9, 3));
        assert_ne!(one.id, other(1, 9));
    }
}
