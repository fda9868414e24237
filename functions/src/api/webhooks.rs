//! `/v1/webhooks`: where an organization is told of what happens, and how the telling went.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::tokens::KeyRing;
use shared::error::describe;
use shared::platform::webhooks::Reach;
use shared::platform::webhooks::deliveries::{self, Delivery, DeliveryInFull, Filter};
use shared::platform::webhooks::dispatching::WebhookQueue;
use shared::platform::webhooks::endpoints::{self, Endpoint, EndpointFields, NewEndpoint};
use shared::platform::webhooks::secrets::Secret;
use shared::{Database, OrganizationId, WebhookDeliveryId, WebhookEndpointId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

/// What the routes need, those of workflows as well.
#[derive(Clone, FromRef)]
pub struct Webhooks {
    /// Logged in as martlet_app.
    pub db: Database,
    /// What secrets are stored under.
    pub keys: Arc<KeyRing>,
    /// Where organizations wait for the dispatcher.
    pub queue: Arc<dyn WebhookQueue>,
    /// How far addresses may lead.
    pub reach: Reach,
}

impl Webhooks {
    /// Says that there is something to tell. What is not heard is found by the scheduler within a minute.
    pub(super) async fn hint(&self, organization: OrganizationId) {
        if let Err(error) = self.queue.enqueue(&[organization], Duration::ZERO).await {
            tracing::warn!(error = describe(&error), "the dispatcher is not told");
        }
    }
}

/// The routes.
pub fn routes<R: Routes<Webhooks>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/webhooks"), list)
        .on(route!(POST "/v1/webhooks"), create)
        .on(route!(GET "/v1/webhooks/{id}"), find)
        .on(route!(PATCH "/v1/webhooks/{id}"), update)
        .on(route!(DELETE "/v1/webhooks/{id}"), delete)
        .on(route!(POST "/v1/webhooks/{id}/rotate"), rotate)
        .on(route!(POST "/v1/webhooks/{id}/test"), test)
        .on(route!(POST "/v1/webhooks/{id}/replay"), replay_failed)
        .on(route!(GET "/v1/webhooks/deliveries"), list_deliveries)
        .on(route!(GET "/v1/webhooks/deliveries/{id}"), find_delivery)
        .on(route!(POST "/v1/webhooks/deliveries/{id}/replay"), replay)
}

/// Serves the routes.
pub fn router(webhooks: Webhooks) -> Router {
    routes(Router::new()).with_state(webhooks)
}

/// An endpoint with a secret that has just been made: this answer alone holds it.
#[derive(Serialize, JsonSchema)]
struct NewEndpointView {
    #[serde(flatten)]
    endpoint: Endpoint,
    /// `whsec_` and base64.
    secret: String,
}

/// The newest endpoints first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Endpoint>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = endpoints::list(&caller.tx, page.before.map(WebhookEndpointId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |endpoint| endpoint.id.0)))
}

/// Makes an endpoint.
async fn create(
    State(Webhooks { keys, reach, .. }): State<Webhooks>,
    caller: Caller,
    Body(new): Body<NewEndpoint>,
) -> ApiResult<Created<NewEndpointView>> {
    let made = endpoints::create(&caller.tx, &keys, reach, &new).await?;
    show(caller, "webhook_endpoint.created", made).await
}

/// Makes another secret.
async fn rotate(
    State(Webhooks { keys, .. }): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WebhookEndpointId>,
) -> ApiResult<Created<NewEndpointView>> {
    let made = endpoints::rotate_secret(&caller.tx, &keys, id).await?;
    show(caller, "webhook_endpoint.secret_rotated", made).await
}

/// Records a new secret, commits, and shows it.
async fn show(
    caller: Caller,
    action: &str,
    (endpoint, secret): (Endpoint, Secret),
) -> ApiResult<Created<NewEndpointView>> {
    caller.record(action, endpoint.id.0, &json!({ "event_types": endpoint.event_types })).await?;
    caller.commit().await?;
    let path = format!("/v1/webhooks/{}", endpoint.id);
    Ok(created(path, NewEndpointView { endpoint, secret: secret.text() }).showing_once(&["/secret"]))
}

/// One endpoint.
async fn find(caller: Caller, Id(id): Id<WebhookEndpointId>) -> ApiResult<Json<Endpoint>> {
    let endpoint = endpoints::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(endpoint))
}

/// Changes the fields that are given.
async fn update(
    State(Webhooks { reach, .. }): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WebhookEndpointId>,
    Body(fields): Body<EndpointFields>,
) -> ApiResult<Json<Endpoint>> {
    let details = json!({ "fields": fields.names(), "status": fields.status });
    let endpoint = endpoints::update(&caller.tx, reach, id, fields).await?;
    caller.record("webhook_endpoint.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(endpoint))
}

/// Deletes an endpoint with the record of its deliveries.
async fn delete(caller: Caller, Id(id): Id<WebhookEndpointId>) -> ApiResult<NoContent> {
    endpoints::delete(&caller.tx, id).await?;
    caller.record("webhook_endpoint.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// Sends an event that says nothing.
async fn test(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WebhookEndpointId>,
) -> ApiResult<Created<Delivery>> {
    let delivery = deliveries::test(&caller.tx, id).await?;
    caller.record("webhook_endpoint.tested", id.0, &json!({ "delivery_id": delivery.id })).await?;
    let organization = caller.organization();
    caller.commit().await?;
    webhooks.hint(organization).await;
    Ok(created(format!("/v1/webhooks/deliveries/{}", delivery.id), delivery))
}

/// Since when what was not taken is told again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplayFailed {
    /// Deliveries made at this time or later.
    since: DateTime<Utc>,
}

/// How much is told again.
#[derive(Serialize, JsonSchema)]
struct Replayed {
    /// Deliveries, at most 1,000; ask again for the rest.
    replayed: usize,
}

/// Tells an endpoint again what it has not taken.
async fn replay_failed(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WebhookEndpointId>,
    Body(ReplayFailed { since }): Body<ReplayFailed>,
) -> ApiResult<Json<Replayed>> {
    let replayed = deliveries::replay_failed(&caller.tx, id, since).await?;
    caller.record("webhook_endpoint.replayed", id.0, &json!({ "deliveries": replayed })).await?;
    let organization = caller.organization();
    caller.commit().await?;
    webhooks.hint(organization).await;
    Ok(Json(Replayed { replayed }))
}

/// The newest deliveries first; filtered by `endpoint_id`, `state` and `type`.
async fn list_deliveries(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Delivery>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = deliveries::list(&caller.tx, &filter, page.before.map(WebhookDeliveryId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |delivery| delivery.id.0)))
}

/// One delivery with what is told.
async fn find_delivery(caller: Caller, Id(id): Id<WebhookDeliveryId>) -> ApiResult<Json<DeliveryInFull>> {
    let delivery = deliveries::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(delivery))
}

/// Tells it again.
async fn replay(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Id(id): Id<WebhookDeliveryId>,
) -> ApiResult<Json<Delivery>> {
    let delivery = deliveries::replay(&caller.tx, id).await?;
    caller.record("webhook_delivery.replayed", id.0, &json!({ "endpoint_id": delivery.endpoint_id })).await?;
    let organization = caller.organization();
    caller.commit().await?;
    webhooks.hint(organization).await;
    Ok(Json(delivery))
}
