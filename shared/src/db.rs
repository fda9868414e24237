//! The way to the database: one pool, and transactions that know their tenant.
//!
//! Every statement on tenant data runs inside a [`Tx`]. Opening one sends `BEGIN`, the tenant and the clock as one
//! simple message; with [`Database::begin_with`] and [`Database::begin_for_with`] the first statements travel in the same
//! flight, and with [`Database::begin_after`] a small transaction before it. A `Tx` dropped unfinished takes its connection with it: an open
//! transaction handed on would be committed by the next tenant.

pub mod migrations;

use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesOrdered, StreamExt as _, TryStreamExt as _};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, OrganizationId, Result};

/// A function serves one event at a time, so a second connection would only stand idle and count against the server: but for
/// the importer's, see [`Database::allow_connections`].
const CONNECTIONS: usize = 1;
/// A frozen environment's connection may be dead without knowing it; older than this it is not trusted.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Longer than this the caller is better served by an answer that says to come back.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// People's and the machine's clock may differ by this much before simulated time is suspected.
const CLOCK_TOLERANCE: chrono::Duration = chrono::Duration::seconds(1);

/// How the server proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// The certificate is verified against the web's roots, or the given bundle, and the host name.
    VerifyFull,
    /// No encryption: for a server on the loopback interface.
    Disable,
}

/// Where the function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Deployed to AWS: simulated time is refused.
    Deployed,
    /// On the local stack or in a test, where the clock may be shifted.
    Local,
}

/// How to reach the database, as one role.
#[derive(Clone)]
pub struct Config {
    /// Host name, verified against the certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database name.
    pub dbname: String,
    /// The role to log in as.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How the server proves who it is.
    pub tls: Tls,
    /// Certificates (PEM) that are trusted beside the web's roots, for instance the RDS bundle.
    pub ca_bundle: Option<String>,
    /// Where the function runs.
    pub stage: Stage,
}

/// A pool of connections as one role.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    stage: Stage,
    /// How long the server works on one statement.
    patience: Option<Duration>,
}

impl Database {
    /// Prepares the pool; nothing is connected before the first use.
    ///
    /// Errors: [`Error::Internal`] when the certificates of the bundle can't be read.
    pub fn new(config: &Config) -> Result<Self> {
        let postgres = login(config);
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match config.tls {
            Tls::VerifyFull => Manager::from_config(postgres, tls(config)?, manager_config),
            Tls::Disable => Manager::from_config(postgres, tokio_postgres::NoTls, manager_config),
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(CONNECT_TIMEOUT))
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .pre_recycle(Hook::sync_fn(|_, metrics| {
                if metrics.last_used() > IDLE_LIMIT {
                    return Err(HookError::message("idle for too long"));
                }
                Ok(())
            }))
            .build()
            .map_err(Error::internal)?;
        Ok(Self { pool, stage: config.stage, patience: None })
    }

    /// Has the server give up a statement that takes longer than `patience`: whoever asks by an API does not wait for longer, and an
    /// invocation that was ended tells the server nothing. It answers as unavailable then.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Lets so many transactions be open at once, for a function that works in several at the same time.
    pub fn allow_connections(&self, count: usize) {
        self.pool.resize(count);
    }

    /// Opens a transaction that sees one organization.
    pub async fn begin(&self, organization: OrganizationId) -> Result<Tx> {
        let (tx, _) = self.open(Tenants::One(organization), None).await?;
        Ok(tx)
    }

    /// Opens a transaction that sees one organization and asks its first question in the same round trip.
    ///
    /// The types of the parameters are given, so that nothing needs to be prepared first: a statement that is prepared
    /// beside `BEGIN` would run before the tenant is set and silently find nothing.
    pub async fn begin_with(
        &self,
        organization: OrganizationId,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(Tx, Vec<Row>)> {
        self.open(Tenants::One(organization), Some((sql, params))).await
    }

    /// Runs a statement in a transaction of its own, which is committed before another one opens: all in one round trip.
    ///
    /// What the statement locks is free again before the transaction's work begins, and stays done when that is undone.
    /// The statement is prepared once a connection, before anything is sent.
    pub async fn begin_after(
        &self,
        organization: OrganizationId,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(Tx, Vec<Row>)> {
        let tenants = Tenants::One(organization);
        let mut tx = self.unopened(&tenants).await?;
        let (first, second) = (tenants.begin(self.patience), format!("COMMIT; {}", tenants.begin(self.patience)));
        let (params, types): (Vec<_>, Vec<_>) = params.iter().map(|(param, r#type)| (*param, r#type.clone())).unzip();
        let client = tx.client()?;
        // Before all that is sent together: every request of a warm function begins with this statement.
        let statement = [(client.prepare_typed_cached(sql, &types).await?, params.as_slice())];
        let (began, rows, opened) =
            tokio::join!(client.simple_query(&first), send_each(client, &statement), client.simple_query(&second));
        began?;
        // A COMMIT after a failed statement rolls back, and says nothing of it.
        let [rows] = rows?;
        tx.now = read_clock(&opened?, self.stage)?;
        Ok((tx, rows))
    }

    /// Opens a transaction that sees the given organizations, for the roles that work on several.
    pub async fn begin_for(&self, organizations: &[OrganizationId]) -> Result<Tx> {
        let (tx, _) = self.open(Tenants::Batch(organizations), None).await?;
        Ok(tx)
    }

    /// Opens a transaction that sees the given organizations and runs its first statements in the same round trip, as
    /// [`Tx::query_each`] runs them.
    pub async fn begin_for_with<const N: usize>(
        &self,
        organizations: &[OrganizationId],
        statements: [Statement<'_>; N],
    ) -> Result<(Tx, [Vec<Row>; N])> {
        let tenants = Tenants::Batch(organizations);
        let mut tx = self.unopened(&tenants).await?;
        let client = tx.client()?;
        let statements = prepare_each(client, statements).await?;
        let begin = tenants.begin(self.patience);
        let (opened, rows) = tokio::join!(client.simple_query(&begin), send_each(client, &statements));
        tx.now = read_clock(&opened?, self.stage)?;
        Ok((tx, rows?))
    }

    async fn open(&self, tenants: Tenants<'_>, first: Option<FirstStatement<'_>>) -> Result<(Tx, Vec<Row>)> {
        let mut tx = self.unopened(&tenants).await?;
        let begin = tenants.begin(self.patience);
        let (opened, rows) = match first {
            None => (tx.client()?.simple_query(&begin).await, Ok(Vec::new())),
            Some((sql, params)) => {
                let client = tx.client()?;
                tokio::join!(client.simple_query(&begin), client.query_typed(sql, params))
            }
        };
        tx.now = read_clock(&opened?, self.stage)?;
        Ok((tx, rows?))
    }

    /// A connection, which from here on is thrown away unless its transaction is finished.
    async fn unopened(&self, tenants: &Tenants<'_>) -> Result<Tx> {
        let client = self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(error) => Error::from(error),
            other => Error::Unavailable(Box::new(other)),
        })?;
        Ok(Tx { client: Some(client), now: DateTime::UNIX_EPOCH, organization: tenants.single() })
    }
}

/// How a statement is planned whose plan is made for its values, until the transaction ends. A row that is looked up by its index
/// comes from memory or from a disk that seeks nothing, as every database in the cloud has; the server's usual guess is that it
/// costs four times what it costs in its turn, and so it reads tables through for a few thousand rows. To compile a plan takes
/// longer than to run these.
const PLANNED_ONCE: &str = "SELECT set_config('random_page_cost', '1.1', true), set_config('jit', 'off', true)";

/// The parameters of a statement.
pub type Params<'a, const N: usize> = [&'a (dyn ToSql + Sync); N];

/// A statement and its parameters.
pub type Statement<'a> = (&'a str, &'a [&'a (dyn ToSql + Sync)]);

/// A statement that the connection knows, and its parameters.
type Prepared<'a> = (tokio_postgres::Statement, &'a [&'a (dyn ToSql + Sync)]);

/// All of them, before any is sent: one that had to be prepared first would come after those that follow it.
async fn prepare_each<'a, const N: usize>(
    client: &Object,
    statements: [Statement<'a>; N],
) -> Result<Vec<Prepared<'a>>> {
    let mut prepared = Vec::with_capacity(N);
    for (sql, params) in statements {
        prepared.push((client.prepare_cached(sql).await?, params));
    }
    Ok(prepared)
}

/// Sends statements in their order, which is the order in which their futures are first polled, and the one in which the
/// server runs them. Those after one that fails fail as well, in a transaction: the error is that of the first.
#[expect(clippy::disallowed_methods, reason = "this is the one home of the driver's query methods")]
async fn send_each<const N: usize>(client: &Object, statements: &[Prepared<'_>]) -> Result<[Vec<Row>; N]> {
    let sent = statements.iter().map(|(statement, params)| client.query(statement, params));
    let answers: Vec<Vec<Row>> = join_all(sent).await.into_iter().collect::<Result<_, _>>()?;
    answers.try_into().map_err(|_| Error::internal("a statement has no answer"))
}

/// A statement and its parameters with their types.
type FirstStatement<'a> = (&'a str, &'a [(&'a (dyn ToSql + Sync), Type)]);

enum Tenants<'a> {
    One(OrganizationId),
    Batch(&'a [OrganizationId]),
}

impl Tenants<'_> {
    fn single(&self) -> Option<OrganizationId> {
        match self {
            Self::One(organization) => Some(*organization),
            Self::Batch(_) => None,
        }
    }

    /// The opening message. What is put into the text are uuids, whose form leaves no room for anything else.
    fn begin(&self, patience: Option<Duration>) -> String {
        // A single organization is a batch of one as well, for the roles that work on batches.
        let (one, batch) = match self {
            Self::One(organization) => (organization.to_string(), organization.to_string()),
            Self::Batch(organizations) => {
                let ids: Vec<String> = organizations.iter().map(ToString::to_string).collect();
                (String::new(), ids.join(","))
            }
        };
        let patience = patience.map_or_else(String::new, |patience| {
            format!(", set_config('statement_timeout', '{}', true)", patience.as_millis())
        });
        format!(
            "BEGIN; SELECT set_config('app.organization_ids', '{batch}', true), \
             extract(epoch from clock_now())::text, extract(epoch from now())::text, \
             set_config('app.organization_id', '{one}', true){patience}"
        )
    }
}

/// Reads people's time from the answer to the opening message, refusing a shifted clock outside the local stack.
fn read_clock(answer: &[SimpleQueryMessage], stage: Stage) -> Result<DateTime<Utc>> {
    let row = answer
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .ok_or_else(|| Error::internal("the opening message returned no clock"))?;
    let instant = |column| -> Result<DateTime<Utc>> {
        let text: &str = row.try_get(column)?.unwrap_or_default();
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = seconds.parse().map_err(Error::internal)?;
        let micros: u32 = format!("{fraction:0<6}").parse().map_err(Error::internal)?;
        DateTime::from_timestamp(seconds, micros * 1000).ok_or_else(|| Error::internal("the clock is out of range"))
    };
    let (people, machine) = (instant(1)?, instant(2)?);
    if stage == Stage::Deployed && (people - machine).abs() > CLOCK_TOLERANCE {
        return Err(Error::internal("clock_now() differs from now(): simulated time is for the local stack alone"));
    }
    Ok(people)
}

fn login(config: &Config) -> tokio_postgres::Config {
    let mut postgres = tokio_postgres::Config::new();
    postgres
        .host(&config.host)
        .port(config.port)
        .dbname(&config.dbname)
        .user(&config.user)
        .password(&config.password)
        .application_name("martlet")
        .connect_timeout(CONNECT_TIMEOUT)
        .ssl_mode(match config.tls {
            Tls::VerifyFull => SslMode::Require,
            Tls::Disable => SslMode::Disable,
        });
    postgres
}

fn tls(config: &Config) -> Result<MakeRustlsConnect> {
    Ok(MakeRustlsConnect::new(client_config(config.ca_bundle.as_deref())?))
}

/// One connection outside any pool and any tenant, for the migrator.
pub async fn connect_as_owner(config: &Config) -> Result<tokio_postgres::Client> {
    // The connection's own future ends with the client; a failure shows in the client's next call.
    match config.tls {
        Tls::VerifyFull => {
            let (client, connection) = login(config).connect(tls(config)?).await?;
            tokio::spawn(connection);
            Ok(client)
        }
        Tls::Disable => {
            let (client, connection) = login(config).connect(tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

fn client_config(ca_bundle: Option<&str>) -> Result<rustls::ClientConfig> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let mut roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(bundle) = ca_bundle {
        for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(certificate.map_err(Error::internal)?).map_err(Error::internal)?;
        }
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// An open transaction that sees one organization, or the organizations of a batch.
///
/// It ends by [`Tx::commit`] or [`Tx::rollback`]; dropped before that, its connection is closed.
pub struct Tx {
    client: Option<Object>,
    now: DateTime<Utc>,
    organization: Option<OrganizationId>,
}

#[expect(clippy::disallowed_methods, reason = "this is the one home of the driver's query methods")]
impl Tx {
    /// People's time at the start of the transaction: due times, windows, caps and lateness are measured by it.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The organization whose rows this transaction sees.
    ///
    /// Errors: [`Error::Internal`] in a transaction on a batch of organizations.
    pub fn organization(&self) -> Result<OrganizationId> {
        self.organization.ok_or_else(|| Error::internal("this transaction has no single organization"))
    }

    /// Runs a statement, prepared once a connection, and returns its rows.
    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, params).await?)
    }

    /// Runs a statement, prepared once a connection, and returns its first rows: the one with which they pass `most` bytes, as they come
    /// from the server, is the last. What the server has beyond that is thrown away as it comes, so that no more is held than that.
    pub async fn query_within(&self, most: usize, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        let mut stream = pin!(client.query_raw(&statement, params.iter().copied()).await?);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes <= most
            && let Some(row) = stream.try_next().await?
        {
            bytes += row.raw_size_bytes();
            rows.push(row);
        }
        Ok(rows)
    }

    /// Runs a statement that returns exactly one row.
    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query_one(&statement, params).await?)
    }

    /// Runs a statement that returns one row or none.
    pub async fn query_opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query_opt(&statement, params).await?)
    }

    /// Runs a statement that is planned for these very values, and forgotten: one whose plan depends on them more than planning
    /// costs, or that is never asked again. The types of the parameters are given, since nothing is prepared.
    pub async fn query_once(&self, sql: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        let client = self.client()?;
        let (planned, rows) = tokio::join!(client.batch_execute(PLANNED_ONCE), client.query_typed(sql, params));
        planned?;
        Ok(rows?)
    }

    /// Runs statements one after another, sent together: one round trip for all of them. Each is a statement of its own,
    /// which sees what was committed before it began, and so after those before it got their locks.
    ///
    /// Errors: that of the first which fails; those after it do nothing.
    pub async fn query_each<const N: usize>(&self, statements: [Statement<'_>; N]) -> Result<[Vec<Row>; N]> {
        let client = self.client()?;
        let statements = prepare_each(client, statements).await?;
        send_each(client, &statements).await
    }

    /// Runs a statement once with each of these parameters, in their order. The server is at work on the first while the
    /// others are being written and sent.
    ///
    /// Errors: that of the first which fails; those after it do nothing.
    pub async fn execute_each<const N: usize>(&self, sql: &str, each: &[Params<'_, N>]) -> Result<()> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        let mut sent = FuturesOrdered::new();
        for params in each {
            sent.push_back(client.execute(&statement, params));
            // The first poll puts it into the connection's queue, the connection's own task sends it.
            if let Some(Some(Err(error))) = sent.next().now_or_never() {
                return Err(error.into());
            }
            tokio::task::yield_now().await;
        }
        while let Some(done) = sent.next().await {
            done?;
        }
        Ok(())
    }

    /// Runs a statement and returns how many rows it touched.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.execute(&statement, params).await?)
    }

    /// Marks this place: what is done from here on is kept by [`Tx::keep`] or undone by [`Tx::take_back`], with as much work for
    /// the one as for the other. One mark at a time.
    pub async fn mark(&self) -> Result<()> {
        Ok(self.client()?.batch_execute("SAVEPOINT mark").await?)
    }

    /// Keeps what was done since the mark.
    pub async fn keep(&self) -> Result<()> {
        Ok(self.client()?.batch_execute("RELEASE SAVEPOINT mark").await?)
    }

    /// Undoes what was done since the mark. Locks that it took are free again.
    pub async fn take_back(&self) -> Result<()> {
        Ok(self.client()?.batch_execute("ROLLBACK TO SAVEPOINT mark").await?)
    }

    /// Makes what was done visible and durable, and gives the connection back.
    ///
    /// Errors: also when a statement before has failed. To a bare COMMIT the server would then answer with ROLLBACK and
    /// no error; the SELECT in front of it fails instead.
    pub async fn commit(self) -> Result<()> {
        crate::fault_points::reach("commit");
        self.finish("SELECT; COMMIT").await
    }

    /// Undoes what was done and gives the connection back.
    pub async fn rollback(self) -> Result<()> {
        self.finish("ROLLBACK").await
    }

    async fn finish(mut self, how: &str) -> Result<()> {
        self.client()?.batch_execute(how).await?;
        // Only now may the pool have the connection again.
        drop(self.client.take());
        Ok(())
    }

    fn client(&self) -> Result<&Object> {
        self.client.as_ref().ok_or_else(|| Error::internal("the transaction is over"))
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
