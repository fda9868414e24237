//! What the demonstration shows at its end: a table for people, or one object for programs.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::accounting::{Counts, Step};
use super::checks::{Check, Evidence};
use super::clockwork::Spent;
use super::scenario::SENDERS;
use crate::say;

/// What a column shows of a step and of its funnel.
type Value = fn(&Step, &Counts) -> u64;

/// The columns of the table.
const COLUMNS: [(&str, Value); 16] = [
    ("enrolled", |step, _| step.enrolled),
    ("sent", |step, _| step.sent),
    ("opened", |_, funnel| funnel.opened),
    ("clicked", |_, funnel| funnel.clicked),
    ("bounced", |step, _| step.bounced),
    ("complained", |step, _| step.complained),
    ("replied", |step, _| step.replied),
    ("unsubscr.", |step, _| step.unsubscribed),
    ("failed", |step, _| step.failed),
    ("expired", |step, _| step.expired),
    ("suppressed", |step, _| step.suppressed),
    ("cancelled", |step, _| step.cancelled),
    ("unknown", |step, _| step.unknown),
    ("review", |step, _| step.review),
    ("not reached", |step, _| step.not_reached.values().sum()),
    ("pending", |step, _| step.pending),
];

/// The end of a demonstration.
pub(super) struct Report {
    /// What everything was drawn from.
    pub(super) seed: u64,
    /// What was looked at.
    pub(super) evidence: Evidence,
    /// What was found.
    pub(super) checks: Vec<Check>,
    /// From the command to its end.
    pub(super) took: Duration,
}

impl Report {
    /// Success if every check holds.
    pub(super) fn exit_code(&self) -> ExitCode {
        if self.checks.iter().all(Check::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Shows the table and the checks.
    pub(super) fn show(&self, print: fn(String)) {
        print(String::new());
        for line in self.table() {
            print(line);
        }
        print(String::new());
        for check in &self.checks {
            let mark = if check.holds() { '✓' } else { '✗' };
            print(format!("{mark} {:<16} {:>5}  {}", check.name, check.violations, check.claim));
            for example in &check.examples {
                print(format!("    {example}"));
            }
        }
        let in_doubt = self.sum(|step, _| step.unknown + step.review);
        print(format!("  {:<16} {in_doubt:>5}  mails whose outcome is not known", "in doubt"));
        print(String::new());
        let Spent { clocks, stand_in, scheduler, queues } = self.evidence.course.spent;
        print(format!(
            "{} mails by {SENDERS} senders in {} steps of simulated time: {} in all, of it {} for the scheduler, {} for the \
             queues, {} for provider and recipients, {} for the clocks",
            self.evidence.mails.len(),
            self.evidence.course.ticks,
            say::elapsed(self.took),
            say::elapsed(scheduler),
            say::elapsed(queues),
            say::elapsed(stand_in),
            say::elapsed(clocks),
        ));
    }

    /// One line per step and column titles over them, then why people did not reach a step.
    fn table(&self) -> Vec<String> {
        let mut head = format!("{:<12}", "step");
        for (title, _) in COLUMNS {
            head.push_str(&format!("  {title}"));
        }
        let mut lines = vec![head];
        let steps = &self.evidence.statistics.steps;
        for (step, name) in steps.iter().zip(&self.evidence.scenario.steps) {
            let mut line = format!("{name:<12}");
            for (title, value) in COLUMNS {
                line.push_str(&format!("  {:>width$}", value(step, &self.funnel(step)), width = title.len()));
            }
            lines.push(line);
        }
        for step in steps.iter().filter(|step| !step.not_reached.is_empty()) {
            let reasons: Vec<_> =
                step.not_reached.iter().map(|(reason, people)| format!("{people} {reason}")).collect();
            lines.push(format!("not reached by step {}: {}", step.position, reasons.join(", ")));
        }
        lines
    }

    /// The object for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let violations = |name| self.checks.iter().find(|check| check.name == name).map(|check| check.violations);
        let checks: serde_json::Map<_, _> =
            self.checks.iter().map(|check| (check.name.to_owned(), check.violations.into())).collect();
        json!({
            "contacts": self.evidence.scenario.imported.contacts,
            "enrolled": self.evidence.records.people.len(),
            "sent": self.evidence.mails.len(),
            "duplicates": violations("duplicates"),
            "lost": violations("lost"),
            "outside_window": violations("outside_window"),
            "over_cap": violations("over_cap"),
            "after_stop": violations("after_stop"),
            "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
            "seed": self.seed,
            "senders": SENDERS,
            "ticks": self.evidence.course.ticks,
            "opened": self.sum(|_, funnel| funnel.opened),
            "machine_opens": self.sum(|_, funnel| funnel.machine_opens),
            "clicked": self.sum(|_, funnel| funnel.clicked),
            "bounced": self.sum(|step, _| step.bounced),
            "complained": self.sum(|step, _| step.complained),
            "replied": self.sum(|step, _| step.replied),
            "unsubscribed": self.sum(|step, _| step.unsubscribed),
            "unknown": self.sum(|step, _| step.unknown),
            "review": self.sum(|step, _| step.review),
            "statistics_differences": violations("statistics"),
            "balanced": violations("accounting") == Some(0),
            "passed": self.checks.iter().all(Check::holds),
            "checks": checks,
        })
    }

    fn sum(&self, value: Value) -> u64 {
        self.evidence.statistics.steps.iter().map(|step| value(step, &self.funnel(step))).sum()
    }

    /// The counts of a step; none where the funnel doesn't have it, which a check finds.
    fn funnel(&self, step: &Step) -> Counts {
        let steps = &self.evidence.statistics.funnel.steps;
        steps.iter().find(|funnel| funnel.position == step.position).map(|funnel| funnel.counts).unwrap_or_default()
    }
}
