//! Workflows are started, and report: signed, in time, and once.

use std::time::Duration;

use serde_json::{Value, json};
use shared::platform::webhooks::dispatching::{self, Failure};
use shared::platform::webhooks::secrets::Secret;
use shared::platform::webhooks::signatures::{self, Signed};
use shared::platform::webhooks::{Reach, deliveries};
use shared::platform::workflows::callbacks::{self, Report};
use shared::platform::workflows::runs::{self, Filter, NewRun, Run, Status, Trigger};
use shared::platform::workflows::sweeping::{self, Swept};
use shared::platform::workflows::{self, NewWorkflow, WorkflowFields};
use shared::{Error, Result, WorkflowId, WorkflowRunId};
use testkit::FakeWebhookQueue;
use tokio::time::Instant;

use crate::stage::Stage;
use crate::webhooks::{FakePoster, Told};

fn new_run(workflow: WorkflowId, execution_id: &str) -> NewRun {
    serde_json::from_value(json!({
        "workflow_id": workflow, "execution_id": execution_id, "trigger": "manual", "input": {"lead": 7}
    }))
    .unwrap()
}

async fn start(stage: &Stage, new: NewRun) -> Result<Run> {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let run = runs::create(&tx, new).await?;
    tx.commit().await.unwrap();
    Ok(run)
}

async fn run(stage: &Stage, id: WorkflowRunId) -> Run {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let run = runs::find(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    run
}

/// A callback as a workflow makes it.
struct Call<'a> {
    secret: &'a Secret,
    id: &'a str,
    age: i64,
    token: String,
    body: Value,
}

impl Call<'_> {
    async fn make(&self, stage: &Stage) -> Result<Run> {
        let keys = &stage.letterhead.keys;
        let body = self.body.to_string();
        let now: i64 = stage.scene.number("select extract(epoch from now())::bigint", &[]).await - self.age;
        let secrets = [self.secret.clone()];
        let (timestamp, signature) = (now.to_string(), signatures::sign(&secrets, self.id, now, body.as_bytes()));
        let signed = Signed { id: self.id, timestamp: &timestamp, signature: &signature };
        let address = callbacks::address(keys, &self.token)?;
        let db = stage.worker("martlet_app");
        let read = |bytes: &[u8]| -> Result<Report> {
            serde_json::from_slice(bytes).map_err(|_| Error::invalid("body", "malformed", "it is no report"))
        };
        callbacks::take(&db, keys, address, signed, body.as_bytes(), read).await
    }
}

fn token(stage: &Stage, run: WorkflowRunId) -> String {
    stage.letterhead.keys.callback_token(stage.scene.organization.0, run.0)
}

fn is_conflict(outcome: &Result<Run>, expected: &str) -> bool {
    matches!(outcome, Err(Error::Conflict { code, .. }) if *code == expected)
}

#[tokio::test]
async fn a_run_is_started_by_a_signed_post_and_ended_by_a_signed_callback() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let started = start(&stage, new_run(told.workflow, "exec-1")).await.unwrap();
    assert_eq!((started.status, started.trigger), (Status::Running, Trigger::Manual));
    let poster = FakePoster::answering(Ok(200), "");
    told.dispatch(&stage, &poster).await;
    let [post] = poster.posts().try_into().unwrap();
    let payload: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!((&payload["type"], &payload["data"]["input"]), (&json!("workflow.run"), &json!({"lead": 7})));
    assert_eq!((&payload["run"]["id"], &payload["run"]["execution_id"]), (&json!(started.id), &json!("exec-1")));
    let url = payload["run"]["callback_url"].as_str().unwrap();
    let given = url.strip_prefix("https://api.example.test/v1/workflows/callbacks/").unwrap().to_owned();
    let body = json!({"status": "error", "metrics": {"mails": 3}, "error_data": {"node": "HTTP"}});
    let call = Call { secret: &told.workflow_secret, id: "cb-1", age: 0, token: given, body };

    // Whoever does not know the secret is not believed, nor a call of an hour ago, nor another endpoint's secret.
    for (secret, age) in [(&Secret::fresh().unwrap(), 0), (&told.secret, 0), (&told.workflow_secret, 301)] {
        let forged = Call { secret, age, token: call.token.clone(), body: call.body.clone(), ..call };
        assert!(matches!(forged.make(&stage).await, Err(Error::Unauthorized)));
    }
    assert_eq!(run(&stage, started.id).await.status, Status::Running);

    let ended = call.make(&stage).await.unwrap();
    assert_eq!((ended.status, &ended.metrics), (Status::Error, &json!({"mails": 3})));
    assert_eq!(ended.error_data, Some(json!({"node": "HTTP"})));
    assert!(ended.completed_at.is_some());

    // The same again, and another report of a run that is over.
    assert!(is_conflict(&call.make(&stage).await, "callback_replayed"));
    let another = Call { id: "cb-2", token: call.token.clone(), body: call.body.clone(), ..call };
    assert!(is_conflict(&another.make(&stage).await, "workflow_run_finished"));
    // Nor is it good for another run of the workflow.
    let second = start(&stage, new_run(told.workflow, "exec-2")).await.unwrap();
    let moved = Call { token: token(&stage, second.id), body: call.body.clone(), ..call };
    assert!(is_conflict(&moved.make(&stage).await, "callback_replayed"));
    assert_eq!(run(&stage, second.id).await.status, Status::Running);
}

#[tokio::test]
async fn an_execution_is_noted_once_and_one_that_began_elsewhere_is_not_started() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let mut elsewhere = new_run(told.workflow, "exec-1");
    elsewhere.started_at = Some(stage.now().await);
    start(&stage, elsewhere).await.unwrap();
    assert_eq!(stage.scene.number("select count(*) from webhook_deliveries", &[]).await, 0);
    let twice = start(&stage, new_run(told.workflow, "exec-1")).await;
    assert!(is_conflict(&twice, "execution_id_taken"));
    // By name, and without an execution's id.
    let by_name: NewRun =
        serde_json::from_value(json!({"workflow_name": "Answer leads", "trigger": "schedule"})).unwrap();
    let named = start(&stage, by_name).await.unwrap();
    assert_eq!((named.workflow_id, named.execution_id), (Some(told.workflow), named.id.to_string()));
    for unknown in [json!({"workflow_name": "Nobody", "trigger": "manual"}), json!({"trigger": "manual"})] {
        let outcome = start(&stage, serde_json::from_value(unknown).unwrap()).await;
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let count = async |filter: Filter| runs::list(&tx, &filter, None, 10).await.unwrap().len();
    assert_eq!(count(Filter::default()).await, 2);
    assert_eq!(count(Filter { trigger: Some(Trigger::Schedule), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { status: Some(Status::Success), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { execution_id: Some("exec-1".to_owned()), ..Filter::default() }).await, 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_event_starts_the_workflows_that_ask_for_it() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let key = stage.messages().await[0];
    stage.receive(key, "1@people.test", "").await;
    let poster = FakePoster::answering(Ok(200), "");
    told.dispatch(&stage, &poster).await;
    let posts = poster.posts();
    let [post] = posts.iter().filter(|post| post.url.contains("n8n")).collect::<Vec<_>>().try_into().unwrap();
    let payload: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!(payload["type"], "reply.received");
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let [started] = runs::list(&tx, &Filter::default(), None, 10).await.unwrap().try_into().unwrap();
    tx.commit().await.unwrap();
    assert_eq!((started.trigger, started.workflow_id), (Trigger::Webhook, Some(told.workflow)));
    assert_eq!((&payload["run"]["id"], &payload["data"]), (&json!(started.id), &started.input));
    let body = json!({"status": "success"});
    let call = Call { secret: &told.workflow_secret, id: "cb", age: -60, token: token(&stage, started.id), body };
    assert_eq!(call.make(&stage).await.unwrap().status, Status::Success);
}

#[tokio::test]
async fn a_run_that_could_not_be_started_says_so() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let started = start(&stage, new_run(told.workflow, "exec-1")).await.unwrap();
    let poster = FakePoster::answering(Err(Failure::NoConnection), "");
    for _ in 0..8 {
        assert_eq!(run(&stage, started.id).await.status, Status::Running);
        told.dispatch(&stage, &poster).await;
        stage.scene.run("update webhook_deliveries set next_attempt_at = now() where state = 'pending'", &[]).await;
    }
    let failed = run(&stage, started.id).await;
    assert_eq!((failed.status, &failed.error_data.unwrap()["code"]), (Status::Error, &json!("not_started")));
    // Who disables a workflow cancels what waits for it, and nothing more is started.
    let second = start(&stage, new_run(told.workflow, "exec-2")).await.unwrap();
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let disabled: WorkflowFields = serde_json::from_value(json!({"status": "disabled"})).unwrap();
    workflows::update(&tx, Reach::Public, told.workflow, disabled).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(run(&stage, second.id).await.status, Status::Error);
    assert!(is_conflict(&start(&stage, new_run(told.workflow, "exec-3")).await, "workflow_disabled"));
}

#[tokio::test]
async fn a_workflow_s_runs_outlive_it_under_its_name() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let started = start(&stage, new_run(told.workflow, "exec-1")).await.unwrap();
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let keys = &stage.letterhead.keys;
    let same = NewWorkflow { name: "Answer leads".to_owned(), url: None, event_types: Vec::new(), description: None };
    let taken = workflows::create(&tx, keys, Reach::Public, &same).await.unwrap_err();
    assert!(matches!(taken, Error::Conflict { code: "workflow_name_taken", .. }));
    tx.rollback().await.unwrap();
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    workflows::delete(&tx, told.workflow).await.unwrap();
    assert!(matches!(workflows::find(&tx, told.workflow).await, Err(Error::NotFound(_))));
    tx.commit().await.unwrap();
    let kept = run(&stage, started.id).await;
    assert_eq!((kept.workflow_id, kept.workflow_name.as_str()), (None, "Answer leads"));
    let body = json!({"status": "success"});
    let call = Call { secret: &told.workflow_secret, id: "cb", age: 0, token: token(&stage, started.id), body };
    assert!(matches!(call.make(&stage).await, Err(Error::NotFound(_))), "nobody is left to sign for it");
}

async fn update(stage: &Stage, workflow: WorkflowId, fields: Value) {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let fields: WorkflowFields = serde_json::from_value(fields).unwrap();
    workflows::update(&tx, Reach::Public, workflow, fields).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_workflow_that_loses_its_address_keeps_nothing_waiting() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let started = start(&stage, new_run(told.workflow, "exec-1")).await.unwrap();
    update(&stage, told.workflow, json!({"url": null})).await;
    let failed = run(&stage, started.id).await;
    assert_eq!((failed.status, &failed.error_data.unwrap()["code"]), (Status::Error, &json!("not_started")));
    let row = "select id, state, error from webhook_deliveries";
    let row = &stage.scene.rows(row, &[]).await[0];
    assert_eq!((row.get::<_, &str>(1), row.get::<_, &str>(2)), ("cancelled", "no_address"));
    // Nor does a replay make something due that nobody can be told.
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let refused = deliveries::replay(&tx, row.get(0)).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { code: "webhook_endpoint_disabled", .. }));
    tx.commit().await.unwrap();
    // What was left behind by an earlier release calls nobody.
    stage.scene.run("update webhook_deliveries set state = 'pending', next_attempt_at = now()", &[]).await;
    let hints = FakeWebhookQueue::default();
    dispatching::enqueue_due(&stage.worker("martlet_scheduler"), &hints).await.unwrap();
    assert!(hints.drain().is_empty());
    let poster = FakePoster::answering(Ok(200), "");
    told.dispatch(&stage, &poster).await;
    assert_eq!(stage.scene.number("select count(*) from webhook_deliveries where attempts > 0", &[]).await, 0);
}

async fn sweep(stage: &Stage) -> Swept {
    sweeping::sweep(&stage.worker("martlet_maintenance"), Instant::now() + Duration::from_secs(600)).await.unwrap()
}

/// A trigger notes the time of each change, which the owner passes by.
async fn silent_for(stage: &Stage, run: WorkflowRunId, time: &str) {
    stage
        .scene
        .db
        .owner()
        .await
        .batch_execute(&format!(
            "begin; alter table workflow_runs disable trigger touch_updated_at;
             update workflow_runs set updated_at = now() - interval '{time}' where id = '{run}';
             alter table workflow_runs enable trigger touch_updated_at; commit"
        ))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_run_of_which_nothing_is_reported_ends_and_a_late_report_still_counts() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let started = start(&stage, new_run(told.workflow, "exec-1")).await.unwrap();
    let young = start(&stage, new_run(told.workflow, "exec-2")).await.unwrap();
    // While it waits to be started its time has not begun.
    silent_for(&stage, started.id, "25 hours").await;
    assert_eq!(sweep(&stage).await.timed_out, 0);
    told.dispatch(&stage, &FakePoster::answering(Ok(200), "")).await;
    assert_eq!(sweep(&stage).await.timed_out, 0, "it was started just now");
    stage.scene.run("update webhook_deliveries set finished_at = now() - interval '25 hours'", &[]).await;
    assert_eq!(sweep(&stage).await, Swept { timed_out: 1, deleted: 0, is_finished: true });
    let ended = run(&stage, started.id).await;
    assert_eq!((ended.status, &ended.error_data.unwrap()["code"]), (Status::Error, &json!("timed_out")));
    assert!(ended.completed_at.is_some());
    assert_eq!(run(&stage, young.id).await.status, Status::Running);
    let body = json!({"status": "success", "metrics": {"mails": 3}});
    let call = Call { secret: &told.workflow_secret, id: "cb", age: 0, token: token(&stage, started.id), body };
    let late = call.make(&stage).await.unwrap();
    assert_eq!((late.status, late.error_data), (Status::Success, None));
    // Once, and not what a workflow has reported itself.
    let again = Call { id: "cb-2", token: call.token.clone(), body: call.body.clone(), ..call };
    assert!(is_conflict(&again.make(&stage).await, "workflow_run_finished"));
    let body = json!({"status": "error", "error_data": {"code": "timed_out"}});
    let own = Call { id: "cb-3", token: token(&stage, young.id), body, ..call };
    own.make(&stage).await.unwrap();
    let again = Call { id: "cb-4", token: own.token.clone(), body: json!({"status": "success"}), ..own };
    assert!(is_conflict(&again.make(&stage).await, "workflow_run_finished"));
}

#[tokio::test]
async fn old_runs_are_swept_and_none_that_is_under_way() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let mut runs = Vec::new();
    for execution in ["old", "young", "under way"] {
        runs.push(start(&stage, new_run(told.workflow, execution)).await.unwrap().id);
    }
    stage
        .scene
        .run("update workflow_runs set status = 'success', completed_at = now() where id = any ($1)", &[&&runs[..2]])
        .await;
    let old = "update workflow_runs set created_at = now() - interval '91 days' where id = any ($1)";
    stage.scene.run(old, &[&[runs[0], runs[2]].as_slice()]).await;
    assert_eq!(sweep(&stage).await, Swept { timed_out: 0, deleted: 1, is_finished: true });
    let kept: Vec<WorkflowRunId> =
        stage.scene.rows("select id from workflow_runs order by id", &[]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(kept, [runs[1], runs[2]]);
}

#[tokio::test]
async fn a_run_that_names_an_erased_person_by_an_id_is_emptied() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    let of = async |n: i32, column: &str| -> String {
        let sql = format!("select m.{column}::text from messages m where m.recipient = 'person{n}@people.test'");
        stage.scene.rows(&sql, &[]).await[0].get(0)
    };
    let (contact, message, other) = (of(1, "contact_id").await, of(1, "id").await, of(2, "contact_id").await);
    let inputs = [
        json!({"contact_id": contact}),
        json!({"message_id": message}),
        json!({"lead": {"ids": [other, contact]}, "phone": "555"}),
        json!({"contact_id": other}),
    ];
    for (n, input) in inputs.iter().enumerate() {
        let new =
            json!({"workflow_id": told.workflow, "execution_id": n.to_string(), "trigger": "manual", "input": input});
        start(&stage, serde_json::from_value(new).unwrap()).await.unwrap();
    }
    let measured = json!({"workflow_id": told.workflow, "execution_id": "4", "trigger": "manual"});
    let measured = start(&stage, serde_json::from_value(measured).unwrap()).await.unwrap();
    let metrics = json!({"answered": [contact]});
    stage.scene.run("update workflow_runs set metrics = $2 where id = $1", &[&measured.id, &metrics]).await;
    let contact = contact.parse().unwrap();
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let erased = shared::audience::personal_data::erase(&tx, &stage.letterhead.keys, contact).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(erased.workflow_runs, 4);
    let rows = stage.scene.rows("select input, metrics from workflow_runs order by execution_id", &[]).await;
    let kept: Vec<(Value, Value)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let empty = (json!({}), json!({}));
    assert_eq!(kept, [empty.clone(), empty.clone(), empty.clone(), (inputs[3].clone(), json!({})), empty]);
}

#[tokio::test]
async fn a_callback_is_for_the_run_and_the_organization_that_its_address_names() {
    let stage = Stage::new().await;
    let told = Told::new(&stage).await;
    let started = start(&stage, new_run(told.workflow, "exec-1")).await.unwrap();
    let body = json!({"status": "success"});
    let call = Call { secret: &told.workflow_secret, id: "cb", age: 0, token: String::new(), body };
    let other = stage.scene.another_organization("other").await.0;
    let keys = &stage.letterhead.keys;
    for token in [
        "nonsense".to_owned(),
        keys.pixel_token(stage.scene.organization.0, started.id.0),
        keys.callback_token(other.0, started.id.0),
    ] {
        let wrong = Call { token, body: call.body.clone(), ..call };
        assert!(matches!(wrong.make(&stage).await, Err(Error::NotFound(_))));
    }
    for bad in [
        json!({"status": "running"}),
        json!({"status": "done"}),
        json!([]),
        json!({"status": "success", "metrics": {"x": "y".repeat(70_000)}}),
    ] {
        let wrong = Call { token: token(&stage, started.id), body: bad, ..call };
        assert!(matches!(wrong.make(&stage).await, Err(Error::Invalid(_))));
    }
    assert_eq!(run(&stage, started.id).await.status, Status::Running);
}
