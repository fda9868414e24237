//! What is counted of mails, and the ratios between the counts.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use crate::Result;

/// Counts of messages and of events. A message counts once in the first ten, whatever was reported how often and in which
/// order; the others count every event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counters {
    /// Accepted by the provider and not refused afterwards.
    pub sent: i64,
    /// Of these, the ones of a step after the first.
    pub follow_ups_sent: i64,
    /// Refused for good, if only after they had been accepted.
    pub failed: i64,
    /// Delivered.
    pub delivered: i64,
    /// Opened by a person.
    pub opened: i64,
    /// Clicked in by a person.
    pub clicked: i64,
    /// Bounced for good.
    pub bounced: i64,
    /// Reported as spam.
    pub complained: i64,
    /// Answered by a person.
    pub replied: i64,
    /// Led to an unsubscribe.
    pub unsubscribed: i64,
    /// Bounces that may pass.
    pub soft_bounced: i64,
    /// Answers of machines.
    pub automatic_replies: i64,
    /// Opens, repeated ones and those of machines among them.
    pub total_opens: i64,
    /// Opens by machines.
    pub machine_opens: i64,
    /// Clicks, repeated ones and those of machines among them.
    pub total_clicks: i64,
    /// Clicks by machines.
    pub machine_clicks: i64,
}

impl Counters {
    pub(super) fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            sent: row.try_get("sent")?,
            follow_ups_sent: row.try_get("follow_ups_sent")?,
            failed: row.try_get("failed")?,
            delivered: row.try_get("delivered")?,
            opened: row.try_get("opened")?,
            clicked: row.try_get("clicked")?,
            bounced: row.try_get("bounced")?,
            complained: row.try_get("complained")?,
            replied: row.try_get("replied")?,
            unsubscribed: row.try_get("unsubscribed")?,
            soft_bounced: row.try_get("soft_bounced")?,
            automatic_replies: row.try_get("automatic_replies")?,
            total_opens: row.try_get("total_opens")?,
            machine_opens: row.try_get("machine_opens")?,
            total_clicks: row.try_get("total_clicks")?,
            machine_clicks: row.try_get("machine_clicks")?,
        })
    }

    /// The ratios between the counts.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates {
            delivered: ratio(self.delivered, self.sent),
            bounced: ratio(self.bounced, self.sent),
            opened: ratio(self.opened, self.delivered),
            clicked: ratio(self.clicked, self.delivered),
            replied: ratio(self.replied, self.delivered),
            complained: ratio(self.complained, self.delivered),
            unsubscribed: ratio(self.unsubscribed, self.delivered),
        }
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.follow_ups_sent += other.follow_ups_sent;
        self.failed += other.failed;
        self.delivered += other.delivered;
        self.opened += other.opened;
        self.clicked += other.clicked;
        self.bounced += other.bounced;
        self.complained += other.complained;
        self.replied += other.replied;
        self.unsubscribed += other.unsubscribed;
        self.soft_bounced += other.soft_bounced;
        self.automatic_replies += other.automatic_replies;
        self.total_opens += other.total_opens;
        self.machine_opens += other.machine_opens;
        self.total_clicks += other.total_clicks;
        self.machine_clicks += other.machine_clicks;
    }
}

/// Ratios, 1 for all; null where there is nothing to compare with. Over a short time they may pass 1, since what happens on
/// one day is often about a mail of the day before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Rates {
    /// Delivered, of what was sent.
    pub delivered: Option<f64>,
    /// Bounced for good, of what was sent.
    pub bounced: Option<f64>,
    /// Opened by a person, of what was delivered.
    pub opened: Option<f64>,
    /// Clicked in by a person, of what was delivered.
    pub clicked: Option<f64>,
    /// Answered by a person, of what was delivered.
    pub replied: Option<f64>,
    /// Reported as spam, of what was delivered.
    pub complained: Option<f64>,
    /// Led to an unsubscribe, of what was delivered.
    pub unsubscribed: Option<f64>,
}

/// To four digits behind the point, which is what people compare.
#[expect(clippy::cast_precision_loss, reason = "counts of mails are far below 2^53")]
fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_nothing_is_none() {
        assert_eq!(Counters::default().rates(), Rates::default());
        let counters = Counters { sent: 3, delivered: 2, bounced: 1, opened: 1, ..Counters::default() };
        let rates = counters.rates();
        assert_eq!((rates.delivered, rates.bounced), (Some(0.6667), Some(0.3333)));
        assert_eq!((rates.opened, rates.replied), (Some(0.5), Some(0.0)));
        let undelivered = Counters { sent: 1, opened: 1, ..Counters::default() };
        assert_eq!(undelivered.rates().opened, None);
    }
}
