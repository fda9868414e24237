//! Two organizations, each with a row in every table.

use std::collections::HashMap;

use shared::db::migrations::RUN_TIME_ROLES;
use shared::{Database, OrganizationId};
use testkit::TestDb;
use tokio_postgres::Client;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

/// A database in which two organizations have one row in every tenant table.
pub(crate) struct Everything {
    pub(crate) db: TestDb,
    pub(crate) owner: Client,
    pub(crate) first: OrganizationId,
    pub(crate) second: OrganizationId,
    pools: HashMap<&'static str, Database>,
}

impl Everything {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let owner = db.owner().await;
        let (first, second) = (OrganizationId::fresh(), OrganizationId::fresh());
        for organization in [first, second] {
            let sql = include_str!("everything.sql").replace("${ORGANIZATION}", &organization.to_string());
            owner.batch_execute(&sql).await.unwrap();
        }
        for (_, table, _) in granted(&owner, "SELECT").await {
            let rows = owner.query_typed(&format!("select from {table} limit 2"), &[]).await.unwrap().len();
            assert_eq!(rows, 2, "everything.sql has no row for the table {table}");
        }
        let pools = RUN_TIME_ROLES.iter().map(|role| (*role, db.as_role(role))).collect();
        Self { db, owner, first, second, pools }
    }

    /// The id of the organization's row of that name, as everything.sql makes it.
    pub(crate) async fn id(&self, organization: OrganizationId, name: &str) -> Uuid {
        self.read(&format!("select md5('{organization} {name}')::uuid")).await
    }

    /// Reads one value as the owner.
    pub(crate) async fn read<T>(&self, sql: &str) -> T
    where
        T: for<'a> FromSql<'a>,
    {
        self.owner.query_typed(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))[0].get(0)
    }

    /// The pool of a run-time role.
    pub(crate) fn role(&self, role: &str) -> &Database {
        &self.pools[role]
    }

    /// Every (role, table, column of the tenant) for which a run-time role has the privilege, if only for some columns.
    pub(crate) async fn granted(&self, privilege: &str) -> Vec<(String, String, &'static str)> {
        granted(&self.owner, privilege).await
    }

    /// Opens a transaction in which `role` sees one organization, in the way of that role.
    pub(crate) async fn begin(&self, role: &str, organization: OrganizationId) -> shared::Tx {
        let db = self.role(role);
        if role == "martlet_app" { db.begin(organization).await } else { db.begin_for(&[organization]).await }.unwrap()
    }
}

async fn granted(owner: &Client, privilege: &str) -> Vec<(String, String, &'static str)> {
    let rows = owner
        .query_typed(
            "select r.rolname::text, c.relname::text
               from pg_roles r, pg_class c
              where r.rolname = any ($1) and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                and c.relname <> all ($2) and has_any_column_privilege(r.oid, c.oid, $3)
              order by 1, 2",
            &[(&RUN_TIME_ROLES, Type::TEXT_ARRAY), (&without_tenant(), Type::TEXT_ARRAY), (&privilege, Type::TEXT)],
        )
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            let table: String = row.get(1);
            let tenant = if table == "organizations" { "id" } else { "organization_id" };
            (row.get(0), table, tenant)
        })
        .collect()
}

fn without_tenant() -> Vec<&'static str> {
    testkit::catalog::TABLES_WITHOUT_TENANT.iter().map(|(name, _)| *name).collect()
}
