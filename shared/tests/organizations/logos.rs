use shared::Error;
use shared::platform::organizations::{self, logos};
use testkit::FakeObjectStore;

use crate::people::{People, conflict, invalid};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

fn upload(store: &FakeObjectStore, upload: &logos::Upload, bytes: impl Into<Vec<u8>>) {
    let key = upload.put.url.split("example.test/").nth(1).unwrap().split('?').next().unwrap();
    store.upload(key, bytes);
}

#[tokio::test]
async fn a_logo_is_uploaded_checked_served_replaced_and_removed() {
    let (people, store) = (People::new().await, FakeObjectStore::default());
    let organization = people.scene.organization;
    let db = people.scene.db.app();
    let tx = people.tx().await;
    let first = logos::begin(&tx, &store, organization, 100).await.unwrap();
    assert_eq!(conflict(logos::take(&tx, &store, organization, first.id).await), "file_missing");
    upload(&store, &first, PNG);
    let (taken, before) = logos::take(&tx, &store, organization, first.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(before, None);
    let path = taken.branding.logo_path.unwrap();
    let name = path.strip_prefix(&format!("/logos/{organization}/")).unwrap().to_owned();
    let (format, bytes) = logos::read(&db, &store, organization, &name).await.unwrap();
    assert_eq!((format.media_type(), bytes.as_slice()), ("image/png", PNG));

    // What is not the present logo of an active organization is not there.
    for other in ["", "logo.png", &name.replace(".png", ".jpg"), &format!("{name}x"), "../../uploads/1"] {
        assert!(matches!(logos::read(&db, &store, organization, other).await, Err(Error::NotFound("logo"))), "{other}");
    }
    let (another, _) = people.scene.another_organization("other").await;
    assert!(matches!(logos::read(&db, &store, another, &name).await, Err(Error::NotFound("logo"))));

    let tx = people.tx().await;
    let second = logos::begin(&tx, &store, organization, 100).await.unwrap();
    upload(&store, &second, [0xff, 0xd8, 0xff, 0xe0]);
    let (taken, before) = logos::take(&tx, &store, organization, second.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(before.as_deref(), Some(name.as_str()));
    assert!(taken.branding.logo_path.unwrap().ends_with(".jpg"));
    logos::forget(&store, organization, &name).await.unwrap();
    assert_eq!(store.object(&format!("logos/{organization}/{name}")), None);
    assert!(matches!(logos::read(&db, &store, organization, &name).await, Err(Error::NotFound("logo"))));

    let tx = people.tx().await;
    let (without, before) = logos::remove(&tx, organization).await.unwrap();
    assert_eq!((without.branding.logo_path, before.is_some()), (None, true));
    assert_eq!(logos::remove(&tx, organization).await.unwrap().1, None);
}

#[tokio::test]
async fn what_is_no_image_or_too_large_never_becomes_a_logo() {
    let (people, store) = (People::new().await, FakeObjectStore::default());
    let organization = people.scene.organization;
    let tx = people.tx().await;
    let place = logos::begin(&tx, &store, organization, 100).await.unwrap();
    for bytes in [&b""[..], b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>", b"GIF89a", b"<html>"] {
        upload(&store, &place, bytes);
        let refused = logos::take(&tx, &store, organization, place.id).await;
        assert_eq!(invalid(refused), ["upload_id unknown_format"]);
    }
    let mut large = PNG.to_vec();
    large.resize(usize::try_from(logos::BYTES_MAXIMUM).unwrap(), 0);
    upload(&store, &place, large.clone());
    logos::take(&tx, &store, organization, place.id).await.unwrap();
    large.push(0);
    upload(&store, &place, large);
    assert_eq!(invalid(logos::take(&tx, &store, organization, place.id).await), ["upload_id too_large"]);

    // An upload of another organization is none of this one.
    let (another, _) = people.scene.another_organization("other").await;
    let theirs = people.scene.db.app().begin(another).await.unwrap();
    let missing = logos::take(&theirs, &store, another, place.id).await;
    assert_eq!(conflict(missing), "file_missing");
    let foreign = logos::begin(&theirs, &store, organization, 100).await;
    assert!(matches!(foreign.map(|_| ()), Err(Error::NotFound("organization"))));
    assert!(organizations::current(&theirs).await.unwrap().branding.logo_path.is_none());
}
