//! ID tokens: a JWS in its compact form (RFC 7515), signed with RS256 or ES256, and what is read in it (OpenID Connect Core 1.0,
//! section 3.1.3.7).
//!
//! The algorithm is that of the provider's key, and the header must name the same: no token chooses how it is checked. A claim
//! of another kind than it should be is no claim that is missing: the token does not count.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Bytes of a token: more than any that names one person has.
const LONGEST: usize = 16 * 1024;
/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;
/// Characters of a subject (OpenID Connect Core 1.0, section 2).
const SUBJECT: usize = 255;

/// A key of a provider (RFC 7517).
#[derive(Debug, Clone, Deserialize)]
pub struct Jwk {
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    r#use: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(flatten)]
    material: Material,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kty")]
enum Material {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
}

impl Jwk {
    /// Whether it may be the key that a token names; a token that names none may be of any.
    #[must_use]
    pub fn is_called(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.kid.as_deref() == kid
    }

    fn algorithm(&self) -> Option<&'static str> {
        let algorithm = match &self.material {
            Material::Rsa { .. } => "RS256",
            Material::Ec { crv, .. } if crv == "P-256" => "ES256",
            Material::Ec { .. } => return None,
        };
        let is_for_signing = self.r#use.as_deref().is_none_or(|used| used == "sig");
        let is_its_own = self.alg.as_deref().is_none_or(|its| its == algorithm);
        Some(algorithm).filter(|_| is_for_signing && is_its_own)
    }

    fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                let (Some(n), Some(e)) = (bytes(n), bytes(e)) else { return false };
                let key = RsaPublicKeyComponents { n: unpadded(&n), e: unpadded(&e) };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
            }
            Material::Ec { x, y, .. } => {
                let (Some(x), Some(y)) = (bytes(x), bytes(y)) else { return false };
                let point = [&[4][..], &x, &y].concat();
                x.len() == 32
                    && y.len() == 32
                    && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok()
            }
        }
    }
}

/// What a token must say to count.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who it is from.
    pub issuer: &'a str,
    /// Whom it is for.
    pub client_id: &'a str,
    /// Which login it is for.
    pub nonce: &'a str,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// What a token that counts says of somebody.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    iss: String,
    /// How the provider calls them.
    pub sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: Time,
    iat: Time,
    #[serde(default)]
    nbf: Option<Time>,
    #[serde(default)]
    nonce: Option<String>,
    /// Their address.
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    email_verified: Option<Truth>,
    /// Their first name.
    #[serde(default)]
    pub given_name: Option<String>,
    /// Their last name.
    #[serde(default)]
    pub family_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Seconds since 1970. Some providers write them with a fraction.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Time {
    Whole(i64),
    Broken(f64),
}

impl Time {
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large for an integer becomes the largest")]
    fn seconds(self) -> i64 {
        match self {
            Self::Whole(seconds) => seconds,
            Self::Broken(seconds) => seconds as i64,
        }
    }
}

/// Cognito writes it as a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Truth {
    Plain(bool),
    Text(String),
}

impl Claims {
    /// Whether the provider vouches for the address.
    #[must_use]
    pub fn email_is_verified(&self) -> bool {
        match &self.email_verified {
            Some(Truth::Plain(is_verified)) => *is_verified,
            Some(Truth::Text(text)) => text == "true",
            None => false,
        }
    }

    fn check(&self, expected: &Expected<'_>) -> Result<(), &'static str> {
        let audience = match &self.aud {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Many(many) => many.as_slice(),
        };
        let is_for_us = audience.iter().any(|one| one == expected.client_id);
        let is_authorized = match &self.azp {
            Some(party) => party == expected.client_id,
            None => audience.len() == 1,
        };
        let checks = [
            (self.iss == expected.issuer, "the token is from another issuer"),
            (is_for_us, "the token is for somebody else"),
            (is_authorized, "the token was made for another party"),
            (self.exp.seconds() > expected.now.saturating_sub(LEEWAY), "the token has ended"),
            (self.iat.seconds() <= expected.now.saturating_add(LEEWAY), "the token is from the future"),
            (
                self.nbf.is_none_or(|nbf| nbf.seconds() <= expected.now.saturating_add(LEEWAY)),
                "the token does not count yet",
            ),
            (self.nonce.as_deref() == Some(expected.nonce), "the token is of another login"),
            (!self.sub.is_empty() && self.sub.chars().count() <= SUBJECT, "the token names nobody"),
            (!self.sub.contains('\0'), "the token names nobody"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// What must be understood and is not (RFC 7515 section 4.1.11).
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Which key a token names. Nothing of it is verified.
///
/// Errors: why it is no token.
pub fn key_id(token: &str) -> Result<Option<String>, &'static str> {
    Ok(parts(token)?.0.kid)
}

/// Verifies a token, and returns what it says.
///
/// Errors: why it does not count, for the log alone.
pub fn verify(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, &'static str> {
    let (header, text, payload, signature) = parts(token)?;
    if header.crit.is_some() {
        return Err("the token asks for what we do not know");
    }
    let mut candidates = keys.iter().filter(|key| key.is_called(header.kid.as_deref()));
    let is_signed = candidates
        .any(|key| key.algorithm() == Some(header.alg.as_str()) && key.has_signed(text.as_bytes(), &signature));
    if !is_signed {
        return Err("no key of the provider has signed the token");
    }
    let claims: Claims = json(payload)?;
    claims.check(expected)?;
    Ok(claims)
}

/// The header, what is signed, the payload in it, and the signature.
fn parts(token: &str) -> Result<(Header, &str, &str, Vec<u8>), &'static str> {
    const NONE: &str = "this is no token";
    if token.len() > LONGEST {
        return Err("the token is too long");
    }
    let (text, signature) = token.rsplit_once('.').ok_or(NONE)?;
    let (header, payload) = text.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or(NONE)?;
    Ok((json(header)?, text, payload, bytes(signature).ok_or(NONE)?))
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, &'static str> {
    let bytes = bytes(part).ok_or("a part of the token can't be read")?;
    serde_json::from_slice(&bytes).map_err(|_| "a part of the token is not what it should be")
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Without leading zeros, which a number may have been written with.
fn unpadded(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
