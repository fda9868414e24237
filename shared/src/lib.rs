//! Martlet's domain and its Postgres access.
//!
//! The rules live here, in modules named after what people talk about; `functions` turns HTTP requests and queue
//! messages into calls of this crate. It knows no AWS and no HTTP, and it never reads a clock: time is an argument.

pub mod audience;
pub mod db;
pub mod delivery;
pub mod error;
pub mod fault_points;
pub mod fields;
pub mod ids;
pub mod outreach;
pub mod platform;
mod sentences;
pub mod spreadsheets;
pub mod text_models;
pub mod timestamps;

pub use db::{Database, Tx};
pub use error::{Error, FieldError, Result};
pub use ids::*;
