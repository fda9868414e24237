//! Contacts as a CSV file: those of a selection, in columns that the caller chooses, written by a job.
//!
//! A chunk reads pages until it has enough for a part of an S3 upload, puts that part, and remembers where to go on in the transaction
//! that has read it: killed anywhere, the chunk is done again and puts the same part anew. Memory is that of one part and one page.
//! Each contact is what it is when it is read. A text that a spreadsheet would run is guarded.

use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::{Terminator, WriterBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;

use super::contacts::is_custom_key;
use super::selection::{Bounds, Selection};
use crate::outreach::activation::Chunk;
use crate::platform::exports::ArchiveStore;
use crate::platform::exports::uploads::{self, PART, Upload};
use crate::platform::jobs::{self, Job, JobKind};
use crate::spreadsheets::guarded;
use crate::{ContactId, Error, JobId, OrganizationId, Result, Tx, timestamps};

/// How long the link to a finished file is good.
pub const DOWNLOAD_WINDOW: Duration = Duration::from_secs(60 * 60);
/// Columns that a file may have.
pub const COLUMNS_MAXIMUM: usize = 100;
/// Contacts that are found at once: to ask whom a filter means takes as long for a few of many as for all of these. Whoever changes
/// between being found and being read is written as they are then.
const FOUND: i64 = 20_000;
/// Contacts that are read at once: with the largest custom fields they are 8 MiB.
const PAGE: usize = 500;
/// Excel reads a CSV file as UTF-8 only with it.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Columns beside custom fields, in the order of a file whose caller chooses none.
const FIELDS: [&str; 12] = [
    "id",
    "email",
    "name",
    "first_name",
    "last_name",
    "company",
    "status",
    "timezone",
    "tags",
    "source",
    "created_at",
    "updated_at",
];
/// Those of them that tell of a contact what nobody sets.
pub(crate) const TOLD: [&str; 6] = ["id", "status", "tags", "source", "created_at", "updated_at"];
/// What a column of a custom field begins with.
const CUSTOM: &str = "custom.";

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContactExport {
    /// Whose rows.
    pub selection: Selection,
    /// `id`, `email`, `name`, `first_name`, `last_name`, `company`, `status`, `timezone`, `tags`, `source`, `created_at`, `updated_at` and
    /// `custom.<key>`, in the order of the file; all but custom fields unless it is given.
    #[schemars(length(min = 1, max = COLUMNS_MAXIMUM))]
    pub columns: Option<Vec<String>>,
}

/// What the job keeps of it.
#[derive(Debug, Serialize, Deserialize)]
struct Input {
    selection: Selection,
    columns: Vec<String>,
    up_to: ContactId,
}

/// How far the file is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    after: Option<ContactId>,
    #[serde(flatten)]
    upload: Upload,
    rows: i64,
}

/// An export as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ContactsFile")]
pub struct ContactExport {
    /// The job that writes it; its progress counts contacts.
    #[serde(flatten)]
    pub job: Job,
    /// Where the file is downloaded, for an hour; null while it is not finished, and when it has expired.
    pub download_url: Option<String>,
}

/// Asks for a file. The job is to be enqueued once this is committed.
///
/// Errors: [`Error::Invalid`] for a column that is none, [`Error::NotFound`] for what the selection names.
pub async fn create(tx: &Tx, asked: NewContactExport) -> Result<Job> {
    let columns = asked.columns.unwrap_or_else(|| FIELDS.map(str::to_owned).to_vec());
    check(&columns)?;
    asked.selection.check(tx).await?;
    let bounds = Bounds::until_now();
    let total = asked.selection.count(tx, bounds).await?;
    let input = Input { selection: asked.selection, columns, up_to: bounds.up_to };
    let input = serde_json::to_value(input).map_err(Error::internal)?;
    jobs::create_for(tx, JobKind::ContactExport, &input, Some(total)).await
}

/// An export, with a link to its file once that is finished.
///
/// Errors: [`Error::NotFound`], [`Error::Unavailable`] when the store is.
pub async fn find(tx: &Tx, store: &dyn ArchiveStore, id: JobId) -> Result<ContactExport> {
    let job = jobs::find(tx, id).await?;
    if job.kind != JobKind::ContactExport {
        return Err(Error::not_found("export"));
    }
    let download_url = match job.state.as_str() {
        "completed" => {
            let file_name = format!("contacts-{}.csv", job.created_at.format("%Y-%m-%d"));
            store.presign_csv(&key(tx.organization()?, id), &file_name, DOWNLOAD_WINDOW).await?
        }
        _ => None,
    };
    Ok(ContactExport { job, download_url })
}

/// Where a file lies: beside the archives, and as long as they do.
fn key(organization: OrganizationId, job: JobId) -> String {
    format!("exports/{organization}/{job}.csv")
}

/// Does one chunk of a job that this transaction has locked: writes and puts the next part, and ends the file with the last.
///
/// Errors: the database or the store is not available. The chunk is to be done again then.
pub async fn run_chunk(tx: &Tx, store: &dyn ArchiveStore, job: &Job) -> Result<Chunk> {
    jobs::or_end(tx, job, write_chunk(tx, store, job).await).await
}

async fn write_chunk(tx: &Tx, store: &dyn ArchiveStore, job: &Job) -> Result<Chunk> {
    let Input { selection, columns, up_to } = Input::deserialize(&job.input).map_err(Error::internal)?;
    let key = key(tx.organization()?, job.id);
    let mut part = Vec::new();
    let mut cursor = match job.cursor.as_object().is_some_and(serde_json::Map::is_empty) {
        true => {
            part.extend_from_slice(MARK);
            write(&mut part, columns.iter().map(String::as_str))?;
            Cursor { upload: Upload::begin(store, &key).await?, ..Cursor::default() }
        }
        false => Cursor::deserialize(&job.cursor).map_err(Error::internal)?,
    };
    let before = cursor.rows;
    let mut is_last = false;
    while part.len() < PART && !is_last {
        let found = selection.read(tx, Bounds { after: cursor.after, up_to }, FOUND).await?;
        // Where fewer come than were asked for, there is nobody behind them.
        is_last = i64::try_from(found.len()).map_err(Error::internal)? < FOUND;
        for page in found.chunks(PAGE) {
            for row in &tx.query(include_str!("contact_exports/read.sql"), &[&page]).await? {
                let cells: Vec<String> = columns.iter().map(|column| cell(row, column)).collect::<Result<_>>()?;
                write(&mut part, cells.iter().map(String::as_str))?;
                cursor.rows += 1;
            }
            cursor.after = page.last().copied();
            if part.len() >= PART {
                is_last &= cursor.after == found.last().copied();
                break;
            }
        }
    }
    let put = cursor.upload.put(store, &key, part, is_last).await?;
    uploads::end_chunk(tx, job, put, (before, cursor.rows), &cursor).await
}

fn check(columns: &[String]) -> Result<()> {
    if !(1..=COLUMNS_MAXIMUM).contains(&columns.len()) {
        return Err(Error::invalid("columns", "out_of_range", "a file has 1 to 100 columns"));
    }
    for (at, column) in columns.iter().enumerate() {
        let is_known = FIELDS.contains(&column.as_str()) || column.strip_prefix(CUSTOM).is_some_and(is_custom_key);
        if !is_known {
            return Err(Error::invalid("columns", "unknown_column", format!("there is no column {column:?}")));
        }
        if columns[..at].contains(column) {
            return Err(Error::invalid("columns", "twice", format!("the column {column} is named twice")));
        }
    }
    Ok(())
}

fn cell(row: &Row, column: &str) -> Result<String> {
    if let Some(key) = column.strip_prefix(CUSTOM) {
        let custom: Value = row.try_get("custom")?;
        return Ok(match &custom[key] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
    }
    match column {
        "id" => Ok(row.try_get::<_, ContactId>("id")?.to_string()),
        "created_at" | "updated_at" => Ok(timestamps::text(row.try_get::<_, DateTime<Utc>>(column)?)),
        text => Ok(row.try_get::<_, Option<String>>(text)?.unwrap_or_default()),
    }
}

fn write<'a>(part: &mut Vec<u8>, cells: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(part);
    writer.write_record(cells.map(guarded)).map_err(Error::internal)?;
    writer.flush().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_and_named_once() {
        let of = |names: &[&str]| check(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(of(&FIELDS).is_ok() && of(&["email", "custom.plan", "tags"]).is_ok());
        for wrong in [&[][..], &["raw_data"], &["custom."], &["custom.a b"], &["email", "email"], &["Email"]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
