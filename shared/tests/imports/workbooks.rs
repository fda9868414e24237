//! Workbooks come to the same as CSV, and odd or hostile ones end as errors.

use shared::audience::imports::{self, Import, NewImport, Pace, Preview};
use testkit::workbooks::{Archive, Workbook, row};

use crate::desk::{AT_ONCE, Desk, ROW_BY_ROW, counts, plain};

/// Every kind of cell: texts that are shared (with runs, and with how they are read), of the cell's own, results of formulas,
/// numbers, dates, a truth, an error, and nothing.
fn every_kind() -> Workbook {
    let cells = r#"
        <row r="1"><c r="A1" t="inlineStr"><is><t>Our people</t></is></c></row>
        <row r="3"><c r="A3" t="s"><v>0</v></c><c r="B3" t="s"><v>1</v></c><c r="C3" t="inlineStr"><is><t>Joined</t></is></c>
            <c r="D3" t="inlineStr"><is><t>Phone</t></is></c><c r="E3" t="inlineStr"><is><t>Paid</t></is></c>
            <c r="F3" t="inlineStr"><is><t>Note</t></is></c><c r="G3" t="inlineStr"><is><t>At</t></is></c></row>
        <row r="4" spans="1:7"><c r="A4" t="s"><v>2</v></c><c r="B4" t="s"><v>3</v></c><c r="C4" s="1"><v>45352</v></c>
            <c r="D4"><v>4.91701234567E+11</v></c><c r="E4" t="b"><v>1</v></c><c r="F4" t="s"><v>4</v></c>
            <c r="G4" s="2"><v>45352.5</v></c></row>
        <row r="6"><c r="A6" t="str"><f>LOWER("B@PEOPLE.TEST")</f><v>b@people.test</v></c><c r="B6" t="e"><v>#N/A</v></c>
            <c r="D6"><f>1/3</f><v>0.33333333333333331</v></c><c r="E6" t="b"><v>0</v></c><c r="F6"><f>NOW()</f></c></row>
        <row r="7"><c r="B7" t="inlineStr"><is><t>No address</t></is></c></row>
        <row r="8"/>
        <row r="9"><c r="A9" t="inlineStr"><is><t>nobody</t></is></c></row>"#;
    Workbook::new()
        .hidden("Secret", &row(1, &["email"]))
        .sheet("People", cells)
        .sheet("Others", &(row(1, &["email"]) + &row(2, &["other@people.test"])))
        .strings(&[
            "<si><t>E-mail</t></si>",
            "<si><r><t>First </t></r><r><rPr><b/></rPr><t>Name</t></r></si>",
            "<si><t>A@people.test</t></si>",
            "<si><t>Ana &amp; &#x42;o</t><rPh sb=\"0\" eb=\"1\"><t>ana</t></rPh></si>",
            "<si><t xml:space=\"preserve\">two, \"quoted\"_x000D_\nlines</t></si>",
        ])
        .styles(
            r#"<numFmts><numFmt numFmtId="164" formatCode="d\.m\.yy h:mm"/></numFmts>
               <cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
               <cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs>"#,
        )
}

async fn import(desk: &Desk, sheet: Option<&str>, file: &[u8], pace: Pace) -> Import {
    let new = NewImport { sheet: sheet.map(str::to_owned), ..plain() };
    desk.import(desk.scene.organization, new, file, pace).await
}

async fn preview(desk: &Desk, sheet: Option<&str>, file: &[u8]) -> Preview {
    let new = NewImport { sheet: sheet.map(str::to_owned), ..plain() };
    let id = desk.upload(desk.scene.organization, new, file).await;
    let tx = desk.db.begin(desk.scene.organization).await.unwrap();
    let preview = imports::preview(&desk.scene.db.app(), desk.scene.organization, &*desk.store, id).await.unwrap();
    tx.commit().await.unwrap();
    preview
}

#[tokio::test]
async fn every_kind_of_cell_is_read_and_errors_name_the_rows_of_the_sheet() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let file = every_kind().bytes();
    let first = import(&desk, None, &file, ROW_BY_ROW).await;
    assert_eq!((first.status.as_str(), counts(&first), first.progress), ("completed", [4, 2, 0, 0, 2], 100));
    assert_eq!((first.sheet.as_deref(), first.encoding.as_deref()), (Some("People"), Some("utf-8")));
    assert_eq!(
        desk.codes(organization, first.id).await,
        [(7, "email_empty".to_owned()), (9, "email_no_at".to_owned())]
    );
    let contacts = desk.contacts(organization, None).await;
    assert_eq!((&contacts[0]["email"], &contacts[0]["first_name"]), (&"A@people.test".into(), &"Ana & Bo".into()));
    assert_eq!(
        contacts[0]["custom"],
        serde_json::json!({"joined": "2024-03-01", "phone": "491701234567", "paid": "TRUE",
                           "note": "two, \"quoted\"\r\nlines", "at": "2024-03-01T12:00:00"})
    );
    assert_eq!(contacts[1]["email"], "b@people.test");
    assert_eq!(contacts[1]["first_name"], serde_json::Value::Null);
    assert_eq!(contacts[1]["custom"], serde_json::json!({"phone": "0.333333333333333", "paid": "FALSE"}));

    let again = import(&desk, None, &file, AT_ONCE).await;
    assert_eq!(counts(&again), [4, 0, 0, 2, 2]);
    let other = import(&desk, Some("OTHERS"), &file, AT_ONCE).await;
    assert_eq!((other.sheet.as_deref(), counts(&other)), (Some("Others"), [1, 1, 0, 0, 0]));
    let hidden = import(&desk, Some("Secret"), &file, AT_ONCE).await;
    assert_eq!((hidden.sheet.as_deref(), counts(&hidden)), (Some("Secret"), [0; 5]));

    let begun = preview(&desk, None, &file).await;
    assert_eq!((begun.sheet.as_deref(), begun.header_line, begun.rows_estimated), (Some("People"), Some(3), Some(4)));
    assert_eq!((begun.delimiter, begun.encoding, begun.error_code), (None, None, None));
    assert_eq!(begun.columns[1].name, "First Name");
    let lines: Vec<_> = begun.rows.iter().map(|row| (row.line, row.code)).collect();
    assert_eq!(lines, [(4, None), (6, None), (7, Some("email_empty")), (9, Some("email_no_at"))]);
    assert_eq!(begun.rows[0].cells[..3], ["A@people.test", "Ana & Bo", "2024-03-01"]);
    let none = preview(&desk, Some("None"), &file).await;
    assert_eq!(none.error_code, Some("no_such_sheet"));
    assert_eq!(none.error.unwrap(), "the workbook has no sheet \"None\"; it has \"Secret\", \"People\", \"Others\"");
}

#[tokio::test]
async fn days_may_be_counted_from_1904_and_rows_and_cells_need_no_places() {
    let desk = Desk::new().await;
    let rows = r#"<row><c t="inlineStr"><is><t>email</t></is></c><c t="inlineStr"><is><t>on</t></is></c></row>
        <row><c t="inlineStr"><is><t>a@people.test</t></is></c><c s="0"><v>43890</v></c></row>
        <row><c t="inlineStr"><is><t>nobody</t></is></c></row>"#;
    let file = Workbook::new().sheet("A", rows).styles(r#"<cellXfs><xf numFmtId="14"/></cellXfs>"#).from_1904().bytes();
    let done = import(&desk, None, &file, AT_ONCE).await;
    assert_eq!(counts(&done), [2, 1, 0, 0, 1]);
    assert_eq!(desk.codes(desk.scene.organization, done.id).await, [(3, "email_no_at".to_owned())]);
    assert_eq!(desk.contacts(desk.scene.organization, None).await[0]["custom"]["on"], "2024-03-01");
}

#[tokio::test]
async fn what_a_cell_holds_never_becomes_the_syntax_of_a_csv() {
    let desk = Desk::new().await;
    let rows = [
        // What would be another delimiter, another kind of file, a formula, and an end of the row.
        row(1, &["sep=;", "&lt;html&gt;"]),
        row(2, &["email", "a;b;c;d", "email 2"]),
        row(3, &["a@people.test", "=1+1", "x&#10;y,&quot;z"]),
        row(4, &["\t|;", "\"", "'"]),
    ];
    let done = import(&desk, None, &Workbook::new().sheet("A", &rows.concat()).bytes(), ROW_BY_ROW).await;
    assert_eq!((done.status.as_str(), counts(&done)), ("completed", [2, 1, 0, 0, 1]));
    assert_eq!(desk.codes(desk.scene.organization, done.id).await[0].0, 4);
    let contacts = desk.contacts(desk.scene.organization, None).await;
    assert_eq!(
        contacts[0]["raw"],
        serde_json::json!({"email": "a@people.test", "a;b;c;d": "=1+1", "email 2": "x\ny,\"z"})
    );
}

#[tokio::test]
async fn workbooks_that_cannot_be_read_fail_with_a_reason() {
    let desk = Desk::new().await;
    let people = Workbook::new().sheet("A", &(row(1, &["email"]) + &row(2, &["a@people.test"])));
    let whole = people.bytes();
    let archive = |parts: &[&str]| {
        let mut archive = Archive::new();
        for name in parts {
            archive.part(name, [b"x".as_slice()]);
        }
        archive.bytes()
    };
    let many: Vec<String> = (0..10_001).map(|n| format!("part{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cells = |count: usize| (0..count).map(|n| format!(r#"<c t="str"><v>{n}</v></c>"#)).collect::<String>();
    let mut broken = whole.clone();
    let middle = broken.windows(4).position(|window| window == b"shee").unwrap() + 40;
    broken[middle] ^= 0xff;
    let mut encrypted = b"\xd0\xcf\x11\xe0".to_vec();
    encrypted.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    let sheet = "xl/worksheets/sheet1.xml";
    let deep = "<a>".repeat(1_000);
    let place = |place: &str| format!(r#"<row r="1"><c r="{place}" t="str"><v>x</v></c></row>"#);
    let twice = format!(r#"<row r="1">{0}{0}</row>"#, r#"<c r="B1" t="str"><v>x</v></c>"#);
    let long = format!("<row>{}</row>", format!("<c t=\"str\"><v>{}</v></c>", "x".repeat(600_000)).repeat(2));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("an archive of other files", archive(&["people.csv"]), "not_csv"),
        ("an empty archive", Archive::new().bytes(), "not_csv"),
        ("a document", archive(&["word/document.xml"]), "not_csv"),
        ("a binary workbook", archive(&["xl/workbook.bin"]), "not_csv"),
        ("an old workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), "not_csv"),
        ("one with a password", encrypted, "workbook_encrypted"),
        ("many parts", archive(&many), "workbook_too_large"),
        ("one without its end", whole[..whole.len() / 2].to_vec(), "workbook_damaged"),
        ("a wrong byte", broken, "workbook_damaged"),
        ("no sheet", Workbook::new().bytes(), "no_such_sheet"),
        ("a hidden sheet alone", Workbook::new().hidden("A", "").bytes(), "no_such_sheet"),
        ("an empty sheet", Workbook::new().sheet("A", "").bytes(), "no_header"),
        ("no addresses", Workbook::new().sheet("A", &row(1, &["name"])).bytes(), "no_email_column"),
        (
            "5,000 columns",
            Workbook::new().sheet("A", &format!("<row>{}</row>", cells(5_000))).bytes(),
            "too_many_columns",
        ),
        ("a cell beyond every sheet", Workbook::new().sheet("A", &place("XFE1")).bytes(), "workbook_damaged"),
        ("a cell twice", Workbook::new().sheet("A", &twice).bytes(), "workbook_damaged"),
        (
            "a text that is not there",
            Workbook::new().sheet("A", "<row><c t=\"s\"><v>9</v></c></row>").bytes(),
            "workbook_damaged",
        ),
        ("too many rows", Workbook::new().sheet("A", "<row r=\"1048577\"/>").bytes(), "workbook_too_large"),
        ("a long row", Workbook::new().sheet("A", &long).bytes(), "row_too_long"),
        ("an entity of its own", people.with_part(sheet, [b"<a>&lol;</a>".as_slice()]), "workbook_damaged"),
        ("elements within each other", people.with_part(sheet, [deep.as_bytes()]), "workbook_damaged"),
        ("no XML", people.with_part(sheet, [b"<row><c".as_slice()]), "workbook_damaged"),
    ];
    for (what, file, code) in cases {
        let told = preview(&desk, None, &file).await;
        assert_eq!(told.error_code, Some(code), "the preview of {what}: {:?}", told.error);
        let done = import(&desk, None, &file, AT_ONCE).await;
        assert_eq!(
            (done.status.as_str(), done.error_code.as_deref()),
            ("failed", Some(code)),
            "{what}: {:?}",
            done.error
        );
        assert!(desk.store.uploads().is_empty(), "{what} leaves an upload behind");
    }
    assert_eq!(desk.scene.number("select count(*) from contacts", &[]).await, 0);
}
