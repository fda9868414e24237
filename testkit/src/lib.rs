//! What Martlet's tests share: a database of their own, people and campaigns to fill it, and fakes of what is outside.
//!
//! The server is named by `TEST_DATABASE_URL`, the login of an owner that may create databases and roles but is no
//! superuser; `cargo xtask test` starts one and sets it.

#![expect(clippy::unwrap_used, reason = "a test that can't be prepared has failed")]

pub mod catalog;
pub mod database;
pub mod fakes;
pub mod object_store;
pub mod scene;

pub use database::TestDb;
pub use fakes::{FakeMailer, FakeQueue};
pub use object_store::{FakeImportQueue, FakeObjectStore};
pub use scene::Scene;
