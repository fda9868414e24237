//! `cargo xtask simulate`: a campaign of weeks in seconds. The report is standard output, byte by byte the same for a seed.

#![expect(clippy::print_stdout, reason = "this is a program that answers on standard output")]

use std::process::ExitCode;

use testkit::simulation::{Options, simulate};

fn main() -> ExitCode {
    let (options, json) = match options(std::env::args().skip(1)) {
        Ok(given) => given,
        Err(argument) => {
            eprintln!("{argument} is not known, or lacks its number");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = match runtime {
        Ok(runtime) => runtime.block_on(simulate(options)),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", report.table());
    if json {
        println!("{}", serde_json::json!(report));
    }
    if report.violations.total() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is simulated, and whether the report is told as JSON as well; or the argument that can't be read.
fn options(mut arguments: impl Iterator<Item = String>) -> Result<(Options, bool), String> {
    let (mut options, mut json) = (Options { seed: 1, people: 10_000, steps: 5, days: 30 }, false);
    while let Some(argument) = arguments.next() {
        if argument == "--json" {
            json = true;
            continue;
        }
        let number = arguments.next().and_then(|number| number.parse::<u64>().ok()).ok_or(argument.clone())?;
        let small = usize::try_from(number).map_err(|_| argument.clone())?;
        match argument.as_str() {
            "--seed" => options.seed = number,
            "--people" => options.people = small,
            "--steps" => options.steps = small,
            "--days" => options.days = u16::try_from(number).map_err(|_| argument.clone())?,
            _ => return Err(argument),
        }
    }
    Ok((options, json))
}
