//! The lines of docs/security.md on the database, each read from the catalog for itself: a second look beside
//! `testkit::catalog`, whose rules go further and are shown to bite.

use shared::db::migrations::RUN_TIME_ROLES;
use testkit::TestDb;
use testkit::catalog::{INDEXES_WITHOUT_TENANT, TABLES_WITHOUT_TENANT};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// What a query finds at fault, with how many things it has looked at: one that looks at nothing would always pass.
async fn check(sql: &str, least: i64) {
    let db = TestDb::new().await;
    let owner = db.owner().await;
    let (looked_at, at_fault) = found(&owner, sql).await;
    assert!(looked_at >= least, "only {looked_at} were looked at");
    assert_eq!(at_fault, [""; 0]);
}

/// `sql` says of each subject whether it is right. $1: run-time roles; $2: tables without a tenant; $3: indexes without.
async fn found(owner: &Client, sql: &str) -> (i64, Vec<String>) {
    let names = |exempt: &[(&'static str, &str)]| exempt.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let (tables, indexes) = (names(TABLES_WITHOUT_TENANT), names(INDEXES_WITHOUT_TENANT));
    let sql = format!(
        "with looked_at (subject, is_right, roles, tables, indexes) as (
             select s.*, $1::text[], $2::text[], $3::text[] from ({sql}) as s
         )
         select count(*), coalesce(array_agg(subject::text order by subject) filter (where is_right is not true), '{{}}')
           from looked_at"
    );
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&RUN_TIME_ROLES, Type::TEXT_ARRAY), (&tables, Type::TEXT_ARRAY), (&indexes, Type::TEXT_ARRAY)];
    let row = &owner.query_typed(&sql, &parameters).await.unwrap()[0];
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn row_security_is_enabled_and_forced_on_every_tenant_table_and_partition() {
    check(
        "select c.relname::text, c.relrowsecurity and c.relforcerowsecurity
           from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> all ($2)",
        20,
    )
    .await;
}

#[tokio::test]
async fn every_access_of_a_role_has_one_policy_that_names_the_role_and_the_tenant() {
    // Of every table on which a role has any privilege: exactly one permissive policy is for it, and that one compares the
    // tenant in what is seen and in what is written.
    check(
        "select r.rolname || ' ' || c.relname,
                (select count(*) = 1
                        and bool_and(p.cmd = 'ALL' and p.qual ~ 'organization_id' and p.with_check ~ 'organization_id'
                                     and p.qual ~ 'app[.]organization_ids?' and p.with_check = p.qual)
                   from pg_policies p
                  where p.schemaname = 'public' and p.tablename = c.relname and p.permissive = 'PERMISSIVE'
                    and p.roles && array[r.rolname, 'public'::name] and 'public' <> all (p.roles))
           from pg_roles r, pg_class c
          where r.rolname = any ($1) and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and c.relname <> all ($2)
            and has_any_column_privilege(r.oid, c.oid, 'select, insert, update, references')",
        40,
    )
    .await;
}

#[tokio::test]
async fn views_run_as_their_caller_and_no_materialized_view_is_readable() {
    // There is none yet, so the check is shown on some.
    let db = TestDb::new().await;
    let owner = db.owner().await;
    let sql = "select c.relname::text,
                      case c.relkind when 'v' then coalesce('security_invoker=true' = any (c.reloptions), false)
                                     else not exists (select from pg_roles r
                                                       where r.rolname = any ($1)
                                                         and has_any_column_privilege(r.oid, c.oid, 'select')) end
                 from pg_class c
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')";
    assert_eq!(found(&owner, sql).await.1, [""; 0]);
    owner
        .batch_execute(
            "create view bad_view as select 1 as one; create view good_view with (security_invoker = true) as select 1 as one;
             create materialized view bad_copy as select 1 as one; grant select on bad_copy to martlet_app;
             create materialized view good_copy as select 1 as one",
        )
        .await
        .unwrap();
    assert_eq!(found(&owner, sql).await, (4, vec!["bad_copy".to_owned(), "bad_view".to_owned()]));
}

#[tokio::test]
async fn functions_with_their_owners_rights_pin_their_search_path_and_are_closed_to_public() {
    check(
        "select p.oid::regprocedure::text,
                exists (select from unnest(p.proconfig) as setting where setting ~ '^search_path=.*pg_temp$')
                and not exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
           from pg_proc p
          where p.pronamespace = 'public'::regnamespace and p.prosecdef",
        2,
    )
    .await;
}

#[tokio::test]
async fn run_time_roles_own_nothing_and_pass_nothing_by() {
    check(
        "select r.rolname::text,
                not (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication)
                and not exists (select from pg_auth_members m where m.member = r.oid)
                and not exists (select from pg_class c where c.relowner = r.oid)
                and not exists (select from pg_proc p where p.proowner = r.oid)
                and not has_schema_privilege(r.oid, 'public', 'create')
           from pg_roles r
          where r.rolname = any ($1)
         union all
         select r.rolname || ' ' || c.relname,
                not has_table_privilege(r.oid, c.oid, 'truncate') and not has_table_privilege(r.oid, c.oid, 'trigger')
                and not has_any_column_privilege(r.oid, c.oid, 'references')
           from pg_roles r, pg_class c
          where r.rolname = any ($1) and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')",
        100,
    )
    .await;
}

#[tokio::test]
async fn foreign_keys_and_unique_indexes_include_the_organization() {
    check(
        "select i.indexrelid::regclass::text,
                exists (select from pg_attribute a
                         where a.attrelid = c.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                           and a.attname = case c.relname when 'organizations' then 'id' else 'organization_id' end)
           from pg_class c
           join pg_index i on i.indrelid = c.oid and i.indisunique
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> all ($2)
            and i.indexrelid::regclass::text <> all ($3)
         union all
         select f.conrelid::regclass || ' ' || f.conname,
                exists (select from unnest(f.conkey, f.confkey) as pair (here, there)
                          join pg_attribute a on a.attrelid = f.conrelid and a.attnum = pair.here
                          join pg_attribute b on b.attrelid = f.confrelid and b.attnum = pair.there
                         where a.attname = 'organization_id'
                           and b.attname = case f.confrelid::regclass::text when 'organizations' then 'id' else 'organization_id' end)
           from pg_constraint f
          where f.contype = 'f' and f.connamespace = 'public'::regnamespace and f.conrelid::regclass::text <> all ($2)
            and f.confrelid::regclass::text <> all ($2)",
        60,
    )
    .await;
}
