//! What can go wrong, without saying how it is told: `functions` turns this into HTTP once.
//!
//! Use [`Error::not_found`] for a row that is not there or belongs to somebody else, [`Error::conflict`] for a request
//! that the present state forbids, [`Error::invalid`] for a field that a person can correct, and let database errors
//! convert by `?`: they become [`Error::Unavailable`] where a retry helps and [`Error::Internal`] otherwise.

use schemars::JsonSchema;
use std::error::Error as StdError;

use tokio_postgres::error::{DbError, SqlState};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing for this organization.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The present state forbids it. The code is stable, the message is for people.
    #[error("{message}")]
    Conflict {
        /// Stable name of the conflict.
        code: &'static str,
        /// What a person reads.
        message: String,
    },
    /// Fields that the caller can correct.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldError>),
    /// The credentials are missing or wrong.
    #[error("the credentials are missing or not valid")]
    Unauthorized,
    /// The credentials do not allow it: what is needed.
    #[error("{0} is needed")]
    Forbidden(String),
    /// A key that is for trying things out was to start something that leaves Martlet.
    #[error("a test key starts nothing that leaves Martlet")]
    TestKey,
    /// There were too many attempts of this kind.
    #[error("there were too many attempts")]
    TooManyAttempts {
        /// The seconds after which another one counts.
        retry_after: i64,
    },
    /// The database can't be reached or asked to try again.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// A defect or a broken environment. The cause goes to the log and never to a caller.
    #[error("internal error")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

/// One field that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct FieldError {
    /// Name of the field as the caller wrote it.
    pub field: String,
    /// Stable name of what is wrong.
    pub code: &'static str,
    /// What a person reads.
    pub message: String,
}

impl Error {
    /// There is no such `noun`.
    #[must_use]
    pub fn not_found(noun: &'static str) -> Self {
        Self::NotFound(noun)
    }

    /// The present state forbids it.
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// One field is not valid.
    #[must_use]
    pub fn invalid(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), code, message: message.into() }])
    }

    /// A defect, with its cause.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let retry = match error.code() {
            None => error.is_closed() || error.as_db_error().is_none(),
            Some(state) => {
                [
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::LOCK_NOT_AVAILABLE,
                    SqlState::QUERY_CANCELED,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                ]
                .contains(state)
                    || state.code().starts_with("08")
            }
        };
        if retry { Self::Unavailable(Box::new(error)) } else { Self::Internal(Box::new(error)) }
    }
}

/// Whether the database can't hold a value that came from outside: text with a NUL, or a time that it has no name for.
#[must_use]
pub fn is_unstorable(error: &Error) -> bool {
    let (Error::Internal(cause) | Error::Unavailable(cause)) = error else { return false };
    let refused =
        [SqlState::CHARACTER_NOT_IN_REPERTOIRE, SqlState::UNTRANSLATABLE_CHARACTER, SqlState::DATETIME_FIELD_OVERFLOW];
    let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code.is_some_and(|code| refused.contains(code))
}

/// Name of the constraint that a statement violated, if that is what happened.
#[must_use]
pub fn violated_constraint(error: &Error) -> Option<&str> {
    let (Error::Internal(cause) | Error::Unavailable(cause)) = error else { return None };
    cause.downcast_ref::<tokio_postgres::Error>()?.as_db_error()?.constraint()
}

/// An error and everything that caused it, for the log.
///
/// What the database says of a row it quotes, addresses included, so of its errors only names and numbers are told.
#[must_use]
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    let mut text = told(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {}", told(error));
        cause = error.source();
    }
    text
}

fn told(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<DbError>() {
        Some(error) => format!(
            "SQLSTATE {}, table {}, constraint {}",
            error.code().code(),
            error.table().unwrap_or("-"),
            error.constraint().unwrap_or("-")
        ),
        None if error.is::<tokio_postgres::Error>() => "the database refused a statement".to_owned(),
        None => error.to_string(),
    }
}
