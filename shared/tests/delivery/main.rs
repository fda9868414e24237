//! The send path against the real PostgreSQL: planning, sending, feedback, replies, stops.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod breaker;
mod enrolling;
mod erasing;
mod examining;
mod feedback;
mod forgetting;
mod hours;
mod letters;
mod limits;
mod model;
mod path;
mod plans;
mod races;
mod replies;
mod reports;
mod resolving;
mod restoration;
mod scheduling;
mod sending;
mod stage;
mod statistics;
mod suppressing;
mod sweeping;
mod system_mail;
mod tracking;
mod unsubscribing;
mod waiting;
mod webhooks;
mod why;
mod workflows;
