//! The sheet of a workbook becomes an object of CSV, from which an import goes on like any other.
//!
//! That is done in one go, since a workbook can't be read from its middle, and does no harm when it is done again: whoever is
//! killed on the way leaves an upload that nobody completes, and the bucket forgets it.

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::FileError;
use super::chunks::{Bytes, Failure, FileKey};
use super::formats::Kind;
use super::objects::{ObjectStore, StoredPart};
use super::workbooks::{self, Workbook};
use crate::{Error, ImportId, OrganizationId};

/// What a sheet has become.
pub(super) struct Converted {
    pub(super) file: FileKey,
    /// The sheet's name.
    pub(super) sheet: String,
}

/// Where the rows of a run lie. A run that was left behind can't write over a later one's.
pub(super) fn key(organization: OrganizationId, import: ImportId, run: i64) -> String {
    format!("uploads/{organization}/{import}.{run}.rows.csv")
}

/// Whether the file is a workbook, by how it begins.
pub(super) async fn is_workbook(store: &dyn ObjectStore, file: &FileKey) -> Result<bool, Failure> {
    let first = Bytes { store, key: file.clone(), fetched: 0 }.first().await?;
    Ok(workbooks::is_archive(&first))
}

/// Writes the sheet of this name, or the first that people see, under `key`.
pub(super) async fn convert(
    store: &dyn ObjectStore,
    file: &FileKey,
    sheet: Option<String>,
    key: String,
) -> Result<Converted, Failure> {
    workbooks::check_size(file.size)?;
    let all = Bytes { store, key: file.clone(), fetched: 0 }.rest(Vec::new()).await?;
    let (sender, mut parts) = mpsc::channel::<Vec<u8>>(1);
    let reading = spawn_blocking(move || {
        let workbook = Workbook::open(all, sheet.as_deref())?;
        let written = workbook.convert(|part| sender.blocking_send(part).is_ok())?;
        match written {
            0 => Err(FileError::new("no_header", format!("the sheet {:?} is empty", workbook.sheet_name()))),
            _ => Ok(workbook.sheet_name().to_owned()),
        }
    });
    let upload = store.begin_upload(&key).await?;
    let mut stored = Vec::new();
    for number in 1.. {
        let Some(part) = parts.recv().await else { break };
        let size = part.len() as u64;
        let etag = store.upload_part(&key, &upload, number, part).await?.ok_or_else(gone)?;
        stored.push(StoredPart { number, size, etag });
    }
    let sheet = match reading.await.map_err(Error::internal)? {
        Ok(sheet) => sheet,
        Err(error) => {
            store.abort_upload(&key, &upload).await?;
            return Err(error.into());
        }
    };
    if !store.complete_upload(&key, &upload, &stored).await? {
        return Err(gone().into());
    }
    let head = store.head(&key).await?.ok_or_else(gone)?;
    Ok(Converted { file: FileKey { key, etag: head.etag, size: head.size, kind: Kind::Sheet }, sheet })
}

/// Somebody has taken away what was just written; it is to be done again.
fn gone() -> Error {
    Error::Unavailable("the rows of a workbook vanished while they were written".into())
}
