//! A transaction knows its tenant from its first statement on, and one that is dropped leaves nothing behind.

use std::future::Future;
use std::time::Duration;

use shared::db::Stage;
use shared::{ContactId, Database, Error, OrganizationId, Tx};
use testkit::Scene;
use testkit::scene::wednesday_morning;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::everything::Everything;
use crate::until;

const INSERT: &str = "insert into lists (organization_id, id, name) values ($1, gen_random_uuid(), $2)";
/// What a test holds to keep a statement of another session waiting inside the server.
const BARRIER: i64 = 17;

#[tokio::test]
async fn the_statement_joined_to_begin_sees_the_tenant_and_no_other() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let question = "select organization_id, pg_backend_pid() from contacts where email_lower = $1";
    let mut connections = Vec::new();
    // Turn by turn over one connection: nothing of the tenant before is left.
    for organization in [all.first, all.second, OrganizationId::fresh(), all.first] {
        let (tx, rows) = app.begin_with(organization, question, &[(&"person@people.test", Type::TEXT)]).await.unwrap();
        let seen: Vec<OrganizationId> = rows.iter().map(|row| row.get(0)).collect();
        let expected: &[OrganizationId] =
            if [all.first, all.second].contains(&organization) { &[organization] } else { &[] };
        assert_eq!(seen, expected);
        assert_eq!(tx.organization().unwrap(), organization);
        assert_eq!(count_of_contacts(&tx).await, i64::try_from(expected.len()).unwrap());
        connections.push(backend(&tx).await);
        tx.commit().await.unwrap();
    }
    connections.dedup();
    assert_eq!(connections.len(), 1);
}

#[tokio::test]
async fn rows_are_read_until_they_pass_so_many_bytes_and_the_next_statement_finds_none_of_the_rest() {
    let all = Everything::new().await;
    let tx = all.role("martlet_app").begin(all.first).await.unwrap();
    let sql = "select n, repeat('x', 100000) from generate_series(1, $1::int) as n";
    for (rows, most, expected) in [(1_000, 250_000, 3), (1_000, 0, 1), (2, 250_000, 2), (0, 250_000, 0)] {
        let read = tx.query_within(most, sql, &[&rows]).await.unwrap();
        let numbers: Vec<i32> = read.iter().map(|row| row.get(0)).collect();
        assert_eq!(numbers, (1..=expected).collect::<Vec<_>>(), "{rows} rows, {most} bytes");
        assert_eq!(count_of_contacts(&tx).await, 1);
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_failing_statement_joined_to_begin_leaves_no_transaction_open() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let before = pid_of(app, all.first).await;
    assert!(app.begin_with(all.first, "select 1 / 0", &[]).await.is_err());
    assert_ne!(pid_of(app, all.second).await, before);
    gone(&all, before).await;
}

#[tokio::test]
async fn the_transaction_before_another_is_committed_and_sees_the_same_tenant() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let insert =
        "insert into lists (organization_id, id, name) values ($1, gen_random_uuid(), 'Before') returning name";
    for organization in [all.first, all.second] {
        let (tx, rows) = app.begin_after(organization, insert, &[(&organization, Type::UUID)]).await.unwrap();
        assert_eq!(rows[0].get::<_, &str>(0), "Before");
        assert_eq!((tx.organization().unwrap(), count_of_contacts(&tx).await), (organization, 1));
        tx.execute(INSERT, &[&organization, &"Undone"]).await.unwrap();
        tx.rollback().await.unwrap();
    }
    assert_eq!((lists(&all, "Before").await, lists(&all, "Undone").await), (2, 0));
    // The tenant of one is not that of the other: the row would be another organization's.
    assert!(app.begin_after(all.first, insert, &[(&all.second, Type::UUID)]).await.is_err());
    assert_eq!(lists(&all, "Before").await, 2);
}

#[tokio::test]
async fn a_failing_transaction_before_another_leaves_nothing_open() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let before = pid_of(app, all.first).await;
    assert!(app.begin_after(all.first, "select 1 / 0", &[]).await.is_err());
    assert_ne!(pid_of(app, all.second).await, before);
    gone(&all, before).await;
}

#[tokio::test]
async fn statements_sent_together_run_in_their_order_in_one_transaction() {
    let all = Everything::new().await;
    let sender = all.role("martlet_sender");
    let (id, address) = ("select id from contacts order by id", "select email_lower from contacts where id = any ($1)");
    for organization in [all.first, all.second, all.first] {
        let (tx, [ids]) = sender.begin_for_with(&[organization], [(id, &[])]).await.unwrap();
        assert_eq!(ids.len(), 1, "the first statement sees the tenant and no other");
        let ids: Vec<ContactId> = ids.iter().map(|row| row.get(0)).collect();
        let contacted = "update contacts set status = 'contacted' where id = any ($1) returning status";
        let status = "select status from contacts";
        // The second was never seen by this connection and has to be prepared; the others wait for it.
        let fresh = format!("select status, '{organization}' from contacts");
        let [address, before, changed, after] = tx
            .query_each([(address, &[&ids]), (fresh.as_str(), &[]), (contacted, &[&ids]), (status, &[])])
            .await
            .unwrap();
        assert_eq!((address.len(), changed.len()), (1, 1));
        assert_ne!(before[0].get::<_, &str>(0), "contacted");
        assert_eq!(after[0].get::<_, &str>(0), "contacted");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn of_statements_sent_together_the_error_is_that_of_the_first_that_fails() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let tx = app.begin(all.first).await.unwrap();
    let name = "Together";
    let failing: [(&str, &[&(dyn ToSql + Sync)]); 3] =
        [(INSERT, &[&all.first, &name]), ("select 1 / 0", &[]), ("select ln(0::float8)", &[])];
    let error = tx.query_each(failing).await.unwrap_err();
    assert!(format!("{error:?}").contains("22012"), "{error:?}");
    assert!(tx.commit().await.is_err());
    assert_eq!(lists(&all, name).await, 0);
}

#[tokio::test]
async fn of_statements_sent_together_each_sees_what_was_committed_while_the_one_before_waited() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let barrier = all.db.owner().await;
    barrier.batch_execute(&format!("select pg_advisory_lock({BARRIER})")).await.unwrap();
    let tx = app.begin(all.first).await.unwrap();
    let its_connection = backend(&tx).await;
    let wait = format!("select pg_advisory_xact_lock({BARRIER})");
    let count = "select count(*) from lists where name = 'Meanwhile'";
    let together = tx.query_each([(wait.as_str(), &[]), (count, &[])]);
    let meanwhile = async {
        waiting(&barrier, its_connection).await;
        let insert = "insert into lists (organization_id, id, name) values ('of', gen_random_uuid(), 'Meanwhile')";
        barrier.batch_execute(&insert.replace("'of'", &format!("'{}'", all.first))).await.unwrap();
        barrier.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    };
    let (rows, ()) = tokio::join!(together, meanwhile);
    let [_, count] = rows.unwrap();
    assert_eq!(count[0].get::<_, i64>(0), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_transaction_dropped_unfinished_is_never_committed_by_the_next_tenant() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let dropped = app.begin(all.first).await.unwrap();
    let its_connection = backend(&dropped).await;
    dropped.execute(INSERT, &[&all.first, &"Dropped"]).await.unwrap();
    drop(dropped);

    let next = app.begin(all.second).await.unwrap();
    assert_ne!(backend(&next).await, its_connection, "the pool has handed the open transaction on");
    assert_eq!(count_of_contacts(&next).await, 1);
    next.execute(INSERT, &[&all.second, &"Kept"]).await.unwrap();
    next.commit().await.unwrap();

    gone(&all, its_connection).await;
    assert_eq!(lists(&all, "Dropped").await, 0);
    assert_eq!(lists(&all, "Kept").await, 1);
}

#[tokio::test]
async fn a_statement_cancelled_while_it_runs_is_never_committed_by_the_next_tenant() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let barrier = all.db.owner().await;
    barrier.batch_execute(&format!("select pg_advisory_lock({BARRIER})")).await.unwrap();

    let tx = app.begin(all.first).await.unwrap();
    let its_connection = backend(&tx).await;
    tx.execute(INSERT, &[&all.first, &"Before"]).await.unwrap();
    let waits = format!(
        "with barrier as materialized (select pg_advisory_xact_lock({BARRIER}))
         insert into lists (organization_id, id, name) select $1, gen_random_uuid(), $2 from barrier"
    );
    // The handler's future is dropped, as when the caller hangs up, while the server is in the middle of its statement.
    let handler = async move {
        tx.execute(&waits, &[&all.first, &"During"]).await.unwrap();
        tx.commit().await.unwrap();
    };
    cancel_once(handler, waiting(&barrier, its_connection)).await;

    let next = soon(app.begin(all.second)).await.unwrap();
    assert_ne!(backend(&next).await, its_connection);
    next.execute(INSERT, &[&all.second, &"Kept"]).await.unwrap();
    next.commit().await.unwrap();
    barrier.batch_execute("select pg_advisory_unlock_all()").await.unwrap();

    gone(&all, its_connection).await;
    assert_eq!(lists(&all, "Before").await + lists(&all, "During").await, 0);
    assert_eq!(lists(&all, "Kept").await, 1);
}

#[tokio::test]
async fn an_opening_cancelled_while_its_first_statement_runs_is_never_committed_by_the_next_tenant() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let barrier = all.db.owner().await;
    barrier.batch_execute(&format!("select pg_advisory_lock({BARRIER})")).await.unwrap();
    let its_connection = pid_of(app, all.first).await;

    let waits = format!(
        "with barrier as materialized (select pg_advisory_xact_lock({BARRIER}))
         insert into lists (organization_id, id, name) select $1, gen_random_uuid(), 'Opening' from barrier"
    );
    let opening = async { app.begin_with(all.first, &waits, &[(&all.first, Type::UUID)]).await };
    cancel_once(opening, waiting(&barrier, its_connection)).await;

    let next = soon(app.begin(all.second)).await.unwrap();
    assert_ne!(backend(&next).await, its_connection);
    next.commit().await.unwrap();
    barrier.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    gone(&all, its_connection).await;
    assert_eq!(lists(&all, "Opening").await, 0);
}

#[tokio::test]
async fn a_finished_transaction_gives_its_connection_back() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let tx = app.begin(all.first).await.unwrap();
    let its_connection = backend(&tx).await;
    tx.execute(INSERT, &[&all.first, &"Undone"]).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(lists(&all, "Undone").await, 0);
    let next = app.begin(all.second).await.unwrap();
    assert_eq!(backend(&next).await, its_connection);
    next.execute(INSERT, &[&all.second, &"Done"]).await.unwrap();
    next.commit().await.unwrap();
    assert_eq!(lists(&all, "Done").await, 1);
}

#[tokio::test]
async fn the_commit_of_a_failed_transaction_is_an_error() {
    // The server answers such a COMMIT with ROLLBACK and no error: who takes that for success has lost a write.
    let all = Everything::new().await;
    let tx = all.role("martlet_app").begin(all.first).await.unwrap();
    tx.execute(INSERT, &[&all.first, &"Lost"]).await.unwrap();
    tx.query("select 1 / 0", &[]).await.unwrap_err();
    assert!(tx.commit().await.is_err());
    assert_eq!(lists(&all, "Lost").await, 0);
}

#[tokio::test]
async fn a_shifted_clock_is_refused_when_deployed_and_told_locally() {
    let all = Everything::new().await;
    let deployed = {
        let mut config = all.db.config("martlet_app");
        config.stage = Stage::Deployed;
        Database::new(&config).unwrap()
    };
    let machine: chrono::DateTime<chrono::Utc> = all.read("select now()").await;
    let tx = deployed.begin(all.first).await.unwrap();
    assert!((tx.now() - machine).num_seconds() < 60);
    tx.commit().await.unwrap();

    all.db.set_clock(wednesday_morning()).await;
    for outcome in [deployed.begin(all.first).await, deployed.begin_for(&[all.first]).await] {
        assert!(matches!(outcome, Err(Error::Internal(_))));
    }
    let outcome = deployed.begin_with(all.first, "select 1", &[]).await;
    assert!(matches!(outcome, Err(Error::Internal(_))));

    let local = all.role("martlet_app").begin(all.first).await.unwrap();
    assert_eq!(local.now(), wednesday_morning());
}

/// Fails instead of waiting for ever, as on a connection whose statement is held up.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the pool has handed the connection on")
}

/// Polls `future` until `reached` has come to pass, then drops it unfinished.
async fn cancel_once<T>(future: impl Future<Output = T>, reached: impl Future<Output = ()>) {
    let (mut future, mut reached) = (Box::pin(future), Box::pin(reached));
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "the statement was not held up");
        reached.as_mut().poll(context)
    })
    .await;
}

/// Returns once the backend waits for the barrier.
async fn waiting(observer: &Client, backend: i32) {
    let waits =
        format!("select exists (select from pg_locks where pid = {backend} and locktype = 'advisory' and not granted)");
    until(observer, &waits).await;
}

/// Returns once the backend has ended, and with it whatever it had not committed.
async fn gone(all: &Everything, backend: i32) {
    until(&all.owner, &format!("select not exists (select from pg_stat_activity where pid = {backend})")).await;
}

async fn backend(tx: &Tx) -> i32 {
    tx.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

async fn pid_of(db: &Database, organization: OrganizationId) -> i32 {
    let tx = db.begin(organization).await.unwrap();
    let pid = backend(&tx).await;
    tx.commit().await.unwrap();
    pid
}

async fn count_of_contacts(tx: &Tx) -> i64 {
    tx.query_one("select count(*) from contacts", &[]).await.unwrap().get(0)
}

async fn lists(all: &Everything, name: &str) -> i64 {
    all.read(&format!("select count(*) from lists where name = '{name}'")).await
}

/// Nobody waits for what the server goes on with, and it does not go on.
#[tokio::test]
async fn a_statement_that_takes_longer_than_anybody_waits_is_given_up() {
    let scene = Scene::new().await;
    let db = scene.db.app().with_patience(Duration::from_millis(50));
    let tx = db.begin(scene.organization).await.unwrap();
    let given_up = tx.query("select pg_sleep(60)", &[]).await.unwrap_err();
    assert!(matches!(given_up, Error::Unavailable(_)), "{given_up:?}");
    drop(tx);
    // It holds for the transactions that are opened in other ways as well, and for no connection beyond them.
    let (tx, _) = db.begin_after(scene.organization, "select 1", &[]).await.unwrap();
    let set = "select current_setting('statement_timeout')";
    assert_eq!(tx.query_one(set, &[]).await.unwrap().get::<_, &str>(0), "50ms");
    tx.commit().await.unwrap();
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    assert_eq!(tx.query_one(set, &[]).await.unwrap().get::<_, &str>(0), "0");
}
