//! Where uploaded files lie.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::Result;

/// Bytes of a part of an upload at least, but of the last.
pub const PART_MINIMUM: u64 = 5 << 20;

/// A request that a client may make by itself: the signature is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedPut {
    /// Where to.
    pub url: String,
    /// Headers that are part of the signature and must be sent as they are.
    pub headers: BTreeMap<String, String>,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// Bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: String,
}

/// A part of an upload, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// From 1 on.
    pub number: i32,
    /// Bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: String,
}

/// A store of objects by key.
pub trait ObjectStore: Send + Sync {
    /// Signs a request that puts an object of `size` bytes under `key`, and none of another size, good for `valid` from now
    /// on.
    fn presign_put<'a>(&'a self, key: &'a str, size: u64, valid: Duration) -> BoxFuture<'a, Result<PresignedPut>>;

    /// Signs a URL from which a browser downloads the object under `key` as a CSV file named `file_name`, good for `valid`
    /// from now on.
    fn presign_csv<'a>(&'a self, key: &'a str, file_name: &'a str, valid: Duration) -> BoxFuture<'a, Result<String>>;

    /// What lies under `key`, if anything does.
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectHead>>>;

    /// The bytes of a range, fewer where the object ends before it; `None` when the object is gone or is no longer the one
    /// with this `etag`.
    fn read_range<'a>(
        &'a self,
        key: &'a str,
        etag: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// Puts an object under `key`, in place of what is there.
    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>) -> BoxFuture<'a, Result<()>>;

    /// Begins an upload in parts, and returns its name.
    fn begin_upload<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String>>;

    /// Puts a part, numbered from 1, in place of one with the same number, and returns its etag. Each but the last has
    /// [`PART_MINIMUM`] bytes at least. `None` when there is no such upload any more.
    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<Option<String>>>;

    /// Signs a request that puts such a part, of `size` bytes and no other size, good for `valid` from now on.
    fn presign_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        size: u64,
        valid: Duration,
    ) -> BoxFuture<'a, Result<PresignedPut>>;

    /// The parts that have been put, in their order; `None` when there is no such upload any more.
    fn list_parts<'a>(&'a self, key: &'a str, upload: &'a str) -> BoxFuture<'a, Result<Option<Vec<StoredPart>>>>;

    /// Makes an object of these parts; false when there is no such upload any more.
    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        parts: &'a [StoredPart],
    ) -> BoxFuture<'a, Result<bool>>;

    /// Gives up an upload and what was put of it. One that is not there any more is given up.
    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a str) -> BoxFuture<'a, Result<()>>;
}
