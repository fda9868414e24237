//! Every table keeps the rules, and each rule bites.

use shared::db::migrations::RUN_TIME_ROLES;
use testkit::{TestDb, catalog};
use tokio_postgres::Client;

/// A table that keeps every rule, for the cases to spoil.
const GADGETS: &str = "
    create table gadgets (
        organization_id uuid not null constraint gadgets_organization_fkey references organizations (id) on delete cascade,
        id uuid not null,
        contact_id uuid,
        status text not null default 'new' constraint gadgets_status_check check (status in ('new', 'old')),
        updated_at timestamptz not null default now(),
        constraint gadgets_pkey primary key (organization_id, id),
        constraint gadgets_contact_fkey foreign key (organization_id, contact_id)
            references contacts (organization_id, id) on delete set null (contact_id)
    );
    create index gadgets_contact_idx on gadgets (organization_id, contact_id);
    call protect_tenant_table('gadgets', 'select, insert, update, delete');
    call admit_batch_role('gadgets', 'martlet_sender', 'select');";

/// A policy's comparison with the tenant, as it should be.
const TENANT: &str = "organization_id = nullif(current_setting('app.organization_id', true), '')::uuid";

#[tokio::test]
async fn every_table_policy_function_and_role_keeps_the_rules() {
    let db = TestDb::new().await;
    let violations = catalog::violations(&db.owner().await).await;
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// What is done, and the sentences that it must bring, no more and no fewer.
type Case = (&'static str, &'static [&'static str]);

#[tokio::test]
async fn the_rules_for_tables_bite() {
    check(&[
        ("select 1", &[]),
        ("alter table gadgets disable row level security", &["gadgets: row-level security is not enabled"]),
        ("alter table gadgets no force row level security", &["gadgets: row-level security is not forced"]),
        (
            "create table extras (id uuid constraint extras_pkey primary key)",
            &[
                "extras: has no column organization_id",
                "extras: its owner has no policy for all rows",
                "extras: row-level security is not enabled",
                "extras: row-level security is not forced",
            ],
        ),
        (
            // A partition is a table of its own, that nobody's policy on the whole protects.
            "create table parted (organization_id uuid not null, constraint parted_organization_fkey
                 foreign key (organization_id) references organizations (id), constraint parted_pkey primary key (organization_id)
             ) partition by hash (organization_id);
             call protect_tenant_table('parted', 'select');
             create table parted_0 partition of parted for values with (modulus 1, remainder 0)",
            &[
                "parted_0: its owner has no policy for all rows",
                "parted_0: row-level security is not enabled",
                "parted_0: row-level security is not forced",
            ],
        ),
        (
            "create schema elsewhere; create table elsewhere.extras (id uuid)",
            &["elsewhere.extras: stands outside the schema public"],
        ),
        (
            "alter table gadgets drop constraint gadgets_pkey; alter table gadgets alter organization_id drop not null",
            &["gadgets: the column organization_id may be null"],
        ),
        (
            "create table extras (organization_id text not null, constraint extras_pkey primary key (organization_id));
             alter table extras enable row level security, force row level security;
             create policy owner_all on extras to current_user using (true) with check (true)",
            &[
                "extras: no foreign key leads to its organization",
                "extras: the column organization_id is not a uuid",
            ],
        ),
        (
            "alter table gadgets drop constraint gadgets_organization_fkey, drop constraint gadgets_contact_fkey",
            &["gadgets: no foreign key leads to its organization"],
        ),
        (
            "drop trigger refer_to_organizations on contacts; drop trigger refer_to_import_batches on contacts;
             alter table import_matches disable trigger refer_to_import_batches",
            &[
                "contacts: no foreign key leads to its organization",
                "import_matches: no foreign key leads to its organization",
            ],
        ),
        (
            "drop trigger touch_updated_at on gadgets",
            &["gadgets: has updated_at but no trigger touch_updated_at"],
        ),
        (
            "alter table gadgets disable trigger touch_updated_at",
            &["gadgets: has updated_at but no trigger touch_updated_at"],
        ),
        (
            "drop trigger touch_updated_at on gadgets;
             create trigger touch_updated_at before update of status on gadgets for each row execute function touch_updated_at()",
            &["gadgets: has updated_at but no trigger touch_updated_at"],
        ),
        (
            "alter table gadgets add constraint odd check (status <> 'odd')",
            &["gadgets: the constraint odd is not named gadgets_…_check"],
        ),
        (
            "alter table gadgets add check (status <> 'odd')",
            &["gadgets: the constraint gadgets_status_check1 is not named gadgets_…_check"],
        ),
        (
            "alter table gadgets rename constraint gadgets_pkey to gadgets_key",
            &["gadgets: the primary key gadgets_key is not named gadgets_pkey"],
        ),
        (
            "alter index gadgets_contact_idx rename to by_contact",
            &["gadgets: the index by_contact is not named gadgets_…_idx"],
        ),
        ("create type colour as enum ('red')", &["colour: is an enum type"]),
        (
            "alter table gadgets drop constraint gadgets_status_check",
            &["gadgets: no CHECK says which values status may have"],
        ),
        (
            "alter table gadgets add actor_kind text",
            &["gadgets: no CHECK says which values actor_kind may have"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_rules_for_keys_and_indexes_bite() {
    check(&[
        (
            "alter table gadgets drop constraint gadgets_contact_fkey;
             create table parents (organization_id uuid not null constraint parents_organization_fkey references organizations (id),
                 id uuid not null constraint parents_id_key unique, constraint parents_pkey primary key (organization_id, id));
             call protect_tenant_table('parents', 'select');
             alter table gadgets add constraint gadgets_contact_fkey foreign key (contact_id) references parents (id);
             create index gadgets_parent_idx on gadgets (organization_id, contact_id)",
            &[
                "gadgets: no index begins with the columns of the foreign key gadgets_contact_fkey",
                "gadgets: the foreign key gadgets_contact_fkey does not tie its organization to that of parents",
                "parents: the unique index parents_id_key knows no tenant",
            ],
        ),
        (
            // Both have the columns, yet crosswise.
            "alter table contacts add constraint contacts_crosswise_key unique (id, organization_id);
             alter table gadgets drop constraint gadgets_contact_fkey,
                 add constraint gadgets_contact_fkey foreign key (organization_id, contact_id) references contacts (id, organization_id)",
            &[
                "contacts: the index contacts_crosswise_key does not begin with the tenant",
                "gadgets: the foreign key gadgets_contact_fkey does not tie its organization to that of contacts",
            ],
        ),
        (
            "alter table gadgets drop constraint gadgets_contact_fkey,
                 add constraint gadgets_contact_fkey foreign key (organization_id, contact_id)
                     references contacts (organization_id, id) on delete set null",
            &["gadgets: the foreign key gadgets_contact_fkey clears organization_id when its parent is deleted"],
        ),
        (
            "alter table gadgets drop constraint gadgets_contact_fkey,
                 add constraint gadgets_contact_fkey foreign key (organization_id, contact_id)
                     references contacts (organization_id, id) on delete set default (contact_id, organization_id)",
            &["gadgets: the foreign key gadgets_contact_fkey clears organization_id when its parent is deleted"],
        ),
        (
            "alter table gadgets drop constraint gadgets_contact_fkey,
                 add constraint gadgets_contact_fkey foreign key (organization_id, contact_id)
                     references contacts (organization_id, id) on update cascade",
            &["gadgets: the foreign key gadgets_contact_fkey does something when a key is updated"],
        ),
        (
            "drop index gadgets_contact_idx",
            &["gadgets: no index begins with the columns of the foreign key gadgets_contact_fkey"],
        ),
        (
            "drop index gadgets_contact_idx;
             create index gadgets_contact_idx on gadgets (organization_id, contact_id) where contact_id is not null",
            &[],
        ),
        (
            "drop index gadgets_contact_idx;
             create index gadgets_contact_idx on gadgets (organization_id, contact_id) where status = 'new'",
            &["gadgets: no index begins with the columns of the foreign key gadgets_contact_fkey"],
        ),
        (
            "create unique index gadgets_contact_key on gadgets (contact_id)",
            &["gadgets: the unique index gadgets_contact_key knows no tenant"],
        ),
        (
            // A column that is only carried along does not make the key the tenant's.
            "create unique index gadgets_contact_key on gadgets (contact_id) include (organization_id)",
            &["gadgets: the unique index gadgets_contact_key knows no tenant"],
        ),
        (
            "create index gadgets_status_idx on gadgets (status, organization_id)",
            &["gadgets: the index gadgets_status_idx does not begin with the tenant"],
        ),
        (
            "create index gadgets_status_idx on gadgets (lower(status))",
            &["gadgets: the index gadgets_status_idx does not begin with the tenant"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_rules_for_policies_bite() {
    // Policies with the same wrong comparison in both clauses.
    let wrong = |what: &str| format!("alter policy app_tenant on gadgets using ({what}) with check ({what})");
    let both: &[&str] = &[
        "gadgets: the policy app_tenant does not compare organization_id with the tenant in USING",
        "gadgets: the policy app_tenant does not compare organization_id with the tenant in WITH CHECK",
    ];
    let db = prepared().await;
    for what in [
        "true".to_owned(),
        format!("{TENANT} or true"),
        "organization_id = current_setting('app.organization_id', true)::uuid".to_owned(),
        "organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)".to_owned(),
        "organization_id = nullif(current_setting('app.organization_id'), '')::uuid".to_owned(),
        "organization_id = nullif(current_setting('app.organization', true), '')::uuid".to_owned(),
        "id = nullif(current_setting('app.organization_id', true), '')::uuid".to_owned(),
    ] {
        assert_eq!(found_after(&db.1, &wrong(&what)).await, both, "{what}");
    }
    assert_eq!(found_after(&db.1, &wrong(TENANT)).await, [""; 0]);

    let fresh = |rest: &str| format!("drop policy app_tenant on gadgets; create policy app_tenant on gadgets {rest}");
    for (sql, expected) in [
        (
            format!("create policy everybody on gadgets to public using ({TENANT}) with check ({TENANT})"),
            &["gadgets: the policy everybody is for PUBLIC"][..],
        ),
        ("alter policy app_tenant on gadgets using (true)".to_owned(), &both[..1]),
        ("alter policy app_tenant on gadgets with check (true)".to_owned(), &both[1..]),
        (fresh(&format!("to martlet_app using ({TENANT})")), &both[1..]),
        (
            format!("create policy more on gadgets for select to martlet_app using ({TENANT})"),
            &["gadgets: martlet_app has several policies for SELECT: app_tenant, more"],
        ),
        (
            // Not the same roles, yet one role in both.
            format!(
                "create policy more on gadgets for insert to martlet_sender, martlet_inbound with check ({TENANT})"
            ),
            &["gadgets: martlet_sender has several policies for INSERT: more, sender_batch"],
        ),
        ("create policy less on gadgets as restrictive to martlet_app using (status = 'new')".to_owned(), &[]),
        ("drop policy owner_all on gadgets".to_owned(), &["gadgets: its owner has no policy for all rows"]),
        (
            "alter policy owner_all on gadgets using (status = 'new')".to_owned(),
            &["gadgets: its owner has no policy for all rows"],
        ),
        (
            fresh(&format!("for select to martlet_app using ({TENANT})")),
            &["gadgets: martlet_app has privileges but no policy for all commands"],
        ),
        (
            "grant update (status) on gadgets to martlet_inbound".to_owned(),
            &["gadgets: martlet_inbound has privileges but no policy for all commands"],
        ),
    ] {
        assert_eq!(found_after(&db.1, &sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn the_rules_for_privileges_bite() {
    check(&[
        (
            "grant select on gadgets to public",
            &["gadgets: PUBLIC has SELECT"],
        ),
        ("grant update (status) on gadgets to public", &["gadgets: PUBLIC has UPDATE"]),
        ("grant select on system_config to public", &["system_config: PUBLIC has SELECT"]),
        ("grant truncate on gadgets to martlet_app", &["gadgets: martlet_app has TRUNCATE"]),
        ("grant trigger on gadgets to martlet_sender", &["gadgets: martlet_sender has TRIGGER"]),
        ("grant references (id) on gadgets to martlet_sender", &["gadgets: martlet_sender has REFERENCES"]),
        ("grant select on gadgets to martlet_app with grant option", &["gadgets: martlet_app may grant SELECT to others"]),
        ("create sequence gadget_numbers; grant usage on gadget_numbers to martlet_app", &["gadget_numbers: martlet_app may use a sequence"]),
        ("alter default privileges grant select on tables to martlet_app", &["default privileges: martlet_app get SELECT on what is made later"]),
        ("alter default privileges grant select on tables to public", &["default privileges: all get SELECT on what is made later"]),
        ("create view seen as select * from gadgets", &["seen: the view is not security_invoker"]),
        ("create view seen with (security_invoker = off) as select * from gadgets", &["seen: the view is not security_invoker"]),
        ("create view seen with (security_invoker) as select * from gadgets", &[]),
        (
            "create materialized view kept as select * from gadgets; grant select (id) on kept to martlet_feedback",
            &["kept: martlet_feedback may read the materialized view"],
        ),
        ("create function open_to_all() returns int language sql as 'select 1'; grant execute on function open_to_all() to public", &["open_to_all(): PUBLIC may execute it"]),
        (
            "grant execute on function domain_is_taken(text, uuid) to public",
            &["domain_is_taken(text,uuid): PUBLIC may execute it"],
        ),
        (
            "alter function domain_is_taken(text, uuid) reset search_path",
            &["domain_is_taken(text,uuid): SECURITY DEFINER without search_path = pg_catalog, public, pg_temp"],
        ),
        (
            "alter function domain_is_taken(text, uuid) set search_path = pg_catalog, public",
            &["domain_is_taken(text,uuid): SECURITY DEFINER without search_path = pg_catalog, public, pg_temp"],
        ),
        (
            "alter function clock_now() security definer set search_path = pg_catalog, public, pg_temp",
            &["clock_now(): SECURITY DEFINER, but not among the functions across tenants"],
        ),
        (
            "drop table provider_accounts cascade;
             alter table organizations drop constraint organizations_slug_key;
             alter table system_config add organization_id uuid;
             alter function domain_is_taken(text, uuid) security invoker",
            &[
                "domain_is_taken: an exemption names a function that is not SECURITY DEFINER",
                "organizations_slug_key: an exemption names an index that does not exist",
                "provider_accounts: an exemption names a table that does not exist",
                "system_config: an exemption names a table that has a tenant",
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_rules_for_roles_bite() {
    // Roles belong to the cluster: those made here are undone with the transaction, and other tests never see them.
    let (_db, owner) = prepared().await;
    for (sql, expected) in [
        ("create role bad_one login", &[][..]),
        ("create role bad_one createdb", &["bad_one: a run-time role has the attribute CREATEDB"]),
        ("create role bad_one createrole", &["bad_one: a run-time role has the attribute CREATEROLE"]),
        ("create role bad_one in role martlet_app", &["bad_one: a run-time role is a member of martlet_app"]),
        ("select 1", &["bad_one: there is no such role"]),
        (
            "create role bad_one; create table extras (id uuid constraint extras_pkey primary key);
             grant create on schema public to bad_one; grant bad_one to current_user; alter table system_config owner to bad_one;
             revoke bad_one from current_user; drop table extras",
            &["bad_one: a run-time role may create in the schema public", "bad_one: a run-time role owns table system_config"],
        ),
    ] {
        assert_eq!(found_among(&owner, sql, "bad_one").await, expected, "{sql}");
    }
    // What only a superuser could give, the cluster's own superuser has.
    let superuser: String =
        owner.query_typed("select rolname::text from pg_roles where oid = 10", &[]).await.unwrap()[0].get(0);
    let found = found_among(&owner, "select 1", &superuser).await;
    for attribute in ["SUPERUSER", "BYPASSRLS", "CREATEDB", "CREATEROLE", "REPLICATION"] {
        let sentence = format!("{superuser}: a run-time role has the attribute {attribute}");
        assert!(found.contains(&sentence), "{sentence} is not in {found:?}");
    }
}

/// Runs each case in a transaction of its own, which is undone.
async fn check(cases: &[Case]) {
    let (_db, owner) = prepared().await;
    for (sql, expected) in cases {
        assert_eq!(found_after(&owner, sql).await, *expected, "{sql}");
    }
}

async fn prepared() -> (TestDb, Client) {
    let db = TestDb::new().await;
    let owner = db.owner().await;
    owner.batch_execute(GADGETS).await.unwrap();
    (db, owner)
}

async fn found_after(owner: &Client, sql: &str) -> Vec<String> {
    found_among(owner, sql, RUN_TIME_ROLES[0]).await
}

/// What is found once `sql` is done, `another` being counted among the run-time roles.
async fn found_among(owner: &Client, sql: &str, another: &str) -> Vec<String> {
    owner.batch_execute(&format!("begin; {sql}")).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let found = catalog::violations_among(owner, &[RUN_TIME_ROLES, &[another]].concat()).await;
    owner.batch_execute("rollback").await.unwrap();
    found
}
