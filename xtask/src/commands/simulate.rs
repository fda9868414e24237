//! `cargo xtask simulate`: a campaign of weeks in seconds, on a PostgreSQL server of its own.

use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::local::installation::Major;
use crate::local::places::Places;
use crate::local::tools::Tools;
use crate::local::{ledger, postgres, processes};
use crate::say;

/// What is simulated.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What people do, and every id, is drawn from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Contacts of the campaign
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    people: u64,
    /// Steps of its sequence, three days apart
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    steps: u64,
    /// Days at most
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
    /// End standard output with one JSON object
    #[arg(long)]
    json: bool,
}

/// Builds the simulator and runs it. Its report is standard output, the same for the same options; how long it took is not.
pub(crate) async fn simulate(places: &Places, options: &Options) -> Result<ExitCode> {
    ledger::sweep(places)?;
    let tools = Tools::ensure(places).await?;
    let cargo = |act: &str| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.checkout()).args([
            act,
            "--profile",
            "bench",
            "--package",
            "testkit",
            "--bin",
            "simulate",
        ]);
        cargo
    };
    let mut build = cargo("build");
    say::step("Building the simulator", processes::output(places, "cargo build", &mut build)).await?;
    let starting = postgres::start_for_tests(places, &tools, Major::V18);
    let server = say::step("Starting PostgreSQL 18 to simulate on", starting).await?;
    let mut run = cargo("run");
    run.args(["--quiet", "--", "--seed", &options.seed.to_string(), "--people", &options.people.to_string()]);
    run.args(["--steps", &options.steps.to_string(), "--days", &options.days.to_string()]);
    if options.json {
        run.arg("--json");
    }
    run.env("TEST_DATABASE_URL", server.owner.url());
    let status = say::step("Simulating", processes::run(places, "the simulation", &mut run)).await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
