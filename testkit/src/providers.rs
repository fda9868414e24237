//! Those who know people and mailboxes, as tests see them: each answers what it is told to, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use shared::audience::enrichment::{EnrichmentQueue, Work};
use shared::audience::providers::{Asker, NoReply, Question, Reply};
use shared::audience::verifications::checking::{MailHost, MailHosts};
use shared::{OrganizationId, Result};

type Answer = Result<Reply, NoReply>;

/// A provider in memory. What it was told nothing about it answers with 404.
#[derive(Default)]
pub struct FakeAsker {
    /// The newest last.
    answers: Mutex<Vec<(String, Answer)>>,
    asked: Mutex<Vec<Question>>,
}

impl FakeAsker {
    /// From now on a question whose URL or body has this in it is answered so, whatever was said before.
    pub fn answer(&self, about: &str, status: u16, body: Value) {
        let reply = Reply { status, retry_after: None, body };
        self.answers.lock().unwrap().push((about.to_owned(), Ok(reply)));
    }

    /// From now on such a question is not answered.
    pub fn fail(&self, about: &str, why: NoReply) {
        self.answers.lock().unwrap().push((about.to_owned(), Err(why)));
    }

    /// Takes out what was asked, in its order.
    pub fn drain(&self) -> Vec<Question> {
        self.asked.lock().unwrap().drain(..).collect()
    }
}

impl Asker for FakeAsker {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Answer> {
        self.asked.lock().unwrap().push(question.clone());
        let text = format!("{} {}", question.url, question.body.as_ref().unwrap_or(&Value::Null));
        let answers = self.answers.lock().unwrap();
        let found = answers.iter().rfind(|(about, _)| text.contains(about.as_str())).map(|(_, answer)| answer.clone());
        let unknown = Reply { status: 404, retry_after: None, body: Value::Null };
        Box::pin(async move {
            // Whoever asked may die before the answer is there.
            tokio::task::yield_now().await;
            found.unwrap_or(Ok(unknown))
        })
    }
}

/// DNS in memory. Whatever it was told nothing about takes mail.
#[derive(Default)]
pub struct FakeMailHosts {
    hosts: Mutex<HashMap<String, MailHost>>,
}

impl FakeMailHosts {
    /// From now on it says so of a domain.
    pub fn say(&self, domain: &str, host: MailHost) {
        self.hosts.lock().unwrap().insert(domain.to_owned(), host);
    }
}

impl MailHosts for FakeMailHosts {
    fn look_up<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, MailHost> {
        let host = self.hosts.lock().unwrap().get(domain).copied().unwrap_or(MailHost::Present);
        Box::pin(async move { host })
    }
}

/// A queue of enrichment that only remembers what waits, and for how long.
#[derive(Default)]
pub struct FakeEnrichmentQueue {
    hints: Mutex<Vec<(OrganizationId, Work, Duration)>>,
}

impl FakeEnrichmentQueue {
    /// Takes everything out, in the order in which it came.
    pub fn drain(&self) -> Vec<(OrganizationId, Work, Duration)> {
        self.hints.lock().unwrap().drain(..).collect()
    }
}

impl EnrichmentQueue for FakeEnrichmentQueue {
    fn enqueue(&self, organization: OrganizationId, work: Work, delay: Duration) -> BoxFuture<'_, Result<()>> {
        self.hints.lock().unwrap().push((organization, work, delay));
        Box::pin(async { Ok(()) })
    }
}
