//! Recording: what an endpoint has answered, written under the attempt's number, and what follows for the endpoint.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::{Answer, Claimed, Dispatched};
use crate::db::Params;
use crate::delivery::system_mail::{self, NewSystemMail, Template};
use crate::platform::audit::{self, Actor};
use crate::platform::config;
use crate::platform::webhooks::deliveries::State;
use crate::platform::webhooks::endpoints;
use crate::{Database, OrganizationId, Result, Tx, WebhookDeliveryId, WebhookEndpointId};

/// Bytes that are kept of an answer.
const BODY_BYTES: usize = 1_024;

/// What came of a turn.
pub(super) struct Recorded {
    pub(super) dispatched: Dispatched,
    /// Whether the endpoint takes what it is told, so that another turn makes sense.
    pub(super) goes_on: bool,
    /// The shortest time after which something is posted again.
    pub(super) earliest: Option<Duration>,
}

/// Writes the answers of a turn in one transaction. What has changed hands meanwhile is passed over, and says nothing of the endpoint;
/// neither does an answer of an address that is no longer the endpoint's.
pub(super) async fn record(
    db: &Database,
    organization: OrganizationId,
    endpoint: WebhookEndpointId,
    answers: &[(Claimed, Answer)],
) -> Result<Recorded> {
    let nothing = Recorded { dispatched: Dispatched::default(), goes_on: false, earliest: None };
    if answers.is_empty() {
        return Ok(nothing);
    }
    let tx = db.begin_for(&[organization]).await?;
    // The endpoint before its deliveries, as whoever disables or deletes it locks them.
    let ids: Vec<WebhookDeliveryId> = answers.iter().map(|(claimed, _)| claimed.delivery).collect();
    let lock: Params<'_, 2> = [&organization, &endpoint];
    let deliveries: Params<'_, 2> = [&organization, &ids];
    let [locked, _] = tx
        .query_each([
            (include_str!("recording/lock_endpoint.sql"), lock.as_slice()),
            (include_str!("recording/lock_deliveries.sql"), deliveries.as_slice()),
        ])
        .await?;
    // Deleted meanwhile, with all of its deliveries.
    let Some(locked) = locked.first() else {
        tx.commit().await?;
        return Ok(nothing);
    };
    let address: Option<String> = locked.try_get("url")?;
    let attempts: Vec<Attempt<'_>> =
        answers.iter().map(|(claimed, answer)| Attempt::new(claimed, answer, address.as_deref())).collect();
    let mut rows = Rows::default();
    for attempt in &attempts {
        rows.push(attempt);
    }
    let written = rows.write(&tx, organization).await?;
    let written: Vec<Attempt<'_>> =
        attempts.into_iter().filter(|attempt| written.contains(&attempt.claimed.delivery)).collect();
    let mut recorded = nothing;
    for Attempt { state, wait, .. } in &written {
        match state {
            State::Delivered => recorded.dispatched.delivered += 1,
            State::Pending => recorded.dispatched.put_off += 1,
            State::Failed | State::Cancelled => recorded.dispatched.failed += 1,
        }
        recorded.earliest = [recorded.earliest, *wait].into_iter().flatten().min();
    }
    recorded.goes_on = follow(&tx, organization, endpoint, &written, &mut recorded.dispatched).await?;
    tx.commit().await?;
    Ok(recorded)
}

/// An attempt with what comes of it.
struct Attempt<'a> {
    claimed: &'a Claimed,
    answer: &'a Answer,
    /// Whether it went to the address that is still the endpoint's.
    is_current: bool,
    state: State,
    /// How long the delivery waits, where it is made again.
    wait: Option<Duration>,
}

impl<'a> Attempt<'a> {
    fn new(claimed: &'a Claimed, answer: &'a Answer, address: Option<&str>) -> Self {
        let is_current = address == Some(claimed.url.as_str());
        let ends = answer.is_taken() || (answer.is_gone() && is_current);
        let wait = claimed.wait().filter(|_| !ends);
        let state = match wait {
            _ if answer.is_taken() => State::Delivered,
            Some(_) => State::Pending,
            None => State::Failed,
        };
        Self { claimed, answer, is_current, state, wait }
    }
}

/// What the attempts say of the endpoint; whether it takes what it is told.
async fn follow(
    tx: &Tx,
    organization: OrganizationId,
    endpoint: WebhookEndpointId,
    attempts: &[Attempt<'_>],
    dispatched: &mut Dispatched,
) -> Result<bool> {
    let any = |is_so: fn(&Attempt<'_>) -> bool| attempts.iter().any(|attempt| attempt.is_current && is_so(attempt));
    let is_gone = any(|attempt| attempt.answer.is_gone());
    let has_taken = any(|attempt| attempt.answer.is_taken());
    // A test that fails tells the person who has made it, and nothing of what the endpoint does with events.
    let has_failed = any(|attempt| !attempt.answer.is_taken() && !attempt.claimed.is_test);
    let has_given_up = any(|attempt| attempt.state == State::Failed && !attempt.claimed.is_test);
    let patience = config::read(tx, "webhooks").await?.duration("disable_after")?;
    let row = tx
        .query_one(
            include_str!("recording/judge_endpoint.sql"),
            &[&organization, &endpoint, &is_gone, &has_taken, &has_failed, &has_given_up, &patience.as_secs_f64()],
        )
        .await?;
    if let Some(reason) = row.try_get::<_, Option<&str>>("newly_disabled")? {
        dispatched.disabled += 1;
        disable(tx, organization, endpoint, reason).await?;
    }
    tx.execute(include_str!("../endpoints/end_runs.sql"), &[&organization, &endpoint, &tx.now()]).await?;
    Ok(has_taken && row.try_get("is_enabled")?)
}

/// Cancels what waits for an endpoint that is told nothing any more, and says so to the owners and to whoever reads the record.
async fn disable(tx: &Tx, organization: OrganizationId, endpoint: WebhookEndpointId, reason: &str) -> Result<()> {
    endpoints::cancel_deliveries(tx, organization, endpoint, "endpoint_disabled").await?;
    let details = json!({ "reason": reason });
    audit::record_for(tx, organization, Actor::System, "webhook_endpoint.disabled", endpoint.0, &details, None).await?;
    let act = crate::ids::fresh();
    for owner in tx.query(include_str!("recording/owners.sql"), &[&organization, &endpoint]).await? {
        let recipient: String = owner.try_get("email")?;
        let mail = NewSystemMail {
            template: Template::WebhookDisabled,
            variables: json!({"organization": owner.try_get::<_, String>("organization")?, "url": owner.try_get::<_, String>("url")?}),
            action: None,
            dedupe_key: format!("webhook_disabled:{act}:{recipient}"),
            recipient,
            send_at: tx.now(),
        };
        system_mail::plan(tx, &mail).await?;
    }
    tracing::warn!(%organization, %endpoint, reason, "a webhook endpoint is disabled");
    Ok(())
}

/// The answers as the parallel arrays that the statement takes.
#[derive(Default)]
struct Rows {
    ids: Vec<WebhookDeliveryId>,
    attempts: Vec<i32>,
    states: Vec<&'static str>,
    waits: Vec<Option<f64>>,
    statuses: Vec<Option<i16>>,
    bodies: Vec<Option<String>>,
    errors: Vec<Option<&'static str>>,
    durations: Vec<i32>,
}

impl Rows {
    fn push(&mut self, Attempt { claimed, answer, state, wait, .. }: &Attempt<'_>) {
        self.ids.push(claimed.delivery);
        self.attempts.push(claimed.attempt);
        self.states.push(state.name());
        self.waits.push(wait.map(|wait| wait.as_secs_f64()));
        self.statuses.push(answer.outcome.ok().and_then(|status| i16::try_from(status).ok()));
        self.bodies.push(answer.body.as_deref().map(beginning).filter(|body| !body.is_empty()));
        self.errors.push(answer.error());
        self.durations.push(i32::try_from(answer.took.as_millis()).unwrap_or(i32::MAX));
    }

    /// Returns the deliveries that were written.
    async fn write(&self, tx: &Tx, organization: OrganizationId) -> Result<HashSet<WebhookDeliveryId>> {
        let Self { ids, attempts, states, waits, statuses, bodies, errors, durations } = self;
        let rows = tx
            .query(
                include_str!("recording/record.sql"),
                &[&organization, ids, attempts, states, waits, statuses, bodies, errors, durations],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }
}

/// As much of an answer as is kept, without the one character that the database can't hold.
fn beginning(body: &str) -> String {
    let body = body.replace('\0', "");
    let end = body.floor_char_boundary(BODY_BYTES);
    body.get(..end).unwrap_or_default().to_owned()
}
