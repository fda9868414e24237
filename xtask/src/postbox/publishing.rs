//! What happens to a mail at once: its Send event, and its delivery or bounce.
//!
//! Publishing runs beside the requests, as it does at SES: the caller has its answer before, after
//! or while the events arrive.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use super::events::{self, Bounce};
use super::outcomes::Outcome;
use super::store::{Happening, Mail};
use super::{Postbox, clock};

/// How many mails are announced at the same time; the emulator is one process, so more gain nothing.
const WORKERS: usize = 4;

/// How long [`Publisher::idle`] waits before it gives up on an emulator that does not answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Mails whose events are to be published, in the order of their acceptance.
pub(crate) type Jobs = mpsc::UnboundedReceiver<Arc<Mail>>;

/// Hands mails over to the workers, and knows when they have nothing left to do.
#[derive(Debug)]
pub(crate) struct Publisher {
    // Unbounded, since what it holds is bounded by how many mails the store accepts.
    jobs: mpsc::UnboundedSender<Arc<Mail>>,
    pending: watch::Sender<usize>,
}

impl Publisher {
    /// A publisher, and the jobs for [`spawn_workers`].
    pub(crate) fn new() -> (Self, Jobs) {
        let (jobs, received) = mpsc::unbounded_channel();
        (Self { jobs, pending: watch::Sender::new(0) }, received)
    }

    /// Hands a mail over.
    pub(crate) fn submit(&self, mail: Arc<Mail>) {
        self.pending.send_modify(|pending| *pending += 1);
        if self.jobs.send(mail).is_err() {
            // The workers end only with the server, and then nobody waits for the events.
            self.done();
        }
    }

    fn done(&self) {
        self.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
    }

    /// How many mails wait for their events to be published.
    pub(crate) fn pending(&self) -> usize {
        *self.pending.borrow()
    }

    /// Waits until no mail waits, at most two minutes.
    pub(crate) async fn idle(&self) {
        let mut pending = self.pending.subscribe();
        // Whoever asks is told how many are left; running out of time is no error of its own.
        let _ = tokio::time::timeout(IDLE_TIMEOUT, pending.wait_for(|pending| *pending == 0)).await;
    }
}

/// Starts the workers. They end when the set is dropped.
pub(crate) fn spawn_workers(postbox: &Arc<Postbox>, jobs: Jobs) -> JoinSet<()> {
    let jobs = Arc::new(Mutex::new(jobs));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (postbox, jobs) = (postbox.clone(), jobs.clone());
        workers.spawn(async move {
            loop {
                let Some(mail) = jobs.lock().await.recv().await else { return };
                postbox.announce(&mail).await;
                postbox.publisher.done();
            }
        });
    }
    workers
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publication {
    /// It is in the queue.
    Published,
    /// The mail named no configuration set, so SES publishes nothing.
    Unwanted,
    /// The emulator would not take it.
    Failed,
}

impl Postbox {
    /// Publishes what happens to a mail at once.
    async fn announce(&self, mail: &Arc<Mail>) {
        self.publish(mail, "Send", &events::send(mail), mail.accepted_at).await;
        let at = mail.simulated_now();
        match mail.outcome {
            Outcome::Bounce => self.bounce(mail, Bounce::Permanent, at).await,
            Outcome::SoftBounce => self.bounce(mail, Bounce::Transient, at).await,
            Outcome::Suppressed => self.bounce(mail, Bounce::Suppressed, at).await,
            _ => self.publish(mail, "Delivery", &events::delivery(mail, at), at).await,
        };
        if Outcome::of_simulator(mail.recipient()).is_some() {
            self.act_at_once(mail).await;
        }
    }

    async fn act_at_once(&self, mail: &Arc<Mail>) {
        if let Outcome::Complaint | Outcome::AutoReply = mail.outcome {
            self.perform(mail, mail.outcome, mail.simulated_now(), None).await;
        }
    }

    /// Publishes a bounce; a permanent one is a stop once it is in the queue.
    pub(crate) async fn bounce(&self, mail: &Arc<Mail>, bounce: Bounce, at: DateTime<Utc>) -> Publication {
        let published = self.publish(mail, "Bounce", &events::bounce(mail, at, bounce), at).await;
        if published == Publication::Published && bounce != Bounce::Transient {
            self.store().stop(mail, "bounce", at);
        }
        published
    }

    /// Publishes an event of a mail and notes it.
    pub(crate) async fn publish(
        &self,
        mail: &Arc<Mail>,
        name: &'static str,
        event: &Value,
        at: DateTime<Utc>,
    ) -> Publication {
        if mail.draft.configuration_set.is_none() {
            self.note(mail, name, at, "not published: the mail names no configuration set");
            return Publication::Unwanted;
        }
        let subject = "Amazon SES Email Event Notification";
        let envelope = events::notification("ses-events", subject, event, at);
        let sent = self.emulator.send_message(&self.config.feedback_queue_url, &envelope).await;
        self.record(mail, name, at, sent, detail(event))
    }

    /// Notes whether something reached the emulator.
    pub(crate) fn record(
        &self,
        mail: &Arc<Mail>,
        name: &'static str,
        at: DateTime<Utc>,
        sent: anyhow::Result<()>,
        note: &str,
    ) -> Publication {
        match sent {
            Ok(()) => {
                *self.store().counts.published.entry(name).or_default() += 1;
                self.note(mail, name, at, note);
                Publication::Published
            }
            Err(error) => {
                self.store().counts.unpublished += 1;
                self.note(mail, name, at, format!("not published: {error:#}"));
                Publication::Failed
            }
        }
    }

    /// Notes something that happened to a mail.
    pub(crate) fn note(&self, mail: &Arc<Mail>, name: &'static str, at: DateTime<Utc>, note: impl Into<String>) {
        self.store().note(mail, Happening { at, name, note: note.into() });
    }
}

fn detail(event: &Value) -> &str {
    let bounced = event["bounce"]["bouncedRecipients"][0]["diagnosticCode"].as_str();
    let delivered = event["delivery"]["smtpResponse"].as_str();
    bounced.or(delivered).unwrap_or_default()
}

/// The simulated time of a store, for what a person does by hand.
impl Postbox {
    pub(crate) fn simulated_now(&self) -> DateTime<Utc> {
        let shift = self.store().shift;
        shift.simulated(clock::real_now())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::postbox::testing::Bench;

    #[tokio::test]
    async fn a_delivered_mail_publishes_send_and_delivery_in_simulated_time() {
        let bench = Bench::start().await;
        bench.post("/_postbox/clock", &json!({ "shift_seconds": 86_400 * 365 })).await;
        bench.send("jane@example.com").await;
        let events = bench.emulator.feedback(2).await;
        let kinds: Vec<_> = events.iter().map(|event| event["eventType"].clone()).collect();
        assert_eq!(kinds, ["Send", "Delivery"]);
        let year = chrono::Datelike::year(&(super::clock::real_now() + chrono::TimeDelta::days(365)));
        for event in &events {
            assert!(event["mail"]["timestamp"].as_str().unwrap().starts_with(&year.to_string()));
            assert_eq!(event["mail"]["tags"]["message_id"], json!(["m-1"]));
        }
    }

    #[tokio::test]
    async fn the_simulator_addresses_answer_at_once() {
        let bench = Bench::start().await;
        for (name, kinds) in [
            ("success", vec!["Send", "Delivery"]),
            ("bounce+a", vec!["Send", "Bounce"]),
            ("suppressionlist", vec!["Send", "Bounce"]),
            ("complaint", vec!["Send", "Delivery", "Complaint"]),
            ("ooto", vec!["Send", "Delivery"]),
        ] {
            bench.send(&format!("{name}@simulator.amazonses.com")).await;
            bench.idle().await;
            let events = bench.emulator.take_feedback();
            let seen: Vec<_> = events.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
            assert_eq!(seen, kinds, "{name}");
        }
        assert_eq!(bench.emulator.take_inbound().len(), 1);
        let (_, stops) = bench.get("/_postbox/stops").await;
        let kinds: Vec<_> = stops["stops"].as_array().unwrap().iter().map(|stop| &stop["kind"]).collect();
        assert_eq!(kinds, ["bounce", "bounce", "complaint"]);
    }

    #[tokio::test]
    async fn without_a_configuration_set_nothing_is_published() {
        let bench = Bench::start().await;
        let mut request = crate::postbox::testing::send_request("bounce@simulator.amazonses.com");
        request["ConfigurationSetName"] = json!(null);
        bench.post("/v2/email/outbound-emails", &request).await;
        bench.idle().await;
        assert!(bench.emulator.take_feedback().is_empty());
        assert_eq!(bench.get("/_postbox/stops").await.1["stops"], json!([]));
        let page = bench.text("/mails/1").await;
        assert!(page.contains("names no configuration set"));
    }

    #[tokio::test]
    async fn what_cannot_be_published_is_tried_again_and_then_counted() {
        let bench = Bench::start().await;
        bench.emulator.fail_next(3);
        bench.send("a@example.com").await;
        bench.idle().await;
        assert_eq!(bench.emulator.take_feedback().len(), 2);
        bench.emulator.fail_next(5);
        bench.send("b@example.com").await;
        bench.idle().await;
        let (_, summary) = bench.get("/_postbox/summary").await;
        assert_eq!(summary["unpublished"], 1);
        assert_eq!(summary["published"]["Delivery"], 2);
    }
}
