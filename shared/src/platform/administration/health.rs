//! How the installation is: what waits and for how long, whether the scheduler runs, whether the provider is called.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Result, Tx};

/// What a queue holds, as far as the queue knows: its numbers are approximate. What is not known is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Queue {
    /// Its name in the installation, such as `send`.
    pub name: String,
    /// Hints that wait for a function.
    pub waiting: Option<i64>,
    /// Hints that a function has in its hands.
    pub in_flight: Option<i64>,
    /// Hints whose time has not come.
    pub delayed: Option<i64>,
    /// Hints that were given up, which nobody takes up by themselves.
    pub dead_letters: Option<i64>,
}

/// The queues of the installation.
pub trait Queues: Send + Sync {
    /// What each of them holds. One that does not answer is there, with nothing known.
    fn depths(&self) -> BoxFuture<'_, Vec<Queue>>;
}

/// A function that nobody calls by a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What brings it its work: one of the queues; null for the clock.
    pub queue: Option<&'static str>,
    /// When it last left a trace in the database; null where it has left none, or leaves none that is found at once: then its queue tells
    /// whether it works.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_sign_at: Option<DateTime<Utc>>,
}

/// The functions, and what brings them their work.
const FUNCTIONS: [(&str, Option<&str>); 9] = [
    ("scheduler", None),
    ("sender", Some("send")),
    ("importer", Some("import")),
    ("job_runner", Some("job")),
    ("feedback", Some("feedback")),
    ("inbound", Some("inbound")),
    ("dispatcher", Some("webhook")),
    ("enricher", Some("enrichment")),
    ("maintenance", None),
];

/// What waits in the database. A queue does not tell the age of what it holds; the rows behind the hints do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Work {
    /// `mails` whose time has come, `unresolved` ones (unknown or in review), running `imports`, unfinished `jobs`, `deliveries` of
    /// webhooks that are due.
    pub work: String,
    /// How many.
    pub waiting: i64,
    /// For how long the oldest has waited, or has shown no sign of life, in seconds.
    pub oldest_seconds: i64,
}

/// The scheduler.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Scheduler {
    /// How many runs there have been.
    pub runs: i64,
    /// When the last one confirmed the ledger; null before the first.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub last_run_at: Option<DateTime<Utc>>,
    /// When a restored database was last noticed.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub restored_at: Option<DateTime<Utc>>,
}

/// The breaker of a provider account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Breaker {
    /// The account.
    pub account: String,
    /// `closed`, or `open` while nothing is sent.
    pub state: String,
    /// Why it is open.
    pub reason: Option<String>,
    /// Answers in a row that left the outcome unknown.
    pub failures: i32,
}

/// The database.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DatabaseHealth {
    /// The number of the latest migration.
    pub schema_version: i32,
    /// Its size in bytes.
    pub size_bytes: i64,
}

/// How the installation is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "InstallationHealth")]
pub struct Health {
    /// The queues.
    pub queues: Vec<Queue>,
    /// The functions that work by themselves.
    pub functions: Vec<Function>,
    /// What waits in the database.
    pub work: Vec<Work>,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// The breakers.
    pub breakers: Vec<Breaker>,
    /// The database.
    pub database: DatabaseHealth,
}

/// Looks at everything once. `queues` is what the queues have answered.
pub async fn examine(tx: &Tx, queues: Vec<Queue>) -> Result<Health> {
    let [work, signs, scheduler, breakers, database] = tx
        .query_each([
            (include_str!("health/work.sql"), &[]),
            (include_str!("health/signs.sql"), &[]),
            (include_str!("health/scheduler.sql"), &[]),
            (include_str!("health/breakers.sql"), &[]),
            (include_str!("health/database.sql"), &[]),
        ])
        .await?;
    let one = |rows: &[tokio_postgres::Row]| {
        rows.first().cloned().ok_or_else(|| crate::Error::internal("a question about the database has no answer"))
    };
    let (scheduler, database) = (one(&scheduler)?, one(&database)?);
    let mut functions = FUNCTIONS.map(|(name, queue)| Function { name, queue, last_sign_at: None });
    for sign in &signs {
        let of: &str = sign.try_get("function_name")?;
        if let Some(function) = functions.iter_mut().find(|function| function.name == of) {
            function.last_sign_at = sign.try_get("last_sign_at")?;
        }
    }
    Ok(Health {
        queues,
        functions: functions.into(),
        work: work
            .iter()
            .map(|row| {
                Ok(Work {
                    work: row.try_get("work")?,
                    waiting: row.try_get("waiting")?,
                    oldest_seconds: row.try_get("oldest_seconds")?,
                })
            })
            .collect::<Result<_>>()?,
        scheduler: Scheduler {
            runs: scheduler.try_get("runs")?,
            last_run_at: scheduler.try_get("last_run_at")?,
            restored_at: scheduler.try_get("restored_at")?,
        },
        breakers: breakers
            .iter()
            .map(|row| {
                Ok(Breaker {
                    account: row.try_get("name")?,
                    state: row.try_get("breaker")?,
                    reason: row.try_get("reason")?,
                    failures: row.try_get("failures")?,
                })
            })
            .collect::<Result<_>>()?,
        database: DatabaseHealth {
            schema_version: database.try_get("schema_version")?,
            size_bytes: database.try_get("size_bytes")?,
        },
    })
}
