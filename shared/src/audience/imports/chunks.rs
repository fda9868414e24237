//! The file in chunks: read in ranges, never more of it in memory than a piece and what a chunk may cost.

use std::mem::take;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::columns::{ColumnMapping, Columns};
use super::encodings::{Encoding, Transcoder};
use super::formats::{self, Format, Kind, SAMPLE};
use super::merging::{LANES, Pending, lanes};
use super::objects::ObjectStore;
use super::parsing::{Parser, Position, Step};
use super::rows::{ImportRow, Parsed, RowError, parse};
use super::{FileError, Pace};
use crate::{Error, Result};

/// Bytes by which an archive is told.
const FIRST: u64 = 4;
/// Bytes of a whole object asked for at once.
const AT_ONCE: u64 = 8 << 20;

/// Which object is read, in which version.
#[derive(Debug, Clone)]
pub(super) struct FileKey {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) kind: Kind,
}

/// Where reading begins, and what is known by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Position,
    /// What the rows before it have decided.
    pub(super) encoding: Option<Encoding>,
}

/// Why a file can't be read on.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file is at fault.
    File(FileError),
    /// We are; trying again may help.
    Other(Error),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// An open file, between two rows.
pub(super) struct File<'a> {
    pub(super) columns: Arc<Columns>,
    pub(super) delimiter: u8,
    bytes: Bytes<'a>,
    piece: u64,
    /// Away while a chunk is being read.
    reader: Option<Reader>,
}

/// Some rows of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    /// By the lane that takes them.
    pub(super) rows: [Pending; LANES],
    pub(super) errors: Vec<RowError>,
    /// The place before which everything is read.
    pub(super) end: Place,
    /// What ends the reading for good.
    pub(super) file_error: Option<FileError>,
}

impl Chunk {
    /// Nothing but the reason why there is nothing more.
    pub(super) fn unreadable(at: Place, error: FileError) -> Self {
        Self { rows: Default::default(), errors: Vec::new(), end: at, file_error: Some(error) }
    }
}

impl<'a> File<'a> {
    /// Reads the header and stands before the first row, or before the row at `place`.
    pub(super) async fn open(
        store: &'a dyn ObjectStore,
        key: FileKey,
        requested: Option<&ColumnMapping>,
        place: Place,
        pace: Pace,
    ) -> Result<Self, Failure> {
        let mut bytes = Bytes { store, key, fetched: 0 };
        let (format, rest) = begin(&mut bytes, pace.piece, requested).await?;
        let columns = format.columns?;
        let encoding = place.encoding.or(format.encoding);
        let reading = encoding.unwrap_or(Encoding::Utf8);
        let mut transcoder = Transcoder::new(reading);
        let at = if place.at.offset == 0 { format.data } else { place.at };
        let mut parser = Parser::new(format.delimiter, reading, at).counting_rows(bytes.key.kind == Kind::Sheet);
        if place.at.offset == 0 {
            parser.feed(&transcoder.read(&rest, bytes.is_over()));
        } else {
            bytes.fetched = place.at.offset;
        }
        let columns = Arc::new(columns);
        let reader = Reader {
            columns: columns.clone(),
            encoding,
            transcoder,
            parser,
            pace,
            rows: Vec::new(),
            errors: Vec::new(),
            begin: at.offset,
        };
        Ok(Self { columns, delimiter: format.delimiter, bytes, piece: pace.piece, reader: Some(reader) })
    }

    /// Reads the next rows, as many as the pace allows. The last chunk ends where the file does, and may be empty.
    ///
    /// Errors: whatever is not the file's fault; what is stands in the chunk, after the rows that could be read.
    pub(super) async fn next_chunk(&mut self) -> Result<Chunk> {
        let away = || Error::internal("a file is read twice at once");
        let mut reader = self.reader.take().ok_or_else(away)?;
        let mut piece = None;
        let chunk = loop {
            let is_over = self.bytes.is_over();
            // On a thread of its own: whoever talks to the database meanwhile is not kept waiting.
            let reading = spawn_blocking(move || {
                let read = reader.read(piece.as_deref(), is_over);
                (reader, read)
            });
            let read;
            (reader, read) = reading.await.map_err(Error::internal)?;
            if let Some(chunk) = read {
                break chunk;
            }
            piece = match self.bytes.next(self.piece).await {
                Ok(piece) => Some(piece),
                Err(Failure::File(error)) => break reader.end(Some(error)),
                Err(Failure::Other(error)) => return Err(error),
            };
        };
        self.reader = Some(reader);
        // Half a character of UTF-16 at the file's end was read as a whole one.
        let offset = chunk.end.at.offset.min(self.bytes.key.size);
        Ok(Chunk { end: Place { at: Position { offset, ..chunk.end.at }, ..chunk.end }, ..chunk })
    }
}

/// What makes rows of bytes.
struct Reader {
    columns: Arc<Columns>,
    /// `None` while nothing but ASCII was read: the first row with more decides for the whole file.
    encoding: Option<Encoding>,
    transcoder: Transcoder,
    parser: Parser,
    pace: Pace,
    /// Of the chunk that is being read.
    rows: Vec<ImportRow>,
    errors: Vec<RowError>,
    begin: u64,
}

impl Reader {
    /// Reads on with a further piece of the file, or its first rows without. `None` where more of the file is needed.
    fn read(&mut self, piece: Option<&[u8]>, is_over: bool) -> Option<Chunk> {
        if let Some(piece) = piece {
            self.parser.feed(&self.transcoder.read(piece, is_over));
        }
        loop {
            let count = self.rows.len() + self.errors.len();
            let bytes = usize::try_from(self.parser.position().offset - self.begin).unwrap_or(usize::MAX);
            let cost = bytes.saturating_add(count * self.columns.row_cost);
            if count >= self.pace.rows || cost >= self.pace.bytes {
                return Some(self.end(None));
            }
            match self.parser.step(is_over) {
                Ok(Step::Row) => {
                    let row = self.parser.row();
                    self.encoding = self.encoding.or_else(|| Encoding::of_first_row(row.raw));
                    match parse(&self.columns, self.encoding.unwrap_or(Encoding::Utf8), &row) {
                        Parsed::Row(row) => self.rows.push(*row),
                        Parsed::Error(error) => self.errors.push(error),
                        Parsed::Blank => {}
                    }
                }
                Ok(Step::More) => return None,
                Ok(Step::End) => return Some(self.end(None)),
                Err(error) => return Some(self.end(Some(error))),
            }
        }
    }

    /// The chunk that ends here.
    fn end(&mut self, file_error: Option<FileError>) -> Chunk {
        let at = self.parser.position();
        self.begin = at.offset;
        let (rows, errors) = (lanes(take(&mut self.rows)), take(&mut self.errors));
        Chunk { rows, errors, end: Place { at, encoding: self.encoding }, file_error }
    }
}

/// The beginning of a file: how it is written, and what of it follows the header.
pub(super) async fn begin(
    bytes: &mut Bytes<'_>,
    piece: u64,
    requested: Option<&ColumnMapping>,
) -> Result<(Format, Vec<u8>), Failure> {
    let sample = bytes.sample(piece).await?;
    Ok(begin_with(sample, bytes.is_over(), bytes.key.kind, requested)?)
}

/// The same of a beginning that has been read.
pub(super) fn begin_with(
    mut sample: Vec<u8>,
    whole: bool,
    kind: Kind,
    requested: Option<&ColumnMapping>,
) -> Result<(Format, Vec<u8>), FileError> {
    let format = formats::detect(&sample, whole, kind, requested)?;
    let done = usize::try_from(format.data.offset).map_or(sample.len(), |done| done.min(sample.len()));
    sample.drain(..done);
    Ok((format, sample))
}

/// The bytes of one version of an object, in order.
pub(super) struct Bytes<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) key: FileKey,
    pub(super) fetched: u64,
}

impl Bytes<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.fetched >= self.key.size
    }

    /// The object's beginning, from which it is found how a file is written.
    pub(super) async fn sample(&mut self, piece: u64) -> Result<Vec<u8>, Failure> {
        let mut sample = Vec::new();
        while sample.len() < SAMPLE as usize && !self.is_over() {
            sample.extend_from_slice(&self.next(piece.min(SAMPLE - sample.len() as u64)).await?);
        }
        Ok(sample)
    }

    /// The object's first bytes, enough to tell an archive by.
    pub(super) async fn first(&self) -> Result<Vec<u8>, Failure> {
        let mut first = Bytes { store: self.store, key: self.key.clone(), fetched: 0 };
        first.next(FIRST).await
    }

    /// All of an object that is small enough to be held, of which so much has been read.
    pub(super) async fn rest(&mut self, begin: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::with_capacity(usize::try_from(self.key.size).map_err(Error::internal)?);
        all.extend_from_slice(&begin);
        while !self.is_over() {
            all.extend_from_slice(&self.next(AT_ONCE).await?);
        }
        Ok(all)
    }

    pub(super) async fn next(&mut self, length: u64) -> Result<Vec<u8>, Failure> {
        let range = self.fetched..self.key.size.min(self.fetched.saturating_add(length));
        let wanted = range.end - range.start;
        let Some(bytes) = self.store.read_range(&self.key.key, &self.key.etag, range).await? else {
            let message = "the file is gone, or was replaced after the import was started";
            return Err(FileError::new("file_missing", message).into());
        };
        let length = bytes.len() as u64;
        if length == 0 || length > wanted {
            return Err(
                Error::Unavailable("the object store returned another range than the one asked for".into()).into()
            );
        }
        self.fetched += length;
        Ok(bytes)
    }
}
