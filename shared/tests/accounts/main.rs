//! Accounts against the real PostgreSQL: signing up, logging in, sessions, passwords, identity providers.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod attempts;
mod identities;
mod invited;
mod logins;
mod passwords;
mod reception;
mod sign_ups;
mod statements;
mod sweeping;
