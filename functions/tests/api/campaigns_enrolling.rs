//! More people for a campaign that runs: whoever may be enrolled, once, and each outcome counted.

use axum::http::Method;
use serde_json::{Value, json};
use shared::{CampaignId, ContactId, SenderId};

use crate::app::Answer;
use crate::campaigns::Desk;

impl Desk {
    async fn add(&self, campaign: CampaignId, selection: Value) -> Answer {
        let path = format!("/v1/campaigns/{campaign}/enrollments");
        self.send(Method::POST, &path, Some(json!({"selection": selection}))).await
    }

    /// Runs the job that is asked for and returns its state, error and outcomes.
    async fn run(&self, asked: Answer) -> (String, Option<String>, Value) {
        let job: shared::JobId = asked.expect(202).text("/id").parse().unwrap();
        while let Some((_, next)) = self.hints.take().pop() {
            assert_eq!(next, job);
            self.deliver(job).await;
        }
        let row = &self.app.scene.rows("select state, error, outcomes from jobs where id = $1", &[&job]).await[0];
        (row.get(0), row.get(1), row.get(2))
    }

    async fn added(&self, campaign: CampaignId, selection: Value) -> Value {
        let (state, error, outcomes) = self.run(self.add(campaign, selection).await).await;
        assert_eq!((state.as_str(), error), ("completed", None));
        outcomes
    }

    async fn suppress(&self, contact: ContactId) {
        let sql = "insert into suppressions (organization_id, id, email_lower, reason)
                   select organization_id, gen_random_uuid(), email_lower, 'manual' from contacts where id = $1";
        self.app.scene.run(sql, &[&contact]).await;
    }
}

#[tokio::test]
async fn people_are_added_to_a_campaign_that_runs_and_each_outcome_is_counted() {
    let desk = Desk::new().await;
    let scene = desk.draft(3).await;
    desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(200);
    let late = desk.app.scene.contacts(4).await;
    desk.suppress(late[1]).await;
    desk.app.scene.db.set_clock("2026-03-04T20:00:00Z".parse().unwrap()).await;
    let asked = json!({"contact_ids": [scene.contacts[0], late[0], late[1], late[2], late[3], ContactId::fresh()]});
    let asked = desk.add(scene.campaign, asked).await.expect(202);
    assert_eq!((&asked.body["kind"], &asked.body["total"]), (&json!("campaign_enrollment"), &json!(6)));
    assert_eq!(asked.headers["location"], format!("/v1/jobs/{}", asked.text("/id")));
    let (state, _, outcomes) = desk.run(asked).await;
    assert_eq!(
        (state.as_str(), outcomes),
        ("completed", json!({"enrolled": 3, "already": 1, "suppressed": 1, "unknown": 1}))
    );
    let rows = desk
        .app
        .scene
        .rows(
            "select contact_id, sender_id, status, next_due_at, enrolled_at from enrollments order by contact_id",
            &[],
        )
        .await;
    let people: Vec<ContactId> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(people, [&scene.contacts[..], &[late[0], late[2], late[3]]].concat());
    // The cycle of the senders goes on after the three who were dealt out before, and the one who is in the campaign already takes a turn.
    let mut senders = scene.senders.clone();
    senders.sort_unstable();
    let dealt: Vec<SenderId> = rows[3..].iter().map(|row| row.get(1)).collect();
    assert_eq!(dealt, [senders[0], senders[1], senders[0]]);
    for row in &rows[3..] {
        let due: chrono::DateTime<chrono::Utc> = row.get(3);
        assert_eq!((row.get::<_, &str>(2), due.to_rfc3339().as_str()), ("pending", "2026-03-05T09:00:00+00:00"));
        assert_eq!(row.get::<_, chrono::DateTime<chrono::Utc>>(4).to_rfc3339(), "2026-03-04T20:00:00+00:00");
    }
    let statistics = desk.get(&format!("/v1/campaigns/{}/statistics", scene.campaign)).await.expect(200);
    assert_eq!((&statistics.body["people"], &statistics.body["balanced"]), (&json!(6), &json!(true)));

    assert_eq!(desk.added(scene.campaign, json!({"everybody": true})).await, json!({"already": 6, "suppressed": 1}));
    let list = json!({"list_id": scene.list});
    assert_eq!(desk.added(scene.campaign, list).await, json!({"already": 3}));
    assert_eq!(
        desk.audited().await,
        [
            "campaign.activated",
            "campaign.adding_people",
            "campaign.people_added",
            "campaign.adding_people",
            "campaign.people_added",
            "campaign.adding_people",
            "campaign.people_added"
        ]
    );
    // What a job was asked for is not kept, and nobody's address is in what is told of it.
    assert_eq!(desk.app.scene.number("select count(*) from jobs where input <> '{}'", &[]).await, 0);
}

#[tokio::test]
async fn a_campaign_that_does_not_run_takes_nobody_and_says_why() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    let everybody = || json!({"everybody": true});
    let refused = desk.add(scene.campaign, everybody()).await.expect(409);
    assert_eq!(refused.text("/code"), "campaign_not_running");
    assert!(refused.text("/detail").contains("this one is draft"), "{}", refused.body);
    desk.post(&format!("{base}/activate")).await.expect(200);
    for (selection, status) in [
        (json!({}), 422),
        (json!({"contact_ids": []}), 422),
        (json!({"filter": "nonsense ="}), 422),
        (json!({"list_id": ContactId::fresh()}), 404),
    ] {
        desk.add(scene.campaign, selection).await.expect(status);
    }
    desk.add(CampaignId::fresh(), everybody()).await.expect(404);
    // Paused it takes people, whom it sends nothing.
    desk.app.scene.contacts(1).await;
    desk.post(&format!("{base}/pause")).await.expect(200);
    assert_eq!(desk.added(scene.campaign, everybody()).await, json!({"enrolled": 1, "already": 2}));
    // What becomes of the campaign before the job begins ends the job.
    desk.app.scene.contacts(1).await;
    let asked = desk.add(scene.campaign, everybody()).await;
    desk.post(&format!("{base}/archive")).await.expect(200);
    let (state, error, outcomes) = desk.run(asked).await;
    assert_eq!((state.as_str(), outcomes), ("failed", json!({})));
    assert!(error.unwrap().contains("this one is archived"));
    for status in ["archived", "completed", "activating"] {
        desk.app.scene.run("update campaigns set status = $1", &[&status]).await;
        assert_eq!(desk.add(scene.campaign, everybody()).await.expect(409).text("/code"), "campaign_not_running");
    }
    assert_eq!(desk.app.scene.number("select count(*) from enrollments", &[]).await, 3);
}

#[tokio::test]
async fn nobody_begins_a_campaign_whose_next_steps_are_due_by_its_clock() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let offset = "update steps set timing = 'offset', start_offset_ms = (position - 1) * 86400000 * 2, delay_days = 0, delay_hours = 0";
    desk.app.scene.run(offset, &[]).await;
    let base = format!("/v1/campaigns/{}", scene.campaign);
    desk.post(&format!("{base}/activate")).await.expect(200);
    // The first step's time has come, and the others' have not: whoever begins now gets that one, and the others when everybody does.
    desk.app.scene.db.set_clock("2026-03-05T10:00:00Z".parse().unwrap()).await;
    let late = desk.app.scene.contacts(2).await;
    assert_eq!(desk.added(scene.campaign, json!({"contact_ids": [late[0]]})).await, json!({"enrolled": 1}));
    let due = "select count(*) from enrollments where contact_id = $1 and next_due_at = '2026-03-05T10:00:00Z'";
    assert_eq!(desk.app.scene.number(due, &[&late[0]]).await, 1);
    // While it is paused its clock stands still.
    desk.post(&format!("{base}/pause")).await.expect(200);
    desk.app.scene.db.set_clock("2026-03-09T10:00:00Z".parse().unwrap()).await;
    let asked = desk.add(scene.campaign, json!({"contact_ids": [late[1]]})).await;
    desk.post(&format!("{base}/resume")).await.expect(200);
    desk.app.scene.db.set_clock("2026-03-10T10:00:01Z".parse().unwrap()).await;
    let refused = desk.add(scene.campaign, json!({"contact_ids": [late[1]]})).await.expect(409);
    assert_eq!(refused.text("/code"), "steps_have_passed");
    let (state, error, _) = desk.run(asked).await;
    assert_eq!(state, "failed");
    assert!(error.unwrap().contains("step 2"));
}

#[tokio::test]
async fn whoever_had_the_mail_under_a_deleted_contact_is_not_enrolled_again() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(200);
    let sent = "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id,
                       sender_id, recipient, state, sent_at, slot_day, send_at, expires_at)
                select e.organization_id, gen_random_uuid(), e.id || ':' || s.id, e.id, e.campaign_id, s.id, e.contact_id,
                       e.sender_id, c.email, case when c.id = $1 then 'sent' else 'cancelled' end, clock_now(), current_date, clock_now(), clock_now()
                  from enrollments e join contacts c on c.id = e.contact_id
                  join steps s on s.campaign_id = e.campaign_id and s.position = 1";
    desk.app.scene.run(sent, &[&scene.contacts[0]]).await;
    desk.app.scene.run("delete from contacts", &[]).await;
    let again = desk.app.scene.contacts(2).await;
    let outcomes = desk.added(scene.campaign, json!({"contact_ids": again})).await;
    assert_eq!(outcomes, json!({"enrolled": 1, "written_before": 1}), "one was deleted before anything had gone");
    let statistics = desk.get(&format!("/v1/campaigns/{}/statistics", scene.campaign)).await.expect(200);
    assert_eq!(statistics.body["balanced"], json!(true), "{}", statistics.body);
}
