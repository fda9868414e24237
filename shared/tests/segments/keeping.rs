//! Segments as the organization keeps them.

use serde_json::json;
use shared::audience::segments::{self, SegmentFields};
use shared::audience::selection::{Bounds, Selection};
use shared::{ContactId, Error};
use testkit::Scene;

fn fields(value: serde_json::Value) -> SegmentFields {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn a_segment_whose_tag_is_gone_is_told_and_means_nobody() {
    let scene = Scene::new().await;
    scene.contacts(3).await;
    scene
        .run(
            "insert into tags (organization_id, id, name) values ($1, gen_random_uuid(), 'VIP')",
            &[&scene.organization],
        )
        .await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let segment = segments::create(&tx, fields(json!({"name": "Others", "text": "not tag = \"vip\""}))).await.unwrap();
    assert_eq!(segments::count(&tx, segment.id).await.unwrap().count, 3);
    let selection = Selection::SegmentId(segment.id);
    let bounds = Bounds::until_now();
    assert_eq!(selection.count(&tx, bounds).await.unwrap(), 3);
    tx.commit().await.unwrap();
    scene.run("delete from tags", &[]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let broken = [
        segments::count(&tx, segment.id).await.map(drop),
        segments::preview(&tx, segment.id).await.map(drop),
        selection.check(&tx).await,
        selection.read(&tx, bounds, 10).await.map(drop),
    ];
    for answer in broken {
        assert!(matches!(answer, Err(Error::Conflict { code: "segment_broken", .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_selection_by_conditions_is_read_in_chunks_and_does_not_run_away() {
    let scene = Scene::new().await;
    let people = scene.contacts(9).await;
    scene.run("update contacts set company = 'Acme' where id = any ($1)", &[&people[2..7].to_vec()]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let selection = Selection::Filter("company = \"acme\"".to_owned());
    selection.check(&tx).await.unwrap();
    let mut bounds = Bounds { after: None, up_to: people[5] };
    assert_eq!(selection.count(&tx, bounds).await.unwrap(), 4);
    let mut read: Vec<ContactId> = Vec::new();
    loop {
        let chunk = selection.read(&tx, bounds, 3).await.unwrap();
        let Some(last) = chunk.last() else { break };
        bounds.after = Some(*last);
        read.extend(chunk);
    }
    assert_eq!(read, people[2..6]);
    let wrong = Selection::Filter("company = ".to_owned()).check(&tx).await;
    assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
}
