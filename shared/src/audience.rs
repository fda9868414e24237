//! The people an organization writes to: contacts, lists, imported files, and who must not be written to.

pub mod contacts;
pub mod email_address;
pub mod enrichment;
pub mod imports;
pub mod lists;
pub mod personal_data;
pub mod persons;
pub mod providers;
pub mod selection;
pub mod suppressions;
pub mod verifications;
