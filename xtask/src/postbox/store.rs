//! What the stand-in keeps, and how much of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::account::Account;
use super::addresses::Mailbox;
use super::clock::{self, Shift};
use super::faults::Faults;
use super::identities::Identities;
use super::outcomes::{Outcome, Plan};
use super::refusals::Refusal;
use super::visits::{self, Visit, Visited};

/// How many mails are kept; a driver that needs more has to reset in between.
const MAX_MAILS: usize = 200_000;

/// How many bytes of mail are kept.
const MAX_BYTES: usize = 1 << 30;

/// An accepted mail. It never changes; what happens to it later is in its [`Kept`] history.
#[derive(Debug)]
pub(crate) struct Mail {
    /// Its place among all mails and stops, from 1.
    pub(crate) sequence: u64,
    /// The id that SES returned.
    pub(crate) provider_id: String,
    /// When it was accepted, in simulated time.
    pub(crate) accepted_at: DateTime<Utc>,
    /// When it was accepted, in real time.
    pub(crate) accepted_at_real: DateTime<Utc>,
    /// Which earlier mails the recipient had got: 0 for the first.
    pub(crate) step: u32,
    /// What becomes of it.
    pub(crate) outcome: Outcome,
    /// Everything that came with the request.
    pub(crate) draft: Draft,
}

impl Mail {
    /// The address whose owner acts on the mail: its first recipient.
    pub(crate) fn recipient(&self) -> &str {
        self.draft.recipients.first().map_or("", |recipient| &recipient.address)
    }

    /// The value of the first header of a name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.draft.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The time that it is in the simulated world this mail was accepted in.
    ///
    /// Unlike the store's clock, it does not jump when the shift changes while an event is under way.
    pub(crate) fn simulated_now(&self) -> DateTime<Utc> {
        self.accepted_at + (clock::real_now() - self.accepted_at_real)
    }
}

/// A mail before it is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The whole mail as it was sent.
    pub(crate) raw: Vec<u8>,
    /// Its headers in their order, unfolded but not decoded.
    pub(crate) headers: Vec<(String, String)>,
    /// Its subject, decoded.
    pub(crate) subject: String,
    /// The sender as given, with a name where it has one.
    pub(crate) source: String,
    /// The sender's bare address.
    pub(crate) from: String,
    /// Where answers go: Reply-To, else From.
    pub(crate) reply_to: Vec<String>,
    /// Every recipient of the envelope.
    pub(crate) recipients: Vec<Mailbox>,
    /// The tags of the request, in their order.
    pub(crate) tags: Vec<(String, String)>,
    /// The configuration set; without one SES publishes no events.
    pub(crate) configuration_set: Option<String>,
}

impl Draft {
    /// The value of a tag, or an empty text.
    pub(crate) fn tag(&self, name: &str) -> &str {
        self.tags.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// A mail with what has happened to it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The mail.
    pub(crate) mail: Arc<Mail>,
    /// What has happened to it, oldest first.
    pub(crate) history: Vec<Happening>,
}

/// Something that happened to a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Happening {
    /// When, in simulated time.
    pub(crate) at: DateTime<Utc>,
    /// What: an event of SES, or `Reply`, `AutoReply`, `Unsubscribe`.
    pub(crate) name: &'static str,
    /// Details in words.
    pub(crate) note: String,
}

/// A reason why nothing more may be sent to an address, as of the moment the system could know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stop {
    /// Its place among all mails and stops.
    pub(crate) sequence: u64,
    /// The address in lower case.
    pub(crate) address: String,
    /// `bounce`, `complaint`, `reply` or `unsubscribe`.
    pub(crate) kind: &'static str,
    /// When it happened, in simulated time; its place in the sequence says when it was made known.
    pub(crate) at: DateTime<Utc>,
    /// Sequence number of the mail that it answers.
    pub(crate) mail: u64,
    /// The id that SES returned for that mail.
    pub(crate) provider_message_id: String,
}

/// Something that is still to come.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// When, in simulated time.
    pub(crate) at: DateTime<Utc>,
    /// With which mail.
    pub(crate) mail: Arc<Mail>,
    /// What somebody does with it; its outcome where this is nothing.
    pub(crate) visit: Option<Visit>,
}

/// Numbers for the summary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Accepted mails by outcome.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    /// Refused requests by SES's error type, faults left out.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Faults by kind.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Published events and received answers by name.
    pub(crate) published: BTreeMap<&'static str, u64>,
    /// Events and answers that could not be handed to the emulator.
    pub(crate) unpublished: u64,
    /// One-click unsubscribes that were not answered with a 2xx.
    pub(crate) failed_unsubscribes: u64,
}

/// Everything that the stand-in knows.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// How far simulated time is ahead.
    pub(crate) shift: Shift,
    /// The plan of outcomes, once there is one.
    pub(crate) plan: Option<Plan>,
    /// The plan of faults.
    pub(crate) faults: Faults,
    /// The SES account.
    pub(crate) account: Account,
    /// The SES identities.
    pub(crate) identities: Identities,
    /// Numbers for the summary.
    pub(crate) counts: Counts,
    mails: Vec<Kept>,
    by_provider_id: HashMap<String, usize>,
    received: HashMap<String, u32>,
    agenda: BTreeMap<(DateTime<Utc>, u64, Option<Visit>), Arc<Mail>>,
    stops: Vec<Stop>,
    visited: Vec<Visited>,
    last_sequence: u64,
    bytes: usize,
}

impl Store {
    /// The simulated time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.shift.simulated(clock::real_now())
    }

    /// Accepts a mail, decides what becomes of it and notes what is to come.
    ///
    /// # Errors
    ///
    /// Refuses with 503 when as much is kept as may be.
    pub(crate) fn accept(&mut self, draft: Draft) -> Result<Arc<Mail>, Refusal> {
        if self.mails.len() >= MAX_MAILS || self.bytes + draft.raw.len() > MAX_BYTES {
            return Err(Refusal::unavailable(format!(
                "postbox keeps at most {MAX_MAILS} mails and {MAX_BYTES} bytes; DELETE /_postbox resets it."
            )));
        }
        let real = clock::real_now();
        let address = draft.recipients.first().map(|to| to.address.to_lowercase()).unwrap_or_default();
        let step = self.received.get(&address).copied().unwrap_or(0);
        let simulator = Outcome::of_simulator(&address);
        let planned = self.plan.map(|plan| plan.outcome(&address, step));
        let mail = Arc::new(Mail {
            sequence: self.next_sequence(),
            provider_id: provider_id(real),
            accepted_at: self.shift.simulated(real),
            accepted_at_real: real,
            step,
            outcome: simulator.or(planned).unwrap_or(Outcome::Delivered),
            draft,
        });
        // The simulator's outcomes come at once, as they do at SES; only planned ones wait.
        if let (None, Some(plan)) = (simulator, self.plan) {
            self.plan_later(&mail, plan);
        }
        for recipient in &mail.draft.recipients {
            *self.received.entry(recipient.address.to_lowercase()).or_default() += 1;
        }
        *self.counts.outcomes.entry(mail.outcome.name()).or_default() += 1;
        self.bytes += mail.draft.raw.len();
        self.by_provider_id.insert(mail.provider_id.clone(), self.mails.len());
        self.mails.push(Kept { mail: mail.clone(), history: Vec::new() });
        Ok(mail)
    }

    fn plan_later(&mut self, mail: &Arc<Mail>, plan: Plan) {
        if let Outcome::Complaint | Outcome::Reply | Outcome::AutoReply | Outcome::Unsubscribe = mail.outcome {
            let at = mail.accepted_at + plan.delay(mail.recipient(), mail.step);
            self.agenda.insert((at, mail.sequence, None), mail.clone());
        }
        // Who got it may look at it, whatever else becomes of it.
        if !matches!(mail.outcome, Outcome::Bounce | Outcome::SoftBounce | Outcome::Suppressed) {
            for (delay, visit) in visits::planned(plan.seed, plan.visits, mail.recipient(), mail.step) {
                self.agenda.insert((mail.accepted_at + delay, mail.sequence, Some(visit)), mail.clone());
            }
        }
    }

    fn next_sequence(&mut self) -> u64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    /// The last sequence number that was given out.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// All mails, oldest first.
    pub(crate) fn mails(&self) -> &[Kept] {
        &self.mails
    }

    /// All mails after a sequence number, oldest first.
    pub(crate) fn mails_after(&self, sequence: u64) -> &[Kept] {
        &self.mails[self.mails.partition_point(|kept| kept.mail.sequence <= sequence)..]
    }

    /// The mail of a sequence number or of an id that SES returned.
    pub(crate) fn find(&self, id: &str) -> Option<&Kept> {
        let index = match id.parse::<u64>() {
            Ok(sequence) => self.mails.binary_search_by_key(&sequence, |kept| kept.mail.sequence).ok()?,
            Err(_) => *self.by_provider_id.get(id)?,
        };
        self.mails.get(index)
    }

    /// Notes what happened to a mail; does nothing when a reset has removed it meanwhile.
    pub(crate) fn note(&mut self, mail: &Arc<Mail>, happening: Happening) {
        let Ok(index) = self.mails.binary_search_by_key(&mail.sequence, |kept| kept.mail.sequence) else {
            return;
        };
        if let Some(kept) = self.mails.get_mut(index).filter(|kept| Arc::ptr_eq(&kept.mail, mail)) {
            kept.history.push(happening);
        }
    }

    /// Notes a stop with the next sequence number, unless a reset has removed its mail.
    pub(crate) fn stop(&mut self, mail: &Arc<Mail>, kind: &'static str, at: DateTime<Utc>) {
        if !self.find(&mail.sequence.to_string()).is_some_and(|kept| Arc::ptr_eq(&kept.mail, mail)) {
            return;
        }
        let stop = Stop {
            sequence: self.next_sequence(),
            address: mail.recipient().to_lowercase(),
            kind,
            at,
            mail: mail.sequence,
            provider_message_id: mail.provider_id.clone(),
        };
        self.stops.push(stop);
    }

    /// Notes a visit, unless a reset has removed its mail.
    pub(crate) fn visited(&mut self, mail: &Arc<Mail>, visit: Visit, at: DateTime<Utc>) {
        if self.find(&mail.sequence.to_string()).is_some_and(|kept| Arc::ptr_eq(&kept.mail, mail)) {
            self.visited.push(Visited { mail: mail.sequence, visit, at });
        }
    }

    /// Every visit that succeeded, in its order.
    pub(crate) fn visits(&self) -> &[Visited] {
        &self.visited
    }

    /// Every stop in its order.
    pub(crate) fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// Takes the earliest thing to come, if it is due by `until`.
    pub(crate) fn take_due(&mut self, until: DateTime<Utc>) -> Option<Due> {
        let entry = self.agenda.first_entry().filter(|entry| entry.key().0 <= until)?;
        let ((at, _, visit), mail) = entry.remove_entry();
        Some(Due { at, mail, visit })
    }

    /// How much is still to come.
    pub(crate) fn remaining(&self) -> usize {
        self.agenda.len()
    }

    /// When the next thing is due, in simulated time.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.agenda.first_key_value().map(|((at, _, _), _)| *at)
    }
}

/// An id in the form of those that SES gives in us-east-1: milliseconds, a UUID and a counter.
pub(crate) fn provider_id(at: DateTime<Utc>) -> String {
    format!("0100{:012x}-{}-000000", at.timestamp_millis(), clock::fresh_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::outcomes::Rates;

    fn draft(to: &str) -> Draft {
        Draft { recipients: vec![Mailbox { name: None, address: to.into() }], ..Draft::default() }
    }

    fn planned(seed: u64) -> Store {
        let rates = Rates { bounce: 0.2, reply: 0.4, unsubscribe: 0.2, ..Rates::default() };
        Store { plan: Some(Plan { seed, rates, visits: visits::VisitRates::default() }), ..Store::default() }
    }

    #[test]
    fn steps_count_per_recipient_and_outcomes_do_not_depend_on_the_order() {
        let (mut forth, mut back) = (planned(1), planned(1));
        let people: Vec<_> = (0..50).map(|n| format!("p{n}@example.com")).collect();
        let outcomes = |store: &mut Store, people: &mut dyn Iterator<Item = &String>| -> BTreeMap<_, _> {
            people
                .map(|to| store.accept(draft(to)).unwrap())
                .map(|mail| ((mail.recipient().to_owned(), mail.step), mail.outcome))
                .collect()
        };
        let forth = outcomes(&mut forth, &mut people.iter().chain(&people));
        let back = outcomes(&mut back, &mut people.iter().rev().chain(people.iter().rev()));
        assert_eq!(forth, back);
        assert_eq!(forth.len(), 100);
    }

    #[test]
    fn mails_and_stops_share_one_sequence() {
        let mut store = Store::default();
        let first = store.accept(draft("A@example.com")).unwrap();
        store.stop(&first, "reply", first.accepted_at);
        let second = store.accept(draft("b@example.com")).unwrap();
        assert_eq!((first.sequence, store.stops()[0].sequence, second.sequence), (1, 2, 3));
        assert_eq!(store.stops()[0].address, "a@example.com");
        assert_eq!(store.mails_after(1).len(), 1);
        assert_eq!(store.find("3").unwrap().mail.sequence, 3);
        assert_eq!(store.find(&second.provider_id).unwrap().mail.sequence, 3);
        assert!(store.find("2").is_none());
    }

    #[test]
    fn what_is_due_comes_in_order_of_time() {
        let mut store = planned(3);
        for number in 0..100 {
            store.accept(draft(&format!("p{number}@example.com"))).unwrap();
        }
        let expected = store.remaining();
        let mut times = Vec::new();
        let far = store.now() + chrono::TimeDelta::days(3);
        while let Some(due) = store.take_due(far) {
            times.push(due.at);
        }
        assert!(expected > 30 && times.len() == expected && times.is_sorted());
    }

    #[test]
    fn nothing_is_noted_on_a_mail_of_before_a_reset() {
        let mut store = Store::default();
        let old = store.accept(draft("a@example.com")).unwrap();
        store = Store::default();
        store.accept(draft("b@example.com")).unwrap();
        store.note(&old, Happening { at: old.accepted_at, name: "Send", note: String::new() });
        store.stop(&old, "reply", old.accepted_at);
        assert!(store.mails()[0].history.is_empty() && store.stops().is_empty());
    }
}
