//! Addresses that are to be recognized without being known: a keyed hash in place of the address.
//!
//! A bare hash of an address is found again by hashing every address there may be; under a key it is found only by whoever
//! has the key. The organization goes into it, so that two of them never have the same hash of one person.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use uuid::Uuid;

use super::{KeyRing, Purpose, key_id, mac};

/// The hash of an address, and which key of the ring made it. As text `1.9f86…`: the key's id and 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressHash {
    /// The id of the key.
    pub key: u8,
    /// HMAC-SHA256.
    pub hash: [u8; 32],
}

/// A text is not the hash of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is the id of its key, a dot and 64 hex digits")]
pub struct InvalidAddressHash;

impl KeyRing {
    /// The hash of an address (in lower case) under the current key, to be kept.
    #[must_use]
    pub fn address_hash(&self, organization: Uuid, email_lower: &str) -> Option<AddressHash> {
        self.hash_with(self.current, organization, email_lower)
    }

    /// The hashes of an address (in lower case) under every key, to be looked for.
    #[must_use]
    pub fn address_hashes(&self, organization: Uuid, email_lower: &str) -> Vec<AddressHash> {
        self.keys.keys().filter_map(|key| self.hash_with(*key, organization, email_lower)).collect()
    }

    /// The hash of an address (in lower case) under the current key, by which what a provider answered about it is kept for the
    /// whole installation. It is of no organization, and says nothing of who asked.
    #[must_use]
    pub fn answer_hash(&self, email_lower: &str) -> Option<[u8; 32]> {
        mac(self.keys.get(&self.current)?, Purpose::ProviderAnswer, email_lower.as_bytes())
    }

    /// The same under every key, to be looked for.
    #[must_use]
    pub fn answer_hashes(&self, email_lower: &str) -> Vec<Vec<u8>> {
        let hash = |key: &Vec<u8>| mac(key, Purpose::ProviderAnswer, email_lower.as_bytes());
        self.keys.values().filter_map(hash).map(Vec::from).collect()
    }

    /// Whether a hash made with this key can ever be recognized.
    #[must_use]
    pub fn has_key(&self, key: u8) -> bool {
        self.keys.contains_key(&key)
    }

    fn hash_with(&self, key: u8, organization: Uuid, email_lower: &str) -> Option<AddressHash> {
        let content = [organization.as_bytes().as_slice(), email_lower.as_bytes()].concat();
        let hash = mac(self.keys.get(&key)?, Purpose::ForgottenAddress, &content)?;
        Some(AddressHash { key, hash })
    }
}

impl fmt::Display for AddressHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key, HEXLOWER.encode(&self.hash))
    }
}

impl FromStr for AddressHash {
    type Err = InvalidAddressHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, hash) = text.split_once('.').ok_or(InvalidAddressHash)?;
        let key = key_id(key).map_err(|_| InvalidAddressHash)?;
        let hash = HEXLOWER.decode(hash.as_bytes()).map_err(|_| InvalidAddressHash)?;
        Ok(Self { key, hash: hash.try_into().map_err(|_| InvalidAddressHash)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"current": 1, "key_1": "one: 0123456789 0123456789 0123456789"}"#;
    const BOTH: &str = r#"{"current": 2, "key_1": "one: 0123456789 0123456789 0123456789",
                           "key_2": "two: 0123456789 0123456789 0123456789"}"#;

    #[test]
    fn a_hash_is_found_again_after_the_ring_has_a_new_key() {
        let (old, both) = (KeyRing::from_json(OLD).unwrap(), KeyRing::from_json(BOTH).unwrap());
        let us = Uuid::from_u128(1);
        let kept = old.address_hash(us, "ada@people.test").unwrap();
        assert!(both.address_hashes(us, "ada@people.test").contains(&kept));
        assert_eq!(both.address_hash(us, "ada@people.test").unwrap().key, 2);
        assert!(old.has_key(1) && !old.has_key(2));
        // Another person, another organization and another use of the key have nothing in common with it.
        assert!(!both.address_hashes(us, "bob@people.test").contains(&kept));
        assert!(!both.address_hashes(Uuid::from_u128(2), "ada@people.test").contains(&kept));
        let token = mac(&old.keys[&1], Purpose::Unsubscribe, &[us.as_bytes().as_slice(), b"ada@people.test"].concat());
        assert_ne!(token, Some(kept.hash));
        let answered = old.answer_hash("ada@people.test").unwrap();
        assert!(both.answer_hashes("ada@people.test").contains(&answered.to_vec()));
        assert_ne!(answered, old.address_hash(Uuid::nil(), "ada@people.test").unwrap().hash);
    }

    #[test]
    fn the_text_of_a_hash_reads_as_the_hash() {
        let hash = KeyRing::from_json(OLD).unwrap().address_hash(Uuid::from_u128(1), "ada@people.test").unwrap();
        let text = hash.to_string();
        assert_eq!(text.len(), 66);
        assert_eq!(text.parse(), Ok(hash));
        for broken in
            ["", ".", "1", "1.", "0.00", "16.00", &text[1..], &text[..65], &format!("{text}0"), &text.replace('1', "x")]
        {
            assert_eq!(broken.parse::<AddressHash>(), Err(InvalidAddressHash), "{broken}");
        }
    }
}
