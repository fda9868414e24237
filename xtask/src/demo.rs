//! `cargo xtask demo`: the main job end to end, on what deploys to AWS.
//!
//! A file as a CRM exports it is imported, a campaign of three steps is activated, and the deployed functions send it over
//! fourteen simulated days to recipients that open, click, bounce, complain, answer and unsubscribe by seed. Then what the ledger says
//! is checked against what the stand-in for SES really received.
//!
//! | module | subject |
//! |---|---|
//! | [`crm_export`] | the file, and the truth about it |
//! | [`scenario`] | what is set up through the API |
//! | [`clockwork`], [`simulated_time`], [`calendar`] | the driver, the clocks it moves, the window it moves them in |
//! | [`queues`], [`stand_in`], [`ledger`] | what it looks at |
//! | [`checks`], [`accounting`], [`report`] | what must be true at the end |

mod accounting;
mod calendar;
mod checks;
mod clockwork;
mod crm_export;
mod ledger;
mod queues;
mod report;
mod scenario;
mod simulated_time;
mod stand_in;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::json;

use self::accounting::Day;
use self::checks::Evidence;
use self::clockwork::{Course, Driver};
use self::ledger::Ledger;
use self::queues::Queues;
use self::report::Report;
use self::scenario::{Campaign, Scenario, Stage};
use self::simulated_time::SimulatedTime;
use self::stand_in::StandIn;
use crate::local::aws::Aws;
use crate::local::database::Login;
use crate::local::places::Places;
use crate::local::stack::{self, Stack};
use crate::local::state::State;
use crate::say;

/// So long before the first window opens the campaign is activated, so that nothing is due yet.
const BEFORE_START: TimeDelta = TimeDelta::minutes(5);

/// How to run it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// What the file and the recipients are drawn from.
    pub(crate) seed: u64,
    /// Ends standard output with one JSON object; everything else goes to standard error.
    pub(crate) json: bool,
    /// Leaves what was started running until Ctrl-C.
    pub(crate) keep: bool,
}

/// Runs the demonstration on the running stack, or else on one of its own, which ends with it.
///
/// # Errors
///
/// Fails where something did not work at all; a check that does not hold is shown and becomes the exit status.
pub(crate) async fn demo(places: &Places, database: Option<Login>, options: Options) -> Result<ExitCode> {
    let began = Instant::now();
    let mut stack = Stack::attach_or_start(places, database).await?;
    let state = stack.state.clone();
    let report = tokio::select! {
        report = run(&state, options.seed, began) => report?,
        error = stack.until_a_part_ends() => return Err(error),
    };
    report.show(if options.json { |line| say::note(line) } else { |line| say::answer(line) });
    if options.json {
        say::answer(report.json());
    }
    if options.keep && stack.is_ours() {
        say::note(format_args!("\nMailbox   {}/\nAPI       {}", state.postbox_url, state.api_url));
        say::note("The stack goes on. Ctrl-C ends it, as does `cargo xtask down` from elsewhere.");
        return Err(stack.until_a_part_ends().await);
    }
    Ok(report.exit_code())
}

async fn run(state: &State, seed: u64, began: Instant) -> Result<Report> {
    let aws = Aws::at(&state.emulator_url)?;
    let stand_in = StandIn::at(&state.postbox_url)?;
    let queues = Queues::of(&aws, &state.outputs)?;
    let ledger = Ledger::open(&state.database).await?;
    stand_in.reset().await?;
    let mut time = SimulatedTime::real(&state.database, &stand_in).await?;
    // The time in hexadecimal: short, and never used before.
    let suffix = format!("{:x}", time.now().timestamp_millis());
    let stage = Stage { state, aws: &aws, stand_in: &stand_in, ledger: &ledger, seed, suffix };
    let (scenario, campaign) = stage.set_up().await?;
    let start = calendar::next_monday(time.now() + BEFORE_START);
    time.move_to(start - BEFORE_START).await?;
    ledger.analyze().await?;
    say::step("Activating the campaign", campaign.activate()).await?;
    queues.drain().await?;
    ledger.analyze().await?;
    let old_dead_letters = queues.dead_letters().await?;
    let driver = Driver {
        aws: &aws,
        outputs: &state.outputs,
        queues: &queues,
        stand_in: &stand_in,
        ledger: &ledger,
        old_dead_letters,
    };
    let sending = driver.run(&mut time, &scenario, start);
    let course = say::step("Sending for fourteen simulated days", sending).await?;
    let gathering = async {
        let days = campaign.days().await?;
        stack::invoke(&aws, &state.outputs, "maintenance", &json!({})).await?;
        gather(scenario, campaign, days, course, &ledger, &stand_in).await
    };
    let evidence = say::step("Comparing the ledger with what was received", gathering).await?;
    let checks = checks::all(&evidence);
    Ok(Report { seed, evidence, checks, took: began.elapsed() })
}

/// Collects what the checks look at. Mails of other organizations are none of ours.
async fn gather(
    scenario: Scenario,
    campaign: Campaign,
    days: Vec<Day>,
    course: Course,
    ledger: &Ledger,
    stand_in: &StandIn,
) -> Result<Evidence> {
    let records = ledger.records(scenario.organization, scenario.campaign).await?;
    let statistics = campaign.statistics().await?;
    let folded_days = campaign.days().await?;
    let organization = scenario.organization.to_string();
    let mut mails = stand_in.mails().await?;
    mails.retain(|mail| mail.tags.get("organization_id") == Some(&organization));
    let sequences: BTreeSet<_> = mails.iter().map(|mail| mail.sequence).collect();
    let mut stops = stand_in.stops().await?;
    stops.retain(|stop| sequences.contains(&stop.mail));
    let mut visits = stand_in.visits().await?;
    visits.retain(|visited| sequences.contains(&visited.mail));
    let summary = stand_in.summary().await?;
    Ok(Evidence { scenario, course, records, statistics, days, folded_days, mails, stops, visits, summary })
}
