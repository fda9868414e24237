//! Migrating: once each, by one migrator at a time, and never over a changed past.

use std::path::Path;

use shared::Error;
use shared::db::migrations::{MIGRATIONS, RUN_TIME_ROLES, migrate, set_password};
use testkit::TestDb;
use testkit::database::hold_roles_still;

use crate::until;

#[test]
fn the_list_names_every_file_of_the_folder_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let listed: Vec<String> = MIGRATIONS.iter().map(|(name, _)| format!("{name}.sql")).collect();
    assert_eq!(listed, files);
    for (number, (name, _)) in (1..).zip(MIGRATIONS) {
        assert!(name.starts_with(&format!("{number:04}_")), "{name} is not number {number}");
    }
}

#[tokio::test]
async fn migrating_again_does_nothing() {
    let (_roles, db) = (hold_roles_still().await, TestDb::empty().await);
    let mut owner = db.owner().await;
    assert_eq!(migrate(&mut owner).await.unwrap().len(), MIGRATIONS.len());
    assert_eq!(migrate(&mut owner).await.unwrap(), [""; 0]);
    assert_eq!(testkit::catalog::violations(&owner).await, [""; 0]);
}

#[tokio::test]
async fn of_two_migrators_at_once_one_applies_and_both_succeed() {
    let (_roles, db) = (hold_roles_still().await, TestDb::empty().await);
    let (mut one, mut other) = (db.owner().await, db.owner().await);
    let (one, other) = tokio::join!(migrate(&mut one), migrate(&mut other));
    let mut applied = [one.unwrap().len(), other.unwrap().len()];
    applied.sort_unstable();
    assert_eq!(applied, [0, MIGRATIONS.len()]);
    let rows = db.owner().await.query_typed("select count(*) from refinery_schema_history", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, i64>(0), i64::try_from(MIGRATIONS.len()).unwrap());
}

#[tokio::test]
async fn a_past_that_differs_is_refused_and_the_lock_given_back() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    for (change, undo) in [
        (
            "update refinery_schema_history set checksum = (checksum::numeric + 1)::text where version = 2",
            "update refinery_schema_history set checksum = (checksum::numeric - 1)::text where version = 2",
        ),
        (
            "insert into refinery_schema_history (version, name, applied_on, checksum)
             select 9999, 'of_a_later_release', applied_on, '1' from refinery_schema_history where version = 1",
            "delete from refinery_schema_history where version = 9999",
        ),
    ] {
        owner.batch_execute(change).await.unwrap();
        assert!(matches!(migrate(&mut owner).await, Err(Error::Internal(_))), "{change}");
        let left = "select (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
                           current_setting('lock_timeout')";
        let row = &owner.query_typed(left, &[]).await.unwrap()[0];
        assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (0, "0"));
        owner.batch_execute(undo).await.unwrap();
        assert_eq!(migrate(&mut owner).await.unwrap(), [""; 0]);
    }
}

#[tokio::test]
async fn two_databases_may_create_the_roles_at_the_same_time() {
    let _roles = hold_roles_still().await;
    let (first, second) = (TestDb::empty().await, TestDb::empty().await);
    let (first, second) = (first.owner().await, second.owner().await);
    // The migration's own block, with names that no other test has.
    let prefix = format!("racer_{}_", shared::ids::fresh().simple());
    let (_, foundation) = MIGRATIONS[0];
    let start = foundation.find("do $$").unwrap();
    let end = foundation[start..].find("$$;").unwrap() + "$$;".len();
    let block = foundation[start..start + end].replace("martlet_", &prefix);

    first.batch_execute(&format!("begin; {block}")).await.unwrap();
    let pid: i32 = second.query_typed("select pg_backend_pid()", &[]).await.unwrap()[0].get(0);
    let first_commits = async {
        until(&first, &format!("select exists (select from pg_locks where pid = {pid} and not granted)")).await;
        first.batch_execute("commit").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(second.batch_execute(&block), first_commits);
    // Roles outlive their databases: away with them before anything is asserted.
    for role in RUN_TIME_ROLES.iter().filter(|role| foundation.contains(**role)) {
        let role = role.replace("martlet_", &prefix);
        for (database, last) in [(&first, false), (&second, true)] {
            database.batch_execute(&format!("revoke all on schema public from {role}")).await.unwrap();
            if last {
                database.batch_execute(&format!("drop role {role}")).await.unwrap();
            }
        }
    }
    outcome.unwrap();
}

#[tokio::test]
async fn passwords_are_set_for_run_time_roles_alone() {
    let db = TestDb::new().await;
    let owner = db.owner().await;
    for role in ["postgres", "martlet_owner", "martlet_app; drop table contacts", "MARTLET_APP", ""] {
        assert!(matches!(set_password(&owner, role, "secret").await, Err(Error::Invalid(_))), "{role}");
    }
}

#[tokio::test]
async fn a_password_is_quoted_whatever_it_holds() {
    // In a transaction that is undone, since the roles and their passwords belong to all tests.
    let db = TestDb::new().await;
    let _roles = hold_roles_still().await;
    let owner = db.owner().await;
    owner.batch_execute("begin").await.unwrap();
    for password in [
        "'; drop table contacts; --",
        r"\'; drop table contacts; --",
        r"\\'; drop table contacts; --",
        "$$; drop table contacts; --",
        "%s %L %I",
        "\"; drop table contacts; --",
        "ünïcödé 🐦\n\t",
    ] {
        set_password(&owner, "martlet_app", password).await.unwrap_or_else(|error| panic!("{password}: {error:?}"));
        owner.batch_execute("select from contacts").await.unwrap();
    }
    owner.batch_execute("rollback").await.unwrap();
}
