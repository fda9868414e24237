//! `cargo xtask down`: ends the stack of this checkout, however it was left.

use anyhow::Result;

use crate::local::places::Places;
use crate::local::{ledger, stack};
use crate::say;

/// Ends the running stack, and what a killed command has left behind.
pub(crate) fn down(places: &Places) -> Result<()> {
    let ended_stack = ledger::end_holder(places)?;
    let orphans = ledger::sweep(places)?;
    ledger::forget_dead_claim(places);
    stack::remove_traces(places);
    if ended_stack {
        say::note("The local stack has ended.");
    }
    for orphan in &orphans {
        say::note(format_args!("Ended {orphan}, left behind by a command that was killed."));
    }
    if !ended_stack && orphans.is_empty() {
        say::note("Nothing runs.");
    }
    Ok(())
}
