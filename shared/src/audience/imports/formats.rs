//! How a file is written: found from its beginning alone, so that everybody who opens it finds the same.

use super::FileError;
use super::columns::{ColumnMapping, Columns};
use super::encodings::{self, Encoding, Transcoder};
use super::parsing::{DELIMITERS, Parser, Position, Step, detect_delimiter};
use super::rows::is_blank;
use super::workbooks;
use crate::audience::email_address::EmailAddress;

/// Bytes from which all of this is found. A header with what programs write above it is far shorter.
pub(super) const SAMPLE: u64 = 256 * 1024;
/// Rows above the header at most, empty ones aside. LinkedIn writes two, reports of CRMs up to a dozen.
const PREAMBLE_MAXIMUM: usize = 20;
/// Bytes by which binary data is told from text.
const BINARY_EVIDENCE: usize = 512;
/// What files begin with that people take for CSV, or rename to it.
const OTHER_KINDS: &[(&[u8], &str)] = &[
    (OLE, "a workbook of an old Excel (XLS), or one with a password"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"{\\rtf", "an RTF document"),
    (b"<", "HTML or XML"),
    (b"BEGIN:VCARD", "a vCard file"),
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\0\0\xfe\xff", "UTF-32 text"),
];

/// What the bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// CSV, as somebody has written it.
    Text,
    /// CSV in UTF-8 with commas, which we have written from a sheet: each row is one line, however many its fields have.
    Sheet,
}

/// What old Excels write, and new ones around a workbook that has a password.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";
/// The name of what has been encrypted, in the UTF-16 of that container.
const ENCRYPTED: &str = "EncryptedPackage";

/// How a file is written.
#[derive(Debug)]
pub(super) struct Format {
    /// `None` while there is nothing but ASCII.
    pub(super) encoding: Option<Encoding>,
    pub(super) delimiter: u8,
    /// What its header says, or why it can't be worked with.
    pub(super) columns: Result<Columns, FileError>,
    /// The same for a file without a column of addresses, as far as its header can be read at all.
    pub(super) proposed: Option<Columns>,
    /// Line of the header; the file's first is 1.
    pub(super) header_line: u64,
    /// Whether there is more above the header than empty lines.
    pub(super) has_preamble: bool,
    /// Where the first row after the header begins.
    pub(super) data: Position,
}

/// A header, and where it was found.
struct Header {
    delimiter: u8,
    columns: Result<Columns, FileError>,
    proposed: Option<Columns>,
    /// Rows above it.
    above: usize,
    line: u64,
    data: Position,
}

/// Finds how a file is written that begins with `sample`: its first [`SAMPLE`] bytes, or `whole` of it.
///
/// The header is the first row in which a column is known to hold addresses, by what `requested` says or by its name,
/// under the delimiter for which there is one; so lines above it are passed over. A file without such a row is read as if
/// its first row were the header, to tell what is wrong with it.
///
/// Errors: what is no CSV, or has no header that could be read.
pub(super) fn detect(
    sample: &[u8],
    whole: bool,
    kind: Kind,
    requested: Option<&ColumnMapping>,
) -> Result<Format, FileError> {
    let (encoding, mark) = match kind {
        Kind::Text => {
            refuse_other_kinds(sample)?;
            encodings::detect(sample)
        }
        Kind::Sheet => (Some(Encoding::Utf8), 0),
    };
    let reading = encoding.unwrap_or(Encoding::Utf8);
    let text = Transcoder::new(reading).read(&sample[mark..], whole).into_owned();
    let begin = Position { offset: mark as u64, lines: 0 };
    let hint = delimiter_hint(&text).filter(|_| kind == Kind::Text);
    let find = |requested: Option<&ColumnMapping>| {
        let delimiters = match kind {
            Kind::Text => hint.map_or(DELIMITERS.to_vec(), |hint| vec![hint]),
            Kind::Sheet => vec![b','],
        };
        let found = delimiters.into_iter().filter_map(|delimiter| {
            let text = Text { bytes: &text, whole, kind, encoding: reading, begin };
            text.header(delimiter, requested)
        });
        // The first of equals, which is the most usual.
        found.min_by_key(|header| {
            let columns = header.columns.as_ref().map_or(0, |columns| columns.columns.len());
            (header.above, std::cmp::Reverse(columns))
        })
    };
    let header = match find(requested) {
        Some(header) => header,
        None => {
            let text = Text { bytes: &text, whole, kind, encoding: reading, begin };
            let delimiter = find(None).map(|header| header.delimiter).or(hint);
            let above = find(None).map_or(usize::from(hint.is_some()), |header| header.above);
            let delimiter = match kind {
                Kind::Text => delimiter.or_else(|| detect_delimiter(text.bytes, whole)),
                Kind::Sheet => Some(b','),
            };
            text.first_row(delimiter.ok_or_else(too_long)?, above, requested)?
        }
    };
    Ok(Format {
        encoding,
        delimiter: header.delimiter,
        columns: header.columns,
        proposed: header.proposed,
        header_line: header.line,
        has_preamble: header.above > usize::from(hint.is_some()),
        data: header.data,
    })
}

fn too_long() -> FileError {
    FileError::new("header_too_long", "the header has more than 256 KiB; a quote may not be closed")
}

fn refuse_other_kinds(sample: &[u8]) -> Result<(), FileError> {
    let encrypted: Vec<u8> = ENCRYPTED.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if sample.starts_with(OLE) && sample.windows(encrypted.len()).any(|window| window == encrypted) {
        return Err(workbooks::encrypted());
    }
    let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample).trim_ascii_start();
    if let Some((_, what)) = OTHER_KINDS.iter().find(|(begin, _)| sample.starts_with(begin) || text.starts_with(begin))
    {
        return Err(FileError::new(
            "not_csv",
            format!("the file is neither CSV nor XLSX but {what}; export it as CSV"),
        ));
    }
    let evidence = &sample[..sample.len().min(BINARY_EVIDENCE)];
    let controls = evidence.iter().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
    let is_text = matches!(encodings::detect(evidence).0, Some(Encoding::Utf16Le | Encoding::Utf16Be));
    if controls * 4 > evidence.len() && !is_text {
        return Err(FileError::new("not_csv", "the file is neither CSV nor XLSX but binary data; export it as CSV"));
    }
    Ok(())
}

/// What a first line of `sep=;` says, as Excel writes it.
fn delimiter_hint(text: &[u8]) -> Option<u8> {
    let line = text.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            DELIMITERS.contains(delimiter).then_some(*delimiter)
        }
        _ => None,
    }
}

/// A file's beginning, as the parser reads it.
#[derive(Clone, Copy)]
struct Text<'a> {
    bytes: &'a [u8],
    whole: bool,
    kind: Kind,
    encoding: Encoding,
    begin: Position,
}

impl Text<'_> {
    /// The first row that is a header with a column of addresses, if this is the delimiter.
    fn header(self, delimiter: u8, requested: Option<&ColumnMapping>) -> Option<Header> {
        let mut parser = self.parser(delimiter);
        let mut above = 0;
        while above <= PREAMBLE_MAXIMUM && matches!(parser.step(self.whole), Ok(Step::Row)) {
            let row = parser.row();
            if is_blank(&row) {
                continue;
            }
            if let (Ok(columns), false) = (Columns::find(row.fields(), self.encoding, requested), row.unclosed) {
                let (line, data) = (row.line, parser.position());
                return Some(Header { delimiter, columns: Ok(columns), proposed: None, above, line, data });
            }
            above += 1;
        }
        None
    }

    /// The row below so many as the header that it isn't.
    fn first_row(self, delimiter: u8, above: usize, requested: Option<&ColumnMapping>) -> Result<Header, FileError> {
        let mut parser = self.parser(delimiter);
        let mut passed = 0;
        loop {
            match parser.step(self.whole) {
                Ok(Step::Row) if is_blank(&parser.row()) => {}
                Ok(Step::Row) if passed < above => passed += 1,
                Ok(Step::Row) => break,
                Ok(Step::More) | Err(_) => return Err(too_long()),
                Ok(Step::End) => return Err(FileError::new("no_header", "the file has no header: it is empty")),
            }
        }
        let row = parser.row();
        if row.unclosed {
            return Err(FileError::new("unclosed_quote", "the header's quotes are not closed"));
        }
        let is_address = |field: &[u8]| {
            let text = self.encoding.text(field).unwrap_or_default();
            EmailAddress::parse(text.trim()).is_ok()
        };
        let columns = Columns::find(row.fields(), self.encoding, requested);
        // Nor is an address told as the name of a column.
        let is_wrong = columns.as_ref().is_err_and(|error| matches!(error.code, "no_email_column" | "unknown_column"));
        if is_wrong && row.fields().any(is_address) {
            let message = "the file's first row holds an address instead of column names; write a header above it";
            return Err(FileError::new("no_header", message));
        }
        let proposed = Columns::propose(row.fields(), self.encoding, requested)
            .or_else(|_| Columns::propose(row.fields(), self.encoding, None));
        let (line, data) = (row.line, parser.position());
        Ok(Header { delimiter, columns, proposed: proposed.ok(), above, line, data })
    }

    fn parser(self, delimiter: u8) -> Parser {
        let parser = Parser::new(delimiter, self.encoding, self.begin);
        let mut parser = parser.counting_rows(self.kind == Kind::Sheet);
        parser.feed(self.bytes);
        parser
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn found(text: &[u8]) -> (char, u64, u64) {
        let format = detect(text, true, Kind::Text, None).unwrap();
        format.columns.unwrap();
        (char::from(format.delimiter), format.header_line, format.data.offset)
    }

    fn code(text: &[u8]) -> &'static str {
        match detect(text, true, Kind::Text, None) {
            Ok(format) => format.columns.map_or_else(|error| error.code, |_| "none"),
            Err(error) => error.code,
        }
    }

    #[test]
    fn the_row_with_a_column_of_addresses_is_the_header_and_tells_the_delimiter() {
        assert_eq!(found(b"a,b;email;c,d\n;;;;"), (';', 1, 14));
        assert_eq!(found(b"\r\n\nemail;a,b,c\nx"), (';', 3, 15));
        assert_eq!(found(b"email"), (',', 1, 5));
        assert_eq!(found(b"a\temail\n"), ('\t', 1, 8));
        assert_eq!(found(b"a|email"), ('|', 1, 7));
        assert_eq!(found(b"Notes:\n\"Some, \"\"text\"\"\nin two lines\"\n\nName,Email Address\nx"), (',', 5, 57));
        assert_eq!(found(b"Report;of;today\n;;\nEmail;Name\n"), (';', 3, 30));
        assert_eq!(found(b"sep=;\nEmail,a;Email;b|c\n"), (';', 2, 24));
        assert_eq!(found(b"\"sep=\t\"\r\nName\tEmail\r\n"), ('\t', 2, 21));
        assert_eq!(found(b"\xef\xbb\xbfemail\n"), (',', 1, 9));
        let utf16: Vec<u8> = "sep=;\r\nEmail;Größe\r\nx".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found(&utf16), (';', 2, 40));
    }

    #[test]
    fn what_the_caller_says_finds_the_header_too() {
        let said = [("Contact".to_owned(), Some("email".to_owned()))];
        let said = ColumnMapping::parse(said.into_iter().collect()).unwrap();
        let format = detect(b"Our people\n\nName;Contact\nAda;x\n", true, Kind::Text, Some(&said)).unwrap();
        assert_eq!((format.delimiter, format.header_line, format.has_preamble), (b';', 3, true));
        let wrong = detect(b"Notes:\n\nName;Email\nAda;x\n", true, Kind::Text, Some(&said)).unwrap();
        let error = wrong.columns.unwrap_err();
        assert_eq!(error.code, "unknown_column");
        assert!(error.message.ends_with("the columns \"Name\", \"Email\""), "{}", error.message);
    }

    #[test]
    fn files_without_a_header_or_of_another_kind_are_told() {
        assert_eq!(code(b""), "no_header");
        assert_eq!(code(b"\n\n,,\n"), "no_header");
        assert_eq!(code(b"Ada,ada@people.test\nBob,bob@people.test\n"), "no_header");
        assert_eq!(code(b"Ada;Phone\n1;2\n"), "no_email_column");
        assert_eq!(code(b"email,\"name\n"), "unclosed_quote");
        assert_eq!(code(b"%PDF-1.7\n"), "not_csv");
        assert_eq!(code(b"\xd0\xcf\x11\xe0\xa1\xb1"), "not_csv");
        assert_eq!(code(b"\n <!doctype html>"), "not_csv");
        assert_eq!(code(b"BEGIN:VCARD\nVERSION:3.0\n"), "not_csv");
        assert_eq!(code(b"\xff\xfe\0\0e\0\0\0"), "not_csv");
        assert_eq!(code(&[0; 5_000]), "not_csv");
        assert_eq!(code(b"email,n\0\n"), "nul_byte");
        let long = [b'x'; SAMPLE as usize];
        assert_eq!(detect(&long, false, Kind::Text, None).unwrap_err().code, "header_too_long");
        assert_eq!(code(&long), "header_too_long");
        let deep = "x\n".repeat(PREAMBLE_MAXIMUM + 1) + "email\n";
        assert_eq!(code(deep.as_bytes()), "no_email_column");
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_file_is_too_odd(sample in prop::collection::vec(any::<u8>(), 0..300), whole in any::<bool>()) {
            let _ = detect(&sample, whole, Kind::Text, None);
        }

        #[test]
        fn nor_one_that_looks_like_csv(sample in "[a-c\"\r\n,;\t|\u{0}é=]{0,80}", whole in any::<bool>()) {
            if let Ok(format) = detect(sample.as_bytes(), whole, Kind::Text, None) {
                prop_assert!(format.data.offset <= sample.len() as u64);
            }
        }
    }
}
