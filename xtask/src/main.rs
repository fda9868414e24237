//! Martlet's own commands: the local stack, its demonstration and its tests.

mod commands;
mod demo;
mod local;
mod postbox;
mod say;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::test::Versions;
use crate::local::database::Login;
use crate::local::package::Architecture;
use crate::local::places::Places;

/// Martlet's own commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what is there, what is missing, and how to get it
    Doctor,
    /// Start the local stack and run it until Ctrl-C
    Up {
        #[command(flatten)]
        database: Database,
    },
    /// End the local stack, also one whose `up` was killed
    Down,
    /// Show the main job end to end: import, activate, send over fourteen simulated days, and check what arrived
    Demo {
        /// What the file and the recipients are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// End standard output with one JSON object
        #[arg(long)]
        json: bool,
        /// Leave the stack running until Ctrl-C
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        database: Database,
    },
    /// Run a deployed function with an event and print its answer
    Invoke {
        /// The function, as `sender` or `job_runner`
        function: String,
        /// A file with the event, as events/sender/one.json
        event: PathBuf,
        /// What its placeholders are filled with, as MESSAGE_ID=01…
        values: Vec<commands::invoke::Value>,
    },
    /// Hold the running API to its own description, once as each role
    Conformance {
        #[command(flatten)]
        options: commands::conformance::Options,
        #[command(flatten)]
        database: Database,
    },
    /// Measure how far the hot paths are from what bounds them
    Bench {
        /// What to measure; everything unless given
        paths: Vec<commands::bench::Path>,
        /// Rows of the imported file, contacts that are selected from (a million unless given), and enrollments of which a quarter is
        /// due (200,000)
        #[arg(long)]
        rows: Option<usize>,
        /// How often the limit and ours are measured, in turn
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// End standard output with one JSON object a figure
        #[arg(long)]
        json: bool,
    },
    /// Run a campaign of weeks in seconds, by a seed, and check what came of it
    Simulate {
        #[command(flatten)]
        options: commands::simulate::Options,
    },
    /// Inject faults into the send path, and compare the ledger with what the provider has accepted
    Faults {
        /// Mails, over all kinds of fault
        #[arg(long, default_value_t = 20_000)]
        messages: usize,
        /// What the faults are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// One kind alone, as kill_in_call
        #[arg(long, value_name = "KIND")]
        only: Option<String>,
        /// A hundred thousand mails
        #[arg(long)]
        long: bool,
        /// Switch one defect on after the other, and see whether it is found
        #[arg(long)]
        bites: bool,
        /// End standard output with one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Fill a database with an organization of any size: contacts, persons, tags, lists, mails and events
    Generate {
        #[command(flatten)]
        options: commands::generate::Options,
        #[command(flatten)]
        database: Database,
    },
    /// Build what is deployed to AWS and print the sizes
    Package {
        /// The processor to build for; that of this machine unless given
        #[arg(long)]
        arch: Option<Architecture>,
    },
    /// Check and deploy everything to AWS with the AWS CLI, or print how
    Deploy {
        /// Print the commands, and run nothing on AWS
        #[arg(long)]
        dry_run: bool,
        /// Take the zips that `cargo xtask package` has made
        #[arg(long)]
        packaged: bool,
        /// The processor of the functions; that of this machine unless given
        #[arg(long)]
        arch: Option<Architecture>,
        /// The name of the stack
        #[arg(long, default_value = "martlet")]
        stack: String,
        /// A bucket of yours for the code, in the region of the stack
        #[arg(long)]
        bucket: Option<String>,
        /// Parameters of template.yaml, as ReplyDomain=reply.example.com
        parameters: Vec<commands::deploy::Given>,
    },
    /// Run all tests on real PostgreSQL servers
    Test {
        /// The version of PostgreSQL
        #[arg(long, default_value = "both")]
        postgres: Versions,
        /// What the test runner is given besides, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
        #[command(flatten)]
        database: Database,
    },
    /// Check template.yaml with cfn-lint
    Lint,
}

#[derive(Debug, clap::Args)]
struct Database {
    /// A PostgreSQL 16 or later of your own, with pgvector: the login of the database's owner
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

impl Database {
    fn login(&self) -> Result<Option<Login>> {
        self.database_url.as_deref().filter(|url| !url.is_empty()).map(Login::from_url).transpose()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // When a signal comes, `select!` drops the command, and what it started ends with it.
    tokio::select! {
        outcome = run(command) => outcome.unwrap_or_else(|error| {
            say::failure(&error);
            ExitCode::FAILURE
        }),
        status = interruption() => status,
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    let places = Places::of_this_checkout()?;
    match command {
        Command::Doctor => Ok(commands::doctor::doctor(&places).await),
        Command::Up { database } => done(commands::up::up(&places, database.login()?).await),
        Command::Down => done(commands::down::down(&places)),
        Command::Demo { seed, json, keep, database } => {
            demo::demo(&places, database.login()?, demo::Options { seed, json, keep }).await
        }
        Command::Invoke { function, event, values } => {
            commands::invoke::invoke(&places, &function, &event, &values).await
        }
        Command::Conformance { options, database } => {
            commands::conformance::conformance(&places, database.login()?, &options).await
        }
        Command::Bench { paths, rows, rounds, json } => {
            commands::bench::bench(&places, &commands::bench::Options { paths, rows, rounds, json }).await
        }
        Command::Simulate { options } => commands::simulate::simulate(&places, &options).await,
        Command::Faults { messages, seed, only, long, bites, json } => {
            let options = commands::faults::Options { messages, seed, only, long, bites, json };
            commands::faults::faults(&places, &options).await
        }
        Command::Generate { options, database } => {
            done(commands::generate::generate(&places, database.login()?, &options).await)
        }
        Command::Package { arch } => {
            let architecture = arch.unwrap_or_else(Architecture::of_this_machine);
            done(commands::package::package(&places, architecture).await)
        }
        Command::Deploy { dry_run, packaged, arch, stack, bucket, parameters } => {
            let architecture = arch.unwrap_or_else(Architecture::of_this_machine);
            let options = commands::deploy::Options { dry_run, packaged, architecture, stack, bucket, parameters };
            commands::deploy::deploy(&places, options).await
        }
        Command::Test { postgres, arguments, database } => {
            commands::test::test(&places, database.login()?, postgres, &arguments).await
        }
        Command::Lint => commands::lint::lint(&places).await,
    }
}

fn done(outcome: Result<()>) -> Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Waits for a signal to end, and returns the status that tells of it: 128 and its number.
async fn interruption() -> ExitCode {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals = Vec::new();
    for kind in kinds {
        match signal(kind) {
            Ok(stream) => signals.push((stream, kind)),
            Err(error) => say::note(format_args!("warning: can't notice signals: {error}")),
        }
    }
    let arrivals = signals.iter_mut().map(|(stream, kind)| {
        Box::pin(async move {
            stream.recv().await;
            *kind
        })
    });
    let (kind, _, _) = futures_util::future::select_all(arrivals).await;
    say::note("\nEnding what was started …");
    ExitCode::from(u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX))
}
