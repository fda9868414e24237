//! `/v1/restorations`: an organization that is being deleted comes back by the link that its owners were sent.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::tokens::{ActionPurpose, KeyRing};
use shared::platform::audit::{self, Actor};
use shared::platform::organizations::deleting;
use shared::{Database, Error, OrganizationId};

use crate::http::{ApiResult, Body, Linked, Routes, Visitor, route};

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Restorations {
    /// As the role of tenant work.
    pub db: Database,
    /// The keys of the links.
    pub keys: Arc<KeyRing>,
}

/// The routes.
pub fn routes<R: Routes<Restorations>>(routes: R) -> R {
    routes.on(route!(POST "/v1/restorations"), create)
}

/// Serves the routes.
pub fn router(state: Restorations) -> Router {
    routes(Router::new()).with_state(state)
}

/// The link's token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    token: String,
}

/// What came back.
#[derive(Serialize, JsonSchema)]
struct RestoredView {
    organization_id: OrganizationId,
    name: String,
    slug: String,
    /// `active`, or `suspended` where whoever runs the installation has stopped it meanwhile.
    status: String,
}

/// Ends the deletion that the token is about. Its members log in again.
async fn create(
    visitor: Visitor,
    State(state): State<Restorations>,
    Body(body): Body<CreateBody>,
) -> ApiResult<Linked<RestoredView>> {
    let opened = state.keys.open_action_token(ActionPurpose::RestoreOrganization, &body.token);
    let deletion = opened.map_err(|_| Error::not_found("deletion"))?;
    let organization = deleting::organization_of(&state.db, deletion).await?;
    let tx = state.db.begin(organization).await?;
    let restored = deleting::restore(&tx, deletion).await?;
    let details = json!({"before": {"status": "deleting"}, "after": {"status": restored.status}, "by": "link"});
    let request_id = Some(visitor.request_id.as_str());
    audit::record(&tx, Actor::System, "organization.restored", organization.0, &details, request_id).await?;
    tx.commit().await?;
    Ok(Linked(RestoredView {
        organization_id: organization,
        name: restored.name,
        slug: restored.slug,
        status: restored.status,
    }))
}
