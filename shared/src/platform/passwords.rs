//! Passwords: what one may be, and how it is kept.
//!
//! Kept as argon2id with 19 MiB, two passes and one lane (OWASP Password Storage Cheat Sheet), in PHC form. A bcrypt hash that was
//! brought along is accepted and replaced at the next login. What a password may be follows NIST SP 800-63B: length counts,
//! no kind of character is asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::fields::Fields;
use crate::{Error, Result};

/// Memory in KiB.
const MEMORY: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Bytes of salt.
const SALT: usize = 16;

/// Characters of the shortest password.
pub const SHORTEST: usize = 8;
/// Characters of the longest: a passphrase fits, and hashing it stays cheap.
pub const LONGEST: usize = 200;

/// The largest cost of a bcrypt hash that is computed: each more doubles the time, and 14 takes about a second.
const MAX_BCRYPT_COST: u32 = 14;

/// Of nobody's password, with the same parameters: checking against it takes what checking takes.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bWFydGxldCBub2JvZHkhIQ$bm9ib2R5IGhhcyB0aGlzIHBhc3N3b3JkIGhlcmUhISE";

/// Checks a new password; `email` and the names are what it may not be.
pub fn check(fields: &mut Fields, field: &str, password: &str, email: &str) {
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        fields.refuse(field, "length", format!("a password has {SHORTEST} to {LONGEST} characters"));
    } else if password.contains('\0') {
        fields.refuse(field, "control_character", "a password has no NUL character");
    } else if is_guessable(password, email) {
        fields.refuse(field, "too_easy", "this password is among the first that anybody would try");
    }
}

/// One character again and again, a few well known ones, and what everybody knows of the person.
fn is_guessable(password: &str, email: &str) -> bool {
    let lower = password.to_lowercase();
    let email = email.to_lowercase();
    let local_part = email.split('@').next().unwrap_or_default();
    let known = [
        "password",
        "passwort",
        "12345678",
        "123456789",
        "1234567890",
        "qwertyui",
        "qwertyuiop",
        "iloveyou",
        "password1",
        "password123",
        "passw0rd",
        "11111111",
        "martlet",
        "letmein1",
        "changeme",
    ];
    let mut characters = lower.chars();
    let first = characters.next();
    lower == email
        || lower == local_part
        || known.contains(&lower.as_str())
        || characters.all(|character| Some(character) == first)
}

/// What checking a password has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is the password.
    Right,
    /// It is, and its hash is to be made anew: it is of an older kind.
    RightAndOld,
    /// It is not, or there is none.
    Wrong,
}

/// Hashes and checks passwords, and counts how often it has.
#[derive(Debug, Default)]
pub struct Hasher {
    computed: AtomicU64,
}

impl Hasher {
    /// How many argon2id hashes were computed: whoever has no account is checked with as much work as whoever has one.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// The hash of a password in PHC form.
    ///
    /// Errors: [`Error::Internal`] without a source of randomness.
    pub fn hash(&self, password: &str) -> Result<String> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|error| Error::internal(error.to_string()))?;
        let salt = SaltString::encode_b64(&salt).map_err(|error| Error::internal(error.to_string()))?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let hash = argon2()?.hash_password(password.as_bytes(), &salt);
        Ok(hash.map_err(|error| Error::internal(error.to_string()))?.to_string())
    }

    /// Checks a password against what is kept of somebody's; one argon2id hash is computed in every case.
    #[must_use]
    pub fn check(&self, password: &str, kept: Option<&str>) -> Checked {
        if password.chars().count() > LONGEST {
            // Longer than any password there is.
            let _ = self.verify("", NOBODY);
            return Checked::Wrong;
        }
        match kept {
            Some(kept) if is_bcrypt(kept) => {
                let is_right = bcrypt_cost(kept).is_some_and(|cost| cost <= MAX_BCRYPT_COST)
                    && bcrypt::verify(password, kept).unwrap_or(false);
                let _ = self.verify(password, NOBODY);
                if is_right { Checked::RightAndOld } else { Checked::Wrong }
            }
            Some(kept) => match self.verify(password, kept) {
                false => Checked::Wrong,
                true if has_our_parameters(kept) => Checked::Right,
                true => Checked::RightAndOld,
            },
            None => {
                let _ = self.verify(password, NOBODY);
                Checked::Wrong
            }
        }
    }

    fn verify(&self, password: &str, kept: &str) -> bool {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let Ok(hash) = PasswordHash::new(kept) else { return false };
        // The parameters are those of the hash, whatever ours are.
        argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), &hash).is_ok())
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn has_our_parameters(kept: &str) -> bool {
    kept.starts_with(&format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$"))
}

fn is_bcrypt(kept: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| kept.starts_with(prefix))
}

fn bcrypt_cost(kept: &str) -> Option<u32> {
    kept.get(4..6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_kept_as_argon2id_with_19_mib_two_passes_and_one_lane() {
        let hasher = Hasher::default();
        let kept = hasher.hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hasher.hash("correct horse").unwrap(), "each has a salt of its own");
        assert_eq!(hasher.check("correct horse", Some(&kept)), Checked::Right);
        assert_eq!(hasher.check("correct horses", Some(&kept)), Checked::Wrong);
    }

    #[test]
    fn as_much_is_computed_for_nobody_as_for_somebody() {
        let hasher = Hasher::default();
        let kept = hasher.hash("correct horse").unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let weak =
            weak.hash_password(b"correct horse", &SaltString::encode_b64(&[7; 16]).unwrap()).unwrap().to_string();
        assert!(PasswordHash::new(NOBODY).is_ok() && has_our_parameters(NOBODY));
        let long = "x".repeat(LONGEST + 1);
        for (password, against, expected) in [
            ("correct horse", Some(kept.as_str()), Checked::Right),
            ("wrong horse", Some(kept.as_str()), Checked::Wrong),
            ("wrong horse", None, Checked::Wrong),
            (&long, Some(kept.as_str()), Checked::Wrong),
            ("wrong horse", Some("no hash at all"), Checked::Wrong),
            ("correct horse", Some(weak.as_str()), Checked::RightAndOld),
        ] {
            let before = hasher.computed();
            assert_eq!(hasher.check(password, against), expected, "{against:?}");
            assert_eq!(hasher.computed() - before, 1, "{against:?}");
        }
    }

    #[test]
    fn a_bcrypt_hash_is_accepted_and_to_be_replaced() {
        let hasher = Hasher::default();
        let kept = bcrypt::hash("correct horse", 4).unwrap();
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let kept = kept.replacen("$2b$", prefix, 1);
            assert_eq!(hasher.check("correct horse", Some(&kept)), Checked::RightAndOld, "{prefix}");
            assert_eq!(hasher.check("wrong horse", Some(&kept)), Checked::Wrong, "{prefix}");
        }
        let costly = kept.replacen("$04$", "$31$", 1);
        assert_eq!(hasher.check("correct horse", Some(&costly)), Checked::Wrong, "it is not computed for weeks");
    }

    #[test]
    fn length_counts_and_what_anybody_would_try_is_refused() {
        let refused = |password: &str| {
            let mut fields = Fields::default();
            check(&mut fields, "password", password, "Ada.Lovelace@people.test");
            matches!(fields.finish(), Err(Error::Invalid(_)))
        };
        for good in ["a very long phrase", "ümläüte!", "12345679", &"x y".repeat(60)] {
            assert!(!refused(good), "{good}");
        }
        let long = "xy".repeat(101);
        for bad in ["short", "ada.lovelace", "ADA.LOVELACE@PEOPLE.TEST", "Password", "aaaaaaaaaa", "nul\0nul\0", &long]
        {
            assert!(refused(bad), "{bad}");
        }
    }
}
