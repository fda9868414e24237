//! What may be asked for with an import: contacts that keep what they have, columns that go nowhere, tags.

use serde_json::json;
use shared::audience::imports::{self, Existing, Foreseen, NewImport, Unmapped};
use shared::{Error, TagId};

use crate::desk::{AT_ONCE, Desk, ROW_BY_ROW, counts, plain};

const FILE: &[u8] = b"email,company,city\nold@people.test,New,Rome\nnew@people.test,,\nNEW@people.test,Later,Oslo\n\
    old@people.test,Again,Bonn\nnobody,,\n";

/// Somebody who was there before.
async fn old(desk: &Desk) {
    let sql = "insert into contacts (organization_id, id, email, first_name) values ($1, gen_random_uuid(), 'old@people.test', 'Old')";
    desk.scene.run(sql, &[&desk.scene.organization]).await;
}

async fn tag(desk: &Desk, name: &str) -> TagId {
    let id = TagId::fresh();
    let sql = "insert into tags (organization_id, id, name) values ($1, $2, $3)";
    desk.scene.run(sql, &[&desk.scene.organization, &id, &name]).await;
    id
}

async fn outcomes(desk: &Desk, new: NewImport) -> Vec<Option<Foreseen>> {
    let organization = desk.scene.organization;
    let id = desk.upload(organization, new, FILE).await;
    let tx = desk.db.begin(organization).await.unwrap();
    let preview = imports::preview(&desk.scene.db.app(), desk.scene.organization, &*desk.store, id).await.unwrap();
    tx.commit().await.unwrap();
    preview.rows.into_iter().map(|row| row.outcome).collect()
}

#[tokio::test]
async fn contacts_that_are_there_keep_what_they_have_where_that_is_asked_for() {
    for pace in [AT_ONCE, ROW_BY_ROW] {
        let desk = Desk::new().await;
        let organization = desk.scene.organization;
        old(&desk).await;
        let list = desk.list(organization).await;
        let skip = NewImport { existing: Existing::Skip, list_id: Some(list), ..plain() };
        use Foreseen::{Create, Fail, Unchanged, Update};
        let foreseen = [Some(Unchanged), Some(Create), Some(Update), Some(Unchanged), Some(Fail)];
        assert_eq!(outcomes(&desk, skip.clone()).await, foreseen);
        let done = desk.import(organization, skip, FILE, pace).await;
        assert_eq!(counts(&done), [5, 1, 1, 2, 1], "{pace:?}");
        assert_eq!(done.existing, "skip");
        let contacts = desk.contacts(organization, None).await;
        assert_eq!(contacts[0]["company"], "Later", "whom this file made is filled by its further rows");
        assert_eq!((&contacts[1]["company"], &contacts[1]["raw"]), (&json!(null), &json!(null)));
        assert_eq!(contacts[1]["lists"], 1, "who keeps what they have is put on the list");

        assert_eq!(
            outcomes(&desk, plain()).await,
            [Some(Update), Some(Unchanged), Some(Unchanged), Some(Unchanged), Some(Fail)],
            "the raw row of the first is new"
        );
        let done = desk.import(organization, plain(), FILE, pace).await;
        assert_eq!(counts(&done), [5, 0, 1, 3, 1]);
    }
}

#[tokio::test]
async fn columns_that_nobody_knows_may_be_left_out() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let ignore = NewImport { unmapped: Unmapped::Ignore, ..plain() };
    let done = desk.import(organization, ignore, FILE, AT_ONCE).await;
    assert_eq!(done.column_mapping, Some(json!({"email": "email", "company": "company", "city": null})));
    let contacts = desk.contacts(organization, None).await;
    assert_eq!((&contacts[1]["custom"], &contacts[1]["raw"]["city"]), (&json!({}), &json!("Rome")));
}

#[tokio::test]
async fn everybody_gets_the_tags_and_the_same_file_again_changes_nothing() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    old(&desk).await;
    let tags = vec![tag(&desk, "Fair").await, tag(&desk, "2026").await];
    let tagged = async || desk.scene.number("select count(*) from contact_tags", &[]).await;
    let with = |tag_ids: &[TagId]| NewImport { tag_ids: tag_ids.to_vec(), ..plain() };
    let done = desk.import(organization, with(&tags[..1]), FILE, ROW_BY_ROW).await;
    assert_eq!((counts(&done), tagged().await, done.tag_ids), ([5, 1, 2, 1, 1], 2, tags[..1].to_vec()));
    let again = desk.import(organization, with(&[tags[1], tags[0], tags[1]]), FILE, AT_ONCE).await;
    assert_eq!((counts(&again), tagged().await), ([5, 0, 0, 4, 1], 4));
    let again = desk.import(organization, with(&tags), FILE, AT_ONCE).await;
    assert_eq!((counts(&again), tagged().await), ([5, 0, 0, 4, 1], 4));

    let (other, _) = desk.scene.another_organization("other").await;
    let tx = desk.db.begin(other).await.unwrap();
    let refused = imports::create(&tx, &*desk.store, with(&tags)).await;
    assert!(matches!(refused, Err(Error::Invalid(errors)) if errors[0].field == "tag_ids"), "another's tags");
}
