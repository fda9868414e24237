//! The send path: the ledger and everything that touches it.

pub mod automatic_replies;
pub mod breaker;
pub mod domains;
pub mod feedback;
pub mod gates;
pub mod inbound;
pub mod limits;
pub mod mail;
pub mod messages;
pub mod provider_account;
pub mod schedule;
pub mod scheduling;
pub mod senders;
pub mod sending;
pub mod settling;
pub mod slots;
pub mod stopping;
pub mod sweeping;
pub mod tokens;
pub mod tracked_links;
pub mod tracking;
pub mod unsubscribing;
pub mod visitors;
