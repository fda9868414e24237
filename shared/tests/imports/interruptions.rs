//! The same file comes to the same result however it is cut, killed, delivered or raced.

use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use shared::audience::imports::importing::Progress;
use shared::audience::imports::{NewImport, Pace};
use shared::db::Config;
use shared::{Database, Error, OrganizationId, TagId};
use testkit::Killed;
use testkit::workbooks::{Workbook, row};

use crate::desk::{AT_ONCE, Desk, Outcome, ROW_BY_ROW, counts, far, mapping, plain};

/// A file of few addresses in many spellings, so that most rows repeat one.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let email = prop_oneof![
        8 => "[a-cA-C]@[pP]eople\\.test",
        2 => "person[1-3]@people\\.test",
        1 => "[a-z]{0,3}",
        1 => " [a-c]@people\\.test ",
    ];
    let value = || {
        prop_oneof![
            3 => Just(String::new()),
            3 => "[x-z]",
            1 => Just("\"two\r\nlines, \"\"quoted\"\"\"".to_owned()),
            1 => Just("\u{e9}\u{1f600}".to_owned()),
        ]
    };
    let row =
        (email, value(), value(), value()).prop_map(|(email, a, b, c)| format!("{email},{a},{b},{c}").into_bytes());
    let odd = prop_oneof![
        Just(b"".to_vec()),
        Just(b",,,".to_vec()),
        Just(b"a@people.test".to_vec()),
        Just(b"a@people.test,1,2,3,4".to_vec()),
        Just(b"b@people.test,\xff".to_vec()),
        Just(b"b@people.test,\0".to_vec()),
        Just(b"\xef\xbb\xbfc@people.test".to_vec()),
        Just(b"c@people.test,in\"side".to_vec()),
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let rows = prop::collection::vec((prop_oneof![6 => row, 1 => odd], end), 1..40);
    let last = prop_oneof![Just(""), Just("a@people.test,last"), Just("a@people.test,\"open")];
    (rows, last).prop_map(|(rows, last)| {
        let mut file = b"Email,First Name,Company,City\n".to_vec();
        for (row, end) in rows {
            file.extend_from_slice(&row);
            file.extend_from_slice(end.as_bytes());
        }
        file.extend_from_slice(last.as_bytes());
        file
    })
}

/// Files in turn as they are (which may be mixed), and in each other encoding.
fn files(count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let files = (0..count).map(|_| file().new_tree(&mut runner).unwrap().current());
    files.enumerate().map(|(n, file)| if n % 4 == 0 { file } else { encoded(&file, n % 4) }).collect()
}

fn encoded(file: &[u8], which: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(file);
    match which {
        1 => format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
        2 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
        // Without a mark, and with half a character at its end.
        _ => text.encode_utf16().flat_map(u16::to_be_bytes).chain([0]).collect(),
    }
}

/// An organization with a list and some contacts that the files speak of.
async fn organization(desk: &Desk, name: &str) -> (OrganizationId, NewImport) {
    let (organization, _) = desk.scene.another_organization(name).await;
    let sql = "insert into contacts (organization_id, id, email, first_name, company, custom)
               values ($1, gen_random_uuid(), 'A@people.test', 'Stored', null, '{\"city\": \"\"}'),
                      ($1, gen_random_uuid(), 'person1@people.test', null, 'Stored', '{\"city\": \"x\"}')";
    desk.scene.run(sql, &[&organization]).await;
    let list = desk.list(organization).await;
    let tag = TagId::fresh();
    let sql = "insert into tags (organization_id, id, name) values ($1, $2, 'Imported')";
    desk.scene.run(sql, &[&organization, &tag]).await;
    (organization, NewImport { list_id: Some(list), tag_ids: vec![tag], ..plain() })
}

/// The same people in a workbook.
fn workbook() -> Vec<u8> {
    let header = ["Email", "First Name", "Company", "City"];
    let texts = (1..30).map(|n| {
        let email = format!("person{}@people.test", n % 7);
        let email = if n % 5 == 0 { "nobody".to_owned() } else { email };
        row(n + 1, &[&email, ["", "x", "y"][n % 3], ["z", ""][n % 2], "two,\nlines"])
    });
    Workbook::new().sheet("People", &(row(1, &header) + &texts.collect::<String>())).bytes()
}

#[tokio::test]
async fn the_size_of_chunks_and_pieces_changes_nothing() {
    let desk = Desk::new().await;
    let paces = [
        AT_ONCE,
        ROW_BY_ROW,
        Pace { rows: 1, bytes: 1, piece: 1 },
        Pace { rows: 3, bytes: usize::MAX, piece: 7 },
        // A row counts its column names, so this is a chunk of a few rows that ends by bytes.
        Pace { rows: usize::MAX, bytes: 2_000, piece: 64 },
    ];
    for (n, file) in files(8).into_iter().enumerate() {
        let mut expected: Option<Outcome> = None;
        for (m, pace) in paces.into_iter().enumerate() {
            let (organization, new) = organization(&desk, &format!("cut{n}-{m}")).await;
            let id = desk.started(organization, new.clone(), &file).await;
            desk.work(pace).await;
            let outcome = desk.outcome(organization, id).await;
            assert_eq!(outcome.status, "completed");
            let [total, created, updated, unchanged, failed] = outcome.counts;
            assert_eq!(total, created + updated + unchanged + failed);
            assert_eq!(failed, i64::try_from(outcome.errors.len()).unwrap());
            let expected = expected.get_or_insert_with(|| outcome.clone());
            assert_eq!(&outcome, expected, "{pace:?} on {:?}", String::from_utf8_lossy(&file));

            let again = desk.import(organization, new, &file, pace).await;
            assert_eq!(
                counts(&again),
                [total, 0, 0, total - failed, failed],
                "{pace:?} on {:?}",
                String::from_utf8_lossy(&file)
            );
        }
    }
}

#[tokio::test]
async fn killed_anywhere_and_delivered_again_it_comes_to_the_same() {
    let desk = Desk::new().await;
    let pace = Pace { rows: 4, bytes: usize::MAX, piece: 50 };
    for (n, file) in files(4).into_iter().chain([workbook()]).enumerate() {
        let (calm, new) = organization(&desk, &format!("calm{n}")).await;
        let id = desk.started(calm, new, &file).await;
        desk.work(pace).await;
        let expected = desk.outcome(calm, id).await;

        let (killed, new) = organization(&desk, &format!("killed{n}")).await;
        let id = desk.started(killed, new, &file).await;
        let hint = desk.queue.take().unwrap();
        let importer = desk.importer(pace);
        let (mut kills, mut polls) = (0, 1);
        loop {
            match Killed::after(polls, importer.run(hint.0, hint.1, far())).await {
                Some(Ok(Progress::Ended)) => break,
                // Either the server hasn't noticed yet that the worker before is gone, or that worker was killed between
                // its last commit and the answer to it: then the import has ended and nobody was told.
                Some(Ok(Progress::Left)) => {
                    if desk.find(killed, id).await.status == "completed" {
                        break;
                    }
                }
                Some(other) => panic!("{other:?}"),
                None => kills += 1,
            }
            polls += 1;
            assert!(polls < 10_000, "it never ends");
        }
        assert!(kills > 10, "{kills} kills");
        assert_eq!(desk.outcome(killed, id).await, expected, "after {kills} kills");
        // A hint that is left over finds nothing to do.
        assert_eq!(importer.run(hint.0, hint.1, far()).await.unwrap(), Progress::Left);
    }
}

/// A small source of numbers that are the same again for a seed (SplitMix64).
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

#[tokio::test]
async fn one_lane_may_be_a_chunk_ahead_of_the_other_when_the_worker_dies() {
    let desk = Desk::new().await;
    let mut number = numbers(20);
    let rows = (0..40).map(|n| match n % 7 {
        3 => format!("nobody{n},,,\n"),
        _ => format!("somebody{}@people.test,{},{n},\n", n % 13, n % 3),
    });
    let file = ("Email,First Name,Company,City\n".to_owned() + &rows.collect::<String>()).into_bytes();
    let (calm, new) = organization(&desk, "calm").await;
    let id = desk.started(calm, new, &file).await;
    desk.work(Pace { rows: 9, bytes: usize::MAX, piece: 64 }).await;
    let expected = desk.outcome(calm, id).await;
    for point in 0..20 {
        let (killed, new) = organization(&desk, &format!("killed{point}")).await;
        let id = desk.started(killed, new, &file).await;
        let hint = desk.queue.take().unwrap();
        let importer = desk.importer(Pace { rows: 9, bytes: usize::MAX, piece: 64 });
        // Somebody else is making one of the people, for whom one lane waits; the other is committed, and then all is over.
        let held = format!("somebody{}@people.test", number(13));
        let tx = desk.db.begin(killed).await.unwrap();
        let sql = "insert into contacts (organization_id, id, email) values ($1, gen_random_uuid(), $2)";
        tx.execute(sql, &[&killed, &held]).await.unwrap();
        let apart = async {
            let sql = "select count(*) from import_batches where id = $1 and lane_lines[1] <> lane_lines[2]";
            while desk.scene.number(sql, &[&id]).await == 0 {}
        };
        tokio::select! {
            ended = importer.run(hint.0, hint.1, far()) => panic!("it passed over {held}: {ended:?}"),
            () = apart => {}
        }
        tx.rollback().await.unwrap();
        // What was stored meanwhile may weigh so much that the next chunk ends before the place of the lane that is ahead.
        let importer = desk.importer(Pace { rows: [9, 4, 1][point % 3], bytes: usize::MAX, piece: 64 });
        while importer.run(hint.0, hint.1, far()).await.unwrap() != Progress::Ended {}
        assert_eq!(desk.outcome(killed, id).await, expected, "killed at point {point}");
    }
}

#[tokio::test]
async fn two_deliveries_at_once_do_the_work_once() {
    let desk = Desk::new().await;
    for (n, file) in files(4).into_iter().enumerate() {
        let (calm, new) = organization(&desk, &format!("alone{n}")).await;
        let id = desk.started(calm, new, &file).await;
        desk.work(ROW_BY_ROW).await;
        let expected = desk.outcome(calm, id).await;

        let (raced, new) = organization(&desk, &format!("raced{n}")).await;
        let id = desk.started(raced, new, &file).await;
        desk.queue.take().unwrap();
        let (first, second) = (desk.importer(ROW_BY_ROW), desk.importer(ROW_BY_ROW));
        let (one, other) = tokio::join!(first.run(raced, id, far()), second.run(raced, id, far()));
        let mut progress = [one.unwrap(), other.unwrap()];
        progress.sort_by_key(|progress| *progress == Progress::Left);
        assert_eq!(progress, [Progress::Ended, Progress::Left]);
        assert_eq!(desk.outcome(raced, id).await, expected);
    }
}

#[tokio::test]
async fn a_worker_that_fell_behind_leaves_what_others_have_done() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let id = desk.started(organization, plain(), b"Contact,City\na@people.test,Bonn\nb@people.test,Ulm\n").await;
    desk.queue.take().unwrap();
    let (slow, quick) = (desk.importer(ROW_BY_ROW), desk.importer(ROW_BY_ROW));

    // It has read the file, which has no column of addresses, while another worker says so and the caller helps.
    let mut behind = Box::pin(slow.run(organization, id, far()));
    until_it_has_read(&desk, behind.as_mut()).await;
    assert_eq!(quick.run(organization, id, far()).await.unwrap(), Progress::Ended);
    desk.start_with(organization, id, Some(mapping(&[("Contact", Some("email"))]))).await.unwrap();
    assert_eq!(behind.await.unwrap(), Progress::Left, "the run that it works for is over");

    // It has read the first row while another worker imports it.
    let mut behind = Box::pin(slow.run(organization, id, far()));
    until_it_has_read(&desk, behind.as_mut()).await;
    assert_eq!(quick.run(organization, id, Instant::now()).await.unwrap(), Progress::Queued);
    assert_eq!(behind.await.unwrap(), Progress::Left);
    desk.work(ROW_BY_ROW).await;
    let import = desk.find(organization, id).await;
    assert_eq!((import.status.as_str(), counts(&import)), ("completed", [2, 2, 0, 0, 0]));
}

/// Polls an import's run until it has read something of the file, and no further.
async fn until_it_has_read<F: Future>(desk: &Desk, mut run: Pin<&mut F>) {
    let before = desk.store.reads();
    std::future::poll_fn(|context| {
        assert!(run.as_mut().poll(context).is_pending(), "it ended before it could be stopped");
        if desk.store.reads() > before { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn imports_of_the_same_people_and_others_who_lock_them_never_deadlock() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let people = desk.scene.contacts(40).await;
    let list = desk.list(organization).await;
    let pace = Pace { rows: 7, bytes: usize::MAX, piece: 1 << 20 };
    let rows: Vec<String> = (1..=80).map(|n| format!("person{n}@people.test,{{}}\n")).collect();
    let file = |reversed: bool, value: &str| {
        let mut rows = rows.clone();
        if reversed {
            rows.reverse();
        }
        format!("email,company\n{}", rows.concat().replace("{}", value))
    };
    let new = || NewImport { list_id: Some(list), ..plain() };
    let one = desk.started(organization, new(), file(false, "One").as_bytes()).await;
    let other = desk.started(organization, new(), file(true, "Other").as_bytes()).await;
    let (first, second) = (desk.importer(pace), desk.importer(pace));
    let locking = async {
        // As feedback and the claims do it: in the order of the ids.
        let db = desk.scene.db.app();
        let mut ids = people.clone();
        ids.sort_unstable();
        for chunk in ids.chunks(5).cycle().take(40) {
            for (sql, ids) in [
                ("select id from contacts where id = any ($1) order by id for update", chunk),
                ("select id from contacts where id = any ($1) order by id for share", &ids),
            ] {
                let tx = db.begin(organization).await?;
                tx.query(sql, &[&ids]).await?;
                tx.commit().await?;
            }
        }
        Ok::<(), Error>(())
    };
    let (a, b, c) = tokio::join!(first.run(organization, one, far()), second.run(organization, other, far()), locking);
    assert_eq!((a.unwrap(), b.unwrap()), (Progress::Ended, Progress::Ended));
    c.unwrap();
    let sum = "select sum(rows_created)::bigint from import_batches";
    assert_eq!(desk.scene.number(sum, &[]).await, 40, "each new contact was made by one of the two");
    assert_eq!(desk.scene.number("select count(*) from list_members", &[]).await, 80);
}

#[tokio::test]
async fn contacts_are_locked_in_the_order_of_their_ids() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let mut people = desk.scene.contacts(5).await;
    people.sort_unstable();
    let file =
        "email,company\nperson5@people.test,A\nperson3@people.test,A\nperson1@people.test,A\nperson4@people.test,A\n";
    let id = desk.started(organization, plain(), file.as_bytes()).await;
    let sql = "select id from contacts where id = any ($1) order by id for update";
    let first = desk.db.begin(organization).await.unwrap();
    first.query(sql, &[&&people[..1]]).await.unwrap();
    let others = async {
        let waiting = "select count(*) from pg_locks join pg_stat_activity using (pid)
                        where not granted and datname = current_database()";
        while desk.scene.number(waiting, &[]).await == 0 {}
        // The import waits for the first of them, so that lane holds none of the rest yet, and the other lane's are free when it is done.
        let rest = desk.scene.db.app().begin(organization).await.unwrap();
        rest.query("select set_config('lock_timeout', '20s', true)", &[]).await.unwrap();
        rest.query(sql, &[&&people[1..]]).await.unwrap();
        rest.rollback().await.unwrap();
        first.rollback().await.unwrap();
    };
    let importer = desk.importer(AT_ONCE);
    let (progress, ()) = tokio::join!(importer.run(organization, id, far()), others);
    assert_eq!(progress.unwrap(), Progress::Ended);
    assert_eq!(counts(&desk.find(organization, id).await), [4, 0, 4, 0, 0]);
}

#[tokio::test]
async fn a_file_that_vanishes_or_changes_fails_the_import() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let file = b"email\na@people.test\nb@people.test\nc@people.test\n";
    let pace = Pace { rows: 1, bytes: usize::MAX, piece: 20 };
    for replaced in [false, true] {
        let id = desk.started(organization, plain(), file).await;
        let (_, hinted) = desk.queue.take().unwrap();
        let progress = desk.importer(pace).run(organization, hinted, Instant::now()).await.unwrap();
        assert_eq!(progress, Progress::Queued);
        let key = format!("uploads/{organization}/{id}");
        if replaced {
            desk.store.upload(&key, &file[..file.len() - 1]);
        } else {
            desk.store.remove(&key);
        }
        desk.work(pace).await;
        let import = desk.find(organization, id).await;
        assert_eq!((import.status.as_str(), import.error_code.as_deref()), ("failed", Some("file_missing")));
        assert_eq!(import.rows_total, 1, "what was imported stays and is counted");
    }
}

#[tokio::test]
async fn while_something_is_away_the_hint_is_kept_and_the_work_goes_on_later() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let id = desk.started(organization, plain(), b"email\na@people.test\nb@people.test\nnobody\n").await;
    desk.queue.take().unwrap();
    let pace = Pace { rows: 1, bytes: usize::MAX, piece: 20 };
    let importer = desk.importer(pace);

    desk.store.fail_after(Some(1));
    assert!(matches!(importer.run(organization, id, far()).await, Err(Error::Unavailable(_))));
    desk.store.fail_after(None);
    assert_eq!(desk.find(organization, id).await.status, "processing");

    desk.queue.go_away();
    assert!(matches!(importer.run(organization, id, Instant::now()).await, Err(Error::Unavailable(_))));
    desk.queue.come_back();

    // Port 1 of the loopback interface refuses.
    let nowhere = Database::new(&Config { port: 1, ..desk.scene.db.config("martlet_app") }).unwrap();
    let cut_off = shared::audience::imports::importing::Importer { db: nowhere, ..desk.importer(pace) };
    assert!(matches!(cut_off.run(organization, id, far()).await, Err(Error::Unavailable(_))));

    assert_eq!(importer.run(organization, id, far()).await.unwrap(), Progress::Ended);
    let import = desk.find(organization, id).await;
    assert_eq!((import.status.as_str(), counts(&import)), ("completed", [3, 2, 0, 0, 1]));
}

#[tokio::test]
async fn a_hint_that_nobody_started_is_left() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let importer = desk.importer(AT_ONCE);
    let id = desk.upload(organization, plain(), b"email\na@people.test\n").await;
    assert_eq!(importer.run(organization, id, far()).await.unwrap(), Progress::Left);
    desk.start(organization, id).await.unwrap();
    let (other, _) = desk.scene.another_organization("other").await;
    assert_eq!(importer.run(other, id, far()).await.unwrap(), Progress::Left, "another organization's import");
    assert_eq!(desk.scene.number("select count(*) from contacts", &[]).await, 0);
}
