//! What is sent, to whom, and how far each person has come in it.

pub mod activation;
pub mod campaign_senders;
pub mod campaigns;
pub mod dealing;
pub mod enrolling;
pub mod enrollments;
pub mod preflight;
pub mod reports;
pub mod settings;
pub mod statistics;
pub mod steps;
pub mod templates;
