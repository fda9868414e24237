//! The people an organization writes to: contacts, lists, imported files, and who must not be written to.

pub mod bulk_acts;
pub mod contact_exports;
pub mod contacts;
pub mod custom_fields;
pub mod deleted_contacts;
pub mod duplicates;
pub mod email_address;
pub mod enrichment;
pub mod imports;
pub mod lead_forms;
pub mod leads;
pub mod lists;
pub mod merging;
pub mod personal_data;
pub mod persons;
pub mod providers;
pub mod segments;
pub mod selection;
pub mod suppressions;
pub mod tags;
pub mod timeline;
pub mod verifications;
