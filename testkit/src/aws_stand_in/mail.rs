//! SES's SendEmail (version 2).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::lines::Line;

/// A mail as it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMail {
    /// Whom it goes to.
    pub to: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The whole mail, in Base64 as the request had it.
    pub raw: String,
    /// Whether it was accepted, whatever the sender was told.
    pub accepted: bool,
}

/// What the provider does with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailAnswer {
    /// Accepts it and says so.
    Accept,
    /// Refuses it with this status, error and text.
    Refuse(u16, &'static str, &'static str),
    /// Accepts it and says that it has failed, with this status.
    AcceptAndFail(u16),
    /// Does not accept it and never answers.
    Hang,
    /// Accepts it and answers when [`super::AwsStandIn::answer_as_usual`] is called.
    AcceptAndHold,
    /// Accepts it and resets the connection before a byte of an answer.
    AcceptAndReset,
    /// Accepts it and says so; the next request on the same connection finds it closed.
    AcceptAndClose,
    /// Accepts it and never answers.
    AcceptAndHang,
    /// Accepts it and breaks off in the middle of the answer.
    AcceptAndBreakOff,
    /// Accepts it and answers with what nobody can read.
    AcceptAndMumble,
}

#[derive(Default)]
pub(super) struct Mails {
    pub(super) delay: Duration,
    pub(super) answers: VecDeque<MailAnswer>,
    pub(super) handed: Vec<SentMail>,
    pub(super) count: watch::Sender<usize>,
    pub(super) releases: watch::Sender<usize>,
}

impl Mails {
    fn take(&mut self, request: &Value) -> (MailAnswer, usize) {
        let answer = self.answers.pop_front().unwrap_or(MailAnswer::Accept);
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
        };
        let tags = request["EmailTags"].as_array().into_iter().flatten();
        self.handed.push(SentMail {
            to: texts(&request["Destination"]["ToAddresses"]),
            tags: tags
                .filter_map(|tag| Some((tag["Name"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned())))
                .collect(),
            raw: request["Content"]["Raw"]["Data"].as_str().unwrap_or_default().to_owned(),
            accepted: !matches!(answer, MailAnswer::Refuse(..) | MailAnswer::Hang),
        });
        self.count.send_replace(self.handed.len());
        (answer, self.handed.len())
    }
}

/// What the provider calls the mail that was handed over as this one, from 1 on.
#[must_use]
pub fn provider_id(number: usize) -> String {
    format!("stand-in-{number}")
}

/// GetAccount's answer of an account that is well.
pub(super) fn account() -> Response<Body> {
    super::json_answer(&json!({
        "ProductionAccessEnabled": true,
        "SendingEnabled": true,
        "EnforcementStatus": "HEALTHY",
        "SendQuota": { "Max24HourSend": 1_000_000.0, "MaxSendRate": 1_000.0, "SentLast24Hours": 0.0 },
    }))
}

pub(super) async fn send(mails: &Mutex<Mails>, line: &Line, request: &Value) -> Response<Body> {
    let ((answer, number), delay, mut releases) = {
        let mut mails = mails.lock().unwrap();
        (mails.take(request), mails.delay, mails.releases.subscribe())
    };
    let accepted = || super::json_answer(&json!({ "MessageId": provider_id(number) }));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match answer {
        MailAnswer::Accept => accepted(),
        MailAnswer::Refuse(status, code, message) => super::error(StatusCode::from_u16(status).unwrap(), code, message),
        MailAnswer::AcceptAndFail(status) => {
            super::error(StatusCode::from_u16(status).unwrap(), "InternalServiceErrorException", "something broke")
        }
        MailAnswer::AcceptAndHold => {
            drop(releases.changed().await);
            accepted()
        }
        MailAnswer::AcceptAndReset => {
            line.break_off();
            accepted()
        }
        MailAnswer::AcceptAndClose => {
            line.die_after_the_answer();
            accepted()
        }
        MailAnswer::AcceptAndHang | MailAnswer::Hang => std::future::pending().await,
        MailAnswer::AcceptAndBreakOff => {
            let parts = [Ok(Bytes::from_static(b"{\"MessageId\": \"stand")), Err(std::io::Error::other("broken off"))];
            Response::new(Body::from_stream(stream::iter(parts)))
        }
        MailAnswer::AcceptAndMumble => Response::new(Body::from("<mumble>")),
    }
}
