//! Health: what the latest mails of a sender or a campaign say of it, and when they are reason to stop. Pure arithmetic.
//!
//! A sender's health is 100, less 10 for each per cent of hard bounces and 200 for each per cent of complaints, plus 1 for each
//! per cent of replies up to 10, within 0 and 100. Below 50 it pauses itself; a campaign does at 5 % of hard bounces. Either needs
//! at least 100 mails and 5 bounces, or 3 complaints. Every number is a setting of the installation.

use std::time::Duration;

use tokio_postgres::Row;

use crate::platform::config;
use crate::{Result, Tx};

/// The best health, which is also that of a sender that has sent nothing.
const BEST: i64 = 100;

/// How many of the latest mails came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Accepted by the provider.
    pub sends: i64,
    /// Could never be delivered.
    pub hard_bounces: i64,
    /// Were reported as spam.
    pub complaints: i64,
    /// Were answered by a person.
    pub replies: i64,
}

impl Rates {
    /// Reads `sends`, `hard_bounces`, `complaints` and `replies`, each name after `prefix`.
    pub(crate) fn from_row(row: &Row, prefix: &str) -> Result<Self> {
        let count = |name: &str| Ok::<i64, crate::Error>(row.try_get(&*format!("{prefix}{name}"))?);
        Ok(Self {
            sends: count("sends")?,
            hard_bounces: count("hard_bounces")?,
            complaints: count("complaints")?,
            replies: count("replies")?,
        })
    }
}

/// By how much is judged, and when something is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// How old a mail may be.
    pub window: Duration,
    /// How many of the latest mails count at most.
    pub window_sends: i64,
    /// Points that each per cent of hard bounces costs.
    pub bounce_points: i64,
    /// Points that each per cent of complaints costs.
    pub complaint_points: i64,
    /// Points that each per cent of replies gives.
    pub reply_points: i64,
    /// Points that replies give at most.
    pub reply_points_maximum: i64,
    /// A sender whose health is below this is paused.
    pub sender_pause_below: i64,
    /// A campaign with this many per cent of hard bounces is paused.
    pub campaign_bounce_percent: i64,
    /// Mails before which nothing is paused, unless there are complaints.
    pub minimum_sends: i64,
    /// Hard bounces before which nothing is paused, unless there are complaints.
    pub minimum_bounces: i64,
    /// Complaints after which fewer mails and bounces are enough.
    pub minimum_complaints: i64,
}

impl Thresholds {
    /// What the installation's settings say.
    pub async fn read(tx: &Tx) -> Result<Self> {
        let settings = config::read(tx, "health").await?;
        let number = |key| settings.number(key);
        Ok(Self {
            window: settings.duration("window")?,
            window_sends: number("window_sends")?,
            bounce_points: number("bounce_points")?,
            complaint_points: number("complaint_points")?,
            reply_points: number("reply_points")?,
            reply_points_maximum: number("reply_points_maximum")?,
            sender_pause_below: number("sender_pause_below")?,
            campaign_bounce_percent: number("campaign_bounce_percent")?,
            minimum_sends: number("minimum_sends")?,
            minimum_bounces: number("minimum_bounces")?,
            minimum_complaints: number("minimum_complaints")?,
        })
    }

    /// The health that these rates make, from 0 to 100, rounded down.
    #[must_use]
    pub fn score(&self, rates: Rates) -> i32 {
        let Rates { sends, hard_bounces, complaints, replies } = rates;
        if sends <= 0 {
            return 100;
        }
        // Points times mails, so that nothing is rounded before the end.
        let lost = 100 * (self.bounce_points * hard_bounces + self.complaint_points * complaints);
        let won = (100 * self.reply_points * replies).min(self.reply_points_maximum * sends);
        let score = (BEST * sends + won - lost).div_euclid(sends).clamp(0, BEST);
        i32::try_from(score).unwrap_or_default()
    }

    /// Why a sender with these rates is paused, as a sentence; none where it is not.
    #[must_use]
    pub fn pauses_sender(&self, rates: Rates) -> Option<String> {
        let score = self.score(rates);
        let is_paused = self.is_enough(rates) && i64::from(score) < self.sender_pause_below;
        is_paused.then(|| {
            let Rates { sends, hard_bounces, complaints, .. } = rates;
            format!(
                "its health is {score}, below {}: of its latest {sends} mails {hard_bounces} bounced for good and {complaints} were reported as spam",
                self.sender_pause_below
            )
        })
    }

    /// Why a campaign with these rates is paused, as a sentence; none where it is not.
    #[must_use]
    pub fn pauses_campaign(&self, rates: Rates) -> Option<String> {
        let Rates { sends, hard_bounces, .. } = rates;
        let is_paused =
            self.is_enough(rates) && hard_bounces > 0 && 100 * hard_bounces >= self.campaign_bounce_percent * sends;
        is_paused.then(|| {
            format!(
                "of its latest {sends} mails {hard_bounces} bounced for good, which is {} % or more",
                self.campaign_bounce_percent
            )
        })
    }

    /// Whether there is enough to judge by.
    fn is_enough(&self, rates: Rates) -> bool {
        (rates.sends >= self.minimum_sends && rates.hard_bounces >= self.minimum_bounces)
            || rates.complaints >= self.minimum_complaints
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Thresholds = Thresholds {
        window: Duration::from_secs(30 * 86_400),
        window_sends: 500,
        bounce_points: 10,
        complaint_points: 200,
        reply_points: 1,
        reply_points_maximum: 10,
        sender_pause_below: 50,
        campaign_bounce_percent: 5,
        minimum_sends: 100,
        minimum_bounces: 5,
        minimum_complaints: 3,
    };

    fn rates(sends: i64, hard_bounces: i64, complaints: i64, replies: i64) -> Rates {
        Rates { sends, hard_bounces, complaints, replies }
    }

    #[test]
    fn the_score_follows_the_formula() {
        for (counts, score) in [
            ((0, 0, 0, 0), 100),
            ((500, 0, 0, 0), 100),
            ((500, 5, 0, 0), 90),
            ((500, 15, 0, 0), 70),
            ((500, 0, 1, 0), 60),
            ((500, 0, 1, 15), 63),
            ((500, 0, 1, 100), 70),
            ((500, 0, 0, 500), 100),
            ((300, 1, 0, 0), 96),
            ((100, 0, 1, 0), 0),
            ((1, 1, 1, 0), 0),
        ] {
            let (sends, hard_bounces, complaints, replies) = counts;
            assert_eq!(USUAL.score(rates(sends, hard_bounces, complaints, replies)), score, "{counts:?}");
        }
    }

    #[test]
    fn a_sender_is_paused_below_fifty_once_there_is_enough_to_judge_by() {
        let is_paused =
            |sends, bounces, complaints| USUAL.pauses_sender(rates(sends, bounces, complaints, 0)).is_some();
        assert!(!is_paused(100, 5, 0), "50 is not below it");
        assert!(is_paused(100, 6, 0));
        assert!(!is_paused(99, 50, 0) && !is_paused(50, 4, 2), "too few mails");
        assert!(!is_paused(200, 4, 2), "too few bounces and complaints, whatever the score");
        assert!(is_paused(10, 0, 3), "three complaints are enough");
        assert!(!is_paused(1_500, 0, 3), "but not by themselves");
        let reason = USUAL.pauses_sender(rates(500, 31, 1, 0)).unwrap();
        assert_eq!(
            reason,
            "its health is 0, below 50: of its latest 500 mails 31 bounced for good and 1 were reported as spam"
        );
    }

    #[test]
    fn a_campaign_is_paused_at_five_per_cent_of_hard_bounces() {
        let is_paused =
            |sends, bounces, complaints| USUAL.pauses_campaign(rates(sends, bounces, complaints, 0)).is_some();
        assert!(is_paused(100, 5, 0) && is_paused(500, 25, 0));
        assert!(!is_paused(101, 5, 0) && !is_paused(500, 24, 0));
        assert!(!is_paused(99, 20, 0) && !is_paused(0, 0, 0));
        assert!(is_paused(20, 1, 3));
        assert!(!is_paused(20, 0, 3), "complaints alone pause the sender");
    }

    proptest! {
        #[test]
        fn more_harm_is_never_healthier(sends in 1..2_000_i64, bounces in 0..2_000_i64, complaints in 0..2_000_i64, replies in 0..2_000_i64) {
            let score = USUAL.score(rates(sends, bounces, complaints, replies));
            prop_assert!((0..=100).contains(&score));
            prop_assert!(USUAL.score(rates(sends, bounces + 1, complaints, replies)) <= score);
            prop_assert!(USUAL.score(rates(sends, bounces, complaints + 1, replies)) <= score);
            prop_assert!(USUAL.score(rates(sends, bounces, complaints, replies + 1)) >= score);
        }
    }
}
