//! CSV from pieces of a file: rows with their place, whatever the pieces.
//!
//! The grammar is csv-core's: quotes as RFC 4180 has them and lenient beyond it. What this adds is where each row begins
//! and ends, in bytes and lines, so that reading can stop after any row and go on there.

use super::FileError;
use super::encodings::Encoding;

/// Bytes of one row at most. A longer one is rather a quote that nobody closed, or no CSV.
pub(super) const ROW_MAXIMUM: usize = 1 << 20;

/// What separates columns, most usual first: the first of equals is taken.
pub(super) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A place between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Bytes of the file before it.
    pub(super) offset: u64,
    /// Lines of the file before it.
    pub(super) lines: u64,
}

/// What a step of the parser came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A row, to be had by [`Parser::row`] until the next step.
    Row,
    /// The next piece of the file is needed.
    More,
    /// The file is over.
    End,
}

/// Reads rows from what it is fed.
pub(super) struct Parser {
    csv: csv_core::Reader,
    encoding: Encoding,
    buffer: Vec<u8>,
    /// Place in the file of `start` while a row is being read, of `read` otherwise.
    offset: u64,
    /// Where the row begins that is being read, or was read last.
    start: usize,
    /// How far the buffer is read.
    read: usize,
    /// Where the row's text ends, without its line end.
    content_end: usize,
    /// Line ends before `start` while a row is being read, before `read` otherwise.
    lines: u64,
    row_line: u64,
    fields: Vec<u8>,
    fields_length: usize,
    ends: Vec<usize>,
    ends_length: usize,
    unclosed: bool,
    state: State,
    /// Whether a row counts as one line, whatever stands in its fields.
    counts_rows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Within,
    /// The row is read but for the LF that may follow its CR.
    Ended,
}

/// A row as it stands in the file.
pub(super) struct RowView<'a> {
    /// Line on which it starts; the file's first is 1.
    pub(super) line: u64,
    /// Its bytes without the line end.
    pub(super) raw: &'a [u8],
    /// Whether the file ended inside of a quoted field.
    pub(super) unclosed: bool,
    fields: &'a [u8],
    ends: &'a [usize],
}

impl<'a> RowView<'a> {
    /// The fields, without quotes.
    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let (fields, ends) = (self.fields, self.ends);
        ends.iter().enumerate().map(move |(n, end)| &fields[if n == 0 { 0 } else { ends[n - 1] }..*end])
    }
}

impl Parser {
    /// Starts at `at`, where a row begins. The first thing fed is what follows there, as the transcoder reads it.
    pub(super) fn new(delimiter: u8, encoding: Encoding, at: Position) -> Self {
        let mut csv = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        // It would take three bytes for a byte order mark at each place where reading starts, not only in the file's first.
        csv.read_record(b"\n", &mut [0], &mut [0]);
        Self {
            csv,
            encoding,
            buffer: Vec::new(),
            offset: at.offset,
            start: 0,
            read: 0,
            content_end: 0,
            lines: at.lines,
            row_line: 0,
            fields: vec![0; 1024],
            fields_length: 0,
            ends: vec![0; 64],
            ends_length: 0,
            unclosed: false,
            state: State::Between,
            counts_rows: false,
        }
    }

    /// Counts each row as one line, as the rows of a sheet are counted.
    pub(super) fn counting_rows(self, counts_rows: bool) -> Self {
        Self { counts_rows, ..self }
    }

    /// Takes the next bytes of the file. The row read last is gone after this.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let kept = if self.state == State::Between { self.read } else { self.start };
        self.buffer.drain(..kept);
        self.read -= kept;
        self.content_end = self.content_end.saturating_sub(kept);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Goes on to the next row. `last` says that everything has been fed.
    ///
    /// Errors: a row beyond [`ROW_MAXIMUM`].
    pub(super) fn step(&mut self, last: bool) -> Result<Step, FileError> {
        loop {
            match self.state {
                State::Between => {
                    if !self.skip_line_ends(last) {
                        return Ok(if last && self.read == self.buffer.len() { Step::End } else { Step::More });
                    }
                    self.start = self.read;
                    self.row_line = self.lines + 1;
                    (self.fields_length, self.ends_length, self.unclosed) = (0, 0, false);
                    self.state = State::Within;
                }
                State::Within if self.read == self.buffer.len() => {
                    if self.read - self.start > ROW_MAXIMUM {
                        return Err(FileError::row_too_long(self.row_line));
                    }
                    if !last {
                        return Ok(Step::More);
                    }
                    self.content_end = self.read;
                    // A line end ends the row wherever the file may end; inside of quotes it doesn't.
                    if !self.advance_over(b"\n") {
                        self.unclosed = true;
                        self.advance_over(b"");
                    }
                    self.lines = self.row_line;
                    return self.finish();
                }
                State::Within => {
                    if self.advance() {
                        self.content_end = self.read - 1;
                        self.state = State::Ended;
                    }
                }
                State::Ended => {
                    if self.buffer[self.content_end] == b'\r' {
                        match self.buffer.get(self.read) {
                            Some(b'\n') => self.read += 1,
                            None if !last => return Ok(Step::More),
                            _ => {}
                        }
                    }
                    self.lines += match self.counts_rows {
                        true => 1,
                        false => line_ends(&self.buffer[self.start..self.read]),
                    };
                    return self.finish();
                }
            }
        }
    }

    /// The row that the last step found.
    pub(super) fn row(&self) -> RowView<'_> {
        RowView {
            line: self.row_line,
            raw: &self.buffer[self.start..self.content_end],
            unclosed: self.unclosed,
            fields: &self.fields[..self.fields_length],
            ends: &self.ends[..self.ends_length],
        }
    }

    /// The place before which everything is read: after the last row, or after the empty lines that follow it.
    pub(super) fn position(&self) -> Position {
        Position { offset: self.offset, lines: self.lines }
    }

    fn finish(&mut self) -> Result<Step, FileError> {
        self.state = State::Between;
        self.offset += self.encoding.length(&self.buffer[self.start..self.read]);
        if self.content_end - self.start > ROW_MAXIMUM {
            return Err(FileError::row_too_long(self.row_line));
        }
        Ok(Step::Row)
    }

    /// Passes over empty lines; false where the buffer ends before anything else comes.
    fn skip_line_ends(&mut self, last: bool) -> bool {
        loop {
            let begin = self.read;
            match (self.buffer.get(self.read), self.buffer.get(self.read + 1)) {
                (Some(b'\r'), Some(b'\n')) => self.read += 2,
                // The LF that belongs to it may be the first byte of the next piece.
                (Some(b'\r'), None) if !last => return false,
                (Some(b'\n' | b'\r'), _) => self.read += 1,
                (Some(_), _) => return true,
                (None, _) => return false,
            }
            self.offset += self.encoding.length(&self.buffer[begin..self.read]);
            self.lines += 1;
        }
    }

    /// Reads on in the buffer; true at the end of a row.
    fn advance(&mut self) -> bool {
        let buffer = std::mem::take(&mut self.buffer);
        let (ended, count) = self.consume(&buffer[self.read..]);
        self.buffer = buffer;
        self.read += count;
        ended
    }

    /// Reads bytes that are not in the file; true at the end of a row.
    fn advance_over(&mut self, bytes: &[u8]) -> bool {
        self.consume(bytes).0
    }

    fn consume(&mut self, bytes: &[u8]) -> (bool, usize) {
        use csv_core::ReadRecordResult;

        let mut done = 0;
        loop {
            let (result, read, written, ended) = self.csv.read_record(
                &bytes[done..],
                &mut self.fields[self.fields_length..],
                &mut self.ends[self.ends_length..],
            );
            done += read;
            self.fields_length += written;
            self.ends_length += ended;
            match result {
                ReadRecordResult::Record => return (true, done),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return (false, done),
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }
}

/// Counts CRLF, LF and CR, each once.
fn line_ends(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for &byte in bytes {
        count += u64::from(byte == b'\r' || (byte == b'\n' && previous != b'\r'));
        previous = byte;
    }
    count
}

/// What separates the columns of a file that begins with `bytes`: whatever its first line that is not empty has most of
/// outside of quotes. `None` while that line has no end yet.
pub(super) fn detect_delimiter(bytes: &[u8], last: bool) -> Option<u8> {
    let mut counts = [0_usize; DELIMITERS.len()];
    let (mut quoted, mut field_starts, mut ended) = (false, true, last);
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    for &byte in &bytes[begin..] {
        // A doubled quote closes and opens again.
        if byte == b'"' && (quoted || field_starts) {
            quoted = !quoted;
            field_starts = !quoted;
            continue;
        }
        if quoted {
            continue;
        }
        if matches!(byte, b'\r' | b'\n') {
            ended = true;
            break;
        }
        let delimiter = DELIMITERS.iter().position(|delimiter| *delimiter == byte);
        field_starts = delimiter.is_some();
        if let Some(n) = delimiter {
            counts[n] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let first = counts.iter().position(|count| *count == most).unwrap_or_default();
    ended.then_some(DELIMITERS[first])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row as line, fields and whether it was unclosed, fed in pieces of `piece` bytes.
    fn rows(text: &[u8], piece: usize) -> Vec<(u64, Vec<String>, bool)> {
        read_from(text, Position { offset: 0, lines: 0 }, piece).into_iter().map(|(row, _)| row).collect()
    }

    type Row = (u64, Vec<String>, bool);

    fn read_from(text: &[u8], at: Position, piece: usize) -> Vec<(Row, Position)> {
        let mut parser = Parser::new(b',', Encoding::Utf8, at);
        let mut rest = &text[usize::try_from(at.offset).unwrap()..];
        let mut found = Vec::new();
        loop {
            match parser.step(rest.is_empty()).unwrap() {
                Step::Row => {
                    let row = parser.row();
                    let fields = row.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
                    found.push(((row.line, fields, row.unclosed), parser.position()));
                }
                Step::More => {
                    let (next, after) = rest.split_at(piece.min(rest.len()));
                    parser.feed(next);
                    rest = after;
                }
                Step::End => {
                    assert_eq!(parser.position().offset, text.len() as u64);
                    return found;
                }
            }
        }
    }

    #[test]
    fn rows_keep_their_lines_whatever_ends_them() {
        for piece in 1..=12 {
            let expect = |text: &str, lines: &[u64]| {
                let found: Vec<u64> = rows(text.as_bytes(), piece).iter().map(|row| row.0).collect();
                assert_eq!(found, lines, "{text:?} in pieces of {piece}");
            };
            expect("a\nb\nc", &[1, 2, 3]);
            expect("a\r\nb\r\nc\r\n", &[1, 2, 3]);
            expect("a\rb\rc\r", &[1, 2, 3]);
            expect("\n\r\n\ra\n\n\r\nb", &[4, 7]);
            expect("a,\"x\r\ny\rz\n\"\r\nb", &[1, 5]);
            expect("", &[]);
            expect("\r\n\n", &[]);
        }
    }

    #[test]
    fn quotes_are_read_as_rfc_4180_has_them() {
        for piece in 1..=7 {
            let text = "a,\"b \"\"c\"\"\r\nd\",\n\"\",\" x \",y\"z\r\n";
            let found: Vec<Vec<String>> = rows(text.as_bytes(), piece).into_iter().map(|row| row.1).collect();
            assert_eq!(found, [["a", "b \"c\"\r\nd", ""], ["", " x ", "y\"z"]]);
        }
    }

    #[test]
    fn a_quote_that_nobody_closes_is_told() {
        for piece in 1..=9 {
            let found = rows(b"a,b\n1,\"2\n3,4\n", piece);
            assert_eq!(found.len(), 2);
            assert!(!found[0].2 && found[1].2);
            assert!(!rows(b"a,\"b\"", piece)[0].2, "closed by the last byte");
            assert!(rows(b"\"", piece)[0].2);
        }
    }

    #[test]
    fn reading_can_stop_after_any_row_and_go_on_there() {
        let text = "\u{feff}h,\"i\nj\"\r\n\r\n1,2\r\"\u{feff}\",\"\r\"\n\u{feff}3\n\n4,\"5\n6\"\r\n\r\n7".as_bytes();
        for piece in 1..=text.len() {
            let all = read_from(text, Position { offset: 0, lines: 0 }, piece);
            for n in 0..all.len() {
                assert_eq!(read_from(text, all[n].1, piece), all[n + 1..], "after row {n} in pieces of {piece}");
            }
        }
    }

    /// The files of csv-spectrum, which lie beside the project on some machines, each with the JSON that it means.
    #[test]
    fn odd_files_mean_what_their_json_says() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/csv");
        let Ok(entries) = std::fs::read_dir(folder) else {
            println!("{folder} is not here, so its files are passed over");
            return;
        };
        let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "csv")) {
            let mut text = std::fs::read(path).unwrap();
            if path.ends_with("newlines_crlf.csv") && !text.contains(&b'\r') {
                // The JSON speaks of the file before something on its way here rewrote its line ends.
                text = String::from_utf8(text).unwrap().replace('\n', "\r\n").into_bytes();
            }
            let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
            let expected: Vec<std::collections::BTreeMap<String, String>> = serde_json::from_str(&json).unwrap();
            for piece in [1, 2, 3, 1 << 20] {
                let mut found = rows(&text, piece).into_iter().map(|row| row.1);
                let header = found.next().unwrap();
                let found: Vec<_> = found.map(|row| header.iter().cloned().zip(row).collect()).collect();
                assert_eq!(expected, found, "{} in pieces of {piece}", path.display());
            }
        }
    }

    #[test]
    fn a_row_has_a_mebibyte_at_most() {
        let step = |length: usize, end: &str, piece: usize| {
            let text = format!("{}{end}", "x".repeat(length));
            let mut parser = Parser::new(b',', Encoding::Utf8, Position { offset: 0, lines: 0 });
            let mut rest = text.as_bytes();
            loop {
                match parser.step(rest.is_empty()) {
                    Ok(Step::More) => {
                        let (next, after) = rest.split_at(piece.min(rest.len()));
                        parser.feed(next);
                        rest = after;
                    }
                    other => return other.map_err(|error| error.code),
                }
            }
        };
        for piece in [1 << 16, ROW_MAXIMUM + 1, 1 << 22] {
            for end in ["", "\n", "\r\n", "\r"] {
                assert_eq!(step(ROW_MAXIMUM, end, piece), Ok(Step::Row));
                assert_eq!(step(ROW_MAXIMUM + 1, end, piece), Err("row_too_long"));
            }
        }
    }

    #[test]
    fn the_header_tells_the_delimiter() {
        let detect = |text: &str| detect_delimiter(text.as_bytes(), true).map(char::from);
        assert_eq!(detect("a,b;c,d\n;;;;"), Some(','));
        assert_eq!(detect("\r\n\na;b;c,d\n"), Some(';'));
        assert_eq!(detect("a\tb\n"), Some('\t'));
        assert_eq!(detect("a|b|c"), Some('|'));
        assert_eq!(detect("email\n"), Some(','));
        assert_eq!(detect(""), Some(','));
        assert_eq!(detect("\"a,b,c,\"\"d\n,\";e;f"), Some(';'));
        assert_eq!(detect("5\" size;b\n"), Some(';'), "a quote inside of a field opens nothing");
        assert_eq!(detect_delimiter(b"a;b", false), None);
        assert_eq!(detect_delimiter(b"\"a\nb", false), None);
    }
}
