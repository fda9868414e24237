//! Organizations: the tenants.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::error::violated_constraint;
use crate::fields::{Fields, patched};
use crate::{Error, OrganizationId, Result, Tx};

/// Characters of an organization's name.
const NAME_MAXIMUM: usize = 200;
/// Characters of a postal address.
const ADDRESS_MAXIMUM: usize = 500;

/// The organization that every installation starts with.
pub const DEFAULT: OrganizationId = OrganizationId(uuid::uuid!("00000000-0000-0000-0000-000000000001"));

/// Makes an organization. Only the owner may: `tx` must be opened as the owner.
///
/// Errors: [`Error::Conflict`] (`slug_taken`), [`Error::Invalid`] for a slug or name that is not valid.
pub async fn create(tx: &Tx, id: OrganizationId, slug: &str, name: &str) -> Result<()> {
    match tx.execute(include_str!("organizations/insert.sql"), &[&id, &slug, &name]).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match violated_constraint(&error) {
            Some("organizations_slug_key") => Error::conflict("slug_taken", format!("the slug {slug} is taken")),
            Some("organizations_slug_check") => Error::invalid(
                "slug",
                "invalid",
                "a slug has 1 to 63 characters out of a-z, 0-9 and -, and starts with no -",
            ),
            Some("organizations_name_check") => Error::invalid("name", "invalid", "a name has 1 to 200 characters"),
            _ => error,
        }),
    }
}

/// An organization as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its short name, unique in the installation.
    pub slug: String,
    /// Its name, which recipients see when they unsubscribe.
    pub name: String,
    /// IANA time zone.
    pub timezone: String,
    /// Printed in every campaign mail; without it no campaign is activated.
    pub postal_address: Option<String>,
    /// `active` or `suspended`.
    pub status: String,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationFields {
    /// The name.
    pub name: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// The postal address, null to remove it.
    #[serde(deserialize_with = "patched")]
    pub postal_address: Option<Option<String>>,
}

/// The organization of this transaction.
pub async fn current(tx: &Tx) -> Result<Organization> {
    from_row(&tx.query_one(include_str!("organizations/current.sql"), &[]).await?)
}

/// The organization with this id.
///
/// Errors: [`Error::NotFound`] for any but the transaction's own.
pub async fn find(tx: &Tx, id: OrganizationId) -> Result<Organization> {
    if id != tx.organization()? {
        return Err(Error::not_found("organization"));
    }
    current(tx).await
}

/// Changes the fields that are given.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`] naming every wrong field.
pub async fn update(tx: &Tx, id: OrganizationId, changes: OrganizationFields) -> Result<Organization> {
    let present = find(tx, id).await?;
    let mut fields = Fields::default();
    let name = fields.required_line("name", changes.name.as_deref().unwrap_or(&present.name), NAME_MAXIMUM);
    fields.timezone("timezone", changes.timezone.as_deref());
    let address = changes.postal_address.unwrap_or(present.postal_address);
    let address = fields.text("postal_address", address.as_deref(), ADDRESS_MAXIMUM);
    fields.finish()?;
    let timezone = changes.timezone.unwrap_or(present.timezone);
    from_row(&tx.query_one(include_str!("organizations/update.sql"), &[&id, &name, &timezone, &address]).await?)
}

fn from_row(row: &Row) -> Result<Organization> {
    Ok(Organization {
        id: row.try_get("id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        timezone: row.try_get("timezone")?,
        postal_address: row.try_get("postal_address")?,
        status: row.try_get("status")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
