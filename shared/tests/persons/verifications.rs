use serde_json::json;
use shared::audience::enrichment::RunStatus;
use shared::audience::verifications::checking::MailHost;
use shared::audience::verifications::jobs;
use shared::audience::verifications::lists::{self, AddressList, Mode};
use shared::audience::{personal_data, suppressions};

use crate::desk::Desk;

/// The setting of a provider of mailboxes.
fn provider() -> serde_json::Value {
    json!({"name": "acme", "url": "https://api.acme.test/check?of={email}", "verdict": "/result",
           "passed": ["ok"], "failed": ["gone"]})
}

#[tokio::test]
async fn a_provider_decides_what_nothing_else_has_decided() {
    let desk = Desk::new(6).await;
    desk.set("verification", "provider", provider()).await;
    for (person, answer) in [(1, "ok"), (2, "gone"), (3, "perhaps")] {
        desk.asker.answer(&format!("person{person}%40"), 200, json!({"result": answer}));
    }
    desk.asker.answer("person4%40", 429, json!({}));
    desk.scene.run("update contacts set status = 'bounced' where email like 'person5@%'", &[]).await;
    let tx = desk.tx().await;
    let given = json!({"email": "person6@people.test"});
    let (suppressed, _) = suppressions::create(&tx, serde_json::from_value(given).unwrap()).await.unwrap();
    suppressions::forget(&tx, &desk.keys, suppressed.id).await.unwrap();
    tx.commit().await.unwrap();
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!(
        desk.verified().await,
        [
            "person1@people.test valid -",
            "person2@people.test invalid no_such_mailbox",
            "person3@people.test unverified provider_unsure",
            "person4@people.test unverified provider_busy",
            "person5@people.test invalid hard_bounce",
            // Only its hash is known.
            "person6@people.test invalid suppressed",
        ]
    );
    assert_eq!((job.status, job.valid, job.invalid, job.unverified), (RunStatus::Completed, 1, 3, 2));
    assert_eq!(desk.asker.drain().len(), 4, "nobody is paid to say what is known");
    // What is fresh is not checked again, but for what was to be asked again.
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.skipped, job.unverified), (5, 1));
    assert_eq!(desk.asker.drain().len(), 1);
    let id = desk.verify(true).await;
    assert_eq!(desk.run_verification(id).await.skipped, 0);
}

#[tokio::test]
async fn the_budget_bounds_what_is_asked_and_the_rest_is_pending() {
    let desk = Desk::new(3).await;
    desk.set("verification", "provider", provider()).await;
    desk.set("verification", "cost", 10).await;
    desk.set("verification", "daily_budget", 25).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.valid, job.unverified, desk.asker.drain().len()), (2, 1, 2));
    let pending = "select count(*) from email_verifications where deliverable = 'pending' and reason = 'budget_spent'";
    assert_eq!(desk.scene.number(pending, &[]).await, 1);
}

#[tokio::test]
async fn what_administrators_add_counts_for_everybody() {
    let desk = Desk::new(2).await;
    desk.scene.run("update contacts set email = 'empfang@people.test' where email like 'person1@%'", &[]).await;
    desk.scene.run("update contacts set email = 'ada@a.throwaway.test' where email like 'person2@%'", &[]).await;
    let admin = desk.scene.db.as_role("martlet_admin");
    let tx = admin.begin_for(&[]).await.unwrap();
    let file = "# ours\n\n@Throwaway.test\nnot a domain\n";
    let taken = lists::take(&tx, AddressList::DisposableDomains, Mode::Replace, file).await.unwrap();
    assert_eq!((taken.taken, taken.refused, taken.refused_total, taken.entries), (1, vec![4], 1, 1));
    lists::take(&tx, AddressList::RoleNames, Mode::Add, "Empfang").await.unwrap();
    assert!(
        lists::take(&tx, AddressList::RoleNames, Mode::Replace, "a b\n").await.is_err(),
        "nothing is lost by a wrong file"
    );
    tx.commit().await.unwrap();
    let id = desk.verify(false).await;
    desk.run_verification(id).await;
    let expected = ["ada@a.throwaway.test invalid disposable_domain", "empfang@people.test invalid role_address"];
    assert_eq!(desk.verified().await, expected);
}

#[tokio::test]
async fn of_two_workers_at_a_chunk_one_counts_and_a_cancelled_job_keeps_nothing_more() {
    let desk = Desk::new(2).await;
    desk.hosts.say("people.test", MailHost::Absent);
    let id = desk.verify(false).await;
    let db = desk.scene.db.app();
    let one = jobs::run_chunk(&db, desk.means(), desk.scene.organization, id);
    let other = desk.scene.db.app();
    let other = jobs::run_chunk(&other, desk.means(), desk.scene.organization, id);
    let (one, other) = tokio::join!(one, other);
    one.unwrap();
    other.unwrap();
    let job = desk.run_verification(id).await;
    assert_eq!((job.invalid, job.status), (2, RunStatus::Completed));

    let id = desk.verify(true).await;
    let tx = desk.tx().await;
    jobs::cancel(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let job = desk.run_verification(id).await;
    assert_eq!((job.invalid, job.status), (0, RunStatus::Cancelled));
}

#[tokio::test]
async fn nothing_is_kept_of_whoever_was_erased_while_they_were_asked_about() {
    let desk = Desk::new(1).await;
    let tx = desk.tx().await;
    personal_data::erase(&tx, &desk.keys, desk.contacts[0]).await.unwrap();
    tx.commit().await.unwrap();
    let tx = desk.tx().await;
    let checked = shared::audience::verifications::checking::check_one(&tx, desk.means(), "person1@people.test").await;
    // It is recognized by its hash, and told; and not kept.
    assert_eq!(checked.unwrap().reason.as_deref(), Some("suppressed"));
    tx.commit().await.unwrap();
    assert_eq!(desk.verified().await, [""; 0]);
}
