//! What happens is told where an organization wants it told: once in the outbox, until it is taken, and to nobody else.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration as Wait;

use chrono::{DateTime, Duration, Utc};
use futures_util::future::{BoxFuture, join};
use serde_json::{Value, json};
use shared::delivery::feedback::EventKind;
use shared::delivery::senders;
use shared::delivery::sending::Answer as MailAnswer;
use shared::delivery::tracking;
use shared::delivery::unsubscribing::Wish;
use shared::outreach::{activation, campaigns};
use shared::platform::memberships::Role;
use shared::platform::webhooks::deleting;
use shared::platform::webhooks::deliveries::{self, Filter, State};
use shared::platform::webhooks::dispatching::{self, Answer, Dispatched, Dispatcher, Failure, Post, Poster};
use shared::platform::webhooks::endpoints::{self, DisabledReason, Endpoint, EndpointFields, NewEndpoint, Status};
use shared::platform::webhooks::secrets::Secret;
use shared::platform::webhooks::sweeping::{self, Swept};
use shared::platform::webhooks::{EventType, Reach};
use shared::platform::workflows::{self, NewWorkflow};
use shared::{Database, Error, OrganizationId, Result, Tx, WebhookDeliveryId, WebhookEndpointId, WorkflowId};
use standardwebhooks::Webhook;
use testkit::FakeWebhookQueue;
use testkit::scene::wednesday_morning;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::stage::{Stage, person};

const URL: &str = "https://hooks.example.com/martlet";

/// The way out: it remembers every post and answers as it was told.
pub(crate) struct FakePoster {
    posts: Mutex<Vec<Post>>,
    next: Mutex<VecDeque<Result<u16, Failure>>>,
    always: Result<u16, Failure>,
    body: String,
}

impl FakePoster {
    pub(crate) fn answering(always: Result<u16, Failure>, body: &str) -> Self {
        Self { posts: Mutex::default(), next: Mutex::default(), always, body: body.to_owned() }
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        std::mem::take(&mut *self.posts.lock().unwrap())
    }
}

impl Poster for FakePoster {
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.posts.lock().unwrap().push(post.clone());
            let outcome = self.next.lock().unwrap().pop_front().unwrap_or(self.always);
            Answer { outcome, body: Some(self.body.clone()), took: Wait::from_millis(7) }
        })
    }
}

/// An endpoint that is told everything, and a workflow that replies start.
pub(crate) struct Told {
    pub(crate) endpoint: WebhookEndpointId,
    pub(crate) secret: Secret,
    pub(crate) workflow: WorkflowId,
    pub(crate) workflow_secret: Secret,
    hints: FakeWebhookQueue,
}

impl Told {
    pub(crate) async fn new(stage: &Stage) -> Self {
        let (endpoint, secret) = create(stage, URL, None).await;
        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        let new = NewWorkflow {
            name: "Answer leads".to_owned(),
            url: Some("https://n8n.example.com:5678/webhook/leads".to_owned()),
            event_types: vec!["reply.received".to_owned()],
            description: None,
        };
        let (workflow, workflow_secret) =
            workflows::create(&tx, &stage.letterhead.keys, Reach::Public, &new).await.unwrap();
        tx.commit().await.unwrap();
        Self { endpoint, secret, workflow: workflow.id, workflow_secret, hints: FakeWebhookQueue::default() }
    }

    pub(crate) async fn dispatch(&self, stage: &Stage, poster: &dyn Poster) -> Dispatched {
        dispatch(stage, poster, &self.hints).await
    }

    fn hints(&self) -> Vec<u64> {
        self.hints.drain().into_iter().map(|(_, delay)| delay.as_secs()).collect()
    }
}

async fn dispatch(stage: &Stage, poster: &dyn Poster, queue: &FakeWebhookQueue) -> Dispatched {
    let db = stage.worker("martlet_dispatcher");
    let keys = &stage.letterhead.keys;
    let dispatcher = Dispatcher { db: &db, keys, poster, queue, public_url: "https://api.example.test" };
    let deadline = Instant::now() + Wait::from_secs(600);
    dispatcher.dispatch(&[stage.scene.organization], deadline).await.unwrap()
}

async fn create(stage: &Stage, url: &str, event_types: Option<&[&str]>) -> (WebhookEndpointId, Secret) {
    let event_types = event_types.map(|types| types.iter().map(ToString::to_string).collect());
    let new = NewEndpoint { url: url.to_owned(), event_types, description: None };
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let (endpoint, secret) = endpoints::create(&tx, &stage.letterhead.keys, Reach::Public, &new).await.unwrap();
    tx.commit().await.unwrap();
    (endpoint.id, secret)
}

fn payload(post: &Post) -> Value {
    serde_json::from_str(&post.body).unwrap()
}

/// Whether a library that we did not write believes a post.
fn is_believed(secret: &Secret, post: &Post) -> bool {
    let theirs = Webhook::new(&secret.text()).unwrap();
    let headers = HashMap::from([
        ("webhook-id".to_owned(), post.id.clone()),
        ("webhook-timestamp".to_owned(), post.timestamp.to_string()),
        ("webhook-signature".to_owned(), post.signature.clone()),
    ]);
    theirs.verify(post.body.as_bytes(), &(&headers).try_into().unwrap()).is_ok()
}

/// So many events, of which nobody has made deliveries yet.
async fn happen(stage: &Stage, events: i32) {
    let sql = "insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data)
               select $1, gen_random_uuid(), 'campaign.paused', $1, now(), '{}' from generate_series(1, $2)";
    stage.scene.run(sql, &[&stage.scene.organization, &events]).await;
}

/// So many events with a delivery to each endpoint, for tomorrow.
async fn tell_later(stage: &Stage, events: i32, endpoints: &[WebhookEndpointId]) {
    let sql = "with event as (
                   insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data, fanned_out_at)
                   select $1, gen_random_uuid(), 'campaign.paused', $1, now(), '{}', now() from generate_series(1, $2)
                   returning organization_id, id
               )
               insert into webhook_deliveries (organization_id, id, event_id, endpoint_id, next_attempt_at)
               select e.organization_id, gen_random_uuid(), e.id, t.id, now() + interval '1 day'
                 from event e cross join unnest($3::uuid[]) as t (id)";
    stage.scene.run(sql, &[&stage.scene.organization, &events, &endpoints]).await;
}

/// How many events of each type are in the outbox.
async fn events(stage: &Stage) -> BTreeMap<String, i64> {
    let rows = stage.scene.rows("select type, count(*) from webhook_events group by type", &[]).await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// A campaign whose one mail is sent.
async fn sent(stage: &Stage) -> shared::delivery::messages::MessageKey {
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
    stage.tick().await;
    stage.deliver_queued().await;
    stage.messages().await[0]
}

#[tokio::test]
async fn what_happens_to_a_mail_is_written_once_with_what_it_is_about() {
    let stage = Stage::new().await;
    Told::new(&stage).await;
    let key = sent(&stage).await;
    let contact = stage.message(key, "contact_id").await.unwrap();
    stage.at(wednesday_morning() + Duration::hours(1)).await;
    let delivered = stage.event(key, EventKind::Delivered).await;
    stage.apply(std::slice::from_ref(&delivered)).await;
    stage.apply(&[delivered, stage.event(key, EventKind::SoftBounced).await]).await;
    let app = stage.worker("martlet_app");
    tracking::open(&app, key, &person(1)).await.unwrap();
    tracking::open(&app, key, &person(1)).await.unwrap();
    stage.receive(key, "1@people.test", "").await;
    stage.receive(key, "1@people.test", "").await;
    stage.receive(key, "2@people.test", "Auto-Submitted: auto-replied\r\n").await;
    stage.unsubscribe_as(key, &Wish::read(None, Some("too_often"), Some("This is private."))).await;
    stage.unsubscribe(key).await;
    let told: Vec<(String, i64)> = events(&stage).await.into_iter().collect();
    let once = ["contact.unsubscribed", "message.delivered", "message.opened", "message.sent", "reply.received"];
    assert_eq!(told, once.map(|name| (name.to_owned(), 1)));
    for row in stage.scene.rows("select type, data, occurred_at from webhook_events", &[]).await {
        let (name, data): (String, Value) = (row.get(0), row.get(1));
        assert_eq!(data["message_id"], key.id.to_string(), "{name}");
        assert_eq!(data["contact_id"], contact, "{name}");
        assert_eq!(data["email"], "person1@people.test", "{name}");
        assert_eq!(data["state"], "sent", "{name}");
        assert!(!data.to_string().contains("private"), "{data}");
        let keys: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(!keys.contains(&"body") && !keys.contains(&"subject"), "{keys:?}");
        if name == "contact.unsubscribed" {
            assert_eq!((&data["scope"], &data["reason"]), (&json!("everything"), &json!("too_often")));
        }
    }
}

#[tokio::test]
async fn what_machines_do_is_not_told_as_what_people_do() {
    let stage = Stage::new().await;
    Told::new(&stage).await;
    let key = sent(&stage).await;
    // No visitor: nobody knows who it was.
    for kind in [EventKind::Opened, EventKind::Clicked] {
        let mut event = stage.event(key, kind).await;
        event.visit = None;
        event.details = json!({});
        stage.apply(&[event]).await;
    }
    assert_eq!(stage.scene.number("select count(*) from message_events where is_machine", &[]).await, 2);
    assert_eq!(events(&stage).await.keys().map(String::as_str).collect::<Vec<_>>(), ["message.sent"]);
}

#[tokio::test]
async fn what_was_in_doubt_is_told_when_it_is_known_and_once() {
    let stage = Stage::new().await;
    Told::new(&stage).await;
    stage.mailer.answer_next([MailAnswer::Unclear("reset".to_owned())]);
    let key = sent(&stage).await;
    assert_eq!((stage.scene.states().await.as_str(), events(&stage).await.len()), ("unknown=1", 0));
    stage.apply(&[stage.event(key, EventKind::Bounced).await, stage.event(key, EventKind::Sent).await]).await;
    stage.apply(&[stage.event(key, EventKind::Rejected).await]).await;
    let told: Vec<(String, i64)> = events(&stage).await.into_iter().collect();
    assert_eq!(told, ["message.bounced", "message.failed", "message.sent"].map(|name| (name.to_owned(), 1)));
}

#[tokio::test]
async fn refused_mails_are_told_whoever_has_refused_them() {
    let stage = Stage::new().await;
    Told::new(&stage).await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.scene.run("update steps set subject_template = '{{ custom.n }}'", &[]).await;
    stage.scene.run("update contacts set custom = '{\"n\": \"One\"}' where email = 'person1@people.test'", &[]).await;
    let refused =
        MailAnswer::Refused { code: "MessageRejected".to_owned(), detail: "no".to_owned(), address_at_fault: false };
    stage.mailer.answer_next([refused]);
    stage.tick().await;
    stage.deliver_queued().await;
    let failed = stage.scene.number("select count(*) from messages where state = 'failed'", &[]).await;
    assert!(failed > 0, "{}", stage.scene.states().await);
    assert_eq!(events(&stage).await.get("message.failed"), Some(&failed));
    let codes = "select count(*) from webhook_events where data ->> 'outcome_code' is null";
    assert_eq!(stage.scene.number(codes, &[]).await, 0);
}

#[tokio::test]
async fn nothing_is_written_that_nobody_wants() {
    let stage = Stage::new().await;
    let (other, _) = create(&stage, URL, Some(&["message.bounced"])).await;
    let key = sent(&stage).await;
    assert_eq!(events(&stage).await.len(), 0);
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let disabled = EndpointFields { status: Some(Status::Disabled), ..EndpointFields::default() };
    endpoints::update(&tx, Reach::Public, other, disabled).await.unwrap();
    tx.commit().await.unwrap();
    stage.apply(&[stage.event(key, EventKind::Bounced).await]).await;
    assert_eq!(events(&stage).await.len(), 0);
}

#[tokio::test]
async fn the_life_of_a_campaign_is_told() {
    let stage = Stage::new().await;
    Told::new(&stage).await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.draft_campaign(1, &[sender], 1, 1_000).await.campaign;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    activation::activate(&tx, campaign, None).await.unwrap();
    campaigns::pause(&tx, campaign).await.unwrap();
    campaigns::resume(&tx, campaign).await.unwrap();
    senders::pause(&tx, sender, Some("a holiday")).await.unwrap();
    senders::resume(&tx, sender).await.unwrap();
    tx.commit().await.unwrap();
    stage.scene.run("update enrollments set status = 'completed', next_due_at = null", &[]).await;
    stage.sweep().await;
    let names: Vec<String> = events(&stage).await.into_keys().collect();
    let expected = ["campaign.activated", "campaign.completed", "campaign.paused", "campaign.resumed", "sender.paused"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn webhook_deliveries_are_signed_so_that_a_library_we_did_not_write_believes_them() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    let poster = FakePoster::answering(Ok(204), "");
    let done = told.dispatch(&stage, &poster).await;
    assert_eq!((done.made, done.delivered), (1, 1));
    let [post] = poster.posts().try_into().unwrap();
    assert_eq!((post.url.as_str(), payload(&post)["type"].as_str()), (URL, Some("message.sent")));
    assert_eq!(payload(&post).as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "timestamp", "type"]);
    assert!(is_believed(&told.secret, &post));
    let tampered = Post { body: post.body.replace("sent", "lost"), ..post.clone() };
    assert!(!is_believed(&told.secret, &tampered));
    assert!(!is_believed(&told.secret, &Post { id: "another".to_owned(), ..post.clone() }));
    assert!(!is_believed(&told.secret, &Post { timestamp: post.timestamp - 301, ..post.clone() }));
    assert!(!is_believed(&Secret::fresh().unwrap(), &post));
    // There is nothing more.
    let done = told.dispatch(&stage, &poster).await;
    assert_eq!((done, poster.posts().len()), (Dispatched::default(), 0));
}

#[tokio::test]
async fn during_a_rotation_both_secrets_sign_and_afterwards_the_new_one_alone() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let poster = FakePoster::answering(Ok(200), "");
    let rotate = async || {
        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        let (endpoint, secret) = endpoints::rotate_secret(&tx, &stage.letterhead.keys, told.endpoint).await.unwrap();
        let delivery = deliveries::test(&tx, told.endpoint).await.unwrap();
        tx.commit().await.unwrap();
        assert!(endpoint.previous_secret_expires_at.is_some());
        told.dispatch(&stage, &poster).await;
        (secret, poster.posts().pop().unwrap(), delivery)
    };
    let (second, post, _) = rotate().await;
    assert!(is_believed(&told.secret, &post) && is_believed(&second, &post));
    let (third, post, delivery) = rotate().await;
    assert!(is_believed(&second, &post) && is_believed(&third, &post));
    assert!(!is_believed(&told.secret, &post), "of three the first is over");
    stage.scene.run("update webhook_secrets set expires_at = now() where expires_at is not null", &[]).await;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    deliveries::replay(&tx, delivery.id).await.unwrap();
    tx.commit().await.unwrap();
    told.dispatch(&stage, &poster).await;
    let post = poster.posts().pop().unwrap();
    assert!(is_believed(&third, &post) && !is_believed(&second, &post));
}

#[tokio::test]
async fn secrets_are_nowhere_in_plain() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let rows = stage.scene.rows("select s::text, length(sealed) from webhook_secrets s", &[]).await;
    assert_eq!(rows.len(), 2);
    for secret in [&told.secret, &told.workflow_secret] {
        let hex: String = secret.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        for row in &rows {
            let text: String = row.get(0);
            assert!(!text.contains(&hex) && !text.contains(secret.text().trim_start_matches("whsec_")));
        }
        assert!(!format!("{secret:?}").contains(&secret.text()));
    }
    // Moved to another endpoint it does not open.
    stage.scene.run("delete from webhook_secrets where endpoint_id = $1", &[&told.endpoint]).await;
    stage.scene.run("update webhook_secrets set endpoint_id = $1", &[&told.endpoint]).await;
    sent(&stage).await;
    let poster = FakePoster::answering(Ok(200), "");
    let done = told.dispatch(&stage, &poster).await;
    assert_eq!((done.delivered, done.put_off, poster.posts().len()), (0, 1, 0));
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_for_a_day_under_the_same_id() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    let poster = FakePoster::answering(Ok(503), "busy\0");
    let mut ids = Vec::new();
    let mut waits = Vec::new();
    for attempt in 1..=8 {
        let done = told.dispatch(&stage, &poster).await;
        let expected = if attempt < 8 { (1, 0) } else { (0, 1) };
        assert_eq!((done.put_off, done.failed), expected, "attempt {attempt}");
        let [post] = poster.posts().try_into().unwrap();
        ids.push(post.id);
        // Not before its time.
        assert_eq!(told.dispatch(&stage, &poster).await, Dispatched::default());
        let wait = "select extract(epoch from next_attempt_at - now())::float8 from webhook_deliveries";
        waits.extend(stage.scene.rows(wait, &[]).await[0].get::<_, Option<f64>>(0));
        make_due(&stage).await;
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert!(waits.is_sorted() && waits.len() == 7, "{waits:?}");
    assert!((70_000.0..86_400.0).contains(&waits.iter().sum::<f64>()), "{waits:?}");
    // What is due within a queue's patience comes back by itself, the rest with the scheduler.
    assert_eq!(told.hints().len(), 2);
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let [delivery] = deliveries::list(&tx, &Filter::default(), None, 10).await.unwrap().try_into().unwrap();
    assert_eq!((delivery.state, delivery.attempts, delivery.answer_status), (State::Failed, 8, Some(503)));
    assert_eq!((delivery.error.as_deref(), delivery.answer_body.as_deref()), (Some("refused"), Some("busy")));
    let endpoint = endpoints::find(&tx, told.endpoint).await.unwrap();
    assert!(endpoint.status == Status::Enabled && endpoint.failing_since.is_some());
    let replayed = deliveries::replay(&tx, delivery.id).await.unwrap();
    assert_eq!((replayed.state, replayed.attempts), (State::Pending, 0));
    tx.commit().await.unwrap();
    let poster = FakePoster::answering(Ok(200), "");
    told.dispatch(&stage, &poster).await;
    assert_eq!(poster.posts()[0].id, ids[0]);
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    assert_eq!(endpoints::find(&tx, told.endpoint).await.unwrap().failing_since, None);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_no_answer_and_410_is_the_last() {
    let stage = Stage::new().await;
    for role in [Role::Owner, Role::Admin] {
        stage.scene.session(role).await;
    }
    let told = Told::new(&stage).await;
    sent(&stage).await;
    let poster = FakePoster::answering(Ok(302), "");
    assert_eq!(told.dispatch(&stage, &poster).await.put_off, 1);
    stage.scene.run("update webhook_deliveries set next_attempt_at = now()", &[]).await;
    let key = stage.messages().await[0];
    stage.apply(&[stage.event(key, EventKind::Delivered).await]).await;
    let poster = FakePoster::answering(Ok(410), "");
    let done = told.dispatch(&stage, &poster).await;
    assert_eq!((done.failed, done.disabled), (2, 1));
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let endpoint = endpoints::find(&tx, told.endpoint).await.unwrap();
    assert_eq!((endpoint.status, endpoint.disabled_reason), (Status::Disabled, Some(DisabledReason::Gone)));
    let [failed, _] = deliveries::list(&tx, &Filter::default(), None, 10).await.unwrap().try_into().unwrap();
    let refused = deliveries::replay(&tx, failed.id).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { code: "webhook_endpoint_disabled", .. }));
    tx.commit().await.unwrap();
    let acts = "select count(*) from audit_log where action = 'webhook_endpoint.disabled' and actor_kind = 'system'";
    assert_eq!(stage.scene.number(acts, &[]).await, 1);
    let told_owners = "select count(*) from system_mails s join memberships m on m.role = 'owner' join users u on u.id = m.user_id
                        join messages g on g.organization_id = s.organization_id and g.id = s.message_id and g.recipient = u.email
                        where s.template = 'webhook_disabled'";
    let every_mail = "select count(*) from system_mails where template = 'webhook_disabled'";
    assert_eq!((stage.scene.number(told_owners, &[]).await, stage.scene.number(every_mail, &[]).await), (1, 1));
    // And nothing more is written for it.
    stage.apply(&[stage.event(key, EventKind::Complained).await]).await;
    assert!(!events(&stage).await.contains_key("message.complained"));
}

/// As if nothing had been taken for longer than an endpoint is borne with.
async fn fail_for_days(stage: &Stage) {
    let sql = "update webhook_endpoints set failing_since = now() - interval '121 hours' where kind = 'webhook'";
    stage.scene.run(sql, &[]).await;
}

async fn make_due(stage: &Stage) {
    stage.scene.run("update webhook_deliveries set next_attempt_at = now() where state = 'pending'", &[]).await;
}

async fn find(stage: &Stage, endpoint: WebhookEndpointId) -> Endpoint {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let found = endpoints::find(&tx, endpoint).await.unwrap();
    tx.commit().await.unwrap();
    found
}

async fn update(stage: &Stage, endpoint: WebhookEndpointId, fields: Value) -> Endpoint {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let updated = update_in(&tx, endpoint, fields).await;
    tx.commit().await.unwrap();
    updated
}

async fn update_in(tx: &Tx, endpoint: WebhookEndpointId, fields: Value) -> Endpoint {
    endpoints::update(tx, Reach::Public, endpoint, serde_json::from_value(fields).unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_that_has_failed_for_days_is_disabled_and_may_begin_anew() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let key = sent(&stage).await;
    let poster = FakePoster::answering(Err(Failure::TimedOut), "");
    assert_eq!(told.dispatch(&stage, &poster).await.disabled, 0);
    fail_for_days(&stage).await;
    stage.scene.run("update webhook_deliveries set attempts = 7, next_attempt_at = now()", &[]).await;
    stage.apply(&[stage.event(key, EventKind::Delivered).await]).await;
    let done = told.dispatch(&stage, &poster).await;
    assert_eq!((done.put_off, done.failed, done.disabled), (1, 1, 1));
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let endpoint = endpoints::find(&tx, told.endpoint).await.unwrap();
    assert_eq!(endpoint.disabled_reason, Some(DisabledReason::Failing));
    let all = deliveries::list(&tx, &Filter::default(), None, 10).await.unwrap();
    assert_eq!(all.iter().map(|one| one.state).collect::<Vec<_>>(), [State::Cancelled, State::Failed]);
    assert!(all.iter().all(|one| one.next_attempt_at.is_none()), "{all:?}");
    let enabled = EndpointFields { status: Some(Status::Enabled), ..EndpointFields::default() };
    let endpoint = endpoints::update(&tx, Reach::Public, told.endpoint, enabled).await.unwrap();
    assert_eq!((endpoint.status, endpoint.failing_since), (Status::Enabled, None));
    let now: DateTime<Utc> = tx.query_one("select now()", &[]).await.unwrap().get(0);
    assert_eq!(deliveries::replay_failed(&tx, told.endpoint, now + Duration::hours(1)).await.unwrap(), 0);
    assert_eq!(deliveries::replay_failed(&tx, told.endpoint, now - Duration::hours(1)).await.unwrap(), 2);
    tx.commit().await.unwrap();
    let poster = FakePoster::answering(Ok(200), "");
    assert_eq!(told.dispatch(&stage, &poster).await.delivered, 2);
}

#[tokio::test]
async fn one_failure_long_ago_disables_nobody_at_the_next_first_one() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    fail_for_days(&stage).await;
    let poster = FakePoster::answering(Ok(503), "");
    for _ in 0..7 {
        let done = told.dispatch(&stage, &poster).await;
        assert_eq!((done.put_off, done.disabled), (1, 0));
        make_due(&stage).await;
    }
    let done = told.dispatch(&stage, &poster).await;
    assert_eq!((done.failed, done.disabled), (1, 1), "its attempts are used up, and its time is over");
}

#[tokio::test]
async fn another_address_does_not_inherit_the_failures_of_the_one_before() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    fail_for_days(&stage).await;
    assert!(update(&stage, told.endpoint, json!({"description": "n8n", "url": URL})).await.failing_since.is_some());
    let moved = update(&stage, told.endpoint, json!({"url": "https://new.example.com/"})).await;
    assert_eq!(moved.failing_since, None);
    fail_for_days(&stage).await;
    stage.scene.run("update webhook_endpoints set failing_since = now() where kind = 'workflow'", &[]).await;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let fields = serde_json::from_value(json!({"url": "https://new.example.com/run"})).unwrap();
    let workflow = workflows::update(&tx, Reach::Public, told.workflow, fields).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(workflow.failing_since, None);
}

/// A way out on which somebody does something before the answer comes.
struct Meanwhile<F> {
    db: Database,
    organization: OrganizationId,
    answer: u16,
    act: F,
}

impl<F> Meanwhile<F>
where
    F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, ()> + Send + Sync,
{
    fn new(stage: &Stage, answer: u16, act: F) -> Self {
        Self { db: stage.scene.db.app(), organization: stage.scene.organization, answer, act }
    }
}

impl<F> Poster for Meanwhile<F>
where
    F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, ()> + Send + Sync,
{
    fn post<'a>(&'a self, _post: &'a Post) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let tx = self.db.begin(self.organization).await.unwrap();
            (self.act)(&tx).await;
            tx.commit().await.unwrap();
            Answer { outcome: Ok(self.answer), body: None, took: Wait::ZERO }
        })
    }
}

#[tokio::test]
async fn a_late_410_of_the_address_before_disables_nobody_and_loses_nothing() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    let endpoint = told.endpoint;
    let moved = Meanwhile::new(&stage, 410, move |tx| {
        Box::pin(async move {
            update_in(tx, endpoint, json!({"url": "https://new.example.com/"})).await;
        })
    });
    let done = told.dispatch(&stage, &moved).await;
    assert_eq!((done.put_off, done.failed, done.disabled), (1, 0, 0));
    let found = find(&stage, endpoint).await;
    assert_eq!((found.status, found.failing_since), (Status::Enabled, None));
    make_due(&stage).await;
    let poster = FakePoster::answering(Ok(200), "");
    assert_eq!(told.dispatch(&stage, &poster).await.delivered, 1);
    assert_eq!(poster.posts()[0].url, "https://new.example.com/");
}

#[tokio::test]
async fn an_answer_that_is_not_recorded_says_nothing_of_the_endpoint() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    let endpoint = told.endpoint;
    let disabled_and_enabled = Meanwhile::new(&stage, 410, move |tx| {
        Box::pin(async move {
            for status in ["disabled", "enabled"] {
                update_in(tx, endpoint, json!({"status": status})).await;
            }
        })
    });
    let done = told.dispatch(&stage, &disabled_and_enabled).await;
    assert_eq!((done.failed, done.disabled), (0, 0), "what was cancelled meanwhile is nobody's failure");
    assert_eq!(find(&stage, endpoint).await.status, Status::Enabled);
}

#[tokio::test]
async fn a_410_that_comes_while_an_endpoint_is_being_deleted_does_not_bring_it_back() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    tell_later(&stage, 1_100, &[told.endpoint]).await;
    let endpoint = told.endpoint;
    let deleted =
        Meanwhile::new(&stage, 410, move |tx| Box::pin(async move { endpoints::delete(tx, endpoint).await.unwrap() }));
    assert_eq!(told.dispatch(&stage, &deleted).await.disabled, 0);
    let sql = "select count(*) from webhook_endpoints where id = $1 and status = 'deleting'";
    assert_eq!(stage.scene.number(sql, &[&told.endpoint]).await, 1);
}

#[tokio::test]
async fn an_endpoint_whose_secret_cannot_be_opened_fails_by_itself_until_it_has_a_new_one() {
    let stage = Stage::new().await;
    let (broken, _) = create(&stage, "https://broken.example.com/", None).await;
    create(&stage, URL, None).await;
    happen(&stage, 2).await;
    let sql = "update webhook_secrets set sealed = decode(repeat('00', 60), 'hex') where endpoint_id = $1";
    stage.scene.run(sql, &[&broken]).await;
    let poster = FakePoster::answering(Ok(200), "");
    let done = dispatch(&stage, &poster, &FakeWebhookQueue::default()).await;
    assert_eq!((done.delivered, done.put_off), (2, 2), "the others are told as ever");
    assert!(poster.posts().iter().all(|post| post.url == URL), "nothing goes out unsigned");
    assert!(find(&stage, broken).await.failing_since.is_some());
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let filter = Filter { state: Some(State::Pending), ..Filter::default() };
    let waiting = deliveries::list(&tx, &filter, None, 10).await.unwrap();
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|one| one.error.as_deref() == Some("secret_unreadable")), "{waiting:?}");
    endpoints::rotate_secret(&tx, &stage.letterhead.keys, broken).await.unwrap();
    tx.commit().await.unwrap();
    make_due(&stage).await;
    assert_eq!(dispatch(&stage, &poster, &FakeWebhookQueue::default()).await.delivered, 2);
}

#[tokio::test]
async fn one_failure_does_not_end_the_turn_of_an_endpoint_that_takes_the_rest() {
    let stage = Stage::new().await;
    create(&stage, URL, None).await;
    happen(&stage, 20).await;
    let poster = FakePoster::answering(Ok(200), "");
    poster.next.lock().unwrap().extend([Ok(500), Ok(200), Ok(200), Ok(200), Ok(200), Ok(500)]);
    let done = dispatch(&stage, &poster, &FakeWebhookQueue::default()).await;
    assert_eq!((done.made, done.delivered, done.put_off), (20, 18, 2));
    // One that takes nothing has one turn.
    make_due(&stage).await;
    stage
        .scene
        .run("update webhook_deliveries set state = 'pending', next_attempt_at = now(), attempts = 0", &[])
        .await;
    let done = dispatch(&stage, &FakePoster::answering(Ok(500), ""), &FakeWebhookQueue::default()).await;
    assert_eq!(done.put_off, 5);
}

#[tokio::test]
async fn nothing_is_made_for_an_endpoint_that_is_being_disabled() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    // Somebody disables it and has not committed while deliveries are made of the event.
    let other = stage.scene.db.app();
    let disabling = other.begin(stage.scene.organization).await.unwrap();
    let fields = serde_json::from_value(json!({"status": "disabled"})).unwrap();
    endpoints::update(&disabling, Reach::Public, told.endpoint, fields).await.unwrap();
    let poster = FakePoster::answering(Ok(200), "");
    let committed = async {
        stage.until_waiting(1).await;
        disabling.commit().await.unwrap();
    };
    let (done, ()) = join(told.dispatch(&stage, &poster), committed).await;
    assert_eq!((done, poster.posts().len()), (Dispatched::default(), 0));
    assert_eq!(stage.scene.number("select count(*) from webhook_deliveries", &[]).await, 0);
}

#[tokio::test]
async fn a_replay_waits_for_whoever_disables_the_endpoint() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    told.dispatch(&stage, &FakePoster::answering(Ok(200), "")).await;
    let id: WebhookDeliveryId = stage.scene.rows("select id from webhook_deliveries", &[]).await[0].get(0);
    let other = stage.scene.db.app();
    let disabling = other.begin(stage.scene.organization).await.unwrap();
    let fields = serde_json::from_value(json!({"status": "disabled"})).unwrap();
    endpoints::update(&disabling, Reach::Public, told.endpoint, fields).await.unwrap();
    let replay = async {
        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        deliveries::replay(&tx, id).await
    };
    let committed = async {
        stage.until_waiting(1).await;
        disabling.commit().await.unwrap();
    };
    let (refused, ()) = join(replay, committed).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "webhook_endpoint_disabled", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_test_says_nothing_is_posted_once_and_spoils_no_standing() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let delivery = deliveries::test(&tx, told.endpoint).await.unwrap();
    assert_eq!((delivery.event_type, delivery.state), (Some(EventType::WebhookTest), State::Pending));
    let workflow = WebhookEndpointId(told.workflow.0);
    assert!(matches!(deliveries::test(&tx, workflow).await, Err(Error::NotFound(_))));
    tx.commit().await.unwrap();
    let poster = FakePoster::answering(Err(Failure::AddressNotPublic), "");
    assert_eq!(told.dispatch(&stage, &poster).await.failed, 1);
    assert_eq!(payload(&poster.posts()[0])["data"], json!({ "endpoint_id": told.endpoint }));
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let delivery = deliveries::find(&tx, delivery.id).await.unwrap().delivery;
    assert_eq!((delivery.state, delivery.error.as_deref()), (State::Failed, Some("address_not_public")));
    assert_eq!(endpoints::find(&tx, told.endpoint).await.unwrap().failing_since, None);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn deliveries_are_found_by_endpoint_state_and_type() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let key = sent(&stage).await;
    stage.receive(key, "1@people.test", "").await;
    let poster = FakePoster::answering(Ok(200), "");
    poster.next.lock().unwrap().push_back(Ok(500));
    told.dispatch(&stage, &poster).await;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let count = async |filter: Filter| deliveries::list(&tx, &filter, None, 10).await.unwrap().len();
    assert_eq!(count(Filter::default()).await, 3, "one mail, one reply, and the reply's workflow");
    assert_eq!(count(Filter { endpoint_id: Some(told.endpoint), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { state: Some(State::Pending), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { state: Some(State::Delivered), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { event_type: Some(EventType::ReplyReceived), ..Filter::default() }).await, 2);
    let all = deliveries::list(&tx, &Filter::default(), None, 10).await.unwrap();
    let older = deliveries::list(&tx, &Filter::default(), Some(all[0].id), 1).await.unwrap();
    assert_eq!(older[0].id, all[1].id);
    tx.commit().await.unwrap();
}

/// An endpoint that does not answer before it is let to, and others that do.
struct HeldPoster {
    held: &'static str,
    others: Semaphore,
    released: Semaphore,
}

impl Poster for HeldPoster {
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if post.url == self.held {
                self.released.acquire().await.unwrap().forget();
            } else {
                self.others.add_permits(1);
            }
            Answer { outcome: Ok(200), body: None, took: Wait::ZERO }
        })
    }
}

#[tokio::test]
async fn one_slow_endpoint_holds_nobody_else_up() {
    let stage = Stage::new().await;
    let slow = "https://slow.example.com/";
    create(&stage, slow, None).await;
    create(&stage, URL, None).await;
    // Three turns of each.
    happen(&stage, 15).await;
    let (poster, hints) = (
        HeldPoster { held: slow, others: Semaphore::new(0), released: Semaphore::new(0) },
        FakeWebhookQueue::default(),
    );
    let all_others = async {
        poster.others.acquire_many(15).await.unwrap().forget();
        poster.released.add_permits(15);
    };
    let (done, ()) = join(dispatch(&stage, &poster, &hints), all_others).await;
    assert_eq!((done.made, done.delivered), (30, 30));
}

#[tokio::test]
async fn whoever_dies_with_a_delivery_leaves_it_to_the_next_and_records_nothing_late() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    sent(&stage).await;
    let poster = HeldPoster { held: URL, others: Semaphore::new(0), released: Semaphore::new(0) };
    let second = FakePoster::answering(Ok(500), "later");
    let overtaken = async {
        // Its lease is over while it waits for the answer.
        while stage.scene.number("select count(*) from webhook_deliveries where attempts = 1", &[]).await == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(told.dispatch(&stage, &second).await, Dispatched::default(), "the lease holds");
        stage.scene.run("update webhook_deliveries set next_attempt_at = now()", &[]).await;
        assert_eq!(told.dispatch(&stage, &second).await.put_off, 1);
        poster.released.add_permits(1);
    };
    join(told.dispatch(&stage, &poster), overtaken).await;
    let row = "select state, attempts, answer_status from webhook_deliveries";
    let row = &stage.scene.rows(row, &[]).await[0];
    let found: (String, i32, i16) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, ("pending".to_owned(), 2, 500), "only the last attempt is recorded");
    assert_eq!(second.posts().len(), 1);
}

#[tokio::test]
async fn another_organization_is_told_nothing_and_finds_nothing() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let other = stage.scene.another_organization("other").await.0;
    sent(&stage).await;
    let poster = FakePoster::answering(Ok(200), "");
    told.dispatch(&stage, &poster).await;
    let tx = stage.worker("martlet_app").begin(other).await.unwrap();
    let id: WebhookDeliveryId = stage.scene.rows("select id from webhook_deliveries", &[]).await[0].get(0);
    assert!(endpoints::list(&tx, None, 10).await.unwrap().is_empty());
    assert!(deliveries::list(&tx, &Filter::default(), None, 10).await.unwrap().is_empty());
    for outcome in [
        endpoints::find(&tx, told.endpoint).await.map(|_| ()),
        endpoints::delete(&tx, told.endpoint).await,
        endpoints::rotate_secret(&tx, &stage.letterhead.keys, told.endpoint).await.map(|_| ()),
        endpoints::update(&tx, Reach::Public, told.endpoint, EndpointFields::default()).await.map(|_| ()),
        deliveries::find(&tx, id).await.map(|_| ()),
        deliveries::replay(&tx, id).await.map(|_| ()),
        deliveries::replay_failed(&tx, told.endpoint, DateTime::UNIX_EPOCH).await.map(|_| ()),
        deliveries::test(&tx, told.endpoint).await.map(|_| ()),
    ] {
        assert!(matches!(outcome, Err(Error::NotFound(_))), "{outcome:?}");
    }
    tx.commit().await.unwrap();
    // A dispatcher that is asked for them alone sees nobody else's.
    let db = stage.worker("martlet_dispatcher");
    let hints = FakeWebhookQueue::default();
    let keys = &stage.letterhead.keys;
    let dispatcher = Dispatcher { db: &db, keys, poster: &poster, queue: &hints, public_url: "" };
    stage.scene.run("update webhook_deliveries set state = 'pending', next_attempt_at = now()", &[]).await;
    let done = dispatcher.dispatch(&[other], Instant::now() + Wait::from_secs(600)).await.unwrap();
    assert_eq!(done, Dispatched::default());
    // The scheduler sends a hint for whoever has something to tell, and for nobody else.
    dispatching::enqueue_due(&stage.worker("martlet_scheduler"), &hints).await.unwrap();
    assert_eq!(hints.drain(), [(stage.scene.organization, Wait::ZERO)]);
}

#[tokio::test]
async fn an_organization_has_twenty_endpoints_at_most_and_each_is_checked() {
    let stage = Stage::new().await;
    for n in 0..20 {
        create(&stage, &format!("https://{n}.example.com/"), Some(&["message.sent", "message.sent"])).await;
    }
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let keys = &stage.letterhead.keys;
    let new = |url: &str, types: &[&str]| NewEndpoint {
        url: url.to_owned(),
        event_types: Some(types.iter().map(ToString::to_string).collect()),
        description: None,
    };
    let one_more = endpoints::create(&tx, keys, Reach::Public, &new(URL, &[])).await.unwrap_err();
    assert!(matches!(one_more, Error::Conflict { code: "too_many_webhook_endpoints", .. }));
    for (bad, field) in [
        (new("http://example.com/", &[]), "url"),
        (new("https://169.254.169.254/", &[]), "url"),
        (new(URL, &["message.invented"]), "event_types"),
        (new(URL, &["workflow.run"]), "event_types"),
    ] {
        let Err(Error::Invalid(errors)) = endpoints::create(&tx, keys, Reach::Public, &bad).await else {
            panic!("{bad:?} is taken");
        };
        assert_eq!(errors[0].field, field);
    }
    let page = endpoints::list(&tx, None, 3).await.unwrap();
    assert_eq!(page.len(), 3);
    assert_eq!(page[0].event_types, Some(vec![EventType::MessageSent]));
    endpoints::delete(&tx, page[0].id).await.unwrap();
    endpoints::create(&tx, keys, Reach::Public, &new(URL, &[])).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_older_than_a_month_is_swept_with_its_deliveries() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let key = sent(&stage).await;
    told.dispatch(&stage, &FakePoster::answering(Ok(200), "")).await;
    stage.scene.run("update webhook_events set created_at = now() - interval '31 days'", &[]).await;
    stage.apply(&[stage.event(key, EventKind::Delivered).await]).await;
    let db = stage.worker("martlet_maintenance");
    let swept = sweeping::sweep(&db, Instant::now() + Wait::from_secs(600)).await.unwrap();
    assert_eq!(swept, Swept { events: 1, is_finished: true });
    assert_eq!(events(&stage).await.into_keys().collect::<Vec<_>>(), ["message.delivered"]);
    assert_eq!(stage.scene.number("select count(*) from webhook_deliveries", &[]).await, 0);
    assert_eq!(told.hints(), [0_u64; 0]);
}

#[tokio::test]
async fn what_still_waits_is_not_swept_without_a_word() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let key = sent(&stage).await;
    let poster = FakePoster::answering(Ok(500), "");
    told.dispatch(&stage, &poster).await;
    stage.apply(&[stage.event(key, EventKind::Delivered).await]).await;
    stage.scene.run("update webhook_events set created_at = now() - interval '31 days'", &[]).await;
    let db = stage.worker("martlet_maintenance");
    let deadline = Instant::now() + Wait::from_secs(600);
    assert_eq!(sweeping::sweep(&db, deadline).await.unwrap(), Swept { events: 0, is_finished: true });
    // Both are told, and then they go.
    make_due(&stage).await;
    assert_eq!(told.dispatch(&stage, &FakePoster::answering(Ok(200), "")).await.delivered, 2);
    assert_eq!(sweeping::sweep(&db, deadline).await.unwrap(), Swept { events: 2, is_finished: true });
}

#[tokio::test]
async fn an_endpoint_with_more_than_a_request_deletes_is_gone_at_once_and_deleted_later() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    tell_later(&stage, 1_200, &[told.endpoint, WebhookEndpointId(told.workflow.0)]).await;
    let sql = "insert into workflow_runs (organization_id, id, workflow_id, workflow_name, execution_id, trigger_source, event_id, started_at)
               select $1, id, $2, 'Answer leads', id::text, 'webhook', id, now() from webhook_events";
    stage.scene.run(sql, &[&stage.scene.organization, &told.workflow]).await;
    let app = stage.worker("martlet_app");
    let tx = app.begin(stage.scene.organization).await.unwrap();
    endpoints::delete(&tx, told.endpoint).await.unwrap();
    workflows::delete(&tx, told.workflow).await.unwrap();
    tx.commit().await.unwrap();
    let count = "select count(*) from webhook_deliveries";
    assert_eq!(stage.scene.number(count, &[]).await, 2_400, "no request deletes them");
    // Nobody sees them, nobody is told, and the name is free.
    let tx = app.begin(stage.scene.organization).await.unwrap();
    for outcome in [
        endpoints::find(&tx, told.endpoint).await.map(|_| ()),
        endpoints::delete(&tx, told.endpoint).await,
        endpoints::update(&tx, Reach::Public, told.endpoint, EndpointFields::default()).await.map(|_| ()),
        deliveries::test(&tx, told.endpoint).await.map(|_| ()),
        workflows::find(&tx, told.workflow).await.map(|_| ()),
        workflows::delete(&tx, told.workflow).await,
    ] {
        assert!(matches!(outcome, Err(Error::NotFound(_))), "{outcome:?}");
    }
    assert!(endpoints::list(&tx, None, 10).await.unwrap().is_empty());
    assert!(workflows::list(&tx, None, 10).await.unwrap().is_empty());
    assert!(deliveries::list(&tx, &Filter::default(), None, 10).await.unwrap().is_empty());
    let same = NewWorkflow { name: "Answer leads".to_owned(), url: None, event_types: Vec::new(), description: None };
    workflows::create(&tx, &stage.letterhead.keys, Reach::Public, &same).await.unwrap();
    tx.commit().await.unwrap();
    let poster = FakePoster::answering(Ok(200), "");
    assert_eq!(told.dispatch(&stage, &poster).await, Dispatched::default());
    // One run of maintenance that has no time for more does a part.
    let db = stage.worker("martlet_maintenance");
    let deleted = deleting::finish(&db, Instant::now()).await.unwrap();
    assert!(!deleted.is_finished && deleted.endpoints == 0 && deleted.deliveries == 1_000, "{deleted:?}");
    let deleted = deleting::finish(&db, Instant::now() + Wait::from_secs(600)).await.unwrap();
    assert_eq!((deleted.endpoints, deleted.deliveries, deleted.is_finished), (2, 1_400, true));
    assert_eq!(stage.scene.number(count, &[]).await, 0);
    // Their runs outlive them, and none of them is said to be under way.
    let runs = "select count(*) from workflow_runs where workflow_id is null and status = 'error'";
    assert_eq!(stage.scene.number(runs, &[]).await, 1_200);
}

#[tokio::test]
async fn whoever_erases_a_person_and_whoever_cancels_do_not_wait_for_each_other_crosswise() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let key = sent(&stage).await;
    stage.apply(&[stage.event(key, EventKind::Delivered).await, stage.event(key, EventKind::Complained).await]).await;
    told.dispatch(&stage, &FakePoster::answering(Ok(500), "")).await;
    // The last of the deliveries is the first that is due: whoever took them as they are due would take them in another order.
    let sql = "update webhook_deliveries d set next_attempt_at = now() - n * interval '1 minute'
                 from (select id, row_number() over (order by id) as n from webhook_deliveries) as o where o.id = d.id";
    stage.scene.run(sql, &[]).await;
    let (app, other) = (stage.worker("martlet_app"), stage.scene.db.app());
    let first = other.begin(stage.scene.organization).await.unwrap();
    first
        .query("select from webhook_deliveries where id = (select id from webhook_deliveries order by id limit 1) for update", &[])
        .await
        .unwrap();
    let disable = async {
        let tx = app.begin(stage.scene.organization).await.unwrap();
        let fields = serde_json::from_value(json!({"status": "disabled"})).unwrap();
        endpoints::update(&tx, Reach::Public, told.endpoint, fields).await.unwrap();
        tx.commit().await.unwrap();
    };
    let others = async {
        stage.until_waiting(1).await;
        // Nobody who waits for the first holds another one.
        let free = "select count(*) from (select from webhook_deliveries where organization_id = $1 for update skip locked) as free";
        let free: i64 = first.query_one(free, &[&stage.scene.organization]).await.unwrap().get(0);
        assert_eq!(free, 3);
        first.rollback().await.unwrap();
    };
    join(disable, others).await;
    let cancelled = "select count(*) from webhook_deliveries where state = 'cancelled'";
    assert_eq!(stage.scene.number(cancelled, &[]).await, 3);
}

#[tokio::test]
async fn what_has_waited_for_an_erased_person_is_never_told() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let key = sent(&stage).await;
    let poster = FakePoster::answering(Ok(500), "no person1@people.test here");
    told.dispatch(&stage, &poster).await;
    stage.apply(&[stage.event(key, EventKind::Delivered).await]).await;
    let contact = stage.message(key, "contact_id").await.unwrap().parse().unwrap();
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let erased = shared::audience::personal_data::erase(&tx, &stage.letterhead.keys, contact).await.unwrap();
    assert_eq!(erased.webhook_events, 2);
    tx.commit().await.unwrap();
    make_due(&stage).await;
    let poster = FakePoster::answering(Ok(200), "");
    assert_eq!(told.dispatch(&stage, &poster).await, Dispatched::default());
    let row = "select state, error, answer_body from webhook_deliveries";
    let row = &stage.scene.rows(row, &[]).await[0];
    let found: (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, ("cancelled".to_owned(), "person_erased".to_owned(), None));
    // What is reported later tells of the mail and not of the person.
    stage.apply(&[stage.event(key, EventKind::Complained).await]).await;
    told.dispatch(&stage, &poster).await;
    let [post] = poster.posts().try_into().unwrap();
    let data = &payload(&post)["data"];
    assert_eq!((&data["email"], &data["contact_id"]), (&Value::Null, &Value::Null));
    assert_eq!(data["message_id"], key.id.to_string());
    // Nor does a replay bring it back.
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let all =
        deliveries::list(&tx, &Filter { state: Some(State::Cancelled), ..Filter::default() }, None, 9).await.unwrap();
    let refused = deliveries::replay(&tx, all[0].id).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { code: "webhook_event_erased", .. }));
    tx.commit().await.unwrap();
}
