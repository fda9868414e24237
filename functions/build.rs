//! Links the functions at fixed addresses. Loading one anywhere costs 24 bytes for each pointer in its tables, a seventh of
//! the binary, most of it for the time zones; these are then written at every start, so that the pages of all the tables
//! become resident. The machine that Lambda gives a function still randomizes heap, stack and libraries.
//!
//! And compiles the points in which a run of faults stops a process, where the environment asks for them.

use std::env;

#[expect(clippy::disallowed_methods, reason = "a build script has no other way to learn of its target")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MARTLET_FAULT_POINTS");
    println!("cargo::rustc-check-cfg=cfg(fault_points)");
    if env::var_os("MARTLET_FAULT_POINTS").is_some() {
        println!("cargo::rustc-cfg=fault_points");
    }
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|target| target == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
