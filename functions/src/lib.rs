//! Martlet's Lambda functions.
//!
//! `api` holds the HTTP routes, `events` what queues and schedules bring, `adapters` what stands behind the ports that
//! `shared` declares, `sns` what tells a genuine notification from a forged one, `oidc` who an
//! identity provider says that somebody is. The binaries only wire these together.

pub mod adapters;
pub mod api;
pub mod environment;
pub mod events;
pub mod http;
pub mod oidc;
pub mod serve;
pub mod sns;
