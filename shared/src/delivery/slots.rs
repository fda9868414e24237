//! Giving out slots: who may send when, under every limit at once. Pure arithmetic on what the claim has locked.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::Tz;

use super::limits::{Counter, Scope, Slot, Usage};
use super::schedule::{SendWindow, local_day};
use crate::{CampaignId, OrganizationId, SenderId};

/// A campaign's rules as far as slots are concerned.
#[derive(Debug, Clone)]
pub struct CampaignRules {
    /// When it may send.
    pub window: SendWindow,
    /// Mails a day.
    pub daily_limit: i64,
    /// Between two mails of one sender.
    pub gap: Duration,
}

/// A sender's rules as far as slots are concerned.
#[derive(Debug, Clone)]
pub struct SenderRules {
    /// Mails a day.
    pub daily_limit: i64,
    /// Between two mails, whatever the campaign.
    pub gap: Duration,
    /// The zone whose date a mail is counted on.
    pub zone: Tz,
}

/// One campaign and one of its senders.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Whose.
    pub organization: OrganizationId,
    /// The campaign.
    pub campaign: CampaignId,
    /// The sender.
    pub sender: SenderId,
    /// The campaign's rules.
    pub campaign_rules: CampaignRules,
    /// The sender's rules.
    pub sender_rules: SenderRules,
}

impl Pair {
    /// The day on which a mail of this pair counts if it is granted at `now`.
    #[must_use]
    pub fn day(&self, now: DateTime<Utc>) -> NaiveDate {
        local_day(now, self.sender_rules.zone)
    }

    /// The counter of the campaign's daily limit.
    #[must_use]
    pub fn campaign_counter(&self, now: DateTime<Utc>) -> Counter {
        Counter { organization: self.organization, scope: Scope::Campaign(self.campaign), day: self.day(now) }
    }

    /// The counter of the sender's daily limit.
    #[must_use]
    pub fn sender_counter(&self, now: DateTime<Utc>) -> Counter {
        Counter { organization: self.organization, scope: Scope::Sender(self.sender), day: self.day(now) }
    }

    /// The strictest of the two gaps.
    fn gap(&self) -> Duration {
        self.campaign_rules.gap.max(self.sender_rules.gap)
    }
}

/// The counters as a grant sees and moves them.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    usage: BTreeMap<Counter, Usage>,
}

impl Ledger {
    /// Starts from what was read.
    #[must_use]
    pub fn new(usage: BTreeMap<Counter, Usage>) -> Self {
        Self { usage }
    }

    fn usage(&self, counter: Counter) -> Usage {
        self.usage.get(&counter).copied().unwrap_or_default()
    }

    /// How many slots a pair could get from `now` to `until`, at most `ceiling`.
    #[must_use]
    pub fn free(&self, pair: &Pair, now: DateTime<Utc>, until: DateTime<Utc>, ceiling: i64) -> i64 {
        let sender = self.usage(pair.sender_counter(now));
        let by_sender = pair.sender_rules.daily_limit - sender.used;
        let by_campaign = pair.campaign_rules.daily_limit - self.usage(pair.campaign_counter(now)).used;
        let gap = pair.gap();
        let first = earliest(now, sender.last_slot_at, gap);
        let by_time = if first > until {
            0
        } else if gap.is_zero() {
            ceiling
        } else {
            1 + (until - first).num_milliseconds() / gap.num_milliseconds()
        };
        by_sender.min(by_campaign).min(by_time).clamp(0, ceiling)
    }

    /// Grants one slot to a mail of `pair` that is due at `due`, between `now` and `until`, or says that there is none.
    ///
    /// The mail keeps the gap to its sender's last slot, stays inside the window and on the day that it is counted on.
    pub fn grant(
        &mut self,
        pair: &Pair,
        due: DateTime<Utc>,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Option<(Slot, DateTime<Utc>)> {
        let (sender, campaign) = (pair.sender_counter(now), pair.campaign_counter(now));
        let day = pair.day(now);
        let (sender_usage, campaign_usage) = (self.usage(sender), self.usage(campaign));
        if sender_usage.used >= pair.sender_rules.daily_limit || campaign_usage.used >= pair.campaign_rules.daily_limit
        {
            return None;
        }
        let send_at = earliest(now.max(due), sender_usage.last_slot_at, pair.gap());
        if send_at > until
            || !pair.campaign_rules.window.is_open(send_at)
            || local_day(send_at, pair.sender_rules.zone) != day
        {
            return None;
        }
        for counter in [sender, campaign] {
            let usage = self.usage.entry(counter).or_default();
            usage.used += 1;
            usage.last_slot_at = usage.last_slot_at.max(Some(send_at));
        }
        let slot =
            Slot { organization: pair.organization, campaign: Some(pair.campaign), sender: Some(pair.sender), day };
        Some((slot, send_at))
    }
}

fn earliest(from: DateTime<Utc>, last: Option<DateTime<Utc>>, gap: Duration) -> DateTime<Utc> {
    last.map_or(from, |last| from.max(last + gap))
}
