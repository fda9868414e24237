//! People who are added to a campaign that runs: they get each mail once, and the campaign is completed with them in its accounting.

use serde_json::json;
use shared::audience::selection::Selection;
use shared::outreach::activation::Chunk;
use shared::outreach::{enrolling, reports};
use shared::platform::jobs::{self, Job};
use shared::{CampaignId, Tx};

use crate::stage::Stage;

impl Stage {
    async fn tx(&self) -> Tx {
        self.scene.db.app().begin(self.scene.organization).await.unwrap()
    }

    async fn ask(&self, campaign: CampaignId, selection: serde_json::Value) -> Job {
        let tx = self.tx().await;
        let selection: Selection = serde_json::from_value(selection).unwrap();
        let job = enrolling::create(&tx, campaign, selection).await.unwrap();
        tx.commit().await.unwrap();
        job
    }

    async fn enroll(&self, job: &Job) {
        loop {
            let tx = self.tx().await;
            let locked = jobs::lock_for_chunk(&tx, job.id).await.unwrap().unwrap();
            let chunk = enrolling::run_chunk(&tx, &locked).await.unwrap();
            tx.commit().await.unwrap();
            if chunk == Chunk::Last {
                return;
            }
        }
    }

    async fn outcomes(&self, job: &Job) -> serde_json::Value {
        self.scene.rows("select outcomes from jobs where id = $1", &[&job.id]).await[0].get(0)
    }

    async fn status(&self, campaign: CampaignId) -> String {
        self.scene.rows("select status from campaigns where id = $1", &[&campaign]).await[0].get(0)
    }
}

async fn running(people: usize) -> (Stage, CampaignId) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(people, &[sender], 1, 1_000).await.campaign;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    (stage, campaign)
}

#[tokio::test]
async fn whoever_is_added_gets_each_mail_once_and_the_campaign_completes_with_them() {
    let (stage, campaign) = running(3).await;
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=3");
    // Everybody has had their mail, and is asked for again with two who have not, before anybody has swept.
    stage.scene.contacts(2).await;
    for _ in 0..2 {
        let job = stage.ask(campaign, json!({"everybody": true})).await;
        stage.enroll(&job).await;
    }
    assert_eq!(stage.sweep().await.campaigns_completed, 0, "two are on their way");
    stage.tick().await;
    stage.deliver_queued().await;
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=5");
    let twice = "select count(*) from (select recipient from messages group by recipient having count(*) > 1) as x";
    assert_eq!((stage.scene.number(twice, &[]).await, stage.mailer.accepted().len()), (0, 5));
    stage.check("after the mails").await;
    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    let tx = stage.tx().await;
    let report = serde_json::to_value(reports::find(&tx, campaign).await.unwrap()).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        (&report["people"], &report["balanced"], &report["totals"]["sent"]),
        (&json!(5), &json!(true), &json!(5))
    );
}

#[tokio::test]
async fn a_campaign_is_not_completed_while_people_are_being_added_nor_are_people_added_to_one_that_is_completed() {
    let (stage, campaign) = running(1).await;
    stage.tick().await;
    stage.deliver_queued().await;
    stage.scene.contacts(1).await;
    let (first, second) =
        (stage.ask(campaign, json!({"everybody": true})).await, stage.ask(campaign, json!({"everybody": true})).await);
    let tx = stage.tx().await;
    let locked = jobs::lock_for_chunk(&tx, first.id).await.unwrap().unwrap();
    assert_eq!(enrolling::run_chunk(&tx, &locked).await.unwrap(), Chunk::More);
    let adding = async {
        // The sweep has found that everybody seems to have come to an end, and waits at the gate.
        stage.until_waiting(1).await;
        tx.commit().await.unwrap();
    };
    let (swept, ()) = tokio::join!(stage.sweep(), adding);
    assert_eq!((swept.campaigns_completed, stage.status(campaign).await.as_str()), (0, "active"));
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    stage.scene.contacts(1).await;
    stage.enroll(&second).await;
    assert_eq!(stage.outcomes(&second).await, json!({}));
    assert_eq!(stage.scene.number("select count(*) from enrollments", &[]).await, 2);
    stage.check("in the end").await;
}

#[tokio::test]
async fn while_people_are_added_mail_goes_on_and_nobody_pauses() {
    let (stage, campaign) = running(2).await;
    let late = stage.scene.contacts(1).await;
    let job = stage.ask(campaign, json!({"contact_ids": late})).await;
    let tx = stage.tx().await;
    let locked = jobs::lock_for_chunk(&tx, job.id).await.unwrap().unwrap();
    enrolling::run_chunk(&tx, &locked).await.unwrap();
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=2", "claims pass the same gate");
    let pausing = async {
        let other = stage.tx().await;
        shared::outreach::campaigns::pause(&other, campaign).await.unwrap();
        other.commit().await.unwrap();
    };
    let adding = async {
        stage.until_waiting(1).await;
        tx.commit().await.unwrap();
    };
    tokio::join!(pausing, adding);
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=2", "who was added waits");
    stage.check("while it is paused").await;
}

#[tokio::test]
async fn two_jobs_that_add_the_same_people_at_once_enroll_each_of_them_once() {
    let (stage, campaign) = running(1).await;
    stage.scene.contacts(500).await;
    let (one, other) =
        (stage.ask(campaign, json!({"everybody": true})).await, stage.ask(campaign, json!({"everybody": true})).await);
    tokio::join!(stage.enroll(&one), stage.enroll(&other));
    let (one, other) = (stage.outcomes(&one).await, stage.outcomes(&other).await);
    let sum = |name: &str| one[name].as_i64().unwrap_or_default() + other[name].as_i64().unwrap_or_default();
    assert_eq!((sum("enrolled"), sum("already")), (500, 502), "{one} {other}");
    assert_eq!(stage.scene.number("select count(*) from enrollments", &[]).await, 501);
    stage.check("in the end").await;
}
