//! Links the functions at fixed addresses. Loading one anywhere costs 24 bytes for each pointer in its tables, a seventh of
//! the binary, most of it for the time zones; these are then written at every start, so that the pages of all the tables
//! become resident. The machine that Lambda gives a function still randomizes heap, stack and libraries.

use std::env;

#[expect(clippy::disallowed_methods, reason = "a build script has no other way to learn of its target")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|target| target == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
