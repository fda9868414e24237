//! What SNS sends over HTTPS, told apart from what somebody else sends in its name.
//!
//! A notification counts when its topic is ours, its certificate lies where SNS keeps them, that certificate leads to
//! Amazon's roots, is valid now and is made out to SNS, and its key has signed the text. All of that is checked, in this
//! order: nothing is fetched for a topic that is not ours. The hosts follow from our own topic's name and the roots are
//! compiled in, so that nothing in the environment or in a notification widens what is trusted.

pub mod certificates;
pub mod envelopes;
pub mod topics;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use shared::Result;

use certificates::{Certificates, Trust};
use envelopes::Envelope;
use topics::Topic;

/// What an address of SNS answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has this.
    Found(Vec<u8>),
    /// It has no such thing.
    Missing,
}

/// Asks the hosts of SNS, of which each address has been checked before.
pub trait SnsHost: Send + Sync {
    /// What is at `url`, following no redirect.
    ///
    /// Errors: [`shared::Error::Unavailable`] where no clear answer came, or more than a certificate has.
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Answer>>;
}

/// Why a notification does not count.
#[derive(Debug)]
pub enum Refusal {
    /// It is none: what is wrong with its form.
    Malformed(&'static str),
    /// It is not from our topic, or not from SNS.
    Forged(&'static str),
    /// It can't be told yet: SNS shall send it again.
    Undecided(shared::Error),
}

/// Verifies what is said to come from a topic of ours.
pub struct Verifier {
    topics: Vec<Topic>,
    host: Arc<dyn SnsHost>,
    certificates: Certificates,
}

impl Verifier {
    /// For these topics and no other; `trust` says whose certificates count.
    #[must_use]
    pub fn new(topics: Vec<Topic>, host: Arc<dyn SnsHost>, trust: Trust) -> Self {
        Self { topics, host: Arc::clone(&host), certificates: Certificates::new(host, trust) }
    }

    /// Reads a body and verifies it.
    pub async fn verify(&self, body: &[u8]) -> Result<Envelope, Refusal> {
        let envelope = Envelope::read(body).map_err(Refusal::Malformed)?;
        let topic = self.topic(&envelope)?;
        if !topic.keeps_certificate(&envelope.signing_cert_url) {
            return Err(Refusal::Forged("its certificate is not where SNS keeps them"));
        }
        let signature = BASE64_STANDARD
            .decode(&envelope.signature)
            .map_err(|_| Refusal::Malformed("its signature is not Base64"))?;
        let text = envelope.signed_text();
        let algorithm = envelope.algorithm();
        self.certificates.check(topic, &envelope.signing_cert_url, algorithm, text.as_bytes(), &signature).await?;
        Ok(envelope)
    }

    /// Confirms the subscription that a verified envelope offers.
    pub async fn confirm(&self, envelope: &Envelope) -> Result<(), Refusal> {
        let topic = self.topic(envelope)?;
        let (Some(url), Some(token)) = (&envelope.subscribe_url, &envelope.token) else {
            return Err(Refusal::Malformed("a confirmation has SubscribeURL and Token"));
        };
        if !topic.is_confirmation(url, token) {
            return Err(Refusal::Forged("its SubscribeURL does not confirm a subscription of its topic"));
        }
        match self.host.get(url).await.map_err(Refusal::Undecided)? {
            Answer::Found(_) => Ok(()),
            // A token is good for three days; one that came too late will not get better.
            Answer::Missing => Err(Refusal::Forged("SNS knows no such subscription")),
        }
    }

    fn topic(&self, envelope: &Envelope) -> Result<&Topic, Refusal> {
        let topic = self.topics.iter().find(|topic| topic.arn() == envelope.topic_arn);
        topic.ok_or(Refusal::Forged("its topic is not ours"))
    }
}
