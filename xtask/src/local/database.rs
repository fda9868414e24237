//! Logins to PostgreSQL, and the owner of the database: it may create roles, but is no superuser,
//! since that is what a managed PostgreSQL gives.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// The name of the database.
pub(crate) const NAME: &str = "martlet";
/// The login that owns it.
pub(crate) const OWNER: &str = "martlet_owner";
/// The oldest server that serves.
const OLDEST_SERVER: u32 = 16;

/// How to log in to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Name or address of the server.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// The role to log in as.
    pub(crate) user: String,
    /// Its password.
    pub(crate) password: String,
    /// The database to use.
    pub(crate) database: String,
}

impl Login {
    /// Reads a URL as `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// Says which part is missing, and never repeats the URL, which holds a password.
    pub(crate) fn from_url(url: &str) -> Result<Self> {
        let config: Config = url.parse().context("DATABASE_URL is no URL of PostgreSQL")?;
        if config.get_ssl_mode() == SslMode::Require {
            bail!("DATABASE_URL asks for TLS, which the local stack does not speak; use a server on this machine");
        }
        let [Host::Tcp(host)] = config.get_hosts() else {
            bail!("DATABASE_URL has to name one host that is reached over TCP, as 127.0.0.1");
        };
        let password = config.get_password().context("DATABASE_URL has no password; add the owner's")?;
        Ok(Self {
            host: host.clone(),
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().context("DATABASE_URL has no user; add the owner")?.into(),
            password: String::from_utf8(password.into()).context("the password in DATABASE_URL is not UTF-8")?,
            database: config.get_dbname().context("DATABASE_URL has no database; add its name")?.into(),
        })
    }

    /// The login as a URL, password included.
    pub(crate) fn url(&self) -> String {
        let Self { host, port, .. } = self;
        let [user, password, database] = [&self.user, &self.password, &self.database].map(|part| percent_encoded(part));
        format!("postgres://{user}:{password}@{host}:{port}/{database}")
    }

    /// The login as a URL without the password, for people.
    pub(crate) fn url_without_password(&self) -> String {
        format!("postgres://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }

    /// Connects. The connection ends with the client.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).dbname(&self.database).user(&self.user).password(&self.password);
        config.ssl_mode(SslMode::Disable).application_name("xtask");
        let (client, connection) =
            config.connect(NoTls).await.with_context(|| format!("can't log in to {}", self.url_without_password()))?;
        // An error of the connection comes to light in the client's next call.
        tokio::spawn(connection);
        Ok(client)
    }
}

/// Checks that a server that the user brings serves, and returns its version.
///
/// # Errors
///
/// Fails with the remedy where the server is too old, has no pgvector, or the login may not do what migrations do.
pub(crate) async fn check(login: &Login) -> Result<String> {
    let client = login.connect().await.context("DATABASE_URL names a database that can't be used")?;
    let number = value(&client, "select current_setting('server_version_num')").await?;
    let version = value(&client, "select current_setting('server_version')").await?;
    if major(&number)? < OLDEST_SERVER {
        bail!("the server at DATABASE_URL is PostgreSQL {version}; use {OLDEST_SERVER} or later");
    }
    let checks = [
        (
            "select count(*) from pg_available_extensions where name = 'vector'",
            "the server at DATABASE_URL has no pgvector; install it (Debian and Ubuntu: `apt install postgresql-18-pgvector`)",
        ),
        (
            "select count(*) from pg_roles where rolname = current_user and (rolcreaterole or rolsuper)",
            "the user in DATABASE_URL may not create roles; `ALTER ROLE … CREATEROLE`",
        ),
        (
            "select count(*) where has_database_privilege(current_database(), 'CREATE') \
             and has_schema_privilege('public', 'CREATE')",
            "the user in DATABASE_URL may not create tables; make it the owner: `ALTER DATABASE … OWNER TO …`",
        ),
    ];
    for (query, remedy) in checks {
        if value(&client, query).await? == "0" {
            bail!(remedy);
        }
    }
    Ok(version)
}

/// Makes the owner and its database where they are missing, and sets the owner's password.
pub(crate) async fn make_owned_database(superuser: &Login, password: &str) -> Result<()> {
    let client = make_owner(superuser, "createrole", password).await?;
    if value(&client, &format!("select count(*) from pg_database where datname = '{NAME}'")).await? == "0" {
        run(&client, &format!("create database {NAME} owner {OWNER}")).await?;
    }
    Ok(())
}

/// Makes an owner that may create databases too, one for each test, and end what is still connected to one that it drops.
pub(crate) async fn make_creating_owner(superuser: &Login, password: &str) -> Result<()> {
    let client = make_owner(superuser, "createrole createdb", password).await?;
    run(&client, &format!("grant pg_signal_backend to {OWNER}")).await
}

/// Makes the owner, and sees to it that every new database has pgvector, which only a superuser may add.
async fn make_owner(superuser: &Login, rights: &str, password: &str) -> Result<Client> {
    let template = Login { database: "template1".into(), ..superuser.clone() };
    run(&template.connect().await?, "create extension if not exists vector").await?;
    let client = superuser.connect().await?;
    if value(&client, &format!("select count(*) from pg_roles where rolname = '{OWNER}'")).await? == "0" {
        run(&client, &format!("create role {OWNER}")).await?;
    }
    // Passwords of ours need no quoting.
    run(&client, &format!("alter role {OWNER} login nosuperuser nobypassrls {rights} password '{password}'")).await?;
    Ok(client)
}

/// Runs SQL that is written in this program.
pub(crate) async fn run(client: &Client, sql: &str) -> Result<()> {
    // The statement may hold a password, so it is not shown.
    client.batch_execute(sql).await.context("the database refused a statement of xtask")
}

/// The one value of a query that is written in this program, as text.
async fn value(client: &Client, query: &str) -> Result<String> {
    let answer = client.simple_query(query).await.context("the database refused a query of xtask")?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.map(Into::into).context("a query of xtask returned no row")
}

/// The major number in `server_version_num`: 16 of 160014.
fn major(server_version_num: &str) -> Result<u32> {
    let number: u32 = server_version_num.parse().context("the server tells no version number")?;
    Ok(number / 10_000)
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            host: "127.0.0.1".into(),
            port: 5433,
            user: "o".into(),
            password: "a/b@c ü".into(),
            database: "d".into(),
        }
    }

    #[test]
    fn a_login_survives_its_url() {
        assert_eq!(login().url(), "postgres://o:a%2Fb%40c%20%C3%BC@127.0.0.1:5433/d");
        assert_eq!(Login::from_url(&login().url()).unwrap(), login());
    }

    #[test]
    fn a_url_without_a_port_means_the_usual_one() {
        assert_eq!(Login::from_url("postgres://o:p@db/d").unwrap().port, 5432);
    }

    #[test]
    fn what_is_missing_in_a_url_is_named_without_the_password() {
        for (url, word) in [
            ("postgres://o@db/d", "password"),
            ("postgres://o:hidden@db", "database"),
            ("postgres://o:hidden@db/d?sslmode=require", "TLS"),
            ("postgres://o:hidden@%2Frun/d", "TCP"),
            ("hidden", "DATABASE_URL"),
        ] {
            let error = format!("{:#}", Login::from_url(url).unwrap_err());
            assert!(error.contains(word) && !error.contains("hidden"), "{url}: {error}");
        }
    }

    #[test]
    fn the_major_number_is_read() {
        assert_eq!(major("160014").unwrap(), 16);
        assert_eq!(major("180004").unwrap(), 18);
        assert!(major("x").is_err());
    }
}
