//! `cargo xtask invoke`: runs a deployed function with an event from a file.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::local::aws::Aws;
use crate::local::deployment;
use crate::local::places::Places;
use crate::local::state::State;
use crate::say;

/// What a placeholder of a sample is filled with, written as `CONTACT_ID=01…`.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    name: String,
    value: String,
}

impl FromStr for Value {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').context("write NAME=value")?;
        Ok(Self { name: name.into(), value: value.into() })
    }
}

/// Fills the placeholders `${NAME}` of a sample; `${API_KEY}` is the stack's own.
fn fill(event: &str, values: &[Value], api_key: &str) -> Result<String> {
    let mut filled = event.replace("${API_KEY}", api_key);
    for Value { name, value } in values {
        filled = filled.replace(&format!("${{{name}}}"), value);
    }
    if let Some((_, rest)) = filled.split_once("${") {
        let name = rest.split('}').next().unwrap_or_default();
        bail!("the event has a placeholder; give its value after the file, as {name}=…");
    }
    Ok(filled)
}

/// Prints the function's answer to standard output and its log to standard error.
///
/// # Errors
///
/// Fails where no stack runs or the event is no JSON. A function's own error is printed and becomes the exit status.
pub(crate) async fn invoke(places: &Places, function: &str, event: &Path, values: &[Value]) -> Result<ExitCode> {
    let event_text = fs::read_to_string(event).with_context(|| format!("can't read {}", event.display()))?;
    let state = State::read(places)?.context("no local stack runs; start it with `cargo xtask up`")?;
    let event_text = fill(&event_text, values, &state.api_key)?;
    let json: serde_json::Value =
        serde_json::from_str(&event_text).with_context(|| format!("{} is no JSON", event.display()))?;
    let name = deployment::function_name(&state.outputs, function)?;
    let answer = Aws::at(&state.emulator_url)?.invoke(name, json.to_string()).await?;
    say::note(answer.log.trim_end());
    say::answer(&answer.payload);
    match answer.error {
        None => Ok(ExitCode::SUCCESS),
        Some(kind) => {
            say::note(format_args!("error: {function} failed ({kind})"));
            Ok(ExitCode::FAILURE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_a_missing_one_is_named() {
        let values = ["CONTACT_ID=7".parse().unwrap()];
        assert_eq!(fill("${API_KEY} ${CONTACT_ID}", &values, "key").unwrap(), "key 7");
        let error = fill("${API_KEY} ${LIST_ID}", &values, "key").unwrap_err();
        assert!(error.to_string().contains("LIST_ID=…"), "{error}");
        assert!("CONTACT_ID".parse::<Value>().is_err());
    }
}
