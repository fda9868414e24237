//! `/v1/invites`: for whoever was sent the link of an invite.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::tokens::{ActionPurpose, KeyRing};
use shared::platform::audit;
use shared::platform::invites::{self, Invitation};
use shared::platform::memberships::Role;
use shared::{Database, Error, InviteId, OrganizationId, Result};

use crate::http::{ApiResult, Body, Caller, Linked, Routes, Visitor, route};

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Invites {
    /// As the role of tenant work.
    pub db: Database,
    /// The keys of the links.
    pub keys: Arc<KeyRing>,
}

/// The routes.
pub fn routes<R: Routes<Invites>>(routes: R) -> R {
    routes.on(route!(POST "/v1/invites/accept"), accept).on(route!(POST "/v1/invites/show"), show)
}

/// Serves the routes.
pub fn router(state: Invites) -> Router {
    routes(Router::new()).with_state(state)
}

/// The link's token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    token: String,
}

/// Where the caller belongs now; switching to it opens a session there.
#[derive(Serialize, JsonSchema)]
struct AcceptedView {
    organization_id: OrganizationId,
    role: Role,
}

/// What the invite is to. It says nothing about accounts.
async fn show(_: Visitor, State(state): State<Invites>, Body(body): Body<TokenBody>) -> ApiResult<Linked<Invitation>> {
    let id = state.open(&body.token)?;
    let tx = state.db.begin(invites::organization_of(&state.db, id).await?).await?;
    let invitation = invites::show(&tx, id).await?;
    tx.commit().await?;
    Ok(Linked(invitation))
}

/// Makes the caller a member of the organization that the invite is of. It is recorded there.
async fn accept(
    caller: Caller,
    State(state): State<Invites>,
    Body(body): Body<TokenBody>,
) -> ApiResult<Json<AcceptedView>> {
    let (user, _) = caller.needed_person()?;
    let (actor, request_id) = (caller.actor(), caller.request_id().to_owned());
    // The work is another organization's, and a function has one connection. Carried out twice it is refused, not repeated.
    caller.commit().await?;
    let id = state.open(&body.token)?;
    let tx = state.db.begin(invites::organization_of(&state.db, id).await?).await?;
    let accepted = invites::accept(&tx, id, user).await?;
    let details = json!({"role": accepted.role});
    audit::record(&tx, actor, "invite.accepted", id.0, &details, Some(&request_id)).await?;
    tx.commit().await?;
    Ok(Json(AcceptedView { organization_id: accepted.organization, role: accepted.role }))
}

impl Invites {
    /// The invite that a token is signed over.
    ///
    /// Errors: [`Error::NotFound`].
    fn open(&self, token: &str) -> Result<InviteId> {
        let opened = self.keys.open_action_token(ActionPurpose::Invite, token);
        opened.map(InviteId).map_err(|_| Error::not_found("invite"))
    }
}
