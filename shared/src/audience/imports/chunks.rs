//! The file in chunks: read in ranges, never more of it in memory than a piece and what a chunk may cost.

use super::columns::{ColumnMapping, Columns};
use super::objects::ObjectStore;
use super::parsing::{Parser, Position, ROW_MAXIMUM, Step, detect_delimiter};
use super::rows::{ImportRow, Parsed, RowError, parse};
use super::{FileError, Pace};
use crate::{Error, Result};

/// A header is seldom longer, and an import that goes on needs nothing else from the file's beginning.
const HEADER_PIECE: u64 = 64 * 1024;
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Which object is read, in which version.
#[derive(Debug, Clone)]
pub(super) struct FileKey {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: u64,
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
    bytes: Bytes<'a>,
    parser: Parser,
    pace: Pace,
}

/// Some rows of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) rows: Vec<ImportRow>,
    pub(super) errors: Vec<RowError>,
    /// The place before which everything is read.
    pub(super) end: Position,
    /// What ends the reading for good.
    pub(super) file_error: Option<FileError>,
}

impl Chunk {
    /// Nothing but the reason why there is nothing more.
    pub(super) fn unreadable(at: Position, error: FileError) -> Self {
        Self { rows: Vec::new(), errors: Vec::new(), end: at, file_error: Some(error) }
    }
}

impl<'a> File<'a> {
    /// Reads the header and stands before the first row, or before the row at `at`.
    pub(super) async fn open(
        store: &'a dyn ObjectStore,
        key: FileKey,
        requested: Option<&ColumnMapping>,
        at: Position,
        pace: Pace,
    ) -> Result<Self, Failure> {
        let mut bytes = Bytes { store, key, fetched: 0 };
        let mut head = Vec::new();
        let first_piece = if at.offset == 0 { pace.piece } else { pace.piece.min(HEADER_PIECE) };
        let delimiter = loop {
            if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
                let message = "the file is UTF-16; save it as CSV in UTF-8";
                return Err(FileError::new("not_utf8", message).into());
            }
            let text = head.strip_prefix(UTF8_MARK).unwrap_or(&head);
            if let Some(delimiter) = detect_delimiter(text, bytes.is_over()) {
                break delimiter;
            }
            if text.len() > 2 * ROW_MAXIMUM {
                return Err(FileError::row_too_long(1).into());
            }
            head.extend_from_slice(&bytes.next(first_piece).await?);
        };
        let mark = if head.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        let mut parser = Parser::new(delimiter, Position { offset: mark as u64, lines: 0 });
        parser.feed(&head[mark..]);
        drop(head);
        let columns = loop {
            match parser.step(bytes.is_over())? {
                Step::Row if parser.row().unclosed => {
                    return Err(FileError::new("unclosed_quote", "the header's quotes are not closed").into());
                }
                Step::Row => break Columns::find(parser.row().fields(), requested)?,
                Step::More => parser.feed(&bytes.next(first_piece).await?),
                Step::End => return Err(FileError::new("no_header", "the file has no header: it is empty").into()),
            }
        };
        if at.offset > 0 {
            bytes.fetched = at.offset;
            parser = Parser::new(delimiter, at);
        }
        Ok(Self { columns, bytes, parser, pace })
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
                Step::Row => match parse(&self.columns, &self.parser.row()) {
                    Parsed::Row(row) => rows.push(*row),
                    Parsed::Error(error) => errors.push(error),
                    Parsed::Blank => {}
                },
                Step::More => match self.bytes.next(self.pace.piece).await {
                    Ok(piece) => self.parser.feed(&piece),
                    Err(Failure::File(error)) => break Some(error),
                    Err(Failure::Other(error)) => return Err(error),
                },
                Step::End => break None,
            }
        };
        Ok(Chunk { rows, errors, end: self.parser.position(), file_error })
    }
}

/// The bytes of one version of an object, in order.
struct Bytes<'a> {
    store: &'a dyn ObjectStore,
    key: FileKey,
    fetched: u64,
}

impl Bytes<'_> {
    fn is_over(&self) -> bool {
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
