//! What Martlet's tests share: a database of their own, people and campaigns to fill it, fakes of what is outside, and a
//! driver for the functions' binaries.
//!
//! The server is named by `TEST_DATABASE_URL`, the login of an owner that may create databases and roles but is no
//! superuser; `cargo xtask test` starts one and sets it.

#![expect(clippy::unwrap_used, reason = "a test that can't be prepared has failed")]

pub mod archive_store;
pub mod aws_stand_in;
pub mod catalog;
pub mod database;
pub mod fakes;
pub mod faults;
pub mod generator;
pub mod installation;
pub mod killed;
pub mod object_store;
pub mod providers;
pub mod runtime_api;
pub mod scene;
pub mod simulation;
pub mod workbooks;

pub use archive_store::FakeArchiveStore;
pub use aws_stand_in::AwsStandIn;
pub use database::TestDb;
pub use fakes::{FakeAccount, FakeJobQueue, FakeMailer, FakeMemory, FakeQueue, FakeWebhookQueue};
pub use installation::Installation;
pub use killed::Killed;
pub use object_store::{FakeImportQueue, FakeObjectStore};
pub use providers::{FakeAsker, FakeEnrichmentQueue, FakeMailHosts};
pub use scene::Scene;
use shared::delivery::tokens::KeyRing;

/// The keys of the tokens in mails, as their secret holds them.
pub const KEYS: &str = r#"{"current": 1, "key_1": "for tests only: 0123456789 0123456789"}"#;

/// The same, read.
#[must_use]
pub fn key_ring() -> KeyRing {
    KeyRing::from_json(KEYS).unwrap()
}
