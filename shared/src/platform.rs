//! What every organization has, whatever it does with it: itself, its people and its keys, its long work, its record of
//! changes, its place under the limits of requests.

pub mod administration;
pub mod api_keys;
pub mod audit;
pub mod config;
pub mod credentials;
pub mod csrf;
pub mod idempotency;
pub mod invites;
pub mod jobs;
pub mod memberships;
pub mod organizations;
pub mod rate_limits;
pub mod scopes;
pub mod sessions;
