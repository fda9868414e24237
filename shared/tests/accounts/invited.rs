//! Signing up by the link of an invite.

use shared::delivery::system_mail::{Action, ActionPurpose};
use shared::platform::credentials::Rights;
use shared::platform::logins;
use shared::platform::logins::LoggedIn;
use shared::platform::memberships::Role;
use shared::platform::sign_ups::by_invite::{self, NewMember};
use shared::{Error, Result};
use uuid::Uuid;

use crate::reception::{ADA, PASSWORD, Reception, from};

/// An invite of the scene's organization, and the token of its link.
async fn invite(reception: &Reception, email: &str) -> String {
    let sql = "insert into invites (organization_id, id, email, role, expires_at)
               values ($1, gen_random_uuid(), $2, 'member', clock_now() + interval '7 days') returning id";
    let id: Uuid = reception.scene.rows(sql, &[&reception.scene.organization, &email]).await[0].get(0);
    reception.keys.action_token(Action { purpose: ActionPurpose::Invite, id })
}

async fn join(reception: &Reception, token: &str, password: &str) -> Result<LoggedIn> {
    let new = NewMember { token, password, first_name: Some("Ada"), last_name: None };
    by_invite::sign_up(&reception.entrance(), &new, &from(1)).await
}

fn code<T>(result: Result<T>) -> &'static str {
    match result {
        Err(Error::Conflict { code, .. }) => code,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn whoever_is_invited_has_an_account_that_is_confirmed_and_is_where_they_were_invited() {
    let reception = Reception::new().await;
    let token = invite(&reception, ADA).await;
    let joined = join(&reception, &token, PASSWORD).await.unwrap();
    assert_eq!(joined.session.organization_id, reception.scene.organization);
    let who = reception.who(&joined.token).await.unwrap();
    assert!(matches!(who.rights, Rights::Person { role: Role::Member, .. }));
    let again = reception.log_in(ADA, PASSWORD).await.unwrap();
    assert_eq!((again.user_id, again.session.organization_id), (joined.user_id, reception.scene.organization));
    assert_eq!(reception.count("select count(*) from memberships", &[]).await, 1, "none of their own is made");
    assert_eq!(reception.mails().await, [""; 0]);
    let acts = ["invite.accepted request 1", "session.opened request 1", "session.opened request 1"];
    assert_eq!(reception.acts(reception.scene.organization).await, acts);
    assert_eq!(code(join(&reception, &token, PASSWORD).await), "account_exists");
    let sql = "select count(*) from invites where accepted_by = $1";
    assert_eq!(reception.count(sql, &[&joined.user_id]).await, 1);
}

#[tokio::test]
async fn an_invite_lets_nobody_into_an_account_that_somebody_has_confirmed() {
    let reception = Reception::with_ada().await;
    let token = invite(&reception, &ADA.to_uppercase()).await;
    assert_eq!(code(join(&reception, &token, "another horse battery").await), "account_exists");
    assert!(reception.log_in(ADA, "another horse battery").await.is_err());
    reception.log_in(ADA, PASSWORD).await.unwrap();
    assert_eq!(reception.count("select count(*) from invites where accepted_at is not null", &[]).await, 0);
}

#[tokio::test]
async fn what_somebody_else_chose_for_the_address_is_worth_nothing() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, "of an attacker").await.unwrap();
    let confirm = reception.token(ActionPurpose::ConfirmEmail).await;
    let token = invite(&reception, ADA).await;
    join(&reception, &token, PASSWORD).await.unwrap();
    assert!(reception.confirm(&confirm, "of an attacker").await.is_err());
    assert!(reception.log_in(ADA, "of an attacker").await.is_err());
    reception.log_in(ADA, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_invite_that_is_used_revoked_expired_or_forged_makes_no_account() {
    let reception = Reception::new().await;
    for (state, expected) in [
        ("accepted_at = now()", "invite_used"),
        ("revoked_at = now()", "invite_revoked"),
        ("expires_at = clock_now()", "invite_expired"),
    ] {
        let token = invite(&reception, ADA).await;
        reception.scene.run(&format!("update invites set {state}"), &[]).await;
        assert_eq!(code(join(&reception, &token, PASSWORD).await), expected);
        reception.scene.run("delete from invites", &[]).await;
        assert!(matches!(join(&reception, &token, PASSWORD).await, Err(Error::NotFound(_))));
    }
    reception.sign_up("eve@users.test", PASSWORD).await.unwrap();
    let confirm = reception.token(ActionPurpose::ConfirmEmail).await;
    for wrong in ["nonsense", confirm.as_str()] {
        assert!(matches!(join(&reception, wrong, PASSWORD).await, Err(Error::NotFound(_))));
    }
    let token = invite(&reception, ADA).await;
    assert!(matches!(join(&reception, &token, "short").await, Err(Error::Invalid(_))), "and it can be used still");
    reception.scene.run("update organizations set status = 'suspended'", &[]).await;
    assert!(matches!(join(&reception, &token, PASSWORD).await, Err(Error::NotFound(_))));
    assert_eq!(reception.count("select count(*) from users where email_lower = 'ada@users.test'", &[]).await, 0);
}

#[tokio::test]
async fn of_two_who_sign_up_by_one_link_at_once_one_does() {
    let reception = Reception::new().await;
    let token = invite(&reception, ADA).await;
    let other = reception.scene.db.as_role("martlet_identity");
    let new = NewMember { token: &token, password: PASSWORD, first_name: None, last_name: None };
    let (entrance, place) = (logins::Entrance { db: &other, ..reception.entrance() }, from(2));
    let (one, other) = tokio::join!(join(&reception, &token, PASSWORD), by_invite::sign_up(&entrance, &new, &place));
    let refused = if one.is_err() { one } else { other };
    assert_eq!(code(refused), "account_exists");
    assert_eq!(reception.count("select count(*) from memberships", &[]).await, 1);
}

#[tokio::test]
async fn sign_ups_by_invites_are_limited_like_others() {
    let reception = Reception::new().await;
    reception.scene.run("update system_config set value = '1' where key = 'sign_ups_of_address'", &[]).await;
    reception.sign_up("eve@users.test", PASSWORD).await.unwrap();
    let token = invite(&reception, ADA).await;
    assert!(matches!(join(&reception, &token, PASSWORD).await, Err(Error::TooManyAttempts { .. })));
}
