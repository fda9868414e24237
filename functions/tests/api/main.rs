//! The API through its routers: samples from `events/`, the real PostgreSQL behind.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod access;
mod admin;
mod analytics;
mod app;
mod audit;
mod auth;
mod auth_providers;
mod bulk;
mod campaigns;
mod campaigns_activation;
mod campaigns_preflight;
mod campaigns_statistics;
mod contact_exports;
mod contacts;
mod custom_fields;
mod deleted_contacts;
mod domains;
mod exports;
mod idempotency;
mod imports;
mod jobs;
mod lists;
mod log_lines;
mod logos;
mod members;
mod merging;
mod messages;
mod openapi;
mod organizations;
mod rate_limits;
mod senders;
mod ses_events;
mod sessions;
mod stripe_events;
mod subscriptions;
mod suppressions;
mod tags;
mod timeline;
mod tracking;
mod walk;
mod webhooks;
mod whole;
mod workflows;
