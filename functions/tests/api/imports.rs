use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::imports::{self, Imports};
use functions::events::importer;
use serde_json::{Value, json};
use shared::audience::imports::Pace;
use shared::audience::imports::importing::Importer;
use shared::db::Config;
use shared::{Database, Error, ListId};
use testkit::{FakeImportQueue, FakeObjectStore};

use crate::app::{Answer, App};

/// The API and the importer around one store and one queue.
struct Desk {
    app: App,
    db: Database,
    store: Arc<FakeObjectStore>,
    queue: Arc<FakeImportQueue>,
}

impl Desk {
    async fn new() -> Self {
        let app = App::new().await;
        let db = app.scene.db.app();
        Self { app, db, store: Arc::default(), queue: Arc::default() }
    }

    fn router(&self) -> Router {
        imports::router(Imports { db: self.db.clone(), store: self.store.clone(), queue: self.queue.clone() })
    }

    fn importer(&self) -> Importer {
        let db = self.app.scene.db.app();
        Importer { db, store: self.store.clone(), queue: self.queue.clone(), pace: Pace::default() }
    }

    async fn list(&self) -> ListId {
        let id = ListId::fresh();
        let sql = "insert into lists (organization_id, id, name) values ($1, $2, 'Imported')";
        self.app.scene.run(sql, &[&self.app.scene.organization, &id]).await;
        id
    }

    async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        self.app.send(self.router(), Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.app.send(self.router(), Method::GET, path, None).await
    }

    /// Makes an import and uploads a file for it.
    async fn uploaded(&self, file: &str) -> String {
        self.uploaded_bytes(file.as_bytes()).await
    }

    async fn uploaded_bytes(&self, file: &[u8]) -> String {
        let created = self.post("/v1/imports", Some(json!({"file_name": "people.csv", "size": 100}))).await.expect(201);
        let id = created.text("/id").to_owned();
        self.store.upload(&format!("uploads/{}/{id}", self.app.scene.organization), file);
        id
    }

    /// Hands the sample of the queue's event to the importer.
    async fn deliver(&self, import: &str) -> shared::Result<()> {
        self.deliver_to(&self.importer(), import).await
    }

    async fn deliver_to(&self, worker: &Importer, import: &str) -> shared::Result<()> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/importer/chunk.json");
        let organization = self.app.scene.organization.to_string();
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("${ORGANIZATION_ID}", &organization).replace("${IMPORT_ID}", import);
        importer::handle(worker, serde_json::from_str(&text).unwrap()).await
    }
}

#[tokio::test]
async fn a_file_goes_from_the_first_request_to_the_contacts() {
    let desk = Desk::new().await;
    let list = desk.list().await.to_string();
    let created = desk.app.sample(desk.router(), "imports/create", &[("LIST_ID", &list)]).await.expect(201);
    let id = created.text("/id").to_owned();
    let key = format!("uploads/{}/{id}", desk.app.scene.organization);
    assert_eq!(created.headers["location"], format!("/v1/imports/{id}"));
    assert_eq!(
        created.body["upload"],
        json!({"method": "PUT", "url": format!("https://uploads.example.test/{key}?size=1048576&expires=900"), "headers": {},
               "expires_at": "2026-03-04T10:15:00.000Z"})
    );

    let fill = [("IMPORT_ID", id.as_str())];
    let start = || desk.app.sample(desk.router(), "imports/start", &fill);
    let missing = start().await.expect(409);
    assert_eq!(missing.text("/code"), "file_missing");
    desk.store.upload(&key, "Adresse;Plan\nada@people.test;pro\nADA@people.test;\nnobody;x\nbob@people.test;a;b\n");
    // Others that are under way keep it waiting, so that nobody's imports stand in front of everybody else's.
    let others = "insert into import_batches (organization_id, id, file_name, object_key, status)
                  select $1, gen_random_uuid(), 'other.csv', 'other', 'processing' from generate_series(1, 5)";
    desk.app.scene.run(others, &[&desk.app.scene.organization]).await;
    assert_eq!(start().await.expect(409).text("/code"), "too_many_imports");
    desk.app.scene.run("delete from import_batches where object_key = 'other'", &[]).await;
    let started = start().await.expect(202);
    assert_eq!((started.text("/status"), started.text("/started_at")), ("processing", "2026-03-04T10:00:00.000Z"));
    assert_eq!(start().await.expect(409).text("/code"), "already_started");

    desk.deliver(&id).await.unwrap();
    let found = desk.app.sample(desk.router(), "imports/find", &[("IMPORT_ID", &id)]).await.expect(200);
    let mut body = found.body.clone();
    body.as_object_mut().unwrap().remove("created_at");
    assert_eq!(
        body,
        json!({"id": id, "file_name": "people.csv", "list_id": list, "status": "completed", "progress": 100,
               "column_mapping": {"Adresse": "email", "Plan": "custom.plan"}, "bytes_done": 79, "bytes_total": 79,
               "encoding": null, "sheet": null, "tag_ids": [], "existing": "update", "unmapped": "custom", "rows_total": 4, "rows_created": 1, "rows_updated": 0, "rows_unchanged": 1, "rows_failed": 2,
               "error_code": null, "error": null, "started_at": "2026-03-04T10:00:00.000Z",
               "completed_at": "2026-03-04T10:00:00.000Z"})
    );

    let page = desk.app.sample(desk.router(), "imports/list_errors", &[("IMPORT_ID", &id)]).await.expect(200);
    let error = json!({"line": 4, "code": "email_no_at", "reason": "the address has no @", "raw": "nobody;x"});
    assert_eq!(page.body["data"], json!([error]));
    let cursor = page.text("/next_cursor");
    let rest = desk.get(&format!("/v1/imports/{id}/errors?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((&rest.body["data"][0]["line"], &rest.body["next_cursor"]), (&json!(5), &Value::Null));
    assert_eq!(rest.text("/data/0/code"), "too_many_fields");

    let imports = desk.app.sample(desk.router(), "imports/list", &[]).await.expect(200);
    assert_eq!(imports.body, json!({"data": [found.body], "next_cursor": null}));
    let acts = desk.app.scene.rows("select action from audit_log order by id", &[]).await;
    let acts: Vec<&str> = acts.iter().map(|row| row.get(0)).collect();
    assert_eq!(acts, ["import.created", "import.started"], "a start that was refused is no act");
}

#[tokio::test]
async fn a_preview_shows_what_the_import_would_make_of_the_file() {
    let desk = Desk::new().await;
    let preview =
        async |id: String| desk.app.sample(desk.router(), "imports/preview", &[("IMPORT_ID", id.as_str())]).await;
    let created = desk.post("/v1/imports", Some(json!({"file_name": "people.csv", "size": 100}))).await.expect(201);
    let missing = preview(created.text("/id").to_owned()).await.expect(409);
    assert_eq!(missing.text("/code"), "file_missing");

    let mut file = b"Our people\n\nEmail;Secondary Email;Plan;\nada@people.test;;caf\xe9;\nnobody;;;\n;;;\n".to_vec();
    for n in 0..30 {
        file.extend_from_slice(format!("p{n}@people.test;;;\n").as_bytes());
    }
    let id = desk.uploaded_bytes(&file).await;
    let shown = preview(id.clone()).await.expect(200).body;
    assert_eq!(
        (
            &shown["encoding"],
            &shown["delimiter"],
            &shown["header_line"],
            &shown["bytes_total"],
            &shown["rows_estimated"]
        ),
        (&json!("windows-1252"), &json!(";"), &json!(3), &json!(file.len()), &json!(32))
    );
    assert_eq!(
        shown["columns"],
        json!([{"name": "Email", "target": "email", "basis": "known"},
               {"name": "Secondary Email", "target": "custom.secondary_email", "basis": "custom"},
               {"name": "Plan", "target": "custom.plan", "basis": "custom"},
               {"name": "Column 4", "target": "custom.column_4", "basis": "custom"}])
    );
    let rows = shown["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 20);
    let cells = json!(["ada@people.test", "", "caf\u{e9}", ""]);
    assert_eq!(rows[0], json!({"line": 4, "outcome": "create", "cells": cells, "code": null, "reason": null}));
    assert_eq!((&rows[1]["line"], &rows[1]["code"]), (&json!(5), &json!("email_no_at")));
    assert_eq!(rows[2]["line"], 7, "a blank row is no row");
    let codes: Vec<&str> = shown["warnings"].as_array().unwrap().iter().map(|w| w["code"].as_str().unwrap()).collect();
    assert_eq!(
        codes,
        ["lines_above_header", "encoding_guessed", "several_email_columns", "columns_renamed", "rows_with_errors"]
    );
    assert_eq!((&shown["error_code"], &shown["error"]), (&Value::Null, &Value::Null));
    let import = desk.get(&format!("/v1/imports/{id}")).await.expect(200);
    assert_eq!(import.text("/status"), "pending", "looking changes nothing");
    assert!(desk.queue.is_empty());
}

#[tokio::test]
async fn a_preview_of_a_file_that_cannot_be_imported_says_why_and_shows_what_can_be_read() {
    let desk = Desk::new().await;
    for (file, code, columns) in [
        ("", "no_header", 0),
        ("Ada,ada@people.test\n", "no_header", 0),
        ("PK\u{3}\u{4}xl/workbook.xml", "workbook_damaged", 0),
        ("Contact;Plan\nada@people.test;pro\n", "no_email_column", 2),
    ] {
        let id = desk.uploaded(file).await;
        let shown = desk.get(&format!("/v1/imports/{id}/preview")).await.expect(200).body;
        assert_eq!(shown["error_code"], code, "{shown:#}");
        assert!(shown["error"].as_str().is_some_and(|error| !error.is_empty()));
        assert_eq!(shown["columns"].as_array().unwrap().len(), columns);
    }
    // The mapping that the import was made with counts, and only the beginning of a large file is read.
    let body = json!({"file_name": "people.csv", "size": 100, "column_mapping": {"Contact": "email", "Plan": null}});
    let id = desk.post("/v1/imports", Some(body)).await.expect(201).text("/id").to_owned();
    let key = format!("uploads/{}/{id}", desk.app.scene.organization);
    desk.store.upload_repeated(&key, "Contact;Plan\n", "ada@people.test;pro\n", 400 << 20);
    let reads = desk.store.reads();
    let shown = desk.get(&format!("/v1/imports/{id}/preview")).await.expect(200).body;
    assert_eq!(desk.store.reads() - reads, 1);
    assert_eq!(
        shown["columns"],
        json!([{"name": "Contact", "target": "email", "basis": "mapped"}, {"name": "Plan", "target": null, "basis": "mapped"}])
    );
    assert_eq!(shown["rows_estimated"], ((400 << 20) - 13) / 20);
}

#[tokio::test]
async fn the_rows_that_failed_are_downloaded_once_the_import_has_ended() {
    let desk = Desk::new().await;
    let id = desk.uploaded("Email,Plan\nnobody,=1+1\nada@people.test,pro\n").await;
    let file = async || desk.app.sample(desk.router(), "imports/find_error_file", &[("IMPORT_ID", id.as_str())]).await;
    assert_eq!(file().await.expect(409).text("/code"), "not_ended");
    desk.post(&format!("/v1/imports/{id}/start"), None).await.expect(202);
    assert_eq!(file().await.expect(409).text("/code"), "not_ended");
    desk.deliver(&id).await.unwrap();
    let found = file().await.expect(200);
    assert_eq!(found.text("/expires_at"), "2026-03-04T10:15:00.000Z");
    let key = found.text("/url").strip_prefix("https://uploads.example.test/").unwrap();
    let (key, _) = key.split_once("?as=errors.csv&expires=900").unwrap();
    let text = String::from_utf8(desk.store.object(key).unwrap()).unwrap();
    assert_eq!(text, "\u{feff}Line,Code,Reason,Email,Plan\r\n2,email_no_at,the address has no @,nobody,'=1+1\r\n");
    desk.store.remove(key);
    file().await.expect(404);

    let clean = desk.uploaded("email\nbob@people.test\n").await;
    desk.post(&format!("/v1/imports/{clean}/start"), None).await.expect(202);
    desk.deliver(&clean).await.unwrap();
    let none = desk.get(&format!("/v1/imports/{clean}/errors/file")).await.expect(409);
    assert_eq!(none.text("/code"), "no_errors");
}

#[tokio::test]
async fn a_large_file_is_uploaded_in_parts_which_may_be_put_again_and_in_any_order() {
    let desk = Desk::new().await;
    let part = 16 << 20;
    let body = json!({"file_name": "people.csv", "size": 4 * part + 50});
    let created = desk.post("/v1/imports", Some(body.clone())).await.expect(201);
    let id = created.text("/id").to_owned();
    let fill = [("IMPORT_ID", id.as_str())];
    let upload = &created.body["upload"];
    assert_eq!((&upload["part_size"], &upload["expires_at"]), (&json!(part), &json!("2026-03-04T11:00:00.000Z")));
    assert_eq!(upload["parts"].as_array().unwrap().len(), 5);
    assert!(upload["parts"][4]["url"].as_str().unwrap().ends_with("&part=5&size=50&expires=3600"));
    let name = desk.store.uploads().remove(0);
    let complete = async || desk.app.sample(desk.router(), "imports/complete", &fill).await;
    let none = complete().await.expect(409);
    assert_eq!(none.text("/code"), "parts_missing");
    assert!(none.text("/detail").ends_with("1, 2, 3, 4, 5"));
    let started = desk.post(&format!("/v1/imports/{id}/start"), None).await.expect(409);
    assert_eq!(started.text("/code"), "upload_unfinished");

    let mut file = b"email\nada@people.test\n".to_vec();
    file.resize(4 * part + 50, b'\n');
    let parts: Vec<&[u8]> = file.chunks(part).collect();
    for number in [5, 2, 1] {
        assert!(desk.store.put_part(&name, number, parts[number as usize - 1]));
    }
    assert!(desk.store.put_part(&name, 3, &parts[2][..100]));
    let left = desk.app.sample(desk.router(), "imports/sign_upload", &fill).await.expect(201);
    let numbers: Vec<&Value> =
        left.body["upload"]["parts"].as_array().unwrap().iter().map(|part| &part["number"]).collect();
    assert_eq!(numbers, [3, 4]);
    for number in [3, 4] {
        assert!(desk.store.put_part(&name, number, parts[number as usize - 1]));
    }
    assert!(desk.store.put_part(&name, 6, "more"));
    assert!(complete().await.expect(409).text("/detail").ends_with(": 6"), "no more than was announced");

    // Another client, which does as it is told.
    let created = desk.post("/v1/imports", Some(body)).await.expect(201);
    let id = created.text("/id").to_owned();
    let fill = [("IMPORT_ID", id.as_str())];
    let name = desk.store.uploads().into_iter().find(|upload| upload.contains(&id)).unwrap();
    for (number, part) in (1..).zip(&parts) {
        assert!(desk.store.put_part(&name, number, *part));
    }
    for _ in 0..2 {
        let completed = desk.app.sample(desk.router(), "imports/complete", &fill).await.expect(200);
        assert_eq!(completed.text("/status"), "pending");
    }
    desk.post(&format!("/v1/imports/{id}/start"), None).await.expect(202);
    desk.deliver(&id).await.unwrap();
    let found = desk.get(&format!("/v1/imports/{id}")).await.expect(200);
    assert_eq!((found.text("/status"), &found.body["rows_created"]), ("completed", &json!(1)));
    let late = desk.app.sample(desk.router(), "imports/sign_upload", &fill).await.expect(409);
    assert_eq!(late.text("/code"), "already_started");
}

#[tokio::test]
async fn a_body_that_may_be_left_out_is_none_whatever_its_type_and_one_that_is_sent_is_read() {
    let desk = Desk::new().await;
    let id = desk.uploaded("email\nada@people.test\n").await;
    let path = format!("/v1/imports/{id}/start");
    let mapping = r#"{"column_mapping": {"email": "nonsense field"}}"#.to_owned();
    desk.app.send_text(desk.router(), &path, "", mapping.clone()).await.expect(415);
    desk.app.send_text(desk.router(), &path, "application/json", mapping).await.expect(422);
    desk.app.send_text(desk.router(), &path, "application/json", "{".to_owned()).await.expect(400);
    desk.app.send_text(desk.router(), &path, "application/json", String::new()).await.expect(202);
}

#[tokio::test]
async fn an_upload_in_parts_is_given_up_with_its_import() {
    let desk = Desk::new().await;
    let body = json!({"file_name": "people.csv", "size": 100 << 20});
    let id = desk.post("/v1/imports", Some(body)).await.expect(201).text("/id").to_owned();
    let fill = [("IMPORT_ID", id.as_str())];
    let aborted = desk.app.sample(desk.router(), "imports/abort", &fill).await.expect(200);
    assert_eq!((aborted.text("/status"), aborted.text("/error_code")), ("failed", "upload_aborted"));
    assert!(desk.store.uploads().is_empty());
    for (sample, code) in [("abort", "no_upload"), ("complete", "file_missing"), ("start", "file_missing")] {
        let refused = desk.app.sample(desk.router(), &format!("imports/{sample}"), &fill).await.expect(409);
        assert_eq!(refused.text("/code"), code);
    }
    // A small file goes up at once.
    let created = desk.post("/v1/imports", Some(json!({"file_name": "a.csv", "size": 10}))).await.expect(201);
    assert!(created.text("/upload/url").contains("?size=10&"), "{}", created.body);
    let sign = async || desk.post(&format!("/v1/imports/{}/upload", created.text("/id")), None).await;
    assert_eq!(sign().await.expect(201).body, created.body);
    // One that was made when nobody had to tell a size.
    desk.app.scene.run("update import_batches set upload_bytes = null", &[]).await;
    assert_eq!(sign().await.expect(409).text("/code"), "upload_gone");
}

#[tokio::test]
async fn imports_are_listed_in_pages_and_a_cursor_belongs_to_its_list() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(desk.uploaded("email\n").await);
    }
    let page = desk.get("/v1/imports?limit=2").await.expect(200);
    assert_eq!((page.text("/data/0/id"), page.text("/data/1/id")), (ids[2].as_str(), ids[1].as_str()));
    let cursor = page.text("/next_cursor");
    let rest = desk.get(&format!("/v1/imports?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((rest.text("/data/0/id"), &rest.body["next_cursor"]), (ids[0].as_str(), &Value::Null));
    desk.get(&format!("/v1/imports/{}/errors?cursor={cursor}", ids[0])).await.expect(400);
    desk.get("/v1/imports?limit=0").await.expect(422);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let desk = Desk::new().await;
    let name = |name: &str| json!({"file_name": name, "size": 10});
    let long = "x".repeat(256);
    let cases = [
        (name(" "), "file_name", "required"),
        (name("a\nb"), "file_name", "control_character"),
        (name(&long), "file_name", "too_long"),
        (json!({"file_name": "a"}), "", "invalid"),
        (json!({"file_name": "a", "size": 10, "list_id": ListId::fresh()}), "list_id", "not_found"),
        (
            json!({"file_name": "a", "size": 10, "column_mapping": {"A": "status"}}),
            "column_mapping.A",
            "unknown_target",
        ),
        (
            json!({"file_name": "a", "size": 10, "column_mapping": {"A": "email", "B": "email"}}),
            "column_mapping.B",
            "target_taken",
        ),
        (json!({"file_name": "a", "size": 0}), "size", "file_empty"),
        (json!({"file_name": "a", "size": (1_u64 << 30) + 1}), "size", "file_too_large"),
        (json!({"file_name": "a", "size": 10, "sheet": ""}), "sheet", "required"),
        (json!({"file_name": "a", "size": 10, "tag_ids": [ListId::fresh()]}), "tag_ids", "not_found"),
        (json!({"file_name": "a", "size": 10, "organization_id": ListId::fresh()}), "", "invalid"),
    ];
    for (body, field, code) in cases {
        let refused = desk.post("/v1/imports", Some(body)).await.expect(422);
        let error = &refused.body["errors"][0];
        assert_eq!(error["code"], code, "{error:#}");
        assert!(field.is_empty() || error["field"] == field, "{error:#}");
    }
    let id = desk.uploaded("").await;
    let start = format!("/v1/imports/{id}/start");
    let empty = desk.post(&start, None).await.expect(422);
    assert_eq!(empty.text("/errors/0/code"), "file_empty");
    let unknown = desk.post(&start, Some(json!({"column_mapping": {"A": "raw_data"}}))).await.expect(422);
    assert_eq!(unknown.text("/errors/0/field"), "column_mapping.A");
    desk.post(&start, Some(json!({"status": "completed"}))).await.expect(422);
    assert!(desk.queue.is_empty());
}

#[tokio::test]
async fn a_start_needs_no_body_and_is_undone_where_it_cannot_be_queued() {
    let desk = Desk::new().await;
    let id = desk.uploaded("email\nada@people.test\n").await;
    let start = format!("/v1/imports/{id}/start");
    desk.queue.go_away();
    desk.post(&start, None).await.expect(503);
    desk.queue.come_back();
    desk.post(&start, None).await.expect(202);
    desk.deliver(&id).await.unwrap();
    assert_eq!(desk.get(&format!("/v1/imports/{id}")).await.expect(200).text("/status"), "completed");
}

#[tokio::test]
async fn another_organizations_import_is_not_found_and_without_a_key_nothing_is() {
    let desk = Desk::new().await;
    let id = desk.uploaded("email\nada@people.test\n").await;
    let (other, _) = desk.app.scene.another_organization("other").await;
    let key = desk.app.scene.api_key_of(other).await;
    let routes = [
        (Method::GET, format!("/v1/imports/{id}")),
        (Method::GET, format!("/v1/imports/{id}/preview")),
        (Method::GET, format!("/v1/imports/{id}/errors")),
        (Method::GET, format!("/v1/imports/{id}/errors/file")),
        (Method::POST, format!("/v1/imports/{id}/upload")),
        (Method::POST, format!("/v1/imports/{id}/complete")),
        (Method::POST, format!("/v1/imports/{id}/abort")),
        (Method::POST, format!("/v1/imports/{id}/start")),
    ];
    for (method, path) in &routes {
        desk.app.send_as(desk.router(), method.clone(), path, None, Some(&key)).await.expect(404);
    }
    let list = desk.list().await;
    let body = json!({"file_name": "a.csv", "size": 100, "list_id": list});
    let refused =
        desk.app.send_as(desk.router(), Method::POST, "/v1/imports", Some(body), Some(&key)).await.expect(422);
    assert_eq!(refused.text("/errors/0/field"), "list_id");
    let seen = desk.app.send_as(desk.router(), Method::GET, "/v1/imports", None, Some(&key)).await.expect(200);
    assert_eq!(seen.body["data"], json!([]));

    let lists = [(Method::GET, "/v1/imports".to_owned()), (Method::POST, "/v1/imports".to_owned())];
    for (method, path) in routes.into_iter().chain(lists) {
        desk.app.send_as(desk.router(), method, &path, None, None).await.expect(401);
    }
    assert!(desk.queue.is_empty());
}

#[tokio::test]
async fn the_importer_fails_the_event_only_where_another_delivery_helps() {
    let desk = Desk::new().await;
    let id = desk.uploaded("email\nada@people.test\n").await;
    desk.post(&format!("/v1/imports/{id}/start"), None).await.expect(202);
    // Port 1 of the loopback interface refuses.
    let nowhere = Database::new(&Config { port: 1, ..desk.app.scene.db.config("martlet_app") }).unwrap();
    let cut_off = Importer { db: nowhere, ..desk.importer() };
    assert!(matches!(desk.deliver_to(&cut_off, &id).await, Err(Error::Unavailable(_))));
    assert!(desk.deliver("no id").await.is_err(), "a hint that nobody can read goes to the dead letters");

    desk.store.remove(&format!("uploads/{}/{id}", desk.app.scene.organization));
    desk.deliver(&id).await.unwrap();
    let failed = desk.get(&format!("/v1/imports/{id}")).await.expect(200);
    assert_eq!((failed.text("/status"), failed.text("/error_code")), ("failed", "file_missing"));
    assert_eq!(failed.text("/error"), "the file is gone, or was replaced after the import was started");
}
