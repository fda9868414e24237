//! An organization that is deleted for good, and the one beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::OrganizationId;
use shared::platform::organizations::deleting;
use testkit::FakeObjectStore;
use tokio::time::Instant;

use crate::everything::Everything;

/// How many rows of an organization each table has, and what they are.
async fn content(all: &Everything, organization: OrganizationId) -> BTreeMap<String, (i64, String)> {
    let tables: Vec<String> = all
        .read(
            "select array_agg(c.oid::regclass::text order by 1)
               from pg_class c
               join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')",
        )
        .await;
    assert!(tables.len() > 30, "{tables:?}");
    let mut content = BTreeMap::new();
    for table in tables.iter().map(|table| (table.as_str(), "organization_id")).chain([("organizations", "id")]) {
        let (table, tenant) = table;
        let rows = format!("from {table} t where {tenant} = '{organization}'");
        let count = all.read(&format!("select count(*) {rows}")).await;
        let hash =
            all.read(&format!("select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') {rows}")).await;
        content.insert(table.to_owned(), (count, hash));
    }
    content
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_organization_and_nothing_of_another_is_gone() {
    let all = Everything::new().await;
    let kept = content(&all, all.second).await;
    assert!(kept.iter().all(|(_, (count, _))| *count > 0), "everything.sql has no row for {kept:#?}");
    let store = FakeObjectStore::default();
    let key = |prefix: &str, of: OrganizationId, name: &str| format!("{prefix}/{of}/{name}");
    for (prefix, name) in [("uploads", "1"), ("uploads", "2"), ("uploads", "3"), ("errors", "1"), ("logos", "a.png")] {
        for organization in [all.first, all.second] {
            store.upload(&key(prefix, organization, name), "bytes");
        }
    }
    all.owner
        .batch_execute(&format!(
            "insert into contacts (organization_id, id, email)
             select '{0}', gen_random_uuid(), n || '@people.test' from generate_series(1, 12000) as n;
             update organizations set status = 'deleting', deletion_id = gen_random_uuid(), delete_after = now() where id = '{0}'",
            all.first
        ))
        .await
        .unwrap();
    let before: i64 = content(&all, all.first).await.values().map(|(count, _)| count).sum();

    let deadline = Instant::now() + Duration::from_secs(600);
    let deleted = deleting::finish(all.role("martlet_maintenance"), &store, deadline).await.unwrap();
    assert_eq!((deleted.organizations, deleted.objects, deleted.is_finished), (1, 5, true));
    assert!(deleted.rows > 12_000 && deleted.rows <= before.unsigned_abs(), "{deleted:?} of {before}");
    let left: Vec<_> = content(&all, all.first).await.into_iter().filter(|(_, (count, _))| *count > 0).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(content(&all, all.second).await, kept);
    for (prefix, name) in [("uploads", "1"), ("uploads", "3"), ("errors", "1"), ("logos", "a.png")] {
        assert_eq!(store.object(&key(prefix, all.first, name)), None);
        assert!(store.object(&key(prefix, all.second, name)).is_some());
    }
    // People are nobody's: their accounts stay.
    assert_eq!(all.read::<i64>("select count(*) from users").await, 2);
}

#[tokio::test]
async fn rows_of_an_organization_that_is_not_due_are_deleted_by_nobody() {
    let all = Everything::new().await;
    let before = content(&all, all.first).await;
    for state in [
        "status = 'active'",
        "status = 'suspended'",
        "status = 'deleting', deletion_id = gen_random_uuid(), delete_after = now() + interval '1 hour'",
    ] {
        all.owner.batch_execute(&format!("update organizations set {state} where id = '{}'", all.first)).await.unwrap();
        let tx = all.begin("martlet_maintenance", all.first).await;
        let sql = "select delete_organization_rows($1, 1000, $2)";
        let rows: Option<i64> =
            tx.query_one(sql, &[&all.first, &shared::ids::fresh()]).await.unwrap().try_get(0).unwrap();
        tx.commit().await.unwrap();
        assert_eq!(rows, None, "{state}");
    }
    let mut after = content(&all, all.first).await;
    after.insert("organizations".to_owned(), before["organizations"].clone());
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_run_that_is_out_of_time_deletes_nothing_and_the_next_goes_on() {
    let all = Everything::new().await;
    all.owner
        .batch_execute(&format!(
            "update organizations set status = 'deleting', deletion_id = gen_random_uuid(), delete_after = now() where id = '{}'",
            all.first
        ))
        .await
        .unwrap();
    let (store, role) = (FakeObjectStore::default(), all.role("martlet_maintenance"));
    let over = deleting::finish(role, &store, Instant::now()).await.unwrap();
    assert_eq!((over.organizations, over.rows, over.is_finished), (0, 0, false));
    let later = deleting::finish(role, &store, Instant::now() + Duration::from_secs(600)).await.unwrap();
    assert_eq!((later.organizations, later.is_finished), (1, true));
}
