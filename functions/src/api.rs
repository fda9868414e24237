//! The HTTP routes, one module per resource.

pub mod admin;
pub mod analytics;
pub mod audit;
pub mod auth;
pub mod campaigns;
pub mod contact_exports;
pub mod contacts;
pub mod custom_fields;
pub mod deleted_contacts;
pub mod docs;
pub mod domains;
pub mod enrichment;
pub mod exports;
pub mod imports;
pub mod invites;
pub mod jobs;
pub mod lead_forms;
pub mod leads;
pub mod lists;
pub mod logos;
pub mod messages;
pub mod organizations;
pub mod restorations;
pub mod segments;
pub mod senders;
pub mod ses_events;
pub mod stripe_events;
pub mod subscriptions;
pub mod suppressions;
pub mod tags;
pub mod tracking;
pub mod verifications;
pub mod webhooks;
pub mod workflows;

use crate::http::openapi::Description;

/// Describes all routes.
#[must_use]
pub fn describe() -> Description {
    let description = admin::routes(Description::default());
    let description = analytics::routes(description);
    let description = audit::routes(description);
    let description = auth::routes(description);
    let description = campaigns::routes(description);
    let description = contacts::routes(description);
    let description = docs::routes(description);
    let description = domains::routes(description);
    let description = enrichment::routes(description);
    let description = exports::routes(description);
    let description = imports::routes(description);
    let description = invites::routes(description);
    let description = jobs::routes(description);
    let description = lead_forms::routes(description);
    let description = leads::routes(description);
    let description = lists::routes(description);
    let description = logos::routes(description);
    let description = messages::routes(description);
    let description = organizations::routes(description);
    let description = restorations::routes(description);
    let description = segments::routes(description);
    let description = senders::routes(description);
    let description = ses_events::routes(description);
    let description = stripe_events::routes(description);
    let description = subscriptions::routes(description);
    let description = suppressions::routes(description);
    let description = tracking::routes(description);
    let description = verifications::routes(description);
    let description = webhooks::routes(description);
    workflows::routes(description)
}
