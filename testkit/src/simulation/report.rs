//! What a simulation has come to. Nothing in it depends on the machine.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use shared::CampaignId;
use shared::outreach::statistics::{self, Statistics};

use super::world::Provider;
use crate::Scene;

/// What a simulation has come to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where people's clock stood at the end.
    pub ended_at: String,
    /// The campaign's status.
    pub status: String,
    /// Day by day: mails sent, and what happened to mails.
    pub days: Vec<Day>,
    /// The accounting of each step.
    pub statistics: Statistics,
    /// What must not be, with how often it was.
    pub violations: Violations,
    /// SHA-256 of every message and event in a fixed order: equal where all is equal.
    pub digest: String,
}

/// One day, UTC.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Its date.
    pub day: String,
    /// Mails sent.
    pub sent: i64,
    /// Mails delivered.
    pub delivered: i64,
    /// Mails that bounced.
    pub bounced: i64,
    /// Opens.
    pub opened: i64,
    /// Clicks.
    pub clicked: i64,
    /// Replies.
    pub replied: i64,
    /// Unsubscriptions.
    pub unsubscribed: i64,
    /// Complaints.
    pub complained: i64,
}

/// What must not be.
#[derive(Debug, Serialize)]
pub struct Violations {
    /// Messages that the provider accepted more than once.
    pub duplicates: usize,
    /// Mails to people after they had replied, left or bounced.
    pub after_stop: u64,
    /// Mails that the provider accepted less those that the ledger says were sent.
    pub unaccounted: i64,
    /// Days on which a sender sent more than its limit, or the campaign.
    pub above_limit: i64,
    /// Mails that left outside of the window.
    pub outside_window: i64,
    /// Steps whose numbers do not add up.
    pub unbalanced: usize,
}

impl Violations {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> i64 {
        let counted = [self.duplicates, self.unbalanced].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        counted.iter().sum::<i64>()
            + i64::try_from(self.after_stop).unwrap_or(i64::MAX)
            + self.unaccounted.abs()
            + self.above_limit
            + self.outside_window
    }
}

impl Report {
    /// The report for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text =
            String::from("day         sent  delivered  bounced  opened  clicked  replied  unsubscribed  complained\n");
        for day in &self.days {
            let Day { day, sent, delivered, bounced, opened, clicked, replied, unsubscribed, complained } = day;
            let _ = writeln!(
                text,
                "{day}  {sent:>4}  {delivered:>9}  {bounced:>7}  {opened:>6}  {clicked:>7}  {replied:>7}  {unsubscribed:>12}  {complained:>10}"
            );
        }
        for step in &self.statistics.steps {
            let numbers = &step.accounting;
            let _ = writeln!(
                text,
                "step {}: enrolled {}, sent {}, failed {}, unknown {}, pending {}",
                step.position, numbers.enrolled, numbers.sent, numbers.failed, numbers.unknown, numbers.pending
            );
        }
        let _ = writeln!(text, "ended {} ({}), violations {}", self.ended_at, self.status, self.violations.total());
        let _ = write!(text, "digest {}", self.digest);
        text
    }
}

pub(super) async fn read(scene: &Scene, campaign: CampaignId, now: DateTime<Utc>, provider: &Provider) -> Report {
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let statistics = statistics::read(&tx, campaign).await.unwrap();
    tx.commit().await.unwrap();
    let days = scene
        .rows(
            "with told as (
                 select sent_at::date as day, 'sent' as kind from messages where sent_at is not null
                 union all
                 select occurred_at::date, kind from message_events where kind <> 'sent')
             select day::text, count(*) filter (where kind = 'sent'), count(*) filter (where kind = 'delivered'),
                    count(*) filter (where kind = 'bounced'), count(*) filter (where kind = 'opened'),
                    count(*) filter (where kind = 'clicked'), count(*) filter (where kind = 'replied'),
                    count(*) filter (where kind = 'unsubscribed'), count(*) filter (where kind = 'complained')
               from told group by day order by day",
            &[],
        )
        .await
        .iter()
        .map(|row| Day {
            day: row.get(0),
            sent: row.get(1),
            delivered: row.get(2),
            bounced: row.get(3),
            opened: row.get(4),
            clicked: row.get(5),
            replied: row.get(6),
            unsubscribed: row.get(7),
            complained: row.get(8),
        })
        .collect();
    let sent = scene.number("select count(*) from messages where state in ('sent', 'unknown', 'review')", &[]).await;
    let violations = Violations {
        duplicates: provider.duplicates(),
        after_stop: provider.after_stop(),
        unaccounted: i64::try_from(provider.total()).unwrap_or(i64::MAX) - sent,
        above_limit: scene
            .number(
                "select count(*)
                   from (select count(*) > min(s.daily_limit) as above
                           from messages m join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
                          where m.sent_at is not null group by s.id, m.sent_at::date
                         union all
                         select count(*) > min(t.daily_limit)
                           from messages m join campaign_settings t on t.organization_id = m.organization_id and t.campaign_id = m.campaign_id
                          where m.sent_at is not null group by t.campaign_id, m.sent_at::date) as days
                  where above",
                &[],
            )
            .await,
        outside_window: scene
            .number(
                "select count(*) from messages
                  where sent_at is not null
                    and (sent_at::time < time '09:00' or sent_at::time >= time '18:00' or extract(isodow from sent_at) > 5)",
                &[],
            )
            .await,
        unbalanced: statistics.steps.iter().filter(|step| !step.balanced).count(),
    };
    let digest = scene
        .rows(
            "select encode(sha256(convert_to(string_agg(line, e'\\n' order by line), 'UTF8')), 'hex')
               from (select concat_ws(' ', 'message', m.id, m.recipient, m.step_id, m.sender_id, m.state, m.send_at, m.sent_at) as line
                       from messages m
                     union all
                     select concat_ws(' ', 'event', e.message_id, e.kind, e.occurred_at) from message_events e) as lines",
            &[],
        )
        .await[0]
        .get::<_, Option<String>>(0)
        .unwrap_or_default();
    Report {
        ended_at: now.to_rfc3339_opts(SecondsFormat::Secs, true),
        status: scene.rows("select status from campaigns where id = $1", &[&campaign]).await[0].get(0),
        days,
        statistics,
        violations,
        digest,
    }
}
