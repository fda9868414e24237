//! `/v1/organizations/{id}/keys`: the API keys of the organization.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::platform::api_keys::{self, ApiKey, KeyFields, NewKeyFields, Rotation};
use shared::platform::organizations;
use shared::{ApiKeyId, OrganizationId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, Page, created};

/// A key, and whether it is the one that asks.
#[derive(Serialize, JsonSchema)]
pub(super) struct KeyView {
    #[serde(flatten)]
    key: ApiKey,
    is_current: bool,
}

impl KeyView {
    fn new(key: ApiKey, current: Option<ApiKeyId>) -> Self {
        Self { is_current: current == Some(key.id), key }
    }
}

/// A key that has just been made: this answer alone holds its text.
#[derive(Serialize, JsonSchema)]
pub(super) struct NewKeyView {
    #[serde(flatten)]
    view: KeyView,
    key: String,
}

/// The newest keys first, revoked ones too.
pub(super) async fn list(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    listing: Listing,
) -> ApiResult<Json<Page<KeyView>>> {
    let (_, page) = listing.read(caller.organization())?;
    organizations::check(&caller.tx, id)?;
    let rows = api_keys::list(&caller.tx, page.before.map(ApiKeyId), page.fetch).await?;
    let current = caller.key();
    caller.commit().await?;
    let rows = rows.into_iter().map(|key| KeyView::new(key, current)).collect();
    Ok(Json(page.page(rows, |view: &KeyView| view.key.id.0)))
}

/// Makes a key.
pub(super) async fn create(
    caller: Caller,
    Id(id): Id<OrganizationId>,
    Body(new): Body<NewKeyFields>,
) -> ApiResult<Created<NewKeyView>> {
    organizations::check(&caller.tx, id)?;
    let made = api_keys::issue(&caller.tx, caller.rights(), &new).await?;
    answer(caller, id, "api_key.created", made, Value::Null).await
}

/// Makes a key like another one, which goes on beside it for a while.
pub(super) async fn rotate(
    caller: Caller,
    Id((id, key)): Id<(OrganizationId, ApiKeyId)>,
    body: Option<Body<Rotation>>,
) -> ApiResult<Created<NewKeyView>> {
    organizations::check(&caller.tx, id)?;
    let rotation = body.map(|Body(rotation)| rotation).unwrap_or_default();
    let made = api_keys::rotate(&caller.tx, caller.rights(), key, &rotation).await?;
    answer(caller, id, "api_key.rotated", made, json!(key)).await
}

/// Records a new key, commits, and shows it with its text.
async fn answer(
    caller: Caller,
    organization: OrganizationId,
    action: &str,
    (key, text): (ApiKey, String),
    instead_of: Value,
) -> ApiResult<Created<NewKeyView>> {
    let details = json!({
        "name": key.name, "mode": key.mode, "prefix": key.prefix, "scopes": key.scopes, "expires_at": key.expires_at, "instead_of": instead_of,
    });
    caller.record(action, key.id.0, &details).await?;
    let view = NewKeyView { view: KeyView::new(key, caller.key()), key: text };
    caller.commit().await?;
    let path = format!("/v1/organizations/{organization}/keys/{}", view.view.key.id);
    Ok(created(path, view).showing_once(&["/key"]))
}

/// One key.
pub(super) async fn find(caller: Caller, Id((id, key)): Id<(OrganizationId, ApiKeyId)>) -> ApiResult<Json<KeyView>> {
    organizations::check(&caller.tx, id)?;
    let view = KeyView::new(api_keys::find(&caller.tx, key).await?, caller.key());
    caller.commit().await?;
    Ok(Json(view))
}

/// Changes name, scopes or expiry.
pub(super) async fn update(
    caller: Caller,
    Id((id, key)): Id<(OrganizationId, ApiKeyId)>,
    Body(fields): Body<KeyFields>,
) -> ApiResult<Json<KeyView>> {
    organizations::check(&caller.tx, id)?;
    let before = api_keys::find(&caller.tx, key).await?;
    let after = api_keys::update(&caller.tx, caller.rights(), key, fields).await?;
    caller.record_change("api_key.updated", key.0, &before, &after).await?;
    let view = KeyView::new(after, caller.key());
    caller.commit().await?;
    Ok(Json(view))
}

/// Revokes a key for good; the key that asks may be the one. The row stays and says when.
pub(super) async fn revoke(caller: Caller, Id((id, key)): Id<(OrganizationId, ApiKeyId)>) -> ApiResult<Json<KeyView>> {
    organizations::check(&caller.tx, id)?;
    let view = KeyView::new(api_keys::revoke(&caller.tx, caller.rights(), key).await?, caller.key());
    caller.record("api_key.revoked", key.0, &json!({"is_current": view.is_current})).await?;
    caller.commit().await?;
    Ok(Json(view))
}
