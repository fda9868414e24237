//! Signing up.

use shared::delivery::system_mail::ActionPurpose;
use shared::platform::logins;
use shared::{Error, UserId};

use crate::reception::{ADA, PASSWORD, Reception, account, address, from};

#[tokio::test]
async fn whoever_signs_up_owns_an_organization_and_is_in_when_the_address_is_confirmed() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    assert_eq!(reception.mails().await, ["confirm_email Ada@users.test"]);
    assert!(matches!(reception.log_in(ADA, PASSWORD).await, Err(Error::Unauthorized)), "not before it is confirmed");
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    reception.confirm(&token, PASSWORD).await.unwrap();
    let again = reception.confirm(&token, PASSWORD).await;
    assert!(matches!(again, Err(Error::Conflict { code: "token_not_valid", .. })), "once");
    let logged_in = reception.log_in("ada@USERS.test", PASSWORD).await.unwrap();
    let sql = "select o.slug || ' ' || o.plan_type || ' ' || m.role from organizations o join memberships m on m.organization_id = o.id
                where o.id = $1 and m.user_id = $2";
    let rows = reception.scene.rows(sql, &[&logged_in.session.organization_id, &logged_in.user_id]).await;
    let found: String = rows[0].get(0);
    assert!(found.starts_with("ada-") && found.ends_with(" free owner"), "{found}");
    let hash: String = reception.scene.rows("select password_hash from users", &[]).await[0].get(0);
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn who_has_an_account_gets_the_same_answer_the_same_work_and_a_mail_that_says_so() {
    let reception = Reception::with_ada().await;
    let before = reception.hasher.computed();
    reception.sign_up("new@users.test", PASSWORD).await.unwrap();
    let for_new = reception.hasher.computed() - before;
    reception.sign_up(ADA, "another password").await.unwrap();
    assert_eq!(reception.hasher.computed() - before, 2 * for_new);
    assert_eq!(
        reception.mails().await,
        ["account_exists Ada@users.test", "confirm_email Ada@users.test", "confirm_email new@users.test"]
    );
    assert!(reception.log_in(ADA, "another password").await.is_err(), "nothing has changed");
    assert!(reception.log_in(ADA, PASSWORD).await.is_ok());
    assert_eq!(reception.count("select count(*) from users", &[]).await, 2);
}

#[tokio::test]
async fn who_signs_up_again_before_confirming_begins_anew() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, "the first password").await.unwrap();
    let first = reception.token(ActionPurpose::ConfirmEmail).await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    let second = reception.token(ActionPurpose::ConfirmEmail).await;
    assert!(reception.confirm(&first, PASSWORD).await.is_err(), "its link has ended");
    reception.confirm(&second, PASSWORD).await.unwrap();
    assert!(reception.log_in(ADA, "the first password").await.is_err());
    assert!(reception.log_in(ADA, PASSWORD).await.is_ok());
    assert_eq!(reception.count("select count(*) from memberships", &[]).await, 1);
}

#[tokio::test]
async fn nobody_confirms_the_password_of_whoever_else_signs_up_with_their_address() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    reception.sign_up(ADA, "of an attacker").await.unwrap();
    // The mails look the same, and so the owner of the address opens the last one, with the password that is theirs.
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    assert!(matches!(reception.confirm(&token, PASSWORD).await, Err(Error::Invalid(_))));
    for password in [PASSWORD, "of an attacker"] {
        assert!(reception.log_in(ADA, password).await.is_err(), "nothing is confirmed");
    }
    logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
    let token = reception.token(ActionPurpose::ResetPassword).await;
    reception.reset(&token, PASSWORD).await.unwrap();
    assert!(reception.log_in(ADA, "of an attacker").await.is_err());
    reception.log_in(ADA, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_sign_up_of_which_no_mail_tells_changes_no_password() {
    let reception = Reception::new().await;
    for _ in 0..3 {
        reception.sign_up(ADA, PASSWORD).await.unwrap();
    }
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    reception.sign_up(ADA, "of an attacker").await.unwrap();
    assert_eq!(reception.mails().await.len(), 3);
    reception.confirm(&token, PASSWORD).await.unwrap();
    assert!(reception.log_in(ADA, "of an attacker").await.is_err());
    reception.log_in(ADA, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_uses_no_link_up_and_counts_as_one_that_failed_to_log_in() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    for _ in 0..3 {
        assert!(matches!(reception.confirm(&token, "wrong horse").await, Err(Error::Invalid(_))));
    }
    for _ in 0..2 {
        assert!(matches!(reception.log_in(ADA, "wrong horse").await, Err(Error::Unauthorized)));
    }
    let before = reception.hasher.computed();
    assert!(matches!(reception.confirm(&token, PASSWORD).await, Err(Error::TooManyAttempts { .. })));
    assert_eq!(reception.hasher.computed(), before);
    // Elsewhere, the link is as good as it was.
    logins::confirm(&reception.entrance(), &token, PASSWORD, &from(2)).await.unwrap();
}

#[tokio::test]
async fn what_is_confirmed_is_the_password_that_was_checked() {
    let reception = Reception::new().await;
    reception.sign_up(ADA, PASSWORD).await.unwrap();
    let token = reception.token(ActionPurpose::ConfirmEmail).await;
    // Somebody signs up with the address while its owner confirms it.
    let other = reception.hasher.hash("of an attacker").unwrap();
    let sql = format!("update users set password_hash = '{other}'");
    let refused = reception.meanwhile(&sql, reception.confirm(&token, PASSWORD)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(reception.count("select count(*) from users where email_verified_at is not null", &[]).await, 0);
}

#[tokio::test]
async fn two_of_one_name_have_short_names_of_their_own() {
    let reception = Reception::new().await;
    for email in ["one@users.test", "two@users.test"] {
        let mut new = account(email, PASSWORD);
        new.organization_name = Some("Acme".to_owned());
        let entrance = reception.entrance();
        shared::platform::sign_ups::sign_up(&entrance, &new, address(1), Some("a request")).await.unwrap();
    }
    let sql = "select count(*) from organizations where name = 'Acme' and slug like 'acme-%'";
    assert_eq!(reception.count(sql, &[]).await, 2, "the scene has taken the name itself");
    let sql = "select count(*) from audit_log where action = 'organization.created' and actor_kind = 'user' and request_id = 'a request'";
    assert_eq!(reception.count(sql, &[]).await, 2);
}

#[tokio::test]
async fn no_short_name_tells_whether_a_sign_up_has_made_an_account() {
    let reception = Reception::with_ada().await;
    for (email, name) in [(ADA, "Probe One"), ("new@users.test", "Probe Two")] {
        let mut new = account(email, PASSWORD);
        new.organization_name = Some(name.to_owned());
        shared::platform::sign_ups::sign_up(&reception.entrance(), &new, address(1), None).await.unwrap();
    }
    let taken = "select count(*) from organizations where slug in ('probe-one', 'probe-two')";
    assert_eq!(reception.count(taken, &[]).await, 0, "both are free to whoever asks");
    assert_eq!(reception.count("select count(*) from organizations where name = 'Probe Two'", &[]).await, 1);
}

#[tokio::test]
async fn what_is_no_account_is_refused_field_by_field() {
    let reception = Reception::new().await;
    let Err(Error::Invalid(errors)) = reception.sign_up("nobody", "short").await else { panic!("it was accepted") };
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["email", "password"]);
    assert!(matches!(reception.sign_up(ADA, &ADA.to_lowercase()).await, Err(Error::Invalid(_))), "the address itself");
    assert_eq!(reception.count("select count(*) from users", &[]).await, 0);
    assert_eq!(reception.hasher.computed(), 0);
}

#[tokio::test]
async fn sign_ups_of_one_address_are_limited() {
    let reception = Reception::new().await;
    reception.scene.run("update system_config set value = '2' where key = 'sign_ups_of_address'", &[]).await;
    for email in ["one@users.test", "two@users.test"] {
        reception.sign_up(email, PASSWORD).await.unwrap();
    }
    let refused = reception.sign_up("three@users.test", PASSWORD).await;
    assert!(matches!(refused, Err(Error::TooManyAttempts { retry_after: 3_500..=3_600 })), "{refused:?}");
    let entrance = reception.entrance();
    let elsewhere = account("three@users.test", PASSWORD);
    shared::platform::sign_ups::sign_up(&entrance, &elsewhere, address(2), None).await.unwrap();
}

#[tokio::test]
async fn nobody_is_sent_more_mails_than_a_few_an_hour() {
    let reception = Reception::new().await;
    for _ in 0..6 {
        reception.sign_up(ADA, PASSWORD).await.unwrap();
        logins::ask_for_confirmation(&reception.entrance(), ADA).await.unwrap();
        logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
    }
    assert_eq!(reception.mails().await.len(), 9, "three of each purpose");
}

#[tokio::test]
async fn a_body_sets_no_role_no_organization_and_no_administrator() {
    for field in ["organization_id", "role", "is_admin", "email_verified_at", "id"] {
        let mut body = serde_json::json!({"email": ADA, "password": PASSWORD});
        body[field] = serde_json::json!(UserId::fresh());
        assert!(serde_json::from_value::<shared::platform::sign_ups::NewAccount>(body).is_err(), "{field}");
        let body = serde_json::json!({ field: UserId::fresh() });
        assert!(serde_json::from_value::<shared::platform::users::UserFields>(body).is_err(), "{field}");
    }
}
