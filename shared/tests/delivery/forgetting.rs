//! An address that is suppressed and forgotten is never written to, whatever is imported again.

use shared::SuppressionId;
use shared::audience::suppressions::{self, Confirmation, Filter, NewSuppression, Reason};

use crate::stage::Stage;

/// Suppresses an address in the whole organization and forgets it.
async fn forget(stage: &Stage, email: &str) -> SuppressionId {
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    let given =
        NewSuppression { email: Some(email.to_owned()), reason: Reason::Unsubscribe, ..NewSuppression::default() };
    let (suppression, _) = suppressions::create(&tx, given).await.unwrap();
    let forgotten = suppressions::forget(&tx, &stage.letterhead.keys, suppression.id).await.unwrap();
    assert_eq!(forgotten.email, None);
    tx.commit().await.unwrap();
    forgotten.id
}

#[tokio::test]
async fn a_forgotten_address_that_is_enrolled_again_gets_no_mail() {
    let stage = Stage::new().await;
    forget(&stage, "Person1@people.test").await;
    let known = "select count(*) from suppressions where email_lower is not null or note is not null";
    assert_eq!(stage.scene.number(known, &[]).await, 0);
    // Contacts that come in afterwards: nobody can tell from the list that one of them must not be written to.
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.tick().await;
    stage.deliver(&stage.queue.drain()).await;
    stage.scene.db.set_clock("2026-03-04T10:05:00Z".parse().unwrap()).await;
    stage.tick().await;
    stage.deliver(&stage.queue.drain()).await;
    assert_eq!(stage.scene.states().await, "sent=1 suppressed=1");
    assert_eq!(stage.mailer.accepted(), ["person2@people.test"]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_complaint_that_is_forgotten_after_something_lighter_still_takes_a_second_word() {
    let stage = Stage::new().await;
    forget(&stage, "ada@people.test").await;
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    let email = "ada@people.test".to_owned();
    let given = NewSuppression { email: Some(email), reason: Reason::Complaint, ..NewSuppression::default() };
    let (complaint, _) = suppressions::create(&tx, given).await.unwrap();
    let keys = &stage.letterhead.keys;
    let forgotten = suppressions::forget(&tx, keys, complaint.id).await.unwrap();
    assert_eq!((forgotten.email, forgotten.reason), (None, Reason::Complaint));
    assert!(suppressions::lift(&tx, keys, forgotten.id, Confirmation::Missing).await.is_err());
    tx.commit().await.unwrap();
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 1);
    // And the lighter one after it changes nothing.
    assert_eq!(forget(&stage, "ada@people.test").await, forgotten.id);
}

#[tokio::test]
async fn forgetting_twice_leaves_one_row_and_the_address_finds_it() {
    let stage = Stage::new().await;
    let first = forget(&stage, "ada@people.test").await;
    assert_eq!(forget(&stage, "ada@people.test").await, first);
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    let keys = &stage.letterhead.keys;
    let filter = Filter { email: Some("ADA@people.test".to_owned()), ..Filter::default() };
    let found = suppressions::list(&tx, keys, &filter, None, 10).await.unwrap();
    assert_eq!(found.iter().map(|suppression| suppression.id).collect::<Vec<_>>(), [first]);
    suppressions::lift(&tx, keys, first, Confirmation::Missing).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 0);
}
