//! Opens and clicks: the pixel and the links of a received mail are really fetched, by people and by machines.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::USER_AGENT;
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, Serialize};

use super::store::{Happening, Mail};
use super::{Postbox, draws, mime, unsubscribes};

/// How long a fetch may take: a function may have to start first.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The shortest time from a mail to somebody who looks at it. Nobody reads a mail in the first seconds.
const SHORTEST_DELAY_SECONDS: u64 = 5 * 60;
/// The longest.
const LONGEST_DELAY_SECONDS: u64 = 30 * 60 * 60;
/// From an open to the click after it.
const READING: TimeDelta = TimeDelta::seconds(40);
/// What people's programs say they are.
const PROGRAMS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Thunderbird/144.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
];
/// What image proxies say they are.
const PROXIES: [&str; 2] =
    ["Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "Mozilla/5.0"];

/// How often delivered mails are looked at, as shares of one; each is drawn apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct VisitRates {
    /// Share whose pixel a person's program fetches.
    pub(crate) open: f64,
    /// Share of these in which the person follows a link.
    pub(crate) click: f64,
    /// Share whose pixel an image proxy fetches, whether or not a person does.
    pub(crate) machine_open: f64,
}

impl VisitRates {
    /// Says why they are impossible, if they are.
    pub(crate) fn refuse(&self) -> Option<String> {
        [self.open, self.click, self.machine_open].iter().find_map(|rate| draws::refuse_weights(&[*rate]))
    }
}

/// What somebody does with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Visit {
    /// A person's program shows the pixel.
    Open,
    /// An image proxy fetches it.
    MachineOpen,
    /// A person follows a link.
    Click,
}

impl Visit {
    /// The name used in JSON and on the page.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::MachineOpen => "machine_open",
            Self::Click => "click",
        }
    }
}

/// A visit that was made, as the sender of the mail can know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Visited {
    /// Sequence number of the mail.
    pub(crate) mail: u64,
    /// What was done.
    pub(crate) visit: Visit,
    /// When the request was made, in simulated time: the first advance after the visit was due.
    pub(crate) at: DateTime<Utc>,
}

/// The visits that a delivered mail will have, with the time from its acceptance: by seed, address and step alone.
pub(crate) fn planned(seed: u64, rates: VisitRates, address: &str, step: u32) -> Vec<(TimeDelta, Visit)> {
    let question = [address.to_lowercase(), step.to_string()];
    let parts = question.each_ref().map(String::as_str);
    let falls = |label: &str, rate: f64| draws::share(seed, label, &parts) < rate;
    let delay = |label: &str| {
        let span = LONGEST_DELAY_SECONDS - SHORTEST_DELAY_SECONDS + 1;
        TimeDelta::seconds((SHORTEST_DELAY_SECONDS + draws::below(span, seed, label, &parts)).cast_signed())
    };
    let mut visits = Vec::new();
    if falls("machine_open", rates.machine_open) {
        visits.push((delay("machine_open delay"), Visit::MachineOpen));
    }
    if falls("open", rates.open) {
        let opened = delay("open delay");
        visits.push((opened, Visit::Open));
        if falls("click", rates.click) {
            visits.push((opened + READING, Visit::Click));
        }
    }
    visits
}

/// Makes the requests.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    client: Client,
}

impl Visitor {
    /// A client that reaches the local stack and nothing else.
    ///
    /// # Errors
    ///
    /// Fails where the HTTP client cannot be built.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            // A link leads to a page on the internet, which is none of ours to ask.
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(unsubscribes::LocalNames))
            .no_proxy()
            .build()?;
        Ok(Self { client })
    }

    /// Does what somebody does with a mail.
    ///
    /// # Errors
    ///
    /// Fails where the mail has nothing of the kind, and where the answer is not the one that a mail program expects.
    async fn visit(&self, mail: &Mail, visit: Visit) -> anyhow::Result<String> {
        let html = mime::bodies(&mail.draft.raw).html.context("the mail has no HTML")?;
        let (marks, kinds) = match visit {
            Visit::Open | Visit::MachineOpen => ("/t/o/", "src"),
            Visit::Click => ("/t/c/", "href"),
        };
        let found: Vec<Url> =
            attributes(&html, kinds).into_iter().filter(|url| url.path().starts_with(marks)).collect();
        ensure!(!found.is_empty(), "the mail has no address with {marks}");
        // Any link, but always the same of one mail.
        let url = found[draws::below(found.len() as u64, mail.sequence, "link", &[]) as usize].clone();
        unsubscribes::refuse_remote(&url)?;
        let names = if visit == Visit::MachineOpen { &PROXIES[..] } else { &PROGRAMS[..] };
        let agent = names[draws::below(names.len() as u64, mail.sequence, "agent", &[]) as usize];
        let status = self.client.get(url).header(USER_AGENT, agent).send().await?.status();
        ensure!(if visit == Visit::Click { status.is_redirection() } else { status.is_success() }, "answered {status}");
        Ok(format!("answered {status}"))
    }
}

impl Postbox {
    /// Visits a mail, and says whether it succeeded.
    pub(crate) async fn visit(&self, mail: &Arc<Mail>, visit: Visit, at: DateTime<Utc>) -> bool {
        let made_at = self.simulated_now();
        let result = self.visitor.visit(mail, visit).await;
        let done = result.is_ok();
        let note = result.unwrap_or_else(|error| format!("failed: {error:#}"));
        let name = match visit {
            Visit::Open => "Open",
            Visit::MachineOpen => "MachineOpen",
            Visit::Click => "Click",
        };
        let mut store = self.store();
        store.note(mail, Happening { at, name, note });
        if done {
            store.visited(mail, visit, made_at);
        }
        done
    }
}

/// The web addresses in the attributes of this name, as a mail program reads them.
fn attributes(html: &str, name: &str) -> Vec<Url> {
    html.split(&format!(" {name}=\""))
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .filter_map(|(value, _)| Url::parse(&value.replace("&amp;", "&")).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;
    use crate::postbox::testing::kept_mail;

    const RATES: VisitRates = VisitRates { open: 0.5, click: 0.4, machine_open: 0.3 };

    #[test]
    fn visits_follow_from_the_seed_and_a_click_from_an_open() {
        let mut counts = [0; 3];
        for person in 0..2_000 {
            let address = format!("p{person}@example.com");
            let visits = planned(7, RATES, &address, 1);
            assert_eq!(visits, planned(7, RATES, &address.to_uppercase(), 1));
            let at = |wanted| visits.iter().find(|(_, visit)| *visit == wanted).map(|(at, _)| *at);
            if let Some(clicked) = at(Visit::Click) {
                assert_eq!(clicked - at(Visit::Open).unwrap(), READING);
            }
            for (count, visit) in counts.iter_mut().zip([Visit::Open, Visit::MachineOpen, Visit::Click]) {
                *count += u32::from(at(visit).is_some());
            }
        }
        let [opened, machines, clicked] = counts;
        assert!((900..1_100).contains(&opened) && (500..700).contains(&machines) && (320..480).contains(&clicked));
        assert!(planned(7, VisitRates::default(), "a@example.com", 0).is_empty());
    }

    #[test]
    fn links_are_read_as_a_mail_program_reads_them() {
        let html = r#"<p>x</p><a href="http://a.localhost:1/t/c/x?a=1&amp;b=2">x</a><img src="http://a.localhost:1/t/o/y" alt="">"#;
        assert_eq!(attributes(html, "href")[0].as_str(), "http://a.localhost:1/t/c/x?a=1&b=2");
        assert_eq!(attributes(html, "src").len(), 1);
        assert!(VisitRates { open: 1.5, ..RATES }.refuse().is_some());
    }

    #[tokio::test]
    async fn pixel_and_link_of_the_mail_are_fetched_as_people_and_machines_do() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://api.localhost:{}", listener.local_addr().unwrap().port());
        let pixel = async |headers: HeaderMap| {
            let agent = headers[USER_AGENT].to_str().unwrap().to_owned();
            if PROXIES.contains(&agent.as_str()) { StatusCode::OK } else { StatusCode::NO_CONTENT }
        };
        let router = Router::new().route("/t/o/p", get(pixel)).route("/t/c/l", get(async || StatusCode::FOUND));
        tokio::spawn(async { axum::serve(listener, router).await });
        let html = format!(r#"<a href="{base}/u/x">stop</a><a href="{base}/t/c/l">read</a><img src="{base}/t/o/p">"#);
        let mut mail = kept_mail();
        mail.draft.raw = mime::build(&[("From", "a@example.com")], Some("text"), Some(&html), "b");
        let visitor = Visitor::new().unwrap();
        for (visit, answer) in [
            (Visit::MachineOpen, "answered 200 OK"),
            (Visit::Open, "answered 204 No Content"),
            (Visit::Click, "answered 302 Found"),
        ] {
            assert_eq!(visitor.visit(&mail, visit).await.unwrap(), answer);
        }
        mail.draft.raw = mime::build(&[("From", "a@example.com")], Some("text"), None, "b");
        assert!(visitor.visit(&mail, Visit::Open).await.is_err());
    }
}
