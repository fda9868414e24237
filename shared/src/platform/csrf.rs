//! What shows that a request was made by our own pages and not by somebody else's: a value that follows from the session's
//! token, which only whoever has read the answer to the login knows. A browser sends the cookie by itself; it does not send this.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The label tells this use of the token from any other.
const LABEL: &[u8] = b"martlet csrf\0";

/// The value that belongs to a session's token.
#[must_use]
pub fn token(session_token: &str) -> String {
    // HMAC takes keys of every length.
    let mac = Hmac::<Sha256>::new_from_slice(session_token.as_bytes()).map(|mut mac| {
        mac.update(LABEL);
        mac.finalize().into_bytes()
    });
    mac.map(|mac| URL_SAFE_NO_PAD.encode(mac)).unwrap_or_default()
}

/// Whether a value belongs to a session's token.
#[must_use]
pub fn is_valid(session_token: &str, shown: &str) -> bool {
    let expected = token(session_token);
    !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(shown.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_belongs_to_one_session() {
        let value = token("ms_one");
        assert_eq!(value.len(), 43);
        assert!(is_valid("ms_one", &value));
        for (session, shown) in [("ms_two", value.as_str()), ("ms_one", ""), ("ms_one", &value[1..]), ("", &value)] {
            assert!(!is_valid(session, shown));
        }
    }
}
