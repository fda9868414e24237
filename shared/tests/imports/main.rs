//! Imports from the uploaded file to the contacts, on the real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod desk;
mod exports;
mod files;
mod interruptions;
mod rules;
mod wishes;
mod workbooks;
