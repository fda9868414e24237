//! What every organization has, whatever it does with it: itself, its people and its keys, its long work, its record of
//! changes, its place under the limits of requests, what it is told of and what it starts elsewhere.

pub mod administration;
pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod config;
pub mod credentials;
pub mod csrf;
pub mod exports;
pub mod idempotency;
pub mod identities;
pub mod identity_providers;
pub mod invites;
pub mod jobs;
pub mod lifecycle_mails;
pub mod logins;
pub mod memberships;
pub mod oidc_logins;
pub mod onboarding;
pub mod organizations;
pub mod passwords;
pub mod plans;
pub mod rate_limits;
pub mod scopes;
pub mod sessions;
pub mod sign_ups;
pub mod stripe;
pub mod subscriptions;
pub mod usage;
pub mod user_tokens;
pub mod users;
pub mod webhooks;
pub mod workflows;
