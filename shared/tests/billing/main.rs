//! Plans, onboarding, trial, subscription and export against the real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod exports;
mod lifecycle;
mod office;
mod plans;
mod stripe;
