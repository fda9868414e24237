//! `/v1/admin`: for those who run the installation.

mod address_lists;
mod config;
mod organizations;
mod users;

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::delivery::system_mail::{self, NewSystemMail, Template};
use shared::fields::Fields;
use shared::platform::administration::health::{self, Health, Queues};
use shared::platform::administration::{self, Act};
use shared::{Database, Error, MessageId};
use uuid::Uuid;

use crate::http::{Accepted, ApiResult, Body, Caller, Listing, Page, Routes, route};

/// What the routes work with.
#[derive(Clone, FromRef)]
pub struct Admin {
    /// As martlet_admin.
    pub db: Database,
    /// The queues of the installation.
    pub queues: Arc<dyn Queues>,
}

/// The routes.
pub fn routes<R: Routes<Admin>>(routes: R) -> R {
    routes
        .on(route!(GET "/v1/admin/address-lists"), address_lists::count)
        .on(route!(PUT "/v1/admin/address-lists/{list}"), address_lists::take)
        .on(route!(GET "/v1/admin/config"), config::list)
        .on(route!(GET "/v1/admin/config/{category}/{key}"), config::find)
        .on(route!(PUT "/v1/admin/config/{category}/{key}"), config::set)
        .on(route!(GET "/v1/admin/config/{category}/{key}/history"), config::history)
        .on(route!(GET "/v1/admin/health"), examine)
        .on(route!(GET "/v1/admin/log"), log)
        .on(route!(GET "/v1/admin/organizations"), organizations::list)
        .on(route!(GET "/v1/admin/organizations/{id}"), organizations::find)
        .on(route!(PATCH "/v1/admin/organizations/{id}"), organizations::update)
        .on(route!(POST "/v1/admin/organizations/{id}/resume"), organizations::resume)
        .on(route!(POST "/v1/admin/organizations/{id}/suspend"), organizations::suspend)
        .on(route!(POST "/v1/admin/test-mails"), send_test_mail)
        .on(route!(GET "/v1/admin/users"), users::list)
        .on(route!(GET "/v1/admin/users/{id}"), users::find)
        .on(route!(POST "/v1/admin/users/{id}/demote"), users::demote)
        .on(route!(POST "/v1/admin/users/{id}/disable"), users::disable)
        .on(route!(POST "/v1/admin/users/{id}/enable"), users::enable)
        .on(route!(POST "/v1/admin/users/{id}/promote"), users::promote)
}

/// Serves the routes.
pub fn router(state: Admin) -> Router {
    routes(Router::new()).with_state(state)
}

/// Whom to write to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TestMailBody {
    recipient: String,
}

/// A mail that is on its way, in the ledger of the default organization.
#[derive(Serialize, JsonSchema)]
struct TestMailView {
    message_id: MessageId,
}

/// Records an act on the installation, which is nobody's but the caller's.
async fn record(caller: &Caller, action: &str, subject: Option<Uuid>, details: &serde_json::Value) -> ApiResult<()> {
    let (user, _) = caller.needed_person()?;
    let request_id = Some(caller.request_id());
    Ok(administration::record(&caller.tx, Some(user), action, subject, details, request_id).await?)
}

/// How the installation is. The queues are asked too; that one does not answer is part of the answer.
async fn examine(caller: Caller, State(queues): State<Arc<dyn Queues>>) -> ApiResult<Json<Health>> {
    let health = health::examine(&caller.tx, queues.depths().await).await?;
    caller.commit().await?;
    Ok(Json(health))
}

/// What was done to the installation, the newest acts first.
async fn log(caller: Caller, listing: Listing) -> ApiResult<Json<Page<Act>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = administration::log(&caller.tx, page.before, page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |act| act.id)))
}

/// Tries whether mail goes: the way of every mail, so the answer says no more than that it was planned.
async fn send_test_mail(caller: Caller, Body(body): Body<TestMailBody>) -> ApiResult<Accepted<TestMailView>> {
    let mut fields = Fields::default();
    let recipient = fields.email("recipient", &body.recipient);
    fields.finish()?;
    let recipient = recipient.ok_or_else(|| Error::internal("an address that was not refused is one"))?;
    let mail = NewSystemMail {
        template: Template::TestMail,
        recipient: recipient.as_str().to_owned(),
        variables: json!({}),
        action: None,
        dedupe_key: format!("test_mail:{}", shared::ids::fresh()),
        send_at: caller.now(),
    };
    let message_id = system_mail::plan(&caller.tx, &mail).await?;
    record(&caller, "test_mail.planned", Some(message_id.0), &json!({})).await?;
    caller.commit().await?;
    Ok(Accepted { path: format!("/v1/messages/{message_id}"), body: TestMailView { message_id } })
}
