//! The rows of a sheet, one after the other.

use super::super::FileError;
use super::archive::{Part, damaged, too_large};
use super::cells::{Styles, unescaped};
use super::strings::{bound, rich_text};
use super::xml::{Token, Xml, attribute};

/// Rows of a sheet at most, and columns: as many as Excel has.
const ROWS_MAXIMUM: u64 = 1 << 20;
const COLUMNS_MAXIMUM: usize = 1 << 14;

/// What a cell holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    /// The text of this number in the table of texts.
    Shared(usize),
}

impl Cell {
    /// Bytes of a text that it holds itself.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Shared(_) => 0,
        }
    }
}

/// A sheet that is being read.
pub(super) struct Sheet<'a> {
    xml: Xml<'a>,
    styles: &'a Styles,
    /// The number of the row read last.
    row: u64,
}

/// How the value of a cell is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Shared,
    Boolean,
    Error,
    Text,
}

impl Kind {
    fn of(name: Option<&str>) -> Self {
        match name {
            None | Some("n") => Self::Number,
            Some("s") => Self::Shared,
            Some("b") => Self::Boolean,
            Some("e") => Self::Error,
            // The result of a formula, a text of the cell's own, and a date of ISO 8601.
            Some(_) => Self::Text,
        }
    }
}

impl<'a> Sheet<'a> {
    pub(super) fn new(part: Part<'a>, styles: &'a Styles) -> Self {
        Self { xml: Xml::new(part), styles, row: 0 }
    }

    /// Reads the next row into `cells`, by their columns from 0 on, those that hold nothing left out. Its number, which the
    /// first row of a sheet has 1 of; `None` behind the last.
    pub(super) fn next_row(&mut self, cells: &mut Vec<(usize, Cell)>) -> Result<Option<u64>, FileError> {
        cells.clear();
        loop {
            match self.xml.next()? {
                Token::Start(start) if start.local_name().into_inner() == "row" => {
                    let number = attribute(&start, "r").and_then(|number| number.trim().parse().ok());
                    // Whoever doesn't number its rows, or not in their order, has them one after the other.
                    let number = number.filter(|number| *number > self.row).unwrap_or(self.row + 1);
                    if number > ROWS_MAXIMUM {
                        return Err(too_large("the sheet has more than 1,048,576 rows"));
                    }
                    self.row = number;
                    self.row(cells)?;
                    return Ok(Some(number));
                }
                Token::End(end) if end.local_name().into_inner() == "sheetData" => return Ok(None),
                Token::Over => return Ok(None),
                _ => {}
            }
        }
    }

    fn row(&mut self, cells: &mut Vec<(usize, Cell)>) -> Result<(), FileError> {
        let (mut next, mut length) = (0, 0);
        loop {
            match self.xml.next()? {
                Token::Start(start) if start.local_name().into_inner() == "c" => {
                    let column = attribute(&start, "r").map(|place| column(&place).ok_or_else(damaged)).transpose()?;
                    let column = column.unwrap_or(next);
                    if column >= COLUMNS_MAXIMUM {
                        return Err(damaged());
                    }
                    let style = attribute(&start, "s").and_then(|style| style.parse().ok());
                    let kind = Kind::of(attribute(&start, "t").as_deref());
                    let cell = self.cell(kind, style)?;
                    next = column + 1;
                    if let Some(cell) = cell {
                        if let Cell::Text(text) = &cell {
                            length += text.len();
                        }
                        // Cells stand in their order; one that doesn't makes a sheet that nobody has written so.
                        if cells.last().is_some_and(|(last, _)| *last >= column) {
                            return Err(damaged());
                        }
                        cells.push((column, cell));
                    }
                    if length > super::super::parsing::ROW_MAXIMUM {
                        return Err(row_too_long(self.row));
                    }
                }
                Token::End(end) if end.local_name().into_inner() == "row" => return Ok(()),
                Token::Over => return Err(damaged()),
                _ => {}
            }
        }
    }

    /// What a cell that has begun holds; `None` where that is nothing. Of a formula its last result counts, and an error
    /// of it is nothing.
    fn cell(&mut self, kind: Kind, style: Option<usize>) -> Result<Option<Cell>, FileError> {
        let (mut value, mut own, mut in_value) = (String::new(), String::new(), false);
        loop {
            match self.xml.next()? {
                Token::Start(start) => match start.local_name().into_inner() {
                    "v" => in_value = true,
                    "is" => rich_text(&mut self.xml, "is", &mut own)?,
                    _ => {}
                },
                Token::End(end) => match end.local_name().into_inner() {
                    "v" => in_value = false,
                    "c" => break,
                    _ => {}
                },
                Token::Text(text) if in_value => {
                    value.push_str(&text);
                    bound(&value)?;
                }
                Token::Text(_) | Token::Other => {}
                Token::Over => return Err(damaged()),
            }
        }
        let text = match kind {
            Kind::Error => return Ok(None),
            Kind::Shared if value.is_empty() => return Ok(None),
            Kind::Shared => return Ok(Some(Cell::Shared(value.trim().parse().map_err(|_| damaged())?))),
            Kind::Boolean => if value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
            Kind::Number => self.styles.number(style, &value).into_owned(),
            Kind::Text if own.is_empty() => unescaped(&value).into_owned(),
            Kind::Text => unescaped(&own).into_owned(),
        };
        Ok((!value.is_empty() || !own.is_empty()).then_some(Cell::Text(text)))
    }
}

/// Why a row can't be read.
pub(super) fn row_too_long(row: u64) -> FileError {
    FileError::new("row_too_long", format!("row {row} of the sheet has more than 1 MiB"))
}

/// The column of a place such as `AB12`, from 0 on.
fn column(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let number = letters.fold(0_usize, |number, letter| {
        number.saturating_mul(26).saturating_add(usize::from(letter.to_ascii_uppercase() - b'A') + 1)
    });
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::column;

    #[test]
    fn places_name_their_columns() {
        assert_eq!(column("A1"), Some(0));
        assert_eq!(column("z9"), Some(25));
        assert_eq!(column("AA1"), Some(26));
        assert_eq!(column("XFD1048576"), Some(16_383));
        assert_eq!(column("12"), None);
        assert_eq!(column(&"Z".repeat(100)), Some(usize::MAX - 1));
    }
}
