//! Webhooks: an organization is told elsewhere of what happens here, by the rules of Standard Webhooks
//! (github.com/standard-webhooks/standard-webhooks, 1.0.0).
//!
//! What happens is written into an **outbox** in the transaction that does it, and only where an endpoint wants it. The
//! **dispatcher** makes a delivery of it for each such endpoint, posts it, and tries again until the endpoint has taken it or
//! its time is over. An event may be told twice, then under the same `webhook-id`; in which order is not promised.

pub mod addresses;
pub mod deleting;
pub mod deliveries;
pub mod dispatching;
pub mod endpoints;
mod event_types;
pub mod outbox;
pub mod secrets;
pub mod signatures;
pub mod sweeping;
mod targets;

pub use self::event_types::EventType;
pub use self::targets::{BadTarget, Reach, Target, is_local_name};
