//! What people did follows the mails that they did it with.

use shared::audience::segments::{self, selecting};
use shared::{ContactId, MessageId};
use testkit::Scene;

async fn who(scene: &Scene, text: &str) -> Vec<ContactId> {
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let tree = segments::read_text("filter", text).unwrap();
    let question = segments::resolve(&tx, "filter", &tree).await.unwrap();
    selecting::page(&tx, &question, None, 10).await.unwrap().iter().map(|contact| contact.id).collect()
}

#[tokio::test]
async fn they_go_with_a_mail_to_another_contact_and_come_back_with_it() {
    let scene = Scene::new().await;
    let people = scene.contacts(2).await;
    let message = MessageId::fresh();
    scene
        .run(
            "insert into messages (organization_id, id, kind, dedupe_key, contact_id, recipient, send_at, expires_at)
             values ($1, $2, 'direct', 'a', $3, 'person1@people.test', now(), now())",
            &[&scene.organization, &message, &people[0]],
        )
        .await;
    scene
        .run(
            "insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, is_machine)
             select $1, gen_random_uuid(), $2, kind, kind || is_machine, clock_now(), is_machine
               from (values ('opened', true), ('opened', false), ('clicked', true), ('delivered', false),
                            ('auto_replied', false)) as e (kind, is_machine)",
            &[&scene.organization, &message],
        )
        .await;
    assert_eq!(scene.number("select count(*) from engagements", &[]).await, 1, "no machine is anybody");
    assert_eq!(who(&scene, "opened(1d)").await, [people[0]]);
    assert_eq!(who(&scene, "clicked() or replied()").await, []);
    let give = "update messages set contact_id = $2 where id = $1";
    scene.run(give, &[&message, &people[1]]).await;
    assert_eq!(who(&scene, "opened(1d)").await, [people[1]]);
    // Whose contact is deleted keeps the mail in the ledger, and nobody has done anything with it until they come back.
    scene.run("delete from contacts where id = $1", &[&people[1]]).await;
    assert_eq!(scene.number("select count(*) from engagements", &[]).await, 0);
    scene.run(give, &[&message, &people[0]]).await;
    assert_eq!(who(&scene, "opened()").await, [people[0]]);
    assert_eq!(who(&scene, "not opened()").await, []);
}
