//! Martlet's Lambda functions.
//!
//! `api` holds the HTTP routes, `events` what queues and schedules bring, `adapters` what stands behind the ports that
//! `shared` declares, `sns` what tells a genuine notification from a forged one. The binaries only wire these together.

pub mod adapters;
pub mod api;
pub mod environment;
pub mod events;
pub mod http;
pub mod serve;
pub mod sns;
