//! `cargo xtask doctor`: what is there, what is missing, and how to get it.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::Command;

use crate::local::accounts::Account;
use crate::local::places::{Places, make_folder};
use crate::local::python::Python;
use crate::local::state::State;
use crate::local::tools::{self, PACKAGES, Tools};
use crate::local::{ledger, ports};
use crate::say;

/// Prints one line per need; fails if one that nothing can replace is missing.
pub(crate) async fn doctor(places: &Places) -> ExitCode {
    let needs = [
        ("Rust", version_of("cargo", "install it from https://rustup.rs").await),
        ("Linker", version_of("cc", "install a C compiler (Debian and Ubuntu: `apt install gcc`)").await),
        ("Python", python().await),
        ("Disk", disk(places)),
        ("Loopback", loopback()),
        ("Account", account()),
    ];
    let mut status = ExitCode::SUCCESS;
    for (name, finding) in needs {
        match finding {
            Ok(detail) => say::answer(format_args!("✓ {name:<10} {detail}")),
            Err(remedy) => {
                say::answer(format_args!("✗ {name:<10} {remedy:#}"));
                status = ExitCode::FAILURE;
            }
        }
    }
    for (name, detail) in [
        ("Tools", installed_tools(places)),
        ("strip", optional("strip", "makes the local zips smaller").await),
        ("nextest", optional("cargo-nextest", "runs the tests quicker: `cargo install cargo-nextest --locked`").await),
        ("Stack", stack(places)),
    ] {
        say::answer(format_args!("  {name:<10} {detail}"));
    }
    status
}

async fn version_of(program: &str, remedy: &'static str) -> Result<String> {
    let output = Command::new(program).arg("--version").output().await.map_err(|_| anyhow!(remedy))?;
    if !output.status.success() {
        bail!(remedy);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().into())
}

async fn python() -> Result<String> {
    let python = Python::find().await?;
    Ok(format!("{} ({}), with venv", python.version, python.program))
}

fn disk(places: &Places) -> Result<String> {
    make_folder(&places.local())?;
    Ok(format!("{} GB free", tools::check_disk(&places.local())?))
}

fn loopback() -> Result<String> {
    let wanted = [ports::EMULATOR, ports::POSTBOX, ports::POSTGRES];
    let mut taken = Vec::new();
    for port in wanted {
        if ports::free(port)? != port {
            taken.push(port.to_string());
        }
    }
    if taken.is_empty() {
        return Ok(format!("ports {wanted:?} are free"));
    }
    Ok(format!("{} in use; others are taken instead", taken.join(", ")))
}

fn account() -> Result<String> {
    let change = Account::to_change_to().context("PostgreSQL can't run")?;
    Ok(if change.is_some() { "you are root; PostgreSQL runs as nobody" } else { "PostgreSQL runs as you" }.into())
}

fn installed_tools(places: &Places) -> String {
    let packages = PACKAGES.join(", ");
    if Tools::are_installed_in(places) {
        format!("installed: {packages}")
    } else {
        format!("not installed yet, `cargo xtask up` does it: {packages}")
    }
}

async fn optional(program: &str, use_of_it: &str) -> String {
    match version_of(program, "missing").await {
        Ok(version) => version,
        Err(_) => format!("not installed; it {use_of_it}"),
    }
}

fn stack(places: &Places) -> String {
    match State::read(places) {
        Ok(Some(state)) => format!("runs at {}", state.api_url),
        Err(error) => error.to_string(),
        Ok(None) if ledger::holder(places).is_some() => "is starting".into(),
        Ok(None) => "does not run".into(),
    }
}
