//! Who is asked about people and their mailboxes, and which text model describes them: as whoever runs the installation has set
//! them up in `system_config`, and how they are spoken to.
//!
//! A setting says where to ask and where the answer stands in what comes back, by JSON pointers (RFC 6901), so that no provider
//! needs code. What we show it as a password is none of the setting's business: it lies beside the origin that it is for, where
//! only whoever deploys writes, so that no setting sends it elsewhere.

pub mod budgets;
mod settings;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

pub use self::settings::{ChatModel, Form, MailboxProvider, Method, PersonProvider, PersonSource};
pub(crate) use self::settings::{check_chat_model, check_mailbox_provider, check_person_provider};

/// Bytes of an answer that are read; one that has more is none.
pub const ANSWER_MAXIMUM: usize = 256 << 10;

/// What is asked of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The provider's name, by which the password that is for it is found.
    pub provider: String,
    /// Where to ask.
    pub url: String,
    /// What is sent along; nothing where the question stands in the URL.
    pub body: Option<Value>,
    /// How long the answer may take, from looking the name up on.
    pub timeout: Duration,
}

/// What came back, whatever it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The body as JSON; null where it is none.
    pub body: Value,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// The address leads where not everybody can go, or is none: trying again changes nothing.
    #[error("the provider's address is not the public's")]
    AddressNotPublic,
    /// No connection, so nothing was asked.
    #[error("the provider can't be reached")]
    NoConnection,
    /// It may have been asked.
    #[error("the provider has not answered in time")]
    TimedOut,
    /// It has answered with more than is read.
    #[error("the provider's answer is too long")]
    TooLong,
}

impl NoReply {
    /// Stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::AddressNotPublic => "address_not_public",
            Self::NoConnection => "no_connection",
            Self::TimedOut => "timed_out",
            Self::TooLong => "answer_too_long",
        }
    }
}

/// The way out to providers.
pub trait Asker: Send + Sync {
    /// Asks once, and never anybody whom only we can reach.
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Reply, NoReply>>;
}
