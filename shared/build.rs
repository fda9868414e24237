//! Compiles the points in which a run of faults stops a process, where the environment asks for them: `cargo xtask faults`
//! sets the variable, and nothing else does. A flag of the compiler would build every dependency anew.

use std::env;

const VARIABLE: &str = "MARTLET_FAULT_POINTS";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rustc-check-cfg=cfg(fault_points)");
    if env::var_os(VARIABLE).is_some() {
        println!("cargo::rustc-cfg=fault_points");
    }
}
