//! What happens to a mail later, in simulated time: complaints, answers and unsubscribes.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Postbox;
use super::clock;
use super::events::{self, Bounce};
use super::outcomes::Outcome;
use super::publishing::Publication;
use super::replies::{self, Answer};
use super::store::Mail;

/// What an advance has done.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Advance {
    /// What was performed, by outcome.
    performed: BTreeMap<&'static str, u64>,
    /// What was due and did not succeed, by outcome: an emulator out of reach, an unsubscribe
    /// without a 2xx.
    failed: BTreeMap<&'static str, u64>,
    /// How much is still to come.
    remaining: usize,
    /// When the next of it is due, in simulated time.
    next_due: Option<String>,
}

impl Postbox {
    /// Performs everything that is due, in the order of its time.
    ///
    /// First it waits for the events of accepted mails, so that a complaint never overtakes the
    /// delivery it is about.
    pub(crate) async fn advance(&self) -> Advance {
        let _one_at_a_time = self.advancing.lock().await;
        self.publisher.idle().await;
        let until = self.simulated_now();
        let mut advance = Advance::default();
        loop {
            // Taken in a statement of its own, so that the store is not locked while performing.
            let due = self.store().take_due(until);
            let Some(due) = due else { break };
            let outcome = due.mail.outcome;
            let (name, done) = match due.visit {
                Some(visit) => (visit.name(), self.visit(&due.mail, visit, due.at).await),
                None => (outcome.name(), self.perform(&due.mail, outcome, due.at, None).await),
            };
            let counts = if done { &mut advance.performed } else { &mut advance.failed };
            *counts.entry(name).or_default() += 1;
        }
        let store = self.store();
        advance.remaining = store.remaining();
        advance.next_due = store.next_due().map(clock::stamp);
        advance
    }

    /// Lets an outcome happen to a mail, and says whether it reached its receiver.
    ///
    /// `text` replaces the drawn text of a reply.
    pub(crate) async fn perform(
        &self,
        mail: &Arc<Mail>,
        outcome: Outcome,
        at: DateTime<Utc>,
        text: Option<&str>,
    ) -> bool {
        match outcome {
            Outcome::Delivered => true,
            Outcome::Bounce => self.bounce(mail, Bounce::Permanent, at).await == Publication::Published,
            Outcome::SoftBounce => self.bounce(mail, Bounce::Transient, at).await == Publication::Published,
            Outcome::Suppressed => self.bounce(mail, Bounce::Suppressed, at).await == Publication::Published,
            Outcome::Complaint => self.complain(mail, at).await,
            Outcome::Reply => self.answer(mail, Answer::Person { text }, at).await,
            Outcome::AutoReply => self.answer(mail, Answer::Machine, at).await,
            Outcome::Unsubscribe => self.unsubscribe(mail, at).await,
        }
    }

    async fn complain(&self, mail: &Arc<Mail>, at: DateTime<Utc>) -> bool {
        let published = self.publish(mail, "Complaint", &events::complaint(mail, at), at).await;
        if published == Publication::Published {
            self.store().stop(mail, "complaint", at);
        }
        published == Publication::Published
    }

    async fn answer(&self, mail: &Arc<Mail>, answer: Answer<'_>, at: DateTime<Utc>) -> bool {
        let Some(received) = replies::write(mail, answer, at) else {
            self.note(mail, answer.name(), at, "not written: the mail has nowhere to answer to");
            return false;
        };
        let note = format!("to {}: {}", received.to, received.first_line());
        let key = format!("inbound/{}", received.id);
        let notification = received.notification(&self.config.bucket, &key, at);
        let stored = self.emulator.put_object(&self.config.bucket, &key, received.raw).await;
        let sent = match stored {
            Ok(()) => self.emulator.send_message(&self.config.inbound_queue_url, &notification).await,
            Err(error) => Err(error),
        };
        let published = self.record(mail, answer.name(), at, sent, &note) == Publication::Published;
        // A machine's answer says nothing about what the person wants (RFC 3834).
        if published && matches!(answer, Answer::Person { .. }) {
            self.store().stop(mail, "reply", at);
        }
        published
    }

    async fn unsubscribe(&self, mail: &Arc<Mail>, at: DateTime<Utc>) -> bool {
        let result = self.unsubscriber.unsubscribe(mail).await;
        let done = result.is_ok();
        self.note(mail, "Unsubscribe", at, result.unwrap_or_else(|error| format!("failed: {error:#}")));
        let mut store = self.store();
        if done {
            *store.counts.published.entry("Unsubscribe").or_default() += 1;
            store.stop(mail, "unsubscribe", at);
        } else {
            store.counts.failed_unsubscribes += 1;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::postbox::testing::Bench;

    const DAY: i64 = 86_400;

    async fn planned(outcome: &str) -> Bench {
        let bench = Bench::start().await;
        let plan = json!({ "seed": 5, "rates": { outcome: 1.0 } });
        assert_eq!(bench.post("/_postbox/plan", &plan).await.0, 200);
        bench
    }

    async fn advance(bench: &Bench) -> Value {
        bench.post("/_postbox/advance", &json!({})).await.1
    }

    #[tokio::test]
    async fn later_outcomes_wait_for_their_simulated_time() {
        let bench = planned("complaint").await;
        bench.send("a@example.com").await;
        bench.send("b@example.com").await;
        let early = advance(&bench).await;
        assert_eq!(early["performed"], json!({}));
        assert_eq!(early["remaining"], 2);
        assert!(early["next_due"].is_string());

        bench.post("/_postbox/clock", &json!({ "shift_seconds": 2 * DAY })).await;
        let late = advance(&bench).await;
        assert_eq!(late["performed"], json!({ "complaint": 2 }));
        assert_eq!((&late["remaining"], &late["next_due"]), (&json!(0), &Value::Null));
        let complaints: Vec<_> =
            bench.emulator.take_feedback().into_iter().filter(|e| e["eventType"] == "Complaint").collect();
        assert_eq!(complaints.len(), 2);
        assert!(complaints[0]["complaint"]["timestamp"].as_str() < complaints[1]["complaint"]["timestamp"].as_str());

        let (_, stops) = bench.get("/_postbox/stops").await;
        assert_eq!(stops["stops"][0]["kind"], "complaint");
        assert_eq!(stops["stops"][0]["sequence"], 3);
        assert_eq!(bench.send("c@example.com").await["sequence"], 5);
    }

    #[tokio::test]
    async fn a_reply_reaches_the_bucket_and_the_queue_and_is_a_stop() {
        let bench = planned("reply").await;
        bench.send("Jane@example.com").await;
        bench.post("/_postbox/clock", &json!({ "shift_seconds": 2 * DAY })).await;
        assert_eq!(advance(&bench).await["performed"], json!({ "reply": 1 }));
        let receipts = bench.emulator.take_inbound();
        let action = &receipts[0]["receipt"]["action"];
        assert_eq!((&action["type"], &action["bucketName"]), (&json!("S3"), &json!("uploads")));
        let stored = bench.emulator.object(action["objectKey"].as_str().unwrap());
        let answer = crate::postbox::mime::parse(&stored).unwrap();
        assert_eq!(answer.from[0].address, "Jane@example.com");
        assert_eq!(answer.from[0].name.as_deref(), Some("Jane Doe"));
        assert_eq!(receipts[0]["receipt"]["recipients"], json!(["t0k3n@replies.example.com"]));
        let (_, stops) = bench.get("/_postbox/stops").await;
        assert_eq!(stops["stops"][0]["address"], "jane@example.com");
        assert_eq!(stops["stops"][0]["kind"], "reply");
    }

    #[tokio::test]
    async fn an_automatic_reply_is_no_stop() {
        let bench = planned("auto_reply").await;
        bench.send("a@example.com").await;
        bench.post("/_postbox/clock", &json!({ "shift_seconds": 2 * DAY })).await;
        assert_eq!(advance(&bench).await["performed"], json!({ "auto_reply": 1 }));
        assert_eq!(bench.get("/_postbox/stops").await.1["stops"], json!([]));
    }

    #[tokio::test]
    async fn an_unsubscribe_is_a_stop_only_when_it_was_taken() {
        let bench = planned("unsubscribe").await;
        bench.emulator.refuse_unsubscribes(1);
        bench.send("a@example.com").await;
        bench.send("b@example.com").await;
        bench.post("/_postbox/clock", &json!({ "shift_seconds": 2 * DAY })).await;
        let done = advance(&bench).await;
        assert_eq!(done["performed"], json!({ "unsubscribe": 1 }));
        assert_eq!(done["failed"], json!({ "unsubscribe": 1 }));
        let (_, stops) = bench.get("/_postbox/stops").await;
        assert_eq!(stops["stops"].as_array().unwrap().len(), 1);
        assert_eq!(bench.get("/_postbox/summary").await.1["failed_unsubscribes"], 1);
    }
}
