//! What is learned about people and found out about their addresses, on the real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod desk;
mod enrichment;
mod interruptions;
mod verifications;
