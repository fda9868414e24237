//! Martlet's Lambda functions.
//!
//! `api` holds the HTTP routes, `events` what queues and schedules bring, `adapters` what stands behind the ports that
//! `shared` declares. The binaries only wire these together.

pub mod adapters;
pub mod api;
pub mod environment;
pub mod events;
pub mod http;
pub mod serve;
