//! The stand-in for SES as the driver sees it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

/// Mails of one page: the most that it gives.
const PAGE: usize = 10_000;

/// The control interface of the stand-in.
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    http: Client,
    url: String,
}

/// What working off the agenda came to.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Advance {
    /// What happened, by outcome.
    pub(super) performed: BTreeMap<String, u64>,
    /// What did not reach its receiver, by outcome.
    pub(super) failed: BTreeMap<String, u64>,
    /// How much is still to come.
    pub(super) remaining: u64,
}

/// Numbers of the stand-in.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Summary {
    /// Mails accepted.
    pub(super) mails: u64,
    /// Stops by kind.
    pub(super) stops: BTreeMap<String, u64>,
    /// Events that could not be handed on.
    pub(super) unpublished: u64,
    /// One-click unsubscribes that were refused.
    pub(super) failed_unsubscribes: u64,
}

/// A mail that was accepted.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Mail {
    /// Its place among all mails and stops.
    pub(super) sequence: u64,
    /// When, in simulated time.
    pub(super) accepted_at: DateTime<Utc>,
    /// The sender's address.
    pub(super) from: String,
    /// The recipients.
    pub(super) to: Vec<String>,
    /// The subject.
    pub(super) subject: String,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
}

/// A reason why nothing more may go to an address.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Stop {
    /// Its place among all mails and stops.
    pub(super) sequence: u64,
    /// The address in lower case.
    pub(super) address: String,
    /// `bounce`, `complaint`, `reply` or `unsubscribe`.
    pub(super) kind: String,
    /// The mail that it answers.
    pub(super) mail: u64,
}

/// Somebody has looked at a mail, or a machine has.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Visited {
    /// The mail.
    pub(super) mail: u64,
    /// What was done with it.
    pub(super) visit: Visit,
    /// When, in simulated time.
    pub(super) at: DateTime<Utc>,
}

/// What is done with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Visit {
    /// A person's program shows its images.
    Open,
    /// A person follows one of its links.
    Click,
    /// An image proxy fetches its images.
    MachineOpen,
}

#[derive(Deserialize)]
struct Page {
    mails: Vec<Mail>,
    more: bool,
}

#[derive(Deserialize)]
struct Stops {
    stops: Vec<Stop>,
}

#[derive(Deserialize)]
struct Visits {
    visits: Vec<Visited>,
}

impl StandIn {
    /// The stand-in at a URL.
    pub(super) fn at(url: &str) -> Result<Self> {
        Ok(Self { http: Client::builder().no_proxy().build()?, url: url.into() })
    }

    /// Forgets all mails, plans, identities and the shift of the clock.
    pub(super) async fn reset(&self) -> Result<()> {
        answer(self.http.delete(format!("{}/_postbox", self.url))).await.map(drop)
    }

    /// Moves its clock.
    pub(super) async fn set_clock(&self, shift_seconds: i64) -> Result<()> {
        self.post("clock", &json!({"shift_seconds": shift_seconds})).await.map(drop)
    }

    /// Says by seed what becomes of the mails.
    pub(super) async fn plan(&self, seed: u64, rates: &Value, visits: &Value) -> Result<()> {
        self.post("plan", &json!({"seed": seed, "rates": rates, "visits": visits})).await.map(drop)
    }

    /// Lets happen what is due, after all events of accepted mails have been published.
    pub(super) async fn advance(&self) -> Result<Advance> {
        Ok(serde_json::from_value(self.post("advance", &json!({})).await?)?)
    }

    /// The numbers so far.
    pub(super) async fn summary(&self) -> Result<Summary> {
        Ok(serde_json::from_value(self.get("summary").await?)?)
    }

    /// Every mail, oldest first.
    pub(super) async fn mails(&self) -> Result<Vec<Mail>> {
        let mut mails: Vec<Mail> = Vec::new();
        loop {
            let after = mails.last().map_or(0, |mail| mail.sequence);
            let page: Page = serde_json::from_value(self.get(&format!("mails?after={after}&limit={PAGE}")).await?)?;
            mails.extend(page.mails);
            if !page.more {
                return Ok(mails);
            }
        }
    }

    /// Every stop.
    pub(super) async fn stops(&self) -> Result<Vec<Stop>> {
        Ok(serde_json::from_value::<Stops>(self.get("stops").await?)?.stops)
    }

    /// Every visit that was made.
    pub(super) async fn visits(&self) -> Result<Vec<Visited>> {
        Ok(serde_json::from_value::<Visits>(self.get("visits").await?)?.visits)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        answer(self.http.get(format!("{}/_postbox/{path}", self.url))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        answer(self.http.post(format!("{}/_postbox/{path}", self.url)).json(body)).await
    }
}

/// Sends a request and reads the JSON of its answer.
///
/// # Errors
///
/// Repeats what an answer other than 2xx says.
pub(super) async fn answer(request: RequestBuilder) -> Result<Value> {
    let (client, request) = request.build_split();
    let request = request?;
    let what = format!("{} {}", request.method(), request.url().path());
    let answer = client.execute(request).await.with_context(|| format!("{what} got no answer"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("the answer to {what} broke off"))?;
    if !status.is_success() {
        bail!("{what} was answered with {status}: {text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("the answer to {what} is no JSON"))
}
