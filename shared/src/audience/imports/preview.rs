//! What an import would make of a file, from the file's beginning.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use tokio::task::spawn_blocking;

use super::chunks::{Bytes, Failure, FileKey, begin_with};
use super::columns::{Basis, ColumnMapping, Columns};
use super::encodings::{Encoding, Transcoder};
use super::formats::{Format, Kind, SAMPLE};
use super::merging::{Foreseen, Pending};
use super::objects::ObjectStore;
use super::parsing::{Parser, Step};
use super::rows::{Parsed, parse};
use super::workbooks::{self, Workbook};
use super::{FileError, file_missing};
use crate::{Error, Result};

/// Rows shown.
const ROWS: usize = 20;
/// Characters shown of a cell.
const CELL_MAXIMUM: usize = 200;

/// What an import would make of a file.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Preview {
    /// Bytes of the file.
    pub bytes_total: u64,
    /// Rows of the file, by those of its beginning; exact for a small one. Null where there is none to go by.
    pub rows_estimated: Option<u64>,
    /// `utf-8`, `utf-16le`, `utf-16be` or `windows-1252`; null where the beginning has nothing but ASCII.
    pub encoding: Option<&'static str>,
    /// The sheet of a workbook; null for a CSV file.
    pub sheet: Option<String>,
    /// What separates the columns.
    pub delimiter: Option<char>,
    /// Line of the header; the file's first is 1.
    pub header_line: Option<u64>,
    /// The columns in their order.
    pub columns: Vec<PreviewColumn>,
    /// The first rows.
    pub rows: Vec<PreviewRow>,
    /// What a person should know before starting the import.
    pub warnings: Vec<Warning>,
    /// Stable name of why the file can't be imported as things stand.
    pub error_code: Option<&'static str>,
    /// The same for people.
    pub error: Option<String>,
}

/// A column and where it would go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PreviewColumn {
    /// Its header, made unique.
    pub name: String,
    /// A field of a contact, `custom.<key>`, or null where it is left out.
    pub target: Value,
    /// `mapped` by the caller, `known` by its header, or `custom` because nothing is known of it.
    basis: Basis,
}

/// A row of the file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PreviewRow {
    /// Line on which it starts.
    pub line: u64,
    /// What it would do as things stand: `create`, `update`, `unchanged` or `fail`. Null where the file can't be imported.
    pub outcome: Option<Foreseen>,
    /// Its cells, each cut at 200 characters.
    pub cells: Vec<String>,
    /// Stable name of why it could not be taken.
    pub code: Option<&'static str>,
    /// The same for people.
    pub reason: Option<String>,
}

/// What a person should know.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Warning {
    /// Stable name.
    pub code: &'static str,
    /// The same for people.
    pub message: String,
}

/// Reads the beginning of a file, and nothing beyond it; of a workbook the beginning of its `sheet`. With the rows that are
/// shown and could be taken.
pub(super) async fn read(
    store: &dyn ObjectStore,
    key: FileKey,
    sheet: Option<String>,
    requested: Option<&ColumnMapping>,
) -> Result<(Preview, Pending)> {
    let bytes_total = key.size;
    let mut bytes = Bytes { store, key, fetched: 0 };
    let previewed = match bytes.sample(SAMPLE).await {
        Ok(sample) if workbooks::is_archive(&sample) => of_sheet(&mut bytes, sample, sheet, requested).await,
        Ok(sample) => begin_with(sample, bytes.is_over(), Kind::Text, requested)
            .map(|(format, rest)| of(format, &rest, bytes_total, Kind::Text, bytes.is_over()))
            .map_err(Failure::File),
        Err(failure) => Err(failure),
    };
    match previewed {
        Ok(preview) => Ok(preview),
        Err(Failure::File(error)) if error.code == "file_missing" => Err(file_missing()),
        Err(Failure::File(error)) => Ok((Preview { bytes_total, ..failed(&error) }, Pending::default())),
        Err(Failure::Other(error)) => Err(error),
    }
}

fn failed(error: &FileError) -> Preview {
    Preview { error_code: Some(error.code), error: Some(error.message.clone()), ..Preview::default() }
}

async fn of_sheet(
    bytes: &mut Bytes<'_>,
    sample: Vec<u8>,
    sheet: Option<String>,
    requested: Option<&ColumnMapping>,
) -> Result<(Preview, Pending), Failure> {
    workbooks::check_size(bytes.key.size)?;
    let all = bytes.rest(sample).await?;
    let beginning = spawn_blocking(move || {
        let workbook = Workbook::open(all, sheet.as_deref())?;
        let (text, whole) = workbook.beginning()?;
        Ok::<_, FileError>((workbook.sheet_name().to_owned(), text, whole))
    });
    let (sheet, text, whole) = beginning.await.map_err(Error::internal)??;
    let (format, rest) = begin_with(text, whole, Kind::Sheet, requested)?;
    let (preview, pending) = of(format, &rest, bytes.key.size, Kind::Sheet, whole);
    Ok((Preview { sheet: Some(sheet), ..preview }, pending))
}

/// The preview of a file that is written like this, of which `rest` follows the header. `last` says that this is all of it.
fn of(format: Format, rest: &[u8], bytes_total: u64, kind: Kind, last: bool) -> (Preview, Pending) {
    let begin = Preview {
        bytes_total,
        // Those of a sheet are ours.
        encoding: format.encoding.filter(|_| kind == Kind::Text).map(Encoding::name),
        delimiter: Some(char::from(format.delimiter)).filter(|_| kind == Kind::Text),
        header_line: Some(format.header_line),
        ..Preview::default()
    };
    let (columns, begin) = match format.columns {
        Ok(columns) => (columns, begin),
        Err(error) => {
            let Preview { error_code, error, .. } = failed(&error);
            let begin = Preview { error_code, error, ..begin };
            match format.proposed {
                Some(columns) => (columns, begin),
                None => return (begin, Pending::default()),
            }
        }
    };
    let reading = format.encoding.unwrap_or(Encoding::Utf8);
    let mut parser = Parser::new(format.delimiter, reading, format.data).counting_rows(kind == Kind::Sheet);
    parser.feed(&Transcoder::new(reading).read(rest, last));
    let (mut rows, mut count, mut end, mut pending) = (Vec::new(), 0_u64, format.data.offset, Vec::new());
    // The rest of a row that the sample cuts is not known, so it isn't shown.
    while let Ok(Step::Row) = parser.step(last) {
        let row = parser.row();
        let parsed = parse(&columns, reading, &row);
        end = parser.position().offset;
        if matches!(parsed, Parsed::Blank) {
            continue;
        }
        count += 1;
        if rows.len() < ROWS {
            let cells = row.fields().map(|field| reading.shown(field).chars().take(CELL_MAXIMUM).collect()).collect();
            let (outcome, code, reason) = match parsed {
                Parsed::Error(error) => (Some(Foreseen::Fail), Some(error.code), Some(error.reason)),
                Parsed::Row(row) => {
                    pending.push(*row);
                    (None, None, None)
                }
                Parsed::Blank => (None, None, None),
            };
            rows.push(PreviewRow { line: row.line, outcome, cells, code, reason });
        }
    }
    let read = end.saturating_sub(format.data.offset);
    let rows_estimated = match bytes_total.saturating_sub(format.data.offset) {
        _ if last => Some(count),
        _ if count == 0 || kind == Kind::Sheet => None,
        all => Some(all.saturating_mul(count) / read.max(1)),
    };
    let warnings = warnings(&columns, format.encoding, format.has_preamble.then_some(format.header_line), &rows);
    let columns = columns.columns.into_iter();
    let columns =
        columns.map(|column| PreviewColumn { target: column.target.to_json(), name: column.name, basis: column.basis });
    (Preview { rows_estimated, columns: columns.collect(), rows, warnings, ..begin }, pending.into())
}

fn warnings(
    columns: &Columns,
    encoding: Option<Encoding>,
    header_below: Option<u64>,
    rows: &[PreviewRow],
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message| warnings.push(Warning { code, message });
    if let Some(line) = header_below {
        warn("lines_above_header", format!("the header is line {line}; what stands above it is left out"));
    }
    if encoding == Some(Encoding::Windows1252) {
        let message = "the file is not UTF-8 and is read as Windows-1252; look at its accents";
        warn("encoding_guessed", message.to_owned());
    }
    let names = |places: Vec<usize>| {
        let names = places.iter().filter_map(|n| columns.columns.get(*n)).map(|column| format!("{:?}", column.name));
        names.collect::<Vec<_>>().join(", ")
    };
    if !columns.spare_emails.is_empty() {
        let spares = names(columns.spare_emails.clone());
        warn("several_email_columns", format!("where a row has no address, it is taken from {spares}"));
    }
    let renamed: Vec<usize> = (0..columns.columns.len()).filter(|n| columns.columns[*n].is_renamed).collect();
    if !renamed.is_empty() {
        let message = format!("columns without a name, or with one that another has, are called {}", names(renamed));
        warn("columns_renamed", message);
    }
    let failing = rows.iter().filter(|row| row.code.is_some()).count();
    if failing > 0 {
        warn("rows_with_errors", format!("{failing} of the first {} rows could not be taken", rows.len()));
    }
    warnings
}
