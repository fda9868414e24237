//! Dispatching: an event becomes a delivery for each endpoint that wants it, and each delivery is posted until it is taken.
//!
//! A delivery is claimed for a lease and posted once in it; whoever dies with it leaves it to the next, so it may be posted twice
//! and never not at all. Every endpoint has its own turn and waits for nobody else's: those that work come before those that
//! fail, and one that has taken nothing in a turn has no second one in a run.

mod posting;
mod recording;
mod retries;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_postgres::Row;

pub use self::posting::{Answer, Failure, Post, Poster};
use super::{EventType, outbox, secrets};
use crate::db::Params;
use crate::delivery::tokens::KeyRing;
use crate::platform::workflows::callback_path;
use crate::{Database, OrganizationId, Result, WebhookDeliveryId, WebhookEndpointId, WebhookEventId, WorkflowRunId};

/// Events that one transaction makes deliveries of.
const EVENTS: i64 = 500;
/// Endpoints that are served at the same time, so that slow ones leave room for others.
const ENDPOINTS_AT_ONCE: usize = 16;
/// Endpoints of one run. The next one goes on.
const ENDPOINTS: i64 = 200;
/// Deliveries that an endpoint gets in a turn, all at the same time: more would be a burden to it.
const DELIVERIES: i64 = 5;
/// How long somebody may be on a delivery: several times what a post may take.
const LEASE_SECONDS: f64 = 90.0;
/// The longest that a queue holds a hint back; what is due later is found by the scheduler.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// Organizations that one run of the scheduler sends hints for.
const ORGANIZATIONS: i64 = 500;

/// Where organizations wait for the dispatcher. A hint: the database says what there is to tell.
pub trait WebhookQueue: Send + Sync {
    /// Says that there is something to tell for these, or will be after a delay of at most 15 minutes.
    fn enqueue<'a>(&'a self, organizations: &'a [OrganizationId], delay: Duration) -> BoxFuture<'a, Result<()>>;
}

/// What a dispatcher works with.
pub struct Dispatcher<'a> {
    /// The database, as the dispatcher's role.
    pub db: &'a Database,
    /// What secrets are stored under.
    pub keys: &'a KeyRing,
    /// The way out.
    pub poster: &'a dyn Poster,
    /// Where organizations wait.
    pub queue: &'a dyn WebhookQueue,
    /// Where workflows reach the API, as `https://mail.example.com`.
    pub public_url: &'a str,
}

/// What one run has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dispatched {
    /// Deliveries made.
    pub made: usize,
    /// Deliveries that were taken.
    pub delivered: usize,
    /// Attempts that failed and are made again.
    pub put_off: usize,
    /// Deliveries that have failed for good.
    pub failed: usize,
    /// Endpoints disabled.
    pub disabled: usize,
}

impl Dispatched {
    fn add(&mut self, other: Self) {
        self.made += other.made;
        self.delivered += other.delivered;
        self.put_off += other.put_off;
        self.failed += other.failed;
        self.disabled += other.disabled;
    }
}

/// Sends a hint for every organization that has something to tell; returns how many these are.
pub async fn enqueue_due(db: &Database, queue: &dyn WebhookQueue) -> Result<usize> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("dispatching/organizations.sql"), &[&ORGANIZATIONS]).await?;
    tx.commit().await?;
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    if !organizations.is_empty() {
        queue.enqueue(&organizations, Duration::ZERO).await?;
    }
    Ok(organizations.len())
}

impl Dispatcher<'_> {
    /// Tells what these organizations have to tell. No turn begins after `deadline`; what remains gets another hint.
    ///
    /// Errors: the database or the queue is not available. The hints are to be delivered again then.
    pub async fn dispatch(&self, organizations: &[OrganizationId], deadline: Instant) -> Result<Dispatched> {
        let mut done = Dispatched { made: self.fan_out(organizations, deadline).await?, ..Dispatched::default() };
        let tx = self.db.begin_for(organizations).await?;
        let rows = tx.query(include_str!("dispatching/endpoints.sql"), &[&ENDPOINTS]).await?;
        tx.commit().await?;
        let endpoints: Vec<(OrganizationId, WebhookEndpointId)> =
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_>>()?;
        let turns = stream::iter(endpoints)
            .map(|(organization, endpoint)| async move {
                let turn = self.serve(organization, endpoint, deadline).await;
                turn.map(|turn| (organization, turn))
            })
            .buffer_unordered(ENDPOINTS_AT_ONCE);
        let turns: Vec<Result<(OrganizationId, Turn)>> = turns.collect().await;
        let mut unfinished = BTreeSet::new();
        let mut failure = None;
        for turn in turns {
            match turn {
                Ok((organization, Turn { dispatched, comes_back_in })) => {
                    done.add(dispatched);
                    unfinished.extend(comes_back_in.map(|delay| (delay, organization)));
                }
                Err(error) => failure = Some(error),
            }
        }
        self.remind(unfinished).await?;
        // All the others had their turn nevertheless.
        failure.map_or(Ok(done), Err)
    }

    /// One hint for each organization, for the earliest of what it waits for.
    async fn remind(&self, unfinished: BTreeSet<(Duration, OrganizationId)>) -> Result<()> {
        let mut reminded = BTreeSet::new();
        for (delay, organization) in unfinished {
            if delay <= LONGEST_DELAY && reminded.insert(organization) {
                self.queue.enqueue(&[organization], delay).await?;
            }
        }
        Ok(())
    }

    /// Makes deliveries of the events that have none yet, and runs of what starts a workflow.
    async fn fan_out(&self, organizations: &[OrganizationId], deadline: Instant) -> Result<usize> {
        let mut made = 0;
        loop {
            let tx = self.db.begin_for(organizations).await?;
            let rows = tx.query(include_str!("dispatching/take_events.sql"), &[&EVENTS]).await?;
            let mut events: (Vec<OrganizationId>, Vec<WebhookEventId>) = (Vec::new(), Vec::new());
            for row in &rows {
                events.0.push(row.try_get("organization_id")?);
                events.1.push(row.try_get("id")?);
            }
            made += outbox::deliver(&tx, &events.0, &events.1).await?;
            tx.commit().await?;
            if (rows.len() as u64) < EVENTS.unsigned_abs() || Instant::now() >= deadline {
                return Ok(made);
            }
        }
    }

    /// Posts what is due for an endpoint, turn by turn, while it takes something.
    async fn serve(
        &self,
        organization: OrganizationId,
        endpoint: WebhookEndpointId,
        deadline: Instant,
    ) -> Result<Turn> {
        let mut turn = Turn::default();
        loop {
            if Instant::now() >= deadline {
                turn.comes_back_in = Some(Duration::ZERO);
                return Ok(turn);
            }
            let claimed = self.claim(organization, endpoint).await?;
            let count = claimed.len() as u64;
            let answers: Vec<(Claimed, Answer)> = join_all(claimed.into_iter().map(|claimed| self.post(claimed))).await;
            let recorded = recording::record(self.db, organization, endpoint, &answers).await?;
            turn.dispatched.add(recorded.dispatched);
            turn.comes_back_in = [turn.comes_back_in, recorded.earliest].into_iter().flatten().min();
            if count < DELIVERIES.unsigned_abs() || !recorded.goes_on {
                return Ok(turn);
            }
        }
    }

    /// Takes what is due for an endpoint for the time of a lease.
    async fn claim(&self, organization: OrganizationId, endpoint: WebhookEndpointId) -> Result<Vec<Claimed>> {
        let tx = self.db.begin_for(&[organization]).await?;
        let due: Params<'_, 4> = [&organization, &endpoint, &DELIVERIES, &LEASE_SECONDS];
        let whose: Params<'_, 2> = [&endpoint, &organization];
        let claim = include_str!("dispatching/claim.sql");
        let [claimed, secrets] = tx.query_each([(claim, due.as_slice()), (secrets::READ, whose.as_slice())]).await?;
        tx.commit().await?;
        let secrets = secrets::open(self.keys, organization, endpoint, &secrets);
        claimed
            .iter()
            .map(|row| {
                let event: WebhookEventId = row.try_get("event_id")?;
                let posted_at: DateTime<Utc> = row.try_get("attempted_at")?;
                let run = row.try_get::<_, Option<WorkflowRunId>>("run_id")?;
                let run = run.map(|id| self.run(organization, id, row)).transpose()?;
                let event_type: &str = row.try_get("type")?;
                let data: Value = row.try_get("data")?;
                let body = posting::body(event_type, row.try_get("occurred_at")?, &data, run)?;
                let url: String = row.try_get("url")?;
                Ok(Claimed {
                    delivery: row.try_get("id")?,
                    attempt: row.try_get("attempts")?,
                    is_test: event_type == EventType::WebhookTest.name(),
                    post: (!secrets.is_empty()).then(|| Post::signed(url.clone(), event, posted_at, body, &secrets)),
                    url,
                })
            })
            .collect()
    }

    /// What a workflow is told of the run that it is to do.
    fn run<'r>(&self, organization: OrganizationId, id: WorkflowRunId, row: &'r Row) -> Result<posting::Run<'r>> {
        let path = callback_path(self.keys, organization, id);
        let callback_url = format!("{}{path}", self.public_url);
        Ok(posting::Run { id, execution_id: row.try_get("execution_id")?, callback_url })
    }

    async fn post(&self, claimed: Claimed) -> (Claimed, Answer) {
        let answer = match &claimed.post {
            Some(post) => self.poster.post(post).await,
            None => Answer { outcome: Err(Failure::SecretUnreadable), body: None, took: Duration::ZERO },
        };
        (claimed, answer)
    }
}

/// What came of an endpoint's turns.
#[derive(Default)]
struct Turn {
    dispatched: Dispatched,
    /// When there is more for it, where that is known.
    comes_back_in: Option<Duration>,
}

/// A delivery that is to be posted.
struct Claimed {
    delivery: WebhookDeliveryId,
    /// Which attempt it is, from 1.
    attempt: i32,
    is_test: bool,
    /// Where it goes.
    url: String,
    /// `None` where it can't be signed.
    post: Option<Post>,
}

impl Claimed {
    fn wait(&self) -> Option<Duration> {
        // Somebody waits for a test's answer, and not for a day.
        if self.is_test { None } else { retries::wait(self.delivery.0, self.attempt) }
    }
}
