//! Domains, and addresses for the campaigns of one list, are not written to; everybody else is.

use chrono::Duration;
use shared::ListId;
use shared::audience::suppressions::{self, Confirmation, NewSuppression};
use shared::outreach::enrollments::why;
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

/// Three people in a campaign: at `people.test`, at `blocked.test` and at `mail.blocked.test`.
async fn planned(stage: &Stage) {
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(3, &[sender], 1, 1_000).await;
    for (person, domain) in [("person2", "blocked.test"), ("person3", "mail.blocked.test")] {
        let sql = "update contacts set email = $1 || '@' || $2 where email = $1 || '@people.test'";
        stage.scene.run(sql, &[&person, &domain]).await;
    }
}

async fn suppress(stage: &Stage, given: NewSuppression) -> shared::SuppressionId {
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    let (suppression, is_new) = suppressions::create(&tx, given).await.unwrap();
    assert!(is_new);
    tx.commit().await.unwrap();
    suppression.id
}

/// Everybody's first mail, as far as it goes out.
async fn send(stage: &Stage) -> Vec<String> {
    for minutes in [0, 5, 10] {
        stage.scene.db.set_clock(wednesday_morning() + Duration::minutes(minutes)).await;
        stage.tick().await;
        stage.deliver(&stage.queue.drain()).await;
    }
    stage.check("at the end").await;
    let mut accepted = stage.mailer.accepted();
    accepted.sort();
    accepted
}

#[tokio::test]
async fn nobody_at_a_suppressed_domain_is_written_to_but_those_at_domains_below_it_are() {
    let stage = Stage::new().await;
    planned(&stage).await;
    let domain = Some("@Blocked.test".to_owned());
    let id = suppress(&stage, NewSuppression { domain, ..NewSuppression::default() }).await;
    let contact = stage.scene.rows("select id from contacts where email = 'person2@blocked.test'", &[]).await[0].get(0);
    let (db, keys) = (stage.scene.db.app(), &stage.letterhead.keys);
    let tx = db.begin(stage.scene.organization).await.unwrap();
    let told = serde_json::to_string(&why::of_contact(&tx, keys, contact).await.unwrap()).unwrap();
    assert!(told.contains("suppressed"), "{told}");
    assert!(suppressions::forget(&tx, keys, id).await.is_err(), "a domain is nobody's address");
    tx.commit().await.unwrap();
    assert_eq!(send(&stage).await, ["person1@people.test", "person3@mail.blocked.test"]);
    assert_eq!(stage.scene.states().await, "sent=2 suppressed=1");
    let tx = db.begin(stage.scene.organization).await.unwrap();
    suppressions::lift(&tx, keys, id, Confirmation::Missing).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_suppression_for_a_list_stops_its_campaigns_and_no_others() {
    let stage = Stage::new().await;
    planned(&stage).await;
    let list: ListId = stage.scene.rows("select list_id from campaigns", &[]).await[0].get(0);
    let sql = "insert into lists (organization_id, id, name) values ($1, gen_random_uuid(), 'Another') returning id";
    let another: ListId = stage.scene.rows(sql, &[&stage.scene.organization]).await[0].get(0);
    for (email, list) in [("person1@people.test", another), ("person2@blocked.test", list)] {
        let (email, list_id) = (Some(email.to_owned()), Some(list));
        suppress(&stage, NewSuppression { email, list_id, ..NewSuppression::default() }).await;
    }
    for (domain, list) in [("people.test", another), ("mail.blocked.test", list)] {
        let (domain, list_id) = (Some(domain.to_owned()), Some(list));
        suppress(&stage, NewSuppression { domain, list_id, ..NewSuppression::default() }).await;
    }
    assert_eq!(send(&stage).await, ["person1@people.test"]);
    let statuses = "select string_agg(distinct status, ' ') from contacts where email not like 'person1@%'";
    assert_eq!(
        stage.scene.rows(statuses, &[]).await[0].get::<_, String>(0),
        "active",
        "other campaigns may write to them"
    );
    // What is about a list goes with it.
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    shared::audience::lists::delete(&tx, another).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 2);
}
