//! `cargo xtask bench`: how far the hot paths are from what bounds them, on a PostgreSQL server of its own.

use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::local::installation::{Installation, Major};
use crate::local::places::Places;
use crate::local::tools::Tools;
use crate::local::{ledger, postgres, processes};
use crate::say;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Path {
    /// Importing a file, beside COPY
    Import,
    /// Counting and listing by conditions, beside psql and 50 ms
    Segments,
    /// Planning what is due, beside the bare claim
    Claim,
    /// Sending a batch of ten, beside one call of the provider
    Sender,
    /// Answering a request, beside a bare function
    Start,
}

impl Path {
    fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Segments => "segments",
            Self::Claim => "claim",
            Self::Sender => "sender",
            Self::Start => "start",
        }
    }
}

/// How much is measured.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) paths: Vec<Path>,
    pub(crate) rows: Option<usize>,
    pub(crate) rounds: usize,
    pub(crate) json: bool,
}

/// Builds what is measured, measures it and prints a table. Fails where something breaks, never because it was slow.
pub(crate) async fn bench(places: &Places, options: &Options) -> Result<ExitCode> {
    ledger::sweep(places)?;
    let tools = Tools::ensure(places).await?;
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.checkout()).args(["bench", "--package", "functions", "--bench", "paths"]);
        cargo
    };
    let mut build = cargo();
    build.arg("--no-run");
    say::step("Building what is measured", processes::output(places, "cargo bench", &mut build)).await?;
    let starting = postgres::start_for_measuring(places, &tools, Major::V18);
    let server = say::step("Starting PostgreSQL 18 to measure with", starting).await?;
    let mut run = cargo();
    run.args(["--quiet", "--"]).args(options.paths.iter().map(|path| path.name()));
    if let Some(rows) = options.rows {
        run.args(["--rows", &rows.to_string()]);
    }
    run.args(["--rounds", &options.rounds.to_string()]);
    if options.json {
        run.arg("--json");
    }
    run.env("TEST_DATABASE_URL", server.owner.url());
    run.env("PSQL", Installation::prepare(places, &tools).await?.program(Major::V18, "psql").as_std().get_program());
    let status = say::step("Measuring", processes::run(places, "the measurement", &mut run)).await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
