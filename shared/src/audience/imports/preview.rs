//! What an import would make of a file, from the file's beginning.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use tokio::task::spawn_blocking;

use super::chunks::{Bytes, Failure, FileKey, begin};
use super::columns::{Basis, ColumnMapping, Columns};
use super::encodings::{Encoding, Transcoder};
use super::formats::{self, Format, Kind, SAMPLE};
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

/// Reads the beginning of a file, and nothing beyond it; of a workbook the beginning of its `sheet`.
pub(super) async fn read(
    store: &dyn ObjectStore,
    key: FileKey,
    sheet: Option<String>,
    requested: Option<&ColumnMapping>,
) -> Result<Preview> {
    let bytes_total = key.size;
    let mut bytes = Bytes { store, key, fetched: 0 };
    let previewed = match bytes.first().await {
        Ok(first) if workbooks::is_archive(&first) => of_sheet(&mut bytes, sheet, requested).await,
        Ok(_) => begin(&mut bytes, SAMPLE, requested)
            .await
            .map(|(format, rest)| of(format, &rest, bytes_total, Kind::Text, bytes.is_over())),
        Err(failure) => Err(failure),
    };
    match previewed {
        Ok(preview) => Ok(preview),
        Err(Failure::File(error)) if error.code == "file_missing" => Err(file_missing()),
        Err(Failure::File(error)) => Ok(Preview { bytes_total, ..failed(&error) }),
        Err(Failure::Other(error)) => Err(error),
    }
}

fn failed(error: &FileError) -> Preview {
    Preview { error_code: Some(error.code), error: Some(error.message.clone()), ..Preview::default() }
}

async fn of_sheet(
    bytes: &mut Bytes<'_>,
    sheet: Option<String>,
    requested: Option<&ColumnMapping>,
) -> Result<Preview, Failure> {
    workbooks::check_size(bytes.key.size)?;
    let all = bytes.all().await?;
    let beginning = spawn_blocking(move || {
        let workbook = Workbook::open(all, sheet.as_deref())?;
        let (text, whole) = workbook.beginning()?;
        Ok::<_, FileError>((workbook.sheet().to_owned(), text, whole))
    });
    let (sheet, text, whole) = beginning.await.map_err(Error::internal)??;
    let format = formats::detect(&text, whole, Kind::Sheet, requested)?;
    let rest = usize::try_from(format.data.offset).ok().and_then(|data| text.get(data..)).unwrap_or_default();
    Ok(Preview { sheet: Some(sheet), ..of(format, rest, bytes.key.size, Kind::Sheet, whole) })
}

/// The preview of a file that is written like this, of which `rest` follows the header. `last` says that this is all of it.
fn of(format: Format, rest: &[u8], bytes_total: u64, kind: Kind, last: bool) -> Preview {
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
                None => return begin,
            }
        }
    };
    let reading = format.encoding.unwrap_or(Encoding::Utf8);
    let mut parser = Parser::new(format.delimiter, reading, format.data).counting_rows(kind == Kind::Sheet);
    parser.feed(&Transcoder::new(reading).read(rest, last));
    let (mut rows, mut count, mut end) = (Vec::new(), 0_u64, format.data.offset);
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
            let (code, reason) = match parsed {
                Parsed::Error(error) => (Some(error.code), Some(error.reason)),
                Parsed::Row(_) | Parsed::Blank => (None, None),
            };
            rows.push(PreviewRow { line: row.line, cells, code, reason });
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
    Preview { rows_estimated, columns: columns.collect(), rows, warnings, ..begin }
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
