//! Contacts: the people an organization may write to, one for an address.

mod listing;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::email_address::EmailAddress;
use super::tags::{self, TagOfContact};
use super::{custom_fields, deleted_contacts};
use crate::error::violated_constraint;
use crate::fields::{Fields, patched};
use crate::platform::webhooks::{EventType, outbox};
use crate::{ContactId, Error, ImportId, Result, Tx};

pub use self::listing::{Filter, list};

/// Characters of a name or company: longer ones are text that was put into the wrong column.
pub const LINE_MAXIMUM: usize = 200;
/// Bytes of a contact's custom fields as JSON: they are rendered into mails, not kept as documents.
pub const CUSTOM_MAXIMUM: usize = 16 * 1024;
/// Characters of a custom field's name.
pub(super) const CUSTOM_KEY_MAXIMUM: usize = 64;

/// Where a contact stands, over all campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ContactStatus")]
pub enum Status {
    /// Nothing has been sent yet.
    Active,
    /// At least one mail has been sent.
    Contacted,
    /// The person answered.
    Replied,
    /// The address does not exist or refuses for good.
    Bounced,
    /// The person does not want to be written to.
    Unsubscribed,
}

impl Status {
    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Contacted => "contacted",
            Self::Replied => "replied",
            Self::Bounced => "bounced",
            Self::Unsubscribed => "unsubscribed",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        match name {
            "active" => Ok(Self::Active),
            "contacted" => Ok(Self::Contacted),
            "replied" => Ok(Self::Replied),
            "bounced" => Ok(Self::Bounced),
            "unsubscribed" => Ok(Self::Unsubscribed),
            other => Err(Error::internal(format!("unknown status of a contact: {other}"))),
        }
    }
}

/// A contact as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// The address as it was given.
    pub email: String,
    /// The whole name, where it is not known in parts.
    pub name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Where the person works.
    pub company: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// The person's IANA time zone.
    pub timezone: Option<String>,
    /// Fields of the organization's own, for templates.
    pub custom: Map<String, Value>,
    /// Where it came from: `api`, `import` or `lead`.
    pub source: String,
    /// The import that brought it.
    pub import_batch_id: Option<ImportId>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// A contact with what is shown of one alone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContactInFull {
    /// The contact.
    #[serde(flatten)]
    pub contact: Contact,
    /// The lists that it is on: `[{id, name}]` by name.
    pub lists: Value,
    /// The tags that it has, by name.
    pub tags: Vec<TagOfContact>,
    /// The imported row as it was, header by header.
    pub raw_data: Option<Value>,
}

/// A contact's fields as a caller gives them, not checked yet: absent ones are `None`, those that are null `Some(None)`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContactFields {
    /// The address. Needed for a new contact.
    #[serde(deserialize_with = "patched")]
    #[schemars(email)]
    pub email: Option<Option<String>>,
    /// The whole name.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = LINE_MAXIMUM))]
    pub name: Option<Option<String>>,
    /// Given name.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = LINE_MAXIMUM))]
    pub first_name: Option<Option<String>>,
    /// Family name.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = LINE_MAXIMUM))]
    pub last_name: Option<Option<String>>,
    /// Where the person works.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = LINE_MAXIMUM))]
    pub company: Option<Option<String>>,
    /// IANA time zone.
    #[serde(deserialize_with = "patched")]
    pub timezone: Option<Option<String>>,
    /// Custom fields to set, null to remove one; those not named stay. Null in place of all of them removes all.
    #[serde(deserialize_with = "patched")]
    pub custom: Option<Option<Map<String, Value>>>,
}

/// Makes a contact, and tells it where an endpoint wants to know.
///
/// Errors: [`Error::Invalid`], [`Error::Conflict`] (`contact_exists`) for an address that another contact has in any case.
pub async fn create(tx: &Tx, given: ContactFields) -> Result<Contact> {
    let given = given.check()?;
    let Some(email) = &given.email else {
        return Err(Error::invalid("email", "required", "email is needed"));
    };
    let custom = with_custom(tx, Map::new(), given.custom).await?;
    let new = NewContact {
        email,
        name: given.name.as_ref().and_then(Option::as_deref),
        first_name: given.first_name.as_ref().and_then(Option::as_deref),
        last_name: given.last_name.as_ref().and_then(Option::as_deref),
        company: given.company.as_ref().and_then(Option::as_deref),
        timezone: given.timezone.as_ref().and_then(Option::as_deref),
        custom: &custom,
        source: "api",
    };
    match insert(tx, new).await? {
        Some(contact) => Ok(contact),
        None => Err(exists(find_id(tx, email).await?)),
    }
}

/// A contact to be made, whose fields are checked.
pub(super) struct NewContact<'a> {
    pub(super) email: &'a EmailAddress,
    pub(super) name: Option<&'a str>,
    pub(super) first_name: Option<&'a str>,
    pub(super) last_name: Option<&'a str>,
    pub(super) company: Option<&'a str>,
    pub(super) timezone: Option<&'a str>,
    pub(super) custom: &'a Map<String, Value>,
    pub(super) source: &'static str,
}

/// Makes a contact, and tells it where an endpoint wants to know; none where another one has the address.
pub(super) async fn insert(tx: &Tx, new: NewContact<'_>) -> Result<Option<Contact>> {
    let inserted = tx
        .query_opt(
            include_str!("contacts/insert.sql"),
            &[
                &tx.organization()?,
                &ContactId::fresh(),
                &new.email.as_str(),
                &new.name,
                &new.first_name,
                &new.last_name,
                &new.company,
                &new.timezone,
                &Json(new.custom),
                &new.source,
            ],
        )
        .await?;
    let Some(row) = inserted else { return Ok(None) };
    let contact = from_row(&row)?;
    let data = json!({"contact_id": contact.id, "email": contact.email});
    outbox::emit(tx, tx.organization()?, EventType::ContactCreated, contact.id.0, &data).await?;
    Ok(Some(contact))
}

/// One contact with its lists, its tags and its imported row.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: ContactId) -> Result<ContactInFull> {
    let row = tx.query_opt(include_str!("contacts/find.sql"), &[&id]).await?.ok_or(Error::not_found("contact"))?;
    Ok(ContactInFull {
        contact: from_row(&row)?,
        lists: row.try_get("lists")?,
        tags: tags::of_contact(tx, id).await?,
        raw_data: row.try_get("raw_data")?,
    })
}

/// Changes the fields that are given.
///
/// A contact whose address bounced is active again with another one: the bounce was the old address's, which stays
/// suppressed.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] (`contact_exists`) for an address that another
/// contact has.
pub async fn update(tx: &Tx, id: ContactId, given: ContactFields) -> Result<Contact> {
    let given = given.check()?;
    let mut contact = lock(tx, id).await?;
    if let Some(email) = given.email {
        if let Some(other) = find_id(tx, &email).await?.filter(|other| *other != id) {
            return Err(exists(Some(other)));
        }
        if contact.status == Status::Bounced && !contact.email.eq_ignore_ascii_case(email.as_str()) {
            contact.status = Status::Active;
        }
        contact.email = email.as_str().to_owned();
    }
    let changes = [
        (&mut contact.name, given.name),
        (&mut contact.first_name, given.first_name),
        (&mut contact.last_name, given.last_name),
        (&mut contact.company, given.company),
        (&mut contact.timezone, given.timezone),
    ];
    for (field, value) in changes {
        if let Some(value) = value {
            *field = value;
        }
    }
    contact.custom = with_custom(tx, contact.custom, given.custom).await?;
    write(tx, contact).await
}

/// Writes the fields of a contact that is locked.
///
/// Errors: [`Error::Conflict`] (`contact_exists`) for an address that another contact has.
pub(super) async fn write(tx: &Tx, contact: Contact) -> Result<Contact> {
    let updated = tx
        .query_one(
            include_str!("contacts/update.sql"),
            &[
                &contact.id,
                &contact.email,
                &contact.name,
                &contact.first_name,
                &contact.last_name,
                &contact.company,
                &contact.status.name(),
                &contact.timezone,
                &Value::Object(contact.custom),
            ],
        )
        .await;
    match updated {
        Ok(row) => from_row(&row),
        // Somebody made a contact with this address since we looked.
        Err(error) if violated_constraint(&error) == Some("contacts_email_key") => Err(exists(None)),
        Err(error) => Err(error),
    }
}

/// Deletes a contact: it leaves its lists and its ways through campaigns, what is queued for it is taken back first, and it lies in the
/// [bin](super::deleted_contacts) for a while. Suppressions and the ledger of what was sent stay. `by` is the user or the key that
/// asks.
///
/// Errors: [`Error::NotFound`].
pub async fn delete(tx: &Tx, id: ContactId, by: Option<Uuid>) -> Result<()> {
    match deleted_contacts::delete(tx, &[id], by).await? {
        0 => Err(Error::not_found("contact")),
        _ => Ok(()),
    }
}

/// Deletes the row of a contact that is locked and stopped.
pub(super) async fn remove(tx: &Tx, id: ContactId) -> Result<()> {
    tx.execute(include_str!("contacts/delete.sql"), &[&id]).await?;
    Ok(())
}

/// Locks a contact, which keeps its enrollments and queued messages from moving on: contacts come before them.
pub(super) async fn lock(tx: &Tx, id: ContactId) -> Result<Contact> {
    let row = tx.query_opt(include_str!("contacts/lock.sql"), &[&id]).await?.ok_or(Error::not_found("contact"))?;
    from_row(&row)
}

async fn find_id(tx: &Tx, email: &EmailAddress) -> Result<Option<ContactId>> {
    find_id_by_lower(tx, &email.lower()).await
}

/// The contact that has an address, given in lower case.
pub(super) async fn find_id_by_lower(tx: &Tx, email_lower: &str) -> Result<Option<ContactId>> {
    let row = tx.query_opt(include_str!("contacts/find_id_by_email.sql"), &[&email_lower]).await?;
    Ok(row.map(|row| row.try_get("id")).transpose()?)
}

fn exists(id: Option<ContactId>) -> Error {
    match id {
        Some(id) => Error::conflict("contact_exists", format!("the contact {id} has this address")),
        None => Error::conflict("contact_exists", "another contact has this address"),
    }
}

struct Checked {
    email: Option<EmailAddress>,
    name: Option<Option<String>>,
    first_name: Option<Option<String>>,
    last_name: Option<Option<String>>,
    company: Option<Option<String>>,
    timezone: Option<Option<String>>,
    custom: Option<Option<Map<String, Value>>>,
}

impl ContactFields {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let given = [
            ("email", self.email.is_some()),
            ("name", self.name.is_some()),
            ("first_name", self.first_name.is_some()),
            ("last_name", self.last_name.is_some()),
            ("company", self.company.is_some()),
            ("timezone", self.timezone.is_some()),
            ("custom", self.custom.is_some()),
        ];
        given.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }

    fn check(self) -> Result<Checked> {
        let mut fields = Fields::default();
        let email = match self.email {
            Some(Some(text)) => fields.email("email", &text),
            Some(None) => {
                fields.refuse("email", "required", "a contact has an address");
                None
            }
            None => None,
        };
        let mut line =
            |field, value: Option<Option<String>>| value.map(|text| fields.line(field, text.as_deref(), LINE_MAXIMUM));
        let name = line("name", self.name);
        let first_name = line("first_name", self.first_name);
        let last_name = line("last_name", self.last_name);
        let company = line("company", self.company);
        let timezone = self.timezone.map(|zone| {
            let zone = fields.timezone("timezone", zone.as_deref());
            zone.map(|zone| zone.name().to_owned())
        });
        for (key, value) in self.custom.iter().flatten().flatten() {
            if !is_custom_key(key) {
                let message = "a custom field's name has up to 64 letters, digits and _, and starts with no digit";
                fields.refuse("custom", "invalid_key", message);
            }
            if has_nul(value) {
                fields.refuse("custom", "control_character", "custom fields have no NUL character");
            }
        }
        fields.finish()?;
        Ok(Checked { email, name, first_name, last_name, company, timezone, custom: self.custom })
    }
}

/// Puts the given custom fields over the present ones; what is given of a defined field is of its type.
async fn with_custom(
    tx: &Tx,
    present: Map<String, Value>,
    given: Option<Option<Map<String, Value>>>,
) -> Result<Map<String, Value>> {
    if let Some(Some(given)) = &given {
        custom_fields::check(tx, given).await?;
    }
    put_over(present, given)
}

/// Puts the given custom fields over the present ones.
fn put_over(present: Map<String, Value>, given: Option<Option<Map<String, Value>>>) -> Result<Map<String, Value>> {
    let mut custom = match given {
        None => return Ok(present),
        Some(None) => return Ok(Map::new()),
        Some(Some(given)) => present.into_iter().chain(given).collect::<Map<_, _>>(),
    };
    custom.retain(|_, value| !value.is_null());
    if serde_json::to_vec(&custom).map_err(Error::internal)?.len() > CUSTOM_MAXIMUM {
        return Err(Error::invalid("custom", "too_long", "custom fields have 16 KiB of JSON at most"));
    }
    Ok(custom)
}

pub(super) fn is_custom_key(key: &str) -> bool {
    let starts_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && key.len() <= CUSTOM_KEY_MAXIMUM && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// JSON may hold a NUL, `jsonb` may not.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn from_row(row: &Row) -> Result<Contact> {
    let Value::Object(custom) = row.try_get("custom")? else {
        return Err(Error::internal("custom fields are no object"));
    };
    Ok(Contact {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        company: row.try_get("company")?,
        status: Status::parse(row.try_get("status")?)?,
        timezone: row.try_get("timezone")?,
        custom,
        source: row.try_get("source")?,
        import_batch_id: row.try_get("import_batch_id")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("no object") };
        map
    }

    #[test]
    fn custom_fields_are_set_removed_and_kept_key_by_key() {
        let present = object(json!({"plan": "pro", "seats": 3}));
        let apply = |given| put_over(present.clone(), given).unwrap();
        assert_eq!(apply(None), present);
        assert_eq!(apply(Some(None)), Map::new());
        let given = object(json!({"plan": null, "city": "Bonn"}));
        assert_eq!(apply(Some(Some(given))), object(json!({"seats": 3, "city": "Bonn"})));
    }

    #[test]
    fn custom_fields_are_bounded() {
        // {"a":"…"} adds eight bytes to the text.
        let of = |bytes: usize| Some(Some(object(json!({"a": "x".repeat(bytes - 8)}))));
        assert!(put_over(Map::new(), of(CUSTOM_MAXIMUM)).is_ok());
        assert!(put_over(Map::new(), of(CUSTOM_MAXIMUM + 1)).is_err());
    }

    #[test]
    fn custom_keys_are_names() {
        let longest = "k".repeat(64);
        for key in ["a", "_", "Plan_2", longest.as_str()] {
            assert!(is_custom_key(key), "{key}");
        }
        for key in ["", "2a", "a-b", "a.b", "ä", "a\0", &"k".repeat(65)] {
            assert!(!is_custom_key(key), "{key}");
        }
    }
}
