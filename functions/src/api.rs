//! The HTTP routes, one module per resource.

pub mod analytics;
pub mod audit;
pub mod campaigns;
pub mod contacts;
pub mod domains;
pub mod imports;
pub mod jobs;
pub mod lists;
pub mod messages;
pub mod organizations;
pub mod senders;
pub mod ses_events;
pub mod suppressions;
pub mod tracking;
