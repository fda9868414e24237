//! Secrets that must be had in plain again, stored so that the database alone tells nobody.
//!
//! AES-256-GCM under a key derived from one of the ring, with a nonce of its own each time. Whose secret it is belongs to what is
//! authenticated: moved to another row, it does not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use uuid::Uuid;

use super::{BadToken, KeyRing, Purpose, mac};
use crate::{Error, Result};

/// A secret as it is stored.
pub struct Sealed {
    /// Which key of the ring it is sealed with, from 1 to 15.
    pub key_number: u8,
    /// The nonce, the encrypted secret and the tag.
    pub bytes: Vec<u8>,
}

impl KeyRing {
    /// Encrypts a secret of `owner`, the ids of whose it is, with the current key.
    pub fn seal_secret(&self, owner: &[Uuid], secret: &[u8]) -> Result<Sealed> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| Error::internal(error.to_string()))?;
        let mut sealed = secret.to_vec();
        self.sealing_key(self.current)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(named(owner)), &mut sealed)
            .map_err(|_| Error::internal("a secret can't be encrypted"))?;
        Ok(Sealed { key_number: self.current, bytes: [nonce.as_slice(), &sealed].concat() })
    }

    /// The secret of `owner` again.
    ///
    /// Errors: [`Error::Internal`] where the key is no longer in the ring, or the secret is somebody else's or changed.
    pub fn open_secret(&self, owner: &[Uuid], key_number: u8, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, rest) =
            sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| Error::internal(BadToken::Malformed))?;
        let mut rest = rest.to_vec();
        let opened = self
            .sealing_key(key_number)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(named(owner)), &mut rest)
            .map_err(|_| Error::internal(BadToken::WrongSignature))?;
        Ok(opened.to_vec())
    }

    fn sealing_key(&self, number: u8) -> Result<LessSafeKey> {
        let key = self.keys.get(&number).ok_or_else(|| Error::internal(BadToken::UnknownKey))?;
        let derived = mac(key, Purpose::StoredSecret, &[]).ok_or_else(|| Error::internal(BadToken::UnknownKey))?;
        let unbound =
            UnboundKey::new(&AES_256_GCM, &derived).map_err(|_| Error::internal("a key has a wrong length"))?;
        Ok(LessSafeKey::new(unbound))
    }
}

fn named(owner: &[Uuid]) -> Vec<u8> {
    owner.iter().flat_map(|id| *id.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(current: u8) -> KeyRing {
        let keys = format!(r#"{{"current": {current}, "key_1": "{}", "key_2": "{}"}}"#, "a".repeat(32), "b".repeat(32));
        KeyRing::from_json(&keys).unwrap()
    }

    proptest! {
        #[test]
        fn a_sealed_secret_opens_for_its_owner_alone(secret: [u8; 32], owner: [u128; 2], other: [u128; 2], place in 0..60_usize, bit in 0..8_u8) {
            let owner = owner.map(Uuid::from_u128);
            let sealed = ring(1).seal_secret(&owner, &secret).unwrap();
            prop_assert_eq!(sealed.bytes.len(), 12 + 32 + 16);
            prop_assert!(!sealed.bytes.windows(8).any(|part| secret.windows(8).any(|plain| plain == part)));
            // Also when another key has become the current one.
            prop_assert_eq!(ring(2).open_secret(&owner, 1, &sealed.bytes).unwrap(), secret.to_vec());
            prop_assert!(ring(1).open_secret(&owner, 2, &sealed.bytes).is_err());
            prop_assert!(ring(1).open_secret(&owner, 3, &sealed.bytes).is_err());
            let other = other.map(Uuid::from_u128);
            prop_assert!(other == owner || ring(1).open_secret(&other, 1, &sealed.bytes).is_err());
            let mut changed = sealed.bytes;
            changed[place] ^= 1_u8 << bit;
            prop_assert!(ring(1).open_secret(&owner, 1, &changed).is_err());
        }

        #[test]
        fn nothing_else_opens(sealed: Vec<u8>) {
            prop_assert!(ring(1).open_secret(&[], 1, &sealed).is_err());
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let [one, other] = [(), ()].map(|()| ring(1).seal_secret(&[], &[7; 32]).unwrap().bytes);
        assert_ne!(one, other);
    }
}
