//! Workbooks (XLSX): a sheet as rows of CSV, so that everything behind it reads one kind of file.
//!
//! The file itself, the texts that its cells share and a part of what is written are in memory, each within a bound; the sheet is
//! read row by row. Row `n` of the sheet is row `n` of what is written, also where rows above it are empty, so that errors
//! name the row that a person sees ([`Kind::Sheet`](super::formats::Kind)).

mod archive;
mod cells;
mod parts;
mod sheets;
mod strings;
mod xml;

use std::collections::BTreeSet;

pub(super) use archive::encrypted;

use self::archive::{Archive, damaged, too_large};
use self::cells::Styles;
use self::parts::Parts;
use self::sheets::{Cell, Sheet, row_too_long};
use self::strings::Strings;
use super::formats::SAMPLE;
use super::parsing::ROW_MAXIMUM;
use super::{FILE_MAXIMUM, FileError};

/// Bytes of a workbook at most, as it is uploaded.
pub(super) const WORKBOOK_MAXIMUM: u64 = 50 << 20;
/// Bytes of a part of what is written.
const PART: usize = 8 << 20;
/// Rows and cells that a preview reads at most.
const BEGINNING_ROWS: usize = 1_000;
const BEGINNING_CELLS: usize = 100_000;

/// Whether a file that begins like this is an archive, as a workbook is one.
pub(super) fn is_archive(begin: &[u8]) -> bool {
    begin.starts_with(b"PK\x03\x04") || begin.starts_with(b"PK\x05\x06")
}

/// Refuses a workbook that is too large to be looked at.
pub(super) fn check_size(size: u64) -> Result<(), FileError> {
    if size > WORKBOOK_MAXIMUM {
        return Err(too_large("a workbook has 50 MiB at most; export it as CSV"));
    }
    Ok(())
}

/// A workbook and the sheet of it that is read.
pub(super) struct Workbook {
    archive: Archive,
    parts: Parts,
}

impl Workbook {
    /// Finds the sheet of this name in the workbook that these bytes are, or the first that people see.
    pub(super) fn open(bytes: Vec<u8>, sheet: Option<&str>) -> Result<Self, FileError> {
        let archive = Archive::open(bytes)?;
        let parts = Parts::find(&archive, sheet)?;
        Ok(Self { archive, parts })
    }

    /// The sheet's name.
    pub(super) fn sheet_name(&self) -> &str {
        &self.parts.sheet_name
    }

    /// Writes the sheet as CSV, part by part of at least [`PART`] bytes but the last. `put` says whether to go on.
    ///
    /// Returns the bytes written.
    pub(super) fn convert(&self, mut put: impl FnMut(Vec<u8>) -> bool) -> Result<u64, FileError> {
        let (styles, strings) = (self.styles()?, self.strings(None)?);
        let mut sheet = self.read(&styles)?;
        let (mut written, mut cells, mut done) = (Written::default(), Vec::new(), 0_u64);
        while let Some(number) = sheet.next_row(&mut cells)? {
            written.row(number, &cells, &strings)?;
            if done + written.bytes.len() as u64 > FILE_MAXIMUM {
                return Err(too_large("the sheet has more than 1 GiB as text"));
            }
            if written.bytes.len() >= PART {
                done += written.bytes.len() as u64;
                let part = std::mem::replace(&mut written.bytes, Vec::with_capacity(PART));
                if !put(part) {
                    return Ok(done);
                }
            }
        }
        done += written.bytes.len() as u64;
        put(written.bytes);
        Ok(done)
    }

    /// The beginning of what [`Self::convert`] writes, and whether that is all of it.
    pub(super) fn beginning(&self) -> Result<(Vec<u8>, bool), FileError> {
        let styles = self.styles()?;
        let mut sheet = self.read(&styles)?;
        let (mut rows, mut count, mut bytes, mut whole) = (Vec::new(), 0, 0, false);
        while rows.len() < BEGINNING_ROWS && count < BEGINNING_CELLS && bytes < SAMPLE {
            let mut cells = Vec::new();
            match sheet.next_row(&mut cells)? {
                Some(number) => {
                    count += cells.len();
                    bytes += cells.iter().map(|(_, cell)| cell.bytes()).sum::<u64>();
                    rows.push((number, cells));
                }
                None => {
                    whole = true;
                    break;
                }
            }
        }
        let texts = rows.iter().flat_map(|(_, cells)| cells).filter_map(|(_, cell)| match cell {
            Cell::Shared(number) => Some(*number),
            Cell::Text(_) => None,
        });
        let strings = self.strings(Some(&texts.collect()))?;
        let mut written = Written::default();
        for (number, cells) in &rows {
            if written.bytes.len() as u64 >= SAMPLE {
                whole = false;
                break;
            }
            written.row(*number, cells, &strings)?;
        }
        Ok((written.bytes, whole))
    }

    fn read<'a>(&'a self, styles: &'a Styles) -> Result<Sheet<'a>, FileError> {
        let part = self.archive.part(&self.parts.sheet)?.ok_or_else(damaged)?;
        Ok(Sheet::new(part, styles))
    }

    fn styles(&self) -> Result<Styles, FileError> {
        let part = self.parts.styles.as_deref().map(|name| self.archive.part(name)).transpose()?.flatten();
        match part {
            Some(part) => Styles::read(part, self.parts.from_1904),
            None => Ok(Styles::none(self.parts.from_1904)),
        }
    }

    fn strings(&self, wanted: Option<&BTreeSet<usize>>) -> Result<Strings, FileError> {
        let part = self.parts.strings.as_deref().map(|name| self.archive.part(name)).transpose()?.flatten();
        part.map_or_else(|| Ok(Strings::default()), |part| Strings::read(part, wanted))
    }
}

/// Rows as CSV.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// The number of the last row.
    last: u64,
    text: Vec<u8>,
}

impl Written {
    fn row(&mut self, number: u64, cells: &[(usize, Cell)], strings: &Strings) -> Result<(), FileError> {
        let empty = number.saturating_sub(self.last + 1);
        self.bytes.extend(std::iter::repeat_n(b'\n', usize::try_from(empty).unwrap_or_default()));
        self.last = number;
        let (begin, mut next) = (self.bytes.len(), 0);
        for (column, cell) in cells {
            self.bytes.extend(std::iter::repeat_n(b',', column - next));
            next = *column;
            match cell {
                Cell::Text(text) => quote(&mut self.bytes, text.as_bytes()),
                Cell::Shared(shared) => {
                    self.text.clear();
                    if !strings.write(*shared, &mut self.text) {
                        return Err(damaged());
                    }
                    quote(&mut self.bytes, &self.text);
                }
            }
            if self.bytes.len() - begin > ROW_MAXIMUM {
                return Err(row_too_long(number));
            }
        }
        self.bytes.push(b'\n');
        Ok(())
    }
}

/// A field, in quotes where it needs them.
fn quote(bytes: &mut Vec<u8>, text: &[u8]) {
    if !text.iter().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) {
        bytes.extend_from_slice(text);
        return;
    }
    bytes.push(b'"');
    for byte in text {
        bytes.push(*byte);
        if *byte == b'"' {
            bytes.push(b'"');
        }
    }
    bytes.push(b'"');
}
