//! Logging in as somebody whom an identity provider knows.

use shared::Error;
use shared::delivery::system_mail::ActionPurpose;
use shared::platform::identities::{self, Claimed};
use shared::platform::oidc_logins;

use crate::reception::{ADA, PASSWORD, Reception, from};

fn claimed(subject: &str, email: Option<&str>, email_is_verified: bool) -> Claimed {
    Claimed {
        issuer: "https://issuer.test".to_owned(),
        subject: subject.to_owned(),
        email: email.map(str::to_owned),
        email_is_verified,
        first_name: Some("Ada\n".to_owned()),
        last_name: None,
    }
}

fn code(error: &Error) -> &'static str {
    if let Error::Conflict { code, .. } = error { code } else { panic!("{error:?}") }
}

#[tokio::test]
async fn who_is_new_gets_an_account_and_stays_who_they_are() {
    let reception = Reception::new().await;
    let entrance = reception.entrance();
    let first = identities::log_in(&entrance, &claimed("1", Some(ADA), true), &from(1)).await.unwrap();
    // The provider's name for somebody counts, whatever address they have there later.
    let again = identities::log_in(&entrance, &claimed("1", Some("new@users.test"), false), &from(1)).await.unwrap();
    assert_eq!(first.user_id, again.user_id);
    assert!(reception.who(&again.token).await.is_some());
    assert_eq!(reception.count("select count(*) from users", &[]).await, 1);
    assert_eq!(reception.count("select count(*) from memberships where role = 'owner'", &[]).await, 1);
    assert!(reception.log_in(ADA, PASSWORD).await.is_err(), "there is no password");
}

#[tokio::test]
async fn an_account_is_linked_only_where_both_sides_know_the_address_to_be_theirs() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    let entrance = reception.entrance();
    for (email, is_verified, expected) in [
        (Some(ADA), false, "email_not_verified"),
        (None, true, "email_not_verified"),
        (Some("no address"), true, "email_not_verified"),
        (Some(ADA), true, "account_not_confirmed"),
    ] {
        let refused = identities::log_in(&entrance, &claimed("1", email, is_verified), &from(1)).await;
        assert_eq!(code(&refused.unwrap_err()), expected, "{email:?}");
    }
    assert_eq!(reception.count("select count(*) from identities", &[]).await, 0);
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    reception.confirm(&token, PASSWORD).await.unwrap();
    let linked = identities::log_in(&entrance, &claimed("1", Some("ADA@users.test"), true), &from(1)).await.unwrap();
    assert_eq!(linked.user_id, reception.log_in(ADA, PASSWORD).await.unwrap().user_id);
    assert_eq!(reception.count("select count(*) from users", &[]).await, 1);
}

#[tokio::test]
async fn a_login_that_has_begun_is_taken_up_once_by_whoever_began_it_within_ten_minutes() {
    let reception = Reception::new().await;
    let begin =
        || async { oidc_logins::begin(&reception.db, "acme", "https://console.test/login/callback").await.unwrap() };
    let (one, other) = (begin().await, begin().await);
    let stolen = oidc_logins::redeem(&reception.db, "acme", &one.state, &other.ticket).await;
    assert_eq!(code(&stolen.err().unwrap()), "login_not_under_way");
    let pending = oidc_logins::redeem(&reception.db, "acme", &one.state, &one.ticket).await.unwrap();
    assert_eq!((pending.provider.as_str(), pending.nonce.as_str()), ("acme", one.nonce.as_str()));
    assert!(oidc_logins::redeem(&reception.db, "acme", &one.state, &one.ticket).await.is_err(), "once");
    let lasts = "select extract(epoch from max(expires_at) - now())::bigint from oidc_logins";
    assert!((500..=600).contains(&reception.count(lasts, &[]).await));
    reception.scene.run("update oidc_logins set expires_at = now()", &[]).await;
    assert!(oidc_logins::redeem(&reception.db, "acme", &other.state, &other.ticket).await.is_err(), "too late");
    let plain = "select count(*) from oidc_logins where nonce = $1 or encode(state_hash, 'escape') = $1";
    assert_eq!(reception.count(plain, &[&other.state]).await, 0, "the state itself is kept nowhere");
}
