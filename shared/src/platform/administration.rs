//! Administration: what those who run the installation see of it, and do to it.
//!
//! They see organizations, people and numbers, and nothing of what is inside an organization. What they do to one is recorded there, in
//! the record that its own people read; what they do to people and to the installation, in a record of the installation.

pub mod health;
pub mod organizations;
pub mod users;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, Tx, UserId};

/// An act on the installation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "InstallationAct")]
pub struct Act {
    /// Its id.
    pub id: Uuid,
    /// `user`, or `system` for what was done by a command or by itself.
    pub actor_kind: String,
    /// Which user.
    pub actor_id: Option<Uuid>,
    /// What was done, for instance `user.disabled`.
    pub action: String,
    /// What it was done to.
    pub subject_id: Option<Uuid>,
    /// What else is known of it.
    pub details: Value,
    /// The request that did it.
    pub request_id: Option<String>,
    /// When it was done.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Records an act on the installation, in the transaction that does it; of nobody's when there is no `actor`.
pub async fn record(
    tx: &Tx,
    actor: Option<UserId>,
    action: &str,
    subject: Option<Uuid>,
    details: &Value,
    request_id: Option<&str>,
) -> Result<()> {
    let kind = if actor.is_some() { "user" } else { "system" };
    tx.execute(
        include_str!("administration/record.sql"),
        &[&crate::ids::fresh(), &kind, &actor, &action, &subject, details, &request_id],
    )
    .await?;
    Ok(())
}

/// The newest acts on the installation, at most `limit`, older than `before`.
pub async fn log(tx: &Tx, before: Option<Uuid>, limit: i64) -> Result<Vec<Act>> {
    let rows = tx.query(include_str!("administration/log.sql"), &[&before, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Act {
                id: row.try_get("id")?,
                actor_kind: row.try_get("actor_kind")?,
                actor_id: row.try_get("actor_id")?,
                action: row.try_get("action")?,
                subject_id: row.try_get("subject_id")?,
                details: row.try_get("details")?,
                request_id: row.try_get("request_id")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}
