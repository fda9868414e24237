//! The timeline of a contact: what has happened to it and between it and the organization, the newest first.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::contacts;
use crate::{ContactId, Result, Tx};

/// Something that has happened.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "TimelineEntry")]
pub struct Entry {
    /// When.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub at: DateTime<Utc>,
    /// What: `created`, `listed`, `tagged`, `lead_received`, `enrolled`, `enrollment_ended`, `message_sent`, `message_…` with what was
    /// reported of it, `reply_received`, `suppressed`, or the name of an act of the record such as `contact.updated`.
    pub kind: String,
    /// What it is about: the list, the tag, the lead form, the enrollment, the message, the reply, the suppression or the act.
    pub subject_id: Uuid,
    /// What there is to say of it.
    pub details: Value,
    #[serde(skip)]
    place_id: Uuid,
}

/// Where a page ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    at: DateTime<Utc>,
    kind: String,
    id: Uuid,
}

impl Entry {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.at, kind: self.kind.clone(), id: self.place_id }
    }
}

/// The newest entries, at most `limit`, after `after`.
///
/// Errors: [`crate::Error::NotFound`].
pub async fn read(tx: &Tx, contact: ContactId, after: Option<Place>, limit: i64) -> Result<Vec<Entry>> {
    let email_lower = contacts::find(tx, contact).await?.contact.email.to_ascii_lowercase();
    let (at, kind, id) = after.map_or((None, None, None), |place| (Some(place.at), Some(place.kind), Some(place.id)));
    let params: [&(dyn ToSql + Sync); 6] = [&contact, &email_lower, &at, &kind, &id, &limit];
    let rows = tx.query(include_str!("timeline/read.sql"), &params).await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                at: row.try_get("at")?,
                kind: row.try_get("kind")?,
                subject_id: row.try_get("subject_id")?,
                details: row.try_get("details")?,
                place_id: row.try_get("place_id")?,
            })
        })
        .collect()
}
