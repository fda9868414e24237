//! The accounting of a campaign: for each step every person who was enrolled, by what became of them.
//!
//! For each step, enrolled = sent + failed + unknown + review + expired + suppressed + cancelled + not reached + pending,
//! and nothing is pending once the campaign has completed. Messages and people are counted apart, so a message too many
//! or one without its person shows as a step that is not balanced.
//!
//! Somebody whose contact was deleted stays in the count as long as the ledger holds a message to them; whoever is
//! deleted before the first mail was planned is as if never enrolled.

pub mod counters;
pub mod daily;
pub mod folding;
pub mod funnel;

use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use crate::{CampaignId, Result, StepId, Tx};

/// A campaign's accounting.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Statistics {
    /// People enrolled.
    pub people: i64,
    /// Whether every step's numbers add up.
    pub balanced: bool,
    /// Each step, in order.
    pub steps: Vec<StepStatistics>,
    /// The sums over all steps; its `enrolled` therefore counts people times steps.
    pub totals: Accounting,
}

/// The accounting of one step.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StepStatistics {
    /// The step.
    pub step_id: StepId,
    /// Its place in the sequence.
    pub position: i32,
    /// What people call it.
    pub name: String,
    /// Whether `enrolled` is the sum of all outcomes.
    pub balanced: bool,
    /// Its numbers.
    #[serde(flatten)]
    pub accounting: Accounting,
}

/// What became of the people enrolled, and what happened to the mails that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Accounting {
    /// Everybody.
    pub enrolled: i64,
    /// Accepted by the provider.
    pub sent: i64,
    /// Refused for good.
    pub failed: i64,
    /// Perhaps accepted; an event will tell.
    pub unknown: i64,
    /// Perhaps accepted; a person decides.
    pub review: i64,
    /// Not sent because it would have been too late.
    pub expired: i64,
    /// Not sent because the address must not be written to.
    pub suppressed: i64,
    /// Taken back before it left.
    pub cancelled: i64,
    /// Stopped before this step was planned, by reason.
    pub not_reached: NotReached,
    /// Still to come, planned or being sent.
    pub pending: i64,
    /// Delivered, of what was sent.
    pub delivered: i64,
    /// Bounced, of what was sent.
    pub bounced: i64,
    /// Reported as spam, of what was sent.
    pub complained: i64,
    /// Answered by a person, of what was sent.
    pub replied: i64,
    /// Led to an unsubscribe, of what was sent.
    pub unsubscribed: i64,
}

/// Why people never came to a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotReached {
    /// Answered before.
    pub replied: i64,
    /// Their address bounced before.
    pub bounced: i64,
    /// Asked to hear no more before.
    pub unsubscribed: i64,
    /// Reported an earlier mail as spam.
    pub complaint: i64,
    /// Their address was suppressed.
    pub suppressed: i64,
    /// The provider refused their address.
    pub address_failed: i64,
    /// The campaign was archived.
    pub archived: i64,
    /// Somebody took them out.
    pub removed: i64,
    /// Their contact was deleted.
    pub contact_deleted: i64,
    /// Went past the step without a message; never more than 0 unless something is wrong.
    pub skipped: i64,
}

impl Accounting {
    /// The sum of all outcomes, which is `enrolled` where nobody was lost or counted twice.
    #[must_use]
    pub fn accounted(&self) -> i64 {
        self.sent
            + self.failed
            + self.unknown
            + self.review
            + self.expired
            + self.suppressed
            + self.cancelled
            + self.not_reached.total()
            + self.pending
    }

    fn add(&mut self, other: &Self) {
        self.enrolled += other.enrolled;
        self.sent += other.sent;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.review += other.review;
        self.expired += other.expired;
        self.suppressed += other.suppressed;
        self.cancelled += other.cancelled;
        self.not_reached.add(&other.not_reached);
        self.pending += other.pending;
        self.delivered += other.delivered;
        self.bounced += other.bounced;
        self.complained += other.complained;
        self.replied += other.replied;
        self.unsubscribed += other.unsubscribed;
    }

    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            enrolled: row.try_get("enrolled")?,
            sent: row.try_get("sent")?,
            failed: row.try_get("failed")?,
            unknown: row.try_get("unknown")?,
            review: row.try_get("review")?,
            expired: row.try_get("expired")?,
            suppressed: row.try_get("suppressed")?,
            cancelled: row.try_get("cancelled")?,
            not_reached: NotReached {
                replied: row.try_get("not_reached_replied")?,
                bounced: row.try_get("not_reached_bounced")?,
                unsubscribed: row.try_get("not_reached_unsubscribed")?,
                complaint: row.try_get("not_reached_complaint")?,
                suppressed: row.try_get("not_reached_suppressed")?,
                address_failed: row.try_get("not_reached_address_failed")?,
                archived: row.try_get("not_reached_archived")?,
                removed: row.try_get("not_reached_removed")?,
                contact_deleted: row.try_get("not_reached_contact_deleted")?,
                skipped: row.try_get("not_reached_skipped")?,
            },
            pending: row.try_get("pending")?,
            delivered: row.try_get("delivered")?,
            bounced: row.try_get("bounced")?,
            complained: row.try_get("complained")?,
            replied: row.try_get("replied")?,
            unsubscribed: row.try_get("unsubscribed")?,
        })
    }
}

impl NotReached {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.replied
            + self.bounced
            + self.unsubscribed
            + self.complaint
            + self.suppressed
            + self.address_failed
            + self.archived
            + self.removed
            + self.contact_deleted
            + self.skipped
    }

    fn add(&mut self, other: &Self) {
        self.replied += other.replied;
        self.bounced += other.bounced;
        self.unsubscribed += other.unsubscribed;
        self.complaint += other.complaint;
        self.suppressed += other.suppressed;
        self.address_failed += other.address_failed;
        self.archived += other.archived;
        self.removed += other.removed;
        self.contact_deleted += other.contact_deleted;
        self.skipped += other.skipped;
    }
}

/// The accounting of a campaign, all of it of one moment; without steps for a campaign that has none or is not there.
pub async fn read(tx: &Tx, campaign: CampaignId) -> Result<Statistics> {
    let rows = tx.query(include_str!("statistics/read.sql"), &[&campaign]).await?;
    let mut totals = Accounting::default();
    let mut steps = Vec::with_capacity(rows.len());
    for row in &rows {
        let accounting = Accounting::from_row(row)?;
        totals.add(&accounting);
        steps.push(StepStatistics {
            step_id: row.try_get("step_id")?,
            position: row.try_get("position")?,
            name: row.try_get("name")?,
            balanced: accounting.enrolled == accounting.accounted(),
            accounting,
        });
    }
    Ok(Statistics {
        people: steps.first().map_or(0, |step| step.accounting.enrolled),
        balanced: steps.iter().all(|step| step.balanced),
        steps,
        totals,
    })
}
