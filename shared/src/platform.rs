//! What every organization has, whatever it does with it: itself, its keys, its long work, its record of changes.

pub mod api_keys;
pub mod audit;
pub mod config;
pub mod jobs;
pub mod organizations;
