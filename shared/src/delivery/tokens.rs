//! Signed tokens: in the links and the pixel of a mail, and in the local part of the address that replies come to.
//!
//! A token names an organization and a message, that of a click a link besides, and carries an HMAC-SHA256 over its purpose and its content, so that
//! nobody makes one without a key. It hides nothing, and it does not expire: a link must work for as long as the mail
//! lies in a mailbox.
//!
//! | token | layout | text |
//! |---|---|---|
//! | unsubscribe | version 1, key id 1, organization 16, message 16, MAC 16 = 50 bytes | base64url, 67 characters |
//! | open | as unsubscribe | base64url, 67 characters |
//! | click | version 1, key id 1, organization 16, message 16, link 16, MAC 16 = 66 bytes | base64url, 88 characters |
//! | callback | as unsubscribe, of a workflow's run | base64url, 67 characters |
//! | checkout | version 1, key id 1, organization 16, time 16 (milliseconds since 1970), MAC 16 = 50 bytes | base64url, 67 characters |
//! | reply | version and key id 1, organization 16, message 16, MAC 7 = 40 bytes | base32, 64 characters |
//! | action | version 1, key id 1, id 16, MAC 16 = 34 bytes | base64url, 46 characters |
//!
//! What the token of an action leads to ends on its own: it is used once, and its row has a time.

mod actions;
mod address_hashes;
mod sealing;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use self::actions::{Action, ActionPurpose};
pub use self::address_hashes::AddressHash;
pub use self::sealing::Sealed;

/// Layout of the tokens; another layout gets another number, so that an old token is never read as a new one.
const VERSION: u8 = 1;

/// Largest key id: a reply token has four bits for it.
const MAX_KEY_ID: u8 = 15;

/// Shortest key in characters. Hex or base64 of a random secret of this length has 128 bits or more.
const MIN_KEY: usize = 32;

/// Bytes of MAC in a token of a link: 128 bits, since it stands alone in a public URL.
const LINK_MAC: usize = 16;

/// Bytes of MAC in a reply token.
///
/// A local part has 64 characters (RFC 5321 section 4.5.3.1.1), and mail systems change its case, which leaves base32:
/// 40 bytes, of which the two ids take 32. The 56 bits that remain do here: a guess can only be tried by sending a
/// mail, the guesser must know both ids besides, and a hit does no more than mark one message as answered.
const REPLY_MAC: usize = 7;

/// Bytes of an id.
const ID: usize = 16;

const REPLY_LEN: usize = 1 + 2 * ID + REPLY_MAC;

/// What a token is for. Its label starts the MAC's input, so that a token for one purpose is none for another.
#[derive(Clone, Copy)]
enum Purpose {
    Unsubscribe,
    Open,
    Click,
    Reply,
    /// An act of somebody who was sent the token: what it is about has a row with an end.
    Action(ActionPurpose),
    /// No token: the hash of an address that is to be recognized and not to be known.
    ForgottenAddress,
    /// No token: the hash of an address that a provider was asked about, whoever asked.
    ProviderAnswer,
    /// No token: the hash of the network address that requests come from.
    Network,
    WorkflowCallback,
    Checkout,
    /// No token: the key that secrets are stored under.
    StoredSecret,
}

impl Purpose {
    /// No label is the start of another: each ends with the zero that none has inside.
    fn label(self) -> &'static [u8] {
        match self {
            Self::Unsubscribe => b"martlet unsubscribe\0",
            Self::Open => b"martlet open\0",
            Self::Click => b"martlet click\0",
            Self::Reply => b"martlet reply\0",
            Self::Action(ActionPurpose::ConfirmEmail) => b"martlet confirm email\0",
            Self::Action(ActionPurpose::ResetPassword) => b"martlet reset password\0",
            Self::Action(ActionPurpose::Invite) => b"martlet invite\0",
            Self::Action(ActionPurpose::RestoreOrganization) => b"martlet restore organization\0",
            Self::ForgottenAddress => b"martlet forgotten address\0",
            Self::ProviderAnswer => b"martlet provider answer\0",
            Self::Network => b"martlet network\0",
            Self::WorkflowCallback => b"martlet workflow callback\0",
            Self::Checkout => b"martlet checkout\0",
            Self::StoredSecret => b"martlet stored secret\0",
        }
    }
}

/// The keys that tokens are signed with. New tokens use the current one; tokens of the others still open.
#[derive(Clone)]
pub struct KeyRing {
    current: u8,
    keys: BTreeMap<u8, Vec<u8>>,
}

/// Why a text is not a key ring. No key is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRing {
    /// It is not a JSON object with strings under `key_…` and a number under `current`.
    #[error("the key ring is not an object of the form {{\"current\": 1, \"key_1\": \"…\"}}")]
    Shape,
    /// A key id is not a number from 1 to 15 without leading zeros.
    #[error("a key id is not a number from 1 to 15")]
    KeyId,
    /// This key is too short to be a secret.
    #[error("key {0} has fewer than 32 characters")]
    TooShort(u8),
    /// There is no key with the current id.
    #[error("there is no key {0}, which is the current one")]
    NoCurrent(u8),
}

/// Why a token does not open. A caller tells the outside world only that it is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It has another length, alphabet or version.
    #[error("the token is not of a known form")]
    Malformed,
    /// It was signed with a key that is no longer in the ring, or never was.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Its MAC is not ours.
    #[error("the token's signature is wrong")]
    WrongSignature,
}

impl KeyRing {
    /// Reads `{"current": 1, "key_1": "…", "key_2": "…"}`: each key 32 characters or more, taken as they are.
    ///
    /// To rotate, add a key, and make it the current one when every reader has it. Take an old key out only when no
    /// link signed with it needs to work, no suppression has a hash that was made with it, and no webhook secret is stored
    /// under it.
    ///
    /// # Errors
    ///
    /// [`InvalidKeyRing`] says what is wrong with it.
    pub fn from_json(json: &str) -> Result<Self, InvalidKeyRing> {
        let fields: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(json).map_err(|_| InvalidKeyRing::Shape)?;
        let mut current = None;
        let mut keys = BTreeMap::new();
        for (name, value) in fields {
            if name == "current" {
                let id = value.as_u64().ok_or(InvalidKeyRing::Shape)?;
                current = Some(key_id(&id.to_string())?);
            } else {
                let id = key_id(name.strip_prefix("key_").ok_or(InvalidKeyRing::Shape)?)?;
                let key = value.as_str().ok_or(InvalidKeyRing::Shape)?;
                if key.chars().count() < MIN_KEY {
                    return Err(InvalidKeyRing::TooShort(id));
                }
                keys.insert(id, key.as_bytes().to_vec());
            }
        }
        let current = current.ok_or(InvalidKeyRing::Shape)?;
        if keys.contains_key(&current) { Ok(Self { current, keys }) } else { Err(InvalidKeyRing::NoCurrent(current)) }
    }

    /// A token for the unsubscribe link of a message, safe in a URL.
    #[must_use]
    pub fn unsubscribe_token(&self, organization: Uuid, message: Uuid) -> String {
        self.link_token(Purpose::Unsubscribe, &[organization, message])
    }

    /// The organization and the message of an unsubscribe token.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign as one.
    pub fn open_unsubscribe_token(&self, token: &str) -> Result<(Uuid, Uuid), BadToken> {
        self.open_link_token(Purpose::Unsubscribe, token).map(|[organization, message]| (organization, message))
    }

    /// A token for the pixel of a message, safe in a URL.
    #[must_use]
    pub fn pixel_token(&self, organization: Uuid, message: Uuid) -> String {
        self.link_token(Purpose::Open, &[organization, message])
    }

    /// The organization and the message of a pixel's token.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign as one.
    pub fn open_pixel_token(&self, token: &str) -> Result<(Uuid, Uuid), BadToken> {
        self.open_link_token(Purpose::Open, token).map(|[organization, message]| (organization, message))
    }

    /// A token for a link in a message, safe in a URL.
    #[must_use]
    pub fn click_token(&self, organization: Uuid, message: Uuid, link: Uuid) -> String {
        self.link_token(Purpose::Click, &[organization, message, link])
    }

    /// The organization, the message and the link of a click's token.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign as one.
    pub fn open_click_token(&self, token: &str) -> Result<(Uuid, Uuid, Uuid), BadToken> {
        self.open_link_token(Purpose::Click, token).map(|[organization, message, link]| (organization, message, link))
    }

    /// A token for the address at which a workflow reports how a run of it ended, safe in a URL.
    #[must_use]
    pub fn callback_token(&self, organization: Uuid, run: Uuid) -> String {
        self.link_token(Purpose::WorkflowCallback, &[organization, run])
    }

    /// The organization and the run of a callback's token.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign as one.
    pub fn open_callback_token(&self, token: &str) -> Result<(Uuid, Uuid), BadToken> {
        self.open_link_token(Purpose::WorkflowCallback, token).map(|[organization, run]| (organization, run))
    }

    /// A token by which a checkout elsewhere names the organization that it pays for, and when that was asked for: letters, digits, `-` and
    /// `_`.
    #[must_use]
    pub fn checkout_token(&self, organization: Uuid, asked_at: DateTime<Utc>) -> String {
        let millis = u128::from(asked_at.timestamp_millis().unsigned_abs());
        self.link_token(Purpose::Checkout, &[organization, Uuid::from_u128(millis)])
    }

    /// The organization of a checkout's token, and when it was asked for.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign as one.
    pub fn open_checkout_token(&self, token: &str) -> Result<(Uuid, DateTime<Utc>), BadToken> {
        let [organization, millis] = self.open_link_token(Purpose::Checkout, token)?;
        let millis = i64::try_from(millis.as_u128()).ok().and_then(DateTime::from_timestamp_millis);
        Ok((organization, millis.ok_or(BadToken::Malformed)?))
    }

    /// A token for the local part of the address that replies to a message come to: 64 small letters and digits.
    #[must_use]
    pub fn reply_token(&self, organization: Uuid, message: Uuid) -> String {
        let head = [VERSION << 4 | self.current];
        let mut text = BASE32_NOPAD.encode(&self.seal(Purpose::Reply, &head, &[organization, message], REPLY_MAC));
        text.make_ascii_lowercase();
        text
    }

    /// The organization and the message of a reply token, in whatever case it comes back.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign as one.
    pub fn open_reply_token(&self, token: &str) -> Result<(Uuid, Uuid), BadToken> {
        let bytes = BASE32_NOPAD.decode(token.to_ascii_uppercase().as_bytes()).map_err(|_| BadToken::Malformed)?;
        let bytes: [u8; REPLY_LEN] = bytes.try_into().map_err(|_| BadToken::Malformed)?;
        let [head, ..] = bytes;
        if head >> 4 != VERSION {
            return Err(BadToken::Malformed);
        }
        self.open(Purpose::Reply, head & MAX_KEY_ID, &bytes, REPLY_MAC)
            .map(|[organization, message]| (organization, message))
    }

    /// The hash of a network address under the current key, by which its requests are counted: nobody needs to know whence
    /// they came.
    #[must_use]
    pub fn network_hash(&self, address: IpAddr) -> [u8; 32] {
        // The addresses of one IPv6 network of 64 bits are one subscriber's.
        let content = match address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        };
        self.keys.get(&self.current).and_then(|key| mac(key, Purpose::Network, &content)).unwrap_or_default()
    }

    fn link_token(&self, purpose: Purpose, ids: &[Uuid]) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(purpose, &[VERSION, self.current], ids, LINK_MAC))
    }

    fn open_link_token<const IDS: usize>(&self, purpose: Purpose, token: &str) -> Result<[Uuid; IDS], BadToken> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadToken::Malformed)?;
        match bytes.as_slice() {
            [VERSION, key, ..] if bytes.len() == 2 + IDS * ID + LINK_MAC => self.open(purpose, *key, &bytes, LINK_MAC),
            _ => Err(BadToken::Malformed),
        }
    }

    /// The head, the ids and the first `mac_len` bytes of the MAC over them, with the current key.
    fn seal(&self, purpose: Purpose, head: &[u8], ids: &[Uuid], mac_len: usize) -> Vec<u8> {
        let mut token = head.to_vec();
        token.extend(ids.iter().flat_map(Uuid::as_bytes));
        // The current key is always in the ring; an empty MAC would open nothing.
        let tag = self.keys.get(&self.current).and_then(|key| mac(key, purpose, &token)).unwrap_or_default();
        token.extend(tag.into_iter().take(mac_len));
        token
    }

    /// Checks the MAC at the end of a token and reads the ids before it.
    fn open<const IDS: usize>(
        &self,
        purpose: Purpose,
        key: u8,
        token: &[u8],
        mac_len: usize,
    ) -> Result<[Uuid; IDS], BadToken> {
        let key = self.keys.get(&key).ok_or(BadToken::UnknownKey)?;
        let (content, given) =
            token.split_at_checked(token.len().saturating_sub(mac_len)).ok_or(BadToken::Malformed)?;
        let expected = mac(key, purpose, content).ok_or(BadToken::WrongSignature)?;
        let expected = expected.get(..mac_len).ok_or(BadToken::WrongSignature)?;
        if !bool::from(expected.ct_eq(given)) {
            return Err(BadToken::WrongSignature);
        }
        let head = content.len().checked_sub(IDS * ID).ok_or(BadToken::Malformed)?;
        let (ids, _) = content.get(head..).unwrap_or_default().as_chunks::<ID>();
        let ids: &[[u8; ID]; IDS] = ids.try_into().map_err(|_| BadToken::Malformed)?;
        Ok(ids.map(Uuid::from_bytes))
    }
}

/// HMAC-SHA256 over the purpose's label and the content. HMAC takes keys of every length, so there is always one.
fn mac(key: &[u8], purpose: Purpose, content: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(purpose.label());
    mac.update(content);
    Some(mac.finalize().into_bytes().into())
}

/// Reads a key id as it is written in the ring.
fn key_id(text: &str) -> Result<u8, InvalidKeyRing> {
    text.parse().ok().filter(|id| (1..=MAX_KEY_ID).contains(id) && id.to_string() == text).ok_or(InvalidKeyRing::KeyId)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.keys().collect();
        f.debug_struct("KeyRing").field("current", &self.current).field("key_ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
