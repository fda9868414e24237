//! Sending: a queued message is checked, claimed, handed to the provider once, and its outcome recorded.
//!
//! Read and render first; then one transaction locks, checks in statements after the locks, and commits `sending` with a
//! fresh attempt token; then the provider is called once; then the outcome is recorded under that token. What the provider
//! does not answer clearly stays `unknown`: it is never tried again by itself.

mod backoff;
mod claiming;
mod letters;
mod recording;
mod system_letters;

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, join_all};
use uuid::Uuid;

use super::breaker::Admission;
use super::messages::MessageKey;
use super::tokens::KeyRing;
use crate::{Database, Result};

/// A mail as the provider gets it.
#[derive(Debug)]
pub struct Mail {
    /// The message, also given as a tag so that every event names it.
    pub message: MessageKey,
    /// This attempt, also given as a tag.
    pub attempt: Uuid,
    /// The address it comes from, for the provider's own check.
    pub from: String,
    /// The address it goes to.
    pub to: String,
    /// The whole mail (RFC 5322).
    pub raw: Vec<u8>,
}

/// What the provider's answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted under this id.
    Accepted(String),
    /// Certainly not accepted; the same mail may go later.
    Later(String),
    /// Certainly not accepted, and it never will be.
    Refused {
        /// The provider's name for it.
        code: String,
        /// What it says.
        detail: String,
        /// Whether it is the recipient's address that is at fault.
        address_at_fault: bool,
    },
    /// Certainly not accepted: the account may not send at the moment, for anybody.
    AccountClosed(String),
    /// Accepted or not, nobody can tell from this answer.
    Unclear(String),
}

/// Hands mail to the provider. One call of `send` is one attempt: an implementation never retries by itself.
pub trait Mailer: Send + Sync {
    /// Makes one attempt and says what the answer means.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Answer>;
}

/// What mails say about where answers, clicks and unsubscriptions go.
pub struct Letterhead {
    /// Signs the tokens, and recognizes addresses that are suppressed by their hash alone.
    pub keys: KeyRing,
    /// Domain of the reply addresses.
    pub reply_domain: String,
    /// Base of the links to us, without a slash at the end.
    pub public_url: String,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Delivered {
    /// Messages by what was done with them, for the log line.
    pub counts: BTreeMap<&'static str, usize>,
    /// Messages whose outcome the database does not hold: they are to be reported as failed to the queue.
    pub unrecorded: Vec<MessageKey>,
}

impl Delivered {
    fn count(&mut self, what: &'static str, how_many: usize) {
        if how_many > 0 {
            *self.counts.entry(what).or_default() += how_many;
        }
    }
}

/// Delivers the messages that a batch of hints names. Messages that are not there, not planned any more or in somebody
/// else's hands are passed over: a hint promises nothing.
///
/// Errors: only while nothing has been handed to the provider; after that, messages are named in [`Delivered::unrecorded`].
pub async fn deliver(
    db: &Database,
    mailer: &dyn Mailer,
    letterhead: &Letterhead,
    hints: &[MessageKey],
) -> Result<Delivered> {
    let mut keys = hints.to_vec();
    keys.sort_unstable();
    keys.dedup();
    let mut delivered = Delivered::default();
    let (tx, materials, breaker) = letters::begin_and_read(db, &keys).await?;
    if materials.len() == 0 {
        // Before the breaker admits: hints of messages that are gone shall not use up its probes.
        tx.commit().await?;
        return Ok(delivered);
    }
    let admission = breaker.admit(&tx).await?;
    if let Admission::Nothing { retry_after } | Admission::Probe { retry_after } = admission {
        // A probe takes one of them, and the sweeper brings the others when it has told whether the account works.
        claiming::postpone(&tx, &keys, retry_after).await?;
    }
    if let Admission::Nothing { .. } = admission {
        tx.commit().await?;
        delivered.count("postponed", materials.len());
        return Ok(delivered);
    }
    let mut letters = letters::render(&materials, letterhead);
    letters::store_links(&tx, &mut letters).await?;
    tx.commit().await?;
    crate::fault_points::reach("before_claim");
    let claimed = match admission {
        Admission::Probe { .. } => claim_one(db, &letterhead.keys, letters, &mut delivered).await?,
        _ => claiming::claim(db, &letterhead.keys, letters, &mut delivered).await?,
    };
    crate::fault_points::reach("after_claim");
    let answers = join_all(claimed.iter().map(|mail| mailer.send(mail))).await;
    let attempts: Vec<_> = claimed.into_iter().zip(answers).collect();
    delivered.unrecorded = recording::record(db, &attempts, &mut delivered).await;
    crate::fault_points::reach("after_record");
    Ok(delivered)
}

/// Claims the first message that may go: one that may not is no probe.
async fn claim_one(
    db: &Database,
    keys: &KeyRing,
    letters: Vec<letters::Letter>,
    delivered: &mut Delivered,
) -> Result<Vec<Mail>> {
    let mut letters = letters.into_iter();
    while let Some(letter) = letters.next() {
        let claimed = claiming::claim(db, keys, vec![letter], delivered).await?;
        if !claimed.is_empty() {
            delivered.count("postponed", letters.len());
            return Ok(claimed);
        }
    }
    Ok(Vec::new())
}
