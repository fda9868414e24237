//! The promise of the ledger under faults: real functions, a real database, a queue and a provider that follow a seeded plan,
//! in virtual time. `cargo xtask faults` runs it; docs/reliability.md explains it.
//!
//! A run is many small rounds. Each has some people who are due, one kind of fault that strikes a few times while their mail
//! is on its way, and then no more faults: everything must come to rest, and the ledger must agree with what the provider
//! has accepted. What a round does follows from the seed, the kind and the round's number alone, so that a single kind
//! repeats what the whole run has done.
//!
//! | module | subject |
//! |---|---|
//! | [`kinds`] | the faults by their ids |
//! | [`round`](self), `strikes`, `races` | a round, what each kind does in it, and stops beside the sender |
//! | `checks` | what must be true afterwards |
//! | [`points`], [`wire`], [`queue`] | where processes are held, the way to the database, the queue |
//! | [`draws`], `tenants`, [`world`] | the seed, who sends, and what runs |

mod checks;
pub mod draws;
pub mod kinds;
pub mod points;
pub mod queue;
mod races;
mod round;
mod strikes;
mod tenants;
pub mod wire;
pub mod world;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::iter;

use futures_util::future::join_all;
use serde_json::{Value, json};

pub use self::kinds::Kind;
use self::round::Round;
pub use self::round::{Ledger, Plan};
pub use self::world::Build;
use self::world::World;
use crate::{Installation, TestDb};

/// Each defect, and the kinds of fault that find it.
pub const DEFECTS: [(&str, &[Kind]); 7] = [
    ("sdk_retries", &[Kind::Ses500, Kind::SesAcceptReset, Kind::SesTruncated]),
    ("reserve_while_locking", &[Kind::Workers16OneCap]),
    ("check_while_locking", &[Kind::RacePause]),
    ("no_contact_lock", &[Kind::RaceUnsubscribe, Kind::RaceSuppress]),
    ("claim_by_due_time", &[Kind::Workers16OneCap]),
    ("checkpoint_at_fetch", &[Kind::DbExhausted, Kind::DbStop]),
    ("nothing_remembered", &[Kind::DbRestoredOneHour]),
];

/// Seeds within which a defect must be found, each of a small run.
pub const MOST_SEEDS: u64 = 1_000;

/// What is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Mails, over all kinds.
    pub messages: usize,
    /// What everything is drawn from.
    pub seed: u64,
    /// The kinds.
    pub kinds: Vec<Kind>,
    /// Rounds at the same time, beside those that take long and do little.
    pub workers: usize,
    /// Whether the first violation ends the run.
    pub until_violated: bool,
}

impl Options {
    /// The rounds, in their order.
    #[must_use]
    pub fn plans(&self) -> VecDeque<Plan> {
        let of_each = (self.messages / Kind::ALL.len()).max(1);
        let rounds = |kind: &Kind| {
            let (kind, people) = (*kind, of_each.min(kind.people()));
            (0..of_each / people).map(move |number| Plan { kind, seed: self.seed, number, people })
        };
        self.kinds.iter().flat_map(rounds).collect()
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    kinds: BTreeMap<Kind, Ledger>,
    /// Rounds until the first violation, where there was one.
    pub rounds: usize,
}

impl Report {
    /// What must not be, each with the kind and how to see it again.
    pub fn violations(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.kinds.iter().flat_map(|(kind, ledger)| ledger.violations.iter().map(|what| (*kind, what.as_str())))
    }

    /// What came of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&Ledger> {
        self.kinds.get(&kind)
    }

    fn sum(&self, of: impl Fn(&Ledger) -> usize) -> usize {
        self.kinds.values().map(of).sum()
    }

    /// A line a kind, and the sums.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from(
            "kind                         injected  messages  sent  unknown  review  minutes  violations\n",
        );
        for (kind, ledger) in &self.kinds {
            table.push_str(&line(kind.name(), ledger));
        }
        let sums = Ledger {
            injected: self.sum(|ledger| ledger.injected),
            messages: self.sum(|ledger| ledger.messages),
            sent: self.sum(|ledger| ledger.sent),
            unknown: self.sum(|ledger| ledger.unknown),
            review: self.sum(|ledger| ledger.review),
            minutes: self.kinds.values().map(|ledger| ledger.minutes).max().unwrap_or_default(),
            violations: self.violations().map(|(_, what)| what.to_owned()).collect(),
        };
        table.push_str(&line("all", &sums));
        table
    }

    /// The same as one object.
    #[must_use]
    pub fn json(&self) -> Value {
        let kinds: serde_json::Map<String, Value> = self
            .kinds
            .iter()
            .map(|(kind, ledger)| {
                (kind.name().to_owned(), json!({ "injected": ledger.injected, "violations": ledger.violations.len() }))
            })
            .collect();
        json!({
            "seed": self.seed,
            "messages": self.sum(|ledger| ledger.messages),
            "sent": self.sum(|ledger| ledger.sent),
            "unknown": self.sum(|ledger| ledger.unknown),
            "review": self.sum(|ledger| ledger.review),
            "violations": self.sum(|ledger| ledger.violations.len()),
            "kinds": kinds,
        })
    }
}

fn line(name: &str, ledger: &Ledger) -> String {
    let Ledger { injected, messages, sent, unknown, review, minutes, violations } = ledger;
    let mut line = String::new();
    // Writing to a string can't fail.
    let _ = writeln!(
        line,
        "{name:<28} {injected:>8}  {messages:>8}  {sent:>4}  {unknown:>7}  {review:>6}  {minutes:>7}  {:>10}",
        violations.len()
    );
    line
}

/// Runs every round. `tell` is told of violations as they are found.
pub async fn run(build: &Build, options: &Options, tell: &dyn Fn(&str)) -> Report {
    // Those that wait most of the time have workers of their own, who are in nobody's way.
    let (slow, quick) = options.plans().into_iter().partition(|plan| plan.kind.is_slow());
    let (slow, quick) = (RefCell::new(slow), RefCell::new(quick));
    let results = RefCell::new(Report { seed: options.seed, kinds: BTreeMap::new(), rounds: 0 });
    let workers = options.workers.max(1);
    let rounds = iter::repeat_n(&quick, workers).chain(iter::repeat_n(&slow, 2 * workers));
    join_all(rounds.map(|rounds| work(build, options, rounds, &results, tell))).await;
    results.into_inner()
}

/// How a defect was found.
#[derive(Debug)]
pub struct Found {
    /// With which seed.
    pub seed: u64,
    /// By which kind of fault.
    pub kind: Kind,
    /// What must not be.
    pub violation: String,
}

/// Runs a round of each of these kinds with one seed after the other, until something is violated.
pub async fn find(build: &Build, first_seed: u64, kinds: &[Kind]) -> Option<Found> {
    for seed in first_seed..first_seed + MOST_SEEDS {
        let messages = 40 * Kind::ALL.len();
        let options = Options { messages, seed, kinds: kinds.to_vec(), workers: 1, until_violated: true };
        let report = run(build, &options, &|_| ()).await;
        let found = report.violations().next().map(|(kind, what)| Found { seed, kind, violation: what.to_owned() });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Takes one round after the other. Each kind has a database of its own, and one with a violation is left alone.
async fn work(
    build: &Build,
    options: &Options,
    rounds: &RefCell<VecDeque<Plan>>,
    results: &RefCell<Report>,
    tell: &dyn Fn(&str),
) {
    loop {
        let Some(kind) = rounds.borrow().front().map(|plan| plan.kind) else { return };
        let db = TestDb::new().await;
        work_on(&db, build, options, kind, rounds, results, tell).await;
        db.drop_beside().await;
    }
}

/// Runs rounds of a kind on one database.
async fn work_on(
    db: &TestDb,
    build: &Build,
    options: &Options,
    kind: Kind,
    rounds: &RefCell<VecDeque<Plan>>,
    results: &RefCell<Report>,
    tell: &dyn Fn(&str),
) {
    let installation = Installation::new(db).await;
    let mut world = World::new(db, &installation, build).await;
    loop {
        let plan = rounds.borrow_mut().pop_front_if(|plan| plan.kind == kind);
        let Some(plan) = plan else { break };
        let ledger = Round::run(&mut world, db, plan).await;
        if plan.number == 0 {
            tell(&format!("{} …", plan.kind));
        }
        let is_violated = !ledger.violations.is_empty();
        for violation in &ledger.violations {
            tell(&format!("{} round {}: {violation}", plan.kind, plan.number));
        }
        if is_violated {
            tell(&world.logs());
        }
        let mut results = results.borrow_mut();
        results.rounds += 1;
        add(results.kinds.entry(plan.kind).or_default(), ledger);
        if is_violated && options.until_violated {
            rounds.borrow_mut().clear();
        }
        if is_violated {
            break;
        }
    }
}

fn add(sum: &mut Ledger, of: Ledger) {
    sum.injected += of.injected;
    sum.messages += of.messages;
    sum.sent += of.sent;
    sum.unknown += of.unknown;
    sum.review += of.review;
    sum.minutes = sum.minutes.max(of.minutes);
    sum.violations.extend(of.violations);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_alone_has_the_rounds_that_it_has_in_the_whole_run() {
        let options = |kinds: &[Kind]| Options {
            messages: 20_000,
            seed: 1,
            kinds: kinds.to_vec(),
            workers: 2,
            until_violated: false,
        };
        let told = |plan: &Plan| format!("{plan:?}");
        let whole: Vec<String> =
            options(Kind::ALL).plans().iter().filter(|plan| plan.kind == Kind::DbStop).map(told).collect();
        let alone: Vec<String> = options(&[Kind::DbStop]).plans().iter().map(told).collect();
        assert!(whole.len() >= 7, "each round strikes three times or more, and twenty are wanted");
        assert_eq!(whole, alone);
    }
}
