//! `cargo xtask test`: all tests, against real PostgreSQL servers that live as long as the run, and the deployed stack: a few tests from
//! end to end, and all of its API held to its description in short.

use std::process::{ExitCode, ExitStatus, Stdio};

use anyhow::Result;
use tokio::process::Command;

use crate::commands::conformance;
use crate::local::database::Login;
use crate::local::installation::Major;
use crate::local::places::Places;
use crate::local::stack::Stack;
use crate::local::state::State;
use crate::local::tools::Tools;
use crate::local::{ledger, postgres, processes};
use crate::say;

/// Which versions of PostgreSQL the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Versions {
    /// The oldest that serves.
    #[value(name = "16")]
    Oldest,
    /// The one to develop on.
    #[value(name = "18")]
    Newest,
    /// Everything on 18, then what uses the database once more on 16.
    Both,
}

/// What has tests, where nobody names some of them. The functions' binaries only wire, and each would be linked once more for none.
const TARGETS: [&str; 5] = ["--lib", "--bin", "xtask", "--test", "*"];

/// Which tests a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    Database,
}

/// Runs the tests; the runner's status is ours. The servers end with it, whatever it is.
pub(crate) async fn test(
    places: &Places,
    database: Option<Login>,
    versions: Versions,
    arguments: &[String],
) -> Result<ExitCode> {
    ledger::sweep(places)?;
    let tools = Tools::ensure(places).await?;
    let first = if versions == Versions::Oldest { Major::V16 } else { Major::V18 };
    let status = run(places, &tools, first, Scope::Everything, arguments).await?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    let once_more = async {
        match versions {
            Versions::Oldest | Versions::Newest => Ok(ExitCode::SUCCESS),
            Versions::Both => run(places, &tools, Major::V16, Scope::Database, arguments).await.map(exit_code),
        }
    };
    if !arguments.is_empty() {
        return once_more.await;
    }
    // What is asked of the deployed stack waits for its answers most of the time.
    let (once_more, deployed) = tokio::join!(once_more, test_deployed(places, database));
    let (once_more, deployed) = (once_more?, deployed?);
    Ok(if once_more == ExitCode::SUCCESS { deployed } else { once_more })
}

fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

async fn run(places: &Places, tools: &Tools, major: Major, scope: Scope, arguments: &[String]) -> Result<ExitStatus> {
    let name = format!("Starting PostgreSQL {} for tests", major.number());
    let server = say::step(&name, postgres::start_for_tests(places, tools, major)).await?;
    let mut runner = Command::new("cargo");
    runner.current_dir(places.checkout());
    // All SQL is in the package `shared`, and the tests of each statement.
    let is_of_shared = scope == Scope::Database && arguments.is_empty();
    // The same packages in every run: another choice would build the dependencies once more, with other features.
    let has_nextest = has_nextest().await;
    match has_nextest {
        true if is_of_shared => runner.args(["nextest", "run", "--workspace", "--filterset", "package(shared)"]),
        true => runner.args(["nextest", "run", "--workspace"]),
        false if is_of_shared => runner.args(["test", "--package", "shared", "--lib", "--tests"]),
        false => runner.args(["test", "--workspace"]),
    };
    if has_nextest && !arguments.iter().any(|argument| names_targets(argument)) {
        runner.args(TARGETS);
    }
    runner.args(arguments).env("TEST_DATABASE_URL", server.owner.url());
    let name = format!("Testing on PostgreSQL {}", major.number());
    say::step(&name, processes::run(places, "the tests", &mut runner)).await
}

/// Whether an argument of Cargo's chooses targets: to these ours would be added.
fn names_targets(argument: &str) -> bool {
    let name = argument.split('=').next().unwrap_or_default();
    [
        "--lib",
        "--bin",
        "--bins",
        "--test",
        "--tests",
        "--bench",
        "--benches",
        "--example",
        "--examples",
        "--all-targets",
    ]
    .contains(&name)
}

/// Tests the deployed stack from end to end, and holds its API to its description.
async fn test_deployed(places: &Places, database: Option<Login>) -> Result<ExitCode> {
    let stack = Stack::attach_or_start(places, database).await?;
    let status = run_deployed(places, &stack).await?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    let is_sound = conformance::hold(places, &stack, &conformance::Options::in_tests()).await?;
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_deployed(places: &Places, stack: &Stack) -> Result<ExitStatus> {
    let State { api_url, api_key, emulator_url, postbox_url, outputs, .. } = &stack.state;
    let mut runner = Command::new("cargo");
    runner.current_dir(places.checkout());
    if has_nextest().await {
        runner.args(["nextest", "run", "--workspace", "--test", "deployed", "--run-ignored", "only"]);
    } else {
        runner.args(["test", "--workspace", "--test", "deployed", "--", "--ignored"]);
    }
    runner
        .env("STACK_API_URL", api_url)
        .env("STACK_API_KEY", api_key)
        .env("STACK_EMULATOR_URL", emulator_url)
        .env("STACK_POSTBOX_URL", postbox_url)
        .env("STACK_OUTPUTS", serde_json::to_string(outputs)?);
    say::step("Testing the deployed stack", processes::run(places, "the tests", &mut runner)).await
}

async fn has_nextest() -> bool {
    let mut ask = Command::new("cargo");
    ask.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().await.is_ok_and(|status| status.success())
}
