//! Files as they come: odd ones are read, hostile ones end as errors of a row or of the file.

use serde_json::{Value, json};
use shared::Error;
use shared::audience::imports::Pace;
use uuid::Uuid;

use crate::desk::{AT_ONCE, Desk, ROW_BY_ROW, counts, mapping, plain};

#[tokio::test]
async fn rows_that_cannot_be_taken_keep_their_line_reason_and_text() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let mut file = "email,name\r\n\r\n\"a@people.test\",\"two é é\r\nlines\"\r\n".as_bytes().to_vec();
    file.extend_from_slice(b"b@people.test,caf\xe9\r\n"); // line 5
    file.extend_from_slice(b"c@people.test,nul\0byte\r\n"); // 6
    file.extend_from_slice(b"d@people.test,x,y\r\n"); // 7
    file.extend_from_slice(b",,\r\n , \r\n\"\",\r\n"); // 8 to 10 hold nothing
    file.extend_from_slice(b",No Address\r\n"); // 11
    file.extend_from_slice(format!("{},nobody\r\n", "z".repeat(5_000)).as_bytes()); // 12
    file.extend_from_slice(b"e@people.test\r\n"); // 13
    file.extend_from_slice(b"f@people.test,\"never closed\r\ng@people.test,x\r\n"); // 14
    for (n, pace) in [AT_ONCE, ROW_BY_ROW].into_iter().enumerate() {
        let import = desk.import(organization, plain(), &file, pace).await;
        assert_eq!((import.status.as_str(), import.progress), ("completed", 100));
        assert_eq!(counts(&import), if n == 0 { [8, 2, 0, 0, 6] } else { [8, 0, 0, 2, 6] });
        let errors = desk.errors(organization, import.id).await;
        let found: Vec<(i64, &str)> = errors.iter().map(|error| (error.line, error.code.as_str())).collect();
        assert_eq!(
            found,
            [
                (5, "not_utf8"),
                (6, "nul_byte"),
                (7, "too_many_fields"),
                (11, "email_empty"),
                (12, "email_too_long"),
                (14, "unclosed_quote")
            ]
        );
        assert_eq!(errors[0].raw, "b@people.test,caf\u{fffd}");
        assert_eq!(errors[1].raw, "c@people.test,nul\u{fffd}byte");
        assert_eq!(errors[2].reason, "the row has 3 fields, the header 2");
        assert_eq!(errors[4].raw.chars().count(), 4_000);
        assert!(errors[4].raw.ends_with("zz…"), "what is cut says so");
    }
    let contacts = desk.contacts(organization, None).await;
    assert_eq!(contacts[0]["name"], "two é é lines");
    assert_eq!(contacts[1]["email"], "e@people.test");
}

#[tokio::test]
async fn files_that_cannot_be_read_fail_with_a_reason() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let wide = vec!["email"; 5_000].join(",");
    let cases: [(&[u8], &str); 15] = [
        (b"\n\r\n\n", "no_header"),
        (b"\xef\xbb\xbf", "no_header"),
        (b"Name,Phone\nAda,1\n", "no_email_column"),
        (wide.as_bytes(), "too_many_columns"),
        (b"Ada,ada@people.test\nBob,bob@people.test\n", "no_header"),
        (b"\xff\xfe", "no_header"),
        (b"email,caf\x81\n", "wrong_encoding"),
        (b"PK\x03\x04\x14\0\x06\0email\n", "workbook_damaged"),
        (b"%PDF-1.7\nemail\n", "not_csv"),
        (&[0; 300_000], "not_csv"),
        (b"<html><table><tr><td>email", "not_csv"),
        (b"email,n\0\n", "nul_byte"),
        (b"email,\"name\nada@people.test,Ada\n", "unclosed_quote"),
        (&[b'x'; 3 << 20], "header_too_long"),
        (&[b'"'; 5 << 20], "header_too_long"),
    ];
    for (file, code) in cases {
        let import = desk.import(organization, plain(), file, AT_ONCE).await;
        assert_eq!((import.status.as_str(), import.error_code.as_deref()), ("failed", Some(code)));
        assert!(import.error.as_ref().is_some_and(|error| !error.is_empty()));
        assert_eq!((counts(&import), import.completed_at), ([0; 5], None));
    }
    assert_eq!(desk.scene.number("select count(*) from contacts", &[]).await, 0);
}

#[tokio::test]
async fn a_file_with_a_header_alone_completes_with_no_rows() {
    let desk = Desk::new().await;
    for file in ["email", "email\r\n", "\u{feff}\n\nemail;name\n\n\n"] {
        let import = desk.import(desk.scene.organization, plain(), file.as_bytes(), ROW_BY_ROW).await;
        assert_eq!((import.status.as_str(), import.progress, counts(&import)), ("completed", 100, [0; 5]));
        assert_eq!(import.column_mapping.unwrap()["email"], "email");
    }
}

#[tokio::test]
async fn a_row_without_end_fails_the_file_after_the_rows_before_it() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let head = "email\na@people.test\nnobody\nb@people.test\n\"";
    let id = desk.upload(organization, plain(), b"").await;
    desk.store.upload_repeated(&format!("uploads/{organization}/{id}"), head, "line\n".repeat(1_000), 500 << 20);
    desk.start(organization, id).await.unwrap();
    let reads = desk.store.reads();
    desk.work(AT_ONCE).await;
    let import = desk.find(organization, id).await;
    assert_eq!((import.status.as_str(), import.error_code.as_deref()), ("failed", Some("row_too_long")));
    assert!(import.error.as_ref().unwrap().contains("line 5"));
    assert_eq!(counts(&import), [3, 2, 0, 0, 1]);
    assert!(desk.store.reads() - reads < 5, "the rest of the file is not read");
}

#[tokio::test]
async fn a_failed_import_starts_again_from_the_beginning() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let id = desk.started(organization, plain(), b"Contact,Name\nada@people.test,Ada\nnobody,N\n").await;
    desk.work(AT_ONCE).await;
    assert_eq!(desk.find(organization, id).await.error_code.as_deref(), Some("no_email_column"));

    let started = desk.start_with(organization, id, Some(mapping(&[("Contact", Some("email"))]))).await.unwrap();
    assert_eq!((started.status.as_str(), started.error_code), ("processing", None));
    desk.work(AT_ONCE).await;
    let import = desk.find(organization, id).await;
    assert_eq!((import.status.as_str(), counts(&import)), ("completed", [2, 1, 0, 0, 1]));
    let again = desk.start(organization, id).await;
    assert!(matches!(again, Err(Error::Conflict { code: "already_started", .. })));
}

#[tokio::test]
async fn what_a_failed_run_made_is_overwritten_by_the_next() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let broken = format!("email,name\na@people.test,Wrong\nbad,x\na@people.test,Also\n\"{}", "x".repeat(2 << 20));
    let id = desk.started(organization, plain(), broken.as_bytes()).await;
    desk.work(ROW_BY_ROW).await;
    let failed = desk.find(organization, id).await;
    assert_eq!((failed.error_code.as_deref(), counts(&failed)), (Some("row_too_long"), [3, 1, 0, 1, 1]));

    desk.store.upload(&format!("uploads/{organization}/{id}"), "email,name\na@people.test,Right\na@people.test,Late\n");
    desk.start(organization, id).await.unwrap();
    assert_eq!(desk.errors(organization, id).await, []);
    desk.work(ROW_BY_ROW).await;
    let import = desk.find(organization, id).await;
    assert_eq!((import.status.as_str(), counts(&import)), ("completed", [2, 0, 1, 1, 0]));
    assert_eq!(desk.contacts(organization, Some(id)).await[0]["name"], "Right");
}

#[tokio::test]
async fn only_a_file_of_a_fitting_size_is_started_and_only_once() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let id = desk.upload(organization, plain(), b"").await;
    let Err(Error::Invalid(errors)) = desk.start(organization, id).await else { panic!("an empty file was started") };
    assert_eq!(errors[0].code, "file_empty");
    desk.store.remove(&format!("uploads/{organization}/{id}"));
    let missing = desk.start(organization, id).await;
    assert!(matches!(missing, Err(Error::Conflict { code: "file_missing", .. })));
    assert_eq!(desk.find(organization, id).await.status, "pending");

    desk.store.upload(&format!("uploads/{organization}/{id}"), "email\n");
    let (other, _) = desk.scene.another_organization("other").await;
    assert!(matches!(desk.start(other, id).await, Err(Error::NotFound(_))));
    desk.queue.go_away();
    assert!(matches!(desk.start(organization, id).await, Err(Error::Unavailable(_))));
    desk.queue.come_back();
    assert_eq!(desk.find(organization, id).await.status, "pending", "what could not be queued is not started");
    desk.start(organization, id).await.unwrap();
    let twice = desk.start(organization, id).await;
    assert!(matches!(twice, Err(Error::Conflict { code: "already_started", .. })));
    assert_eq!(desk.queue.len(), 1);
}

#[tokio::test]
async fn long_column_names_make_small_chunks() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let header: Vec<String> = (0..500).map(|n| format!("{n:0>120}")).collect();
    let mut file = format!("email,{}\n", header[1..].join(","));
    for n in 0..200 {
        file.push_str(&format!("p{n}@people.test\n"));
    }
    desk.started(organization, plain(), file.as_bytes()).await;
    let deliveries = desk.work(Pace::default()).await;
    assert!(deliveries >= 5, "{deliveries} chunks");
    assert_eq!(desk.scene.number("select count(*) from contacts", &[]).await, 200);
}

/// The same people in every encoding, with every delimiter and line end.
#[tokio::test]
async fn the_same_data_in_another_encoding_changes_nothing() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let text = "Email,Name,Ort,Größe\nada@people.test,Zoë,\"Köln, am\nRhein\",é\nbob@people.test,Bøb,,\nnobody,ß,,\n";
    let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let le = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{text}");
    let semicolons =
        "Email;Name;Ort;Größe\rada@people.test;Zoë;\"Köln, am\nRhein\";é\rbob@people.test;Bøb;;\rnobody;ß;;\r";
    let tabs = "Email\tName\tOrt\tGröße\r\nada@people.test\tZoë\t\"Köln, am\nRhein\"\té\r\nbob@people.test\tBøb\t\t\r\nnobody\tß\t\t\r\n";
    let files = [
        (text.as_bytes().to_vec(), "utf-8"),
        (marked.as_bytes().to_vec(), "utf-8"),
        (latin(text), "windows-1252"),
        (le(&marked), "utf-16le"),
        (be(&marked), "utf-16be"),
        (le(text), "utf-16le"),
        (be(text), "utf-16be"),
        (latin(semicolons), "windows-1252"),
        (le(tabs), "utf-16le"),
        (format!("sep=|\r\n{}", tabs.replace('\t', "|")).into_bytes(), "utf-8"),
    ];
    let mut before = None;
    for (n, (file, encoding)) in files.iter().enumerate() {
        let pace = if n % 2 == 0 { AT_ONCE } else { ROW_BY_ROW };
        let import = desk.import(organization, plain(), file, pace).await;
        assert_eq!(
            (import.status.as_str(), import.progress, import.encoding.as_deref()),
            ("completed", 100, Some(*encoding))
        );
        let expected = if n == 0 { [3, 2, 0, 0, 1] } else { [3, 0, 0, 2, 1] };
        assert_eq!(counts(&import), expected, "file {n}");
        assert_eq!(desk.errors(organization, import.id).await[0].code, "email_no_at");
        let contacts = desk.contacts(organization, None).await;
        assert_eq!(contacts[0]["custom"], serde_json::json!({"ort": "Köln, am\nRhein", "gr_e": "é"}));
        assert_eq!(&contacts, before.get_or_insert_with(|| contacts.clone()), "file {n}");
    }
}

#[tokio::test]
async fn mixed_encodings_end_as_errors_of_rows_and_never_garbled() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    // Most is UTF-8, so the rest is wrong; and the other way round.
    let utf8 = b"email,name\na@people.test,caf\xc3\xa9 \xc3\xa9\nb@people.test,caf\xe9\nc@people.test,x\n";
    let latin =
        b"email,name\nd@people.test,caf\xe9\ne@people.test,caf\xc3\xa9\nf@people.test,\xe9\ng@people.test,\x9d\n";
    // The first row that is not ASCII comes after the file's beginning, and decides for the rest.
    let mut late = b"email,name\n".to_vec();
    late.extend(b"nobody,ascii\n".repeat(30_000));
    late.extend_from_slice(b"h@people.test,caf\xe9\ni@people.test,caf\xc3\xa9\n");
    for (file, encoding, expected) in [
        (&utf8[..], "utf-8", vec![(3, "not_utf8")]),
        (&latin[..], "windows-1252", vec![(3, "wrong_encoding"), (5, "wrong_encoding")]),
        (&late[..], "windows-1252", vec![(30_003, "wrong_encoding")]),
    ] {
        // A chunk a delivery: the next worker goes by what the one before has found.
        let id = desk.started(organization, plain(), file).await;
        desk.work(if file.len() > 1_000 { Pace::default() } else { ROW_BY_ROW }).await;
        let import = desk.find(organization, id).await;
        assert_eq!((import.status.as_str(), import.encoding.as_deref()), ("completed", Some(encoding)));
        let codes = desk.codes(organization, id).await.into_iter().filter(|(_, code)| code != "email_no_at");
        let codes: Vec<(i64, String)> = codes.collect();
        let expected: Vec<(i64, String)> = expected.into_iter().map(|(line, code)| (line, code.to_owned())).collect();
        assert_eq!(codes, expected);
    }
    let contacts = desk.contacts(organization, None).await;
    let names: Vec<&str> =
        contacts.as_array().unwrap().iter().map(|contact| contact["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["caf\u{e9} \u{e9}", "x", "caf\u{e9}", "\u{e9}", "caf\u{e9}"]);
}

#[tokio::test]
async fn the_error_file_has_the_rows_with_their_cells_and_outlives_no_second_run() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let file = "Notes:\n\nEmail;=Sum;Größe\nnobody;=1+1;ä\n\"a@people.test\";;\n;\"two\nlines\";-3\n";
    let id = desk.started(organization, plain(), file.as_bytes()).await;
    desk.work(ROW_BY_ROW).await;
    let written = desk.error_file(organization, id).await.unwrap();
    assert_eq!(
        written,
        "\u{feff}Line,Code,Reason,Email,'=Sum,Größe\r\n\
         4,email_no_at,the address has no @,nobody,'=1+1,ä\r\n\
         6,email_empty,the address is empty,,\"two\nlines\",'-3\r\n"
    );
    let clean = desk.import(organization, plain(), b"email\na@people.test\n", AT_ONCE).await;
    assert_eq!(desk.error_file(organization, clean.id).await, None, "nothing is written where nothing failed");
}

#[tokio::test]
async fn the_end_of_an_import_is_told_to_whoever_wants_to_know_and_once() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let unheard = desk.import(organization, plain(), b"email\nz@people.test\n", AT_ONCE).await;
    let endpoint = "insert into webhook_endpoints (organization_id, id, url)
                    values ($1, gen_random_uuid(), 'https://hooks.example.com/')";
    desk.scene.run(endpoint, &[&organization]).await;
    let good = desk.import(organization, plain(), b"email\na@people.test\nnobody\n", ROW_BY_ROW).await;
    let bad = desk.import(organization, plain(), b"\xff\xfe\x00", AT_ONCE).await;
    assert_eq!(
        (unheard.status.as_str(), good.status.as_str(), bad.status.as_str()),
        ("completed", "completed", "failed")
    );
    let told = "select type, subject_id, data from webhook_events order by id";
    let told = desk.scene.rows(told, &[]).await;
    let told: Vec<(String, Uuid, Value)> = told.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let [(completed, first, counted), (failed, second, why)] = told.try_into().unwrap();
    assert_eq!(
        (completed.as_str(), first, failed.as_str(), second),
        ("import.completed", good.id.0, "import.failed", bad.id.0)
    );
    assert_eq!(
        (&counted["rows_total"], &counted["rows_created"], &counted["rows_failed"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert!(why["error_code"].is_string(), "{why}");
    assert!(!counted.to_string().contains("people.test"), "{counted}");
}
