//! The file in chunks: read in ranges, never more of it in memory than a piece and what a chunk may cost.

use super::columns::{ColumnMapping, Columns};
use super::encodings::{Encoding, Transcoder};
use super::formats::{self, Format, SAMPLE};
use super::objects::ObjectStore;
use super::parsing::{Parser, Position, Step};
use super::rows::{ImportRow, Parsed, RowError, parse};
use super::{FileError, Pace};
use crate::{Error, Result};

/// Rows that are read without letting anybody else go on: some tenths of a millisecond.
const ROWS_AT_A_STRETCH: usize = 64;

/// Which object is read, in which version.
#[derive(Debug, Clone)]
pub(super) struct FileKey {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: u64,
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
    pub(super) columns: Columns,
    pub(super) delimiter: u8,
    /// `None` while nothing but ASCII was read: the first row with more decides for the whole file.
    encoding: Option<Encoding>,
    bytes: Bytes<'a>,
    transcoder: Transcoder,
    parser: Parser,
    pace: Pace,
}

/// Some rows of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) rows: Vec<ImportRow>,
    pub(super) errors: Vec<RowError>,
    /// The place before which everything is read.
    pub(super) end: Place,
    /// What ends the reading for good.
    pub(super) file_error: Option<FileError>,
}

impl Chunk {
    /// Nothing but the reason why there is nothing more.
    pub(super) fn unreadable(at: Place, error: FileError) -> Self {
        Self { rows: Vec::new(), errors: Vec::new(), end: at, file_error: Some(error) }
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
        let mut parser = Parser::new(format.delimiter, reading, at);
        if place.at.offset == 0 {
            parser.feed(&transcoder.read(&rest, bytes.is_over()));
        } else {
            bytes.fetched = place.at.offset;
        }
        Ok(Self { columns, delimiter: format.delimiter, encoding, bytes, transcoder, parser, pace })
    }

    /// Reads the next rows, as many as the pace allows. The last chunk ends where the file does, and may be empty.
    ///
    /// Errors: whatever is not the file's fault; what is stands in the chunk, after the rows that could be read.
    pub(super) async fn next_chunk(&mut self) -> Result<Chunk> {
        let begin = self.parser.position().offset;
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        let file_error = loop {
            let count = rows.len() + errors.len();
            let bytes = usize::try_from(self.parser.position().offset - begin).unwrap_or(usize::MAX);
            let cost = bytes.saturating_add(count * self.columns.row_cost);
            if count >= self.pace.rows || cost >= self.pace.bytes {
                break None;
            }
            let step = match self.parser.step(self.bytes.is_over()) {
                Ok(step) => step,
                Err(error) => break Some(error),
            };
            match step {
                Step::Row => {
                    let row = self.parser.row();
                    self.encoding = self.encoding.or_else(|| Encoding::of_first_row(row.raw));
                    match parse(&self.columns, self.encoding.unwrap_or(Encoding::Utf8), &row) {
                        Parsed::Row(row) => rows.push(*row),
                        Parsed::Error(error) => errors.push(error),
                        Parsed::Blank => {}
                    }
                    // Whoever talks to the database meanwhile is not kept waiting.
                    if count.is_multiple_of(ROWS_AT_A_STRETCH) {
                        tokio::task::yield_now().await;
                    }
                }
                Step::More => match self.bytes.next(self.pace.piece).await {
                    Ok(piece) => {
                        let text = self.transcoder.read(&piece, self.bytes.is_over());
                        self.parser.feed(&text);
                    }
                    Err(Failure::File(error)) => break Some(error),
                    Err(Failure::Other(error)) => return Err(error),
                },
                Step::End => break None,
            }
        };
        let end = Place { at: self.position(), encoding: self.encoding };
        Ok(Chunk { rows, errors, end, file_error })
    }

    /// Half a character of UTF-16 at the file's end was read as a whole one.
    fn position(&self) -> Position {
        let Position { offset, lines } = self.parser.position();
        Position { offset: offset.min(self.bytes.key.size), lines }
    }
}

/// The beginning of a file: how it is written, and what of it follows the header.
pub(super) async fn begin(
    bytes: &mut Bytes<'_>,
    piece: u64,
    requested: Option<&ColumnMapping>,
) -> Result<(Format, Vec<u8>), Failure> {
    let mut sample = Vec::new();
    while sample.len() < SAMPLE as usize && !bytes.is_over() {
        sample.extend_from_slice(&bytes.next(piece.min(SAMPLE - sample.len() as u64)).await?);
    }
    let format = formats::detect(&sample, bytes.is_over(), requested)?;
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

    async fn next(&mut self, length: u64) -> Result<Vec<u8>, Failure> {
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
