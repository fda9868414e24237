//! Activation: everybody on the list once, however large it is and whatever breaks on the way.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use axum::http::Method;
use functions::events::job_runner::{self, JobRunner};
use serde_json::json;
use shared::outreach::activation::{self, Chunk};
use shared::platform::jobs;
use shared::{ContactId, JobId};
use testkit::FakeArchiveStore;
use testkit::scene::CampaignScene;

use crate::campaigns::Desk;

impl Desk {
    /// A runner that does one chunk an event.
    pub(crate) fn runner(&self) -> JobRunner {
        JobRunner::new(self.app.scene.db.app(), Arc::clone(&self.hints) as Arc<_>, Arc::<FakeArchiveStore>::default())
            .with_budget(Duration::ZERO)
    }

    /// Brings the sample event with this job to the runner.
    pub(crate) async fn deliver(&self, job: JobId) {
        job_runner::handle(&self.runner(), self.event(job)).await.unwrap();
    }

    fn event(&self, job: JobId) -> SqsEvent {
        let text = include_str!("../../../events/job_runner/run.json")
            .replace("${ORGANIZATION_ID}", &self.app.scene.organization.to_string())
            .replace("${JOB_ID}", &job.to_string());
        serde_json::from_str(&text).unwrap()
    }

    async fn enrolled(&self) -> i64 {
        self.app.scene.number("select count(*) from enrollments", &[]).await
    }

    async fn status(&self, scene: &CampaignScene) -> String {
        let sql = "select status from campaigns where id = $1";
        self.app.scene.rows(sql, &[&scene.campaign]).await[0].get(0)
    }

    /// Begins the activation of a campaign that is large enough for a job.
    async fn activate_by_job(&self, scene: &CampaignScene) -> JobId {
        let answer = self.sample("activate", &[("CAMPAIGN_ID", &scene.campaign.to_string())]).await.expect(202);
        let job: JobId = answer.text("/id").parse().unwrap();
        assert_eq!(answer.headers["location"], format!("/v1/jobs/{job}"));
        assert_eq!(self.hints.take(), [(self.app.scene.organization, job)]);
        assert_eq!(self.status(scene).await, "activating");
        job
    }

    /// Everybody of the list is enrolled once, half with each sender, and due at the same time.
    async fn check_audience(&self, scene: &CampaignScene) {
        let rows = self
            .app
            .scene
            .rows(
                "select count(*), count(distinct contact_id), count(distinct next_due_at),
                        count(*) filter (where sender_id = $2), count(*) filter (where sender_id = $3)
                   from enrollments where campaign_id = $1",
                &[&scene.campaign, &scene.senders[0], &scene.senders[1]],
            )
            .await;
        let people = i64::try_from(scene.contacts.len()).unwrap();
        let counts: Vec<i64> = (0..5).map(|column| rows[0].get(column)).collect();
        assert_eq!(counts, [people, people, 1, (people + 1) / 2, people / 2]);
    }
}

#[tokio::test]
async fn a_small_audience_is_enrolled_in_the_request_without_the_suppressed() {
    let desk = Desk::new().await;
    let scene = desk.draft(6).await;
    let other = desk.app.scene.draft_campaign(0, &[], 1, 50).await;
    let suppress = "insert into suppressions (organization_id, id, email_lower, campaign_id, reason)
                    select organization_id, gen_random_uuid(), email_lower, $2, 'manual' from contacts where id = $1";
    desk.app.scene.run(suppress, &[&scene.contacts[0], &None::<shared::CampaignId>]).await;
    desk.app.scene.run(suppress, &[&scene.contacts[1], &Some(scene.campaign)]).await;
    desk.app.scene.run(suppress, &[&scene.contacts[2], &Some(other.campaign)]).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    // Outside of the window, so that the first mail waits until the next morning.
    desk.app.scene.db.set_clock("2026-03-06T20:00:00Z".parse().unwrap()).await;
    desk.post(&format!("{base}/activate")).await.expect(200);
    let rows = desk.app.scene.rows("select contact_id, sender_id from enrollments order by contact_id", &[]).await;
    let people: Vec<ContactId> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(people, scene.contacts[2..]);
    let mut senders = scene.senders.clone();
    senders.sort_unstable();
    let dealt: Vec<shared::SenderId> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(dealt, [senders[0], senders[1], senders[0], senders[1]]);
    let people = desk.get(&format!("{base}/enrollments")).await.expect(200);
    assert_eq!(people.text("/data/0/next_due_at"), "2026-03-09T09:00:00.000Z");
    let again = desk.post(&format!("{base}/activate")).await.expect(409);
    assert_eq!(again.text("/code"), "campaign_not_draft");
    assert_eq!(desk.enrolled().await, 4);
}

#[tokio::test]
async fn people_are_dealt_out_by_the_strategy_of_the_campaign() {
    let desk = Desk::new().await;
    for (strategy, expected) in [
        ("round_robin", [4, 4, 4]),
        // Weights of 1, 2 and 3; 600, 600 and 1,200 mails a day, of which half of the last are used; health of 20, 100 and 0.
        ("weighted", [2, 4, 6]),
        ("remaining_capacity", [4, 4, 4]),
        ("health", [2, 10, 0]),
    ] {
        let scene = &desk.app.scene;
        scene.run("delete from campaign_senders", &[]).await;
        scene.run("delete from limit_usage", &[]).await;
        scene.run("delete from enrollments", &[]).await;
        scene.run("delete from senders", &[]).await;
        let senders = [scene.sender(1, 600, 0).await, scene.sender(2, 600, 0).await, scene.sender(3, 1_200, 0).await];
        for (sender, health) in senders.iter().zip([20, 100, 0]) {
            let found = "insert into sender_health (organization_id, sender_id, score, sends, hard_bounces, complaints, replies, computed_at)
                         values ($1, $2, $3, 100, 0, 0, 0, now())";
            scene.run(found, &[&scene.organization, sender, &health]).await;
        }
        let used = "insert into limit_usage (organization_id, scope, scope_id, day, used)
                    values ($1, 'sender', $2, (clock_now() at time zone 'UTC')::date, 600)";
        scene.run(used, &[&scene.organization, &senders[2]]).await;
        let campaign = scene.draft_campaign(12, &senders, 1, 100).await.campaign;
        let base = format!("/v1/campaigns/{campaign}");
        let pool: Vec<_> = (1..).zip(senders).map(|(weight, id)| json!({"sender_id": id, "weight": weight})).collect();
        let pool = desk.send(Method::PUT, &format!("{base}/senders"), Some(json!({"senders": pool}))).await.expect(200);
        assert_eq!(pool.body["data"][2]["weight"], 3);
        let strategy = Some(json!({"sender_strategy": strategy}));
        desk.send(Method::PATCH, &format!("{base}/settings"), strategy).await.expect(200);
        desk.post(&format!("{base}/activate")).await.expect(200);
        let dealt = "select count(*) from enrollments where campaign_id = $1 and sender_id = $2";
        let mut counts = Vec::new();
        for sender in senders {
            counts.push(scene.number(dealt, &[&campaign, &sender]).await);
        }
        assert_eq!(counts, expected);
    }
}

#[tokio::test]
async fn by_health_and_capacity_nobody_is_dealt_to_a_sender_that_rests() {
    for strategy in ["health", "remaining_capacity"] {
        let desk = Desk::new().await;
        let campaign = desk.draft(6).await;
        let scene = &desk.app.scene;
        scene.run("update senders set status = 'paused' where id = $1", &[&campaign.senders[0]]).await;
        scene.run("update campaign_settings set sender_strategy = $1", &[&strategy]).await;
        desk.post(&format!("/v1/campaigns/{}/activate", campaign.campaign)).await.expect(200);
        let dealt = "select count(*) from enrollments where sender_id = $1";
        assert_eq!(scene.number(dealt, &[&campaign.senders[1]]).await, 6);
    }
}

#[tokio::test]
async fn a_campaign_that_fails_preflight_is_not_activated() {
    let desk = Desk::new().await;
    let scene = desk.draft(0).await;
    let refused = desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(409);
    assert_eq!(refused.text("/code"), "preflight_failed");
    assert!(refused.text("/detail").contains("empty_audience"), "{}", refused.text("/detail"));
    assert_eq!(desk.status(&scene).await, "draft");
}

#[tokio::test]
async fn a_large_audience_is_enrolled_by_a_job_and_the_campaign_waits_for_the_last_chunk() {
    let desk = Desk::new().await;
    let scene = desk.draft(11_000).await;
    let job = desk.activate_by_job(&scene).await;
    // Who comes to the list after this moment is not in the audience.
    let late = desk.app.scene.contacts(1).await;
    desk.app
        .scene
        .run(
            "insert into list_members (organization_id, list_id, contact_id) values ($1, $2, $3)",
            &[&desk.app.scene.organization, &scene.list, &late[0]],
        )
        .await;

    desk.deliver(job).await;
    assert_eq!((desk.enrolled().await, &*desk.status(&scene).await), (5_000, "activating"));
    assert_eq!(desk.hints.take().len(), 1, "it asks for its continuation");

    // Asking again returns the job that is on it, and repeats a hint that may have been lost.
    let again = desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(202);
    assert_eq!((again.text("/id"), again.body["progress"].as_i64()), (job.to_string().as_str(), Some(5_000)));
    assert_eq!(desk.hints.take().len(), 1);

    // Another day: the first step's delay still counts from the beginning.
    desk.app.scene.db.set_clock("2026-03-05T10:00:00Z".parse().unwrap()).await;
    desk.deliver(job).await;
    desk.deliver(job).await;
    assert_eq!(desk.status(&scene).await, "active");
    desk.check_audience(&scene).await;
    let row = &desk.app.scene.rows("select state, progress, total from jobs", &[]).await[0];
    let shown = (row.get::<_, &str>(0), row.get::<_, i64>(1), row.get::<_, Option<i64>>(2));
    assert_eq!(shown, ("completed", 11_000, Some(11_000)));

    // The same hint once more, long after.
    desk.hints.take();
    desk.deliver(job).await;
    assert_eq!(desk.hints.take(), []);
    desk.check_audience(&scene).await;
    assert_eq!(desk.audited().await, ["campaign.activating", "campaign.activating", "campaign.activated"]);
}

#[tokio::test]
async fn killed_in_any_chunk_and_delivered_again_it_comes_to_the_same_end() {
    let desk = Desk::new().await;
    let scene = desk.draft(11_000).await;
    let job = desk.activate_by_job(&scene).await;
    let db = desk.app.scene.db.app();
    for chunk in [Chunk::More, Chunk::More, Chunk::Last] {
        let tx = db.begin(desk.app.scene.organization).await.unwrap();
        let locked = jobs::lock_for_chunk(&tx, job).await.unwrap().unwrap();
        assert_eq!(activation::run_chunk(&tx, &locked).await.unwrap(), chunk);
        // The hint delivered twice: the second delivery finds the job taken and leaves it.
        desk.deliver(job).await;
        // Killed before the commit: the connection is closed with what it did.
        drop(tx);
        let before = desk.enrolled().await;
        wait_until_unlocked(&desk, job).await;
        assert_eq!(desk.enrolled().await, before);
        // The queue brings the hint again.
        desk.deliver(job).await;
    }
    assert_eq!(desk.status(&scene).await, "active");
    desk.check_audience(&scene).await;
}

/// The server notices a closed connection in its own time; a lock that is granted shows that it has.
async fn wait_until_unlocked(desk: &Desk, job: JobId) {
    desk.app.scene.rows("select id from jobs where id = $1 for update", &[&job]).await;
}

#[tokio::test]
async fn two_deliveries_at_once_share_no_chunk() {
    let desk = Desk::new().await;
    let scene = desk.draft(6_000).await;
    let job = desk.activate_by_job(&scene).await;
    let runners = [desk.runner(), desk.runner(), desk.runner()];
    while desk.status(&scene).await != "active" {
        let runs = runners.each_ref().map(|runner| job_runner::handle(runner, desk.event(job)));
        for run in futures_util::future::join_all(runs).await {
            run.unwrap();
        }
    }
    desk.check_audience(&scene).await;
}

#[tokio::test]
async fn within_its_budget_a_runner_does_all_chunks_and_asks_for_nothing() {
    let desk = Desk::new().await;
    let scene = desk.draft(6_000).await;
    let job = desk.activate_by_job(&scene).await;
    let runner =
        JobRunner::new(desk.app.scene.db.app(), Arc::clone(&desk.hints) as Arc<_>, Arc::<FakeArchiveStore>::default());
    job_runner::handle(&runner, desk.event(job)).await.unwrap();
    assert_eq!(desk.hints.take(), []);
    assert_eq!(desk.status(&scene).await, "active");
    desk.check_audience(&scene).await;
}

#[tokio::test]
async fn a_campaign_that_is_being_activated_can_not_be_changed_under_the_job() {
    let desk = Desk::new().await;
    let scene = desk.draft(501).await;
    let job = desk.activate_by_job(&scene).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    desk.send(Method::PUT, &format!("{base}/senders"), Some(json!({"sender_ids": [scene.senders[0]]})))
        .await
        .expect(409);
    desk.post(&format!("{base}/archive")).await.expect(409);
    desk.deliver(job).await;
    desk.check_audience(&scene).await;
}

#[tokio::test]
async fn hints_that_lead_nowhere_do_nothing() {
    let desk = Desk::new().await;
    desk.deliver(JobId::fresh()).await;
    let scene = desk.draft(501).await;
    let job = desk.activate_by_job(&scene).await;
    // Another organization's hint does not reach the job.
    let (other, _) = desk.app.scene.another_organization("other").await;
    let body = json!({"organization_id": other, "job_id": job}).to_string();
    let event = serde_json::from_value(json!({"Records": [{"messageId": "1", "body": body}]})).unwrap();
    job_runner::handle(&desk.runner(), event).await.unwrap();
    assert_eq!(desk.enrolled().await, 0);
    // A campaign that somebody has set back by hand fails the job instead of being enrolled.
    desk.app.scene.run("update campaigns set status = 'draft'", &[]).await;
    desk.deliver(job).await;
    let row = &desk.app.scene.rows("select state, error from jobs", &[]).await[0];
    assert_eq!(row.get::<_, &str>(0), "failed");
    assert_eq!(desk.enrolled().await, 0);
    let poison = serde_json::from_value(json!({"Records": [{"messageId": "1", "body": "{}"}]})).unwrap();
    assert!(job_runner::handle(&desk.runner(), poison).await.is_err(), "it goes to the dead letters");
}

#[tokio::test]
async fn a_segments_people_are_those_of_the_activation_however_long_the_job_takes() {
    let desk = Desk::new().await;
    let scene = desk.draft(501).await;
    let database = &desk.app.scene;
    let insert = "insert into segments (organization_id, id, name, tree) values ($1, md5('s')::uuid, 'Nobody yet', $2)";
    let tree = json!({"field": "company", "operator": "is_not_set"});
    database.run(insert, &[&database.organization, &tree]).await;
    database.run("update campaigns set list_id = null, segment_id = md5('s')::uuid", &[]).await;
    let job = desk.activate_by_job(&scene).await;
    // Whoever is not meant any more was meant then, and whoever comes to be meant was not.
    database.run("update contacts set company = 'Acme'", &[]).await;
    database.contacts(3).await;
    let gone = [scene.contacts[7]];
    database.run("delete from contacts where id = any ($1)", &[&gone.to_vec()]).await;
    // The same event twice, as queues bring them.
    for _ in 0..3 {
        desk.deliver(job).await;
    }
    assert_eq!(desk.status(&scene).await, "active");
    let enrolled = database.rows("select contact_id from enrollments order by contact_id", &[]).await;
    let enrolled: Vec<ContactId> = enrolled.iter().map(|row| row.get(0)).collect();
    let expected: Vec<ContactId> = scene.contacts.iter().copied().filter(|id| !gone.contains(id)).collect();
    assert_eq!(enrolled, expected);
    assert_eq!(database.number("select count(*) from audience_snapshots", &[]).await, 0);
}
