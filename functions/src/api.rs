//! The HTTP routes, one module per resource.

pub mod analytics;
pub mod audit;
pub mod campaigns;
pub mod contacts;
pub mod docs;
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

use crate::http::openapi::Description;

/// Describes all routes.
#[must_use]
pub fn describe() -> Description {
    let description = analytics::routes(Description::default());
    let description = audit::routes(description);
    let description = campaigns::routes(description);
    let description = contacts::routes(description);
    let description = docs::routes(description);
    let description = domains::routes(description);
    let description = imports::routes(description);
    let description = jobs::routes(description);
    let description = lists::routes(description);
    let description = messages::routes(description);
    let description = organizations::routes(description);
    let description = senders::routes(description);
    let description = ses_events::routes(description);
    let description = suppressions::routes(description);
    tracking::routes(description)
}
