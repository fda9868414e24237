//! The SES account: what it may send, and whether it may send at all.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::refusals::{Refusal, with_request_id};
use super::{Postbox, clock};

/// The daily quota that is shown when none is set, and then not enforced.
const SHOWN_DAILY_QUOTA: u64 = 1_000_000;

/// The sending rate that is shown when none is set, and then not enforced, in mails per second.
const SHOWN_RATE: u32 = 500;

/// Whether the account may send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sending {
    /// It may.
    #[default]
    Enabled,
    /// Sending is paused: SendingPausedException.
    Paused,
    /// The account is suspended: AccountSuspendedException.
    Suspended,
}

/// The limits of the account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Whether it may send.
    pub(crate) sending: Sending,
    /// Whether it writes to verified identities and to the simulator only.
    pub(crate) sandbox: bool,
    /// Mails within any 24 simulated hours; no limit when absent.
    pub(crate) max_24_hour_send: Option<u64>,
    /// Mails within any real second; no limit when absent.
    pub(crate) max_send_rate: Option<u32>,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Its limits.
    pub(crate) limits: Limits,
    /// When mails were accepted within the last second, in real time; kept while a rate is set.
    recent: VecDeque<DateTime<Utc>>,
}

impl Account {
    /// Refuses where the account may not send one more mail, or counts it.
    ///
    /// `sent` counts the mails of the last 24 simulated hours.
    pub(crate) fn admit(&mut self, sent: impl FnOnce() -> u64) -> Result<(), Refusal> {
        match self.limits.sending {
            Sending::Enabled => {}
            Sending::Paused => return Err(Refusal::paused()),
            Sending::Suspended => return Err(Refusal::suspended()),
        }
        if self.limits.max_24_hour_send.is_some_and(|quota| sent() >= quota) {
            return Err(Refusal::daily_quota());
        }
        if let Some(rate) = self.limits.max_send_rate {
            let now = clock::real_now();
            while self.recent.front().is_some_and(|at| now - at >= TimeDelta::seconds(1)) {
                self.recent.pop_front();
            }
            if self.recent.len() >= rate as usize {
                return Err(Refusal::throttled());
            }
            self.recent.push_back(now);
        }
        Ok(())
    }
}

impl super::store::Store {
    /// How many mails were accepted within the last 24 simulated hours.
    pub(crate) fn sent_last_24_hours(&self) -> u64 {
        let since = self.now() - TimeDelta::hours(24);
        self.mails().iter().filter(|kept| kept.mail.accepted_at > since).count() as u64
    }
}

pub(super) fn routes() -> Router<Arc<Postbox>> {
    Router::new().route("/v2/email/account", get(show))
}

async fn show(State(postbox): State<Arc<Postbox>>) -> Response {
    let store = postbox.store();
    let limits = store.account.limits;
    let status = match limits.sending {
        Sending::Enabled => "HEALTHY",
        Sending::Paused => "PROBATION",
        Sending::Suspended => "SHUTDOWN",
    };
    let body = json!({
        "DedicatedIpAutoWarmupEnabled": false,
        "EnforcementStatus": status,
        "ProductionAccessEnabled": !limits.sandbox,
        "SendQuota": {
            "Max24HourSend": limits.max_24_hour_send.unwrap_or(SHOWN_DAILY_QUOTA) as f64,
            "MaxSendRate": f64::from(limits.max_send_rate.unwrap_or(SHOWN_RATE)),
            "SentLast24Hours": store.sent_last_24_hours() as f64,
        },
        "SendingEnabled": limits.sending == Sending::Enabled,
        "SuppressionAttributes": { "SuppressedReasons": ["BOUNCE", "COMPLAINT"] },
        "Details": {
            "MailType": "MARKETING",
            "WebsiteURL": "https://www.example.com",
            "ContactLanguage": "EN",
            "ReviewDetails": { "Status": "GRANTED", "CaseId": "1" },
        },
        "VdmAttributes": { "VdmEnabled": "DISABLED" },
    });
    with_request_id(Json(body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::testing::{Bench, send_request};

    #[test]
    fn limits_refuse_as_ses_does() {
        let mut account = Account::default();
        assert_eq!(account.admit(|| u64::MAX), Ok(()));
        account.limits.max_24_hour_send = Some(10);
        assert_eq!(account.admit(|| 9), Ok(()));
        assert_eq!(account.admit(|| 10).unwrap_err().kind(), "LimitExceededException");
        account.limits = Limits { max_send_rate: Some(2), ..Limits::default() };
        assert_eq!((account.admit(|| 0), account.admit(|| 0)), (Ok(()), Ok(())));
        assert_eq!(account.admit(|| 0).unwrap_err().kind(), "TooManyRequestsException");
        account.limits.sending = Sending::Paused;
        assert_eq!(account.admit(|| 0).unwrap_err().kind(), "SendingPausedException");
        account.limits.sending = Sending::Suspended;
        assert_eq!(account.admit(|| 0).unwrap_err().kind(), "AccountSuspendedException");
    }

    #[tokio::test]
    async fn a_sandbox_writes_to_the_verified_and_to_the_simulator_only() {
        let bench = Bench::start().await;
        bench.post("/_postbox/account", &json!({ "sandbox": true })).await;
        let (_, account) = bench.get("/v2/email/account").await;
        assert_eq!(account["ProductionAccessEnabled"], false);
        bench.identity("known.example.com").await;
        for (to, status) in
            [("success@simulator.amazonses.com", 200), ("a@known.example.com", 200), ("a@elsewhere.example.com", 400)]
        {
            let request = bench.request(reqwest::Method::POST, "/v2/email/outbound-emails").json(&send_request(to));
            assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{to}");
        }
    }

    #[tokio::test]
    async fn the_account_shows_its_limits_and_what_was_sent() {
        let bench = Bench::start().await;
        bench.send("a@example.com").await;
        bench.post("/_postbox/account", &json!({ "sending": "paused", "max_24_hour_send": 50_000 })).await;
        let (status, account) = bench.get("/v2/email/account").await;
        assert_eq!(status, 200);
        assert_eq!(account["SendQuota"]["Max24HourSend"], 50_000.0);
        assert_eq!(account["SendQuota"]["SentLast24Hours"], 1.0);
        assert_eq!(account["SendingEnabled"], false);
        assert_eq!(account["ProductionAccessEnabled"], true);
    }
}
