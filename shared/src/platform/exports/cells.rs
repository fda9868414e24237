//! A row as the cells of a CSV file, in the order of its columns.

use std::fmt;

use csv::{Terminator, WriterBuilder};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use crate::spreadsheets::guarded;
use crate::{Error, Result};

/// Excel reads a CSV file as UTF-8 only with it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The columns of a row and their values, in their order, which a map would lose.
pub(super) struct Cells(Vec<(String, Value)>);

impl Cells {
    /// The names of the columns.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Writes the values of these columns as a line. A row that was read by a later release may have others.
    pub(super) fn write(&self, file: &mut Vec<u8>, columns: &[String]) -> Result<()> {
        let value = |column: &String| self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value);
        let cells: Vec<String> = columns.iter().map(|column| value(column).map_or_else(String::new, text)).collect();
        write_line(file, cells.iter().map(String::as_str))
    }
}

/// Writes the names of columns as a file's first line.
pub(super) fn write_header(file: &mut Vec<u8>, columns: &[String]) -> Result<()> {
    file.extend_from_slice(MARK);
    write_line(file, columns.iter().map(String::as_str))
}

fn write_line<'a>(file: &mut Vec<u8>, cells: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(file);
    writer.write_record(cells.map(guarded)).map_err(Error::internal)?;
    writer.flush().map_err(Error::internal)
}

/// A value as a cell: a text as it is, nothing for null, and JSON for what has parts.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Cells;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cells, A::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = map.next_entry()? {
                    cells.push(cell);
                }
                Ok(Cells(cells))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_in_the_order_of_the_row_and_none_is_a_formula() {
        let row = r#"{"z": "=1+1", "a": null, "custom": {"-x": "@y"}, "n": 7, "text": "a, \"b\"\nc", "tags": []}"#;
        let cells: Cells = serde_json::from_str(row).unwrap();
        let mut file = Vec::new();
        write_header(&mut file, &cells.names()).unwrap();
        cells.write(&mut file, &cells.names()).unwrap();
        let expected =
            "\u{feff}z,a,custom,n,text,tags\r\n'=1+1,,\"{\"\"-x\"\":\"\"@y\"\"}\",7,\"a, \"\"b\"\"\nc\",[]\r\n";
        assert_eq!(String::from_utf8(file).unwrap(), expected);
    }

    #[test]
    fn numbers_below_zero_are_guarded_like_everything_else() {
        let cells: Cells = serde_json::from_str(r#"{"n": -1}"#).unwrap();
        let mut file = Vec::new();
        cells.write(&mut file, &cells.names()).unwrap();
        assert_eq!(file, b"'-1\r\n");
    }
}
