//! Lead forms: what may come in from a page that everybody can read, and what becomes of it.
//!
//! A form has a key of its own, which is no secret, since it stands in the page: it opens this one door, takes as much as the form's limits
//! say, and tells nothing. What comes through it is [`leads`](super::leads).

mod keys;
mod origins;

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

pub use self::keys::LeadKey;
use self::origins::normalized;
pub(super) use self::origins::{URL_MAXIMUM, is_page_url};
use super::custom_fields;
use crate::fields::{Fields, given, patched};
use crate::{Error, LeadFormId, ListId, Result, TagId, Tx};

/// Forms of one organization: more than it has pages that ask for addresses.
const FORMS_MAXIMUM: i64 = 100;
/// Characters of a form's name.
const NAME_MAXIMUM: usize = 200;
/// Characters of what people agree to.
const CONSENT_MAXIMUM: usize = 2_000;
/// Origins of one form.
const ORIGINS_MAXIMUM: usize = 20;
/// Lists that a form puts people on: each is locked while somebody is put there.
const LISTS_MAXIMUM: usize = 5;
/// Tags that a form gives.
const TAGS_MAXIMUM: usize = 20;
/// Fields that a form may set: the standard ones, and as many of its own as an organization defines.
const FIELDS_MAXIMUM: usize = 55;
/// Characters of the name of the field that nobody sees.
const HONEYPOT_MAXIMUM: usize = 64;
/// Submissions that a form may take within a minute and within a day, at most.
const MINUTE_MAXIMUM: i32 = 1_000;
const DAY_MAXIMUM: i32 = 100_000;
/// Seconds for which a key goes on beside the one that takes its place, unless told otherwise, and at most.
const OVERLAP_SECONDS: i64 = 86_400;
const OVERLAP_SECONDS_MAXIMUM: i64 = 30 * 86_400;

/// The fields of a contact that a form may be allowed to set beside the address.
pub(super) const STANDARD_FIELDS: [&str; 5] = ["name", "first_name", "last_name", "company", "timezone"];
/// What the name of a custom field has in front of it.
pub(super) const CUSTOM_PREFIX: &str = "custom.";
/// Names that mean the same in every form.
pub(super) const EMAIL: &str = "email";
/// Whether the person agrees to the form's text.
pub(super) const CONSENT: &str = "consent";
/// The page that the form stands in.
pub(super) const PAGE_URL: &str = "page_url";

/// What becomes of fields that a form does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// Whoever sends one is refused.
    Refuse,
    /// They are left out.
    Ignore,
    /// They become custom fields, unless they are a contact's own or defined: those the form has to name.
    Keep,
}

impl UnknownFields {
    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Ignore => "ignore",
            Self::Keep => "keep",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        match name {
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            "keep" => Ok(Self::Keep),
            other => Err(Error::internal(format!("a lead form has {other} for unknown fields"))),
        }
    }
}

/// A form as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LeadForm {
    /// Its id.
    pub id: LeadFormId,
    /// What it is called here.
    pub name: String,
    /// Whether it takes anything; one that does not is answered as one that is not there.
    pub is_enabled: bool,
    /// What stands in the page. It is no secret.
    pub key: String,
    /// Where the page sends to.
    pub path: String,
    /// Until when the key before the present one is good as well; null when there is none.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub previous_key_ends_at: Option<DateTime<Utc>>,
    /// The origins whose pages may use it, as `https://www.example.com`. Without any, programs alone may, which send no origin.
    pub allowed_origins: Vec<String>,
    /// The lists that people are put on.
    pub list_ids: Vec<ListId>,
    /// The tags that they get.
    pub tag_ids: Vec<TagId>,
    /// What it may say of a person beside the address.
    pub fields: Vec<String>,
    /// What becomes of other fields.
    pub unknown_fields: UnknownFields,
    /// What people agree to by `consent`; null where they are not asked.
    pub consent_text: Option<String>,
    /// A field that nobody sees: what comes with it filled in is answered like everything else, and not kept.
    pub honeypot_field: Option<String>,
    /// Where a browser that has sent the form itself goes on; null where it stays at the answer.
    pub thank_you_url: Option<String>,
    /// Submissions that it takes within a minute.
    pub minute_limit: i32,
    /// Submissions that it takes within a day (UTC).
    pub day_limit: i32,
    /// What has become of all that came.
    pub counts: Counts,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What has become of all that came through a form.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "LeadFormCounts")]
pub struct Counts {
    /// Taken, those of forgotten addresses among them, of which nothing is kept.
    pub accepted: i64,
    /// Not as the form wants it, or from a page that may not use it.
    pub refused: i64,
    /// Over the limit of the minute or the day.
    pub throttled: i64,
    /// With the field filled in that nobody sees.
    pub trapped: i64,
    /// Taken, and left off a list that has no room by the plan.
    pub not_listed: i64,
}

/// A form's fields as a caller gives them, not checked yet: absent ones stay as they are, or as a new form has them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeadFormFields {
    /// What it is called here. Needed for a new form.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String", length(min = 1, max = NAME_MAXIMUM))]
    pub name: Option<String>,
    /// Whether it takes anything: true for a new form.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "bool")]
    pub is_enabled: Option<bool>,
    /// The origins whose pages may use it, each a scheme and a host and, where it is another than the scheme's own, a port.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>", length(max = ORIGINS_MAXIMUM))]
    pub allowed_origins: Option<Vec<String>>,
    /// The lists that people are put on.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<ListId>", length(max = LISTS_MAXIMUM))]
    pub list_ids: Option<Vec<ListId>>,
    /// The tags that they get.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<TagId>", length(max = TAGS_MAXIMUM))]
    pub tag_ids: Option<Vec<TagId>>,
    /// What it may say of a person beside the address: `name`, `first_name`, `last_name`, `company`, `timezone`, and `custom.<key>` of
    /// defined custom fields.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>", length(max = FIELDS_MAXIMUM))]
    pub fields: Option<Vec<String>>,
    /// What becomes of other fields: `refuse` for a new form.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "UnknownFields")]
    pub unknown_fields: Option<UnknownFields>,
    /// What people agree to.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = CONSENT_MAXIMUM))]
    pub consent_text: Option<Option<String>>,
    /// A field that nobody sees, of letters, digits, `_` and `-`.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = HONEYPOT_MAXIMUM))]
    pub honeypot_field: Option<Option<String>>,
    /// Where a browser goes on: an http or https URL.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = URL_MAXIMUM))]
    pub thank_you_url: Option<Option<String>>,
    /// Submissions that it takes within a minute: 30 for a new form.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "i32", range(min = 1, max = MINUTE_MAXIMUM))]
    pub minute_limit: Option<i32>,
    /// Submissions that it takes within a day (UTC): 1,000 for a new form.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "i32", range(min = 1, max = DAY_MAXIMUM))]
    pub day_limit: Option<i32>,
}

/// How a key is to be rotated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LeadKeyRotation")]
pub struct Rotation {
    /// Seconds for which the key goes on beside the new one: a day unless given, 0 to 30 days. The one before it ends at once.
    #[schemars(range(min = 0, max = OVERLAP_SECONDS_MAXIMUM))]
    pub overlap_seconds: Option<i64>,
}

/// Makes a form, with its key.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`too_many_lead_forms`).
pub async fn create(tx: &Tx, given: LeadFormFields) -> Result<LeadForm> {
    if given.name.is_none() {
        return Err(Error::invalid("name", "required", "name is needed"));
    }
    let checked = check(tx, given).await?;
    // Of two that make the last form the second counts that of the first.
    tx.query(include_str!("lead_forms/take_turn.sql"), &[&tx.organization()?]).await?;
    if tx.query_one(include_str!("lead_forms/count.sql"), &[]).await?.try_get::<_, i64>("forms")? >= FORMS_MAXIMUM {
        let message = format!("an organization has {FORMS_MAXIMUM} lead forms at most; delete one first");
        return Err(Error::conflict("too_many_lead_forms", message));
    }
    let (id, organization) = (LeadFormId::fresh(), tx.organization()?);
    let key = LeadKey::mint(organization)?;
    tx.execute(include_str!("lead_forms/insert.sql"), &[&organization, &id, &checked.name, &key.text()]).await?;
    write(tx, id, checked).await
}

/// One form.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: LeadFormId) -> Result<LeadForm> {
    let row = tx.query_opt(include_str!("lead_forms/find.sql"), &[&id]).await?;
    from_row(&row.ok_or(Error::not_found("lead form"))?)
}

/// The newest forms, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<LeadFormId>, limit: i64) -> Result<Vec<LeadForm>> {
    tx.query(include_str!("lead_forms/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// Changes the fields that are given.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn update(tx: &Tx, id: LeadFormId, given: LeadFormFields) -> Result<LeadForm> {
    lock(tx, id).await?;
    let checked = check(tx, given).await?;
    write(tx, id, checked).await
}

/// Gives a form another key; the present one goes on beside it for the overlap, since pages are changed one by one.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`].
pub async fn rotate(tx: &Tx, id: LeadFormId, rotation: &Rotation) -> Result<LeadForm> {
    let overlap = rotation.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    if !(0..=OVERLAP_SECONDS_MAXIMUM).contains(&overlap) {
        let message = format!("overlap_seconds is between 0 and {OVERLAP_SECONDS_MAXIMUM}");
        return Err(Error::invalid("overlap_seconds", "out_of_range", message));
    }
    lock(tx, id).await?;
    let key = LeadKey::mint(tx.organization()?)?;
    let ends = (overlap > 0).then(|| tx.now() + Duration::seconds(overlap));
    tx.execute(include_str!("lead_forms/rotate.sql"), &[&id, &key.text(), &ends]).await?;
    find(tx, id).await
}

/// Deletes a form for good. Whoever came through it stays, with what they agreed to.
///
/// Errors: [`Error::NotFound`].
pub async fn delete(tx: &Tx, id: LeadFormId) -> Result<()> {
    match tx.execute(include_str!("lead_forms/delete.sql"), &[&id]).await? {
        0 => Err(Error::not_found("lead form")),
        _ => Ok(()),
    }
}

async fn lock(tx: &Tx, id: LeadFormId) -> Result<()> {
    tx.query_opt(include_str!("lead_forms/lock.sql"), &[&id]).await?.ok_or(Error::not_found("lead form"))?;
    Ok(())
}

/// Fields that are right by themselves.
struct Checked {
    name: Option<String>,
    is_enabled: Option<bool>,
    allowed_origins: Option<Vec<String>>,
    list_ids: Option<Vec<ListId>>,
    tag_ids: Option<Vec<TagId>>,
    fields: Option<Vec<String>>,
    unknown_fields: Option<UnknownFields>,
    consent_text: Option<Option<String>>,
    honeypot_field: Option<Option<String>>,
    thank_you_url: Option<Option<String>>,
    minute_limit: Option<i32>,
    day_limit: Option<i32>,
}

async fn check(tx: &Tx, given: LeadFormFields) -> Result<Checked> {
    let mut fields = Fields::default();
    let name = given.name.map(|name| fields.required_line("name", &name, NAME_MAXIMUM));
    let allowed_origins = given.allowed_origins.map(|origins| check_origins(&mut fields, &origins));
    let list_ids = given.list_ids.map(|ids| distinct(&mut fields, "list_ids", ids, LISTS_MAXIMUM));
    let tag_ids = given.tag_ids.map(|ids| distinct(&mut fields, "tag_ids", ids, TAGS_MAXIMUM));
    let named = given.fields.map(|names| distinct(&mut fields, "fields", names, FIELDS_MAXIMUM));
    if let Some(names) = &named {
        check_names(tx, &mut fields, names).await?;
    }
    let consent_text = given.consent_text.map(|text| fields.text("consent_text", text.as_deref(), CONSENT_MAXIMUM));
    let honeypot_field = given.honeypot_field.map(|name| check_honeypot(&mut fields, name));
    let thank_you_url = given.thank_you_url.map(|url| check_url(&mut fields, url));
    let minute_limit = given.minute_limit.map(|limit| fields.number("minute_limit", limit, 1..=MINUTE_MAXIMUM));
    let day_limit = given.day_limit.map(|limit| fields.number("day_limit", limit, 1..=DAY_MAXIMUM));
    fields.finish()?;
    Ok(Checked {
        name,
        is_enabled: given.is_enabled,
        allowed_origins,
        list_ids,
        tag_ids,
        fields: named,
        unknown_fields: given.unknown_fields,
        consent_text,
        honeypot_field,
        thank_you_url,
        minute_limit,
        day_limit,
    })
}

fn check_origins(fields: &mut Fields, origins: &[String]) -> Vec<String> {
    let normal = origins.iter().enumerate().filter_map(|(at, text)| {
        let origin = normalized(text);
        if origin.is_none() {
            let message = "an origin is http or https, a host in ASCII and maybe a port, as https://www.example.com";
            fields.refuse(&format!("allowed_origins.{at}"), "invalid_origin", message);
        }
        origin
    });
    let normal: Vec<String> = normal.collect();
    distinct(fields, "allowed_origins", normal, ORIGINS_MAXIMUM)
}

/// In order, and each once: whoever names something twice means it once.
fn distinct<T: Ord>(fields: &mut Fields, field: &str, mut items: Vec<T>, most: usize) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    if items.len() > most {
        fields.refuse(field, "too_many", format!("{field} has {most} entries at most"));
    }
    items
}

/// A form names what a contact has, and custom fields that are defined: of others nobody knows what they may hold.
async fn check_names(tx: &Tx, fields: &mut Fields, names: &[String]) -> Result<()> {
    let defined = custom_fields::all(tx).await?;
    for name in names {
        let is_custom = name.strip_prefix(CUSTOM_PREFIX).is_some_and(|key| defined.iter().any(|its| its.key == key));
        if !is_custom && !STANDARD_FIELDS.contains(&name.as_str()) {
            let message =
                "fields has name, first_name, last_name, company, timezone, and custom.<key> of defined custom fields";
            fields.refuse("fields", "unknown_field", message);
        }
    }
    Ok(())
}

fn check_honeypot(fields: &mut Fields, name: Option<String>) -> Option<String> {
    let name = name.filter(|name| !name.is_empty())?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !is_plain || name.len() > HONEYPOT_MAXIMUM {
        fields.refuse("honeypot_field", "invalid_name", "honeypot_field has up to 64 letters, digits, _ and -");
    }
    if [EMAIL, CONSENT, PAGE_URL, "custom"].contains(&name.as_str()) || STANDARD_FIELDS.contains(&name.as_str()) {
        let message = "people fill this field in; the honeypot is one that they do not see";
        fields.refuse("honeypot_field", "used_by_people", message);
    }
    Some(name)
}

fn check_url(fields: &mut Fields, url: Option<String>) -> Option<String> {
    let url = url.filter(|url| !url.is_empty())?;
    if !is_page_url(&url) {
        let message = "thank_you_url is an http or https URL without credentials, in ASCII, of 2000 characters at most";
        fields.refuse("thank_you_url", "invalid_url", message);
    }
    Some(url)
}

/// Writes what is given, with the lists and tags, which are kept from being deleted meanwhile.
async fn write(tx: &Tx, id: LeadFormId, checked: Checked) -> Result<LeadForm> {
    if let Some(lists) = &checked.list_ids {
        let found = tx.query(include_str!("lead_forms/hold_lists.sql"), &[lists]).await?;
        if found.len() < lists.len() {
            return Err(Error::invalid("list_ids", "unknown_list", "one of the lists is not there"));
        }
    }
    if let Some(tags) = &checked.tag_ids {
        let found = tx.query(include_str!("tags/hold.sql"), &[tags]).await?;
        if found.len() < tags.len() {
            return Err(Error::invalid("tag_ids", "unknown_tag", "one of the tags is not there"));
        }
    }
    tx.execute(
        include_str!("lead_forms/update.sql"),
        &[
            &id,
            &checked.name,
            &checked.is_enabled,
            &checked.allowed_origins,
            &checked.fields,
            &checked.unknown_fields.map(UnknownFields::name),
            &checked.consent_text.is_some(),
            &checked.consent_text.flatten(),
            &checked.honeypot_field.is_some(),
            &checked.honeypot_field.flatten(),
            &checked.thank_you_url.is_some(),
            &checked.thank_you_url.flatten(),
            &checked.minute_limit,
            &checked.day_limit,
        ],
    )
    .await?;
    let organization = tx.organization()?;
    if let Some(lists) = &checked.list_ids {
        tx.execute(include_str!("lead_forms/drop_lists.sql"), &[&id]).await?;
        tx.execute(include_str!("lead_forms/insert_lists.sql"), &[&organization, &id, lists]).await?;
    }
    if let Some(tags) = &checked.tag_ids {
        tx.execute(include_str!("lead_forms/drop_tags.sql"), &[&id]).await?;
        tx.execute(include_str!("lead_forms/insert_tags.sql"), &[&organization, &id, tags]).await?;
    }
    find(tx, id).await
}

fn from_row(row: &Row) -> Result<LeadForm> {
    let key: String = row.try_get("key")?;
    Ok(LeadForm {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        is_enabled: row.try_get("is_enabled")?,
        path: format!("/v1/leads/{key}"),
        key,
        previous_key_ends_at: row.try_get("previous_key_ends_at")?,
        allowed_origins: row.try_get("allowed_origins")?,
        list_ids: row.try_get("list_ids")?,
        tag_ids: row.try_get("tag_ids")?,
        fields: row.try_get("fields")?,
        unknown_fields: UnknownFields::parse(row.try_get("unknown_fields")?)?,
        consent_text: row.try_get("consent_text")?,
        honeypot_field: row.try_get("honeypot_field")?,
        thank_you_url: row.try_get("thank_you_url")?,
        minute_limit: row.try_get("minute_limit")?,
        day_limit: row.try_get("day_limit")?,
        counts: Counts {
            accepted: row.try_get("accepted")?,
            refused: row.try_get("refused")?,
            throttled: row.try_get("throttled")?,
            trapped: row.try_get("trapped")?,
            not_listed: row.try_get("not_listed")?,
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
