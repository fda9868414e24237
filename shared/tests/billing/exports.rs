//! An archive has everything of an organization, nothing of another, and no secret; killed anywhere it becomes the same.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};

use serde_json::Value;
use shared::outreach::activation::Chunk;
use shared::platform::exports::{self, Export, LEFT_OUT, TABLES};
use shared::platform::jobs::{self, sweeping};
use shared::{JobId, OrganizationId, Result};
use testkit::{FakeArchiveStore, FakeJobQueue};

use crate::office::Office;

/// Opens an archive: its files and their content.
fn files(archive: Vec<u8>) -> Vec<(String, String)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    (0..archive.len())
        .map(|n| {
            let mut file = archive.by_index(n).unwrap();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            (file.name().to_owned(), content)
        })
        .collect()
}

fn file<'a>(files: &'a [(String, String)], name: &str) -> &'a str {
    &files.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn key(organization: OrganizationId, job: JobId) -> String {
    format!("exports/{organization}/{job}.zip")
}

async fn create(office: &Office) -> JobId {
    office.act(async |tx| exports::create(tx).await).await.unwrap().id
}

/// One chunk, as the job runner does it.
async fn chunk(office: &Office, store: &FakeArchiveStore, id: JobId) -> Result<Option<Chunk>> {
    office
        .act(async |tx| match jobs::lock_for_chunk(tx, id).await? {
            Some(job) => Ok(Some(exports::run_chunk(tx, store, &job).await?)),
            None => Ok(None),
        })
        .await
}

async fn run(office: &Office, store: &FakeArchiveStore, id: JobId) -> usize {
    let mut chunks = 1;
    while chunk(office, store, id).await.unwrap() == Some(Chunk::More) {
        chunks += 1;
    }
    chunks
}

async fn find(office: &Office, store: &FakeArchiveStore, id: JobId) -> Export {
    office.act(async |tx| exports::find(tx, store, id).await).await.unwrap()
}

/// A row in every table of the office's organization and of another.
async fn everything(office: &Office) -> OrganizationId {
    let other = OrganizationId::fresh();
    let sql = include_str!("../database/everything.sql").replace("${ORGANIZATION}", &other.to_string());
    let owner = office.scene.db.owner().await;
    owner.batch_execute(&sql).await.unwrap();
    other
}

#[tokio::test]
async fn every_tenant_table_is_exported_or_named_with_a_reason() {
    let office = Office::without_sign_up().await;
    let sql = "select c.relname::text from pg_class c
                 join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition";
    let mut tables: BTreeSet<String> = office.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect();
    tables.insert("organizations".to_owned());
    let named = TABLES.iter().map(|table| table.name).chain(LEFT_OUT.iter().map(|(name, _)| *name));
    assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), tables);
}

#[tokio::test]
async fn no_page_is_larger_than_its_bound_whatever_its_rows_hold() {
    let office = Office::without_sign_up().await;
    let organization = office.scene.organization;
    // Ten rows of half a mebibyte in each table whose rows may be large.
    let large = "x".repeat(512 << 10);
    for sql in [
        "insert into workflow_runs (organization_id, id, workflow_name, execution_id, trigger_source, input, started_at)
         select $1, gen_random_uuid(), 'Flow', n::text, 'manual', jsonb_build_object('x', $2::text), now() from generate_series(1, 10) as n",
        "insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data)
         select $1, gen_random_uuid(), 'campaign.paused', $1, now(), jsonb_build_object('x', $2::text) from generate_series(1, 10)",
        "insert into audit_log (organization_id, id, actor_kind, action, subject_id, details)
         select $1, gen_random_uuid(), 'system', 'test', $1, jsonb_build_object('x', $2::text) from generate_series(1, 10)",
    ] {
        office.scene.run(sql, &[&organization, &large]).await;
    }
    let (tx, bound) = (office.app.begin(organization).await.unwrap(), 2 << 20);
    for page in [
        include_str!("../../src/platform/exports/workflow_runs.sql"),
        include_str!("../../src/platform/exports/webhook_events.sql"),
        include_str!("../../src/platform/exports/audit_log.sql"),
    ] {
        let mut place: Option<Vec<String>> = None;
        let mut rows = 0;
        loop {
            let read = tx.query_within(bound, page, &[&place, &1_000_i64]).await.unwrap();
            let Some(last) = read.last() else { break };
            let sizes: Vec<usize> = read.iter().map(|row| row.get::<_, &str>("row").len()).collect();
            assert!(sizes.iter().sum::<usize>() <= bound + (513 << 10), "{sizes:?}");
            rows += read.len();
            place = Some(last.get("place"));
        }
        assert!(rows >= 10, "{rows}");
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_export_that_nobody_does_any_more_keeps_no_later_one_away() {
    let office = Office::without_sign_up().await;
    let (maintenance, store) = (office.scene.db.as_role("martlet_maintenance"), FakeArchiveStore::default());
    let queue = FakeJobQueue::default();
    let abandoned = create(&office).await;
    assert_eq!(sweeping::sweep(&maintenance, &queue).await.unwrap().exports, 0, "it was asked for just now");
    office.scene.run("update jobs set created_at = now() - interval '4 hours'", &[]).await;
    // Somebody who is on it is not disturbed, and what they have written counts from then on.
    let tx = office.app.begin(office.scene.organization).await.unwrap();
    jobs::lock_for_chunk(&tx, abandoned).await.unwrap().unwrap();
    assert_eq!(sweeping::sweep(&maintenance, &queue).await.unwrap().exports, 0);
    jobs::advance(&tx, abandoned, 1, &serde_json::json!({})).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(sweeping::sweep(&maintenance, &queue).await.unwrap().exports, 0);
    assert_eq!(create(&office).await, abandoned, "the one that is under way");
    office.scene.run("update jobs set heartbeat_at = now() - interval '4 hours'", &[]).await;
    // Jobs of another kind are continued.
    let sql = "insert into jobs (organization_id, id, kind, subject_id, created_at)
               values ($1, $1, 'campaign_activation', $1, now() - interval '4 hours')";
    office.scene.run(sql, &[&office.scene.organization]).await;
    assert_eq!(sweeping::sweep(&maintenance, &queue).await.unwrap().exports, 1);
    let failed = find(&office, &store, abandoned).await;
    assert_eq!(failed.job.state, "failed");
    assert!(failed.job.error.unwrap().starts_with("abandoned"));
    assert!(failed.job.completed_at.is_some() && failed.download_url.is_none());
    // A hint that comes late does nothing, and another export is made.
    assert!(chunk(&office, &store, abandoned).await.unwrap().is_none());
    let next = create(&office).await;
    assert_ne!(next, abandoned);
    run(&office, &store, next).await;
    assert_eq!(find(&office, &store, next).await.job.state, "completed");
}

#[tokio::test]
async fn a_job_whose_hint_was_lost_is_brought_again_until_a_day_has_moved_nothing() {
    let office = Office::without_sign_up().await;
    let (maintenance, queue) = (office.scene.db.as_role("martlet_maintenance"), FakeJobQueue::default());
    let organization = office.scene.organization;
    let sql = "insert into jobs (organization_id, id, kind, subject_id, state, heartbeat_at, created_at)
               select $1, gen_random_uuid(), 'contact_bulk_act', gen_random_uuid(), state, now() - silent, now() - interval '3 days'
                 from (values ('running', interval '44 minutes'), ('running', interval '46 minutes'), ('completed', interval '1 hour'),
                              ('running', interval '25 hours')) as j (state, silent)
               returning id";
    office.scene.rows(sql, &[&organization]).await;
    let swept = sweeping::sweep(&maintenance, &queue).await.unwrap();
    assert_eq!((swept.resumed, swept.failed, swept.exports), (1, 1, 0));
    let [(of, job)] = queue.drain()[..] else { panic!("one is brought again") };
    assert_eq!(of, organization);
    let silent = "select count(*) from jobs where id = $1 and heartbeat_at < now() - interval '45 minutes'";
    assert_eq!(office.scene.number(silent, &[&job]).await, 1);
    let failed = "select count(*) from jobs where state = 'failed' and error like 'abandoned:%' and heartbeat_at < now() - interval '1 day'";
    assert_eq!(office.scene.number(failed, &[]).await, 1);
}

#[tokio::test]
async fn an_archive_has_a_row_of_every_table_and_no_secret() {
    let office = Office::without_sign_up().await;
    let other = everything(&office).await;
    let store = FakeArchiveStore::default();
    let db = office.scene.db.app();
    let tx = db.begin(other).await.unwrap();
    let job = exports::create(&tx).await.unwrap();
    assert_eq!(exports::create(&tx).await.unwrap().id, job.id, "the one that is under way");
    tx.commit().await.unwrap();
    loop {
        let tx = db.begin(other).await.unwrap();
        let job = jobs::lock_for_chunk(&tx, job.id).await.unwrap().unwrap();
        let chunk = exports::run_chunk(&tx, &store, &job).await.unwrap();
        tx.commit().await.unwrap();
        if chunk == Chunk::Last {
            break;
        }
    }
    let files = files(store.archive(&key(other, job.id)).unwrap());
    let manifest: Value = serde_json::from_str(file(&files, "manifest.json")).unwrap();
    assert_eq!(manifest["organization_id"], other.to_string());
    let tables = manifest["tables"].as_array().unwrap();
    assert_eq!(tables.len(), TABLES.len());
    for table in tables {
        assert!(table["rows"].as_i64().unwrap() > 0, "the scene of everything has no row for {table}");
        let content = file(&files, table["file"].as_str().unwrap());
        let columns: Vec<String> = match content.strip_prefix('\u{feff}') {
            Some(csv) => csv.lines().next().unwrap().split(',').map(str::to_owned).collect(),
            None => {
                let rows: Vec<Value> = serde_json::from_str(content).unwrap();
                assert_eq!(i64::try_from(rows.len()).unwrap(), table["rows"].as_i64().unwrap());
                rows[0].as_object().unwrap().keys().cloned().collect()
            }
        };
        for column in columns {
            let is_secret =
                ["hash", "secret", "token", "password", "credential"].iter().any(|word| column.contains(word));
            assert!(!is_secret, "{table}: {column}");
        }
    }
    assert_eq!(files.len(), TABLES.len() + 1);
    let all: String = files.iter().map(|(_, content)| content.as_str()).collect();
    assert!(!all.contains(&office.scene.organization.to_string()), "something of another organization");
}

#[tokio::test]
async fn cells_are_no_formulas_and_texts_come_whole() {
    let office = Office::without_sign_up().await;
    let id = office.scene.contacts(1).await[0];
    let sql =
        "update contacts set company = '=HYPERLINK(1)', name = E'a \"b\",\\nc', custom = '{\"x\": [1]}' where id = $1";
    office.scene.run(sql, &[&id]).await;
    let store = FakeArchiveStore::default();
    let job = create(&office).await;
    assert_eq!(run(&office, &store, job).await, 1);
    let found = find(&office, &store, job).await;
    let expected = format!(
        "https://uploads.example.test/{}?as=martlet-{}.zip&expires=3600",
        key(office.scene.organization, job),
        found.job.created_at.format("%Y-%m-%d")
    );
    assert_eq!(found.download_url.as_deref(), Some(expected.as_str()));
    assert_eq!(found.job.state, "completed");
    let files = files(store.archive(&key(office.scene.organization, job)).unwrap());
    let contacts = file(&files, "contacts.csv");
    assert!(contacts.contains("'=HYPERLINK(1)") && contacts.contains("\"a \"\"b\"\",\nc\""), "{contacts}");
    assert!(!files.iter().any(|(name, _)| name == "campaigns.json"), "a table without rows has no file");
    store.expire(&key(office.scene.organization, job));
    assert_eq!(find(&office, &store, job).await.download_url, None);
}

/// Contacts whose rows don't compress, of about `bytes` each.
async fn bulky_contacts(office: &Office, count: i32, bytes: i32) {
    let sql = "insert into contacts (organization_id, id, email, raw_data)
               select $1, gen_random_uuid(), format('bulky%s@people.test', n),
                      jsonb_build_object('noise', (select string_agg(md5(n::text || m::text), '')
                                                     from generate_series(1, $3::int / 32) as m))
                 from generate_series(1, $2::int) as n";
    office.scene.run(sql, &[&office.scene.organization, &count, &bytes]).await;
}

#[tokio::test]
async fn a_large_archive_is_put_in_parts_of_bounded_size_and_killed_anywhere_becomes_the_same() {
    let office = Office::without_sign_up().await;
    // More than one part, with page ends within the tables.
    bulky_contacts(&office, 1_200, 14_000).await;
    let store = FakeArchiveStore::default();
    let job = create(&office).await;
    let mut killed = 0;
    loop {
        // Every chunk is killed once: before its part is put, and once after it, before the commit.
        store.fail_after(Some(0));
        assert!(chunk(&office, &store, job).await.is_err());
        store.fail_after(None);
        let tx = office.app.begin(office.scene.organization).await.unwrap();
        let locked = jobs::lock_for_chunk(&tx, job).await.unwrap().unwrap();
        exports::run_chunk(&tx, &store, &locked).await.unwrap();
        tx.rollback().await.unwrap();
        killed += 2;
        if chunk(&office, &store, job).await.unwrap() == Some(Chunk::Last) {
            break;
        }
    }
    assert!(killed >= 4, "{killed}");
    assert_eq!(chunk(&office, &store, job).await.unwrap(), None, "a job that has ended is left alone");
    assert!(store.largest_part() < 12 << 20, "{} bytes", store.largest_part());
    let archive = store.archive(&key(office.scene.organization, job)).unwrap();
    let files = files(archive);
    let mut reader = csv::ReaderBuilder::new().from_reader(file(&files, "contacts.csv").as_bytes());
    let ids: BTreeSet<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    assert_eq!(ids.len(), 1_200);
    let manifest: Value = serde_json::from_str(file(&files, "manifest.json")).unwrap();
    let told = manifest["tables"].as_array().unwrap();
    assert_eq!(told.iter().find(|table| table["table"] == "contacts").unwrap()["rows"], 1_200);
    let rows: i64 = told.iter().map(|table| table["rows"].as_i64().unwrap()).sum();
    assert_eq!(find(&office, &store, job).await.job.progress, rows, "progress counts rows, once each");
}

#[tokio::test]
async fn a_page_of_large_rows_ends_by_its_bytes_and_loses_none() {
    let office = Office::without_sign_up().await;
    // Small, large and empty rows mixed: eight megabytes of large ones on what would be one page.
    bulky_contacts(&office, 12, 700_000).await;
    office.scene.contacts(40).await;
    let store = FakeArchiveStore::default();
    let job = create(&office).await;
    run(&office, &store, job).await;
    let files = files(store.archive(&key(office.scene.organization, job)).unwrap());
    let mut reader = csv::ReaderBuilder::new().from_reader(file(&files, "contacts.csv").as_bytes());
    assert_eq!(reader.records().count(), 52);
    assert!(store.largest_part() < 11 << 20, "{} bytes", store.largest_part());
}

#[tokio::test]
async fn an_export_is_found_by_its_own_organization_alone() {
    let office = Office::without_sign_up().await;
    let store = FakeArchiveStore::default();
    let job = create(&office).await;
    let (second, _) = office.scene.another_organization("second").await;
    let tx = office.app.begin(second).await.unwrap();
    assert!(matches!(exports::find(&tx, &store, job).await, Err(shared::Error::NotFound(_))));
}

#[tokio::test]
async fn mails_of_the_installation_itself_are_in_no_archive() {
    let office = Office::new().await;
    office.after(chrono::Duration::minutes(10)).await;
    office.tick().await;
    let tx = office.app.begin(shared::platform::organizations::DEFAULT).await.unwrap();
    let id = exports::create(&tx).await.unwrap().id;
    let job = jobs::lock_for_chunk(&tx, id).await.unwrap().unwrap();
    let store = FakeArchiveStore::default();
    assert_eq!(exports::run_chunk(&tx, &store, &job).await.unwrap(), Chunk::Last);
    tx.commit().await.unwrap();
    let files = files(store.archive(&key(shared::platform::organizations::DEFAULT, id)).unwrap());
    assert!(files.iter().all(|(name, content)| name != "messages.json" && !content.contains("ada@users.test")));
}

#[tokio::test]
async fn an_upload_that_was_given_up_meanwhile_is_begun_anew() {
    let office = Office::without_sign_up().await;
    bulky_contacts(&office, 1_200, 14_000).await;
    let store = FakeArchiveStore::default();
    let job = create(&office).await;
    assert_eq!(chunk(&office, &store, job).await.unwrap(), Some(Chunk::More));
    // As the bucket does with an upload that has stood for a day.
    store.give_uploads_up();
    assert_eq!(chunk(&office, &store, job).await.unwrap(), Some(Chunk::More));
    assert_eq!(find(&office, &store, job).await.job.progress, 0);
    run(&office, &store, job).await;
    let files = files(store.archive(&key(office.scene.organization, job)).unwrap());
    let mut reader = csv::ReaderBuilder::new().from_reader(file(&files, "contacts.csv").as_bytes());
    assert_eq!(reader.records().count(), 1_200);
}
