//! `/v1/domains`: the domains an organization sends from.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::delivery::domains::{self, Domain, DomainFields, DomainName, Identities};
use shared::{Database, DomainId};

use crate::http::{ApiResult, Body, Caller, Created, Id, Listing, NoContent, Page, Routes, created, route};

type Provider = Arc<dyn Identities>;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Domains {
    db: Database,
    identities: Provider,
}

/// The routes.
pub fn routes<R: Routes<Domains>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/domains"), list)
        .on(route!(POST "/v1/domains"), create)
        .on(route!(GET "/v1/domains/{id}"), find)
        .on(route!(PATCH "/v1/domains/{id}"), update)
        .on(route!(DELETE "/v1/domains/{id}"), delete)
        .on(route!(POST "/v1/domains/{id}/verify"), verify)
}

/// Serves the routes.
pub fn router(db: Database, identities: Provider) -> Router {
    routes(Router::new()).with_state(Domains { db, identities })
}

/// The newest domains first.
async fn list(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Domain>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = domains::list(&caller.tx, page.before.map(DomainId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |domain| domain.id.0)))
}

/// A domain to send from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewDomain {
    #[schemars(extend("format" = "hostname"))]
    name: String,
}

/// Makes a domain; the answer holds the records to publish.
async fn create(
    caller: Caller,
    State(identities): State<Provider>,
    Body(new): Body<NewDomain>,
) -> ApiResult<Created<Domain>> {
    let domain = domains::create(&caller.tx, &*identities, &DomainName::parse(&new.name)?).await?;
    caller.record("domain.created", domain.id.0, &json!({"name": domain.name})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/domains/{}", domain.id), domain))
}

/// One domain with its records.
async fn find(caller: Caller, Id(id): Id<DomainId>) -> ApiResult<Json<Domain>> {
    let domain = domains::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(domain))
}

/// Changes the fields that are given.
async fn update(caller: Caller, Id(id): Id<DomainId>, Body(fields): Body<DomainFields>) -> ApiResult<Json<Domain>> {
    let before = domains::find(&caller.tx, id).await?;
    let domain = domains::update(&caller.tx, id, fields).await?;
    caller.record_change("domain.updated", id.0, &before, &domain).await?;
    caller.commit().await?;
    Ok(Json(domain))
}

/// Asks the provider whether the records are published.
async fn verify(caller: Caller, State(identities): State<Provider>, Id(id): Id<DomainId>) -> ApiResult<Json<Domain>> {
    let domain = domains::verify(&caller.tx, &*identities, id).await?;
    caller.record("domain.checked", id.0, &json!({"status": domain.status})).await?;
    caller.commit().await?;
    Ok(Json(domain))
}

/// Deletes a domain that no sender uses.
async fn delete(caller: Caller, Id(id): Id<DomainId>) -> ApiResult<NoContent> {
    domains::delete(&caller.tx, id).await?;
    caller.record("domain.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}
