//! Changing a password, and choosing another where it is forgotten.

use shared::Error;
use shared::delivery::system_mail::ActionPurpose;
use shared::platform::logins;

use crate::reception::{ADA, PASSWORD, Reception, from};

const NEW: &str = "another horse battery";

#[tokio::test]
async fn a_reset_is_used_once_and_ends_every_session_in_every_organization() {
    let reception = Reception::with_ada().await;
    let one = reception.log_in(ADA, PASSWORD).await.unwrap();
    let join = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'member')";
    reception.scene.run(join, &[&reception.scene.organization, &one.user_id]).await;
    let here = (one.session.organization_id, one.session.id);
    let other = reception.log_in(ADA, PASSWORD).await.unwrap();
    let away = logins::switch(&reception.db, one.user_id, here, reception.scene.organization, &from(1)).await.unwrap();

    logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
    let token = reception.token(ActionPurpose::ResetPassword).await;
    let refused = reception.reset(&token, "short").await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "and the link can still be used");
    reception.reset(&token, NEW).await.unwrap();
    assert!(matches!(reception.reset(&token, NEW).await, Err(Error::Conflict { code: "token_not_valid", .. })));
    for ended in [&other.token, &away.token] {
        assert!(reception.who(ended).await.is_none());
    }
    assert!(reception.log_in(ADA, PASSWORD).await.is_err());
    assert!(reception.log_in(ADA, NEW).await.is_ok());
    assert!(reception.mails().await.contains(&"password_changed Ada@users.test".to_owned()));
}

#[tokio::test]
async fn asking_for_a_reset_tells_nobody_whether_there_is_an_account() {
    let reception = Reception::with_ada().await;
    let before = reception.mails().await.len();
    logins::ask_for_reset(&reception.entrance(), "nobody@users.test").await.unwrap();
    logins::ask_for_confirmation(&reception.entrance(), "nobody@users.test").await.unwrap();
    logins::ask_for_confirmation(&reception.entrance(), ADA).await.unwrap();
    assert_eq!(reception.mails().await.len(), before, "nothing to do, and the same answer");
}

#[tokio::test]
async fn tokens_end_by_time_by_a_newer_one_and_by_another_address() {
    let reception = Reception::with_ada().await;
    let ask = || async {
        reception.scene.run("delete from attempt_counts", &[]).await;
        logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
        reception.token(ActionPurpose::ResetPassword).await
    };
    let first = ask().await;
    let second = ask().await;
    assert!(reception.reset(&first, NEW).await.is_err(), "a newer one was sent");
    reception.scene.run("update user_tokens set expires_at = now()", &[]).await;
    assert!(reception.reset(&second, NEW).await.is_err(), "an hour has passed");
    let third = ask().await;
    let lasts = "select extract(epoch from max(expires_at) - now())::bigint from user_tokens where used_at is null";
    assert!((3_500..=3_600).contains(&reception.count(lasts, &[]).await));
    reception.scene.run("update users set email = 'ada@elsewhere.test'", &[]).await;
    assert!(reception.reset(&third, NEW).await.is_err(), "it was sent to another address");
    let confirms = reception.token(ActionPurpose::ConfirmEmail).await;
    assert!(reception.reset(&confirms, NEW).await.is_err(), "it is for something else");
    assert!(reception.reset("made up", NEW).await.is_err());
}

#[tokio::test]
async fn a_reset_shows_that_the_address_is_theirs() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
    let token = reception.token(ActionPurpose::ResetPassword).await;
    reception.reset(&token, NEW).await.unwrap();
    assert!(reception.log_in(ADA, NEW).await.is_ok());
}

#[tokio::test]
async fn a_change_needs_the_present_password_and_ends_the_other_sessions() {
    let reception = Reception::with_ada().await;
    let one = reception.log_in(ADA, PASSWORD).await.unwrap();
    let other = reception.log_in(ADA, PASSWORD).await.unwrap();
    let who = (one.user_id, one.session.id);
    let refused = logins::change_password(&reception.entrance(), who, ("wrong horse", NEW), &from(1)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let changed = logins::change_password(&reception.entrance(), who, (PASSWORD, NEW), &from(1)).await;
    assert_eq!(changed.unwrap(), 1);
    assert!(reception.who(&one.token).await.is_some());
    assert!(reception.who(&other.token).await.is_none());
    assert!(reception.log_in(ADA, NEW).await.is_ok());
    // Whoever has found an open browser may not try for ever.
    for _ in 0..5 {
        let _ = logins::change_password(&reception.entrance(), who, ("wrong horse", NEW), &from(3)).await;
    }
    let refused = logins::change_password(&reception.entrance(), who, ("wrong horse", NEW), &from(3)).await;
    assert!(matches!(refused, Err(Error::TooManyAttempts { .. })));
}

#[tokio::test]
async fn a_change_that_a_reset_has_overtaken_changes_nothing() {
    let reception = Reception::with_ada().await;
    let logged_in = reception.log_in(ADA, PASSWORD).await.unwrap();
    let who = (logged_in.user_id, logged_in.session.id);
    let (entrance, place) = (reception.entrance(), from(1));
    let change = || logins::change_password(&entrance, who, (PASSWORD, NEW), &place);
    let chosen = reception.hasher.hash("chosen by its owner").unwrap();
    // Whoever has found an open browser knows the password before.
    let sql = format!("update users set password_hash = '{chosen}'");
    let refused = reception.meanwhile(&sql, change()).await;
    assert!(matches!(refused, Err(Error::Unauthorized)), "{refused:?}");
    assert!(reception.log_in(ADA, NEW).await.is_err());
    reception.log_in(ADA, "chosen by its owner").await.unwrap();
    // Nor one in a session that was ended meanwhile.
    let kept = reception.hasher.hash(PASSWORD).unwrap();
    reception.scene.run("update users set password_hash = $1", &[&kept]).await;
    reception.scene.run("update sessions set ended_at = now()", &[]).await;
    let refused = change().await;
    assert!(matches!(refused, Err(Error::Unauthorized)), "{refused:?}");
    assert!(reception.log_in(ADA, NEW).await.is_err());
}

#[tokio::test]
async fn asking_for_mails_that_do_not_come_keeps_no_other_away() {
    let reception = Reception::with_ada().await;
    for _ in 0..4 {
        // Hers is confirmed, so that nothing is sent.
        logins::ask_for_confirmation(&reception.entrance(), ADA).await.unwrap();
    }
    let resets = async || reception.mails().await.iter().filter(|mail| mail.starts_with("reset_password ")).count();
    for _ in 0..4 {
        logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
    }
    assert_eq!(resets().await, 3, "three an hour");
}
