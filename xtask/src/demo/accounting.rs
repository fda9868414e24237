//! What became of everybody, step by step: as the API tells it, and counted once more from the ledger's rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::Deserialize;
use uuid::Uuid;

use super::ledger::Records;

/// The accounting of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    /// Its place in the sequence, from 1.
    pub(super) position: u32,
    /// Everybody.
    pub(super) enrolled: u64,
    /// Accepted by the provider.
    pub(super) sent: u64,
    /// Refused for good.
    pub(super) failed: u64,
    /// Perhaps accepted.
    pub(super) unknown: u64,
    /// Perhaps accepted; a person decides.
    pub(super) review: u64,
    /// Too late to be sent.
    pub(super) expired: u64,
    /// Not to be written to.
    pub(super) suppressed: u64,
    /// Taken back.
    pub(super) cancelled: u64,
    /// Stopped before this step, by reason; reasons of nobody are left out.
    #[serde(deserialize_with = "without_zeros")]
    pub(super) not_reached: BTreeMap<String, u64>,
    /// Still to come.
    pub(super) pending: u64,
    /// Bounced, of what was sent.
    pub(super) bounced: u64,
    /// Reported as spam.
    pub(super) complained: u64,
    /// Answered by a person.
    pub(super) replied: u64,
    /// Led to an unsubscribe.
    pub(super) unsubscribed: u64,
}

/// The API's statistics of a campaign.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Statistics {
    /// People enrolled.
    pub(super) people: u64,
    /// Whether it says itself that all numbers add up.
    pub(super) balanced: bool,
    /// The steps, in order.
    pub(super) steps: Vec<Step>,
    /// How far their mails got.
    pub(super) funnel: Funnel,
}

/// The API's funnel.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Funnel {
    /// The steps, in order.
    pub(super) steps: Vec<StepFunnel>,
}

/// The funnel of one step.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StepFunnel {
    /// Its place in the sequence, from 1.
    pub(super) position: u32,
    /// Its counts.
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// The API's counts of one day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Day {
    /// In UTC.
    pub(super) day: NaiveDate,
    /// Its counts.
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// What the statistics count, as the API names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counts {
    /// Mails that the provider accepted.
    pub(super) sent: u64,
    /// Mails that a person opened.
    pub(super) opened: u64,
    /// Mails in which a person followed a link.
    pub(super) clicked: u64,
    /// Mails that bounced.
    pub(super) bounced: u64,
    /// Mails that were reported as spam.
    pub(super) complained: u64,
    /// Mails that a person answered.
    pub(super) replied: u64,
    /// Mails that led to an unsubscribe.
    pub(super) unsubscribed: u64,
    /// Opens, those of machines among them.
    pub(super) total_opens: u64,
    /// Opens by machines.
    pub(super) machine_opens: u64,
    /// Clicks, those of machines among them.
    pub(super) total_clicks: u64,
    /// Clicks by machines.
    pub(super) machine_clicks: u64,
}

impl Counts {
    /// Each count with its name.
    pub(super) fn named(&self) -> [(&'static str, u64); 11] {
        [
            ("sent", self.sent),
            ("opened", self.opened),
            ("clicked", self.clicked),
            ("bounced", self.bounced),
            ("complained", self.complained),
            ("replied", self.replied),
            ("unsubscribed", self.unsubscribed),
            ("total_opens", self.total_opens),
            ("machine_opens", self.machine_opens),
            ("total_clicks", self.total_clicks),
            ("machine_clicks", self.machine_clicks),
        ]
    }
}

fn without_zeros<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
    let mut reasons = BTreeMap::<String, u64>::deserialize(deserializer)?;
    reasons.retain(|_, people| *people > 0);
    Ok(reasons)
}

impl Step {
    /// The sum of all outcomes, which is `enrolled` where nobody was lost or counted twice.
    pub(super) fn accounted(&self) -> u64 {
        self.sent
            + self.failed
            + self.unknown
            + self.review
            + self.expired
            + self.suppressed
            + self.cancelled
            + self.not_reached.values().sum::<u64>()
            + self.pending
    }
}

/// Counts the steps from the rows of people and mails.
pub(super) fn count(records: &Records, steps: usize) -> Vec<Step> {
    let mut counted = Vec::with_capacity(steps);
    for position in (1_u32..).take(steps) {
        let mut step = Step { position, enrolled: records.people.len() as u64, ..Step::default() };
        let mut reached = BTreeSet::<Uuid>::new();
        for message in records.messages.iter().filter(|message| message.step == position) {
            reached.extend(message.enrollment_id);
            let count = match message.state.as_str() {
                "sent" => &mut step.sent,
                "failed" => &mut step.failed,
                "unknown" => &mut step.unknown,
                "review" => &mut step.review,
                "expired" => &mut step.expired,
                "suppressed" => &mut step.suppressed,
                "cancelled" => &mut step.cancelled,
                _ => &mut step.pending,
            };
            *count += 1;
            step.bounced += u64::from(message.bounced);
            step.complained += u64::from(message.complained);
            step.replied += u64::from(message.replied);
            step.unsubscribed += u64::from(message.unsubscribed);
        }
        for person in records.people.iter().filter(|person| !reached.contains(&person.id)) {
            match (person.status.as_str(), &person.stop_reason) {
                ("pending" | "in_progress", _) => step.pending += 1,
                // Whoever completed has a mail of every step, so this one was passed over.
                ("completed", _) => *step.not_reached.entry("skipped".into()).or_default() += 1,
                ("stopped", Some(reason)) => *step.not_reached.entry(reason.clone()).or_default() += 1,
                (status, _) => *step.not_reached.entry(status.into()).or_default() += 1,
            }
        }
        counted.push(step);
    }
    counted
}
