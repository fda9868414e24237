//! Organizations as administrators see them: names, plans, owners, counts.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::{Error, OrganizationId, Result, Tx, UserId};

/// An organization of the installation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// Its id.
    pub id: OrganizationId,
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// `standard`, `charity`, `admin` or `system`.
    pub kind: String,
    /// Its plan.
    pub plan_type: Plan,
    /// `active`, `suspended` or `deleting`.
    pub status: String,
    /// How many belong to it.
    pub members: i64,
    /// The addresses of its owners, ten at most.
    pub owners: Vec<String>,
    /// Mails that it has sent within the last 30 days (of UTC, the present one among them).
    pub sent_30_days: i64,
    /// When it is deleted for good, while it is being deleted.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub delete_after: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// A plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Free of charge.
    Free,
    /// The smallest that is paid for.
    Basic,
    /// The one after it.
    Pro,
    /// The largest.
    Enterprise,
}

impl Plan {
    const ALL: [Self; 4] = [Self::Free, Self::Basic, Self::Pro, Self::Enterprise];

    fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Basic => "basic",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }
}

/// Who does something to an organization, by which request.
#[derive(Debug, Clone, Copy)]
pub struct Administrator<'a> {
    /// The person.
    pub user: UserId,
    /// The request.
    pub request_id: Option<&'a str>,
}

/// The newest organizations, at most `limit`, older than `before`; `sought` is a part of the name or the slug.
pub async fn list(tx: &Tx, sought: Option<&str>, before: Option<OrganizationId>, limit: i64) -> Result<Vec<Summary>> {
    let none: Option<OrganizationId> = None;
    tx.query(include_str!("organizations/list.sql"), &[&none, &sought, &before, &limit])
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// One organization.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: OrganizationId) -> Result<Summary> {
    let (sought, before): (Option<&str>, Option<OrganizationId>) = (None, None);
    let row = tx.query_opt(include_str!("organizations/list.sql"), &[&Some(id), &sought, &before, &1_i64]).await?;
    from_row(&row.ok_or(Error::not_found("organization"))?)
}

/// Gives an organization another plan. What it has beyond the plan's limits stays.
///
/// Errors: [`Error::NotFound`].
pub async fn set_plan(tx: &Tx, id: OrganizationId, plan: Plan, by: Administrator<'_>) -> Result<Summary> {
    administer(tx, id, Some(plan.name()), None, by).await?;
    find(tx, id).await
}

/// Stops an organization: nothing is planned or sent for it, and nobody is let in. One that is being deleted comes back suspended. To
/// do it again changes nothing.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`own_organization`).
pub async fn suspend(tx: &Tx, id: OrganizationId, by: Administrator<'_>) -> Result<Summary> {
    if id == tx.organization()? {
        let message = "you are logged in there, and would lock yourself out; log in to another organization first";
        return Err(Error::conflict("own_organization", message));
    }
    set_status(tx, id, "suspended", by).await
}

/// Lets a suspended organization go on; one that is being deleted comes back active. To do it again changes nothing.
///
/// Errors: [`Error::NotFound`].
pub async fn resume(tx: &Tx, id: OrganizationId, by: Administrator<'_>) -> Result<Summary> {
    set_status(tx, id, "active", by).await
}

async fn set_status(tx: &Tx, id: OrganizationId, status: &'static str, by: Administrator<'_>) -> Result<Summary> {
    // Of one that is being deleted this changes nothing: it is the deletion that knows what comes after it.
    if administer(tx, id, None, Some(status), by).await? != status {
        let params: [&(dyn ToSql + Sync); 5] = [&id, &status, &crate::ids::fresh(), &by.user, &by.request_id];
        tx.query_one(include_str!("organizations/set_restored_as.sql"), &params).await?;
    }
    find(tx, id).await
}

/// Returns the status afterwards.
async fn administer(
    tx: &Tx,
    id: OrganizationId,
    plan: Option<&str>,
    status: Option<&str>,
    by: Administrator<'_>,
) -> Result<String> {
    let row = tx
        .query_opt(
            include_str!("organizations/administer.sql"),
            &[&id, &plan, &status, &crate::ids::fresh(), &by.user, &by.request_id],
        )
        .await?;
    Ok(row.ok_or(Error::not_found("organization"))?.try_get("status_after")?)
}

fn from_row(row: &Row) -> Result<Summary> {
    let plan: &str = row.try_get("plan_type")?;
    let plan_type = Plan::ALL.into_iter().find(|known| known.name() == plan);
    Ok(Summary {
        id: row.try_get("id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        plan_type: plan_type.ok_or_else(|| Error::internal(format!("an organization has the plan {plan}")))?,
        status: row.try_get("status")?,
        members: row.try_get("members")?,
        owners: row.try_get("owners")?,
        sent_30_days: row.try_get("sent")?,
        delete_after: row.try_get("delete_after")?,
        created_at: row.try_get("created_at")?,
    })
}
