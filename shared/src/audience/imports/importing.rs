//! Importing: from a hint in the queue to the contacts, chunk by chunk.
//!
//! A chunk is divided between two lanes by whom its rows are about, so that two connections work at once and never on the same
//! person. What a lane does with it is one transaction that also moves the lane's place in the file and the counters, so that
//! whatever is killed, and wherever, is done again from the last chunk that was committed, with the same result; of a chunk
//! of which one lane was committed, the other alone is done again.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::future::join;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::chunks::{Chunk, Failure, File, FileKey, Place};
use super::columns::ColumnMapping;
use super::converting;
use super::encodings::Encoding;
use super::error_files::{self, ErrorFile};
use super::formats::Kind;
use super::merging::{self, Counts, Existing, Found, LANES, Origin, Pending};
use super::objects::ObjectStore;
use super::parsing::Position;
use super::rows::RowError;
use super::{FileError, ImportQueue, Pace};
use crate::platform::plans;
use crate::platform::webhooks::{EventType, outbox};
use crate::{Database, Error, ImportId, ListId, OrganizationId, Result, TagId, Tx};

/// How often a chunk is begun anew because somebody else makes its contacts at the same moment.
const ATTEMPTS: usize = 5;
/// Errors kept of one import. A file with more of them has one thing wrong throughout; the counter still counts each row.
const KEPT_ERRORS: i64 = 100_000;
/// Errors read at once for the error file.
const ERRORS_AT_ONCE: i64 = 1_000;
/// How many contacts an ending import forgets in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 20_000;

/// The importer and what it works with.
pub struct Importer {
    /// As the role of tenant work.
    pub db: Database,
    /// Where the files lie.
    pub store: Arc<dyn ObjectStore>,
    /// Where an import waits for its next turn.
    pub queue: Arc<dyn ImportQueue>,
    /// How much is done at once.
    pub pace: Pace,
}

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The import has completed or failed.
    Ended,
    /// It is queued for the rest.
    Queued,
    /// Nothing to do, or somebody else is doing it.
    Left,
}

impl Importer {
    /// Works on an import until it has ended or the deadline has passed, but one chunk at least; what remains is queued.
    ///
    /// Errors: the database, the store or the queue is not available. The hint is to be delivered again then.
    pub async fn run(&self, organization: OrganizationId, import: ImportId, deadline: Instant) -> Result<Progress> {
        self.db.allow_connections(LANES);
        let Some(mut batch) = self.read(organization, import).await? else { return Ok(Progress::Left) };
        let (mut file, mut pace, mut errors_are_filed) = (None, self.pace, false);
        let mut read_ahead = match self.convert(&mut batch).await {
            Ok(Converting::None) => None,
            Ok(Converting::Done) if Instant::now() < deadline => None,
            Ok(Converting::Done) => {
                self.queue.enqueue(organization, import).await?;
                return Ok(Progress::Queued);
            }
            Ok(Converting::Left) => return Ok(Progress::Left),
            Err(Failure::File(error)) => Some(Ok(Chunk::unreadable(batch.done, error))),
            Err(Failure::Other(error)) => return Err(error),
        };
        loop {
            let next = if !batch.is_read() {
                let chunk = match read_ahead.take() {
                    Some(chunk) => chunk?,
                    None => self.next_chunk(&batch, &mut file, pace).await?,
                };
                let mapping = file.as_ref().map(|file| file.columns.to_json());
                // While the database works on this chunk, the next one is read.
                let goes_on = chunk.file_error.is_none() && chunk.end.at.offset < batch.file.size;
                let next = async {
                    match file.as_mut().filter(|_| goes_on) {
                        Some(file) => Some(file.next_chunk().await),
                        None => None,
                    }
                };
                let (applied, next) = join(self.apply(&mut batch, chunk, mapping), next).await;
                read_ahead = next;
                applied?
            } else {
                if batch.rows_failed > 0 && !errors_are_filed {
                    self.file_errors(&batch, file.as_ref()).await?;
                    errors_are_filed = true;
                }
                self.end(&batch).await?
            };
            match next {
                Next::Fewer(rows) => {
                    pace.rows = rows;
                    (file, read_ahead) = (None, None);
                }
                Next::Ended => return Ok(Progress::Ended),
                Next::Left => return Ok(Progress::Left),
                Next::GoOn if Instant::now() < deadline => {}
                Next::GoOn => {
                    self.queue.enqueue(organization, import).await?;
                    return Ok(Progress::Queued);
                }
            }
        }
    }

    async fn read(&self, organization: OrganizationId, import: ImportId) -> Result<Option<Batch>> {
        let (tx, rows) =
            self.db.begin_with(organization, include_str!("await_start.sql"), &[(&import, Type::UUID)]).await?;
        let batch = match rows.first() {
            Some(row) if row.try_get::<_, &str>("status")? == "processing" => Some(Batch::from_row(row)?),
            _ => None,
        };
        tx.commit().await?;
        Ok(batch)
    }

    /// Brings the sheet of a workbook into the form of every other file, where nothing was read of it yet.
    async fn convert(&self, batch: &mut Batch) -> Result<Converting, Failure> {
        let is_begun = batch.done.at.offset > 0 || batch.is_read() || batch.file.kind == Kind::Sheet;
        if is_begun || !converting::is_workbook(&*self.store, &batch.file).await? {
            return Ok(Converting::None);
        }
        let key = converting::key(batch.organization, batch.id, batch.run_started_at.timestamp_micros());
        let converted = converting::convert(&*self.store, &batch.file, batch.sheet.clone(), key).await?;
        let Some(tx) = self.lock(batch).await? else { return Ok(Converting::Left) };
        let file = converted.file;
        tx.execute(
            include_str!("convert.sql"),
            &[&batch.id, &file.key, &file.etag, &integer(file.size)?, &converted.sheet],
        )
        .await?;
        tx.commit().await?;
        batch.file = file;
        Ok(Converting::Done)
    }

    /// Reads on in the file, opening it first where nothing was read yet. No transaction is open meanwhile.
    async fn next_chunk<'a>(&'a self, batch: &Batch, file: &mut Option<File<'a>>, pace: Pace) -> Result<Chunk> {
        let open = match file {
            Some(open) => open,
            None => match self.open(batch, pace).await {
                Ok(opened) => file.insert(opened),
                Err(Failure::File(error)) => return Ok(Chunk::unreadable(batch.done, error)),
                Err(Failure::Other(error)) => return Err(error),
            },
        };
        open.next_chunk().await
    }

    async fn open(&self, batch: &Batch, pace: Pace) -> Result<File<'_>, Failure> {
        File::open(&*self.store, batch.file.clone(), batch.requested.as_ref(), batch.done, pace).await
    }

    /// Brings a chunk into the database and moves the import's place: in both lanes at once where each has something to do.
    async fn apply(&self, batch: &mut Batch, chunk: Chunk, mapping: Option<Value>) -> Result<Next> {
        let Chunk { rows: [one, other], errors, end, file_error } = chunk;
        let mapping = mapping.filter(|_| batch.done.at.offset == 0);
        let (one, other) = (one.beyond(batch.lanes[0]), other.beyond(batch.lanes[1]));
        let errors: Vec<RowError> = errors.into_iter().filter(|error| error.line > batch.lanes[0]).collect();
        // What ends the import, and who has room on a list, is decided for all rows together.
        let is_parted = file_error.is_none() && !batch.is_undivided && !one.is_empty() && !other.is_empty();
        let work = |lanes, rows, errors| Work { lanes, rows, errors, end, mapping: mapping.clone(), file_error: None };
        let applied = if is_parted {
            let (one, other) = join(
                self.apply_in(batch, work(Lanes::First, one, errors)),
                self.apply_in(batch, work(Lanes::Second, other, Vec::new())),
            )
            .await;
            one?.and(other?)
        } else {
            let work = Work { file_error: file_error.clone(), ..work(Lanes::Both, one.and(other), errors) };
            self.apply_in(batch, work).await?
        };
        let (counts, failed) = match applied {
            Applied::Done { counts, failed } => (counts, failed),
            Applied::Fewer(rows) => return self.again(batch, Next::Fewer(rows)).await,
            Applied::Undivided => {
                batch.is_undivided = true;
                return self.again(batch, Next::Fewer(self.pace.rows)).await;
            }
            Applied::Left => return Ok(Next::Left),
        };
        tracing::info!(
            import_id = %batch.id, bytes_done = end.at.offset, bytes_total = batch.file.size, created = counts.created,
            updated = counts.updated, unchanged = counts.unchanged, failed, "a chunk is imported"
        );
        batch.done = end;
        batch.lanes = batch.lanes.map(|lane| lane.max(end.at.lines));
        batch.rows_failed += failed;
        batch.file_error = file_error;
        Ok(Next::GoOn)
    }

    /// The chunk is to be read anew, of which one lane may be done.
    async fn again(&self, batch: &mut Batch, next: Next) -> Result<Next> {
        let is_undivided = batch.is_undivided;
        match self.read(batch.organization, batch.id).await? {
            Some(read) if read.run_started_at == batch.run_started_at => {
                *batch = Batch { is_undivided, ..read };
                Ok(next)
            }
            _ => Ok(Next::Left),
        }
    }

    /// Brings the rows of some lanes into the database and moves the place of these, both or neither.
    async fn apply_in(&self, batch: &Batch, work: Work) -> Result<Applied> {
        let Work { lanes, rows, mut errors, end, mapping, file_error } = work;
        let mut attempts = 0;
        let (tx, counts) = loop {
            let Some((tx, list, found)) = self.lock_with(batch, lanes, &rows).await? else { return Ok(Applied::Left) };
            let found = match found {
                Found::Contacts(found) => found,
                Found::TooMuch(fewer) => {
                    tx.rollback().await?;
                    return Ok(Applied::Fewer(fewer));
                }
            };
            let room = match list {
                Some(_) if lanes != Lanes::Both && plans::bounds_lists(&tx).await? => {
                    tx.rollback().await?;
                    return Ok(Applied::Undivided);
                }
                Some(list) if lanes == Lanes::Both => plans::room(&tx, list).await?,
                _ => None,
            };
            let origin = batch.origin(list);
            if let Some((counts, refused)) = merging::merge(&tx, origin, room.as_ref(), &rows, &found).await? {
                errors.extend(refused);
                break (tx, counts);
            }
            tx.rollback().await?;
            attempts += 1;
            if attempts == ATTEMPTS {
                return Err(Error::Unavailable("contacts were made faster than they could be read".into()));
            }
        };
        let failed = i64::try_from(errors.len()).map_err(Error::internal)?;
        insert_errors(&tx, batch, errors).await?;
        tx.execute(
            include_str!("advance.sql"),
            &[
                &batch.id,
                &integer(end.at.offset)?,
                &integer(end.at.lines)?,
                &counts.created,
                &counts.updated,
                &counts.unchanged,
                &failed,
                &mapping,
                &file_error.as_ref().map(|error| error.code),
                &file_error.as_ref().map(|error| error.message.as_str()),
                &end.encoding.map(Encoding::name),
                &(lanes != Lanes::Second),
                &(lanes != Lanes::First),
            ],
        )
        .await?;
        tx.commit().await?;
        Ok(Applied::Done { counts, failed })
    }

    /// Puts the rows that could not be taken into a file, for people to mend. A worker that does it again writes the same.
    async fn file_errors(&self, batch: &Batch, open: Option<&File<'_>>) -> Result<()> {
        let opened = match open {
            Some(_) => None,
            None => match self.open(batch, self.pace).await {
                Ok(file) => Some(file),
                // Its errors are told without its columns.
                Err(Failure::File(_)) => None,
                Err(Failure::Other(error)) => return Err(error),
            },
        };
        let mut written = ErrorFile::new(open.or(opened.as_ref()).map(|file| (&*file.columns, file.delimiter)))?;
        let mut after = None;
        loop {
            let tx = self.db.begin(batch.organization).await?;
            let errors = super::list_errors(&tx, batch.id, after, ERRORS_AT_ONCE).await?;
            tx.commit().await?;
            after = errors.last().map(|error| error.line);
            if after.is_none() || !written.extend(&errors)? {
                break;
            }
        }
        let key = error_files::key(batch.organization, batch.id, batch.run_started_at);
        self.store.put(&key, written.finish()?).await
    }

    /// Forgets what was remembered for the import, then gives it its final status.
    async fn end(&self, batch: &Batch) -> Result<Next> {
        let Some(tx) = self.lock(batch).await? else { return Ok(Next::Left) };
        let forgotten = tx.execute(include_str!("forget_matches.sql"), &[&batch.id, &FORGOTTEN_AT_ONCE]).await?;
        let ended = integer(forgotten)? < FORGOTTEN_AT_ONCE;
        if ended {
            let row = tx.query_one(include_str!("finish.sql"), &[&batch.id, &tx.now()]).await?;
            tell(&tx, batch.id, &row).await?;
        }
        tx.commit().await?;
        Ok(if ended { Next::Ended } else { Next::GoOn })
    }

    /// Locks the import where this worker believes it to stand; `None` when it stands elsewhere or somebody else is on it.
    async fn lock(&self, batch: &Batch) -> Result<Option<Tx>> {
        let tx = self.begin(batch).await?;
        let (offset, is_readable) = batch.place()?;
        let locked = tx.query_opt(LOCK_FOR_CHUNK, &[&batch.id, &batch.run_started_at, &offset, &is_readable]).await?;
        unless_left(tx, locked).await.map(|locked| locked.map(|(tx, _)| tx))
    }

    /// The same for the rows of some lanes, with the list that their contacts are put on, and with those that are there already.
    async fn lock_with(
        &self,
        batch: &Batch,
        lanes: Lanes,
        rows: &Pending,
    ) -> Result<Option<(Tx, Option<ListId>, Found)>> {
        let tx = self.begin(batch).await?;
        let [first, second] = [lanes != Lanes::Second, lanes != Lanes::First];
        let place = |is_ours: bool, lane: usize| is_ours.then(|| integer(batch.lanes[lane])).transpose();
        let turns: Vec<i64> = [first.then_some(0), second.then_some(1)].into_iter().flatten().collect();
        let [_, placed, weighed] = tx
            .query_each([
                (include_str!("take_turn.sql"), &[&batch.organization, &turns]),
                (FIND_PLACE, &[&batch.id, &batch.run_started_at, &place(first, 0)?, &place(second, 1)?]),
                (include_str!("weigh_contacts.sql"), &[&rows.addresses()]),
            ])
            .await?;
        let Some((tx, row)) = unless_left(tx, placed.into_iter().next()).await? else { return Ok(None) };
        Ok(Some((tx, row.try_get("list_id")?, merging::found(rows, &weighed)?)))
    }

    async fn begin(&self, batch: &Batch) -> Result<Tx> {
        let (tx, _) =
            self.db.begin_with(batch.organization, include_str!("hold_list.sql"), &[(&batch.id, Type::UUID)]).await?;
        Ok(tx)
    }
}

/// Tells whoever wants to know that an import has ended, in numbers. `row` is what `finish.sql` returns.
async fn tell(tx: &Tx, import: ImportId, row: &Row) -> Result<()> {
    let status: &str = row.try_get("status")?;
    let event_type = if status == "completed" { EventType::ImportCompleted } else { EventType::ImportFailed };
    let count = |column| row.try_get::<_, i64>(column);
    let data = json!({
        "import_id": import,
        "status": status,
        "list_id": row.try_get::<_, Option<ListId>>("list_id")?,
        "rows_total": count("rows_total")?,
        "rows_created": count("rows_created")?,
        "rows_updated": count("rows_updated")?,
        "rows_unchanged": count("rows_unchanged")?,
        "rows_failed": count("rows_failed")?,
        "error_code": row.try_get::<_, Option<&str>>("error_code")?,
    });
    outbox::emit(tx, tx.organization()?, event_type, import.0, &data).await
}

const LOCK_FOR_CHUNK: &str = include_str!("lock_for_chunk.sql");
const FIND_PLACE: &str = include_str!("find_place.sql");

async fn unless_left(tx: Tx, locked: Option<Row>) -> Result<Option<(Tx, Row)>> {
    match locked {
        Some(row) => Ok(Some((tx, row))),
        None => {
            tx.rollback().await?;
            Ok(None)
        }
    }
}

/// What became of a file that may be a workbook.
enum Converting {
    /// It is none, or was converted before.
    None,
    Done,
    /// Somebody else is on it.
    Left,
}

/// Which lanes one transaction works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lanes {
    First,
    Second,
    Both,
}

/// What is to be brought into the database by one transaction.
struct Work {
    lanes: Lanes,
    rows: Pending,
    errors: Vec<RowError>,
    end: Place,
    mapping: Option<Value>,
    file_error: Option<FileError>,
}

/// What became of it.
enum Applied {
    Done {
        counts: Counts,
        failed: i64,
    },
    /// It would take too much memory: a chunk is to have this many rows.
    Fewer(usize),
    /// What is left of a list must be dealt out in the order of the file.
    Undivided,
    /// Somebody else is on it.
    Left,
}

impl Applied {
    /// What became of both lanes.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Left, _) | (_, Self::Left) => Self::Left,
            (Self::Undivided, _) | (_, Self::Undivided) => Self::Undivided,
            (Self::Fewer(one), Self::Fewer(other)) => Self::Fewer(one.min(other)),
            (Self::Fewer(rows), _) | (_, Self::Fewer(rows)) => Self::Fewer(rows),
            (Self::Done { counts: one, failed }, Self::Done { counts: other, failed: more }) => {
                Self::Done { counts: one + other, failed: failed + more }
            }
        }
    }
}

enum Next {
    GoOn,
    /// Nothing was done, because it would take too much memory: the next chunk is to have this many rows.
    Fewer(usize),
    Ended,
    Left,
}

/// An import that is under way, and where it stands.
struct Batch {
    organization: OrganizationId,
    id: ImportId,
    /// The rows of a workbook, once they are written.
    file: FileKey,
    /// The sheet that was asked for.
    sheet: Option<String>,
    requested: Option<ColumnMapping>,
    tags: Vec<TagId>,
    existing: Existing,
    run_started_at: DateTime<Utc>,
    done: Place,
    /// The lines of the file that each lane is done with; it is not read again before `done`.
    lanes: [u64; LANES],
    /// Whether all rows are to be taken by one transaction.
    is_undivided: bool,
    rows_failed: i64,
    file_error: Option<FileError>,
}

impl Batch {
    /// What its rows belong to.
    fn origin(&self, list: Option<ListId>) -> Origin<'_> {
        let (import, existing, run_started_at) = (self.id, self.existing, self.run_started_at);
        Origin { import, list, tags: &self.tags, existing, run_started_at }
    }

    fn from_row(row: &Row) -> Result<Self> {
        let missing = |column: &str| Error::internal(format!("an import under way has no {column}"));
        let size: Option<i64> = row.try_get("bytes_total")?;
        let etag: Option<String> = row.try_get("object_etag")?;
        let run_started_at: Option<DateTime<Utc>> = row.try_get("run_started_at")?;
        let error_code: Option<String> = row.try_get("error_code")?;
        let encoding: Option<String> = row.try_get("encoding")?;
        let lanes: Vec<i64> = row.try_get("lane_lines")?;
        let lanes = lanes.into_iter().map(natural).collect::<Result<Vec<u64>>>()?;
        let lanes: [u64; LANES] = lanes.try_into().map_err(|_| missing("lanes"))?;
        let rows: Option<(String, String)> = row.try_get::<_, Option<_>>("rows_key")?.zip(row.try_get("rows_etag")?);
        let kind = if rows.is_some() { Kind::Sheet } else { Kind::Text };
        let (key, etag) = match rows {
            Some(rows) => rows,
            None => (row.try_get("object_key")?, etag.ok_or_else(|| missing("etag"))?),
        };
        Ok(Self {
            organization: row.try_get("organization_id")?,
            id: row.try_get("id")?,
            file: FileKey { key, etag, size: natural(size.ok_or_else(|| missing("size"))?)?, kind },
            sheet: row.try_get("requested_sheet")?,
            requested: super::requested_mapping(row)?,
            tags: row.try_get("tag_ids")?,
            existing: Existing::from_name(row.try_get("existing")?),
            run_started_at: run_started_at.ok_or_else(|| missing("start"))?,
            done: Place {
                at: Position {
                    offset: natural(row.try_get("bytes_done")?)?,
                    lines: natural(row.try_get("lines_done")?)?,
                },
                encoding: encoding.as_deref().and_then(Encoding::from_name),
            },
            lanes,
            is_undivided: false,
            rows_failed: row.try_get("rows_failed")?,
            file_error: error_code.map(|_| FileError::new("stored", String::new())),
        })
    }

    /// The offset up to which the file is done, and whether it can be read on.
    fn place(&self) -> Result<(i64, bool)> {
        Ok((integer(self.done.at.offset)?, self.file_error.is_none()))
    }

    /// Whether nothing of the file will be read any more.
    fn is_read(&self) -> bool {
        self.file_error.is_some() || self.done.at.offset >= self.file.size
    }
}

async fn insert_errors(tx: &Tx, batch: &Batch, mut errors: Vec<RowError>) -> Result<()> {
    errors.sort_unstable_by_key(|error| error.line);
    errors.truncate(usize::try_from(KEPT_ERRORS - batch.rows_failed).unwrap_or_default());
    if errors.is_empty() {
        return Ok(());
    }
    let lines = errors.iter().map(|error| integer(error.line)).collect::<Result<Vec<i64>>>()?;
    let codes: Vec<&str> = errors.iter().map(|error| error.code).collect();
    let reasons: Vec<&str> = errors.iter().map(|error| error.reason.as_str()).collect();
    let raw: Vec<&str> = errors.iter().map(|error| error.raw.as_str()).collect();
    tx.execute(include_str!("insert_errors.sql"), &[&batch.organization, &batch.id, &lines, &codes, &reasons, &raw])
        .await?;
    Ok(())
}

fn integer(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::internal)
}

fn natural(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(Error::internal)
}
