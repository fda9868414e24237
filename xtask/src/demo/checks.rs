//! What must be true after the simulation, each with a count of what is not: the ledger against what the stand-in really
//! received. Nothing here asks the product what it thinks of itself, but for the statistics, which are checked too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use super::accounting::{self, Counts, Day, Statistics, Step};
use super::calendar;
use super::clockwork::Course;
use super::ledger::{Message, Records};
use super::scenario::{CAMPAIGN_DAILY_LIMIT, SENDER_DAILY_LIMIT, Scenario};
use super::stand_in::{Mail, Stop, Summary, Visit, Visited};

/// Mails that a demonstration sends at least.
const MAILS: u64 = 4_000;
/// A mail that was started within the window may be accepted this much after it has closed.
const CALL: TimeDelta = TimeDelta::seconds(2);
/// Violations that are shown of each check.
const SHOWN: usize = 5;

/// Everything that is looked at.
pub(super) struct Evidence {
    /// What was set up.
    pub(super) scenario: Scenario,
    /// How it went.
    pub(super) course: Course,
    /// The database.
    pub(super) records: Records,
    /// What the API says about it.
    pub(super) statistics: Statistics,
    /// What it says of each day,
    pub(super) days: Vec<Day>,
    /// and once the maintenance function has folded what had not been.
    pub(super) folded_days: Vec<Day>,
    /// The mails of this organization that the stand-in accepted.
    pub(super) mails: Vec<Mail>,
    /// The stops that answer them.
    pub(super) stops: Vec<Stop>,
    /// Who looked at them.
    pub(super) visits: Vec<Visited>,
    /// The stand-in's own numbers.
    pub(super) summary: Summary,
}

/// One thing that must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// A short name.
    pub(super) name: &'static str,
    /// What is true if it holds.
    pub(super) claim: &'static str,
    /// How often it is violated.
    pub(super) violations: u64,
    /// The first of them in words.
    pub(super) examples: Vec<String>,
}

impl Check {
    /// Whether it holds.
    pub(super) fn holds(&self) -> bool {
        self.violations == 0
    }
}

/// Collects what violates one claim.
struct Finding(Check);

impl Finding {
    fn new(name: &'static str, claim: &'static str) -> Self {
        Self(Check { name, claim, violations: 0, examples: Vec::new() })
    }

    fn add(&mut self, example: impl Display) {
        self.add_many(1, example);
    }

    fn add_many(&mut self, count: u64, example: impl Display) {
        self.0.violations += count;
        if count > 0 && self.0.examples.len() < SHOWN {
            self.0.examples.push(example.to_string());
        }
    }

    fn expect_equal(&mut self, what: impl Display, found: u64, expected: u64) {
        self.add_many(found.abs_diff(expected), format_args!("{what}: {found} instead of {expected}"));
    }

    fn expect_counts(&mut self, what: impl Display, found: &Counts, expected: &Counts) {
        for ((name, found), (_, expected)) in found.named().into_iter().zip(expected.named()) {
            self.expect_equal(format_args!("{what}, {name}, against the stand-in"), found, expected);
        }
    }
}

/// All checks, in the order in which they are shown.
pub(super) fn all(evidence: &Evidence) -> Vec<Check> {
    vec![
        import(evidence),
        duplicates(evidence),
        lost(evidence),
        outside_window(evidence),
        over_cap(evidence),
        after_stop(evidence),
        accounting(evidence),
        statistics(evidence),
        personalization(evidence),
        agenda(evidence),
        completion(evidence),
        volume(evidence),
    ]
}

/// The import found what is in the file.
fn import(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("import", "the import found every person and every bad row of the file");
    let (truth, imported) = (evidence.scenario.truth, evidence.scenario.imported);
    finding.expect_equal("rows", imported.rows, truth.rows);
    finding.expect_equal("rows that made a contact", imported.created, truth.contacts);
    finding.expect_equal("rows of somebody known", imported.repeats, truth.repeats);
    finding.expect_equal("rows refused", imported.failed, truth.failed);
    finding.expect_equal("contacts in the database", imported.contacts, truth.contacts);
    finding.expect_equal("people enrolled", evidence.records.people.len() as u64, truth.contacts);
    let known = &evidence.scenario.people;
    for person in evidence.records.people.iter().filter(|person| !known.contains_key(&person.email)) {
        finding.add(format_args!("enrollment {} is of nobody in the file", person.id));
    }
    finding.0
}

/// No message was accepted twice, and nobody got one step twice.
fn duplicates(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("duplicates", "no mail was accepted twice, nobody got a step twice");
    let messages = by_id(&evidence.records);
    let (mut ids, mut steps) = (BTreeSet::new(), BTreeSet::new());
    for mail in &evidence.mails {
        let id = message_id(mail);
        if !ids.insert(id) {
            finding.add(format_args!("mail {} is another of message {id:?}", mail.sequence));
        } else if let Some(message) = id.and_then(|id| messages.get(&id))
            && !steps.insert((recipient(mail), message.step))
        {
            finding.add(format_args!("mail {} is another of step {} to the same person", mail.sequence, message.step));
        }
    }
    finding.0
}

/// What the ledger calls sent was accepted, and the reverse; nobody is without an outcome or a reason.
fn lost(evidence: &Evidence) -> Check {
    let mut finding =
        Finding::new("lost", "ledger and stand-in hold the same mails, everybody has an outcome or a reason");
    let messages = by_id(&evidence.records);
    let accepted: BTreeSet<Uuid> = evidence.mails.iter().filter_map(message_id).collect();
    for message in evidence.records.messages.iter().filter(|message| message.state == "sent") {
        if !accepted.contains(&message.id) {
            finding.add(format_args!("message {} is sent, but was never accepted", message.id));
        }
    }
    for mail in &evidence.mails {
        match message_id(mail).and_then(|id| messages.get(&id)) {
            None => finding.add(format_args!("mail {} is of no message in the ledger", mail.sequence)),
            // In doubt is a name for just this, and it is counted and shown.
            Some(message) if matches!(message.state.as_str(), "sent" | "unknown" | "review") => {
                if recipient(mail) != message.recipient {
                    finding.add(format_args!("mail {} went to somebody else than its message says", mail.sequence));
                }
            }
            Some(message) => {
                finding.add(format_args!("mail {} was accepted, but its message is {}", mail.sequence, message.state));
            }
        }
    }
    for step in accounting::count(&evidence.records, evidence.scenario.steps.len()) {
        let skipped = step.not_reached.get("skipped").copied().unwrap_or_default();
        finding.add_many(skipped, format_args!("{skipped} people went past step {} without a mail", step.position));
    }
    finding.0
}

/// Every mail was accepted within the campaign's window.
fn outside_window(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("outside_window", "every mail went Monday to Friday from 9:00 to 18:00 local time");
    for mail in evidence.mails.iter().filter(|mail| !calendar::is_open(mail.accepted_at, CALL)) {
        finding.add(format_args!("mail {} was accepted {}", mail.sequence, local(mail.accepted_at)));
    }
    finding.0
}

/// No limit a day and no gap was passed, and the counters hold what the ledger holds.
fn over_cap(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("over_cap", "no daily limit was passed, every gap kept, every counter is right");
    let mut by_day = BTreeMap::<(NaiveDate, &str), u64>::new();
    for mail in &evidence.mails {
        let day = calendar::day(mail.accepted_at);
        for whose in ["", mail.from.as_str()] {
            *by_day.entry((day, whose)).or_default() += 1;
        }
    }
    for ((day, whose), accepted) in by_day {
        let (name, limit) =
            if whose.is_empty() { ("the campaign", CAMPAIGN_DAILY_LIMIT) } else { (whose, SENDER_DAILY_LIMIT) };
        finding.add_many(accepted.saturating_sub(limit), format_args!("{accepted} mails of {name} on {day}"));
    }
    let mut slots = BTreeMap::<Uuid, Vec<DateTime<Utc>>>::new();
    let mut counted = BTreeMap::<(&str, Uuid, NaiveDate), u64>::new();
    for message in &evidence.records.messages {
        let Some(day) = message.slot_day else { continue };
        slots.entry(message.sender_id).or_default().push(message.send_at);
        *counted.entry(("sender", message.sender_id, day)).or_default() += 1;
        *counted.entry(("campaign", evidence.scenario.campaign, day)).or_default() += 1;
    }
    for (sender, mut slots) in slots {
        slots.sort_unstable();
        for pair in slots.windows(2).filter(|pair| pair[1] - pair[0] < evidence.scenario.gap) {
            finding.add(format_args!("sender {sender} has slots {} and {}", local(pair[0]), local(pair[1])));
        }
    }
    for usage in &evidence.records.usage {
        let held = counted.remove(&(usage.scope.as_str(), usage.scope_id, usage.day)).unwrap_or_default();
        let counter = format_args!("counter of {} {} on {}", usage.scope, usage.scope_id, usage.day);
        finding.expect_equal(counter, usage.used, held);
    }
    for ((scope, id, day), held) in counted {
        finding.expect_equal(format_args!("counter of {scope} {id} on {day}"), 0, held);
    }
    finding.0
}

/// Nobody got a mail after a bounce, a complaint, a reply or an unsubscribe.
fn after_stop(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("after_stop", "nobody got a mail after a bounce, complaint, reply or unsubscribe");
    let mut first = BTreeMap::<&str, &Stop>::new();
    for stop in &evidence.stops {
        let known = first.entry(&stop.address).or_insert(stop);
        if stop.sequence < known.sequence {
            *known = stop;
        }
    }
    for mail in &evidence.mails {
        if let Some(stop) = first.get(recipient(mail).as_str()).filter(|stop| mail.sequence > stop.sequence) {
            finding.add(format_args!("mail {} went out after the {} {}", mail.sequence, stop.kind, stop.sequence));
        }
    }
    finding.0
}

/// Every step's numbers add up, in the API's statistics and in the ledger, and nothing is pending.
fn accounting(evidence: &Evidence) -> Check {
    let mut finding =
        Finding::new("accounting", "every step's outcomes add up to the people enrolled, nobody is pending");
    let counted = accounting::count(&evidence.records, evidence.scenario.steps.len());
    for (source, steps) in [("statistics", &evidence.statistics.steps), ("ledger", &counted)] {
        finding.expect_equal(format_args!("steps in the {source}"), steps.len() as u64, counted.len() as u64);
        for step in steps {
            let position = step.position;
            finding.expect_equal(format_args!("{source}, step {position}"), step.accounted(), step.enrolled);
            finding.add_many(step.pending, format_args!("{source}, step {position}: {} pending", step.pending));
        }
    }
    if !evidence.statistics.balanced {
        finding.add("the statistics say themselves that they are not balanced");
    }
    finding.0
}

/// The statistics are what the ledger's rows and the stand-in say.
fn statistics(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("statistics", "the API's statistics are what the ledger and the stand-in hold");
    let enrolled = evidence.records.people.len() as u64;
    finding.expect_equal("people in the statistics", evidence.statistics.people, enrolled);
    let counted = accounting::count(&evidence.records, evidence.scenario.steps.len());
    let seen = Seen::of(evidence);
    for step in &evidence.statistics.steps {
        let position = step.position;
        if let Some(counted) = counted.iter().find(|counted| counted.position == position && *counted != step) {
            finding.add(format_args!("step {position} has {step:?} and the ledger {counted:?}"));
        }
        let expected = seen.steps.get(&position).copied().unwrap_or_default();
        let Step { sent, bounced, complained, replied, unsubscribed, .. } = *step;
        let found = Counts { sent, bounced, complained, replied, unsubscribed, ..visits_of(&expected) };
        finding.expect_counts(format_args!("step {position}, accounting"), &found, &expected);
    }
    for position in 1..=counted.len() as u32 {
        let found = evidence.statistics.funnel.steps.iter().find(|step| step.position == position);
        let expected = seen.steps.get(&position).copied().unwrap_or_default();
        let Some(found) = found else {
            finding.add(format_args!("step {position} is not in the funnel"));
            continue;
        };
        finding.expect_counts(format_args!("step {position}, funnel"), &found.counts, &expected);
    }
    let mut unknown = seen.days.clone();
    for Day { day, counts } in &evidence.days {
        let expected = unknown.remove(day).unwrap_or_default();
        // The day of the others is that of the provider's report, which the stand-in sends later than it says.
        let known = Counts { sent: counts.sent, ..visits_of(counts) };
        finding.expect_counts(day, &known, &expected);
    }
    for day in unknown.keys() {
        finding.add(format_args!("{day} is no day of the statistics"));
    }
    let sums = |counts: &mut dyn Iterator<Item = &Counts>| {
        counts.fold([0; 11], |mut sums, counts| {
            sums.iter_mut().zip(counts.named()).for_each(|(sum, (_, count))| *sum += count);
            sums
        })
    };
    let of_days = sums(&mut evidence.days.iter().map(|day| &day.counts));
    let of_steps = sums(&mut seen.steps.values());
    for (index, (name, _)) in Counts::default().named().into_iter().enumerate() {
        finding.expect_equal(format_args!("{name} of all days"), of_days[index], of_steps[index]);
    }
    if evidence.folded_days != evidence.days {
        finding.add("the days are not what they were before they were folded");
    }
    finding.0
}

/// What the stand-in knows.
#[derive(Default)]
struct Seen {
    /// Of the mails of each step.
    steps: BTreeMap<u32, Counts>,
    /// Of each day in UTC: mails and visits alone.
    days: BTreeMap<NaiveDate, Counts>,
}

impl Seen {
    /// A mail counts as sent only once here; a second acceptance is a duplicate. One in doubt is not sent.
    fn of(evidence: &Evidence) -> Self {
        let messages = by_id(&evidence.records);
        let mut seen = Self::default();
        let mut steps = BTreeMap::new();
        let mut accepted = BTreeSet::new();
        for mail in &evidence.mails {
            let Some(message) = message_id(mail).and_then(|id| messages.get(&id)) else { continue };
            steps.insert(mail.sequence, message.step);
            if message.state == "sent" && accepted.insert(message.id) {
                seen.count(message.step, mail.accepted_at, |counts| counts.sent += 1);
            }
        }
        for stop in &evidence.stops {
            let Some(step) = steps.get(&stop.mail) else { continue };
            let counts = seen.steps.entry(*step).or_default();
            match stop.kind.as_str() {
                "bounce" => counts.bounced += 1,
                "complaint" => counts.complained += 1,
                "reply" => counts.replied += 1,
                _ => counts.unsubscribed += 1,
            }
        }
        // Each mail is visited once at most in each way.
        for visited in &evidence.visits {
            let Some(step) = steps.get(&visited.mail) else { continue };
            seen.count(*step, visited.at, |counts| match visited.visit {
                Visit::Open => (counts.opened, counts.total_opens) = (counts.opened + 1, counts.total_opens + 1),
                Visit::Click => (counts.clicked, counts.total_clicks) = (counts.clicked + 1, counts.total_clicks + 1),
                Visit::MachineOpen => {
                    (counts.machine_opens, counts.total_opens) = (counts.machine_opens + 1, counts.total_opens + 1);
                }
            });
        }
        seen
    }

    fn count(&mut self, step: u32, at: DateTime<Utc>, count: impl Fn(&mut Counts)) {
        count(self.steps.entry(step).or_default());
        count(self.days.entry(at.date_naive()).or_default());
    }
}

/// What visits alone have added.
fn visits_of(counts: &Counts) -> Counts {
    let Counts { opened, clicked, total_opens, machine_opens, total_clicks, machine_clicks, .. } = *counts;
    Counts { opened, clicked, total_opens, machine_opens, total_clicks, machine_clicks, ..Counts::default() }
}

/// The first mail's subject is what the file says about its recipient, whatever signs are in it.
fn personalization(evidence: &Evidence) -> Check {
    let mut finding =
        Finding::new("personalization", "every first mail names its recipient and their company as the file does");
    let messages = by_id(&evidence.records);
    for mail in &evidence.mails {
        let first = message_id(mail).and_then(|id| messages.get(&id)).is_some_and(|message| message.step == 1);
        let expected = evidence.scenario.people.get(&recipient(mail)).map(|person| {
            let name = if person.first_name.is_empty() { "there" } else { &person.first_name };
            format!("{name}, a question about {}", person.company)
        });
        if first && expected.as_ref() != Some(&mail.subject) {
            finding
                .add(format_args!("mail {} has the subject {:?} instead of {expected:?}", mail.sequence, mail.subject));
        }
    }
    finding.0
}

/// Whatever recipients did reached its receiver.
fn agenda(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("agenda", "every event, reply and unsubscribe reached its receiver");
    let Summary { unpublished, failed_unsubscribes, .. } = evidence.summary;
    finding.add_many(unpublished, format_args!("{unpublished} events or replies did not reach their queue"));
    finding.add_many(failed_unsubscribes, format_args!("{failed_unsubscribes} one-click unsubscribes were refused"));
    for (outcome, failed) in &evidence.course.failed {
        finding.add_many(*failed, format_args!("{failed} of {outcome} failed"));
    }
    finding.0
}

/// The campaign has come to its end, and everybody has done what the seed says.
fn completion(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("completion", "the campaign is complete within fourteen days");
    let Course { campaign_status, remaining, .. } = &evidence.course;
    if campaign_status != "completed" {
        finding.add(format_args!("the campaign is {campaign_status}"));
    }
    finding.add_many(*remaining, format_args!("{remaining} outcomes have not happened yet"));
    finding.0
}

/// There were enough mails for all of this to mean something.
fn volume(evidence: &Evidence) -> Check {
    let mut finding = Finding::new("volume", "at least 4,000 mails were accepted");
    let accepted = evidence.mails.len() as u64;
    finding.add_many(MAILS.saturating_sub(accepted), format_args!("{accepted} mails were accepted"));
    finding.0
}

fn by_id(records: &Records) -> BTreeMap<Uuid, &Message> {
    records.messages.iter().map(|message| (message.id, message)).collect()
}

fn message_id(mail: &Mail) -> Option<Uuid> {
    mail.tags.get("message_id")?.parse().ok()
}

fn recipient(mail: &Mail) -> String {
    mail.to.first().map(|to| to.to_lowercase()).unwrap_or_default()
}

fn local(at: DateTime<Utc>) -> String {
    at.with_timezone(&calendar::ZONE).format("%a %Y-%m-%d %H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests;
