//! Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body, so that whoever is called knows by whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::secrets::Secret;

/// What a signature begins with: the version of the scheme.
const VERSION: &str = "v1,";
/// A call that is signed for longer ago than this, or for later, may be somebody's who has listened.
const TOLERANCE_SECONDS: u64 = 300;

/// The value of `webhook-signature`: one signature for each secret that is valid at this moment.
#[must_use]
pub fn sign(secrets: &[Secret], id: &str, unix_seconds: i64, body: &[u8]) -> String {
    let each =
        secrets.iter().map(|secret| format!("{VERSION}{}", STANDARD.encode(mac(secret, id, unix_seconds, body))));
    each.collect::<Vec<_>>().join(" ")
}

/// What came in the headers of a call, as text.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a call is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSignature {
    /// Its time is no number of seconds.
    Malformed,
    /// It was signed too long ago, or for later.
    OutOfTime,
    /// None of its signatures is ours.
    Wrong,
}

/// Checks a call by the secrets that are valid at this moment.
///
/// # Errors
///
/// [`BadSignature`], which is for the log: whoever calls is only told that it is wrong.
pub fn verify(secrets: &[Secret], signed: Signed<'_>, body: &[u8], unix_now: i64) -> Result<(), BadSignature> {
    let at: i64 = signed.timestamp.parse().map_err(|_| BadSignature::Malformed)?;
    if at.abs_diff(unix_now) > TOLERANCE_SECONDS {
        return Err(BadSignature::OutOfTime);
    }
    let given: Vec<Vec<u8>> = signed
        .signature
        .split(' ')
        .filter_map(|one| STANDARD.decode(one.strip_prefix(VERSION)?).ok())
        .take(16)
        .collect();
    let is_ours = secrets.iter().any(|secret| {
        let expected = mac(secret, signed.id, at, body);
        given.iter().any(|given| bool::from(expected.ct_eq(given)))
    });
    if is_ours { Ok(()) } else { Err(BadSignature::Wrong) }
}

fn mac(secret: &Secret, id: &str, unix_seconds: i64, body: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length, so there is always one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return Vec::new() };
    mac.update(format!("{id}.{unix_seconds}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_example_of_the_specification_s_libraries_comes_out() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY), signature);
    }

    proptest! {
        #[test]
        fn what_is_signed_is_believed_in_its_time_and_nothing_else(id in "[a-z0-9-]{1,40}", body: Vec<u8>, apart in -1_000_i64..1_000) {
            let (ours, other) = (Secret::fresh().unwrap(), Secret::fresh().unwrap());
            let signature = sign(&[other.clone(), ours.clone()], &id, 1_700_000_000, &body);
            let signed = Signed { id: &id, timestamp: "1700000000", signature: &signature };
            let now = 1_700_000_000 + apart;
            let expected = if apart.abs() <= 300 { Ok(()) } else { Err(BadSignature::OutOfTime) };
            prop_assert_eq!(verify(from_ref(&ours), signed, &body, now), expected);
            let longer = [body.as_slice(), b"x"].concat();
            prop_assert!(verify(from_ref(&ours), signed, &longer, now).is_err());
            for other in [Signed { id: "another", ..signed }, Signed { timestamp: "1700000001", ..signed }] {
                prop_assert!(verify(from_ref(&ours), other, &body, now).is_err());
            }
            prop_assert!(verify(&[Secret::fresh().unwrap()], signed, &body, now).is_err());
        }

        #[test]
        fn nothing_makes_it_panic(id: String, timestamp: String, signature: String, seconds: i64, now: i64) {
            for timestamp in [timestamp, seconds.to_string()] {
                let signed = Signed { id: &id, timestamp: &timestamp, signature: &signature };
                prop_assert!(verify(&[Secret::fresh().unwrap()], signed, b"", now).is_err());
            }
        }
    }

    #[test]
    fn a_library_that_we_did_not_write_believes_us_and_we_believe_it() {
        let secret = Secret::fresh().unwrap();
        let theirs = standardwebhooks::Webhook::new(&secret.text()).unwrap();
        let signature = theirs.sign("msg_1", 1_700_000_000, BODY).unwrap();
        assert_eq!(sign(from_ref(&secret), "msg_1", 1_700_000_000, BODY), signature);
        let signed = Signed { id: "msg_1", timestamp: "1700000000", signature: &signature };
        assert_eq!(verify(&[secret], signed, BODY, 1_700_000_001), Ok(()));
    }
}
