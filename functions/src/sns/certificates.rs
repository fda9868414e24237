//! The certificates with which SNS signs.
//!
//! The file of a certificate holds it alone, without the authority that has signed it. These authorities are compiled in,
//! like the roots to which they lead; what else a file holds may help to find the way to a root and proves nothing. When
//! Amazon signs by a new one, notifications are answered 503 until it is added here: see the decision 9.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime, alg_id,
};
use shared::Error;
use webpki::{EndEntityCert, KeyUsage};

use super::topics::Topic;
use super::{Answer, Refusal, SnsHost};

/// The authorities that sign for SNS (Amazon RSA 2048 M01 to M04, valid until August 2030).
const AUTHORITIES: &[u8] = include_bytes!("../../certificates/amazon_rsa_2048.pem");
/// How the names of the roots begin that Amazon has of its own.
const ROOTS: &[u8] = b"Amazon Root CA ";
/// SNS changes its certificate about once a year; more than a handful are nobody's.
const KEPT: usize = 8;
/// A file holds one certificate; a chain of all that could be needed has four.
const MOST_IN_A_FILE: usize = 4;

/// With what an envelope is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SignatureVersion 1, which topics have unless they are told otherwise.
    RsaSha1,
    /// SignatureVersion 2.
    RsaSha256,
}

/// Whose certificates count, and what time it is.
pub struct Trust {
    /// Where a chain ends.
    pub roots: Vec<TrustAnchor<'static>>,
    /// What it may lead over.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Tells the time at which a certificate must be valid.
    pub now: fn() -> UnixTime,
}

impl Trust {
    /// Amazon's roots and authorities as they are compiled in, by the machine's clock: there is no database here to ask.
    #[must_use]
    pub fn amazon() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS
            .iter()
            .filter(|root| root.subject.windows(ROOTS.len()).any(|part| part == ROOTS))
            .cloned()
            .collect();
        Self { roots, authorities: read(AUTHORITIES), now: UnixTime::now }
    }
}

/// Certificates that have been fetched and found good.
pub struct Certificates {
    host: Arc<dyn SnsHost>,
    trust: Trust,
    kept: Mutex<VecDeque<(String, Arc<[CertificateDer<'static>]>)>>,
}

impl Certificates {
    /// None yet.
    #[must_use]
    pub fn new(host: Arc<dyn SnsHost>, trust: Trust) -> Self {
        Self { host, trust, kept: Mutex::default() }
    }

    /// Whether `signature` over `text` is by the certificate at `url`, and that certificate is good for the topic now.
    ///
    /// One that is not good lies on SNS's own host all the same, so it is SNS or we that have to change: the notification
    /// is undecided, and not lost.
    pub async fn check(
        &self,
        topic: &Topic,
        url: &str,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let known = self.find(url);
        let is_known = known.is_some();
        let file = match known {
            Some(file) => file,
            None => self.fetch(url).await?,
        };
        let leaf = file.first().ok_or_else(|| undecided("the file holds no certificate"))?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| undecided("the file holds no certificate"))?;
        self.trusted(topic, &leaf, &file[1..])?;
        if !is_known {
            self.keep(url, &file);
        }
        let algorithm: &dyn SignatureVerificationAlgorithm = match algorithm {
            Algorithm::RsaSha1 => &RsaSha1,
            Algorithm::RsaSha256 => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        };
        leaf.verify_signature(algorithm, text, signature).map_err(|_| Refusal::Forged("SNS has not signed it"))
    }

    fn trusted(&self, topic: &Topic, leaf: &EndEntityCert<'_>, others: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        let authorities: Vec<CertificateDer<'_>> = self.trust.authorities.iter().chain(others).cloned().collect();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &self.trust.roots,
            &authorities,
            (self.trust.now)(),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|error| undecided(format!("the certificate does not lead to a root: {error}")))?;
        let is_named = topic.names().iter().any(|name| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok())
        });
        if is_named { Ok(()) } else { Err(undecided("the certificate is not made out to SNS")) }
    }

    async fn fetch(&self, url: &str) -> Result<Arc<[CertificateDer<'static>]>, Refusal> {
        match self.host.get(url).await.map_err(Refusal::Undecided)? {
            Answer::Found(bytes) => Ok(read(&bytes).into()),
            Answer::Missing => Err(Refusal::Forged("SNS has no such certificate")),
        }
    }

    fn find(&self, url: &str) -> Option<Arc<[CertificateDer<'static>]>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(its, _)| its == url).map(|(_, file)| Arc::clone(file))
    }

    fn keep(&self, url: &str, file: &Arc<[CertificateDer<'static>]>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((url.to_owned(), Arc::clone(file)));
    }
}

/// The certificates in a file, up to what is not one.
fn read(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).map_while(Result::ok).take(MOST_IN_A_FILE).collect()
}

fn undecided(why: impl Into<String>) -> Refusal {
    Refusal::Undecided(Error::Unavailable(why.into().into()))
}

/// RSA with SHA-1, which web certificates no longer use and SNS does. That nobody can find another text with the same
/// digest as a given one, which is what a forger needs here, still holds for SHA-1; collisions do not help without a
/// way to have SNS sign one's own text.
#[derive(Debug)]
struct RsaSha1;

impl SignatureVerificationAlgorithm for RsaSha1 {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        // sha1WithRSAEncryption (RFC 8017, appendix C), with absent parameters as NULL.
        AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00])
    }

    fn verify_signature(&self, key: &[u8], text: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            .verify(text, signature)
            .map_err(|_| InvalidSignature)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::UnixTime;
    use webpki::EndEntityCert;

    use super::{Certificates, Topic, Trust, read};
    use crate::adapters::sns_host::HttpsHost;

    #[test]
    fn a_certificate_of_sns_leads_to_the_compiled_in_roots() {
        // A genuine one, as SNS had it from December 2023 to November 2024.
        let file = read(include_bytes!("../../tests/certificates/sns_2024.pem"));
        assert_eq!(file.len(), 1);
        let leaf = EndEntityCert::try_from(&file[0]).unwrap();
        let topic = Topic::parse("arn:aws:sns:eu-central-1:000000000000:t").unwrap();
        let elsewhere = Topic::parse("arn:aws-cn:sns:cn-north-1:000000000000:t").unwrap();
        let at = |now: fn() -> UnixTime| {
            let trust = Trust { now, ..Trust::amazon() };
            assert_eq!((trust.roots.len(), trust.authorities.len()), (4, 4));
            Certificates::new(Arc::new(HttpsHost::new()), trust)
        };
        let during = at(|| UnixTime::since_unix_epoch(Duration::from_secs(1_720_000_000)));
        assert!(during.trusted(&topic, &leaf, &[]).is_ok());
        assert!(during.trusted(&elsewhere, &leaf, &[]).is_err());
        let before = at(|| UnixTime::since_unix_epoch(Duration::from_secs(1_600_000_000)));
        assert!(before.trusted(&topic, &leaf, &[]).is_err());
        let after = at(|| UnixTime::since_unix_epoch(Duration::from_secs(1_740_000_000)));
        assert!(after.trusted(&topic, &leaf, &[]).is_err());
    }
}
