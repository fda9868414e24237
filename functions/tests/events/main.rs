//! The functions that queues, schedules and deployments invoke, with samples from `events/`, the real PostgreSQL behind.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod ledger;
mod maintenance;
mod migrate;
mod provider;
mod reports;
mod samples;
mod webhooks;
