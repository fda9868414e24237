//! What is remembered of the ledger outside of the database: an object in the bucket.

use futures_util::future::BoxFuture;
use shared::audience::imports::ObjectStore as _;
use shared::delivery::restoration::Memory;
use shared::{Error, Result};

use super::object_store::S3Store;

/// Where the number stands.
const KEY: &str = "ledger/runs";
/// Longer than any number.
const LONGEST: u64 = 64;

/// A number in a bucket.
pub struct S3Memory(S3Store);

impl S3Memory {
    /// In this bucket.
    #[must_use]
    pub fn new(store: S3Store) -> Self {
        Self(store)
    }
}

impl Memory for S3Memory {
    fn recall(&self) -> BoxFuture<'_, Result<Option<i64>>> {
        Box::pin(async move {
            let Some(bytes) = self.0.read_start(KEY, LONGEST).await? else { return Ok(None) };
            let runs = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
            runs.map(Some).ok_or_else(|| Error::internal(format!("{KEY} in the bucket is no number")))
        })
    }

    fn keep(&self, runs: i64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.0.put(KEY, runs.to_string().into_bytes()).await })
    }
}
