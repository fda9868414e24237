//! Workbooks (XLSX) as programs write them, and as nobody should.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// A workbook that is being put together.
#[derive(Debug, Clone, Default)]
pub struct Workbook {
    sheets: Vec<Sheet>,
    strings: Vec<String>,
    styles: String,
    from_1904: bool,
}

#[derive(Debug, Clone)]
struct Sheet {
    name: String,
    state: &'static str,
    rows: String,
}

impl Workbook {
    /// One without a sheet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sheet that people see, with these rows as XML.
    #[must_use]
    pub fn sheet(mut self, name: &str, rows: &str) -> Self {
        self.sheets.push(Sheet { name: name.to_owned(), state: "visible", rows: rows.to_owned() });
        self
    }

    /// Adds a sheet that people don't see.
    #[must_use]
    pub fn hidden(mut self, name: &str, rows: &str) -> Self {
        self.sheets.push(Sheet { name: name.to_owned(), state: "hidden", rows: rows.to_owned() });
        self
    }

    /// The texts that cells share, as XML of each.
    #[must_use]
    pub fn strings(mut self, strings: &[&str]) -> Self {
        self.strings = strings.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// The formats of numbers, as XML of the elements `numFmts` and `cellXfs`.
    #[must_use]
    pub fn styles(mut self, styles: &str) -> Self {
        self.styles = styles.to_owned();
        self
    }

    /// Counts days from 1904 on.
    #[must_use]
    pub fn from_1904(mut self) -> Self {
        self.from_1904 = true;
        self
    }

    /// The parts by their names.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, String)> {
        let (mut sheets, mut relations) = (String::new(), String::new());
        let mut parts = Vec::new();
        for (n, sheet) in (1..).zip(&self.sheets) {
            sheets += &format!(r#"<sheet name="{}" sheetId="{n}" state="{}" r:id="rId{n}"/>"#, sheet.name, sheet.state);
            relations +=
                &format!(r#"<Relationship Id="rId{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>"#);
            let rows = &sheet.rows;
            let text = format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>"#);
            parts.push((format!("xl/worksheets/sheet{n}.xml"), text));
        }
        relations += &format!(r#"<Relationship Id="s" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>"#);
        relations += &format!(r#"<Relationship Id="f" Type="{OFFICE}/styles" Target="/xl/styles.xml"/>"#);
        let date1904 = u8::from(self.from_1904);
        let workbook = format!(
            r#"<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr date1904="{date1904}"/><sheets>{sheets}</sheets></workbook>"#
        );
        let root = format!(r#"<Relationship Id="w" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>"#);
        let named = |name: &str, text: String| (name.to_owned(), text);
        parts.extend([
            named("[Content_Types].xml", "<Types/>".to_owned()),
            named("_rels/.rels", format!("<Relationships>{root}</Relationships>")),
            named("xl/workbook.xml", workbook),
            named("xl/_rels/workbook.xml.rels", format!("<Relationships>{relations}</Relationships>")),
            named("xl/sharedStrings.xml", format!(r#"<sst xmlns="{MAIN}">{}</sst>"#, self.strings.concat())),
            named("xl/styles.xml", format!(r#"<styleSheet xmlns="{MAIN}">{}</styleSheet>"#, self.styles)),
        ]);
        parts
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut archive = Archive::new();
        for (name, text) in self.parts() {
            archive.part(&name, [text.as_bytes()]);
        }
        archive.bytes()
    }

    /// The same file but for the part of this name, which is made of these pieces.
    #[must_use]
    pub fn with_part<'a>(&self, name: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut archive = Archive::new();
        for (other, text) in self.parts().iter().filter(|(other, _)| other != name) {
            archive.part(other, [text.as_bytes()]);
        }
        archive.part(name, pieces);
        archive.bytes()
    }
}

/// A ZIP archive that is being written.
pub struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Default for Archive {
    fn default() -> Self {
        Self::new()
    }
}

impl Archive {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self(ZipWriter::new(Cursor::new(Vec::new())))
    }

    /// Adds a part that is made of these pieces, which are never all in memory.
    pub fn part<'a>(&mut self, name: &str, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        self.0.start_file(name, options).unwrap();
        for piece in pieces {
            self.0.write_all(piece).unwrap();
        }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.0.finish().unwrap().into_inner()
    }
}

/// A row of texts, written into the cells themselves; empty ones are left out.
#[must_use]
pub fn row(number: usize, texts: &[&str]) -> String {
    let cells = texts.iter().enumerate().filter(|(_, text)| !text.is_empty()).map(|(n, text)| {
        let column = char::from(b'A' + u8::try_from(n).unwrap());
        format!(r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#)
    });
    format!(r#"<row r="{number}">{}</row>"#, cells.collect::<String>())
}
