//! No row crosses tenants: each trap that row-level security has, shown and closed.

use shared::db::migrations::RUN_TIME_ROLES;
use shared::error::violated_constraint;
use shared::{Error, OrganizationId};
use testkit::TestDb;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::everything::Everything;

#[tokio::test]
async fn every_role_sees_exactly_its_tenant_in_every_table() {
    let all = Everything::new().await;
    let readable = all.granted("SELECT").await;
    assert!(readable.len() > 40, "{readable:?}");
    for (role, table, tenant) in readable {
        for organization in [all.first, all.second] {
            let tx = all.begin(&role, organization).await;
            let rows = tx.query(&format!("select {tenant} from {table}"), &[]).await.unwrap();
            let seen: Vec<OrganizationId> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(seen, [organization], "{role} in {table}");
            tx.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn unset_tenant_fails_closed() {
    let all = Everything::new().await;
    let readable = all.granted("SELECT").await;
    for role in RUN_TIME_ROLES {
        let session = all.db.session(role).await;
        let tables: Vec<&str> = readable.iter().filter(|(who, ..)| who == role).map(|(_, table, _)| &**table).collect();
        let counts: Vec<String> = tables.iter().map(|table| format!("(select count(*) from {table})")).collect();
        let nothing = format!("select {}", counts.join(" + "));
        let seen = || async { session.query_typed(&nothing, &[]).await.unwrap()[0].get::<_, i64>(0) };

        let value =
            "select current_setting('app.organization_id', true), current_setting('app.organization_ids', true)";
        let read = || async {
            let row = &session.query_typed(value, &[]).await.unwrap()[0];
            [row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1)]
        };
        assert_eq!(read().await, [None, None]);
        assert_eq!(seen().await, 0, "{role} before any tenant was set");

        let both = format!(
            "begin; select set_config('app.organization_id', '{0}', true), set_config('app.organization_ids', '{0}', true)",
            all.first
        );
        session.batch_execute(&both).await.unwrap();
        assert_eq!(seen().await, i64::try_from(tables.len()).unwrap(), "{role} while a tenant is set");
        session.batch_execute("commit").await.unwrap();

        // PostgreSQL does not forget the variable: it is empty from now on, which must not fail as a uuid either.
        assert_eq!(read().await, [Some(String::new()), Some(String::new())]);
        assert_eq!(seen().await, 0, "{role} after a transaction");
    }
}

#[tokio::test]
async fn without_a_tenant_nothing_is_written() {
    let all = Everything::new().await;
    let session = all.db.session("martlet_app").await;
    let insert =
        format!("insert into lists (organization_id, id, name) values ('{}', gen_random_uuid(), 'Mine')", all.first);
    let refused = session.batch_execute(&insert).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    let updated = session.query_typed("update contacts set name = 'Mine' returning id", &[]).await.unwrap();
    assert!(updated.is_empty());
    let deleted = session.query_typed("delete from contacts returning id", &[]).await.unwrap();
    assert!(deleted.is_empty());
}

#[tokio::test]
async fn a_row_is_neither_put_into_nor_moved_to_another_tenant() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    for statement in [
        "insert into lists (organization_id, id, name) values ($1, gen_random_uuid(), 'Theirs')",
        "update lists set organization_id = $1",
    ] {
        let tx = app.begin(all.first).await.unwrap();
        let error = tx.execute(statement, &[&all.second]).await.unwrap_err();
        assert_eq!(state(&error), Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}

#[tokio::test]
async fn a_batch_sees_exactly_its_organizations() {
    let all = Everything::new().await;
    let third = OrganizationId::fresh();
    let sql = include_str!("everything.sql").replace("${ORGANIZATION}", &third.to_string());
    all.owner.batch_execute(&sql).await.unwrap();

    let sender = all.role("martlet_sender");
    for batch in [vec![], vec![all.first], vec![all.second, third], vec![all.first, all.second, third]] {
        let tx = sender.begin_for(&batch).await.unwrap();
        let rows = tx.query("select organization_id from messages order by organization_id", &[]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<OrganizationId>>(), batch);
        tx.commit().await.unwrap();
    }
    // A batch is nothing to a role that works for one; a single organization is a batch of one.
    let app = all.role("martlet_app").begin_for(&[all.first]).await.unwrap();
    assert!(app.query("select from messages", &[]).await.unwrap().is_empty());
    let alone = sender.begin(all.first).await.unwrap();
    let rows = alone.query("select organization_id from messages", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<OrganizationId>>(), [all.first]);
}

#[tokio::test]
async fn for_share_under_a_select_only_policy_finds_nothing_and_says_nothing() {
    let all = Everything::new().await;
    all.owner
        .batch_execute(
            "create table scratch (id int);
             insert into scratch values (1);
             alter table scratch enable row level security;
             grant select, update on scratch to martlet_app;
             create policy app_reads on scratch for select to martlet_app using (true)",
        )
        .await
        .unwrap();
    let app = all.role("martlet_app");
    let tx = app.begin(all.first).await.unwrap();
    assert_eq!(tx.query("select id from scratch", &[]).await.unwrap().len(), 1);
    assert_eq!(tx.query("select id from scratch for share", &[]).await.unwrap().len(), 0);
    tx.commit().await.unwrap();
    all.owner
        .batch_execute("create policy app_updates on scratch for update to martlet_app using (true)")
        .await
        .unwrap();
    let tx = app.begin(all.first).await.unwrap();
    assert_eq!(tx.query("select id from scratch for share", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_role_that_may_lock_finds_the_rows() {
    let all = Everything::new().await;
    let lockable = all.granted("UPDATE").await;
    assert!(lockable.len() > 20, "{lockable:?}");
    for (role, table, _) in lockable {
        let tx = all.begin(&role, all.first).await;
        for strength in ["share", "update"] {
            let rows = tx.query(&format!("select from {table} for {strength}"), &[]).await.unwrap();
            assert_eq!(rows.len(), 1, "{role} locks {table} for {strength}");
        }
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn an_owners_backfill_touches_rows_only_by_its_own_policy() {
    let all = Everything::new().await;
    let backfill = "update contacts set source = 'backfill' returning id";
    assert_eq!(all.owner.query_typed(backfill, &[]).await.unwrap().len(), 2);
    all.owner.batch_execute("drop policy owner_all on contacts").await.unwrap();
    assert_eq!(all.owner.query_typed(backfill, &[]).await.unwrap().len(), 0, "FORCE holds for the owner, silently");
}

#[tokio::test]
async fn deleting_a_contact_takes_the_reference_and_leaves_the_tenant() {
    let all = Everything::new().await;
    let contact = all.id(all.first, "contact").await;
    let tx = all.role("martlet_app").begin(all.first).await.unwrap();
    assert_eq!(tx.execute("delete from contacts where id = $1", &[&contact]).await.unwrap(), 1);
    let message = tx.query_one("select organization_id, contact_id, enrollment_id from messages", &[]).await.unwrap();
    assert_eq!(message.get::<_, OrganizationId>(0), all.first);
    assert_eq!(message.get::<_, Option<Uuid>>(1), None);
    assert_eq!(message.get::<_, Option<Uuid>>(2), None, "the enrollment went with the contact");
    let reply = tx.query_one("select organization_id, contact_id from replies", &[]).await.unwrap();
    assert_eq!(reply.get::<_, OrganizationId>(0), all.first);
    assert_eq!(reply.get::<_, Option<Uuid>>(1), None);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn referential_checks_bypass_row_security_and_the_composite_key_refuses() {
    let all = Everything::new().await;
    let (list, contact) = (all.id(all.first, "list").await, all.id(all.second, "contact").await);
    let app = all.role("martlet_app");
    let tx = app.begin(all.first).await.unwrap();
    let error = tx
        .execute(
            "insert into list_members (organization_id, list_id, contact_id) values ($1, $2, $3)",
            &[&all.first, &list, &contact],
        )
        .await
        .unwrap_err();
    assert_eq!(violated_constraint(&error), Some("list_members_contact_fkey"));
    drop(tx);

    // The trap: with the id alone as the key, a row that this tenant can't see is a good parent.
    all.owner
        .batch_execute(
            "alter table contacts add constraint contacts_id_key unique (id);
             create table scratch (organization_id uuid not null, contact_id uuid references contacts (id));
             call protect_tenant_table('scratch', 'select, insert')",
        )
        .await
        .unwrap();
    let tx = app.begin(all.first).await.unwrap();
    assert!(tx.query("select from contacts where id = $1", &[&contact]).await.unwrap().is_empty());
    tx.execute("insert into scratch (organization_id, contact_id) values ($1, $2)", &[&all.first, &contact])
        .await
        .unwrap();
}

#[tokio::test]
async fn on_conflict_do_nothing_hides_no_other_tenants_row() {
    let all = Everything::new().await;
    let app = all.role("martlet_app");
    let insert =
        "insert into contacts (organization_id, id, email) values ($1, gen_random_uuid(), $2) on conflict do nothing";
    for organization in [all.first, all.second] {
        let tx = app.begin(organization).await.unwrap();
        assert_eq!(tx.execute(insert, &[&organization, &"Shared@people.test"]).await.unwrap(), 1);
        assert_eq!(tx.execute(insert, &[&organization, &"shared@PEOPLE.test"]).await.unwrap(), 0);
        tx.commit().await.unwrap();
    }
    assert_eq!(all.read::<i64>("select count(*) from contacts where email_lower = 'shared@people.test'").await, 2);
}

#[tokio::test]
async fn copy_into_a_table_with_row_security_fails() {
    // Which is why an import inserts from arrays: INSERT … SELECT … FROM unnest(…).
    let all = Everything::new().await;
    let session = all.db.session("martlet_app").await;
    let begin = format!("begin; select set_config('app.organization_id', '{}', true)", all.first);
    session.batch_execute(&begin).await.unwrap();
    let error = session.batch_execute("copy contacts (organization_id, id, email) from stdin").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    assert!(error.as_db_error().unwrap().message().contains("COPY FROM not supported with row-level security"));
}

#[tokio::test]
async fn a_campaign_gets_its_settings_from_whoever_creates_it() {
    let all = Everything::new().await;
    let tx = all.role("martlet_app").begin(all.first).await.unwrap();
    let campaign = shared::ids::fresh();
    tx.execute("insert into campaigns (organization_id, id, name) values ($1, $2, 'New')", &[&all.first, &campaign])
        .await
        .unwrap();
    let settings = tx
        .query_one("select organization_id, daily_limit from campaign_settings where campaign_id = $1", &[&campaign])
        .await
        .unwrap();
    assert_eq!(settings.get::<_, OrganizationId>(0), all.first);
    assert_eq!(settings.get::<_, i32>(1), 50);
}

#[tokio::test]
async fn domain_is_taken_says_yes_or_no_and_only_about_verified_domains_of_others() {
    let all = Everything::new().await;
    let taken = async |by_other_than: OrganizationId, name: &str| -> bool {
        let tx = all.role("martlet_app").begin(by_other_than).await.unwrap();
        let row = tx.query_one("select domain_is_taken($1, $2)", &[&name, &by_other_than]).await.unwrap();
        assert_eq!(row.len(), 1);
        row.get(0)
    };
    assert!(!taken(all.first, "example.test").await, "both have the domain, neither has verified it");
    let verify = format!("update domains set status = 'verified' where organization_id = '{}'", all.second);
    all.owner.batch_execute(&verify).await.unwrap();
    assert!(taken(all.first, "example.test").await);
    assert!(!taken(all.second, "example.test").await, "its own domain is not in its way");
    assert!(!taken(all.first, "other.test").await);
}

#[tokio::test]
async fn organizations_with_work_names_those_with_something_due_and_nothing_else() {
    let all = Everything::new().await;
    let scheduler = all.db.session("martlet_scheduler").await;
    let named = async |due_before: &str| -> Vec<OrganizationId> {
        let sql = format!(
            "select * from organizations_with_work({due_before}, now() - interval '1 hour', now() - interval '1 hour')"
        );
        let rows = scheduler.query_typed(&sql, &[]).await.unwrap();
        assert!(rows.iter().all(|row| row.len() == 1));
        let mut named: Vec<OrganizationId> = rows.iter().map(|row| row.get(0)).collect();
        named.sort();
        named
    };
    assert_eq!(named("now()").await, [], "nobody is written to in a draft");
    all.owner.batch_execute("update campaigns set status = 'active'").await.unwrap();
    // The default organization exists too, and has nothing to do.
    assert_eq!(named("now()").await, [all.first, all.second]);
    assert_eq!(named("now() - interval '1 day'").await, []);
    let suspend = format!("update organizations set status = 'suspended' where id = '{}'", all.first);
    all.owner.batch_execute(&suspend).await.unwrap();
    assert_eq!(named("now()").await, [all.second]);
}

#[tokio::test]
async fn functions_across_tenants_are_closed_to_other_roles() {
    let db = TestDb::new().await;
    for role in RUN_TIME_ROLES {
        let session = db.session(role).await;
        for (granted_to, call) in [
            ("martlet_app", "select domain_is_taken('example.test', gen_random_uuid())"),
            ("martlet_scheduler", "select organizations_with_work(now(), now(), now())"),
            ("martlet_maintenance", "select organizations_to_examine()"),
            ("martlet_maintenance", "select organizations_with_deltas()"),
            ("martlet_maintenance", "select organizations_with_expired_idempotency_keys()"),
            ("martlet_scheduler", "select oldest_unresolved_seconds()"),
            ("martlet_app", "select organization_of_deletion(gen_random_uuid())"),
            ("martlet_maintenance", "select organizations_to_delete()"),
            ("martlet_maintenance", "select delete_organization_rows(gen_random_uuid(), 1, gen_random_uuid())"),
            ("martlet_admin", "select organizations_of_installation(null, null, null, 1)"),
            (
                "martlet_admin",
                "select administer_organization(gen_random_uuid(), 'pro', null, gen_random_uuid(), gen_random_uuid(), null)",
            ),
            ("martlet_admin", "select end_sessions_of_user(gen_random_uuid())"),
            ("martlet_admin", "select schema_version()"),
            ("martlet_admin", "select waiting_work()"),
            ("", "call protect_tenant_table('system_config', 'select')"),
            ("", "call admit_batch_role('contacts', 'martlet_app', 'select')"),
        ] {
            let outcome = session.batch_execute(call).await;
            if *role == granted_to {
                outcome.unwrap();
            } else {
                assert_eq!(outcome.unwrap_err().code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role}: {call}");
            }
        }
    }
}

#[tokio::test]
async fn a_temporary_table_does_not_stand_for_ours() {
    let all = Everything::new().await;
    let session = all.db.session("martlet_app").await;
    let temporary = "create temporary table domains (organization_id uuid, name text, status text);
         insert into pg_temp.domains values (gen_random_uuid(), 'mine.test', 'verified');
         grant select on pg_temp.domains to public";
    session.batch_execute(temporary).await.unwrap();
    let question = "select public.domain_is_taken('mine.test', gen_random_uuid())";
    assert!(!session.query_typed(question, &[]).await.unwrap()[0].get::<_, bool>(0));
    // The trap: a search_path that does not name pg_temp begins with it.
    let trap = "alter function domain_is_taken(text, uuid) set search_path = pg_catalog, public";
    all.owner.batch_execute(trap).await.unwrap();
    assert!(session.query_typed(question, &[]).await.unwrap()[0].get::<_, bool>(0));
}

fn state(error: &Error) -> Option<SqlState> {
    let (Error::Internal(cause) | Error::Unavailable(cause)) = error else { return None };
    cause.downcast_ref::<tokio_postgres::Error>()?.code().cloned()
}
