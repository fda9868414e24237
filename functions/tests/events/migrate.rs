//! What a deployment asks of the migrate function.

use functions::adapters::aws::Aws;
use functions::events::migrate::{self, Answer, Migrate};
use shared::platform::credentials::{self, Credential};
use testkit::TestDb;

use crate::samples::sample;

async fn migrate(db: &TestDb) -> Migrate {
    Migrate { aws: Aws::load(), owner: db.config("owner"), role_secrets: Vec::new() }
}

#[tokio::test]
async fn an_organization_is_made_with_a_key_that_opens_it() {
    let db = TestDb::new().await;
    let answer = migrate::handle(&migrate(&db).await, sample("migrate/create_organization", &[])).await.unwrap();
    let Answer::Organization { organization_id, api_key } = answer else { panic!("{answer:?}") };
    let (tx, who) = credentials::authenticate(&db.app(), &Credential::parse(&api_key).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(who.organization, organization_id);

    let again = migrate::handle(&migrate(&db).await, sample("migrate/create_organization", &[])).await;
    assert!(matches!(again, Err(shared::Error::Conflict { code: "slug_taken", .. })), "{again:?}");
}

#[tokio::test]
async fn a_key_for_the_default_organization_can_be_made() {
    let db = TestDb::new().await;
    let answer = migrate::handle(&migrate(&db).await, sample("migrate/create_api_key", &[])).await.unwrap();
    let Answer::Key { api_key } = answer else { panic!("{answer:?}") };
    let (tx, who) = credentials::authenticate(&db.app(), &Credential::parse(&api_key).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(who.organization, shared::platform::organizations::DEFAULT);
}

#[tokio::test]
async fn migrating_an_up_to_date_database_applies_nothing_and_names_the_roles_that_nobody_can_log_in_as() {
    let db = TestDb::new().await;
    let answer = migrate::handle(&migrate(&db).await, sample("migrate/migrate", &[])).await.unwrap();
    let Answer::Migrated { migrations_applied, roles, roles_without_password } = answer else { panic!("{answer:?}") };
    assert_eq!((migrations_applied.len(), roles), (0, 0));
    assert_eq!(roles_without_password, shared::db::migrations::RUN_TIME_ROLES);
}
