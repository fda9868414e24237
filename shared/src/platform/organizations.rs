//! Organizations: the tenants.

pub mod branding;
pub mod deleting;
pub mod founding;
pub mod logos;
pub mod settings;

use branding::{Branding, BrandingFields};
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use self::settings::{Settings, SettingsFields};
use crate::error::violated_constraint;
use crate::fields::{Fields, given, patched};
use crate::outreach::settings::read_dates;
use crate::{Error, OrganizationId, Result, Tx};

/// Characters of an organization's name.
const NAME_MAXIMUM: usize = 200;
/// Characters of a postal address.
const ADDRESS_MAXIMUM: usize = 500;

/// Characters of a slug.
const SLUG_MAXIMUM: usize = 63;
const SLUG_FORM: &str = "a slug has 1 to 63 characters out of a-z, 0-9 and -, and starts with no -";

/// The organization that every installation starts with.
pub const DEFAULT: OrganizationId = OrganizationId(uuid::uuid!("00000000-0000-0000-0000-000000000001"));

/// Makes an organization. Only the owner may: `tx` must be opened as the owner.
///
/// Errors: [`Error::Conflict`] (`slug_taken`), [`Error::Invalid`] for a slug or name that is not valid.
pub async fn create(tx: &Tx, id: OrganizationId, slug: &str, name: &str) -> Result<()> {
    match tx.execute(include_str!("organizations/insert.sql"), &[&id, &slug, &name]).await {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(error, slug)),
    }
}

/// What a person can do about a name or slug that the database refuses.
fn refused(error: Error, slug: &str) -> Error {
    match violated_constraint(&error) {
        Some("organizations_slug_key") => Error::conflict("slug_taken", format!("the slug {slug} is taken")),
        Some("organizations_slug_check") => Error::invalid("slug", "invalid", SLUG_FORM),
        Some("organizations_name_check") => Error::invalid("name", "invalid", "a name has 1 to 200 characters"),
        _ => error,
    }
}

/// What an organization is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OrganizationKind")]
pub enum Kind {
    /// Any other.
    Standard,
    /// A charity.
    Charity,
    /// One that runs the installation; nobody makes or unmakes one over the API.
    Admin,
    /// Martlet's own, in the same way.
    System,
}

impl Kind {
    /// Whether an organization may say of itself that it is of this kind.
    #[must_use]
    pub fn is_own_choice(self) -> bool {
        matches!(self, Self::Standard | Self::Charity)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Charity => "charity",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }

    fn stored(name: &str) -> Result<Self> {
        let all = [Self::Standard, Self::Charity, Self::Admin, Self::System];
        let known = all.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| Error::internal(format!("an organization is of the kind {name}")))
    }

    /// Refuses a kind that nobody chooses for themselves.
    fn check(self, fields: &mut Fields) {
        if !self.is_own_choice() {
            fields.refuse("kind", "not_settable", "kind is standard or charity");
        }
    }
}

fn check_slug(fields: &mut Fields, slug: &str) {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let begins_well = slug.bytes().next().is_some_and(is_plain);
    if !begins_well || slug.len() > SLUG_MAXIMUM || !slug.bytes().all(|c| is_plain(c) || c == b'-') {
        fields.refuse("slug", "invalid", SLUG_FORM);
    }
}

/// An organization as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its short name, unique in the installation.
    pub slug: String,
    /// Its name, which recipients see when they unsubscribe.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// IANA time zone.
    pub timezone: String,
    /// Local dates on which no campaign's window opens, in order.
    pub holidays: Vec<NaiveDate>,
    /// Printed in every campaign mail; without it no campaign is activated.
    pub postal_address: Option<String>,
    /// Its look.
    pub branding: Branding,
    /// What it has settled for itself.
    pub settings: Settings,
    /// `free`, `basic`, `pro` or `enterprise`; with the limits of requests, only whoever runs the installation sets it.
    pub plan_type: String,
    /// `active`, `suspended` or `deleting`.
    pub status: String,
    /// When it is deleted for good, unless somebody restores it before.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub delete_after: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationFields {
    /// The name.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// The short name, which no other organization may have.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub slug: Option<String>,
    /// What it is: `standard` or `charity`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Kind")]
    pub kind: Option<Kind>,
    /// IANA time zone.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub timezone: Option<String>,
    /// Dates such as `2026-12-25`, at most 366; they take the place of all that were there.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    pub holidays: Option<Vec<String>>,
    /// The postal address, null to remove it.
    #[serde(deserialize_with = "patched")]
    pub postal_address: Option<Option<String>>,
    /// The look, null to remove all of it.
    #[serde(deserialize_with = "patched")]
    pub branding: Option<Option<BrandingFields>>,
    /// What it settles for itself, null for every default.
    #[serde(deserialize_with = "patched")]
    pub settings: Option<Option<SettingsFields>>,
}

/// The organization of this transaction.
pub async fn current(tx: &Tx) -> Result<Organization> {
    from_row(&tx.query_one(include_str!("organizations/current.sql"), &[]).await?)
}

/// Whether this is the organization of the transaction: there is no other for it.
///
/// Errors: [`Error::NotFound`].
pub fn check(tx: &Tx, id: OrganizationId) -> Result<()> {
    if id == tx.organization()? { Ok(()) } else { Err(Error::not_found("organization")) }
}

/// The organization with this id.
///
/// Errors: [`Error::NotFound`] for any but the transaction's own.
pub async fn find(tx: &Tx, id: OrganizationId) -> Result<Organization> {
    check(tx, id)?;
    current(tx).await
}

/// Changes the fields that are given.
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`] naming every wrong field, [`Error::Conflict`] (`slug_taken`).
pub async fn update(tx: &Tx, id: OrganizationId, changes: OrganizationFields) -> Result<Organization> {
    check(tx, id)?;
    let present = from_row(&tx.query_one(include_str!("organizations/lock.sql"), &[]).await?)?;
    let mut fields = Fields::default();
    let name = fields.required_line("name", changes.name.as_deref().unwrap_or(&present.name), NAME_MAXIMUM);
    let slug = changes.slug.unwrap_or(present.slug);
    check_slug(&mut fields, &slug);
    let kind = changes.kind.unwrap_or(present.kind);
    if kind != present.kind {
        kind.check(&mut fields);
        // One that runs the installation stays what it is.
        present.kind.check(&mut fields);
    }
    fields.timezone("timezone", changes.timezone.as_deref());
    let holidays = changes.holidays.map_or(present.holidays, |dates| read_dates(&mut fields, "holidays", &dates));
    let address = changes.postal_address.unwrap_or(present.postal_address);
    let address = fields.text("postal_address", address.as_deref(), ADDRESS_MAXIMUM);
    let look = present.branding.with(changes.branding, &mut fields);
    let settings = present.settings.with(changes.settings, &mut fields);
    fields.finish()?;
    let timezone = changes.timezone.unwrap_or(present.timezone);
    let settings = settings.to_json()?;
    let row = tx
        .query_one(
            include_str!("organizations/update.sql"),
            &[
                &id,
                &name,
                &timezone,
                &address,
                &settings,
                &look.name,
                &look.colour,
                &look.logo_url,
                &holidays,
                &slug,
                &kind.name(),
            ],
        )
        .await
        .map_err(|error| refused(error, &slug))?;
    from_row(&row)
}

fn from_row(row: &Row) -> Result<Organization> {
    Ok(Organization {
        id: row.try_get("id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        kind: Kind::stored(row.try_get("kind")?)?,
        timezone: row.try_get("timezone")?,
        holidays: row.try_get("holidays")?,
        postal_address: row.try_get("postal_address")?,
        branding: Branding::from_row(row)?,
        settings: Settings::from_json(row.try_get("settings")?)?,
        plan_type: row.try_get("plan_type")?,
        status: row.try_get("status")?,
        delete_after: row.try_get("delete_after")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
