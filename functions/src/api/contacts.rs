//! `/v1/contacts`: the people an organization may write to.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audience::bulk_acts::{self, BulkAct};
use shared::audience::contacts::{self, Contact, ContactFields, ContactInFull, Filter};
use shared::audience::duplicates::{self, Group, Reach, Read};
use shared::audience::merging::{self, Merged};
use shared::audience::personal_data::{self, Erased};
use shared::audience::persons::{self, Person, PersonPatch};
use shared::audience::tags::{self, TagOfContact};
use shared::audience::timeline::{self, Entry};
use shared::delivery::tokens::KeyRing;
use shared::outreach::enrollments::why::{self, ContactWhy};
use shared::platform::exports::ArchiveStore;
use shared::platform::jobs::{Job, JobQueue};
use shared::{ContactId, Database, TagId};

use super::{contact_exports, custom_fields, deleted_contacts, tags as tag_routes};
use crate::http::{
    Accepted, ApiResult, Body, Caller, Created, Id, JsonFile, Listing, NoContent, NoFilter, Page, Routes, created,
    route,
};

/// Records of one page of an export; their bytes are bounded apart.
const EXPORT_MAXIMUM: i64 = 1_000;

type Keys = Arc<KeyRing>;
/// Where jobs wait.
pub(super) type Queue = Arc<dyn JobQueue>;
/// Where files of contacts are put together.
pub(super) type Store = Arc<dyn ArchiveStore>;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Contacts {
    /// Logged in as martlet_app.
    pub db: Database,
    /// Recognizes forgotten addresses, and hashes those of people who are erased.
    pub keys: Keys,
    /// Where bulk acts wait, and the filling of custom fields.
    pub queue: Queue,
    /// Where files of contacts lie.
    pub store: Store,
}

/// The routes.
pub fn routes<R: Routes<Contacts>>(routes: R) -> R {
    let routes = contact_exports::routes(custom_fields::routes(deleted_contacts::routes(tag_routes::routes(routes))));
    routes
        .on(route!(GET "/v1/contacts"), list)
        .on(route!(POST "/v1/contacts"), create)
        .on(route!(GET "/v1/contacts/{id}"), find)
        .on(route!(PATCH "/v1/contacts/{id}"), update)
        .on(route!(DELETE "/v1/contacts/{id}"), delete)
        .on(route!(GET "/v1/contacts/{id}/person"), find_person)
        .on(route!(PATCH "/v1/contacts/{id}/person"), update_person)
        .on(route!(GET "/v1/contacts/{id}/why"), why)
        .on(route!(GET "/v1/contacts/{id}/export"), export)
        .on(route!(POST "/v1/contacts/{id}/erase"), erase)
        .on(route!(GET "/v1/contacts/duplicates"), list_duplicates)
        .on(route!(POST "/v1/contacts/{id}/merge"), merge)
        .on(route!(GET "/v1/contacts/{id}/timeline"), read_timeline)
        .on(route!(POST "/v1/contacts/{id}/tags"), give_tags)
        .on(route!(DELETE "/v1/contacts/{id}/tags/{tag_id}"), take_tag)
        .on(route!(POST "/v1/contacts/bulk"), act_on_many)
}

/// Serves the routes.
pub fn router(contacts: Contacts) -> Router {
    routes(Router::new()).with_state(contacts)
}

/// The newest contacts first; filtered by `email`, `email_prefix`, `list_id` and `status`.
async fn list(caller: Caller, listing: Listing<Filter>) -> ApiResult<Json<Page<Contact>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let rows = contacts::list(&caller.tx, &filter, page.before.map(ContactId), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, |contact| contact.id.0)))
}

/// Makes a contact.
async fn create(caller: Caller, Body(fields): Body<ContactFields>) -> ApiResult<Created<Contact>> {
    let contact = contacts::create(&caller.tx, fields).await?;
    caller.record("contact.created", contact.id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(created(format!("/v1/contacts/{}", contact.id), contact))
}

/// One contact with its lists and its imported row.
async fn find(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<Json<ContactInFull>> {
    let contact = contacts::find(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(contact))
}

/// When the person is written to next in each of their campaigns, and what holds that.
async fn why(caller: Caller, State(keys): State<Keys>, Id(id): Id<ContactId>) -> ApiResult<Json<ContactWhy>> {
    let told = why::of_contact(&caller.tx, &keys, id).await?;
    caller.commit().await?;
    Ok(Json(told))
}

/// What is known of the person behind a contact.
async fn find_person(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<Json<Person>> {
    let person = persons::of_contact(&caller.tx, id).await?;
    caller.commit().await?;
    Ok(Json(person))
}

/// Sets what is known by hand; null leaves a field to providers again.
async fn update_person(
    caller: Caller,
    Id(id): Id<ContactId>,
    Body(patch): Body<PersonPatch>,
) -> ApiResult<Json<Person>> {
    let person = persons::update(&caller.tx, id, &patch).await?;
    caller.record("person.updated", person.id.0, &json!({"contact_id": id, "fields": patch.names()})).await?;
    caller.commit().await?;
    Ok(Json(person))
}

/// Changes the fields that are given.
async fn update(caller: Caller, Id(id): Id<ContactId>, Body(fields): Body<ContactFields>) -> ApiResult<Json<Contact>> {
    let details = json!({"fields": fields.names()});
    let contact = contacts::update(&caller.tx, id, fields).await?;
    caller.record("contact.updated", id.0, &details).await?;
    caller.commit().await?;
    Ok(Json(contact))
}

/// Deletes a contact and takes back what is queued for it; it lies in the bin for a while, and suppressions stay.
async fn delete(caller: Caller, Id(id): Id<ContactId>) -> ApiResult<NoContent> {
    contacts::delete(&caller.tx, id, caller.id()).await?;
    caller.record("contact.deleted", id.0, &json!({})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// The tags that a contact has by name.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContactTags")]
struct Tags {
    tags: Vec<TagOfContact>,
}

/// The tags to give a contact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TagsToGive")]
struct Given {
    #[schemars(length(min = 1, max = tags::GIVE_MAXIMUM))]
    tag_ids: Vec<TagId>,
}

/// Gives a contact tags; those that it has stay.
async fn give_tags(caller: Caller, Id(id): Id<ContactId>, Body(given): Body<Given>) -> ApiResult<Json<Tags>> {
    let tags = tags::give(&caller.tx, id, &given.tag_ids).await?;
    caller.record("contact.tagged", id.0, &json!({"tag_ids": given.tag_ids})).await?;
    caller.commit().await?;
    Ok(Json(Tags { tags }))
}

/// Takes a tag from a contact.
async fn take_tag(caller: Caller, Id((id, tag)): Id<(ContactId, TagId)>) -> ApiResult<NoContent> {
    tags::take(&caller.tx, id, tag).await?;
    caller.record("contact.untagged", id.0, &json!({"tag_id": tag})).await?;
    caller.commit().await?;
    Ok(NoContent)
}

/// Contacts that are probably one person, in groups with the reason; the surest reasons first. A page may have fewer groups than it was
/// asked for, or none, and go on.
async fn list_duplicates(caller: Caller, listing: Listing<duplicates::Filter>) -> ApiResult<Json<Page<Group>>> {
    let (filter, page) = listing.read(caller.organization())?;
    let reach = Reach { groups: usize::try_from(page.fetch - 1).unwrap_or_default(), contacts: duplicates::WALKED };
    let Read { groups, next } = duplicates::list(&caller.tx, &filter, page.before.as_ref(), reach).await?;
    caller.commit().await?;
    Ok(Json(Page { data: groups, next_cursor: next.and_then(|place| page.cursor(place)) }))
}

/// The contacts to merge into another.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContactsToMerge")]
struct Others {
    #[schemars(length(min = 1, max = merging::MAXIMUM))]
    contact_ids: Vec<ContactId>,
}

/// Merges other contacts, also such as lie in the bin, into this one.
async fn merge(caller: Caller, Id(id): Id<ContactId>, Body(others): Body<Others>) -> ApiResult<Json<Merged>> {
    let merged = merging::merge(&caller.tx, id, &others.contact_ids, caller.id()).await?;
    caller.record("contact.merged", id.0, &json!({"contact_ids": merged.merged})).await?;
    caller.commit().await?;
    Ok(Json(merged))
}

/// What has happened to a contact, the newest first.
async fn read_timeline(caller: Caller, Id(id): Id<ContactId>, listing: Listing) -> ApiResult<Json<Page<Entry>>> {
    let (_, page) = listing.read(caller.organization())?;
    let rows = timeline::read(&caller.tx, id, page.before.clone(), page.fetch).await?;
    caller.commit().await?;
    Ok(Json(page.page(rows, Entry::place)))
}

/// Does the same to many contacts, by a job.
async fn act_on_many(
    caller: Caller,
    State(queue): State<Queue>,
    Body(asked): Body<BulkAct>,
) -> ApiResult<Accepted<Job>> {
    let act = asked.act;
    let job = bulk_acts::create(&caller.tx, asked, caller.id()).await?;
    caller.record("contacts.bulk_act_begun", job.id.0, &json!({"act": act, "total": job.total})).await?;
    let organization = caller.organization();
    caller.commit().await?;
    queue.enqueue(organization, job.id).await?;
    Ok(Accepted { path: format!("/v1/jobs/{}", job.id), body: job })
}

/// A page of an export as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContactExport")]
struct Export {
    #[serde(flatten)]
    page: personal_data::Page,
    next_cursor: Option<String>,
}

/// Everything that is stored about a person, as a file; `next_cursor` asks for the next.
async fn export(
    caller: Caller,
    State(keys): State<Keys>,
    Id(id): Id<ContactId>,
    listing: Listing<NoFilter, EXPORT_MAXIMUM>,
) -> ApiResult<JsonFile<Export>> {
    let (_, request) = listing.read(caller.organization())?;
    let limit = usize::try_from(request.fetch - 1).unwrap_or_default();
    let page = personal_data::export(&caller.tx, &keys, id, request.before, limit).await?;
    caller.record("contact.exported", id.0, &json!({})).await?;
    caller.commit().await?;
    let next_cursor = page.more_after.and_then(|place| request.cursor(place));
    Ok(JsonFile { name: format!("contact-{id}.json"), body: Export { page, next_cursor } })
}

/// Erases a person, and keeps what is needed never to write to them again.
async fn erase(caller: Caller, State(keys): State<Keys>, Id(id): Id<ContactId>) -> ApiResult<Json<Erased>> {
    let erased = personal_data::erase(&caller.tx, &keys, id).await?;
    caller.record("contact.erased", id.0, &json!(erased)).await?;
    caller.commit().await?;
    Ok(Json(erased))
}
