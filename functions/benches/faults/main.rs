//! The functions under faults: `cargo xtask faults`, explained in docs/reliability.md.
//!
//! The rounds are testkit's; here stand the binaries that they run, which this package alone knows.

#![expect(clippy::unwrap_used, reason = "a run that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "this is a program that answers on standard output")]

use std::path::Path;
use std::process::ExitCode;

use testkit::faults::{self, Build, DEFECTS, Found, Kind, MOST_SEEDS, Options};

struct Arguments {
    options: Options,
    json: bool,
    /// Whether each defect is switched on in turn.
    bites: bool,
    /// The one that is.
    defect: Option<String>,
}

fn main() -> ExitCode {
    if !cfg!(debug_assertions) {
        eprintln!("an optimized build has no points to stop in: run `cargo xtask faults`");
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments = match read(&arguments) {
        Ok(arguments) => arguments,
        Err(remedy) => {
            eprintln!("{remedy}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sound = if arguments.bites {
        runtime.block_on(bites(&arguments.options))
    } else {
        runtime.block_on(run(&arguments.options, arguments.defect.as_deref(), arguments.json))
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(arguments: &[String]) -> Result<Arguments, String> {
    let options = Options { messages: 20_000, seed: 1, kinds: Kind::ALL.to_vec(), workers: 2, until_violated: false };
    let mut read = Arguments { options, json: false, bites: false, defect: None };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} takes a value"));
        let number = |value: &String| value.parse().map_err(|_| format!("{argument} takes a number, not {value}"));
        match argument.as_str() {
            "--json" => read.json = true,
            "--bites" => read.bites = true,
            "--defect" => read.defect = Some(value()?.clone()),
            "--seed" => read.options.seed = number(value()?)?,
            "--messages" => read.options.messages = usize::try_from(number(value()?)?).unwrap(),
            "--workers" => read.options.workers = usize::try_from(number(value()?)?).unwrap(),
            "--only" => {
                let name = value()?;
                let kind = read.options.kinds.iter().copied().find(|kind| kind.name() == name);
                let known: Vec<&str> = read.options.kinds.iter().map(|kind| kind.name()).collect();
                read.options.kinds =
                    vec![kind.ok_or_else(|| format!("{name} is no kind of fault; there are {known:?}"))?];
            }
            other => return Err(format!("{other} is not known")),
        }
    }
    Ok(read)
}

fn build(defect: Option<&str>) -> Build {
    let binaries = Path::new(env!("CARGO_BIN_EXE_sender")).parent().unwrap().to_owned();
    Build { binaries, defect: defect.map(str::to_owned) }
}

async fn run(options: &Options, defect: Option<&str>, json: bool) -> bool {
    let report = faults::run(&build(defect), options, &|what| eprintln!("{what}")).await;
    println!("{}", report.table());
    for (kind, what) in report.violations() {
        let (messages, seed) = (options.messages, options.seed);
        println!("{kind}: {what}\n  again: cargo xtask faults --messages {messages} --seed {seed} --only {kind}");
    }
    if json {
        println!("{}", report.json());
    }
    report.violations().next().is_none()
}

/// Switches one defect on after the other; each must be found.
async fn bites(options: &Options) -> bool {
    let mut all = true;
    for (defect, kinds) in DEFECTS {
        let found = faults::find(&build(Some(defect)), options.seed, kinds).await;
        match &found {
            Some(Found { seed, kind, violation }) => {
                println!("{defect}: found with seed {seed} by {kind}: {violation}");
            }
            None => println!("{defect}: not found with {MOST_SEEDS} seeds"),
        }
        all &= found.is_some();
    }
    all
}
