//! What is done to many contacts at once, by jobs.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use functions::api::contacts::{self, Contacts};
use functions::api::{campaigns, jobs};
use functions::events::job_runner::{self, JobRunner};
use serde_json::{Value, json};
use shared::{ContactId, JobId, OrganizationId};
use testkit::generator::{Options, generate};
use testkit::{FakeAccount, FakeArchiveStore};

use crate::app::{Answer, App};
use crate::campaigns::Hints;

/// A caller of the contacts function, whose jobs run when they are told to.
pub(crate) struct Desk {
    pub(crate) app: App,
    hints: Arc<Hints>,
    pub(crate) store: Arc<FakeArchiveStore>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self { app: App::new().await, hints: Arc::default(), store: Arc::default() }
    }

    pub(crate) fn router(&self) -> Router {
        let db = self.app.scene.db.app();
        let (queue, store) = (self.hints.clone(), self.store.clone());
        let campaigns = campaigns::router(db.clone(), queue.clone(), Arc::<FakeAccount>::default());
        let contacts = Contacts { db: db.clone(), keys: testkit::key_ring().into(), queue, store };
        contacts::router(contacts).merge(campaigns).merge(jobs::router(db))
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.app.send(self.router(), method, path, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.expect(200).body
    }

    /// Runs what is enqueued, a chunk an event as if each time the function's time were up.
    pub(crate) async fn run_jobs(&self) {
        loop {
            let hints = self.hints();
            if hints.is_empty() {
                return;
            }
            self.deliver(&hints).await;
        }
    }

    /// Takes what is enqueued.
    pub(crate) fn hints(&self) -> Vec<(OrganizationId, JobId)> {
        self.hints.take()
    }

    /// Brings hints to a runner that does one chunk of each.
    pub(crate) async fn deliver(&self, hints: &[(OrganizationId, JobId)]) {
        let runner = JobRunner::new(self.app.scene.db.app(), Arc::clone(&self.hints) as Arc<_>, self.store.clone());
        let runner = runner.with_budget(Duration::ZERO);
        for (organization, job) in hints {
            let text = include_str!("../../../events/job_runner/run.json")
                .replace("${ORGANIZATION_ID}", &organization.to_string());
            let event: aws_lambda_events::sqs::SqsEvent =
                serde_json::from_str(&text.replace("${JOB_ID}", &job.to_string())).unwrap();
            job_runner::handle(&runner, event).await.unwrap();
        }
    }

    /// Does an act on a selection and returns the job as it ends.
    pub(crate) async fn act(&self, act: Value, selection: Value) -> Value {
        let begun = self.post("/v1/contacts/bulk", json!({"act": act, "selection": selection})).await.expect(202);
        let path = begun.headers["location"].to_str().unwrap().to_owned();
        self.run_jobs().await;
        self.get(&path).await
    }

    async fn tag(&self, name: &str) -> String {
        self.post("/v1/tags", json!({"name": name})).await.expect(201).text("/id").to_owned()
    }
}

#[tokio::test]
async fn many_are_tagged_and_untagged_and_each_outcome_is_counted() {
    let desk = Desk::new().await;
    let contacts = desk.app.scene.contacts(3).await;
    let tag = desk.tag("Hot").await;
    let some = json!({"contact_ids": [contacts[0], contacts[1], ContactId::fresh()]});
    let done = desk.act(json!({"kind": "tag", "tag_id": tag}), some.clone()).await;
    assert_eq!((&done["state"], &done["progress"], &done["total"]), (&json!("completed"), &json!(3), &json!(3)));
    assert_eq!(done["outcomes"], json!({"tagged": 2, "unknown": 1}));
    let done = desk.act(json!({"kind": "tag", "tag_id": tag}), json!({"everybody": true})).await;
    assert_eq!(done["outcomes"], json!({"tagged": 1, "already": 2}));
    assert_eq!(desk.get(&format!("/v1/tags/{tag}")).await["contact_count"], 3);
    let done = desk.act(json!({"kind": "untag", "tag_id": tag}), some).await;
    assert_eq!(done["outcomes"], json!({"untagged": 2, "unknown": 1}));
    let acts = "select count(*) from audit_log where action = 'contacts.bulk_act_done' and details -> 'outcomes' ->> 'untagged' = '2'";
    assert_eq!(desk.app.scene.number(acts, &[]).await, 1);
}

#[tokio::test]
async fn a_list_takes_as_many_as_the_plan_allows_and_whoever_comes_later_is_not_of_the_selection() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    scene.contacts(4).await;
    let list = shared::ListId::fresh();
    scene
        .run("insert into lists (organization_id, id, name) values ($1, $2, 'All')", &[&scene.organization, &list])
        .await;
    scene.run("update organizations set has_plan_limits = true", &[]).await;
    scene.run("update plan_limits set maximum = 3 where name = 'contacts_a_list'", &[]).await;
    let ask = json!({"act": {"kind": "add_to_list", "list_id": list}, "selection": {"everybody": true}});
    let begun = desk.post("/v1/contacts/bulk", ask).await.expect(202);
    scene.contacts(1).await;
    desk.run_jobs().await;
    let done = desk.get(begun.headers["location"].to_str().unwrap()).await;
    assert_eq!(done["outcomes"], json!({"added": 3, "plan_limit_reached": 1}));
    assert_eq!(scene.number("select count(*) from list_members where list_id = $1", &[&list]).await, 3);
    let done = desk.act(json!({"kind": "remove_from_list", "list_id": list}), json!({"list_id": list})).await;
    assert_eq!(done["outcomes"], json!({"removed": 3}));
}

/// Selections go up to the id of the moment: whatever makes contacts gives them ids that grow with time.
#[tokio::test]
async fn whoever_is_made_has_an_id_of_their_time() {
    let desk = Desk::new().await;
    let before = ContactId::fresh();
    let made = desk.post("/v1/contacts", json!({"email": "ada@people.test"})).await.expect(201);
    let made: ContactId = made.text("/id").parse().unwrap();
    assert!(before < made && made < ContactId::fresh() && made.0.get_version_num() == 7);
    // Whoever comes back has the id of before.
    desk.send(Method::DELETE, &format!("/v1/contacts/{made}"), None).await.expect(204);
    let restored = desk.post(&format!("/v1/contacts/deleted/{made}/restore"), json!({})).await.expect(200);
    assert_eq!(restored.text("/id"), made.to_string());
    // Nor does the database make ids of its own, which would be by chance.
    let scene = &desk.app.scene;
    let by_default = "select count(*) from information_schema.columns
                       where table_schema = 'public' and data_type = 'uuid' and column_default is not null";
    assert_eq!(scene.number(by_default, &[]).await, 0);
    let mut owner = scene.db.owner().await;
    let options = Options { contacts: 50, seed: 1 };
    let organization = generate(&mut owner, options, |_| {}).await.unwrap();
    let outside =
        "select count(*) from contacts where organization_id = $1 and (id > $2 or substr(id::text, 15, 1) <> '7')";
    assert_eq!(scene.number(outside, &[&organization, &ContactId::fresh()]).await, 0);
}

#[tokio::test]
async fn many_are_deleted_into_the_bin_and_what_is_queued_for_them_stops() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let campaign = scene.running_campaign(3, &[scene.sender(1, 100, 0).await], 1, 100).await;
    let done = desk.act(json!({"kind": "delete"}), json!({"list_id": campaign.list})).await;
    assert_eq!((&done["outcomes"], &done["total"]), (&json!({"deleted": 3}), &json!(3)));
    for (sql, number) in [
        ("select count(*) from contacts", 0),
        ("select count(*) from enrollments", 0),
        ("select count(*) from deleted_contacts where deleted_by is not null and reason = 'deleted'", 3),
    ] {
        assert_eq!(scene.number(sql, &[]).await, number, "{sql}");
    }
}

#[tokio::test]
async fn what_is_gone_ends_the_job_and_what_is_not_there_is_refused() {
    let desk = Desk::new().await;
    desk.app.scene.contacts(1).await;
    let tag = desk.tag("Hot").await;
    let ask = json!({"act": {"kind": "tag", "tag_id": tag}, "selection": {"everybody": true}});
    let begun = desk.post("/v1/contacts/bulk", ask.clone()).await.expect(202);
    desk.send(Method::DELETE, &format!("/v1/tags/{tag}"), None).await.expect(204);
    desk.run_jobs().await;
    let ended = desk.get(begun.headers["location"].to_str().unwrap()).await;
    assert_eq!((&ended["state"], &ended["error"]), (&json!("failed"), &json!("the tag was deleted")));
    desk.post("/v1/contacts/bulk", ask).await.expect(404);
    let nobody = ContactId::fresh();
    for (body, status) in [
        (json!({"act": {"kind": "delete"}, "selection": {"list_id": nobody}}), 404),
        (json!({"act": {"kind": "delete"}, "selection": {"contact_ids": []}}), 422),
        (json!({"act": {"kind": "delete"}, "selection": {}}), 422),
        (json!({"act": {"kind": "delete"}, "selection": {"everybody": true, "list_id": nobody}}), 422),
        (json!({"act": {"kind": "delete"}}), 422),
        (json!({"act": {"kind": "send"}, "selection": {"everybody": true}}), 422),
    ] {
        desk.post("/v1/contacts/bulk", body).await.expect(status);
    }
    assert_eq!(desk.app.scene.number("select count(*) from jobs", &[]).await, 1);
    let refused = desk.post("/v1/contacts/bulk", json!({"act": {"kind": "delete"}, "selection": {}})).await.expect(422);
    assert_eq!(refused.text("/errors/0/field"), "selection");
    assert!(refused.text("/errors/0/message").contains("exactly one of contact_ids"), "{}", refused.body);
}

#[tokio::test]
async fn an_organization_has_some_jobs_under_way_and_no_more() {
    let desk = Desk::new().await;
    desk.app.scene.contacts(1).await;
    let tag = desk.tag("Hot").await;
    let ask = json!({"act": {"kind": "tag", "tag_id": tag}, "selection": {"everybody": true}});
    let others = "insert into jobs (organization_id, id, kind, subject_id)
                  select $1, gen_random_uuid(), 'contact_export', gen_random_uuid() from generate_series(1, 20)";
    desk.app.scene.run(others, &[&desk.app.scene.organization]).await;
    assert_eq!(desk.post("/v1/contacts/bulk", ask.clone()).await.expect(409).text("/code"), "too_many_jobs");
    let one_ends = "update jobs set state = 'completed', completed_at = now() where id = (select id from jobs limit 1)";
    desk.app.scene.run(one_ends, &[]).await;
    desk.post("/v1/contacts/bulk", ask).await.expect(202);
}
