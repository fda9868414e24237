//! The ZIP archive that a workbook is, in memory: its parts by name, inflated as they are read and never beyond a bound.
//!
//! Layout by APPNOTE.TXT of PKWARE (6.3.10). Nothing that the archive says of itself is believed: a size is what was
//! read, and what all parts come to together is counted.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use crc32fast::Hasher;
use flate2::bufread::DeflateDecoder;

use super::super::FileError;

/// Bytes of all parts that are read, inflated.
pub(in super::super) const EXPANDED_MAXIMUM: u64 = 500 << 20;
/// Bytes of a part that says which others there are, inflated.
const SMALL_MAXIMUM: u64 = 16 << 20;
/// Parts of an archive at most. A workbook with a hundred sheets has a few hundred.
const PARTS_MAXIMUM: usize = 10_000;
/// Bytes of their names, taken together.
const NAMES_MAXIMUM: usize = 4 << 20;
/// A comment that may stand after the end of the directory.
const COMMENT_MAXIMUM: usize = u16::MAX as usize;
/// Length of the record that ends the directory.
const END: usize = 22;
/// Bytes inflated at once.
const BUFFER: usize = 64 << 10;
/// Stands for a size or an offset that has 64 bits elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

/// An archive whose directory has been read.
pub(super) struct Archive {
    bytes: Vec<u8>,
    parts: HashMap<String, Entry>,
    /// Bytes that may still be inflated.
    left: Cell<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    flags: u16,
    method: u16,
    crc: u32,
    deflated: u64,
    size: u64,
    header: u64,
}

/// A part as it is read.
pub(super) type Part<'a> = BufReader<Inflated<'a>>;

impl Archive {
    /// Reads the directory of the archive that these bytes are.
    ///
    /// Errors: what is no archive, or has more parts than any workbook.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, FileError> {
        let mut parts = HashMap::new();
        let (mut at, count) = directory(&bytes).ok_or_else(damaged)?;
        if count > PARTS_MAXIMUM {
            return Err(too_large(format!("the workbook has more than {PARTS_MAXIMUM} parts")));
        }
        let mut names = 0;
        for _ in 0..count {
            let (name, entry, next) = entry(&bytes, at).ok_or_else(damaged)?;
            names += name.len();
            if names > NAMES_MAXIMUM {
                return Err(too_large("the names of the workbook's parts have more than 4 MiB"));
            }
            parts.insert(normal(&name), entry);
            at = next;
        }
        Ok(Self { bytes, parts, left: Cell::new(EXPANDED_MAXIMUM) })
    }

    /// The part of this name, whatever its case; `None` where there is none.
    ///
    /// Errors: one that can't be read, because it is encrypted, deflated in another way or too large.
    pub(super) fn part(&self, name: &str) -> Result<Option<Part<'_>>, FileError> {
        self.part_up_to(name, EXPANDED_MAXIMUM)
    }

    /// The same of a part that says how others hang together: one that is long is not what a spreadsheet program writes.
    pub(super) fn small_part(&self, name: &str) -> Result<Option<Part<'_>>, FileError> {
        self.part_up_to(name, SMALL_MAXIMUM)
    }

    fn part_up_to(&self, name: &str, maximum: u64) -> Result<Option<Part<'_>>, FileError> {
        let Some(entry) = self.parts.get(&normal(name)) else { return Ok(None) };
        if entry.size > maximum && maximum < EXPANDED_MAXIMUM {
            return Err(too_large("a part of the workbook that names others has more than 16 MiB"));
        }
        if entry.flags & 1 != 0 {
            return Err(encrypted());
        }
        if entry.size > self.left.get() {
            return Err(expands_too_far());
        }
        let deflated = content(&self.bytes, entry).ok_or_else(damaged)?;
        // What is beyond the bound is not read, and so the check sum is wrong.
        let content: Box<dyn Read + '_> = match entry.method {
            0 => Box::new(deflated.take(maximum)),
            8 => Box::new(DeflateDecoder::new(deflated).take(maximum)),
            _ => return Err(damaged()),
        };
        let inflated = Inflated { content, left: &self.left, crc: Hasher::new(), expected: entry.crc };
        Ok(Some(BufReader::with_capacity(BUFFER, inflated)))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(&normal(name))
    }
}

/// Why an archive can't be read.
pub(super) fn damaged() -> FileError {
    FileError::new("workbook_damaged", "the workbook is damaged or incomplete; save it anew, or export it as CSV")
}

pub(super) fn too_large(message: impl Into<String>) -> FileError {
    FileError::new("workbook_too_large", message)
}

fn expands_too_far() -> FileError {
    too_large("the workbook has more than 500 MiB when it is unpacked; export it as CSV")
}

pub(in super::super) fn encrypted() -> FileError {
    FileError::new("workbook_encrypted", "the workbook has a password; save it without one, or export it as CSV")
}

/// Names are compared without regard to case, and some programs begin them with a slash.
fn normal(name: &str) -> String {
    name.trim_start_matches('/').replace('\\', "/").to_ascii_lowercase()
}

/// Where the directory begins, and how many parts it has.
fn directory(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = bytes.len().saturating_sub(END + COMMENT_MAXIMUM);
    let end = (first..=bytes.len().checked_sub(END)?).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))?;
    let (count, offset) = (u64::from(u16_at(bytes, end + 10)?), u64::from(u32_at(bytes, end + 16)?));
    let (count, offset) = if offset == ELSEWHERE || count == u64::from(u16::MAX) {
        let locator = end.checked_sub(20).filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"))?;
        let end = usize::try_from(u64_at(bytes, locator + 8)?).ok()?;
        bytes.get(end..)?.starts_with(b"PK\x06\x06").then_some(())?;
        (u64_at(bytes, end.checked_add(32)?)?, u64_at(bytes, end.checked_add(48)?)?)
    } else {
        (count, offset)
    };
    Some((usize::try_from(offset).ok()?, usize::try_from(count).ok()?))
}

/// The entry of the directory that begins at `at`, and where the next one does.
fn entry(bytes: &[u8], at: usize) -> Option<(String, Entry, usize)> {
    bytes.get(at..)?.starts_with(b"PK\x01\x02").then_some(())?;
    let lengths = [28, 30, 32].map(|field| u16_at(bytes, at + field).map(usize::from));
    let [Some(name), Some(extra), Some(comment)] = lengths else { return None };
    let text = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned();
    let mut wide = zip64(bytes.get(at + 46 + name..at + 46 + name + extra)?);
    // In this order, and only those that have no room in 32 bits.
    let mut field = |offset| match u64::from(u32_at(bytes, at + offset)?) {
        ELSEWHERE => wide.next(),
        narrow => Some(narrow),
    };
    let (size, deflated, header) = (field(24)?, field(20)?, field(42)?);
    let (flags, method, crc) = (u16_at(bytes, at + 8)?, u16_at(bytes, at + 10)?, u32_at(bytes, at + 16)?);
    let entry = Entry { flags, method, crc, deflated, size, header };
    Some((text, entry, at + 46 + name + extra + comment))
}

/// The numbers of the field of an entry that has those of 64 bits.
fn zip64(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(length)) else { break };
        if id == 1 {
            found = field;
            break;
        }
        extra = &extra[4 + field.len()..];
    }
    found.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect::<Vec<_>>().into_iter()
}

/// The bytes of a part as they stand in the archive: behind its own header, whose name and extra fields may be others.
fn content<'a>(bytes: &'a [u8], entry: &Entry) -> Option<&'a [u8]> {
    let header = usize::try_from(entry.header).ok()?;
    bytes.get(header..)?.starts_with(b"PK\x03\x04").then_some(())?;
    let (name, extra) = (u16_at(bytes, header + 26)?, u16_at(bytes, header + 28)?);
    let begin = header + 30 + usize::from(name) + usize::from(extra);
    bytes.get(begin..begin.checked_add(usize::try_from(entry.deflated).ok()?)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What a part says, counted, and compared with its checksum where it ends.
pub(super) struct Inflated<'a> {
    content: Box<dyn Read + 'a>,
    left: &'a Cell<u64>,
    crc: Hasher,
    expected: u32,
}

impl Read for Inflated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer).map_err(|_| io::Error::other(damaged()))?;
        if count == 0 && !buffer.is_empty() && self.crc.clone().finalize() != self.expected {
            return Err(io::Error::other(damaged()));
        }
        self.crc.update(&buffer[..count]);
        match self.left.get().checked_sub(count as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::other(expands_too_far())),
        }
        Ok(count)
    }
}
