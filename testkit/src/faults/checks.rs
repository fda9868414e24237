//! What must be true after a round: the ledger against what the provider has accepted, and the ledger against itself.

use std::collections::BTreeMap;

use chrono::{NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use uuid::Uuid;

use super::kinds::Kind;
use super::round::Round;

/// Statements that return what is wrong, a text a row, in the organizations `$1`.
const CHECKS: [(&str, &str); 6] = [
    ("I3: a counter differs from the messages that hold its slots", include_str!("checks/counters.sql")),
    ("I3: a limit is passed", include_str!("checks/caps.sql")),
    ("I2: somebody on the way is neither due nor waits for an open message", include_str!("checks/nowhere.sql")),
    ("I2: the messages don't add up to the audience", include_str!("checks/accounting.sql")),
    ("I2: a message that is over holds what only a living one holds", include_str!("checks/remains.sql")),
    ("I5: a message is about two tenants", include_str!("checks/tenants.sql")),
];

impl Round<'_, '_> {
    /// Compares everything.
    pub(super) async fn check(&mut self) {
        for (what, sql) in CHECKS {
            for row in self.world.rows(sql, &[&self.organizations()]).await {
                let which: String = row.get(0);
                self.violation(format!("{what}: {which}"));
            }
        }
        self.compare_with_the_provider().await;
        self.check_stops();
        self.check_windows();
        self.check_events().await;
        self.check_dead_letters();
        let complaints = self.world.complaints();
        self.ledger.violations.extend(complaints);
    }

    /// At most one acceptance a message, and none that the ledger knows nothing of.
    async fn compare_with_the_provider(&mut self) {
        let rows = self
            .world
            .rows(
                "select id, organization_id, recipient, state from messages where organization_id = any ($1)",
                &[&self.organizations()],
            )
            .await;
        let mut accepted: BTreeMap<Uuid, usize> = BTreeMap::new();
        let mails = self.world.aws().mails_from(self.first_mail);
        let mut wrong = Vec::new();
        let ledger: BTreeMap<Uuid, (Uuid, String, String)> =
            rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect();
        for mail in &mails {
            let tag = |name: &str| mail.tags.get(name).and_then(|value| value.parse::<Uuid>().ok());
            let known = tag("message_id").and_then(|id| Some((id, ledger.get(&id)?)));
            let Some((id, (organization, recipient, _))) = known else {
                wrong.push("I2: a mail was handed over that the ledger does not know".to_owned());
                continue;
            };
            if tag("organization_id") != Some(*organization) || mail.to != [recipient.clone()] {
                wrong.push(format!("I5: the mail of message {id} is somebody else's"));
            }
            *accepted.entry(id).or_default() += usize::from(mail.accepted);
        }
        for (id, (_, _, state)) in &ledger {
            let accepted = accepted.get(id).copied().unwrap_or_default();
            let told = match (accepted, state.as_str()) {
                (2.., _) => "I1: accepted more than once",
                (1, "sent" | "unknown" | "review") | (0, "unknown" | "review") => continue,
                (1, _) => "I2: accepted, and the ledger says otherwise",
                (_, "sent") => "I2: sent, and never accepted",
                (_, "sending") => "I7: still being sent",
                _ => continue,
            };
            wrong.push(format!("{told}: message {id}, {state}, {accepted} times"));
        }
        self.ledger.violations.extend(wrong);
    }

    /// Nothing goes outside the window, whatever the clocks do. Said anew here, from the local time alone.
    fn check_windows(&mut self) {
        let mails = self.world.aws().mails_from(self.first_mail);
        let mut wrong = Vec::new();
        let mut by_day: BTreeMap<(Uuid, chrono::NaiveDate), usize> = BTreeMap::new();
        for (mail, at) in mails.iter().zip(&self.handed_at) {
            let organization = mail.tags.get("organization_id").cloned().unwrap_or_default();
            let Some(tenant) = self.tenants.iter().find(|tenant| tenant.organization.to_string() == organization)
            else {
                continue;
            };
            let zone: Tz = tenant.manner.zone.parse().unwrap();
            let local = zone.from_utc_datetime(&at.naive_utc());
            let (from, to, _) = tenant.manner.window;
            let (from, to): (NaiveTime, NaiveTime) =
                (format!("{from}:00").parse().unwrap(), format!("{to}:00").parse().unwrap());
            if local.time() < from || local.time() >= to {
                wrong.push(format!("the window: a mail went at {local}"));
            }
            let count = by_day.entry((tenant.organization.0, local.date_naive())).or_default();
            *count += usize::from(mail.accepted);
            if *count > tenant.manner.daily_limit {
                wrong.push(format!("I3: {count} mails on {}", local.date_naive()));
            }
        }
        self.ledger.violations.extend(wrong);
    }

    /// What the queue of events was told to be done with is written.
    async fn check_events(&mut self) {
        let rows = self
            .world
            .rows(
                "select message_id, kind from message_events where organization_id = any ($1)",
                &[&self.organizations()],
            )
            .await;
        let written: std::collections::BTreeSet<(Uuid, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let lost =
            self.told.iter().filter(|(message, kind)| !written.contains(&(*message, (*kind).to_owned()))).count();
        if lost > 0 {
            self.violation(format!("{lost} events were acknowledged and are written nowhere"));
        }
    }

    /// Nothing is dead but what nobody can read.
    fn check_dead_letters(&mut self) {
        let dead = self.queue.dead().len() + self.reports.dead().len();
        let poison = if self.plan.kind == Kind::PoisonMessage { self.poison } else { 0 };
        if dead != poison {
            self.violation(format!("I7: {dead} dead letters, {poison} of them unreadable"));
        }
    }
}
