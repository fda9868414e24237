//! The accounting of a campaign, kept as it was when everybody had come to an end.

use shared::delivery::feedback::EventKind;
use shared::delivery::gates::{self, Gate};
use shared::delivery::sending::Answer;
use shared::outreach::{campaigns, reports};
use shared::{CampaignId, Error};
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

/// A campaign of one step to `people`, whose mails are in the queue.
async fn planned(people: usize) -> (Stage, CampaignId) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(people, &[sender], 1, 1_000).await.campaign;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    (stage, campaign)
}

/// The report as the API shows it, or the code of the conflict.
async fn report(stage: &Stage, campaign: CampaignId) -> Result<serde_json::Value, &'static str> {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let found = reports::find(&tx, campaign).await;
    tx.commit().await.unwrap();
    match found {
        Ok(report) => Ok(serde_json::to_value(report).unwrap()),
        Err(Error::Conflict { code, .. }) => Err(code),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_report_is_kept_at_completion_and_nothing_changes_it() {
    let (stage, campaign) = planned(3).await;
    let refused =
        Answer::Refused { code: "MessageRejected".to_owned(), detail: String::new(), address_at_fault: false };
    stage.mailer.answer_next([refused]);
    stage.deliver_queued().await;
    assert_eq!(report(&stage, campaign).await, Err("not_completed"));
    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    let kept = report(&stage, campaign).await.unwrap();
    assert_eq!((&kept["people"], &kept["balanced"]), (&3.into(), &true.into()));
    let step = &kept["steps"][0];
    assert_eq!(
        (&step["enrolled"], &step["sent"], &step["failed"], &step["pending"]),
        (&3.into(), &2.into(), &1.into(), &0.into())
    );
    assert_eq!((&step["delivered"], &step["bounced"]), (&0.into(), &0.into()));
    let completed_at = shared::timestamps::text(wednesday_morning());
    assert_eq!(kept["completed_at"], completed_at);

    for message in stage.messages().await {
        let event = stage.event(message, EventKind::Bounced).await;
        stage.apply(&[event]).await;
    }
    assert_eq!(stage.sweep().await.campaigns_completed, 0);
    assert_eq!(report(&stage, campaign).await.unwrap(), kept);
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    campaigns::archive(&tx, campaign).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(report(&stage, campaign).await.unwrap(), kept);
}

#[tokio::test]
async fn a_report_that_misses_a_message_says_so() {
    let (stage, campaign) = planned(2).await;
    stage.deliver_queued().await;
    // A message without its person.
    stage.scene.run("delete from messages where id = (select id from messages order by id limit 1)", &[]).await;
    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    let kept = report(&stage, campaign).await.unwrap();
    assert_eq!((&kept["balanced"], &kept["totals"]["not_reached"]["skipped"]), (&false.into(), &1.into()));
    let unbalanced = "select count(*) from campaign_reports where campaign_id = $1 and not balanced";
    assert_eq!(stage.scene.number(unbalanced, &[&campaign]).await, 1);
}

#[tokio::test]
async fn a_campaign_that_somebody_pauses_at_its_end_is_not_completed() {
    let (stage, campaign) = planned(1).await;
    stage.deliver_queued().await;
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    gates::close(&tx, &[Gate::Campaign(campaign)]).await.unwrap();
    let person = async {
        stage.until_waiting(1).await;
        campaigns::pause(&tx, campaign).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (swept, ()) = tokio::join!(stage.sweep(), person);
    assert_eq!((swept.campaigns_completed, report(&stage, campaign).await), (0, Err("not_completed")));
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    campaigns::resume(&tx, campaign).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stage.sweep().await.campaigns_completed, 1);
    assert!(report(&stage, campaign).await.is_ok());
}

#[tokio::test]
async fn two_sweepers_keep_one_report() {
    let (stage, campaign) = planned(1).await;
    stage.deliver_queued().await;
    let (one, two) = tokio::join!(stage.sweep(), stage.sweep());
    assert_eq!(one.campaigns_completed + two.campaigns_completed, 1);
    assert!(report(&stage, campaign).await.is_ok());
}
