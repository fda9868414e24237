//! Whoever stops somebody while their mail is being claimed: after the stop has committed, nothing leaves.

use futures_util::future::{BoxFuture, join_all};
use shared::audience::suppressions::{self, Confirmation, Lines, NewSuppression, Reason};
use shared::delivery::domains::{self, Dkim, DomainName, Identities, Identity, MailFrom, Status, records};
use shared::delivery::feedback::EventKind;
use shared::delivery::gates::{self, Gate};
use shared::delivery::messages::MessageKey;
use shared::delivery::senders;
use shared::delivery::stopping::{self, Stop};
use shared::delivery::tracking;
use shared::delivery::unsubscribing::{self, Wish};
use shared::outreach::campaigns;
use shared::outreach::statistics::folding;
use shared::{CampaignId, ContactId, EnrollmentId, OrganizationId, Result, SenderId};
use tokio::time::Instant;

use crate::stage::{Stage, mail_program};

/// A message that is planned, and whose it is.
struct Planned {
    stage: Stage,
    message: MessageKey,
    campaign: CampaignId,
    sender: SenderId,
    contact: ContactId,
    enrollment: EnrollmentId,
}

async fn planned() -> Planned {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(1, &[sender], 2, 1_000).await;
    stage.tick().await;
    stage.queue.drain();
    let message = stage.messages().await[0];
    let enrollment = stage.scene.rows("select id from enrollments", &[]).await[0].get(0);
    Planned { stage, message, campaign: campaign.campaign, sender, contact: campaign.contacts[0], enrollment }
}

/// Delivers while the stop has done its work but not committed, commits, and expects that nothing has left.
macro_rules! nothing_leaves_after {
    ($name:ident, $states:expr, |$planned:ident, $tx:ident| $stop:expr) => {
        #[tokio::test]
        async fn $name() {
            let $planned = planned().await;
            let $tx = $planned.stage.scene.db.app().begin($planned.stage.scene.organization).await.unwrap();
            $stop;
            let deliver = $planned.stage.deliver(std::slice::from_ref(&$planned.message));
            let commit = async {
                // Deliver has asked before the commit and checks after it.
                $planned.stage.until_waiting(1).await;
                $tx.commit().await.unwrap();
            };
            tokio::join!(deliver, commit);
            assert!($planned.stage.mailer.handed().is_empty(), "a mail has left after the stop");
            assert_eq!($planned.stage.scene.states().await, $states);
            assert_eq!($planned.stage.slots_used("sender").await, 0);
            assert_eq!($planned.stage.slots_used("campaign").await, 0);
            $planned.stage.check("at the end").await;
        }
    };
}

nothing_leaves_after!(nothing_leaves_after_an_unsubscription, "cancelled=1", |planned, tx| {
    unsubscribing::unsubscribe(&tx, planned.message.id, &Wish::default(), &mail_program()).await.unwrap();
});

nothing_leaves_after!(nothing_leaves_after_a_suppression, "suppressed=1", |planned, tx| {
    // Only the address is suppressed: the claim must see it by itself.
    tx.query("select from contacts where id = $1 for update", &[&planned.contact]).await.unwrap();
    let organization = planned.message.organization;
    suppressions::add(&tx, organization, "person1@people.test", None, Reason::Manual, None).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_a_suppression_for_the_campaign, "suppressed=1", |planned, tx| {
    tx.query("select from contacts where id = $1 for update", &[&planned.contact]).await.unwrap();
    let (organization, campaign) = (planned.message.organization, Some(planned.campaign));
    suppressions::add(&tx, organization, "person1@people.test", campaign, Reason::Manual, None).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_a_suppression_by_the_api, "cancelled=1", |planned, tx| {
    suppressions::create(&tx, suppression(None)).await.unwrap();
});

nothing_leaves_after!(nothing_leaves_after_a_suppression_for_the_campaign_by_the_api, "cancelled=1", |planned, tx| {
    suppressions::create(&tx, suppression(Some(planned.campaign))).await.unwrap();
});

nothing_leaves_after!(nothing_leaves_after_an_import_of_suppressions, "cancelled=1", |planned, tx| {
    let lines = Lines::from_csv(b"email\nsomebody@people.test\nperson1@people.test\n").unwrap();
    suppressions::import(&tx, &planned.stage.letterhead.keys, lines).await.unwrap();
});

nothing_leaves_after!(nothing_leaves_after_an_import_of_a_forgotten_address, "suppressed=1", |planned, tx| {
    // Whose it is, the import can't tell: the claim waits at the gate and recognizes it.
    let keys = &planned.stage.letterhead.keys;
    let hash = keys.address_hash(planned.message.organization.0, "person1@people.test").unwrap();
    let lines = Lines::from_csv(format!("email_hash\n{hash}\n").as_bytes()).unwrap();
    assert_eq!(suppressions::import(&tx, keys, lines).await.unwrap().added, 1);
});

nothing_leaves_after!(nothing_leaves_after_a_suppression_of_the_recipient_s_domain, "suppressed=1", |planned, tx| {
    let domain = Some("people.test".to_owned());
    suppressions::create(&tx, NewSuppression { domain, ..NewSuppression::default() }).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_a_suppression_for_the_campaign_s_list, "cancelled=1", |planned, tx| {
    let list_id = tx.query_one("select list_id from campaigns", &[]).await.unwrap().get(0);
    suppressions::create(&tx, NewSuppression { list_id, ..suppression(None) }).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_the_domain_is_not_verified_any_more, "scheduled=1", |planned, tx| {
    let owner = planned.message.organization;
    domains::verify(&tx, &Lost { owner }, planned.stage.scene.domain).await.unwrap();
});

fn suppression(campaign_id: Option<CampaignId>) -> NewSuppression {
    NewSuppression {
        email: Some("Person1@People.test".to_owned()),
        campaign_id,
        reason: Reason::Manual,
        ..NewSuppression::default()
    }
}

/// A provider that does not find a domain's records any more.
struct Lost {
    owner: OrganizationId,
}

impl Identities for Lost {
    fn create<'a>(&'a self, domain: &'a DomainName, _owner: OrganizationId) -> BoxFuture<'a, Result<Identity>> {
        Box::pin(async move { Ok(self.find(domain).await?.unwrap()) })
    }

    fn find<'a>(&'a self, _domain: &'a DomainName) -> BoxFuture<'a, Result<Option<Identity>>> {
        let dkim = Dkim { tokens: Vec::new(), zone: String::new(), state: records::State::Failed };
        let identity = Identity { owner: Some(self.owner), status: Status::Failed, dkim, mail_from: None };
        Box::pin(async move { Ok(Some(identity)) })
    }

    fn set_mail_from<'a>(&'a self, _domain: &'a DomainName, _name: &'a str) -> BoxFuture<'a, Result<Option<MailFrom>>> {
        Box::pin(async { Ok(None) })
    }
}

nothing_leaves_after!(nothing_leaves_after_a_reply, "cancelled=1", |planned, tx| {
    tx.query("select from contacts where id = $1 for update", &[&planned.contact]).await.unwrap();
    stopping::stop_enrollment(&tx, planned.message.organization, planned.enrollment, Stop::Replied).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_a_pause, "scheduled=1", |planned, tx| {
    campaigns::pause(&tx, planned.campaign).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_an_archive, "cancelled=1", |planned, tx| {
    campaigns::archive(&tx, planned.campaign).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_a_pause_of_the_sender, "scheduled=1", |planned, tx| {
    senders::pause(&tx, planned.sender, None).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_a_change_of_the_address, "scheduled=1", |planned, tx| {
    tx.query("update contacts set email = 'new@people.test' where id = $1", &[&planned.contact]).await.unwrap()
});

nothing_leaves_after!(nothing_leaves_after_the_deletion_of_the_contact, "cancelled=1", |planned, tx| {
    shared::audience::contacts::delete(&tx, planned.contact, None).await.unwrap();
});

nothing_leaves_after!(nothing_leaves_after_the_erasure_of_the_person, "cancelled=1", |planned, tx| {
    shared::audience::personal_data::erase(&tx, &planned.stage.letterhead.keys, planned.contact).await.unwrap();
});

#[tokio::test]
async fn a_claim_that_has_begun_is_waited_for() {
    let planned = planned().await;
    let Planned { stage, message, campaign, .. } = &planned;
    let claim = stage.scene.db.as_role("martlet_sender").begin_for(&[message.organization]).await.unwrap();
    gates::pass(&claim, &[Gate::Campaign(*campaign)]).await.unwrap();
    let pause = async {
        let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
        campaigns::pause(&tx, *campaign).await.unwrap();
        tx.commit().await.unwrap();
    };
    let end = async {
        stage.until_waiting(1).await;
        let active = "select count(*) from campaigns where status = 'active'";
        assert_eq!(stage.scene.number(active, &[]).await, 1);
        claim.commit().await.unwrap();
    };
    tokio::join!(pause, end);
    stage.deliver(&[*message]).await;
    assert!(stage.mailer.handed().is_empty());
}

#[tokio::test]
async fn a_report_and_an_unsubscription_of_the_same_mail_do_not_wait_in_a_circle() {
    let planned = planned().await;
    let Planned { stage, message, .. } = &planned;
    stage.deliver(&[*message]).await;
    // The report has the enrollment and is about to take the message.
    let report = stage.scene.db.as_role("martlet_feedback").begin_for(&[message.organization]).await.unwrap();
    report.query("select from enrollments for update", &[]).await.unwrap();
    let take = async {
        stage.until_waiting(1).await;
        report.query("select from messages where id = $1 for update", &[&message.id]).await.unwrap();
        report.commit().await.unwrap();
    };
    tokio::join!(stage.unsubscribe(*message), take);
    stage.check("at the end").await;
}

#[tokio::test]
async fn everything_at_once_ends_without_a_deadlock() {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 1_000, 0).await, stage.scene.sender(2, 1_000, 0).await];
    stage.scene.running_campaign(60, &senders, 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    let hints = stage.queue.drain();
    stage.deliver(&hints[..30]).await;
    let messages = hints;
    let db = stage.scene.db.app();
    let claims = join_all((0..3).map(|n| {
        let (stage, messages) = (&stage, &messages);
        async move {
            for hints in messages[30..].chunks(7 + n) {
                stage.deliver(hints).await;
            }
        }
    }));
    let reports = join_all((0..3).map(|n| {
        let (stage, messages) = (&stage, &messages);
        async move {
            for batch in messages[..30].chunks(5 + n) {
                let mut events = Vec::new();
                for (i, message) in batch.iter().enumerate() {
                    let kind = if i % 3 == 0 { EventKind::Bounced } else { EventKind::Delivered };
                    events.push(stage.event(*message, kind).await);
                }
                stage.apply(&events).await;
            }
        }
    }));
    let replies = async {
        for (n, message) in messages[..30].iter().step_by(4).enumerate() {
            stage.receive(*message, &format!("{n}@people.test"), "").await;
        }
    };
    let unsubscriptions = async {
        for message in messages.iter().step_by(5) {
            stage.unsubscribe(*message).await;
        }
    };
    let schedulers = async {
        for _ in 0..4 {
            stage.tick().await;
            stage.sweep().await;
        }
    };
    let suppressions = async {
        let keys = &stage.letterhead.keys;
        for (n, message) in messages.iter().enumerate().step_by(4) {
            let email = stage.message(*message, "recipient").await.unwrap();
            let given = NewSuppression { email: Some(email), reason: Reason::Manual, ..NewSuppression::default() };
            let tx = db.begin(message.organization).await.unwrap();
            let (suppression, _) = suppressions::create(&tx, given).await.unwrap();
            tx.commit().await.unwrap();
            let tx = db.begin(message.organization).await.unwrap();
            if n % 3 == 0 {
                suppressions::lift(&tx, keys, suppression.id, Confirmation::Given).await.unwrap();
            } else {
                suppressions::forget(&tx, keys, suppression.id).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
    };
    let visits = async {
        for message in messages.iter().step_by(2) {
            tracking::open(&db, *message, &mail_program()).await.unwrap();
        }
    };
    let maintenance = async {
        let db = stage.scene.db.as_role("martlet_maintenance");
        for _ in 0..4 {
            let far = Instant::now() + std::time::Duration::from_secs(3_600);
            assert!(folding::fold(&db, far).await.unwrap().is_finished);
        }
    };
    tokio::join!(claims, reports, replies, unsubscriptions, schedulers, suppressions, visits, maintenance);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(stage.scene.number(deadlocks, &[]).await, 0);
    stage.check("at the end").await;
}
