//! The send path against the real PostgreSQL: planning, sending, feedback, replies, stops.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod breaker;
mod feedback;
mod model;
mod path;
mod races;
mod replies;
mod scheduling;
mod sending;
mod stage;
mod sweeping;
mod unsubscribing;
