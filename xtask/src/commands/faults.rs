//! `cargo xtask faults`: the promise of the ledger under every kind of fault, on a PostgreSQL server of its own.

use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::local::installation::Major;
use crate::local::places::Places;
use crate::local::tools::Tools;
use crate::local::{ledger, postgres, processes};
use crate::say;

/// Has the build scripts of our own crates compile the points in which processes stop; dependencies stay as they are.
pub(crate) const POINTS: &str = "MARTLET_FAULT_POINTS";
/// Apart from every other build, which has no such points.
pub(crate) const TARGET: &str = "target/faults";
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

/// Builds the functions with points, injects the faults and prints a table. Fails on any violation.
pub(crate) async fn faults(places: &Places, options: &Options) -> Result<ExitCode> {
    ledger::sweep(places)?;
    let tools = Tools::ensure(places).await?;
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.checkout()).env(POINTS, "1");
        // What is measured is whether it is right, so it is built as quickly as can be.
        cargo.args([
            "bench",
            "--profile",
            "dev",
            "--target-dir",
            TARGET,
            "--package",
            "functions",
            "--bench",
            "faults",
        ]);
        cargo
    };
    let mut build = cargo();
    build.arg("--no-run");
    say::step("Building the functions with points to stop in", processes::output(places, "cargo bench", &mut build))
        .await?;
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
