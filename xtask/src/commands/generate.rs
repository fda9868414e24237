//! `cargo xtask generate`: an organization of any size, in the running stack's database or one of your own.

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::local::database::Login;
use crate::local::places::Places;
use crate::local::processes;
use crate::local::state::State;
use crate::say;

/// How much is generated.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Contacts of the organization
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    contacts: u32,
    /// What everything is drawn from; an organization of its own for each
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Builds the generator and runs it. Standard output is the id of the organization.
pub(crate) async fn generate(places: &Places, login: Option<Login>, options: &Options) -> Result<()> {
    let login = match login {
        Some(login) => login,
        None => {
            State::read(places)?
                .context("no stack runs: start it by `cargo xtask up`, or give --database-url")?
                .database
        }
    };
    let cargo = |act: &str| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.checkout()).args([act, "--package", "testkit", "--bin", "generate"]);
        cargo
    };
    let mut build = cargo("build");
    say::step("Building the generator", processes::output(places, "cargo build", &mut build)).await?;
    let mut run = cargo("run");
    run.args(["--quiet", "--", "--contacts", &options.contacts.to_string(), "--seed", &options.seed.to_string()]);
    run.env("DATABASE_URL", login.url());
    let status = say::step("Generating", processes::run(places, "the generator", &mut run)).await?;
    anyhow::ensure!(status.success(), "nothing was generated");
    Ok(())
}
