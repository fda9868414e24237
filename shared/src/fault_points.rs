//! Points in which a run of faults holds this process or kills it, and defects that it switches on to see whether it finds
//! them. They are part of builds with debug assertions, which the tests are; of what is packaged for AWS nothing of them is left, which
//! `cargo xtask package` makes sure of.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Where the driver listens, as `127.0.0.1:4567`.
const DRIVER: &str = "FAULT_POINTS";
/// The defect that is switched on.
const DEFECT: &str = "FAULT_DEFECT";

/// The counters, locked and read in one statement: what it waited for is not in its snapshot.
pub const LOCK_AND_READ_LIMITS: &str = include_str!("fault_points/lock_and_read_limits.sql");
/// The counters that are not there are made, without waiting for whoever has one.
pub const ENSURE_MISSING_LIMITS: &str = include_str!("fault_points/ensure_missing_limits.sql");
/// Who is due, by due time alone.
pub const CANDIDATES_BY_DUE_TIME: &str = include_str!("fault_points/candidates_by_due_time.sql");

/// Tells the driver that this process has come to `point` and waits until the driver lets it go on, which it may never do.
///
/// It blocks the thread on purpose: nothing of this process moves while it is held.
#[inline]
pub fn reach(point: &str) {
    if cfg!(debug_assertions) {
        wait_for_driver(point);
    }
}

fn wait_for_driver(point: &str) {
    let Some(driver) = variable(DRIVER) else { return };
    let function = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    // A driver that has gone holds nobody.
    let Ok(mut driver) = TcpStream::connect(driver) else { return };
    if driver.write_all(format!("{function} {point}\n").as_bytes()).is_ok() {
        drop(driver.read(&mut [0]));
    }
}

/// Whether this defect is switched on.
#[must_use]
#[inline]
pub fn defect(name: &str) -> bool {
    cfg!(debug_assertions) && variable(DEFECT).is_some_and(|defect| defect == name)
}

#[expect(clippy::disallowed_methods, reason = "what drives the faults sets it, and no deployed function has it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
