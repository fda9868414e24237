//! What stands outside of Martlet, as tests see it: a queue that keeps what it gets, and a provider that does what it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use shared::delivery::messages::MessageKey;
use shared::delivery::scheduling::{Hint, SendQueue};
use shared::delivery::sending::{Answer, Mail, Mailer};
use shared::{MessageId, Result};

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
            answer
        })
    }
}
