//! What a contact and a match of an import refer to: looked at once a statement, and as strict as a foreign key.

use shared::error::violated_constraint;
use shared::{Error, OrganizationId};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::everything::Everything;
use crate::until;

/// The constraint that a statement of the owner breaks.
async fn broken(owner: &Client, sql: &str) -> Option<String> {
    let error = owner.batch_execute(sql).await.expect_err(sql);
    assert_eq!(error.code(), Some(&SqlState::FOREIGN_KEY_VIOLATION), "{sql}: {error:?}");
    violated_constraint(&Error::from(error)).map(str::to_owned)
}

#[tokio::test]
async fn no_contact_is_without_its_organization_and_none_names_another_ones_import() {
    let all = Everything::new().await;
    let (first, second, nobody) = (all.first, all.second, OrganizationId::fresh());
    let (import, theirs) = (all.id(first, "import").await, all.id(second, "import").await);
    let contact = |organization: OrganizationId, email: &str, import: Option<Uuid>| {
        let import = import.map_or("null".to_owned(), |import| format!("'{import}'"));
        format!("('{organization}', '{}', '{email}', {import})", shared::ids::fresh())
    };
    let into = "insert into contacts (organization_id, id, email, import_batch_id) values";

    let orphan = format!("{into} {}", contact(nobody, "orphan@people.test", None));
    assert_eq!(broken(&all.owner, &orphan).await.as_deref(), Some("contacts_organization_fkey"));
    // One row among good ones is enough, and takes them along.
    let rows =
        [Some(import), None, Some(theirs)].map(|import| contact(first, &format!("{import:?}@people.test"), import));
    let foreign = format!("{into} {}", rows.join(", "));
    assert_eq!(broken(&all.owner, &foreign).await.as_deref(), Some("contacts_import_batch_fkey"));
    assert_eq!(all.read::<i64>("select count(*) from contacts").await, 2);

    // The import of another tenant is none, whoever asks.
    let tx = all.begin("martlet_app", first).await;
    let error =
        tx.execute(&format!("{into} {}", contact(first, "new@people.test", Some(theirs))), &[]).await.unwrap_err();
    assert_eq!(violated_constraint(&error), Some("contacts_import_batch_fkey"));
    drop(tx);
    let tx = all.begin("martlet_app", first).await;
    let error = tx
        .execute(
            "insert into import_matches (organization_id, import_batch_id, contact_id) values ($1, $2, $2)",
            &[&first, &theirs],
        )
        .await
        .unwrap_err();
    assert_eq!(violated_constraint(&error), Some("import_matches_batch_fkey"));
    drop(tx);

    all.owner.batch_execute(&format!("{into} {}", contact(first, "good@people.test", Some(import)))).await.unwrap();
}

#[tokio::test]
async fn an_update_refers_to_what_is_there_as_well() {
    let all = Everything::new().await;
    let (first, second, nobody) = (all.first, all.second, OrganizationId::fresh());
    let (own, theirs) = (all.id(first, "import").await, all.id(second, "import").await);
    for (change, constraint) in [
        (format!("organization_id = '{nobody}', import_batch_id = null"), "contacts_organization_fkey"),
        (format!("organization_id = '{second}'"), "contacts_import_batch_fkey"),
        (format!("import_batch_id = '{theirs}'"), "contacts_import_batch_fkey"),
    ] {
        let update = format!("update contacts set {change} where organization_id = '{first}'");
        assert_eq!(broken(&all.owner, &update).await.as_deref(), Some(constraint), "{change}");
    }
    for change in ["import_batch_id = null".to_owned(), format!("import_batch_id = '{own}'")] {
        all.owner
            .batch_execute(&format!("update contacts set {change} where organization_id = '{first}'"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_import_that_is_deleted_leaves_its_contacts_and_takes_its_matches() {
    let all = Everything::new().await;
    all.owner
        .batch_execute(&format!("delete from import_batches where organization_id = '{}'", all.first))
        .await
        .unwrap();
    let left =
        |what: &str, of: OrganizationId| format!("select count({what}) from contacts where organization_id = '{of}'");
    assert_eq!(all.read::<i64>(&left("id", all.first)).await, 1);
    assert_eq!(all.read::<i64>(&left("import_batch_id", all.first)).await, 0);
    assert_eq!(all.read::<i64>(&left("import_batch_id", all.second)).await, 1);
    let matches = |of| format!("select count(*) from import_matches where organization_id = '{of}'");
    assert_eq!(all.read::<i64>(&matches(all.first)).await, 0);
    assert_eq!(all.read::<i64>(&matches(all.second)).await, 1);
}

/// An organization that has contacts, some of them of an import, and has written to nobody.
async fn with_contacts_alone(owner: &Client) -> OrganizationId {
    let organization = OrganizationId::fresh();
    owner
        .batch_execute(&format!(
            "insert into organizations (id, slug, name) values ('{organization}', 'contacts-alone', 'Contacts alone');
             insert into import_batches (organization_id, id, file_name, object_key)
             values ('{organization}', '{organization}', 'people.csv', 'uploads/1');
             insert into contacts (organization_id, id, email, import_batch_id)
             select '{organization}', gen_random_uuid(), n || '@people.test', case n when 1 then '{organization}'::uuid end
               from generate_series(1, 3) as n;
             insert into import_matches (organization_id, import_batch_id, contact_id)
             values ('{organization}', '{organization}', '{organization}')"
        ))
        .await
        .unwrap();
    organization
}

async fn contacts(all: &Everything, organization: OrganizationId) -> i64 {
    all.read(&format!("select count(*) from contacts where organization_id = '{organization}'")).await
}

#[tokio::test]
async fn an_organization_that_is_deleted_takes_its_contacts_along_and_nobody_elses() {
    let all = Everything::new().await;
    let organization = with_contacts_alone(&all.owner).await;
    assert_eq!(contacts(&all, organization).await, 3);
    all.owner.batch_execute(&format!("delete from organizations where id = '{organization}'")).await.unwrap();
    assert_eq!(contacts(&all, organization).await, 0);
    assert_eq!(all.read::<i64>("select count(*) from import_matches").await, 2);
    for other in [all.first, all.second] {
        assert_eq!(contacts(&all, other).await, 1);
    }
}

#[tokio::test]
async fn whoever_deletes_an_organization_waits_for_the_contacts_being_made_and_takes_them_along() {
    let all = Everything::new().await;
    let organization = with_contacts_alone(&all.owner).await;
    let tx = all.begin("martlet_app", organization).await;
    tx.execute(
        "insert into contacts (organization_id, id, email) values ($1, $2, 'late@people.test')",
        &[&organization, &shared::ids::fresh()],
    )
    .await
    .unwrap();

    let deleter = all.db.owner().await;
    let backend: i32 = deleter.query_typed("select pg_backend_pid()", &[]).await.unwrap()[0].get(0);
    let delete = format!("delete from organizations where id = '{organization}'");
    let deleting = async { deleter.batch_execute(&delete).await.unwrap() };
    let making = async {
        until(&all.owner, &format!("select cardinality(pg_blocking_pids({backend})) > 0")).await;
        tx.commit().await.unwrap();
    };
    tokio::join!(deleting, making);
    assert_eq!(contacts(&all, organization).await, 0);
}
