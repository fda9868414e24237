//! One database per test, cloned from a template that is migrated once.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use shared::Database;
use shared::db::migrations::{MIGRATIONS, RUN_TIME_ROLES, migrate, set_password};
use shared::db::{Config, Stage, Tls};
use tokio_postgres::{Client, NoTls};

/// Roles belong to the test server, which listens on the loopback interface and is thrown away.
const ROLE_PASSWORD: &str = "for-tests-only";
/// Serializes the making of the template between test processes.
const TEMPLATE_LOCK: i64 = 0x7465_6d70;

/// A database of this test's own. It is dropped with the value.
pub struct TestDb {
    name: String,
    server: tokio_postgres::Config,
}

impl TestDb {
    /// Clones the template, making it first where this release's migrations have none yet.
    pub async fn new() -> Self {
        let server = server();
        let template = template_name();
        let admin = hold_roles_still().await;
        let exists = admin
            .query_typed(
                "select from pg_database where datname = $1",
                &[(&template, tokio_postgres::types::Type::TEXT)],
            )
            .await
            .unwrap();
        if exists.is_empty() {
            let unfinished = format!("{template}_unfinished");
            admin.batch_execute(&format!("drop database if exists {unfinished} with (force)")).await.unwrap();
            admin.batch_execute(&format!("create database {unfinished}")).await.unwrap();
            let mut config = server.clone();
            let mut owner = connect(config.dbname(&unfinished)).await;
            migrate(&mut owner).await.expect("the migrations run");
            for role in RUN_TIME_ROLES {
                set_password(&owner, role, ROLE_PASSWORD).await.unwrap();
            }
            // As if a scheduler had looked at it: what confirms a ledger is a subject of few tests.
            owner.batch_execute("update ledger_runs set confirmed_at = 'infinity'").await.unwrap();
            drop(owner);
            end_connections(&admin, &unfinished).await;
            admin.batch_execute(&format!("alter database {unfinished} rename to {template}")).await.unwrap();
        }
        Self::create(server, &admin, &copy_of(&template)).await
    }

    /// A database in which nothing has been migrated yet.
    pub async fn empty() -> Self {
        let server = server();
        let admin = connect(&server).await;
        Self::create(server, &admin, "").await
    }

    async fn create(server: tokio_postgres::Config, admin: &Client, options: &str) -> Self {
        let name = format!("test_{}", shared::ids::fresh().simple());
        admin.batch_execute(&format!("create database {name} {options}")).await.unwrap();
        Self { name, server }
    }

    /// Drops the database while this runtime goes on with what others do on it.
    pub async fn drop_beside(self) {
        tokio::task::spawn_blocking(move || drop(self)).await.unwrap();
    }

    /// A copy of this database as it is now. Every connection to it ends.
    pub async fn backup(&self) -> Self {
        let admin = connect(&self.server).await;
        end_connections(&admin, &self.name).await;
        Self::create(self.server.clone(), &admin, &copy_of(&self.name)).await
    }

    /// Puts a copy in the place of this database. Every connection to it ends.
    pub async fn restore(&self, backup: &Self) {
        let admin = connect(&self.server).await;
        admin.batch_execute(&format!("drop database {} with (force)", self.name)).await.unwrap();
        admin.batch_execute(&format!("create database {} {}", self.name, copy_of(&backup.name))).await.unwrap();
    }

    /// A pool that is logged in as `role`.
    #[must_use]
    pub fn as_role(&self, role: &str) -> Database {
        Database::new(&self.config(role)).unwrap()
    }

    /// How to log in as `role`.
    #[must_use]
    pub fn config(&self, role: &str) -> Config {
        let tokio_postgres::config::Host::Tcp(host) = &self.server.get_hosts()[0] else {
            panic!("TEST_DATABASE_URL names no TCP host");
        };
        let owner = self.server.get_user().unwrap();
        let owner_password = || String::from_utf8(self.server.get_password().unwrap().to_vec()).unwrap();
        Config {
            host: host.clone(),
            port: self.server.get_ports()[0],
            dbname: self.name.clone(),
            user: if role == "owner" { owner.to_owned() } else { role.to_owned() },
            password: if role == "owner" { owner_password() } else { ROLE_PASSWORD.to_owned() },
            tls: Tls::Disable,
            ca_bundle: None,
            stage: Stage::Local,
        }
    }

    /// A pool for tenant work, as the API has it.
    #[must_use]
    pub fn app(&self) -> Database {
        self.as_role("martlet_app")
    }

    /// A bare connection as `role`, outside any tenant transaction.
    pub async fn session(&self, role: &str) -> Client {
        let mut config = self.server.clone();
        connect(config.dbname(&self.name).user(role).password(ROLE_PASSWORD)).await
    }

    /// A bare connection as the owner, who sees every tenant.
    pub async fn owner(&self) -> Client {
        let mut config = self.server.clone();
        connect(config.dbname(&self.name)).await
    }

    /// Stops people's clock at `at` for every transaction that begins after this.
    pub async fn set_clock(&self, at: DateTime<Utc>) {
        self.owner()
            .await
            .batch_execute(&format!(
                "create or replace function clock_now() returns timestamptz language sql stable as $$ select timestamptz '{}' $$",
                at.to_rfc3339()
            ))
            .await
            .unwrap();
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // The test's runtime may be gone or busy: another thread with its own cleans up.
        let (name, server) = (self.name.clone(), self.server.clone());
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                connect(&server).await.batch_execute(&format!("drop database {name} with (force)")).await
            })
        });
        let dropped = cleaning.join();
        if !std::thread::panicking() {
            dropped.unwrap().unwrap();
        }
    }
}

/// Keeps every other test from altering roles, which belong to the server, and from making templates, until the
/// connection is dropped.
pub async fn hold_roles_still() -> Client {
    let admin = connect(&server()).await;
    admin.batch_execute(&format!("select pg_advisory_lock({TEMPLATE_LOCK})")).await.unwrap();
    admin
}

fn server() -> tokio_postgres::Config {
    #[expect(clippy::disallowed_methods, reason = "a test has no other way to learn of its server")]
    let url = std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL names no server: run the tests by `cargo xtask test`");
    url.parse().expect("TEST_DATABASE_URL can't be read")
}

/// How a database is made as a copy of another, by its files: the other way, page by page through the server's memory and its log,
/// takes twice as long for one of this size.
fn copy_of(template: &str) -> String {
    format!("template {template} strategy file_copy")
}

/// The template's name follows from the migrations, so that a changed migration gets a new template.
fn template_name() -> String {
    let mut hasher = DefaultHasher::new();
    MIGRATIONS.hash(&mut hasher);
    format!("martlet_template_{:016x}", hasher.finish())
}

/// Ends what is connected to a database, and waits until the server has noticed: a template may have no connections.
async fn end_connections(admin: &Client, database: &str) {
    admin
        .batch_execute(&format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{database}'"
        ))
        .await
        .unwrap();
}

async fn connect(config: &tokio_postgres::Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("the test server can be reached");
    tokio::spawn(connection);
    client
}
