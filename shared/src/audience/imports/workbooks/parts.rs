//! Which part of a workbook is what: its sheets, the texts that they share, and their styles.

use std::collections::HashMap;

use super::super::FileError;
use super::archive::{Archive, damaged, too_large};
use super::xml::{Token, Xml, attribute};

/// Sheets of a workbook at most.
const SHEETS_MAXIMUM: usize = 10_000;
/// Sheets named in an error.
const SHOWN_SHEETS: usize = 20;
/// Characters of each of them; Excel has 31.
const SHOWN_NAME: usize = 60;

/// The parts that are read.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) sheet: String,
    pub(super) sheet_name: String,
    pub(super) strings: Option<String>,
    pub(super) styles: Option<String>,
    pub(super) from_1904: bool,
}

struct Sheet {
    name: String,
    relation: String,
    is_hidden: bool,
}

#[derive(Default)]
struct Relations {
    targets: HashMap<String, (String, String)>,
}

impl Parts {
    /// Finds the sheet of this name, whatever its case, or else the first that people see.
    ///
    /// Errors: what is no workbook, or has no such sheet.
    pub(super) fn find(archive: &Archive, sheet: Option<&str>) -> Result<Self, FileError> {
        let root = Relations::read(archive, "_rels/.rels", "")?;
        let workbook = root.of_kind("/officeDocument").unwrap_or_else(|| "xl/workbook.xml".to_owned());
        if !archive.has(&workbook) || !workbook.to_ascii_lowercase().ends_with(".xml") {
            return Err(no_workbook(archive));
        }
        let (sheets, from_1904) = sheets(archive, &workbook)?;
        let (folder, file) = workbook.rsplit_once('/').unwrap_or(("", &workbook));
        let relations = Relations::read(archive, &format!("{folder}/_rels/{file}.rels"), folder)?;
        let mut tables = sheets.iter().filter_map(|sheet| Some((sheet, relations.worksheet(&sheet.relation)?)));
        let found = match sheet {
            Some(name) => tables.find(|(sheet, _)| sheet.name.to_lowercase() == name.to_lowercase()),
            None => tables.find(|(sheet, _)| !sheet.is_hidden),
        };
        let Some((found, path)) = found else { return Err(no_sheet(sheet, &sheets)) };
        if !archive.has(&path) {
            return Err(damaged());
        }
        Ok(Self {
            sheet: path,
            sheet_name: found.name.clone(),
            strings: relations.of_kind("/sharedStrings"),
            styles: relations.of_kind("/styles"),
            from_1904,
        })
    }
}

/// An archive of something else, told as what it is where that is known.
fn no_workbook(archive: &Archive) -> FileError {
    let what = if archive.has("xl/workbook.bin") {
        "a binary workbook (XLSB); save it as XLSX, or export it as CSV"
    } else if archive.has("word/document.xml") {
        "a document of Word; export its table as CSV"
    } else if archive.has("content.xml") && archive.has("mimetype") {
        "an OpenDocument file; save it as XLSX, or export it as CSV"
    } else {
        "a ZIP archive without a workbook; upload the files that are in it"
    };
    FileError::new("not_csv", format!("the file is neither CSV nor XLSX but {what}"))
}

fn no_sheet(wanted: Option<&str>, sheets: &[Sheet]) -> FileError {
    let Some(wanted) = wanted else {
        return FileError::new("no_such_sheet", "the workbook has no sheet that can be seen and has rows");
    };
    let cut = |name: &str| name.chars().take(SHOWN_NAME).collect::<String>();
    let names: Vec<String> = sheets.iter().take(SHOWN_SHEETS).map(|sheet| format!("{:?}", cut(&sheet.name))).collect();
    let more = if sheets.len() > SHOWN_SHEETS { " and more" } else { "" };
    let message = format!("the workbook has no sheet {:?}; it has {}{more}", cut(wanted), names.join(", "));
    FileError::new("no_such_sheet", message)
}

fn sheets(archive: &Archive, workbook: &str) -> Result<(Vec<Sheet>, bool), FileError> {
    let Some(part) = archive.small_part(workbook)? else { return Err(damaged()) };
    let (mut xml, mut sheets, mut from_1904) = (Xml::new(part), Vec::new(), false);
    loop {
        match xml.next()? {
            Token::Start(start) => match start.local_name().into_inner() {
                "workbookPr" => {
                    from_1904 = attribute(&start, "date1904").is_some_and(|is| matches!(&*is, "1" | "true" | "on"));
                }
                "sheet" => {
                    let name = attribute(&start, "name").unwrap_or_default().into_owned();
                    if name.contains(char::is_control) {
                        return Err(damaged());
                    }
                    let relation = attribute(&start, "id").unwrap_or_default().into_owned();
                    let is_hidden = attribute(&start, "state").is_some_and(|state| state != "visible");
                    sheets.push(Sheet { name, relation, is_hidden });
                }
                _ => {}
            },
            Token::Over => return Ok((sheets, from_1904)),
            Token::End(_) | Token::Text(_) | Token::Other => {}
        }
        if sheets.len() > SHEETS_MAXIMUM {
            return Err(too_large(format!("the workbook has more than {SHEETS_MAXIMUM} sheets")));
        }
    }
}

impl Relations {
    /// Reads what the parts in `folder` refer to; nothing where there is no such part.
    fn read(archive: &Archive, name: &str, folder: &str) -> Result<Self, FileError> {
        let mut relations = Self::default();
        let Some(part) = archive.small_part(name)? else { return Ok(relations) };
        let mut xml = Xml::new(part);
        loop {
            match xml.next()? {
                Token::Start(start) if start.local_name().into_inner() == "Relationship" => {
                    let (id, kind) = (attribute(&start, "Id"), attribute(&start, "Type"));
                    if let (Some(id), Some(kind), Some(target)) = (id, kind, attribute(&start, "Target")) {
                        let target = (kind.into_owned(), resolved(folder, &target));
                        relations.targets.insert(id.into_owned(), target);
                    }
                }
                Token::Over => return Ok(relations),
                _ => {}
            }
            if relations.targets.len() > SHEETS_MAXIMUM {
                return Err(too_large(format!("the workbook has more than {SHEETS_MAXIMUM} parts")));
            }
        }
    }

    /// The part that is referred to as of this kind: the last part of its name, which is the same in both forms of the standard.
    fn of_kind(&self, kind: &str) -> Option<String> {
        self.targets.values().find(|(of, _)| of.ends_with(kind)).map(|(_, target)| target.clone())
    }

    /// The part of a sheet that is a table, and no chart.
    fn worksheet(&self, relation: &str) -> Option<String> {
        self.targets.get(relation).filter(|(kind, _)| kind.ends_with("/worksheet")).map(|(_, target)| target.clone())
    }
}

/// The name of a part that is referred to from `folder`.
fn resolved(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            ".." => drop(path.pop()),
            "." | "" => {}
            step => path.push(step),
        }
    }
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::resolved;

    #[test]
    fn parts_are_named_from_where_they_are_referred_to() {
        assert_eq!(resolved("xl", "worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(resolved("xl", "/xl/worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(resolved("xl", "../xl/./styles.xml"), "xl/styles.xml");
        assert_eq!(resolved("", "../../workbook.xml"), "workbook.xml");
    }
}
