//! Filling: the values that contacts had before their field was defined.
//!
//! A chunk locks its contacts against being changed, so that what it writes is what they have. Contacts that are written after the
//! definition are none of its business: their triggers see the field, since whoever defines one waits for those who were
//! writing.

use serde::{Deserialize, Serialize};

use crate::outreach::activation::Chunk;
use crate::platform::jobs::{self, Job};
use crate::{ContactId, CustomFieldId, Error, Result, Tx};

/// Contacts of a chunk: their locks are held for well under a second.
pub const CHUNK: i64 = 5_000;

/// How far the field is filled.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    after: Option<ContactId>,
}

/// Does one chunk of a job that this transaction has locked; with the last one the field is ready. A job whose field is gone ends.
pub async fn run_chunk(tx: &Tx, job: &Job) -> Result<Chunk> {
    let mut cursor = Cursor::deserialize(&job.cursor).map_err(Error::internal)?;
    tx.query(include_str!("filling/share.sql"), &[&tx.organization()?]).await?;
    let field = match super::find(tx, CustomFieldId(job.subject_id)).await {
        Ok(field) => field,
        Err(Error::NotFound(_)) => {
            jobs::finish(tx, job.id, Some("the custom field was deleted")).await?;
            return Ok(Chunk::Last);
        }
        Err(error) => return Err(error),
    };
    let row = tx
        .query_one(
            include_str!("filling/fill.sql"),
            &[&tx.organization()?, &field.id, &field.kind.name(), &field.key, &cursor.after, &CHUNK],
        )
        .await?;
    let looked: i64 = row.try_get("looked")?;
    cursor.after = row.try_get::<_, Option<ContactId>>("last")?.or(cursor.after);
    jobs::advance(tx, job.id, looked, &serde_json::to_value(&cursor).map_err(Error::internal)?).await?;
    jobs::note(tx, job, &[("filled", row.try_get("filled")?)]).await?;
    if looked == CHUNK {
        return Ok(Chunk::More);
    }
    tx.execute(include_str!("filling/set_ready.sql"), &[&field.id]).await?;
    jobs::finish(tx, job.id, None).await?;
    Ok(Chunk::Last)
}
