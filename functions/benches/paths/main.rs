//! How far the hot paths are from what bounds them: `cargo xtask bench`, explained in docs/performance.md.
//!
//! Every figure is a ratio of two times taken alternately in the same run, since an absolute time means nothing on a shared
//! machine. Nothing fails on a clock.

#![expect(clippy::unwrap_used, reason = "a measurement that can't be made has failed")]
#![expect(clippy::print_stdout, reason = "this is a program that answers on standard output")]

mod claim;
mod echo;
mod import;
mod rounds;
mod segments;
mod sender;
mod start;

use std::process::ExitCode;

use self::rounds::{Figure, table};

/// What is measured, and how much of it.
pub(crate) struct Options {
    paths: Vec<String>,
    json: bool,
    /// Rows of the file, contacts that are selected from, and enrollments of which a quarter is due; each path has its own unless given.
    rows: Option<usize>,
    rounds: usize,
}

const PATHS: [&str; 5] = ["import", "segments", "claim", "sender", "start"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if arguments.first().is_some_and(|argument| argument == echo::ARGUMENT) {
        runtime.block_on(echo::run());
        return ExitCode::SUCCESS;
    }
    match options(&arguments) {
        Ok(options) => {
            runtime.block_on(measure(&options));
            ExitCode::SUCCESS
        }
        Err(remedy) => {
            eprintln!("{remedy}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { paths: Vec::new(), json: false, rows: None, rounds: 5 };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = |least: usize| {
            let number = arguments.next().and_then(|number| number.parse().ok()).filter(|number| *number >= least);
            number.ok_or_else(|| format!("{argument} takes a number from {least} on"))
        };
        match argument.as_str() {
            "--json" => options.json = true,
            "--rows" => options.rows = Some(number(1_000)?),
            "--rounds" => options.rounds = number(1)?,
            path if PATHS.contains(&path) => options.paths.push(path.to_owned()),
            other => return Err(format!("{other} is no path; there are {PATHS:?}")),
        }
    }
    if options.paths.is_empty() {
        options.paths = PATHS.map(str::to_owned).to_vec();
    }
    Ok(options)
}

async fn measure(options: &Options) {
    let mut figures: Vec<Figure> = Vec::new();
    for path in &options.paths {
        figures.extend(match path.as_str() {
            "import" => import::measure(options).await,
            "segments" => segments::measure(options).await,
            "claim" => claim::measure(options).await,
            "sender" => sender::measure(options).await,
            _ => start::measure(options).await,
        });
    }
    println!("{}", table(&figures));
    if options.json {
        for figure in &figures {
            println!("{}", figure.json());
        }
    }
}
