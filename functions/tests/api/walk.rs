//! Every sample that changes something, one after the other through one organization: each is recorded with its request,
//! and sent a second time under its `Idempotency-Key` it is answered again and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use functions::api::imports::Imports;
use functions::api::logos::Logos;
use functions::api::{
    campaigns, domains, imports, lead_forms, lists, logos, messages, organizations, segments, senders, webhooks,
    workflows,
};
use functions::http::access::ROUTES;
use serde_json::Value;
use shared::EnrollmentId;
use shared::platform::jobs::JobQueue;
use testkit::{FakeAccount, FakeImportQueue, FakeObjectStore};

use crate::app::{Answer, App, call};
use crate::campaigns::Hints;
use crate::domains::Provider;

/// In an order in which each may follow the one before. A sample that changes something and stands nowhere here fails.
const WALK: &[&str] = &[
    "organizations/update",
    "onboarding/update",
    "organizations/logo_create",
    "organizations/logo_set",
    "organizations/logo_remove",
    "organizations/keys_create",
    "organizations/keys_update",
    "organizations/keys_rotate",
    "organizations/keys_revoke",
    "contacts/create",
    "contacts/update",
    "contacts/merge",
    "tags/create",
    "contacts/tags_give",
    "contacts/tags_take",
    "tags/update",
    "contacts/bulk",
    "contacts/exports_create",
    "tags/delete",
    "custom_fields/create",
    "custom_fields/update",
    "custom_fields/delete",
    "contacts/person_update",
    "lists/create",
    "lists/add_members",
    "lists/update",
    "lists/remove_member",
    "lists/delete",
    "lead_forms/create",
    "lead_forms/update",
    "lead_forms/rotate",
    "lead_forms/delete",
    "segments/create",
    "segments/update",
    "segments/delete",
    "contacts/delete",
    "contacts/deleted_restore",
    "contacts/deleted_purge",
    "domains/create",
    "domains/verify",
    "domains/update",
    "domains/delete",
    "senders/create",
    "senders/update",
    "senders/pause",
    "senders/resume",
    "senders/delete",
    "imports/create",
    "imports/sign_upload",
    "imports/complete",
    "imports/start",
    "imports/abort",
    "campaigns/create",
    "campaigns/delete",
    "campaigns/update",
    "campaigns/steps_reorder",
    "campaigns/steps_update",
    "campaigns/steps_delete",
    "campaigns/steps_create",
    "campaigns/steps_create_offset",
    "campaigns/settings_update",
    "campaigns/senders_replace",
    "campaigns/activate",
    "messages/resolve",
    "messages/resolve_all",
    "campaigns/enrollments_create",
    "campaigns/enrollments_remove",
    "campaigns/pause",
    "campaigns/resume",
    "campaigns/archive",
    "suppressions/create",
    "suppressions/lift",
    "suppressions/import",
    "suppressions/forget",
    "verifications/check",
    "verifications/jobs_create",
    "verifications/jobs_cancel",
    "verifications/jobs_resume",
    "enrichment/create",
    "enrichment/cancel",
    "enrichment/resume",
    "webhooks/create",
    "webhooks/update",
    "webhooks/rotate",
    "webhooks/test",
    "webhooks/deliveries_replay",
    "webhooks/replay",
    "webhooks/delete",
    "workflows/create",
    "workflows/update",
    "workflows/rotate",
    "workflows/runs_create",
    "workflows/delete",
    "contacts/erase",
];

/// Samples whose act needs no record, and why.
const NOT_RECORDED: &[(&str, &str)] = &[];

struct Walk {
    app: App,
    store: Arc<FakeObjectStore>,
    provider: Arc<Provider>,
    ids: BTreeMap<&'static str, String>,
    campaign: String,
}

impl Walk {
    /// A campaign that can be activated, and somebody and something beside it that may go.
    async fn new() -> Self {
        let app = App::new().await;
        let scene = &app.scene;
        let senders = [scene.sender(1, 600, 30).await, scene.sender(2, 600, 30).await];
        let campaign = scene.draft_campaign(2, &senders, 2, 100).await;
        let ids = BTreeMap::from([
            ("ORGANIZATION_ID", scene.organization.to_string()),
            ("CONTACT_ID", scene.contacts(1).await[0].to_string()),
            ("LIST_ID", campaign.list.to_string()),
            ("SENDER_ID", senders[0].to_string()),
            ("STEP_ID", campaign.steps[0].to_string()),
            ("OTHER_STEP_ID", campaign.steps[1].to_string()),
        ]);
        let campaign = campaign.campaign.to_string();
        Self { app, store: Arc::default(), provider: Arc::default(), ids, campaign }
    }

    fn router(&self) -> Router {
        let db = self.app.scene.db.app();
        organizations::router(db.clone())
            .merge(crate::contacts::router(&self.app))
            .merge(lead_forms::router(db.clone()))
            .merge(lists::router(db.clone()))
            .merge(segments::router(db.clone()))
            .merge(messages::router(db.clone()))
            .merge(senders::router(db.clone()))
            .merge(crate::suppressions::router(&self.app))
            .merge(crate::enrichment::router(&self.app))
            .merge(crate::verifications::router(&self.app))
            .merge(domains::router(db.clone(), self.provider.clone()))
            .merge(campaigns::router(
                db.clone(),
                Arc::<Hints>::default() as Arc<dyn JobQueue>,
                Arc::<FakeAccount>::default(),
            ))
            .merge(crate::subscriptions::router(&self.app))
            .merge(webhooks::router(crate::webhooks::webhooks(db.clone())))
            .merge(workflows::router(crate::webhooks::webhooks(db.clone())))
            .merge(logos::router(Logos {
                db: db.clone(),
                keys: Arc::new(testkit::key_ring()),
                store: self.store.clone(),
            }))
            .merge(imports::router(Imports { db, store: self.store.clone(), queue: Arc::<FakeImportQueue>::default() }))
    }

    async fn send(&self, name: &str) -> Answer {
        let fill: Vec<(&str, &str)> = self.ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
        let mut request = self.app.sample_request(name, &fill);
        request.headers_mut().insert("idempotency-key", name.parse().unwrap());
        call(self.router(), request).await
    }

    /// What was made is what the samples after it are about.
    async fn learn(&mut self, name: &str, answer: &Answer) {
        let made = || answer.text("/id").to_owned();
        match name {
            "organizations/logo_create" => {
                let upload = answer.text("/upload_id").to_owned();
                let key = format!("uploads/{}/logo-{upload}", self.app.scene.organization);
                self.store.upload(&key, *b"\x89PNG\r\n\x1a\n");
                self.ids.insert("UPLOAD_ID", upload)
            }
            "organizations/keys_create" => self.ids.insert("KEY_ID", made()),
            "segments/create" => self.ids.insert("SEGMENT_ID", made()),
            "lead_forms/create" => self.ids.insert("LEAD_FORM_ID", made()),
            "lists/create" => self.ids.insert("LIST_ID", made()),
            "domains/create" => self.ids.insert("DOMAIN_ID", made()),
            "senders/create" => self.ids.insert("SENDER_ID", made()),
            "imports/create" => {
                let key = format!("uploads/{}/{}", self.app.scene.organization, answer.text("/id"));
                self.store.upload(&key, "Adresse\nada@people.test\n");
                self.ids.insert("IMPORT_ID", made())
            }
            // As if its file had come in parts.
            "imports/start" => {
                let sql = "update import_batches set status = 'pending', upload_id = 'upload', upload_bytes = 1";
                self.app.scene.run(sql, &[]).await;
                None
            }
            // What is gone makes room for what the next ones need.
            "lists/delete" => {
                let list = self.app.scene.rows("select list_id::text from campaigns", &[]).await[0].get(0);
                self.ids.insert("LIST_ID", list)
            }
            "contacts/create" => self.ids.insert("OTHER_CONTACT_ID", made()),
            "tags/create" => self.ids.insert("TAG_ID", made()),
            "custom_fields/create" => self.ids.insert("FIELD_ID", made()),
            "contacts/delete" => {
                self.ids.insert("DELETED_ID", self.ids["CONTACT_ID"].clone());
                let sql = "select id::text from contacts where email like 'person%' order by id limit 1";
                self.ids.insert("CONTACT_ID", self.app.scene.rows(sql, &[]).await[0].get(0))
            }
            "contacts/deleted_restore" => {
                let sql = "insert into deleted_contacts (organization_id, id, email_lower, snapshot, reason, deleted_at)
                           values ($1, gen_random_uuid(), 'gone@people.test', '{}', 'deleted', clock_now()) returning id::text";
                let gone = self.app.scene.rows(sql, &[&self.app.scene.organization]).await[0].get(0);
                self.ids.insert("DELETED_ID", gone)
            }
            "senders/delete" => {
                let sql = "select id::text from senders order by id limit 1";
                self.ids.insert("SENDER_ID", self.app.scene.rows(sql, &[]).await[0].get(0))
            }
            "webhooks/create" => self.ids.insert("ENDPOINT_ID", made()),
            "webhooks/test" => {
                let over = "update webhook_deliveries set state = 'failed', next_attempt_at = null";
                self.app.scene.run(over, &[]).await;
                self.ids.insert("DELIVERY_ID", made())
            }
            "verifications/jobs_create" => self.ids.insert("VERIFICATION_JOB_ID", made()),
            "enrichment/create" => self.ids.insert("ENRICHMENT_JOB_ID", made()),
            "workflows/create" => self.ids.insert("WORKFLOW_ID", made()),
            "suppressions/create" => self.ids.insert("SUPPRESSION_ID", made()),
            "suppressions/import" => {
                let sql = "select id::text from suppressions order by id limit 1";
                self.ids.insert("SUPPRESSION_ID", self.app.scene.rows(sql, &[]).await[0].get(0))
            }
            "campaigns/create" => self.ids.insert("CAMPAIGN_ID", made()),
            "campaigns/delete" => self.ids.insert("CAMPAIGN_ID", self.campaign.clone()),
            "campaigns/activate" => {
                // Of somebody who is not erased in the end: what is kept of an answer about them goes with them.
                let sql = "select id from enrollments where contact_id::text <> $1 order by id limit 1";
                let enrollment: EnrollmentId = self.app.scene.rows(sql, &[&self.ids["CONTACT_ID"]]).await[0].get(0);
                self.ids.insert("ENROLLMENT_ID", enrollment.to_string());
                self.ids.insert("MESSAGE_ID", self.doubtful(enrollment).await)
            }
            _ => None,
        };
    }

    /// A mail of which nobody knows whether it was accepted.
    async fn doubtful(&self, enrollment: EnrollmentId) -> String {
        let sql = "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id,
                          sender_id, recipient, state, slot_day, send_at, expires_at)
                   select e.organization_id, gen_random_uuid(), e.id || ':' || s.id, e.id, e.campaign_id, s.id, e.contact_id,
                          e.sender_id, 'somebody', 'review', current_date, clock_now(), clock_now()
                     from enrollments e
                     join steps s on s.campaign_id = e.campaign_id and s.position = 1
                    where e.id = $1
                   returning id::text";
        let id: String = self.app.scene.rows(sql, &[&enrollment]).await[0].get(0);
        let wait = "update enrollments set waiting_message_id = $2::text::uuid, next_due_at = null where id = $1";
        self.app.scene.run(wait, &[&enrollment, &id]).await;
        id
    }

    async fn records(&self, request_id: &str) -> i64 {
        let sql =
            "select count(*) from audit_log where request_id = $1 and actor_kind = 'api_key' and actor_id is not null";
        self.app.scene.number(sql, &[&request_id]).await
    }

    async fn acts(&self) -> i64 {
        self.app.scene.number("select count(*) from audit_log", &[]).await
    }
}

#[tokio::test]
async fn every_change_is_recorded_with_its_request_and_carried_out_once() {
    let mut walk = Walk::new().await;
    let mut secrets = Vec::new();
    for name in WALK {
        let first = walk.send(name).await;
        assert!(first.status.is_success(), "{name}: {} {:#}", first.status, first.body);
        assert!(!first.headers.contains_key("idempotency-replayed"), "{name}");
        assert_eq!(first.headers["x-request-id"], request_id(name));
        if !NOT_RECORDED.iter().any(|(exempt, _)| exempt == name) {
            assert_eq!(walk.records(&request_id(name)).await, 1, "{name} is not recorded, or not with its request");
        }
        let acts = walk.acts().await;

        let again = walk.send(name).await;
        assert_eq!((again.status, &again.headers["idempotency-replayed"]), (first.status, &"true".parse().unwrap()));
        for header in ["location", "content-type"] {
            assert_eq!(again.headers.get(header), first.headers.get(header), "{name}");
        }
        let mut shown = first.body.clone();
        // That of a custom field is a name, and that of a lead form stands in a page.
        let is_no_secret = name.starts_with("custom_fields/") || name.starts_with("lead_forms/");
        let secret = if is_no_secret { "" } else { "key" };
        for secret in [secret, "secret", "upload"] {
            if let Some(secret) = shown.get_mut(secret) {
                secrets.push(secret.get("url").unwrap_or(secret).as_str().unwrap().to_owned());
                *secret = Value::Null;
            }
        }
        assert_eq!(again.body, shown, "{name}");
        assert_eq!(walk.acts().await, acts, "{name} was carried out twice");
        walk.learn(name, &first).await;
    }
    // A key, a secret and the URL of an upload are shown once, and kept nowhere.
    assert_eq!(secrets.len(), 9, "{secrets:?}");
    let kept = walk.app.scene.rows("select convert_from(body, 'UTF8') from idempotency_keys", &[]).await;
    assert_eq!(kept.len(), WALK.len());
    for row in kept {
        let body: &str = row.get(0);
        assert!(!secrets.iter().any(|secret| body.contains(secret.as_str())), "{body}");
    }
}

#[tokio::test]
async fn no_record_of_an_act_names_an_address() {
    let mut walk = Walk::new().await;
    for name in WALK {
        let answer = walk.send(name).await;
        walk.learn(name, &answer).await;
    }
    let named = walk.app.scene.rows("select action from audit_log where details::text like '%@%'", &[]).await;
    let named: Vec<&str> = named.iter().map(|row| row.get(0)).collect();
    assert_eq!(named, [""; 0]);
    assert!(walk.acts().await >= WALK.len() as i64);
}

#[test]
fn every_sample_that_changes_something_is_walked() {
    let mut changing = Vec::new();
    for folder in std::fs::read_dir(events()).unwrap() {
        let folder = folder.unwrap().path();
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let event: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let method = event["requestContext"]["http"]["method"].as_str().unwrap_or("GET");
            // The walker has an API key: what is for people alone has tests of its own.
            let is_ours = event["rawPath"].as_str().is_some_and(|path| is_for_keys(method, path));
            if is_ours && method != "GET" && event["headers"].get("authorization").is_some() {
                let [folder, name] = [folder.file_name(), path.file_stem()].map(|name| name.unwrap().to_str().unwrap());
                changing.push(format!("{folder}/{name}"));
            }
        }
    }
    changing.sort();
    let mut walked = WALK.to_vec();
    walked.sort_unstable();
    assert_eq!(changing, walked, "left: events, right: WALK");
    assert!(NOT_RECORDED.iter().all(|(name, _)| WALK.contains(name)));
}

/// Whether a program may call the route of a sample.
fn is_for_keys(method: &str, path: &str) -> bool {
    let fits = |pattern: &str| {
        let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len()
            && pattern.iter().zip(&path).all(|(one, other)| one.starts_with('{') || one == other)
    };
    ROUTES.iter().any(|route| route.method == method && fits(route.path) && route.scope.is_some())
}

/// The id of the request in the sample's event.
fn request_id(name: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/{name}.json", events())).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    event["requestContext"]["requestId"].as_str().unwrap().to_owned()
}

fn events() -> String {
    format!("{}/../events", env!("CARGO_MANIFEST_DIR"))
}
