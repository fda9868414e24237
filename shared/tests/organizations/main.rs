//! Organizations and the people in them, on the real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod administration;
mod configuration;
mod invites;
mod logos;
mod memberships;
mod people;
mod running;
