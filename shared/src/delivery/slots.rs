//! Giving out slots: who may send when, under every limit at once. Pure arithmetic on what the claim has locked.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use tokio_postgres::Row;
use uuid::Uuid;

use super::constraints::{Binding, Constraint};
use super::limits::{Counter, Scope, Slot, Usage, Window};
use super::provider_account::usage::Account;
use super::schedule::{SendWindow, local_day, resolve_local};
use super::senders::ramp::Allowance;
use crate::outreach::settings::CampaignSettings;
use crate::platform::organizations::settings::{PersonLimit, Settings};
use crate::{CampaignId, ContactId, DomainId, OrganizationId, Result, SenderId};

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

/// What binds all campaigns and senders of an organization together; without a bound where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrganizationRules {
    /// Mails a day that its plan allows.
    pub plan_daily_limit: Option<i64>,
    /// Mails a day.
    pub daily_limit: Option<i64>,
    /// Mails a day from this pair's domain.
    pub domain_daily_limit: Option<i64>,
    /// Mails in an hour to addresses in one domain.
    pub recipient_domain_hourly_limit: Option<i64>,
    /// Mails to one person.
    pub person_limit: Option<PersonLimit>,
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
    /// The sender's domain.
    pub domain: DomainId,
    /// The campaign's rules.
    pub campaign_rules: CampaignRules,
    /// The sender's rules.
    pub sender_rules: SenderRules,
    /// The organization's.
    pub organization_rules: OrganizationRules,
}

/// Whom a mail is for, as far as limits are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Recipient {
    /// The person.
    pub contact: ContactId,
    /// The key of the domain of their address.
    pub domain: Option<Uuid>,
}

impl Pair {
    /// Reads a row of the rules as they are at `now`, and beside them the settings of the campaign.
    pub(crate) fn from_row(row: &Row, now: DateTime<Utc>) -> Result<(Self, CampaignSettings)> {
        let settings = CampaignSettings::from_row(row)?;
        let organization = Settings::from_json(row.try_get("organization_settings")?)?;
        let allowance = Allowance::from_row(row, "sender_")?;
        let pair = Self {
            organization: row.try_get("organization_id")?,
            campaign: row.try_get("campaign_id")?,
            sender: row.try_get("sender_id")?,
            domain: row.try_get("domain_id")?,
            campaign_rules: CampaignRules {
                window: settings.window().clone(),
                daily_limit: settings.daily_limit.into(),
                gap: settings.gap(),
            },
            sender_rules: SenderRules {
                daily_limit: allowance.at(now).into(),
                gap: Duration::seconds(row.try_get::<_, i32>("sender_gap_seconds")?.into()),
                zone: allowance.zone,
            },
            organization_rules: OrganizationRules {
                plan_daily_limit: row.try_get("plan_daily_limit")?,
                daily_limit: organization.daily_limit.map(i64::from),
                domain_daily_limit: row.try_get::<_, Option<i32>>("domain_daily_limit")?.map(i64::from),
                recipient_domain_hourly_limit: organization.recipient_domain_hourly_limit.map(i64::from),
                person_limit: organization.person_limit,
            },
        };
        Ok((pair, settings))
    }

    /// The day on which a mail of this pair counts if it is granted at `now`.
    #[must_use]
    pub fn day(&self, now: DateTime<Utc>) -> NaiveDate {
        local_day(now, self.sender_rules.zone)
    }

    /// The counters that every mail of the pair is counted on, if it is granted at `now`.
    #[must_use]
    pub fn counters(&self, now: DateTime<Utc>) -> [Counter; 4] {
        let day = self.day(now);
        let scopes = [
            Scope::Organization,
            Scope::Domain(self.domain),
            Scope::Campaign(self.campaign),
            Scope::Sender(self.sender),
        ];
        scopes.map(|scope| Counter::of_day(self.organization, scope, day))
    }

    /// The counters of the recipient that a mail at `at` is counted on, as far as the organization has such limits.
    pub fn personal_counters(&self, recipient: Recipient, at: DateTime<Utc>) -> impl Iterator<Item = Counter> {
        let OrganizationRules { recipient_domain_hourly_limit, person_limit, .. } = self.organization_rules;
        let of_domain = recipient_domain_hourly_limit
            .and(recipient.domain)
            .map(|key| Counter::of_recipient_domain(self.organization, key, at));
        let of_person = person_limit.map(|_| Counter::of_person(self.organization, recipient.contact, at));
        of_domain.into_iter().chain(of_person)
    }

    /// Whether the organization has limits that bind one recipient and not the next.
    #[must_use]
    pub fn has_personal_limits(&self) -> bool {
        let OrganizationRules { recipient_domain_hourly_limit, person_limit, .. } = self.organization_rules;
        recipient_domain_hourly_limit.is_some() || person_limit.is_some()
    }

    /// The days before today on which the recipient's mails count against their limit.
    pub(crate) fn days_before(&self, recipient: Recipient, now: DateTime<Utc>) -> Option<Window> {
        let limit = self.organization_rules.person_limit?;
        let today = now.date_naive();
        Some(Window {
            organization: self.organization,
            contact: recipient.contact,
            first: first_day(today, limit),
            before: today,
        })
    }

    /// The same for somebody to whom the campaign sends within another window.
    #[must_use]
    pub fn within(&self, window: SendWindow) -> Self {
        Self { campaign_rules: CampaignRules { window, ..self.campaign_rules.clone() }, ..self.clone() }
    }

    /// The strictest of the two gaps.
    fn gap(&self) -> Duration {
        self.campaign_rules.gap.max(self.sender_rules.gap)
    }

    /// The limits of a day in their fixed order, each with its counter.
    fn daily_limits(&self, now: DateTime<Utc>) -> impl Iterator<Item = (Constraint, Counter, i64)> {
        let [organization, domain, campaign, sender] = self.counters(now);
        let OrganizationRules { plan_daily_limit, daily_limit, domain_daily_limit, .. } = self.organization_rules;
        [
            (Constraint::PlanDailyLimit, organization, plan_daily_limit),
            (Constraint::OrganizationDailyLimit, organization, daily_limit),
            (Constraint::DomainDailyLimit, domain, domain_daily_limit),
            (Constraint::CampaignDailyLimit, campaign, Some(self.campaign_rules.daily_limit)),
            (Constraint::SenderDailyLimit, sender, Some(self.sender_rules.daily_limit)),
        ]
        .into_iter()
        .filter_map(|(constraint, counter, limit)| Some((constraint, counter, limit?)))
    }

    fn sender_counter(&self, now: DateTime<Utc>) -> Counter {
        Counter::of_day(self.organization, Scope::Sender(self.sender), self.day(now))
    }

    /// When the day of a mail granted at `now` ends.
    fn day_ends_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.day(now).succ_opt()?;
        Some(resolve_local(next.and_time(NaiveTime::MIN), self.sender_rules.zone))
    }
}

/// The counters as a grant sees and moves them.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    usage: BTreeMap<Counter, Usage>,
    account: Account,
}

impl Ledger {
    /// Starts from what was read.
    #[must_use]
    pub fn new(usage: BTreeMap<Counter, Usage>, account: Account) -> Self {
        Self { usage, account }
    }

    fn usage(&self, counter: Counter) -> Usage {
        self.usage.get(&counter).copied().unwrap_or_default()
    }

    /// How many slots a pair could get from `now` to `until`, at most `ceiling`.
    #[must_use]
    pub fn free(&self, pair: &Pair, now: DateTime<Utc>, until: DateTime<Utc>, ceiling: i64) -> i64 {
        let by_limits = pair.daily_limits(now).map(|(_, counter, limit)| limit - self.usage(counter).used).min();
        let gap = pair.gap();
        let first = earliest(now, self.usage(pair.sender_counter(now)).last_slot_at, gap);
        let by_time = if first > until {
            0
        } else if gap.is_zero() {
            ceiling
        } else {
            1 + (until - first).num_milliseconds() / gap.num_milliseconds()
        };
        by_limits.unwrap_or(ceiling).min(by_time).min(self.account.free(now, until, ceiling)).clamp(0, ceiling)
    }

    /// Grants one slot to a mail of `pair` that is due at `due`, between `now` and `until`, or says what forbids it.
    ///
    /// The mail keeps the gap to its sender's last slot, stays inside the window and on the day that it is counted on.
    pub fn grant(
        &mut self,
        pair: &Pair,
        recipient: Recipient,
        due: DateTime<Utc>,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Slot, Binding> {
        let send_at = self.time(pair, due, now, until)?;
        if let Some(binding) = self.personal_bindings(pair, recipient, send_at).next() {
            return Err(binding);
        }
        let OrganizationRules { recipient_domain_hourly_limit, person_limit, .. } = pair.organization_rules;
        let slot = Slot {
            organization: pair.organization,
            domain: Some(pair.domain),
            campaign: Some(pair.campaign),
            sender: Some(pair.sender),
            recipient_domain: recipient_domain_hourly_limit.and(recipient.domain),
            person: person_limit.map(|_| recipient.contact),
            day: pair.day(now),
            send_at,
        };
        for counter in slot.counters() {
            let usage = self.usage.entry(counter).or_default();
            usage.used += 1;
            usage.last_slot_at = usage.last_slot_at.max(Some(send_at));
        }
        self.account.promise(send_at);
        Ok(slot)
    }

    /// When a mail of the pair may go, whoever it is for.
    fn time(
        &self,
        pair: &Pair,
        due: DateTime<Utc>,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Binding> {
        if let Some(binding) = self.spent(pair, now).next() {
            return Err(binding);
        }
        let after_gap = earliest(now.max(due), self.usage(pair.sender_counter(now)).last_slot_at, pair.gap());
        if after_gap > until {
            return Err(Binding::new(Constraint::SenderGap, Some(after_gap)));
        }
        let send_at = self
            .account
            .earliest(after_gap, until)
            .ok_or_else(|| Binding::new(Constraint::ProviderRate, Some(until)))?;
        let window = &pair.campaign_rules.window;
        if !window.is_open(send_at) || local_day(send_at, pair.sender_rules.zone) != pair.day(now) {
            return Err(Binding::new(Constraint::Window, Some(window.snap(send_at))));
        }
        Ok(send_at)
    }

    /// Everything that keeps a mail of `pair` to `recipient` from getting a slot at `now`, in the fixed order.
    #[must_use]
    pub fn bindings(&self, pair: &Pair, recipient: Recipient, now: DateTime<Utc>) -> Vec<Binding> {
        let after_gap = earliest(now, self.usage(pair.sender_counter(now)).last_slot_at, pair.gap());
        let gap = (after_gap > now).then(|| Binding::new(Constraint::SenderGap, Some(after_gap)));
        let window = &pair.campaign_rules.window;
        let closed = (!window.is_open(now)).then(|| Binding::new(Constraint::Window, Some(window.snap(now))));
        self.spent(pair, now).chain(gap).chain(closed).chain(self.personal_bindings(pair, recipient, now)).collect()
    }

    /// The limits that are used up for everybody of the pair.
    fn spent(&self, pair: &Pair, now: DateTime<Utc>) -> impl Iterator<Item = Binding> {
        let quota = self.account.is_used_up(now);
        let quota = quota.then(|| Binding::new(Constraint::ProviderQuota, self.account.frees_at(now)));
        let spent = pair.daily_limits(now).filter(|(_, counter, limit)| self.usage(*counter).used >= *limit);
        let ends_at = pair.day_ends_at(now);
        quota.into_iter().chain(spent.map(move |(name, _, limit)| Binding::new(name, ends_at.filter(|_| limit > 0))))
    }

    /// The limits that are used up for this recipient alone.
    fn personal_bindings(&self, pair: &Pair, recipient: Recipient, at: DateTime<Utc>) -> impl Iterator<Item = Binding> {
        let OrganizationRules { recipient_domain_hourly_limit, person_limit, .. } = pair.organization_rules;
        let of_domain = recipient_domain_hourly_limit.zip(recipient.domain).and_then(|(limit, key)| {
            let counter = Counter::of_recipient_domain(pair.organization, key, at);
            let next_hour = DateTime::from_timestamp((at.timestamp().div_euclid(3_600) + 1) * 3_600, 0);
            (self.usage(counter).used >= limit)
                .then(|| Binding::new(Constraint::RecipientDomainHourlyLimit, next_hour.filter(|_| limit > 0)))
        });
        let of_person = person_limit.and_then(|limit| {
            let today = at.date_naive();
            let is_full = |last| self.mails_to(pair.organization, recipient.contact, last, limit) >= limit.mails.into();
            let days = (1..=limit.days).filter_map(|days| today.checked_add_signed(Duration::days(days.into())));
            is_full(today).then(|| {
                let day = days.into_iter().find(|day| !is_full(*day));
                Binding::new(Constraint::PersonLimit, day.map(|day| day.and_time(NaiveTime::MIN).and_utc()))
            })
        });
        of_domain.into_iter().chain(of_person)
    }

    /// How many mails a person has been promised in the days that end with `last`, and since.
    fn mails_to(&self, organization: OrganizationId, contact: ContactId, last: NaiveDate, limit: PersonLimit) -> i64 {
        let from = Counter::of_day(organization, Scope::Person(contact), first_day(last, limit));
        self.usage
            .range(from..)
            .take_while(|(counter, _)| (counter.organization, counter.scope) == (from.organization, from.scope))
            .map(|(_, usage)| usage.used)
            .sum()
    }
}

fn earliest(from: DateTime<Utc>, last: Option<DateTime<Utc>>, gap: Duration) -> DateTime<Utc> {
    last.map_or(from, |last| from.max(last + gap))
}

/// The first of the days that count, when `last` is the last.
fn first_day(last: NaiveDate, limit: PersonLimit) -> NaiveDate {
    last.checked_sub_signed(Duration::days(i64::from(limit.days) - 1)).unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests;
