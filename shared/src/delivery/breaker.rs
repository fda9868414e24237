//! The circuit breaker of the provider account: while it is open nothing is handed over, so that an outage does not turn a
//! backlog into sends whose outcome nobody knows.
//!
//! It opens when the account is paused, suspended or out of quota, and after several answers in a row that leave the
//! outcome unknown. Open, it lets a single probe through from time to time; the probe's success closes it.

use std::time::Duration;

use tokio_postgres::Row;

use crate::platform::config;
use crate::{Error, Result, Tx};

/// The one account of this installation.
pub(crate) const ACCOUNT: &str = "ses";

/// What may be handed over now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Admission {
    /// Everything.
    All,
    /// One message, to see whether the account answers again. It is this caller's probe alone.
    Probe {
        /// When the next probe may follow: machine time, in seconds.
        retry_after: f64,
    },
    /// Nothing before this many seconds have passed.
    Nothing {
        /// Machine time, in seconds.
        retry_after: f64,
    },
}

/// For so long mail is left alone that a ledger would send which is not confirmed, in seconds: a run of the scheduler.
const UNCONFIRMED_PAUSE: f64 = 60.0;

/// Asks how the breaker stands, with the name of the [`ACCOUNT`].
pub(crate) const READ: &str = include_str!("breaker/read.sql");

/// How the breaker stands.
pub(crate) struct Breaker {
    is_closed: bool,
    ledger_is_confirmed: bool,
    retry_after: f64,
}

impl Breaker {
    /// Reads the answer to [`READ`].
    pub(crate) fn from_rows(rows: &[Row]) -> Result<Self> {
        let row = rows.first().ok_or_else(|| Error::internal("the provider account is not there"))?;
        let is_closed = row.try_get::<_, &str>("breaker")? == "closed";
        let ledger_is_confirmed = row.try_get("ledger_is_confirmed")?;
        Ok(Self { is_closed, ledger_is_confirmed, retry_after: row.try_get("retry_after")? })
    }

    /// Whether everything may be handed over.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether the ledger is known to be the newest. Nothing is planned or handed over by another.
    pub(crate) fn ledger_is_confirmed(&self) -> bool {
        self.ledger_is_confirmed
    }

    /// Tells a caller who has something to hand over what it may: taking the probe moves the time of the next.
    pub(crate) async fn admit(&self, tx: &Tx) -> Result<Admission> {
        if !self.ledger_is_confirmed {
            tracing::error!("nothing is sent by this ledger until a run of the scheduler has confirmed it");
            return Ok(Admission::Nothing { retry_after: UNCONFIRMED_PAUSE });
        }
        if self.is_closed {
            return Ok(Admission::All);
        }
        let pause = pause(tx).await?.as_secs_f64();
        match tx.query_opt(include_str!("breaker/take_probe.sql"), &[&ACCOUNT, &pause]).await? {
            Some(_) => Ok(Admission::Probe { retry_after: pause }),
            None => Ok(Admission::Nothing { retry_after: self.retry_after.max(1.0) }),
        }
    }
}

/// What a batch has told of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The last answer was definite: the account works.
    Works,
    /// The last answers of the batch left the outcome unknown.
    Silent {
        /// How many in a row.
        answers: i32,
        /// Whether a definite answer of the same batch came before them, which ends an earlier row.
        after_definite: bool,
    },
    /// The account refuses to send for anybody.
    Closed(String),
}

/// Tells the breaker what a batch has met.
pub(crate) async fn report(tx: &Tx, report: &Report) -> Result<()> {
    match report {
        Report::Works => {
            tx.execute(include_str!("breaker/close.sql"), &[&ACCOUNT]).await?;
        }
        Report::Silent { answers, after_definite } => {
            let settings = config::read(tx, "sending").await?;
            let limit = i32::try_from(settings.number("breaker_failures")?).unwrap_or(i32::MAX);
            let pause = settings.duration("breaker_pause")?.as_secs_f64();
            if *after_definite {
                tx.execute(include_str!("breaker/close.sql"), &[&ACCOUNT]).await?;
            }
            tx.execute(include_str!("breaker/count.sql"), &[&ACCOUNT, answers, &limit, &pause]).await?;
        }
        Report::Closed(reason) => {
            let pause = pause(tx).await?.as_secs_f64();
            tx.execute(include_str!("breaker/open.sql"), &[&ACCOUNT, reason, &pause]).await?;
        }
    }
    Ok(())
}

async fn pause(tx: &Tx) -> Result<Duration> {
    config::read(tx, "sending").await?.duration("breaker_pause")
}
