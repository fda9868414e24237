//! The functions' binaries, each in a process of its own that fetches its events as in Lambda.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod api;
mod driver;
mod faults;
mod imports;
mod learning;
mod sending;
