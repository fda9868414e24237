//! `cargo xtask generate`: an organization of any size, in the database that `DATABASE_URL` names.

#![expect(clippy::print_stdout, reason = "this is a program that answers on standard output")]

use std::process::ExitCode;

use testkit::generator::{Options, generate};
use tokio_postgres::NoTls;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match (runtime, options(std::env::args().skip(1))) {
        (Ok(runtime), Ok(options)) => runtime.block_on(run(options)),
        (Err(error), _) => Err(error.to_string()),
        (_, Err(argument)) => Err(format!("{argument} is not known, or lacks its number")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, told by its caller what it works on")]
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL names no database")?;
    let (mut owner, connection) = tokio_postgres::connect(&url, NoTls)
        .await
        .map_err(|error| format!("the database can't be reached: {error}"))?;
    tokio::spawn(connection);
    let tell = |what: &str| eprintln!("Generating {what} …");
    let organization = generate(&mut owner, options, tell).await.map_err(|error| {
        let message = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        format!("nothing was generated: {message}")
    })?;
    println!("{organization}");
    Ok(())
}

/// How much is generated, or the argument that can't be read.
fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { contacts: 100_000, seed: 1 };
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse::<u32>().ok()).ok_or(argument.clone())?;
        match argument.as_str() {
            "--contacts" => options.contacts = number,
            "--seed" => options.seed = number,
            _ => return Err(argument),
        }
    }
    Ok(options)
}
