//! Founding: another organization of somebody who belongs to one already, and who is its first owner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, NAME_MAXIMUM, check_slug, refused};
use crate::fields::Fields;
use crate::platform::onboarding;
use crate::{Error, OrganizationId, Result, Tx, UserId};

/// Organizations that one person owns at most.
const OWNED_MAXIMUM: i32 = 20;

/// An organization to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its name.
    pub name: String,
    /// Its short name, which no other organization may have.
    pub slug: String,
    /// What it is, `standard` unless given.
    pub kind: Option<Kind>,
    /// IANA time zone, UTC unless given.
    pub timezone: Option<String>,
}

/// An organization that has just been made. What else there is of it, a session in it shows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Founded {
    /// Its id.
    pub id: OrganizationId,
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// IANA time zone.
    pub timezone: String,
}

/// Makes an organization on the plan `free`, whose owner is the founder, and begins its onboarding: a trial there is the founder's own.
/// `tx` sees an organization that the founder belongs to. The act is recorded in the new one.
///
/// Errors: [`Error::Invalid`] naming every wrong field, [`Error::Conflict`] (`slug_taken`, `too_many_organizations`).
pub async fn found(tx: &Tx, founder: UserId, new: NewOrganization, request_id: Option<&str>) -> Result<Founded> {
    let mut fields = Fields::default();
    let name = fields.required_line("name", &new.name, NAME_MAXIMUM);
    check_slug(&mut fields, &new.slug);
    let kind = new.kind.unwrap_or(Kind::Standard);
    kind.check(&mut fields);
    fields.timezone("timezone", new.timezone.as_deref());
    fields.finish()?;
    let (id, timezone) = (OrganizationId::fresh(), new.timezone.unwrap_or_else(|| "UTC".to_owned()));
    let act = crate::ids::fresh();
    let made = tx
        .query_one(
            include_str!("founding/found.sql"),
            &[&id, &new.slug, &name, &kind.name(), &timezone, &founder, &OWNED_MAXIMUM, &act, &request_id],
        )
        .await
        .map_err(|error| refused(error, &new.slug))?;
    if !made.try_get::<_, bool>(0)? {
        let message = format!("one person owns {OWNED_MAXIMUM} organizations at most");
        return Err(Error::conflict("too_many_organizations", message));
    }
    onboarding::begin(tx, id, founder).await?;
    Ok(Founded { id, slug: new.slug, name, kind, timezone })
}
