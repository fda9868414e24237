//! Imports: a file of contacts that a client uploads, and how far it has been read.
//!
//! The client makes an import, puts the file where the signed URL says and starts it. From then on the importer reads it
//! chunk by chunk ([`importing`]), in an invocation that queues the next one until the file is done.

mod chunks;
mod columns;
mod converting;
pub(super) mod encodings;
mod error_files;
mod formats;
pub mod importing;
mod json_object;
mod merging;
mod objects;
mod parsing;
mod preview;
mod rows;
pub mod sweeping;
pub mod uploads;
mod workbooks;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

pub use columns::{ColumnMapping, Unmapped};
pub use merging::{Existing, Foreseen};
pub use objects::{ObjectHead, ObjectStore, PART_MINIMUM, PresignedPut, StoredPart};
pub use preview::{Preview, PreviewColumn, PreviewRow, Warning};
pub use uploads::Upload;

use chunks::FileKey;
use formats::Kind;
use merging::Origin;

use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::timestamps::{millis, millis_or_null};
use crate::{Database, Error, ImportId, ListId, OrganizationId, Result, TagId, Tx};

/// How long the URL of an error file is good.
pub const DOWNLOAD_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Bytes of a file at most: about ten million rows.
pub const FILE_MAXIMUM: u64 = 1 << 30;
/// Characters of a file's name, as file systems have it.
const FILE_NAME_MAXIMUM: usize = 255;

/// Tags that an import gives.
const TAGS_MAXIMUM: usize = 20;
/// Characters of a sheet's name; Excel has 31, other programs more.
const SHEET_NAME_MAXIMUM: usize = 255;

/// Where imports wait for the importer. A hint: the row is the truth.
pub trait ImportQueue: Send + Sync {
    /// Asks for the next chunks of an import.
    fn enqueue(&self, organization: OrganizationId, import: ImportId) -> BoxFuture<'_, Result<()>>;
}

/// How much of a file is done at once, which bounds memory and how long locks are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rows of a chunk at most.
    pub rows: usize,
    /// Bytes of a chunk, column names counted with each row; the row that passes it is the last.
    pub bytes: usize,
    /// Bytes asked of the store at once.
    pub piece: u64,
}

impl Default for Pace {
    /// A chunk of some tenths of a second; pieces that are large beside the time a request takes.
    fn default() -> Self {
        Self { rows: 10_000, bytes: 4 << 20, piece: 4 << 20 }
    }
}

/// Why a file can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
struct FileError {
    code: &'static str,
    message: String,
}

impl FileError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn row_too_long(line: u64) -> Self {
        Self::new(
            "row_too_long",
            format!("the row that starts on line {line} has more than 1 MiB; a quote may not be closed"),
        )
    }
}

/// An import as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The file's name on the client's side.
    pub file_name: String,
    /// The list that the contacts are put on.
    pub list_id: Option<ListId>,
    /// The tags that the contacts get.
    pub tag_ids: Vec<TagId>,
    /// `update` or `skip`: what becomes of contacts that are there already.
    pub existing: String,
    /// `custom` or `ignore`: what becomes of columns that nobody knows.
    pub unmapped: String,
    /// Column by column, by header: where the values go, null for a column that is left out. What the caller said until
    /// the header has been read.
    pub column_mapping: Option<Value>,
    /// The sheet of a workbook that is read, or that was asked for. Null for a CSV file.
    pub sheet: Option<String>,
    /// How the file is written: `utf-8`, `utf-16le`, `utf-16be` or `windows-1252`. Null while nothing but ASCII was read.
    pub encoding: Option<String>,
    /// `pending`, `processing`, `completed` or `failed`.
    pub status: String,
    /// Per cent of the file that is done, by bytes.
    pub progress: i64,
    /// Bytes that are done.
    pub bytes_done: i64,
    /// Bytes of the file, once it is started; of a workbook, those of its rows as text, once these are known.
    pub bytes_total: Option<i64>,
    /// Rows that are done: the sum of the four that follow.
    pub rows_total: i64,
    /// Rows that made a contact.
    pub rows_created: i64,
    /// Rows that changed one.
    pub rows_updated: i64,
    /// Rows that said nothing new.
    pub rows_unchanged: i64,
    /// Rows that could not be taken; see the import's errors.
    pub rows_failed: i64,
    /// Stable name of why the file can't be imported.
    pub error_code: Option<String>,
    /// The same for people.
    pub error: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last started.
    #[serde(serialize_with = "millis_or_null")]
    pub started_at: Option<DateTime<Utc>>,
    /// When the file was done.
    #[serde(serialize_with = "millis_or_null")]
    pub completed_at: Option<DateTime<Utc>>,
}

/// A row that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImportError {
    /// Line of the file on which the row starts, or the row of a sheet; the first is 1.
    pub line: i64,
    /// Stable name of what is wrong.
    pub code: String,
    /// The same for people.
    pub reason: String,
    /// The row's text; of one of more than 4,000 characters the beginning, with … behind it.
    pub raw: String,
}

/// What is asked for with a new import.
#[derive(Debug, Clone, Default)]
pub struct NewImport {
    /// The file's name on the client's side.
    pub file_name: String,
    /// The list to put the contacts on.
    pub list_id: Option<ListId>,
    /// Where columns go that the header doesn't tell, or tells wrongly.
    pub column_mapping: Option<ColumnMapping>,
    /// The sheet of a workbook to read, if not the first that people see.
    pub sheet: Option<String>,
    /// Bytes of the file. A large one is uploaded in parts.
    pub size: u64,
    /// Tags for everybody in the file.
    pub tag_ids: Vec<TagId>,
    /// What becomes of contacts that are there already.
    pub existing: Existing,
    /// What becomes of columns that nobody knows.
    pub unmapped: Unmapped,
}

/// Makes an import and signs the requests that upload its file.
///
/// Errors: [`Error::Invalid`] for a name that is none, a size that no file has, or a list or tag that this organization
/// doesn't have.
pub async fn create(tx: &Tx, store: &dyn ObjectStore, mut new: NewImport) -> Result<(Import, Upload)> {
    let mut fields = Fields::default();
    let file_name = fields.required_line("file_name", &new.file_name, FILE_NAME_MAXIMUM);
    let sheet = new.sheet.map(|sheet| fields.required_line("sheet", &sheet, SHEET_NAME_MAXIMUM));
    new.tag_ids.sort_unstable();
    new.tag_ids.dedup();
    if new.tag_ids.len() > TAGS_MAXIMUM {
        fields.refuse("tag_ids", "too_many", format!("an import gives {TAGS_MAXIMUM} tags at most"));
    }
    fields.finish()?;
    uploads::check_size(new.size)?;
    let (organization, id) = (tx.organization()?, ImportId::fresh());
    let object_key = format!("uploads/{organization}/{id}");
    let mapping = new.column_mapping.map(|mapping| mapping.to_json());
    let upload = uploads::begin(store, &object_key, new.size).await?;
    let upload_bytes = i64::try_from(new.size).map_err(Error::internal)?;
    let inserted = tx
        .query_one(
            include_str!("imports/insert.sql"),
            &[
                &organization,
                &id,
                &file_name,
                &object_key,
                &mapping,
                &new.list_id,
                &sheet,
                &new.existing.name(),
                &new.unmapped.name(),
                &upload,
                &upload_bytes,
            ],
        )
        .await;
    let row = match inserted {
        Ok(row) => row,
        Err(error) if violated_constraint(&error) == Some("import_batches_list_fkey") => {
            return Err(Error::invalid("list_id", "not_found", "there is no such list"));
        }
        Err(error) => return Err(error),
    };
    let tagged = tx.execute(include_str!("imports/insert_tags.sql"), &[&organization, &id, &new.tag_ids]).await;
    match tagged {
        Err(error) if violated_constraint(&error) == Some("import_tags_tag_fkey") => {
            return Err(Error::invalid("tag_ids", "not_found", "there is no such tag"));
        }
        tagged => tagged?,
    };
    let import = Import { tag_ids: new.tag_ids, ..from_row(&row)? };
    Ok((import, uploads::sign(store, &row).await?))
}

/// One import.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: ImportId) -> Result<Import> {
    from_row(&find_row(tx, id).await?)
}

/// Imports of an organization that are under way at a time: two of them work on it at once, and the others stand in front of everybody
/// else's.
const UNDER_WAY_MAXIMUM: i64 = 5;

/// The newest imports, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, before: Option<ImportId>, limit: i64) -> Result<Vec<Import>> {
    tx.query(include_str!("imports/list.sql"), &[&before, &limit]).await?.iter().map(from_row).collect()
}

/// The rows of an import that could not be taken, in the order of the file, at most `limit`, beyond the line `after`.
///
/// Errors: [`Error::NotFound`].
pub async fn list_errors(tx: &Tx, id: ImportId, after: Option<i64>, limit: i64) -> Result<Vec<ImportError>> {
    find_row(tx, id).await?;
    let rows = tx.query(include_str!("imports/list_errors.sql"), &[&id, &after.unwrap_or_default(), &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(ImportError {
                line: row.try_get("line")?,
                code: row.try_get("code")?,
                reason: row.try_get("reason")?,
                raw: row.try_get("raw")?,
            })
        })
        .collect()
}

/// What an import would make of the file that has been uploaded, by its beginning and the mapping that was asked for. In transactions of
/// its own: none is open while the file is read.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`file_missing`), [`Error::Unavailable`] when the store is. What is wrong
/// with the file itself stands in the preview.
pub async fn preview(
    db: &Database,
    organization: OrganizationId,
    store: &dyn ObjectStore,
    id: ImportId,
) -> Result<Preview> {
    let tx = db.begin(organization).await?;
    let row = find_row(&tx, id).await?;
    tx.commit().await?;
    let requested = requested_mapping(&row)?;
    let key: String = row.try_get("object_key")?;
    let Some(ObjectHead { size, etag }) = store.head(&key).await? else { return Err(file_missing()) };
    let file = FileKey { key, etag, size, kind: Kind::Text };
    let sheet: Option<String> = row.try_get("requested_sheet")?;
    let (mut preview, rows) = preview::read(store, file, sheet, requested.as_ref()).await?;
    if preview.error_code.is_none() {
        let tags: Vec<TagId> = row.try_get("tag_ids")?;
        let existing = Existing::from_name(row.try_get("existing")?);
        // Nobody has been met yet by a run that has not begun.
        let (list, run_started_at) = (row.try_get("list_id")?, DateTime::<Utc>::MAX_UTC);
        let origin = Origin { import: id, list, tags: &tags, existing, run_started_at };
        let tx = db.begin(organization).await?;
        let foreseen = merging::foresee(&tx, origin, &rows).await?;
        tx.commit().await?;
        for row in &mut preview.rows {
            row.outcome = row.outcome.or_else(|| foreseen.get(&row.line).copied());
        }
    }
    Ok(preview)
}

/// Signs a URL from which the rows that could not be taken are downloaded as CSV, within [`DOWNLOAD_WINDOW`]: line, code and
/// reason, then the row's own cells.
///
/// Errors: [`Error::NotFound`], also for a file that has expired; [`Error::Conflict`] (`not_ended`, `no_errors`),
/// [`Error::Unavailable`] when the store is.
pub async fn error_file(tx: &Tx, store: &dyn ObjectStore, id: ImportId) -> Result<String> {
    let row = find_row(tx, id).await?;
    if !matches!(row.try_get("status")?, "completed" | "failed") {
        return Err(Error::conflict("not_ended", "the import has not ended yet; its errors are listed meanwhile"));
    }
    if row.try_get::<_, i64>("rows_failed")? == 0 {
        return Err(Error::conflict("no_errors", "every row was taken"));
    }
    let run: Option<DateTime<Utc>> = row.try_get("run_started_at")?;
    let run = run.ok_or_else(|| Error::internal("an import that has ended was never started"))?;
    let key = error_files::key(tx.organization()?, id, run);
    if store.head(&key).await?.is_none() {
        return Err(Error::not_found("error file"));
    }
    store.presign_csv(&key, "errors.csv", DOWNLOAD_WINDOW).await
}

/// Starts an import whose file has been uploaded, or one that failed, from the file's beginning. A mapping given here takes
/// the place of the one given before.
///
/// It is queued before it is committed: a hint that comes early waits for the commit, and one whose start is rolled back
/// finds nothing to do, whereas a committed start without a hint would never begin.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`already_started`, `too_many_imports`, `file_missing`), [`Error::Invalid`]
/// (`file_empty`, `file_too_large`), [`Error::Unavailable`] when the store or the queue is.
pub async fn start(
    tx: &Tx,
    store: &dyn ObjectStore,
    queue: &dyn ImportQueue,
    id: ImportId,
    mapping: Option<ColumnMapping>,
) -> Result<Import> {
    let row = find_row(tx, id).await?;
    if !matches!(row.try_get("status")?, "pending" | "failed") {
        return Err(already_started());
    }
    if tx.query_one(include_str!("imports/count_under_way.sql"), &[]).await?.try_get::<_, i64>("imports")?
        >= UNDER_WAY_MAXIMUM
    {
        let message = format!("{UNDER_WAY_MAXIMUM} imports are under way; start it when one of them has ended");
        return Err(Error::conflict("too_many_imports", message));
    }
    if uploads::under_way(&row)?.is_some() {
        return Err(Error::conflict("upload_unfinished", "the parts of the file have not been put together"));
    }
    let object_key: &str = row.try_get("object_key")?;
    let Some(object) = store.head(object_key).await? else {
        return Err(file_missing());
    };
    if object.size == 0 {
        return Err(Error::invalid("file", "file_empty", "the uploaded file is empty"));
    }
    if object.size > FILE_MAXIMUM {
        return Err(file_too_large("file"));
    }
    let size = i64::try_from(object.size).map_err(Error::internal)?;
    let mapping = mapping.map(|mapping| mapping.to_json());
    let started =
        tx.query_opt(include_str!("imports/start.sql"), &[&id, &mapping, &object.etag, &size, &tx.now()]).await?;
    let import = from_row(&started.ok_or_else(already_started)?)?;
    tx.execute(include_str!("imports/delete_errors.sql"), &[&id]).await?;
    queue.enqueue(tx.organization()?, id).await?;
    Ok(import)
}

fn file_too_large(field: &str) -> Error {
    Error::invalid(field, "file_too_large", "a file has 1 GiB at most")
}

/// What the caller said about columns, those included that are not named.
fn requested_mapping(row: &Row) -> Result<Option<ColumnMapping>> {
    let requested: Option<Value> = row.try_get("requested_mapping")?;
    let requested = requested.map(ColumnMapping::from_json).transpose()?;
    let unmapped = Unmapped::from_name(row.try_get("unmapped")?);
    Ok(Some(requested.unwrap_or_default().with_unmapped(unmapped)))
}

fn file_missing() -> Error {
    Error::conflict("file_missing", "the file has not been uploaded")
}

fn already_started() -> Error {
    Error::conflict("already_started", "the import has been started; only one that failed can be started again")
}

async fn find_row(tx: &Tx, id: ImportId) -> Result<Row> {
    tx.query_opt(include_str!("imports/find.sql"), &[&id]).await?.ok_or(Error::not_found("import"))
}

fn from_row(row: &Row) -> Result<Import> {
    let (used, requested): (Option<Value>, Option<Value>) =
        (row.try_get("column_mapping")?, row.try_get("requested_mapping")?);
    let (sheet, requested_sheet): (Option<String>, Option<String>) =
        (row.try_get("sheet")?, row.try_get("requested_sheet")?);
    let (bytes_done, bytes_total): (i64, Option<i64>) = (row.try_get("bytes_done")?, row.try_get("bytes_total")?);
    Ok(Import {
        id: row.try_get("id")?,
        file_name: row.try_get("file_name")?,
        list_id: row.try_get("list_id")?,
        tag_ids: row.try_get("tag_ids")?,
        existing: row.try_get("existing")?,
        unmapped: row.try_get("unmapped")?,
        column_mapping: used.or(requested),
        sheet: sheet.or(requested_sheet),
        encoding: row.try_get("encoding")?,
        status: row.try_get("status")?,
        progress: bytes_total.filter(|total| *total > 0).map_or(0, |total| bytes_done.saturating_mul(100) / total),
        bytes_done,
        bytes_total,
        rows_total: row.try_get("rows_total")?,
        rows_created: row.try_get("rows_created")?,
        rows_updated: row.try_get("rows_updated")?,
        rows_unchanged: row.try_get("rows_unchanged")?,
        rows_failed: row.try_get("rows_failed")?,
        error_code: row.try_get("error_code")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        completed_at: row.try_get("completed_at")?,
    })
}
