//! A zip file that is written piece by piece, by whoever takes over: what must be remembered between two pieces is small and has
//! no compressor in it.
//!
//! Layout by APPNOTE.TXT of PKWARE (6.3.10): each file is a local header, its bytes deflated, and a data descriptor, since neither
//! size nor checksum is known when it begins; sizes have 64 bits throughout. At a pause the deflated bytes end with a whole block
//! on a byte, where another compressor goes on.

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Deflated, with sizes of 64 bits: what a reader must know (4.4.3).
const VERSION: u16 = 45;
/// Sizes and checksum come after the bytes (bit 3), and names are UTF-8 (bit 11).
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// The method deflate.
const DEFLATE: u16 = 8;
/// 1980-01-01 00:00 as MS-DOS has it: when each file was written stands in the manifest.
const DATE: u16 = 1 << 5 | 1;
/// Stands for a size or an offset that has 64 bits elsewhere.
const ELSEWHERE: u32 = u32::MAX;
/// Room that the compressor is given at once.
const ROOM: usize = 32 << 10;

/// What is remembered between two pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Bytes written so far.
    offset: u64,
    /// The files that are done.
    files: Vec<File>,
    /// The file that is being written.
    open: Option<File>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    name: String,
    /// Where its header begins.
    header: u64,
    crc: u32,
    deflated: u64,
    size: u64,
}

/// A piece of the archive that is being written, in memory.
pub(super) struct Piece {
    progress: Progress,
    bytes: Vec<u8>,
    compressor: Compress,
}

impl Piece {
    /// Goes on where another piece was paused.
    pub(super) fn after(progress: Progress) -> Self {
        Self { progress, bytes: Vec::new(), compressor: compressor() }
    }

    /// Bytes of this piece so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Begins a file. The one before it is closed.
    pub(super) fn begin_file(&mut self, name: &str) -> Result<()> {
        self.end_file()?;
        let header = self.progress.offset;
        self.u32(0x0403_4b50);
        for field in [VERSION, FLAGS, DEFLATE, 0, DATE] {
            self.u16(field);
        }
        for field in [0, ELSEWHERE, ELSEWHERE] {
            self.u32(field);
        }
        self.u16(length(name.len())?);
        self.u16(20);
        self.put(name.as_bytes());
        // Both sizes, in 64 bits, which the descriptor tells.
        for field in [1, 16] {
            self.u16(field);
        }
        self.u64(0);
        self.u64(0);
        self.compressor = compressor();
        self.progress.open = Some(File { name: name.to_owned(), header, crc: 0, deflated: 0, size: 0 });
        Ok(())
    }

    /// Writes bytes of the open file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.progress.open else { return Err(Error::internal("no file of the archive is open")) };
        let mut crc = Hasher::new_with_initial(open.crc);
        crc.update(bytes);
        open.crc = crc.finalize();
        open.size += bytes.len() as u64;
        self.deflate(bytes, FlushCompress::None)
    }

    /// Closes the open file, if there is one.
    pub(super) fn end_file(&mut self) -> Result<()> {
        if self.progress.open.is_none() {
            return Ok(());
        }
        self.deflate(&[], FlushCompress::Finish)?;
        let Some(file) = self.progress.open.take() else { return Ok(()) };
        self.u32(0x0807_4b50);
        self.u32(file.crc);
        self.u64(file.deflated);
        self.u64(file.size);
        self.progress.files.push(file);
        Ok(())
    }

    /// Ends the piece in the middle of the archive: its bytes, and what the next one goes on from.
    pub(super) fn pause(mut self) -> Result<(Vec<u8>, Progress)> {
        if self.progress.open.is_some() {
            self.deflate(&[], FlushCompress::Full)?;
        }
        Ok((self.bytes, self.progress))
    }

    /// Ends the archive with its directory.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.end_file()?;
        let begin = self.progress.offset;
        let files = std::mem::take(&mut self.progress.files);
        for file in &files {
            self.directory_entry(file)?;
        }
        let (end, count) = (self.progress.offset, files.len() as u64);
        // The end of the directory in 64 bits, and where that is.
        self.u32(0x0606_4b50);
        self.u64(44);
        self.u16(VERSION);
        self.u16(VERSION);
        self.u32(0);
        self.u32(0);
        for field in [count, count, end - begin, begin] {
            self.u64(field);
        }
        self.u32(0x0706_4b50);
        self.u32(0);
        self.u64(end);
        self.u32(1);
        self.u32(0x0605_4b50);
        self.u16(0);
        self.u16(0);
        self.u16(short(count));
        self.u16(short(count));
        self.u32(word(end - begin));
        self.u32(word(begin));
        self.u16(0);
        Ok(self.bytes)
    }

    fn directory_entry(&mut self, file: &File) -> Result<()> {
        self.u32(0x0201_4b50);
        for field in [VERSION, VERSION, FLAGS, DEFLATE, 0, DATE] {
            self.u16(field);
        }
        self.u32(file.crc);
        self.u32(ELSEWHERE);
        self.u32(ELSEWHERE);
        self.u16(length(file.name.len())?);
        self.u16(28);
        for field in [0, 0, 0] {
            self.u16(field);
        }
        self.u32(0);
        self.u32(ELSEWHERE);
        self.put(file.name.as_bytes());
        for field in [1, 24] {
            self.u16(field);
        }
        for field in [file.size, file.deflated, file.header] {
            self.u64(field);
        }
        Ok(())
    }

    /// Compresses all of `bytes` and, when flushed, all that the compressor holds.
    fn deflate(&mut self, mut bytes: &[u8], flush: FlushCompress) -> Result<()> {
        let before = self.bytes.len();
        loop {
            self.bytes.reserve(ROOM);
            let (read, written) = (self.compressor.total_in(), self.bytes.len());
            self.compressor.compress_vec(bytes, &mut self.bytes, flush).map_err(Error::internal)?;
            let read = usize::try_from(self.compressor.total_in() - read).map_err(Error::internal)?;
            bytes = &bytes[read..];
            // Room that is left over tells that nothing is held back any more.
            if bytes.is_empty() && self.bytes.len() < self.bytes.capacity() {
                break;
            }
            if read == 0 && self.bytes.len() == written && self.bytes.len() < self.bytes.capacity() {
                return Err(Error::internal("the compressor goes nowhere"));
            }
        }
        let deflated = (self.bytes.len() - before) as u64;
        self.progress.offset += deflated;
        if let Some(open) = &mut self.progress.open {
            open.deflated += deflated;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.progress.offset += bytes.len() as u64;
    }

    fn u16(&mut self, number: u16) {
        self.put(&number.to_le_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.put(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }
}

/// Deflate without a header of its own.
fn compressor() -> Compress {
    Compress::new(Compression::fast(), false)
}

fn length(length: usize) -> Result<u16> {
    u16::try_from(length).map_err(Error::internal)
}

fn short(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn word(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(ELSEWHERE)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use proptest::prelude::*;

    use super::*;

    /// Writes files in pieces of some bytes, remembered as JSON in between, and reads them by a library of others.
    fn read_back(files: &[(String, Vec<u8>)], pause_after: usize) -> Vec<(String, Vec<u8>)> {
        let mut archive = Vec::new();
        let mut piece = Piece::after(Progress::default());
        for (name, content) in files {
            piece.begin_file(name).unwrap();
            for chunk in content.chunks(pause_after) {
                piece.write(chunk).unwrap();
                let (bytes, progress) = piece.pause().unwrap();
                archive.extend(bytes);
                let kept = serde_json::to_value(&progress).unwrap();
                piece = Piece::after(serde_json::from_value(kept).unwrap());
            }
        }
        archive.extend(piece.finish().unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        (0..archive.len())
            .map(|n| {
                let mut file = archive.by_index(n).unwrap();
                let mut content = Vec::new();
                file.read_to_end(&mut content).unwrap();
                (file.name().to_owned(), content)
            })
            .collect()
    }

    #[test]
    fn an_archive_without_files_is_one() {
        assert_eq!(read_back(&[], 1), []);
    }

    #[test]
    fn large_files_are_written_through_a_small_room() {
        let noise: Vec<u8> =
            (0..400_000_u64).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
        let files =
            [("a.csv".to_owned(), noise), ("ä.json".to_owned(), vec![b'x'; 3_000_000]), ("c".to_owned(), vec![])];
        for pause_after in [65_537, 10_000_000] {
            assert!(read_back(&files, pause_after) == files);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_in_pieces_is_read_whole(
            contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
            pause_after in 1_usize..100,
        ) {
            let files: Vec<(String, Vec<u8>)> =
                contents.into_iter().enumerate().map(|(n, content)| (format!("{n}.csv"), content)).collect();
            prop_assert_eq!(read_back(&files, pause_after), files);
        }
    }
}
