//! What stands outside of Martlet, as tests see it: a queue that keeps what it gets, and a provider that does what it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use shared::delivery::messages::MessageKey;
use shared::delivery::provider_account::{AccountState, ProviderAccount};
use shared::delivery::restoration::Memory;
use shared::delivery::scheduling::{Hint, SendQueue};
use shared::delivery::sending::{Answer, Mail, Mailer};
use shared::platform::jobs::JobQueue;
use shared::platform::webhooks::dispatching::WebhookQueue;
use shared::{Error, JobId, MessageId, OrganizationId, Result};
use tokio::sync::{RwLock, RwLockWriteGuard};

/// A queue in memory.
#[derive(Default)]
pub struct FakeQueue {
    hints: Mutex<Vec<Hint>>,
}

impl FakeQueue {
    /// Takes everything out, in the order in which it came.
    pub fn drain(&self) -> Vec<MessageKey> {
        self.hints.lock().unwrap().drain(..).map(|hint| hint.message).collect()
    }

    /// The delays of what waits, in seconds.
    pub fn delays(&self) -> Vec<u64> {
        self.hints.lock().unwrap().iter().map(|hint| hint.delay.as_secs()).collect()
    }
}

impl SendQueue for FakeQueue {
    fn enqueue<'a>(&'a self, hints: &'a [Hint]) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            self.hints.lock().unwrap().extend_from_slice(hints);
            Ok(hints.len())
        })
    }
}

/// A queue of jobs that only remembers them.
#[derive(Default)]
pub struct FakeJobQueue {
    hints: Mutex<Vec<(OrganizationId, JobId)>>,
}

impl FakeJobQueue {
    /// Takes everything out, in the order in which it came.
    pub fn drain(&self) -> Vec<(OrganizationId, JobId)> {
        self.hints.lock().unwrap().drain(..).collect()
    }
}

impl JobQueue for FakeJobQueue {
    fn enqueue(&self, organization: OrganizationId, job: JobId) -> BoxFuture<'_, Result<()>> {
        self.hints.lock().unwrap().push((organization, job));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A queue of webhooks that only remembers whose turn it is, and after how long.
#[derive(Default)]
pub struct FakeWebhookQueue {
    hints: Mutex<Vec<(OrganizationId, Duration)>>,
}

impl FakeWebhookQueue {
    /// Takes everything out, in the order in which it came.
    pub fn drain(&self) -> Vec<(OrganizationId, Duration)> {
        self.hints.lock().unwrap().drain(..).collect()
    }
}

impl WebhookQueue for FakeWebhookQueue {
    fn enqueue<'a>(&'a self, organizations: &'a [OrganizationId], delay: Duration) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.hints.lock().unwrap().extend(organizations.iter().map(|id| (*id, delay)));
            Ok(())
        })
    }
}

/// A mail that the fake provider was handed.
#[derive(Debug, Clone)]
pub struct HandedMail {
    /// The message.
    pub message: MessageKey,
    /// Whom it goes to.
    pub to: String,
    /// The whole mail.
    pub raw: String,
    /// Whether it was accepted, whatever the caller was told.
    pub accepted: bool,
}

/// A provider that accepts everything unless it was told otherwise, and remembers every attempt.
#[derive(Default)]
pub struct FakeMailer {
    handed: Mutex<Vec<HandedMail>>,
    answers: Mutex<VecDeque<Answer>>,
    answers_by_message: Mutex<HashMap<MessageId, Answer>>,
    silence: RwLock<()>,
}

impl FakeMailer {
    /// The next attempts are answered with these, in turn.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Every attempt of this message is answered so.
    pub fn always_answer(&self, message: MessageId, answer: Answer) {
        self.answers_by_message.lock().unwrap().insert(message, answer);
    }

    /// Attempts are not answered until what this returns is dropped.
    pub async fn fall_silent(&self) -> RwLockWriteGuard<'_, ()> {
        self.silence.write().await
    }

    /// Every attempt so far.
    pub fn handed(&self) -> Vec<HandedMail> {
        self.handed.lock().unwrap().clone()
    }

    /// The addresses of the mails accepted so far, sorted.
    pub fn accepted(&self) -> Vec<String> {
        let mut accepted: Vec<String> =
            self.handed.lock().unwrap().iter().filter(|mail| mail.accepted).map(|mail| mail.to.clone()).collect();
        accepted.sort_unstable();
        accepted
    }
}

impl Mailer for FakeMailer {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let scripted = self.answers_by_message.lock().unwrap().get(&mail.message.id).cloned();
            let answer = scripted
                .or_else(|| self.answers.lock().unwrap().pop_front())
                .unwrap_or_else(|| Answer::Accepted(format!("ses-{}", mail.attempt)));
            self.handed.lock().unwrap().push(HandedMail {
                message: mail.message,
                to: mail.to.clone(),
                raw: String::from_utf8_lossy(&mail.raw).into_owned(),
                accepted: matches!(answer, Answer::Accepted(_)),
            });
            drop(self.silence.read().await);
            answer
        })
    }
}

/// A provider's account that says what it was told to, at first that all is well; none at all is a provider out of reach.
pub struct FakeAccount(Mutex<Option<AccountState>>);

impl FakeAccount {
    /// An account that may send.
    #[must_use]
    pub fn well() -> AccountState {
        AccountState {
            production: true,
            sending: true,
            under_review: false,
            daily_quota: Some(50_000),
            mails_per_second: Some(14),
            sent_in_a_day: 0,
        }
    }

    /// From now on it says this.
    pub fn say(&self, state: Option<AccountState>) {
        *self.0.lock().unwrap() = state;
    }
}

impl Default for FakeAccount {
    fn default() -> Self {
        Self(Mutex::new(Some(Self::well())))
    }
}

impl ProviderAccount for FakeAccount {
    fn read(&self) -> BoxFuture<'_, Result<AccountState>> {
        let state = self.0.lock().unwrap().clone();
        Box::pin(async move { state.ok_or_else(|| Error::Unavailable("the provider is out of reach".into())) })
    }
}

/// What is remembered outside of the database, in memory.
#[derive(Default)]
pub struct FakeMemory {
    runs: Mutex<Option<i64>>,
    is_unreadable: AtomicBool,
    is_unwritable: AtomicBool,
}

impl FakeMemory {
    /// The number.
    pub fn runs(&self) -> Option<i64> {
        *self.runs.lock().unwrap()
    }

    /// Whether nobody can read it from now on.
    pub fn make_unreadable(&self, is_unreadable: bool) {
        self.is_unreadable.store(is_unreadable, Ordering::Relaxed);
    }

    /// Whether nobody can write it from now on.
    pub fn make_unwritable(&self, is_unwritable: bool) {
        self.is_unwritable.store(is_unwritable, Ordering::Relaxed);
    }

    fn reach(is_out_of_reach: &AtomicBool) -> Result<()> {
        match is_out_of_reach.load(Ordering::Relaxed) {
            true => Err(Error::Unavailable("the memory is out of reach".into())),
            false => Ok(()),
        }
    }
}

impl Memory for FakeMemory {
    fn recall(&self) -> BoxFuture<'_, Result<Option<i64>>> {
        Box::pin(async move { Self::reach(&self.is_unreadable).map(|()| self.runs()) })
    }

    fn keep(&self, runs: i64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            Self::reach(&self.is_unwritable)?;
            *self.runs.lock().unwrap() = Some(runs);
            Ok(())
        })
    }
}
