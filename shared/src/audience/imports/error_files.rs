//! The rows that could not be taken, as a CSV file for people to look at and mend.

use chrono::{DateTime, Utc};
use csv::{Terminator, Writer, WriterBuilder};

use super::ImportError;
use super::columns::Columns;
use super::encodings::Encoding;
use super::parsing::{Parser, Position, Step};
use super::rows::is_cut;
use crate::spreadsheets::guarded;
use crate::{Error, ImportId, OrganizationId, Result};

/// Bytes of an error file at most, since it is put together in memory. A hundred thousand usual rows are less.
const ERROR_FILE_MAXIMUM: usize = 32 << 20;
/// Excel reads a CSV file as UTF-8 only with it.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// What stands before the columns of the imported file.
pub(super) const HEADER: [&str; 3] = ["Line", "Code", "Reason"];

/// Where the error file of a run lies. A run that was left behind can't write over a later one's.
pub(super) fn key(organization: OrganizationId, import: ImportId, run_started_at: DateTime<Utc>) -> String {
    format!("errors/{organization}/{import}/{}.csv", run_started_at.timestamp_micros())
}

/// An error file that is being written.
pub(super) struct ErrorFile {
    writer: Writer<Vec<u8>>,
    /// What separates the columns of the imported file, where its header is known.
    delimiter: Option<u8>,
}

impl ErrorFile {
    /// Begins with the file's header and three columns before it; with the row's text in one column where nothing of the
    /// file's columns is known.
    pub(super) fn new(file: Option<(&Columns, u8)>) -> Result<Self> {
        let writer = WriterBuilder::new().flexible(true).terminator(Terminator::CRLF).from_writer(MARK.to_vec());
        let mut written = Self { writer, delimiter: file.map(|file| file.1) };
        let names = file.iter().flat_map(|(columns, _)| columns.columns.iter().map(|column| column.name.as_str()));
        let row = file.is_none().then_some("Row");
        written.record(HEADER.into_iter().chain(names).chain(row))?;
        Ok(written)
    }

    /// Adds rows; false when the file is full.
    pub(super) fn extend(&mut self, errors: &[ImportError]) -> Result<bool> {
        for error in errors {
            if self.writer.get_ref().len() >= ERROR_FILE_MAXIMUM {
                self.record(["", "more_errors", "this file has 32 MiB at most; the API lists all errors"].into_iter())?;
                return Ok(false);
            }
            let line = error.line.to_string();
            let mut reason = error.reason.clone();
            let cells = match self.delimiter {
                // Imported again, half a row would be taken for a whole one.
                Some(_) if is_cut(&error.raw) => {
                    reason.push_str("; the row is too long to stand here: mend it in the file that was imported");
                    Vec::new()
                }
                Some(delimiter) => cells(&error.raw, delimiter),
                None => vec![error.raw.clone()],
            };
            let told = [line.as_str(), &error.code, &reason];
            self.record(told.into_iter().chain(cells.iter().map(String::as_str)))?;
        }
        Ok(true)
    }

    /// The bytes of the file.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        self.writer.into_inner().map_err(|error| Error::internal(error.into_error()))
    }

    fn record<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<()> {
        self.writer.write_record(cells.map(guarded)).map_err(Error::internal)
    }
}

/// The fields of a row; the last may have been cut.
fn cells(raw: &str, delimiter: u8) -> Vec<String> {
    let mut parser = Parser::new(delimiter, Encoding::Utf8, Position { offset: 0, lines: 0 });
    parser.feed(raw.as_bytes());
    let Ok(Step::Row) = parser.step(true) else { return Vec::new() };
    let row = parser.row();
    let mut cells: Vec<String> = row.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    // The line end that the parser took for the one that is missing.
    if let (true, Some(last)) = (row.unclosed, cells.last_mut()) {
        last.pop();
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: i64, raw: &str) -> ImportError {
        ImportError {
            line,
            code: "email_no_at".to_owned(),
            reason: "the address has no @".to_owned(),
            raw: raw.to_owned(),
        }
    }

    #[test]
    fn rows_keep_their_cells_and_no_cell_is_a_formula() {
        let header = [b"Email".as_slice(), b"=Notes"];
        let columns = Columns::find(header.into_iter(), Encoding::Utf8, None).unwrap();
        let mut file = ErrorFile::new(Some((&columns, b';'))).unwrap();
        let rows = [
            error(2, "nobody;\"a, \"\"b\"\"\r\nc\";more"),
            error(5, "=1+1;+49 1"),
            error(6, "-x;@y"),
            error(7, "\"\tz\";\"\rz\""),
            error(8, "\"cut"),
            error(9, &format!("nobody;{}…", "x".repeat(3_992))),
        ];
        assert!(file.extend(&rows).unwrap());
        let text = String::from_utf8(file.finish().unwrap()).unwrap();
        let expected = "\u{feff}Line,Code,Reason,Email,'=Notes\r\n\
            2,email_no_at,the address has no @,nobody,\"a, \"\"b\"\"\r\nc\",more\r\n\
            5,email_no_at,the address has no @,'=1+1,'+49 1\r\n\
            6,email_no_at,the address has no @,'-x,'@y\r\n\
            7,email_no_at,the address has no @,'\tz,\"'\rz\"\r\n\
            8,email_no_at,the address has no @,cut\r\n\
            9,email_no_at,the address has no @; the row is too long to stand here: mend it in the file that was imported\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn rows_of_a_file_whose_columns_are_unknown_are_told_as_they_stand() {
        let mut file = ErrorFile::new(None).unwrap();
        assert!(file.extend(&[error(2, "a;b,c")]).unwrap());
        let text = String::from_utf8(file.finish().unwrap()).unwrap();
        assert!(text.ends_with("Line,Code,Reason,Row\r\n2,email_no_at,the address has no @,\"a;b,c\"\r\n"), "{text}");
    }

    #[test]
    fn it_is_bounded_and_says_so() {
        let mut file = ErrorFile::new(None).unwrap();
        let page: Vec<ImportError> = (0..1_000).map(|line| error(line, &"x".repeat(1_000))).collect();
        let pages = (0..100).take_while(|_| file.extend(&page).unwrap()).count();
        assert!((31..34).contains(&pages), "{pages} pages of a megabyte");
        let text = file.finish().unwrap();
        assert!(text.len() < ERROR_FILE_MAXIMUM + (64 << 10));
        assert!(String::from_utf8(text).unwrap().lines().last().unwrap().starts_with(",more_errors,"));
    }
}
