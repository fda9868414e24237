//! How a file comes into the store: at once, or in parts where it is large, so that a connection that breaks costs one part
//! and not the file.

use std::time::Duration;

use tokio_postgres::Row;

use super::objects::{ObjectStore, PresignedPut, StoredPart};
use super::{FILE_MAXIMUM, Import, already_started, file_missing, file_too_large, find_row, from_row};
use crate::{Error, ImportId, Result, Tx};

/// How long a client may take to begin the upload of a file at once.
pub const UPLOAD_WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long the requests of parts are good; they can be signed anew.
pub const PARTS_WINDOW: Duration = Duration::from_secs(60 * 60);
/// Bytes of a file that is uploaded at once.
const WHOLE_MAXIMUM: u64 = 64 << 20;
/// Bytes of each part but the last, so that the largest file has 64.
const PART_SIZE: u64 = 16 << 20;

/// How a file is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upload {
    /// By one request.
    Whole(PresignedPut),
    /// By a request for each part, in any order and several at once.
    Parts {
        /// Bytes of each part but the last.
        size: u64,
        /// Those that have not been put yet.
        parts: Vec<(i32, PresignedPut)>,
    },
}

/// Checks the size that a client announces.
///
/// Errors: [`Error::Invalid`] (`file_empty`, `file_too_large`).
pub(super) fn check_size(size: u64) -> Result<()> {
    match size {
        0 => Err(Error::invalid("size", "file_empty", "an empty file can't be imported")),
        size if size > FILE_MAXIMUM => Err(file_too_large("size")),
        _ => Ok(()),
    }
}

/// Begins an upload in parts where the file is large. Its name, if it has one.
pub(super) async fn begin(store: &dyn ObjectStore, key: &str, size: u64) -> Result<Option<String>> {
    if size > WHOLE_MAXIMUM { store.begin_upload(key).await.map(Some) } else { Ok(None) }
}

/// Signs the requests that put the file of an import, or what is missing of it.
pub(super) async fn sign(store: &dyn ObjectStore, row: &Row) -> Result<Upload> {
    let key: &str = row.try_get("object_key")?;
    // An import without one was made when nobody had to tell it.
    let size = size(row)?.ok_or_else(upload_gone)?;
    let Some((upload, size)) = under_way(row)? else {
        return store.presign_put(key, size, UPLOAD_WINDOW).await.map(Upload::Whole);
    };
    let stored = store.list_parts(key, upload).await?.ok_or_else(upload_gone)?;
    let mut parts = Vec::new();
    for (number, length) in (1..).zip(lengths(size)) {
        if !stored.iter().any(|part| part.number == number && part.size == length) {
            parts.push((number, store.presign_part(key, upload, number, length, PARTS_WINDOW).await?));
        }
    }
    Ok(Upload::Parts { size: PART_SIZE, parts })
}

/// Signs anew the requests that put the file of an import, or the parts of it that are missing.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`already_started`, `upload_gone`), [`Error::Unavailable`] when the
/// store is.
pub async fn find(tx: &Tx, store: &dyn ObjectStore, id: ImportId) -> Result<Upload> {
    let row = find_row(tx, id).await?;
    if row.try_get::<_, &str>("status")? != "pending" {
        return Err(already_started());
    }
    sign(store, &row).await
}

/// Makes the file of its parts. Doing it again does nothing.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`parts_missing`, `upload_gone`), [`Error::Unavailable`] when the store
/// is.
pub async fn complete(tx: &Tx, store: &dyn ObjectStore, id: ImportId) -> Result<Import> {
    let row = lock(tx, id).await?;
    let key: &str = row.try_get("object_key")?;
    let Some((upload, size)) = under_way(&row)? else {
        return if store.head(key).await?.is_some() { from_row(&row) } else { Err(file_missing()) };
    };
    match store.list_parts(key, upload).await? {
        Some(parts) => {
            let missing = missing(&parts, size);
            if !missing.is_empty() {
                let message = format!("these parts have not been put, or have another length: {}", told(&missing));
                return Err(Error::conflict("parts_missing", message));
            }
            if !store.complete_upload(key, upload, &parts).await? && store.head(key).await?.is_none() {
                return Err(upload_gone());
            }
        }
        // Somebody has completed it before, and nobody has noted it.
        None if store.head(key).await?.is_some() => {}
        None => return Err(upload_gone()),
    }
    from_row(&tx.query_one(include_str!("end_upload.sql"), &[&id]).await?)
}

/// Gives up an upload in parts, and the import with it.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`no_upload`) where none is under way, [`Error::Unavailable`] when the
/// store is.
pub async fn abort(tx: &Tx, store: &dyn ObjectStore, id: ImportId) -> Result<Import> {
    let row = lock(tx, id).await?;
    let Some((upload, _)) = under_way(&row)? else {
        return Err(Error::conflict("no_upload", "no upload in parts is under way"));
    };
    store.abort_upload(row.try_get("object_key")?, upload).await?;
    from_row(&tx.query_one(include_str!("abort_upload.sql"), &[&id]).await?)
}

async fn lock(tx: &Tx, id: ImportId) -> Result<Row> {
    tx.query_opt(include_str!("lock_upload.sql"), &[&id]).await?.ok_or(Error::not_found("import"))
}

/// The name of an upload in parts, and the bytes that it will have.
pub(super) fn under_way(row: &Row) -> Result<Option<(&str, u64)>> {
    Ok(row.try_get::<_, Option<&str>>("upload_id")?.zip(size(row)?))
}

/// Bytes that the file will have.
fn size(row: &Row) -> Result<Option<u64>> {
    let bytes: Option<i64> = row.try_get("upload_bytes")?;
    bytes.map(u64::try_from).transpose().map_err(Error::internal)
}

fn upload_gone() -> Error {
    Error::conflict("upload_gone", "the upload was begun too long ago; make another import")
}

/// Bytes of each part of a file.
fn lengths(size: u64) -> impl Iterator<Item = u64> {
    (0..size.div_ceil(PART_SIZE)).map(move |n| PART_SIZE.min(size - n * PART_SIZE))
}

/// The numbers of the parts that are not there as they should be, and of those that should not be there.
fn missing(stored: &[StoredPart], size: u64) -> Vec<i32> {
    let expected: Vec<(i32, u64)> = (1..).zip(lengths(size)).collect();
    let found: Vec<(i32, u64)> = stored.iter().map(|part| (part.number, part.size)).collect();
    let mut missing: Vec<i32> =
        expected.iter().filter(|part| !found.contains(part)).map(|(number, _)| *number).collect();
    missing.extend(found.iter().map(|(number, _)| *number).filter(|number| *number > expected.len() as i32));
    missing
}

fn told(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_file() {
        for size in [1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, FILE_MAXIMUM] {
            let parts: Vec<u64> = lengths(size).collect();
            assert_eq!(parts.iter().sum::<u64>(), size);
            assert!(parts.len() <= 64 && parts[..parts.len() - 1].iter().all(|length| *length == PART_SIZE));
        }
        let part = |number, size| StoredPart { number, size, etag: String::new() };
        assert_eq!(missing(&[part(1, PART_SIZE), part(2, 1)], PART_SIZE + 1), [0; 0]);
        assert_eq!(missing(&[part(1, PART_SIZE), part(2, 2), part(3, 1)], PART_SIZE + 1), [2, 3]);
        assert_eq!(missing(&[], PART_SIZE + 1), [1, 2]);
    }
}
