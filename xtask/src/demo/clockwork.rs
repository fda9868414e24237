//! The driver: it moves simulated time from one instant to the next at which something is due, and lets the deployed
//! functions work in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::calendar;
use super::ledger::Ledger;
use super::queues::Queues;
use super::scenario::Scenario;
use super::simulated_time::SimulatedTime;
use super::stand_in::{Advance, StandIn};
use crate::local::aws::{Aws, Outputs};
use crate::local::stack;
use crate::say;

/// How long the simulation may go on.
const SIMULATED_DAYS: i64 = 14;
/// The longest step within a window.
const LONGEST_STEP: TimeDelta = TimeDelta::minutes(30);
/// The mails of one step left within such a time, so those that follow them are due within it and share a step too.
const GATHERED: TimeDelta = TimeDelta::seconds(3);
/// The window's last minute is left alone: what is planned in it could be sent after it.
const BEFORE_CLOSING: TimeDelta = TimeDelta::minutes(1);
/// So long before an opening the night's answers are taken in, while nothing can be sent.
const BEFORE_OPENING: TimeDelta = TimeDelta::minutes(1);
/// After how many steps the planner of queries is told what the tables have become.
const ANALYZED_AFTER: [u64; 4] = [4, 16, 64, 256];
/// How often dead letters are looked for, in steps.
const DEAD_LETTERS_EVERY: u64 = 50;

/// What moves everything.
pub(super) struct Driver<'a> {
    /// The functions.
    pub(super) aws: &'a Aws,
    /// Their names.
    pub(super) outputs: &'a Outputs,
    /// What they put their work into.
    pub(super) queues: &'a Queues,
    /// The mail provider and the recipients.
    pub(super) stand_in: &'a StandIn,
    /// The database.
    pub(super) ledger: &'a Ledger,
    /// Dead letters that were there before.
    pub(super) old_dead_letters: u64,
}

/// How it went.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// How often the scheduler was run.
    pub(super) ticks: u64,
    /// What happened to mails later on, by outcome.
    pub(super) performed: BTreeMap<String, u64>,
    /// What of it did not reach its receiver.
    pub(super) failed: BTreeMap<String, u64>,
    /// What was still to come at the end.
    pub(super) remaining: u64,
    /// The campaign's status at the end.
    pub(super) campaign_status: String,
    /// Where the time went.
    pub(super) spent: Spent,
}

/// Real time by what it was spent on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// Moving the clocks.
    pub(super) clocks: Duration,
    /// Outcomes and waiting for the provider's events.
    pub(super) stand_in: Duration,
    /// Runs of the scheduler.
    pub(super) scheduler: Duration,
    /// Waiting for the queues.
    pub(super) queues: Duration,
}

impl Driver<'_> {
    /// Runs the days from `start` until the campaign is complete and nobody has anything left to do.
    ///
    /// # Errors
    ///
    /// Fails where a queue does not empty, the scheduler fails or something became a dead letter.
    pub(super) async fn run(
        &self,
        time: &mut SimulatedTime,
        scenario: &Scenario,
        start: DateTime<Utc>,
    ) -> Result<Course> {
        let mut course = Course::default();
        let mut diary = Diary::begin(start);
        let end = start + TimeDelta::days(SIMULATED_DAYS);
        let mut at = start;
        while at < end {
            diary.turn_to(at, self.stand_in).await?;
            let granted = self.step(time, at, &mut course).await?;
            let now = time.now();
            at = if granted > 0 {
                next_in_window(now, now + scenario.gap)
            } else {
                let progress = self.ledger.progress(scenario.organization, scenario.campaign).await?;
                let agenda = self.advance(&mut course).await?;
                course.campaign_status = progress.status;
                course.remaining = agenda.remaining;
                if course.campaign_status == "completed" && agenda.remaining == 0 {
                    break;
                }
                // Whoever is due and got no slot waits for a limit, which only time can lift. What recipients do has its own
                // time and is taken in before the next mail goes, so no step is made for it alone.
                let due = progress.next_due_at.map_or(now + LONGEST_STEP, |due| due + GATHERED);
                next_in_window(now, due.min(now + LONGEST_STEP))
            };
        }
        self.refuse_dead_letters().await?;
        diary.close(self.stand_in).await?;
        Ok(course)
    }

    /// Lets everything happen that is due at one instant: first what recipients do, then what is sent. Returns how many
    /// mails were planned.
    async fn step(&self, time: &mut SimulatedTime, at: DateTime<Utc>, course: &mut Course) -> Result<u64> {
        let spent = Instant::now();
        time.move_to(at).await?;
        course.spent.clocks += spent.elapsed();
        if self.advance(course).await?.has_performed() {
            self.drain(course).await?;
        }
        let granted = self.tick(course).await?;
        let spent = Instant::now();
        self.queues.drain_sending().await?;
        course.spent.queues += spent.elapsed();
        // The provider's events are published after the mails were taken; this waits until they are in their queue.
        self.advance(course).await?;
        self.drain(course).await?;
        if course.ticks.is_multiple_of(DEAD_LETTERS_EVERY) {
            self.refuse_dead_letters().await?;
        }
        // Early, when the first mails are in the tables, and seldom when there are many.
        if ANALYZED_AFTER.contains(&course.ticks) {
            self.ledger.analyze().await?;
        }
        Ok(granted)
    }

    async fn tick(&self, course: &mut Course) -> Result<u64> {
        let spent = Instant::now();
        let answer = stack::invoke(self.aws, self.outputs, "scheduler", &json!({})).await?;
        course.spent.scheduler += spent.elapsed();
        course.ticks += 1;
        granted(&answer)
    }

    async fn advance(&self, course: &mut Course) -> Result<Advance> {
        let spent = Instant::now();
        let advance = self.stand_in.advance().await?;
        course.spent.stand_in += spent.elapsed();
        for (counts, new) in [(&mut course.performed, &advance.performed), (&mut course.failed, &advance.failed)] {
            for (outcome, count) in new {
                *counts.entry(outcome.clone()).or_default() += count;
            }
        }
        Ok(advance)
    }

    async fn drain(&self, course: &mut Course) -> Result<()> {
        let spent = Instant::now();
        self.queues.drain().await?;
        course.spent.queues += spent.elapsed();
        Ok(())
    }

    async fn refuse_dead_letters(&self) -> Result<()> {
        let dead = self.queues.dead_letters().await?.saturating_sub(self.old_dead_letters);
        if dead > 0 {
            bail!("{dead} messages ended up in a dead-letter queue");
        }
        Ok(())
    }
}

impl Advance {
    fn has_performed(&self) -> bool {
        !self.performed.is_empty() || !self.failed.is_empty()
    }
}

fn granted(answer: &Value) -> Result<u64> {
    answer["planned"]["granted"].as_u64().with_context(|| format!("the scheduler answered {answer}"))
}

/// The instant to go to when `wanted` is the next at which something is due: that one within a window, else a moment just
/// before the next opening, so that the night's answers are known when it comes, and then the opening.
fn next_in_window(now: DateTime<Utc>, wanted: DateTime<Utc>) -> DateTime<Utc> {
    if calendar::is_open(wanted, -BEFORE_CLOSING) {
        return wanted;
    }
    let opening = calendar::next_opening(now);
    let before = opening - BEFORE_OPENING;
    if now < before { before } else { opening }
}

/// Tells of each simulated day once it is over.
struct Diary {
    day: chrono::NaiveDate,
    began: Instant,
    mails: u64,
    stops: BTreeMap<String, u64>,
}

impl Diary {
    fn begin(start: DateTime<Utc>) -> Self {
        Self { day: calendar::day(start), began: Instant::now(), mails: 0, stops: BTreeMap::new() }
    }

    async fn turn_to(&mut self, at: DateTime<Utc>, stand_in: &StandIn) -> Result<()> {
        if calendar::day(at) != self.day {
            self.close(stand_in).await?;
            self.day = calendar::day(at);
            self.began = Instant::now();
        }
        Ok(())
    }

    async fn close(&mut self, stand_in: &StandIn) -> Result<()> {
        let summary = stand_in.summary().await?;
        let mut line = format!("  {}  {:>5} mails", self.day.format("%a %-d %b"), summary.mails - self.mails);
        for kind in ["bounce", "complaint", "reply", "unsubscribe"] {
            let count = |stops: &BTreeMap<String, u64>| stops.get(kind).copied().unwrap_or_default();
            line.push_str(&format!(", {:>3} {kind}", count(&summary.stops) - count(&self.stops)));
        }
        say::note(format_args!("{line}  ({})", say::elapsed(self.began.elapsed())));
        (self.mails, self.stops) = (summary.mails, summary.stops);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn time_moves_within_windows_and_jumps_over_the_rest() {
        for (now, wanted, next) in [
            ("2026-11-23T08:00:00Z", "2026-11-23T08:00:30Z", "2026-11-23T08:00:30Z"),
            ("2026-11-23T16:58:00Z", "2026-11-23T16:58:30Z", "2026-11-23T16:58:30Z"),
            // Not in the last minute.
            ("2026-11-23T16:58:40Z", "2026-11-23T16:59:10Z", "2026-11-24T07:59:00Z"),
            ("2026-11-23T16:58:40Z", "2026-11-23T17:20:00Z", "2026-11-24T07:59:00Z"),
            // What comes at night waits for the last moment of the night.
            ("2026-11-23T16:40:00Z", "2026-11-23T20:00:00Z", "2026-11-24T07:59:00Z"),
            ("2026-11-24T07:59:00Z", "2026-11-24T07:59:30Z", "2026-11-24T08:00:00Z"),
            ("2026-11-24T07:59:00Z", "2026-11-24T08:29:00Z", "2026-11-24T08:29:00Z"),
            ("2026-11-27T16:58:40Z", "2026-11-27T17:30:00Z", "2026-11-30T07:59:00Z"),
        ] {
            assert_eq!(next_in_window(at(now), at(wanted)), at(next), "{now} {wanted}");
        }
    }

    #[test]
    fn the_schedulers_answer_is_read() {
        assert_eq!(granted(&json!({"planned": {"granted": 7, "enqueued": 7}, "swept": {}})).unwrap(), 7);
        assert!(granted(&json!({})).is_err());
    }
}
