//! Hostile files end as errors, and the importer's memory stays bounded whatever it reads.
//!
//! A program of its own with a single test: the peak that the kernel keeps is the whole process's.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "the peak after each file is what a reader of the run looks for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::audience::imports::importing::{Importer, Progress};
use shared::audience::imports::{self, ColumnMapping, Import, NewImport, Pace};
use shared::{Error, ImportId};
use testkit::workbooks::{Workbook, row};
use testkit::{FakeImportQueue, FakeObjectStore, Scene};

/// Half of what the function has, so that there is room for what the test can't see.
const PEAK_MAXIMUM: u64 = 256 << 20;
const MEBIBYTE: u64 = 1 << 20;

struct Desk {
    scene: Scene,
    store: Arc<FakeObjectStore>,
    queue: Arc<FakeImportQueue>,
}

/// A file that is made up while it is read.
struct Hostile {
    what: &'static str,
    head: Vec<u8>,
    unit: Vec<u8>,
    size: u64,
    /// Why the file fails, if it does.
    code: Option<&'static str>,
}

impl Desk {
    async fn uploaded(&self, file: &Hostile) -> ImportId {
        let db = self.scene.db.app();
        let tx = db.begin(self.scene.organization).await.unwrap();
        let mapping =
            ColumnMapping::parse([("email".to_owned(), Some("email".to_owned()))].into_iter().collect()).unwrap();
        let new = NewImport {
            file_name: "hostile.csv".to_owned(),
            // Put at once, whatever it has: this store takes it.
            size: 1,
            column_mapping: Some(mapping),
            ..NewImport::default()
        };
        let (import, _) = imports::create(&tx, &*self.store, new).await.unwrap();
        tx.commit().await.unwrap();
        let key = format!("uploads/{}/{}", self.scene.organization, import.id);
        self.store.upload_repeated(&key, file.head.clone(), file.unit.clone(), file.size);
        import.id
    }

    async fn start(&self, id: ImportId) -> Result<Import, Error> {
        let db = self.scene.db.app();
        let tx = db.begin(self.scene.organization).await?;
        let import = imports::start(&tx, &*self.store, &*self.queue, id, None).await?;
        tx.commit().await?;
        Ok(import)
    }

    async fn import(&self, file: &Hostile) -> Import {
        let id = self.uploaded(file).await;
        self.start(id).await.unwrap();
        self.queue.take().unwrap();
        let importer = Importer {
            db: self.scene.db.app(),
            store: self.store.clone(),
            queue: self.queue.clone(),
            pace: Pace::default(),
        };
        let far = Instant::now() + Duration::from_secs(3_600);
        assert_eq!(importer.run(self.scene.organization, id, far).await.unwrap(), Progress::Ended, "{}", file.what);
        let tx = importer.db.begin(self.scene.organization).await.unwrap();
        let import = imports::find(&tx, id).await.unwrap();
        tx.commit().await.unwrap();
        import
    }
}

/// The most memory that this process has ever had, in bytes; `None` where the kernel doesn't say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn hostile() -> Vec<Hostile> {
    let file = |what, head: &str, unit: String, size: u64, code| Hostile {
        what,
        head: head.as_bytes().to_vec(),
        unit: unit.into_bytes(),
        size,
        code,
    };
    let person = "email,x\na@people.test,1\n";
    let people = format!("email,x\n{}", "a@people.test,1\n".repeat(100));
    let columns: Vec<String> = (1..500).map(|n| format!("c{n}")).collect();
    let wide = format!("email,{}\n", columns.join(","));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut files = vec![
        file("a line without end", person, "x".repeat(1 << 16), 100 * MEBIBYTE, Some("row_too_long")),
        file("a first line without end", "email", "x".repeat(1 << 16), 100 * MEBIBYTE, Some("header_too_long")),
        file(
            "an open quote",
            &format!("{person}b@people.test,\""),
            "c@people.test,2\n".repeat(4_096),
            500 * MEBIBYTE,
            Some("row_too_long"),
        ),
        file(
            "an open quote in the header",
            "email,\"",
            "c@people.test,2\n".repeat(4_096),
            500 * MEBIBYTE,
            Some("header_too_long"),
        ),
        file("nothing but NULs", "", "\0".repeat(1 << 16), 500 * MEBIBYTE, Some("not_csv")),
        file("NULs after some rows", &people, "\0".repeat(1 << 16), 100 * MEBIBYTE, Some("row_too_long")),
        file("rows of NULs", &people, format!("{}\n", "\0".repeat(1_000)), 2 * MEBIBYTE, None),
        file(
            "5,000 columns",
            &format!("email{}\n", ",x".repeat(4_999)),
            "\n".to_owned(),
            20_000,
            Some("too_many_columns"),
        ),
        file("rows of 5,000 fields", person, format!("{}\n", ",".repeat(4_999) + "x"), 2 * MEBIBYTE, None),
        file(
            "500 columns with a letter each",
            &wide,
            format!("a@people.test{}\n", ",b".repeat(499)),
            2 * MEBIBYTE,
            None,
        ),
        file("line ends alone", person, "\r\n".repeat(1 << 15), 32 * MEBIBYTE, None),
    ];
    // Rows that are just short enough, of eight people; the first ever read keeps its row.
    let long: String = (0..8).map(|n| format!("p{n}@people.test,{}\n", "\u{e9}".repeat(8_000))).collect();
    files.push(file("long values", "email,x\n", long, 24 * MEBIBYTE, None));
    let invalid = format!("nobody,{}\n", "x".repeat(1_000_000));
    files.push(file("rows of a megabyte", "email,x\n", invalid, 64 * MEBIBYTE, None));
    files.push(Hostile {
        what: "rows of a megabyte in UTF-16",
        head: utf16("\u{feff}email,x\n"),
        unit: utf16(&format!("nobody,{}\n", "\u{4e2d}".repeat(300_000))),
        size: 64 * MEBIBYTE,
        code: None,
    });
    files
}

#[tokio::test]
async fn whatever_a_file_holds_the_importer_stays_within_its_memory() {
    let scene = Scene::new().await;
    let desk = Desk { scene, store: Arc::default(), queue: Arc::default() };
    for file in hostile() {
        let import = desk.import(&file).await;
        assert_eq!(import.error_code.as_deref(), file.code, "{}: {:?}", file.what, import.error);
        assert_eq!(import.status, if file.code.is_some() { "failed" } else { "completed" }, "{}", file.what);
        report(file.what);
    }

    // A short file about people whose stored rows and fields are as large as they may be.
    let sql = "insert into contacts (organization_id, id, email, custom, raw_data)
               select $1, gen_random_uuid(), 'big' || n || '@people.test',
                      (select jsonb_object_agg('k' || k, 'v') from generate_series(1, 1000) k),
                      jsonb_build_object('x', repeat('y', 1000000))
                 from generate_series(1, 300) n";
    desk.scene.run(sql, &[&desk.scene.organization]).await;
    let rows: String = (1..=300).map(|n| format!("big{n}@people.test,{n}\n")).collect();
    let head = format!("email,x\n{rows}").into_bytes();
    let file = Hostile { what: "large contacts", size: head.len() as u64, head, unit: Vec::new(), code: None };
    let import = desk.import(&file).await;
    assert_eq!((import.status.as_str(), import.rows_updated, import.rows_failed), ("completed", 300, 0));
    report(file.what);

    for (what, head, code) in workbooks() {
        let file = Hostile { what, size: head.len() as u64, head, unit: Vec::new(), code };
        let import = desk.import(&file).await;
        assert_eq!(import.error_code.as_deref(), file.code, "{}: {:?}", file.what, import.error);
        assert_eq!(import.status, if file.code.is_some() { "failed" } else { "completed" }, "{}", file.what);
        report(file.what);
    }

    let unit = b"a@people.test\n".to_vec();
    let size = (1 << 30) + 1;
    let file = Hostile { what: "over a gibibyte", head: b"email\n".to_vec(), unit, size, code: None };
    let id = desk.uploaded(&file).await;
    let Err(Error::Invalid(errors)) = desk.start(id).await else { panic!("a file over a gibibyte was started") };
    assert_eq!(errors[0].code, "file_too_large");
}

/// Workbooks that are small until they are unpacked.
fn workbooks() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let head = row(1, &["email", "x"]);
    let people = Workbook::new().sheet("A", &head);
    let sheet = "xl/worksheets/sheet1.xml";
    let spaces = vec![b' '; 1 << 20];
    let bomb = |part: &str, begin: &[u8], unit: &[u8], times: usize, end: &[u8]| {
        let pieces = [begin].into_iter().chain(std::iter::repeat_n(unit, times)).chain([end]);
        people.with_part(part, pieces.collect::<Vec<_>>())
    };
    let texts = format!("<si><t>{}</t></si>", "x".repeat(1_000)).repeat(100);
    let formulas: String =
        (2..20_000).map(|n| format!(r#"<row r="{n}"><c r="A{n}" t="str"><f>1+1</f><v>=1+1</v></c></row>"#)).collect();
    let wide = format!("<row>{}</row>", r#"<c t="str"><v>x</v></c>"#.repeat(16_384));
    let table = "xl/sharedStrings.xml";
    let large = Some("workbook_too_large");
    vec![
        ("a sheet of 600 MiB", bomb(sheet, b"<sheetData>", &spaces, 600, b"</sheetData>"), large),
        ("a tag of 100 MiB", bomb(sheet, b"<row ", &spaces, 100, b"/>"), large),
        ("texts of 150 MB", bomb(table, b"<sst>", texts.as_bytes(), 1_500, b"</sst>"), large),
        ("a text of 100 MiB", bomb(table, b"<sst><si><t>", &vec![b'x'; 1 << 20], 100, b"</t></si></sst>"), large),
        (
            "styles without end",
            bomb("xl/styles.xml", b"<a><cellXfs>", "<xf/>".repeat(10_000).as_bytes(), 1_000, b""),
            Some("workbook_damaged"),
        ),
        (
            "rows of all columns",
            bomb(sheet, b"<sheetData>", wide.as_bytes(), 20, b"</sheetData>"),
            Some("too_many_columns"),
        ),
        (
            "a formula in every cell",
            people.with_part(sheet, [b"<sheetData>".as_slice(), head.as_bytes(), formulas.as_bytes(), b"</sheetData>"]),
            None,
        ),
    ]
}

#[track_caller]
fn report(what: &str) {
    let Some(peak) = peak() else {
        println!("the kernel keeps no peak of memory here, so it is not looked at");
        return;
    };
    println!("{:>4} MiB at most after {what}", peak >> 20);
    assert!(peak <= PEAK_MAXIMUM, "{} MiB at most after {what}", peak >> 20);
}
