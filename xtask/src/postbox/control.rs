//! The driver's API under `/_postbox`: time, plans, and what was received.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Postbox;
use super::account::Limits;
use super::agenda::Advance;
use super::clock::{self, Shift};
use super::faults::Faults;
use super::outcomes::{Outcome, Plan};
use super::store::{Happening, Kept, Mail, Store};

/// How many mails a list holds unless asked.
const DEFAULT_LIMIT: usize = 1_000;

/// How many mails a list holds at most.
const MAX_LIMIT: usize = 10_000;

pub(super) fn routes() -> Router<Arc<Postbox>> {
    Router::new()
        .route("/_postbox", delete(reset))
        .route("/_postbox/summary", get(summary))
        .route("/_postbox/clock", post(set_clock))
        .route("/_postbox/advance", post(advance))
        .route("/_postbox/plan", post(set_plan))
        .route("/_postbox/faults", post(set_faults))
        .route("/_postbox/account", post(set_limits))
        .route("/_postbox/mails", get(mails))
        .route("/_postbox/mails/{id}", get(mail))
        .route("/_postbox/mails/{id}/raw", get(raw))
        .route("/_postbox/stops", get(stops))
        .route("/_postbox/visits", get(visits))
        .route("/_postbox/reply", post(reply))
        .route("/_postbox/outcome", post(outcome))
}

/// A request that cannot be obeyed, with the reason.
#[derive(Debug)]
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn refuse(reason: Option<String>) -> Result<(), Refused> {
    reason.map_or(Ok(()), |reason| Err(Refused(StatusCode::BAD_REQUEST, reason)))
}

/// Forgets everything: mails, stops, plans, identities, limits and the shift of the clock.
async fn reset(State(postbox): State<Arc<Postbox>>) -> Json<Value> {
    // What is under way finishes first, so that no event of an old mail arrives after the reset.
    let _one_at_a_time = postbox.advancing.lock().await;
    postbox.publisher.idle().await;
    *postbox.store() = Store::default();
    Json(json!({}))
}

#[derive(Debug, Serialize)]
struct Summary {
    mails: usize,
    last_sequence: u64,
    #[serde(flatten)]
    counts: super::store::Counts,
    stops: BTreeMap<&'static str, u64>,
    /// Mails whose first events are still being published.
    publishing: usize,
    /// Outcomes that are still to come.
    remaining: usize,
    next_due: Option<String>,
    shift_seconds: i64,
    simulated_now: String,
    real_now: String,
    plan: Option<Plan>,
    fault_plan: Faults,
    account: Limits,
    identities: Vec<String>,
}

async fn summary(State(postbox): State<Arc<Postbox>>) -> Json<Value> {
    let publishing = postbox.publisher.pending();
    let store = postbox.store();
    let mut stops = BTreeMap::new();
    for stop in store.stops() {
        *stops.entry(stop.kind).or_default() += 1;
    }
    let summary = Summary {
        mails: store.mails().len(),
        last_sequence: store.last_sequence(),
        counts: store.counts.clone(),
        stops,
        publishing,
        remaining: store.remaining(),
        next_due: store.next_due().map(clock::stamp),
        shift_seconds: store.shift.seconds(),
        simulated_now: clock::stamp(store.now()),
        real_now: clock::stamp(clock::real_now()),
        plan: store.plan,
        fault_plan: store.faults.clone(),
        account: store.account.limits,
        identities: store.identities.names().map(Into::into).collect(),
    };
    drop(store);
    Json(json!(summary))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    shift_seconds: i64,
}

async fn set_clock(State(postbox): State<Arc<Postbox>>, Json(request): Json<SetClock>) -> Result<Json<Value>, Refused> {
    let shift = Shift::from_seconds(request.shift_seconds);
    let reason = "shift_seconds must be within a hundred years";
    let shift = shift.ok_or_else(|| Refused(StatusCode::BAD_REQUEST, reason.into()))?;
    let mut store = postbox.store();
    store.shift = shift;
    Ok(Json(json!({ "shift_seconds": shift.seconds(), "simulated_now": clock::stamp(store.now()) })))
}

async fn advance(State(postbox): State<Arc<Postbox>>) -> Json<Advance> {
    // In a task of its own: a driver that goes away must not leave an answer half delivered.
    let working = postbox.clone();
    let advance = tokio::spawn(async move { working.advance().await });
    Json(advance.await.unwrap_or_default())
}

async fn set_plan(State(postbox): State<Arc<Postbox>>, Json(plan): Json<Plan>) -> Result<Json<Plan>, Refused> {
    refuse(plan.refuse())?;
    postbox.store().plan = Some(plan);
    Ok(Json(plan))
}

async fn set_faults(State(postbox): State<Arc<Postbox>>, Json(faults): Json<Faults>) -> Result<Json<Faults>, Refused> {
    refuse(faults.refuse())?;
    postbox.store().faults = faults.clone();
    Ok(Json(faults))
}

async fn set_limits(State(postbox): State<Arc<Postbox>>, Json(limits): Json<Limits>) -> Json<Limits> {
    postbox.store().account.limits = limits;
    Json(limits)
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// A mail as the driver sees it.
#[derive(Debug, Serialize)]
struct Listed {
    sequence: u64,
    provider_message_id: String,
    /// In simulated time.
    accepted_at: String,
    /// In real time.
    accepted_at_real: String,
    from: String,
    to: Vec<String>,
    reply_to: Vec<String>,
    subject: String,
    tags: BTreeMap<String, String>,
    configuration_set: Option<String>,
    outcome: Outcome,
    /// How many earlier mails the recipient had got.
    step: u32,
}

impl Listed {
    fn of(mail: &Mail) -> Self {
        let draft = &mail.draft;
        Self {
            sequence: mail.sequence,
            provider_message_id: mail.provider_id.clone(),
            accepted_at: clock::stamp(mail.accepted_at),
            accepted_at_real: clock::stamp(mail.accepted_at_real),
            from: draft.from.clone(),
            to: draft.recipients.iter().map(|to| to.address.clone()).collect(),
            reply_to: draft.reply_to.clone(),
            subject: draft.subject.clone(),
            tags: draft.tags.iter().cloned().collect(),
            configuration_set: draft.configuration_set.clone(),
            outcome: mail.outcome,
            step: mail.step,
        }
    }
}

async fn mails(State(postbox): State<Arc<Postbox>>, Query(page): Query<Page>) -> Json<Value> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let store = postbox.store();
    let after = store.mails_after(page.after);
    let listed: Vec<_> = after.iter().take(limit).map(|kept| Listed::of(&kept.mail)).collect();
    let more = after.len() > listed.len();
    Json(json!({ "mails": listed, "more": more, "last_sequence": store.last_sequence() }))
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    mail: Listed,
    headers: Vec<(String, String)>,
    history: Vec<Happening>,
}

async fn mail(State(postbox): State<Arc<Postbox>>, Path(id): Path<String>) -> Result<Json<Shown>, Refused> {
    let store = postbox.store();
    let Kept { mail, history } = store.find(&id).ok_or_else(|| no_mail(&id))?;
    Ok(Json(Shown { mail: Listed::of(mail), headers: mail.draft.headers.clone(), history: history.clone() }))
}

async fn raw(State(postbox): State<Arc<Postbox>>, Path(id): Path<String>) -> Result<Response, Refused> {
    let mail = postbox.mail(&id)?;
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822"),
        // Never shown by a browser: what was sent is not to be trusted.
        (header::CONTENT_DISPOSITION, "attachment; filename=\"mail.eml\""),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, mail.draft.raw.clone()).into_response())
}

fn no_mail(id: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is no mail {id}"))
}

impl Postbox {
    /// The mail of a sequence number or of an id that SES returned.
    pub(super) fn mail(&self, id: &str) -> Result<Arc<Mail>, Refused> {
        self.store().find(id).map(|kept| kept.mail.clone()).ok_or_else(|| no_mail(id))
    }
}

async fn stops(State(postbox): State<Arc<Postbox>>) -> Json<Value> {
    Json(json!({ "stops": postbox.store().stops() }))
}

async fn visits(State(postbox): State<Arc<Postbox>>) -> Json<Value> {
    Json(json!({ "visits": postbox.store().visits() }))
}

/// A mail's id in JSON: its sequence number, or the id that SES returned.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum MailId {
    Sequence(u64),
    Text(String),
}

impl MailId {
    fn text(&self) -> String {
        match self {
            Self::Sequence(sequence) => sequence.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyByHand {
    mail: MailId,
    text: String,
}

async fn reply(State(postbox): State<Arc<Postbox>>, Json(request): Json<ReplyByHand>) -> Result<Json<Value>, Refused> {
    let mail = postbox.mail(&request.mail.text())?;
    let done = postbox.perform(&mail, Outcome::Reply, postbox.simulated_now(), Some(&request.text)).await;
    Ok(Json(json!({ "done": done })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeByHand {
    mail: MailId,
    outcome: Outcome,
}

async fn outcome(
    State(postbox): State<Arc<Postbox>>,
    Json(request): Json<OutcomeByHand>,
) -> Result<Json<Value>, Refused> {
    let mail = postbox.mail(&request.mail.text())?;
    let done = postbox.perform(&mail, request.outcome, postbox.simulated_now(), None).await;
    Ok(Json(json!({ "done": done })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::testing::Bench;

    #[tokio::test]
    async fn mails_are_listed_in_pages_by_sequence() {
        let bench = Bench::start().await;
        for number in 0..5 {
            bench.send(&format!("p{number}@example.com")).await;
        }
        let (_, first) = bench.get("/_postbox/mails?limit=2").await;
        assert_eq!((first["mails"].as_array().unwrap().len(), &first["more"]), (2, &json!(true)));
        let (_, rest) = bench.get("/_postbox/mails?after=2&limit=100").await;
        assert_eq!(rest["mails"][0]["sequence"], 3);
        assert_eq!((rest["mails"].as_array().unwrap().len(), &rest["more"]), (3, &json!(false)));
        assert_eq!(bench.get("/_postbox/mails/99").await.0, 404);
    }

    #[tokio::test]
    async fn the_clock_moves_what_is_simulated_and_only_that() {
        let bench = Bench::start().await;
        let (status, set) = bench.post("/_postbox/clock", &json!({ "shift_seconds": 864_000 })).await;
        assert_eq!((status, &set["shift_seconds"]), (200, &json!(864_000)));
        let mail = bench.send("a@example.com").await;
        let time = |name: &str| chrono::DateTime::parse_from_rfc3339(mail[name].as_str().unwrap()).unwrap();
        assert_eq!((time("accepted_at") - time("accepted_at_real")).num_seconds(), 864_000);
        assert_eq!(bench.post("/_postbox/clock", &json!({ "shift_seconds": i64::MAX })).await.0, 400);
    }

    #[tokio::test]
    async fn a_person_can_answer_and_bounce_by_hand() {
        let bench = Bench::start().await;
        bench.send("a@example.com").await;
        let (_, done) = bench.post("/_postbox/reply", &json!({ "mail": 1, "text": "Call me" })).await;
        assert_eq!(done, json!({ "done": true }));
        let (_, done) = bench.post("/_postbox/outcome", &json!({ "mail": "1", "outcome": "complaint" })).await;
        assert_eq!(done, json!({ "done": true }));
        let (_, stops) = bench.get("/_postbox/stops").await;
        let kinds: Vec<_> = stops["stops"].as_array().unwrap().iter().map(|stop| &stop["kind"]).collect();
        assert_eq!(kinds, ["reply", "complaint"]);
        let (status, _) = bench.post("/_postbox/outcome", &json!({ "mail": 77, "outcome": "bounce" })).await;
        assert_eq!(status, 404);
    }

    #[tokio::test]
    async fn a_reset_forgets_everything() {
        let bench = Bench::start().await;
        bench.send("a@example.com").await;
        bench.post("/_postbox/clock", &json!({ "shift_seconds": 5 })).await;
        assert_eq!(bench.delete("/_postbox").await.0, 200);
        let (_, summary) = bench.get("/_postbox/summary").await;
        assert_eq!((&summary["mails"], &summary["last_sequence"]), (&json!(0), &json!(0)));
        assert_eq!((&summary["shift_seconds"], &summary["identities"]), (&json!(0), &json!([])));
    }

    #[tokio::test]
    async fn impossible_plans_are_refused() {
        let bench = Bench::start().await;
        let plan = json!({ "seed": 1, "rates": { "bounce": 0.9, "reply": 0.9 } });
        assert_eq!(bench.post("/_postbox/plan", &plan).await.0, 400);
        let faults = json!({ "seed": 1, "kinds": { "hang": 2.0 } });
        assert_eq!(bench.post("/_postbox/faults", &faults).await.0, 400);
    }

    #[tokio::test]
    async fn pages_of_other_sites_cannot_change_anything() {
        let bench = Bench::start().await;
        for (origin, status) in [("http://evil.example", 403), ("null", 403), (bench.url.as_str(), 200)] {
            let request = bench.request(reqwest::Method::DELETE, "/_postbox").header("origin", origin);
            assert_eq!(request.send().await.unwrap().status(), status, "{origin}");
        }
    }
}
