//! `cargo xtask package`: what is deployed to AWS.

use std::fs;

use anyhow::Result;

use crate::local::package::{self, Architecture, Build};
use crate::local::places::Places;
use crate::say;

const MEGABYTE: f64 = 1e6;
/// A function starts the slower the larger its binary is; beyond this something has come in that need not be there.
const LARGEST: u64 = 8_000_000;

/// Builds the release artefacts and prints their sizes, telling which are too large.
pub(crate) async fn package(places: &Places, architecture: Architecture) -> Result<()> {
    let name = format!("Building for Lambda on {}", architecture.name());
    let functions = say::step(&name, package::package(places, Build::Release(architecture))).await?;
    say::answer(format_args!("{:<14} {:>9} {:>9}  megabytes", "function", "binary", "zip"));
    for function in &functions {
        let zip = fs::metadata(&function.zip)?.len();
        say::answer(format_args!(
            "{:<14} {:>9.2} {:>9.2}  {}",
            function.name,
            megabytes(function.size),
            megabytes(zip),
            function.zip.strip_prefix(places.checkout()).unwrap_or(&function.zip).display()
        ));
    }
    let too_large: Vec<&str> =
        functions.iter().filter(|function| function.size > LARGEST).map(|function| function.name.as_str()).collect();
    if too_large.is_empty() {
        say::note(format_args!("Every binary has at most {:.0} megabytes.", megabytes(LARGEST)));
    } else {
        say::note(format_args!("warning: above {:.0} megabytes: {}", megabytes(LARGEST), too_large.join(", ")));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MEGABYTE
}
