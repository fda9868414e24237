//! A file that a job writes in parts, one a chunk, by an upload that it remembers from chunk to chunk.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ArchiveStore;
use crate::outreach::activation::Chunk;
use crate::platform::jobs::{self, Job};
use crate::{Error, Result, Tx};

/// Bytes of a part at least: S3 takes no smaller one but the last.
pub(crate) const PART: usize = 5 << 20;

/// An upload in parts, in the cursor of its job.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Its name.
    upload: String,
    /// The parts that are put.
    etags: Vec<String>,
}

/// What became of a part.
pub(crate) enum Put {
    /// It is put, and others follow.
    Kept,
    /// It was the last, and the file is complete.
    Completed,
    /// The bucket has given the upload up.
    Gone,
}

impl Upload {
    /// Begins an upload to `key`.
    pub(crate) async fn begin(store: &dyn ArchiveStore, key: &str) -> Result<Self> {
        Ok(Self { upload: store.begin(key).await?, etags: Vec::new() })
    }

    /// Puts the next part, and completes the file with the last. Whoever was killed after that finds no upload, and the file.
    pub(crate) async fn put(
        &mut self,
        store: &dyn ArchiveStore,
        key: &str,
        part: Vec<u8>,
        is_last: bool,
    ) -> Result<Put> {
        let number = i32::try_from(self.etags.len() + 1).map_err(Error::internal)?;
        let etag = store.put_part(key, &self.upload, number, part).await?;
        let is_put = etag.is_some();
        self.etags.extend(etag);
        Ok(match is_last {
            true if store.complete(key, &self.upload, &self.etags).await? => Put::Completed,
            false if is_put => Put::Kept,
            _ => Put::Gone,
        })
    }
}

/// Ends a chunk by what became of its part: `rows` were written when it began and when it ended. Where the upload is gone, the next
/// chunk begins the file anew, by another one.
pub(crate) async fn end_chunk(
    tx: &Tx,
    job: &Job,
    put: Put,
    (before, after): (i64, i64),
    cursor: &impl Serialize,
) -> Result<Chunk> {
    if let Put::Gone = put {
        tracing::warn!(job_id = %job.id, kind = job.kind.name(), "the upload of a file is gone, and begun anew");
        jobs::advance(tx, job.id, -before, &json!({})).await?;
        return Ok(Chunk::More);
    }
    jobs::advance(tx, job.id, after - before, &serde_json::to_value(cursor).map_err(Error::internal)?).await?;
    if let Put::Kept = put {
        return Ok(Chunk::More);
    }
    jobs::finish(tx, job.id, None).await?;
    Ok(Chunk::Last)
}
