//! What nobody has confirmed, and what nobody counts any more, goes.

use std::time::Duration;

use shared::delivery::system_mail::ActionPurpose;
use shared::platform::organizations::deleting;
use shared::platform::{logins, rate_limits, sign_ups};
use testkit::FakeObjectStore;
use tokio::time::Instant;

use crate::reception::{ADA, PASSWORD, Reception};

fn patient() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

async fn sweep(reception: &Reception) -> i64 {
    let maintenance = reception.scene.db.as_role("martlet_maintenance");
    let swept = sign_ups::sweeping::sweep(&maintenance, patient()).await.unwrap();
    assert!(swept.is_finished);
    deleting::finish(&maintenance, &FakeObjectStore::default(), patient()).await.unwrap();
    swept.accounts
}

async fn later(reception: &Reception, days: i32) {
    for table in ["users", "user_tokens"] {
        let sql = format!("update {table} set created_at = created_at - make_interval(days => $1)");
        reception.scene.run(&sql, &[&days]).await;
    }
}

#[tokio::test]
async fn a_sign_up_that_nobody_has_confirmed_for_a_week_goes_with_its_organization() {
    let reception = Reception::new().await;
    let organizations = "select count(*) from organizations";
    let before = reception.count(organizations, &[]).await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    reception.sign_up("later@users.test", PASSWORD).await.unwrap();
    later(&reception, 6).await;
    assert_eq!(sweep(&reception).await, 0, "they have another day");
    // Whoever asks for another mail has another week.
    logins::ask_for_confirmation(&reception.entrance(), "later@users.test").await.unwrap();
    later(&reception, 2).await;
    assert_eq!(sweep(&reception).await, 1);
    let left: String = reception.scene.rows("select string_agg(email, ' ') from users", &[]).await[0].get(0);
    assert_eq!(left, "later@users.test");
    assert_eq!(reception.count(organizations, &[]).await, before + 1);
    assert_eq!(reception.count("select count(*) from onboarding", &[]).await, 1);
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    reception.confirm(&token, PASSWORD).await.unwrap();
    // The address is anybody's again.
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    assert_eq!(reception.count("select count(*) from users", &[]).await, 2);
}

#[tokio::test]
async fn nobody_else_is_swept() {
    let reception = Reception::with_ada().await;
    let hash = reception.hasher.hash(PASSWORD).unwrap();
    let join =
        "insert into memberships (organization_id, user_id, role) select $1, id, 'member' from users where email = $2";
    for (email, hash) in [("brought@users.test", "$2b$04$brought"), ("made@users.test", hash.as_str())] {
        let insert = "insert into users (id, email, password_hash) values (gen_random_uuid(), $1, $2)";
        reception.scene.run(insert, &[&email, &hash]).await;
    }
    // Of an organization that is not of a sign-up, and one in which somebody else is as well.
    reception.scene.run(join, &[&reception.scene.organization, &"made@users.test"]).await;
    reception.sign_up("host@users.test", PASSWORD).await.unwrap();
    let own =
        "select organization_id from memberships m join users u on u.id = m.user_id where u.email = 'host@users.test'";
    let own: shared::OrganizationId = reception.scene.rows(own, &[]).await[0].get(0);
    reception.scene.run(join, &[&own, &ADA]).await;
    later(&reception, 30).await;
    assert_eq!(sweep(&reception).await, 0);
    assert_eq!(reception.count("select count(*) from users", &[]).await, 4);
    assert_eq!(reception.count("select count(*) from organizations where status <> 'active'", &[]).await, 0);
}

#[tokio::test]
async fn counts_of_requests_of_whoever_makes_none_any_more_go() {
    let reception = Reception::with_ada().await;
    let logged_in = reception.log_in(ADA, PASSWORD).await.unwrap();
    reception.who(&logged_in.token).await.unwrap();
    let address = [192, 0, 2, 7].into();
    rate_limits::count_address(&reception.db, &reception.keys, address).await.unwrap();
    let maintenance = reception.scene.db.as_role("martlet_maintenance");
    let counts = async || rate_limits::sweeping::sweep(&maintenance, patient()).await.unwrap().counts;
    assert_eq!(counts().await, 0, "their minute is not over");
    for table in ["request_counts", "address_request_counts"] {
        let sql = format!("update {table} set window_start = window_start - interval '2 hours'");
        assert_eq!(reception.scene.run(&sql, &[]).await, 1, "{table}");
    }
    assert_eq!(counts().await, 2);
    reception.who(&logged_in.token).await.unwrap();
}
