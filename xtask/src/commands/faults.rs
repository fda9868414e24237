//! `cargo xtask faults`: the promise of the ledger under every kind of fault, on a PostgreSQL server of its own.

use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::local::installation::Major;
use crate::local::places::Places;
use crate::local::tools::Tools;
use crate::local::{ledger, postgres, processes};
use crate::say;

/// Mails of a long run: about ten thousand faults.
const LONG: usize = 100_000;

/// What is run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) messages: usize,
    pub(crate) seed: u64,
    pub(crate) only: Option<String>,
    pub(crate) long: bool,
    pub(crate) bites: bool,
    pub(crate) json: bool,
}

/// Builds the functions, which have points to stop in without optimization, injects the faults and prints a table. Fails on any violation.
pub(crate) async fn faults(places: &Places, options: &Options) -> Result<ExitCode> {
    ledger::sweep(places)?;
    let tools = Tools::ensure(places).await?;
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.checkout());
        // What is measured is whether it is right, and the points are part of builds with debug assertions. As the tests are built.
        cargo.args(["bench", "--workspace", "--profile", "dev", "--bench", "faults"]);
        cargo
    };
    let mut build = cargo();
    build.arg("--no-run");
    say::step("Building the functions", processes::output(places, "cargo bench", &mut build)).await?;
    let starting = postgres::start_for_tests(places, &tools, Major::V18);
    let server = say::step("Starting PostgreSQL 18", starting).await?;
    let mut run = cargo();
    let messages = if options.long { LONG } else { options.messages };
    run.args(["--quiet", "--", "--messages", &messages.to_string(), "--seed", &options.seed.to_string()]);
    if let Some(kind) = &options.only {
        run.args(["--only", kind]);
    }
    if options.bites {
        run.arg("--bites");
    }
    if options.json {
        run.arg("--json");
    }
    run.env("TEST_DATABASE_URL", server.owner.url());
    let status = say::step("Injecting faults", processes::run(places, "the run of faults", &mut run)).await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
