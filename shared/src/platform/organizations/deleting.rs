//! Deleting an organization: at once it does nothing any more, and after a time of grace nothing is left of it.
//!
//! Meanwhile it is `deleting`: nothing is planned or sent for it, its keys and sessions open nothing, its pages are not found.
//! Each owner gets a mail with a link that restores it. What was due meanwhile is late then, and is judged as any other late
//! mail is. The accounts of its members are theirs and stay.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::logos::RemovingStore;
use super::{DEFAULT, Organization, check, from_row};
use crate::delivery::system_mail::{self, Action, ActionPurpose, NewSystemMail, Template};
use crate::platform::config;
use crate::platform::memberships::{self, Role};
use crate::{Database, Error, OrganizationId, Result, Tx, UserId};

/// Rows of one transaction.
const CHUNK: i64 = 5_000;
/// How a mail names the day, as in 8 March 2026; it is one of UTC.
const DAY: &str = "%-d %B %Y";
/// Where the store keeps what is an organization's; below each, its id. Mails received lie elsewhere and expire by themselves.
const PREFIXES: [&str; 4] = ["uploads", "errors", "exports", "logos"];

/// A deletion that has begun.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The organization, as it is now.
    pub organization: Organization,
    /// Its name, by which a link restores the organization.
    pub id: Uuid,
    /// When nothing can be restored any more.
    pub delete_after: DateTime<Utc>,
}

/// Begins to delete the transaction's organization, in the name of an owner who has written its slug, and plans a mail to each of
/// its owners. All sessions but those of this one end; theirs open nothing either until the organization is restored.
///
/// Errors: [`Error::NotFound`], [`Error::Forbidden`] for whoever is no owner any more, [`Error::Invalid`] when the slug is another one,
/// [`Error::Conflict`] (`default_organization`, `not_active`).
pub async fn schedule(tx: &Tx, id: OrganizationId, confirmation: &str, owner: UserId) -> Result<Deletion> {
    check(tx, id)?;
    if id == DEFAULT {
        let message = "the installation writes its own mails in this organization; it is not deleted";
        return Err(Error::conflict("default_organization", message));
    }
    let present = from_row(&tx.query_one(include_str!("lock.sql"), &[]).await?)?;
    // After the lock, behind which somebody may have taken the role from them.
    if memberships::find(tx, owner).await?.role != Role::Owner {
        return Err(Error::Forbidden("the role owner".to_owned()));
    }
    if confirmation != present.slug {
        return Err(Error::invalid("slug", "mismatch", "slug is the present slug of the organization, to confirm it"));
    }
    let grace = config::read(tx, "organizations").await?.duration("deletion_grace")?;
    let delete_after = tx.now() + chrono::Duration::from_std(grace).map_err(Error::internal)?;
    let deletion = crate::ids::fresh();
    let row = tx.query_opt(include_str!("deleting/schedule.sql"), &[&deletion, &delete_after]).await?;
    let row = row.ok_or_else(|| Error::conflict("not_active", "the organization is not active"))?;
    tx.execute(include_str!("deleting/end_sessions.sql"), &[&owner]).await?;
    let deletion = Deletion { organization: from_row(&row)?, id: deletion, delete_after };
    for owner in tx.query(include_str!("deleting/owners.sql"), &[]).await? {
        let user: UserId = owner.try_get("user_id")?;
        system_mail::plan(tx, &deletion.mail(tx, owner.try_get("email")?, &user.to_string())).await?;
    }
    Ok(deletion)
}

/// The mail by which an owner brings the transaction's organization back, once more: for somebody who can log in nowhere else. None
/// for whoever is no owner of it, or where it is not being deleted any more.
pub(crate) async fn reminder(tx: &Tx, owner: UserId) -> Result<Option<NewSystemMail>> {
    let Some(row) = tx.query_opt(include_str!("deleting/owned.sql"), &[&owner, &tx.now()]).await? else {
        return Ok(None);
    };
    let (id, delete_after) = (row.try_get("deletion_id")?, row.try_get("delete_after")?);
    let deletion = Deletion { organization: from_row(&row)?, id, delete_after };
    Ok(Some(deletion.mail(tx, row.try_get("email")?, &crate::ids::fresh().to_string())))
}

impl Deletion {
    /// The mail about it, whose link ends it; `which` tells it from the others.
    fn mail(&self, tx: &Tx, recipient: String, which: &str) -> NewSystemMail {
        let deleted_on = self.delete_after.format(DAY).to_string();
        NewSystemMail {
            template: Template::OrganizationDeleted,
            recipient,
            variables: json!({"organization": self.organization.name, "deleted_on": deleted_on}),
            action: Some(Action { purpose: ActionPurpose::RestoreOrganization, id: self.id }),
            dedupe_key: format!("{}{which}", mail_key(self.id)),
            send_at: tx.now(),
        }
    }
}

/// The organization that a deletion is of, for whoever holds its signed link.
///
/// Errors: [`Error::NotFound`] when the deletion was ended, or has ended everything.
pub async fn organization_of(db: &Database, deletion: Uuid) -> Result<OrganizationId> {
    let tx = db.begin_for(&[]).await?;
    let row = tx.query_one(include_str!("deleting/organization.sql"), &[&deletion]).await?;
    tx.commit().await?;
    row.try_get::<_, Option<OrganizationId>>(0)?.ok_or(Error::not_found("deletion"))
}

/// What a deletion would delete, for whoever holds its signed link. `tx` sees the organization.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, deletion: Uuid) -> Result<Organization> {
    let row = tx.query_opt(include_str!("deleting/find.sql"), &[&deletion, &tx.now()]).await?;
    from_row(&row.ok_or(Error::not_found("deletion"))?)
}

/// Ends a deletion: the organization is what it was, or suspended where whoever runs the installation has said so meanwhile. `tx`
/// sees it.
///
/// Errors: [`Error::NotFound`], also once the time of grace is over, since part of it may be gone.
pub async fn restore(tx: &Tx, deletion: Uuid) -> Result<Organization> {
    let row = tx.query_opt(include_str!("deleting/restore.sql"), &[&deletion, &tx.now()]).await?;
    let organization = from_row(&row.ok_or(Error::not_found("deletion"))?)?;
    system_mail::cancel(tx, &mail_key(deletion)).await?;
    Ok(organization)
}

/// What the keys of all mails of a deletion begin with.
fn mail_key(deletion: Uuid) -> String {
    format!("organization_deleted:{deletion}:")
}

/// What one run has deleted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Organizations of which nothing is left.
    pub organizations: u64,
    /// Their rows.
    pub rows: u64,
    /// Their objects in the store.
    pub objects: usize,
    /// Whether all are gone whose time of grace was over in the beginning; else the next run goes on.
    pub is_finished: bool,
}

/// Deletes for good the organizations whose time of grace is over, chunk by chunk, until `deadline`. `db` logs in as
/// martlet_maintenance. Their objects go first: once the organization is gone, nobody knows of them.
pub async fn finish(db: &Database, store: &dyn RemovingStore, deadline: Instant) -> Result<Deleted> {
    let mut deleted = Deleted::default();
    for organization in due(db).await? {
        for prefix in PREFIXES {
            let prefix = format!("{prefix}/{organization}/");
            loop {
                if Instant::now() >= deadline {
                    return Ok(deleted);
                }
                match store.remove_under(&prefix).await? {
                    0 => break,
                    removed => deleted.objects += removed,
                }
            }
        }
        loop {
            if Instant::now() >= deadline {
                return Ok(deleted);
            }
            let tx = db.begin_for(&[organization]).await?;
            let sql = include_str!("deleting/delete_rows.sql");
            let rows: Option<i64> =
                tx.query_one(sql, &[&organization, &CHUNK, &crate::ids::fresh()]).await?.try_get(0)?;
            tx.commit().await?;
            match rows {
                Some(rows) => deleted.rows += rows.unsigned_abs(),
                None => break,
            }
        }
        deleted.organizations += 1;
    }
    Ok(Deleted { is_finished: true, ..deleted })
}

async fn due(db: &Database) -> Result<Vec<OrganizationId>> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("deleting/due.sql"), &[]).await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
