//! Campaigns from draft to archive, and who may see them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Method;
use functions::api::campaigns;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::platform::jobs::JobQueue;
use shared::{Database, JobId, OrganizationId};
use testkit::FakeAccount;
use testkit::scene::CampaignScene;

use crate::app::{Answer, App};

/// A queue that keeps what it is given.
#[derive(Default)]
pub(crate) struct Hints(Mutex<Vec<(OrganizationId, JobId)>>);

impl Hints {
    pub(crate) fn take(&self) -> Vec<(OrganizationId, JobId)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl JobQueue for Hints {
    fn enqueue(&self, organization: OrganizationId, job: JobId) -> BoxFuture<'_, shared::Result<()>> {
        self.0.lock().unwrap().push((organization, job));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A caller of the campaigns function.
pub(crate) struct Desk {
    pub(crate) app: App,
    db: Database,
    pub(crate) hints: Arc<Hints>,
    pub(crate) account: Arc<FakeAccount>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let app = App::new().await;
        let db = app.scene.db.app();
        Self { app, db, hints: Arc::default(), account: Arc::default() }
    }

    pub(crate) fn router(&self) -> Router {
        campaigns::router(self.db.clone(), self.hints.clone(), self.account.clone())
    }

    pub(crate) async fn sample(&self, name: &str, fill: &[(&str, &str)]) -> Answer {
        self.app.sample(self.router(), &format!("campaigns/{name}"), fill).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.app.send(self.router(), method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// A draft of `people` people, two senders and three steps that passes preflight.
    pub(crate) async fn draft(&self, people: usize) -> CampaignScene {
        let scene = &self.app.scene;
        let senders = [scene.sender(1, 600, 30).await, scene.sender(2, 600, 30).await];
        scene.draft_campaign(people, &senders, 3, 100).await
    }

    pub(crate) async fn audited(&self) -> Vec<String> {
        let rows = self.app.scene.rows("select action from audit_log order by id", &[]).await;
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn a_campaign_goes_from_draft_to_archive() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let sender = scene.sender(1, 600, 30).await.to_string();
    let list = scene.draft_campaign(3, &[], 0, 50).await.list.to_string();

    let created = desk.sample("create", &[("LIST_ID", &list), ("SENDER_ID", &sender)]).await.expect(201);
    let id = created.text("/id").to_owned();
    let campaign = [("CAMPAIGN_ID", id.as_str())];
    assert_eq!(created.headers["location"], format!("/v1/campaigns/{id}"));
    assert_eq!(created.text("/status"), "draft");
    assert_eq!(created.text("/list_id"), list);

    let updated = desk.sample("update", &campaign).await.expect(200);
    assert_eq!(updated.text("/name"), "Summer");
    assert_eq!(updated.body["description"], Value::Null, "null empties a field");
    assert_eq!(updated.text("/cta_url"), "https://example.test/spring", "an absent field stays");

    for (below, field) in [("", "name"), ("/settings", "daily_limit")] {
        let body = json!({ field: null });
        let refused = desk.send(Method::PATCH, &format!("/v1/campaigns/{id}{below}"), Some(body)).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), field, "what can't be empty is not emptied");
    }

    let senders = desk.sample("senders_list", &campaign).await.expect(200);
    assert_eq!(senders.text("/data/0/id"), sender);
    assert_eq!(senders.body["data"][0]["domain_verified"], true);

    let step = desk.sample("steps_create", &campaign).await.expect(201);
    assert_eq!((step.body["position"].as_i64(), step.body["delay_days"].as_i64()), (Some(1), Some(2)));
    assert_eq!(step.headers["location"], format!("/v1/campaigns/{id}/steps/{}", step.text("/id")));

    let preflight = desk.sample("preflight", &campaign).await.expect(200);
    assert_eq!(preflight.body["errors"], json!([]));
    assert_eq!((preflight.body["can_activate"].as_bool(), preflight.body["audience"].as_i64()), (Some(true), Some(3)));

    let active = desk.sample("activate", &campaign).await.expect(200);
    assert_eq!((active.text("/status"), active.text("/started_at")), ("active", "2026-03-04T10:00:00.000Z"));
    assert_eq!(desk.hints.take(), [], "a small audience needs no job");

    let people = desk.sample("enrollments_list", &campaign).await.expect(200);
    assert_eq!(people.body["data"].as_array().unwrap().len(), 2);
    assert!(people.body["next_cursor"].is_string());
    // Two days and six hours after Wednesday 10:00.
    assert_eq!(people.text("/data/0/next_due_at"), "2026-03-06T16:00:00.000Z");

    desk.app.scene.db.set_clock("2026-03-04T11:00:00Z".parse().unwrap()).await;
    let paused = desk.sample("pause", &campaign).await.expect(200);
    assert_eq!((paused.text("/status"), paused.text("/paused_at")), ("paused", "2026-03-04T11:00:00.000Z"));
    desk.app.scene.db.set_clock("2026-03-04T11:30:00Z".parse().unwrap()).await;
    let resumed = desk.sample("resume", &campaign).await.expect(200);
    assert_eq!((resumed.text("/status"), resumed.body["paused_seconds"].as_i64()), ("active", Some(1_800)));
    assert_eq!(resumed.body["paused_at"], Value::Null);

    let enrollment = people.text("/data/0/id").to_owned();
    desk.sample("enrollments_remove", &[campaign[0], ("ENROLLMENT_ID", &enrollment)]).await.expect(204);
    let removed = desk.get(&format!("/v1/campaigns/{id}/enrollments?status=stopped")).await.expect(200);
    assert_eq!((removed.text("/data/0/id"), removed.text("/data/0/stop_reason")), (enrollment.as_str(), "removed"));
    let found = desk.sample("find", &campaign).await.expect(200);
    assert_eq!(found.body["enrollments"]["pending"], 2);
    assert_eq!(found.body["enrollments"]["stopped"], 1);

    let archived = desk.sample("archive", &campaign).await.expect(200);
    assert_eq!((archived.text("/status"), archived.text("/archived_at")), ("archived", "2026-03-04T11:30:00.000Z"));
    let found = desk.sample("find", &campaign).await.expect(200);
    assert_eq!(found.body["enrollments"]["stopped"], 3, "archiving stops whoever was on the way");

    assert_eq!(
        desk.audited().await,
        [
            "campaign.created",
            "campaign.updated",
            "step.created",
            "campaign.activated",
            "campaign.paused",
            "campaign.resumed",
            "enrollment.removed",
            "campaign.archived"
        ]
    );
}

#[tokio::test]
async fn campaigns_are_listed_by_status_newest_first() {
    let desk = Desk::new().await;
    let older = desk.draft(1).await.campaign.to_string();
    let newer = desk.app.scene.draft_campaign(1, &[], 1, 50).await.campaign.to_string();
    let drafts = desk.sample("list", &[]).await.expect(200);
    assert_eq!((drafts.text("/data/0/id"), drafts.text("/data/1/id")), (newer.as_str(), older.as_str()));
    desk.post(&format!("/v1/campaigns/{older}/activate")).await.expect(200);
    let active = desk.get("/v1/campaigns?status=active").await.expect(200);
    assert_eq!(active.body["data"].as_array().unwrap().len(), 1);
    let unknown = desk.get("/v1/campaigns?status=gone").await.expect(422);
    assert_eq!(unknown.text("/errors/0/field"), "status");
    let first = desk.get("/v1/campaigns?limit=1").await.expect(200);
    let cursor = first.text("/next_cursor");
    desk.get(&format!("/v1/campaigns?limit=1&cursor={cursor}")).await.expect(200);
    desk.get(&format!("/v1/campaigns?limit=1&status=draft&cursor={cursor}")).await.expect(400);
}

#[tokio::test]
async fn a_draft_is_deleted_with_all_that_is_below_it() {
    let desk = Desk::new().await;
    let id = desk.draft(2).await.campaign.to_string();
    desk.sample("delete", &[("CAMPAIGN_ID", &id)]).await.expect(204);
    desk.sample("find", &[("CAMPAIGN_ID", &id)]).await.expect(404);
    assert_eq!(desk.app.scene.number("select count(*) from steps", &[]).await, 0);
    assert_eq!(desk.app.scene.number("select count(*) from campaign_settings", &[]).await, 0);
    assert_eq!(desk.app.scene.number("select count(*) from contacts", &[]).await, 2);
}

#[tokio::test]
async fn what_a_status_forbids_is_a_conflict_that_names_the_status() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    let step = format!("{base}/steps/{}", scene.steps[0]);
    let check = async |status: &str, method: Method, path: &str, body: Option<Value>, code: &str| {
        desk.app.scene.run("update campaigns set status = $1", &[&status]).await;
        let refused = desk.send(method, path, body).await.expect(409);
        assert_eq!(refused.text("/code"), code, "{path} while {status}");
        assert!(refused.text("/detail").contains(status), "{}", refused.text("/detail"));
    };
    let new_step = json!({"name": "More", "subject_template": "More", "body_template": "More"});
    let order = json!({"step_ids": scene.steps});
    let senders = json!({"sender_ids": scene.senders});
    for status in ["activating", "active", "completed", "archived"] {
        let editable = "campaign_not_editable";
        check(status, Method::PATCH, &base, Some(json!({"name": "Other"})), editable).await;
        check(status, Method::PATCH, &format!("{base}/settings"), Some(json!({"daily_limit": 9})), editable).await;
        check(status, Method::PATCH, &step, Some(json!({"name": "Other"})), editable).await;
        check(status, Method::POST, &format!("{base}/resume"), None, "campaign_not_paused").await;
    }
    for status in ["activating", "active", "paused", "completed", "archived"] {
        let draft = "campaign_not_draft";
        check(status, Method::DELETE, &base, None, draft).await;
        check(status, Method::POST, &format!("{base}/steps"), Some(new_step.clone()), draft).await;
        check(status, Method::DELETE, &step, None, draft).await;
        check(status, Method::PUT, &format!("{base}/steps/order"), Some(order.clone()), draft).await;
        check(status, Method::PUT, &format!("{base}/senders"), Some(senders.clone()), draft).await;
    }
    for status in ["active", "paused", "completed", "archived"] {
        check(status, Method::POST, &format!("{base}/activate"), None, "campaign_not_draft").await;
    }
    for status in ["draft", "activating", "paused", "completed", "archived"] {
        check(status, Method::POST, &format!("{base}/pause"), None, "campaign_not_active").await;
    }
    for status in ["draft", "activating", "archived"] {
        check(status, Method::POST, &format!("{base}/archive"), None, "campaign_not_archivable").await;
    }
    check("paused", Method::PATCH, &base, Some(json!({"list_id": null})), "campaign_not_draft").await;
    check("paused", Method::PATCH, &step, Some(json!({"delay_days": 9})), "campaign_not_draft").await;
    assert_eq!(desk.audited().await, Vec::<String>::new(), "what is refused leaves no trace");

    // What a paused campaign does allow.
    desk.send(Method::PATCH, &base, Some(json!({"name": "Other", "list_id": scene.list}))).await.expect(200);
    desk.send(Method::PATCH, &step, Some(json!({"body_template": "New.", "delay_days": 0}))).await.expect(200);
    desk.send(Method::PATCH, &format!("{base}/settings"), Some(json!({"daily_limit": 9}))).await.expect(200);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let desk = Desk::new().await;
    let refused = async |method: Method, path: &str, body: Value| {
        let answer = desk.send(method, path, Some(body)).await.expect(422);
        (answer.text("/errors/0/field").to_owned(), answer.text("/errors/0/code").to_owned())
    };
    let nobody = "00000000-0000-7000-8000-000000000000";
    let campaigns = [
        (json!({"name": " "}), "name", "required"),
        (json!({"name": "a".repeat(201)}), "name", "too_long"),
        (json!({"name": "a\nb"}), "name", "control_character"),
        (json!({"name": "a", "summary": "\u{0}"}), "summary", "control_character"),
        (json!({"name": "a", "cta_url": "http://example.test"}), "cta_url", "invalid"),
        (json!({"name": "a", "list_id": nobody}), "list_id", "not_found"),
        (json!({"name": "a", "sender_ids": [nobody]}), "sender_ids", "not_found"),
        (json!({"name": "a", "sender_ids": [nobody, nobody]}), "sender_ids", "duplicate"),
        (json!({"name": "a", "organization_id": nobody}), "organization_id", "invalid"),
    ];
    for (body, field, code) in campaigns {
        assert_eq!(refused(Method::POST, "/v1/campaigns", body).await, (field.to_owned(), code.to_owned()));
    }
    let base = format!("/v1/campaigns/{}", desk.draft(1).await.campaign);
    let settings = [
        (json!({"window_start": "25:00"}), "window_start", "invalid"),
        (json!({"window_end": "six"}), "window_end", "invalid"),
        (json!({"daily_limit": 0}), "daily_limit", "out_of_range"),
        (json!({"gap_seconds": -1}), "gap_seconds", "out_of_range"),
        (json!({"maximum_lateness_seconds": 1}), "maximum_lateness_seconds", "out_of_range"),
        (json!({"track_opens": null}), "track_opens", "invalid"),
        (json!({"timezone_mode": "theirs"}), "timezone_mode", "unknown"),
        (json!({"timezone_mode": null}), "timezone_mode", "invalid"),
        (json!({"jitter_seconds": -1}), "jitter_seconds", "out_of_range"),
        (json!({"jitter_seconds": 14_401}), "jitter_seconds", "out_of_range"),
        (json!({"holidays": ["2026-12-25", "2026-02-30"]}), "holidays", "invalid"),
        (json!({"holidays": ["25.12.2026"]}), "holidays", "invalid"),
        (json!({"holidays": null}), "holidays", "invalid"),
        (json!({"holidays": vec!["2026-12-25"; 367]}), "holidays", "too_many"),
        (json!({"sender_strategy": "best"}), "sender_strategy", "unknown"),
        (json!({"sender_strategy": null}), "sender_strategy", "invalid"),
    ];
    for (body, field, code) in settings {
        let found = refused(Method::PATCH, &format!("{base}/settings"), body).await;
        assert_eq!(found, (field.to_owned(), code.to_owned()));
    }
    for (body, field) in [
        (json!({"send_days": []}), "send_days"),
        (json!({"send_days": ["someday"]}), "send_days"),
        (json!({"timezone": "Mars/Olympus"}), "timezone"),
    ] {
        assert_eq!(refused(Method::PATCH, &format!("{base}/settings"), body).await.0, field);
    }
    let senders = refused(Method::PUT, &format!("{base}/senders"), json!({"sender_ids": []})).await;
    assert_eq!(senders, ("sender_ids".to_owned(), "empty".to_owned()));
    for (body, field, code) in [
        (json!({}), "senders", "required"),
        (json!({"sender_ids": [nobody], "senders": [{"sender_id": nobody}]}), "senders", "required"),
        (json!({"senders": [{"sender_id": nobody}]}), "senders", "not_found"),
        (json!({"senders": [{"sender_id": nobody, "weight": 0}]}), "senders.0.weight", "out_of_range"),
        (json!({"senders": [{"sender_id": nobody}, {"sender_id": nobody}]}), "senders", "duplicate"),
    ] {
        let found = refused(Method::PUT, &format!("{base}/senders"), body).await;
        assert_eq!(found, (field.to_owned(), code.to_owned()));
    }
    let step = json!({"name": "a", "subject_template": "a\r\nBcc: b", "body_template": "b", "delay_hours": 24});
    let answer = desk.send(Method::POST, &format!("{base}/steps"), Some(step)).await.expect(422);
    let fields: Vec<&str> =
        answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["subject_template", "delay_hours"]);
    let step = json!({"name": "a", "subject_template": "a", "body_template": "one\n{{ first_name"});
    let answer = desk.send(Method::POST, &format!("{base}/steps"), Some(step)).await.expect(422);
    assert_eq!(answer.text("/errors/0/field"), "body_template");
    assert!(answer.text("/errors/0/message").contains("line 2"), "{:#}", answer.body);
}

#[tokio::test]
async fn steps_keep_their_positions_dense() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let campaign = scene.campaign.to_string();
    let ids: Vec<String> = scene.steps.iter().map(ToString::to_string).collect();
    let order = async || -> Vec<String> {
        let steps = desk.sample("steps_list", &[("CAMPAIGN_ID", &campaign)]).await.expect(200);
        let steps = steps.body["data"].as_array().unwrap().clone();
        let positions: Vec<i64> = steps.iter().map(|step| step["position"].as_i64().unwrap()).collect();
        assert_eq!(positions, (1..).take(steps.len()).collect::<Vec<i64>>());
        steps.iter().map(|step| step["id"].as_str().unwrap().to_owned()).collect()
    };
    let path = format!("/v1/campaigns/{campaign}/steps/order");
    let wanted = json!({"step_ids": [ids[2], ids[0], ids[1]]});
    desk.send(Method::PUT, &path, Some(wanted)).await.expect(200);
    assert_eq!(order().await, [&*ids[2], &ids[0], &ids[1]]);
    for wrong in [json!([ids[0], ids[1]]), json!([ids[0], ids[1], ids[1]]), json!([ids[0], ids[1], campaign])] {
        let refused = desk.send(Method::PUT, &path, Some(json!({"step_ids": wrong}))).await.expect(422);
        assert_eq!(refused.text("/errors/0/code"), "incomplete");
    }
    desk.sample("steps_delete", &[("CAMPAIGN_ID", &campaign), ("STEP_ID", &ids[0])]).await.expect(204);
    assert_eq!(order().await, [&*ids[2], &ids[1]]);
    let reordered = [("CAMPAIGN_ID", &*campaign), ("STEP_ID", &*ids[1]), ("OTHER_STEP_ID", &*ids[2])];
    desk.sample("steps_reorder", &reordered).await.expect(200);
    assert_eq!(order().await, [&*ids[1], &ids[2]]);
    let changed = desk.sample("steps_update", &reordered[..2]).await.expect(200);
    assert_eq!(changed.text("/subject_template"), "Hello again, {{ first_name }}");
    for _ in 0..48 {
        desk.sample("steps_create", &[("CAMPAIGN_ID", &campaign)]).await.expect(201);
    }
    let refused = desk.sample("steps_create", &[("CAMPAIGN_ID", &campaign)]).await.expect(409);
    assert_eq!(refused.text("/code"), "too_many_steps");
}

#[tokio::test]
async fn settings_come_with_the_campaign_and_can_be_changed() {
    let desk = Desk::new().await;
    let created = desk.send(Method::POST, "/v1/campaigns", Some(json!({"name": "Bare"}))).await.expect(201);
    let campaign = [("CAMPAIGN_ID", created.text("/id"))];
    let settings = desk.sample("settings_find", &campaign).await.expect(200);
    assert_eq!(
        settings.body,
        json!({
            "window_start": "09:00", "window_end": "18:00",
            "send_days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "timezone": "UTC",
            "timezone_mode": "campaign", "holidays": [], "jitter_seconds": 0, "sender_strategy": "round_robin",
            "daily_limit": 50, "gap_seconds": 120, "maximum_lateness_seconds": 14_400, "track_opens": true, "track_clicks": true
        })
    );
    let changed = desk.sample("settings_update", &campaign).await.expect(200);
    let expected = json!({
        "window_start": "10:00", "window_end": "16:30", "send_days": ["monday", "thursday"], "timezone": "Europe/Berlin",
        "timezone_mode": "recipient", "holidays": ["2026-12-25", "2027-01-01"], "jitter_seconds": 900,
        "sender_strategy": "weighted",
        "daily_limit": 1200, "gap_seconds": 30, "maximum_lateness_seconds": 7200, "track_opens": false, "track_clicks": true
    });
    assert_eq!(changed.body, expected);
    assert_eq!(desk.sample("settings_find", &campaign).await.expect(200).body, expected);
    // What is not given stays; a list that is given takes the place of the one that was there.
    let path = format!("/v1/campaigns/{}/settings", created.text("/id"));
    let kept = desk.send(Method::PATCH, &path, Some(json!({}))).await.expect(200);
    assert_eq!(kept.body, expected);
    let cleared = desk.send(Method::PATCH, &path, Some(json!({"holidays": [], "timezone_mode": "campaign"}))).await;
    let cleared = cleared.expect(200);
    assert_eq!((&cleared.body["holidays"], cleared.text("/timezone_mode")), (&json!([]), "campaign"));
    assert_eq!(cleared.body["jitter_seconds"], 900);
    assert_eq!(
        desk.audited().await,
        ["campaign.created", "campaign.settings_changed", "campaign.settings_changed", "campaign.settings_changed"]
    );
}

#[tokio::test]
async fn a_step_counts_from_the_one_before_or_from_the_start() {
    let desk = Desk::new().await;
    let scene = desk.app.scene.draft_campaign(1, &[], 0, 50).await;
    let campaign = scene.campaign.to_string();
    let path = format!("/v1/campaigns/{campaign}/steps");
    let plain = desk.sample("steps_create", &[("CAMPAIGN_ID", &campaign)]).await.expect(201);
    assert_eq!((plain.text("/timing"), &plain.body["start_offset_ms"]), ("delay", &Value::Null));
    let offset = desk.sample("steps_create_offset", &[("CAMPAIGN_ID", &campaign)]).await.expect(201);
    assert_eq!((offset.text("/timing"), &offset.body["start_offset_ms"]), ("offset", &json!(259_200_000)));
    let path_of_offset = format!("{path}/{}", offset.text("/id"));
    let base = json!({"name": "a", "subject_template": "b", "body_template": "c"});
    let with = |more: Value| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, code) in [
        (json!({"timing": "offset"}), "required"),
        (json!({"timing": "offset", "start_offset_ms": -1}), "out_of_range"),
        (json!({"timing": "offset", "start_offset_ms": 63_072_000_001_i64}), "out_of_range"),
        (json!({"start_offset_ms": 5}), "not_allowed"),
        (json!({"timing": "whenever"}), "unknown"),
    ] {
        let refused = desk.send(Method::POST, &path, Some(with(more.clone()))).await.expect(422);
        assert_eq!(refused.text("/errors/0/code"), code, "{more}");
    }
    let far = with(json!({"timing": "offset", "start_offset_ms": 63_072_000_000_i64}));
    desk.send(Method::POST, &path, Some(far)).await.expect(201);
    for (patch, code) in [
        (json!({"timing": "delay"}), "not_allowed"),
        (json!({"start_offset_ms": null}), "required"),
        (json!({"timing": null}), "invalid"),
    ] {
        let refused = desk.send(Method::PATCH, &path_of_offset, Some(patch.clone())).await.expect(422);
        assert_eq!(refused.text("/errors/0/code"), code, "{patch}");
    }
    let renamed = desk.send(Method::PATCH, &path_of_offset, Some(json!({"name": "Later"}))).await.expect(200);
    assert_eq!(renamed.body["start_offset_ms"], 259_200_000, "absent is not null");
    let delayed = json!({"timing": "delay", "start_offset_ms": null, "delay_days": 1});
    let delayed = desk.send(Method::PATCH, &path_of_offset, Some(delayed)).await.expect(200);
    assert_eq!((delayed.text("/timing"), &delayed.body["start_offset_ms"]), ("delay", &Value::Null));
    // Due times have been computed from it once the campaign has left the draft.
    desk.app.scene.run("update campaigns set status = 'paused'", &[]).await;
    let patch = json!({"timing": "offset", "start_offset_ms": 0});
    let refused = desk.send(Method::PATCH, &path_of_offset, Some(patch)).await.expect(409);
    assert_eq!(refused.text("/code"), "campaign_not_draft");
}

#[tokio::test]
async fn the_pool_of_senders_is_replaced_as_a_whole() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let campaign = scene.campaign.to_string();
    let third = desk.app.scene.sender(3, 50, 120).await.to_string();
    let pool = desk.sample("senders_replace", &[("CAMPAIGN_ID", &campaign), ("SENDER_ID", &third)]).await.expect(200);
    assert_eq!(pool.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(pool.text("/data/0/email"), "sender3@example.test");
    assert_eq!(pool.text("/data/0/domain"), "example.test");
}

/// Every route, with a body that is valid.
fn routes(scene: &CampaignScene, enrollment: &str) -> Vec<(Method, String, Option<Value>)> {
    let base = format!("/v1/campaigns/{}", scene.campaign);
    let step = json!({"name": "a", "subject_template": "a", "body_template": "b"});
    vec![
        (Method::GET, base.clone(), None),
        (Method::PATCH, base.clone(), Some(json!({"name": "a"}))),
        (Method::DELETE, base.clone(), None),
        (Method::POST, format!("{base}/steps"), Some(step)),
        (Method::GET, format!("{base}/steps"), None),
        (Method::PUT, format!("{base}/steps/order"), Some(json!({"step_ids": scene.steps}))),
        (Method::PATCH, format!("{base}/steps/{}", scene.steps[0]), Some(json!({"name": "a"}))),
        (Method::DELETE, format!("{base}/steps/{}", scene.steps[0]), None),
        (Method::GET, format!("{base}/settings"), None),
        (Method::PATCH, format!("{base}/settings"), Some(json!({"daily_limit": 1}))),
        (Method::GET, format!("{base}/senders"), None),
        (Method::PUT, format!("{base}/senders"), Some(json!({"sender_ids": scene.senders}))),
        (Method::GET, format!("{base}/preflight"), None),
        (Method::POST, format!("{base}/activate"), None),
        (Method::POST, format!("{base}/pause"), None),
        (Method::POST, format!("{base}/resume"), None),
        (Method::POST, format!("{base}/archive"), None),
        (Method::GET, format!("{base}/enrollments"), None),
        (Method::DELETE, format!("{base}/enrollments/{enrollment}"), None),
        (Method::GET, format!("{base}/enrollments/{enrollment}/why"), None),
        (Method::GET, format!("{base}/report"), None),
        (Method::GET, format!("{base}/statistics"), None),
        (Method::GET, format!("{base}/statistics/daily"), None),
    ]
}

#[tokio::test]
async fn without_a_key_no_route_answers() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let mut all = routes(&scene, "00000000-0000-7000-8000-000000000000");
    all.push((Method::GET, "/v1/campaigns".to_owned(), None));
    all.push((Method::POST, "/v1/campaigns".to_owned(), Some(json!({"name": "a"}))));
    for (method, path, body) in all {
        desk.app.send_as(desk.router(), method, &path, body, None).await.expect(401);
    }
}

#[tokio::test]
async fn another_organization_sees_and_changes_nothing() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    desk.post(&format!("{base}/activate")).await.expect(200);
    let people = desk.get(&format!("{base}/enrollments")).await.expect(200);
    let enrollment = people.text("/data/0/id").to_owned();
    let before = everything(&desk).await;

    let (other, _) = desk.app.scene.another_organization("other").await;
    let key = desk.app.scene.api_key_of(other).await;
    for (method, path, body) in routes(&scene, &enrollment) {
        let answer = desk.app.send_as(desk.router(), method.clone(), &path, body, Some(&key)).await;
        assert_eq!(answer.status.as_u16(), 404, "{method} {path}: {:#}", answer.body);
    }
    let list = desk.app.send_as(desk.router(), Method::GET, "/v1/campaigns", None, Some(&key)).await.expect(200);
    assert_eq!(list.body["data"], json!([]));
    for body in [json!({"name": "a", "list_id": scene.list}), json!({"name": "a", "sender_ids": scene.senders})] {
        let answer = desk.app.send_as(desk.router(), Method::POST, "/v1/campaigns", Some(body), Some(&key)).await;
        assert_eq!(answer.expect(422).text("/errors/0/code"), "not_found");
    }
    assert_eq!(everything(&desk).await, before);

    // Nor is a part of one campaign reached through another.
    let own = desk.app.scene.draft_campaign(1, &[], 1, 50).await;
    for path in [
        format!("/v1/campaigns/{}/steps/{}", own.campaign, scene.steps[0]),
        format!("/v1/campaigns/{}/enrollments/{enrollment}", own.campaign),
    ] {
        desk.send(Method::DELETE, &path, None).await.expect(404);
    }
}

#[tokio::test]
async fn somebody_on_the_way_is_told_what_they_wait_for() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    desk.post(&format!("{base}/activate")).await.expect(200);
    let people = desk.get(&format!("{base}/enrollments")).await.expect(200);
    let ids = [("CAMPAIGN_ID", scene.campaign.to_string()), ("ENROLLMENT_ID", people.text("/data/0/id").to_owned())];
    let ids = ids.each_ref().map(|(name, id)| (*name, id.as_str()));
    let free = desk.sample("enrollments_why", &ids).await.expect(200);
    assert_eq!((&free.body["constraints"], &free.body["ended"]), (&json!([]), &Value::Null));
    assert_eq!(
        (free.text("/earliest_at"), &free.body["next_step"]["position"]),
        ("2026-03-04T10:00:00.000Z", &json!(1))
    );
    desk.post(&format!("{base}/pause")).await.expect(200);
    let paused = desk.sample("enrollments_why", &ids).await.expect(200);
    let holds = json!([{"code": "campaign_paused", "message": "The campaign is paused.", "since": "2026-03-04T10:00:00.000Z", "until": null}]);
    assert_eq!((&paused.body["constraints"], &paused.body["earliest_at"]), (&holds, &Value::Null));

    let path = format!("/v1/contacts/{}/why", scene.contacts[0]);
    let person = desk.app.send(crate::contacts::router(&desk.app), Method::GET, &path, None).await.expect(200);
    assert_eq!(person.body["enrollments"], json!([paused.body]));
    let nobody = format!("{base}/enrollments/{}/why", shared::EnrollmentId::fresh());
    desk.get(&nobody).await.expect(404);
}

async fn everything(desk: &Desk) -> String {
    let sql = "select (select json_agg(c order by id) from campaigns c)::text
                   || (select json_agg(s order by id) from steps s)::text
                   || (select json_agg(e order by id) from enrollments e)::text
                   || (select json_agg(s order by campaign_id) from campaign_settings s)::text
                   || (select json_agg(s order by sender_id) from campaign_senders s)::text";
    desk.app.scene.rows(sql, &[]).await[0].get(0)
}
