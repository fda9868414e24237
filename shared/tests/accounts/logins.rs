//! Logging in, and the sessions that it opens.

use shared::delivery::system_mail::ActionPurpose;
use shared::platform::credentials::Rights;
use shared::platform::identities::{self, Claimed};
use shared::platform::logins;
use shared::platform::memberships::Role;
use shared::{Error, OrganizationId};

use crate::reception::{ADA, PASSWORD, Reception, from};

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_get_the_same_answer_after_the_same_work() {
    let reception = Reception::with_ada().await;
    let insert =
        "insert into users (id, email, password_hash, email_verified_at) values (gen_random_uuid(), $1, $2, now())";
    reception.scene.run(insert, &[&"none@users.test", &None::<String>]).await;
    reception.sign_up("unconfirmed@users.test", PASSWORD).await.unwrap();
    let statements = |email: &'static str, password: &'static str| {
        let reception = &reception;
        async move {
            let before = reception.hasher.computed();
            let Err(error) = reception.log_in(email, password).await else { panic!("{email} was let in") };
            assert!(matches!(error, Error::Unauthorized), "{error:?}");
            (error.to_string(), reception.hasher.computed() - before)
        }
    };
    let expected = (Error::Unauthorized.to_string(), 1);
    for (email, password) in [
        ("nobody@users.test", PASSWORD),
        (ADA, "wrong horse battery"),
        ("none@users.test", PASSWORD),
        ("unconfirmed@users.test", PASSWORD),
        ("unconfirmed@users.test", "wrong horse battery"),
        ("no address\0at all", PASSWORD),
    ] {
        assert_eq!(statements(email, password).await, expected, "{email}");
    }
}

#[tokio::test]
async fn each_login_opens_another_session_and_a_logout_ends_one() {
    let reception = Reception::with_ada().await;
    let one = reception.log_in(ADA, PASSWORD).await.unwrap();
    let other = reception.log_in(ADA, PASSWORD).await.unwrap();
    assert!(one.token != other.token && one.session.id != other.session.id);
    let who = reception.who(&one.token).await.unwrap();
    let Rights::Person { user, session, role, is_admin } = who.rights else { panic!("no person") };
    assert_eq!((user, session, role, is_admin), (one.user_id, one.session.id, Role::Owner, false));
    let tx = reception.db.begin(one.session.organization_id).await.unwrap();
    assert_eq!(logins::list(&tx, user).await.unwrap().len(), 2);
    assert_eq!(logins::end(&tx, user, Some(one.session.id), None).await.unwrap(), 1);
    assert_eq!(logins::end(&tx, user, Some(one.session.id), None).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert!(reception.who(&one.token).await.is_none());
    assert!(reception.who(&other.token).await.is_some());
}

#[tokio::test]
async fn sessions_have_128_bits_or_more_and_are_kept_as_their_hash() {
    let reception = Reception::with_ada().await;
    let logged_in = reception.log_in(ADA, PASSWORD).await.unwrap();
    let encoded = logged_in.token.strip_prefix("ms_").unwrap();
    // Base32 of an organization's id and what nobody guesses.
    assert!(encoded.len() * 5 - 128 >= 160 - 8, "{}", encoded.len());
    let sql = "select count(*) from sessions where position($1::bytea in token_hash) > 0 or length(token_hash) <> 32";
    assert_eq!(reception.count(sql, &[&logged_in.token.as_bytes()]).await, 0);
    let shown = serde_json::to_string(&logged_in).unwrap();
    assert!(!shown.contains(encoded), "{shown}");
}

#[tokio::test]
async fn a_session_lasts_thirty_days_or_seven_days_unused() {
    let reception = Reception::with_ada().await;
    let token = reception.log_in(ADA, PASSWORD).await.unwrap().token;
    let lasts = "select extract(epoch from expires_at - created_at)::bigint from sessions";
    assert_eq!(reception.count(lasts, &[]).await, 30 * 86_400);
    for (ago, is_open) in [("6 days 23 hours", true), ("7 days 1 second", false)] {
        let sql = format!("update sessions set last_used_at = now() - interval '{ago}'");
        reception.scene.run(&sql, &[]).await;
        assert_eq!(reception.who(&token).await.is_some(), is_open, "{ago}");
    }
    for (ago, is_open) in [("29 days 23 hours", true), ("30 days", false)] {
        let sql = format!(
            "update sessions set last_used_at = now(), expires_at = now() - interval '{ago}' + interval '30 days'"
        );
        reception.scene.run(&sql, &[]).await;
        assert_eq!(reception.who(&token).await.is_some(), is_open, "{ago}");
    }
}

#[tokio::test]
async fn whoever_switches_goes_on_with_another_session_in_an_organization_of_theirs() {
    let reception = Reception::with_ada().await;
    let at_home = reception.log_in(ADA, PASSWORD).await.unwrap();
    let (user, session) = (at_home.user_id, at_home.session.id);
    let here = (at_home.session.organization_id, session);
    let there = reception.scene.organization;
    let refused = logins::switch(&reception.db, user, here, there, &from(1)).await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "not a member");
    assert!(reception.who(&at_home.token).await.is_some(), "and nothing has changed");
    let unknown = logins::switch(&reception.db, user, here, OrganizationId::fresh(), &from(1)).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));

    let join = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'viewer')";
    reception.scene.run(join, &[&there, &user]).await;
    let switched = logins::switch(&reception.db, user, here, there, &from(1)).await.unwrap();
    assert!(reception.who(&at_home.token).await.is_none(), "the old one has ended");
    let who = reception.who(&switched.token).await.unwrap();
    assert_eq!(who.organization, there);
    assert!(matches!(who.rights, Rights::Person { role: Role::Viewer, .. }));
    let tx = reception.db.begin(there).await.unwrap();
    assert_eq!(logins::list(&tx, user).await.unwrap().len(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_session_that_has_ended_opens_no_other_one() {
    let reception = Reception::with_ada().await;
    let logged_in = reception.log_in(ADA, PASSWORD).await.unwrap();
    let (user, session) = (logged_in.user_id, logged_in.session.id);
    let here = (logged_in.session.organization_id, session);
    let there = reception.scene.organization;
    let join = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'viewer')";
    reception.scene.run(join, &[&there, &user]).await;
    // Another password was chosen while the request was on its way, by whoever else holds the session.
    let reset = format!(
        "update users set password_hash = 'another'; update sessions set ended_at = now() where user_id = '{}'",
        user.0
    );
    let place = from(1);
    let switch = logins::switch(&reception.db, user, here, there, &place);
    let refused = reception.meanwhile(&reset, switch).await;
    assert!(matches!(refused, Err(Error::Unauthorized)), "{refused:?}");
    assert_eq!(reception.count("select count(*) from sessions where ended_at is null", &[]).await, 0);
}

#[tokio::test]
async fn whoever_belongs_nowhere_gets_an_organization_and_whose_all_are_suspended_is_told_so() {
    let reception = Reception::with_ada().await;
    reception.scene.run("update organizations set status = 'suspended'", &[]).await;
    let told = reception.log_in(ADA, PASSWORD).await;
    assert!(matches!(told, Err(Error::Conflict { code: "organizations_suspended", .. })), "{told:?}");
    // Whoever does not know the password is told what everybody is.
    assert!(matches!(reception.log_in(ADA, "wrong horse").await, Err(Error::Unauthorized)));
    reception.scene.run("delete from memberships", &[]).await;
    let logged_in = reception.log_in(ADA, PASSWORD).await.unwrap();
    let sql = "select count(*) from memberships where organization_id = $1 and user_id = $2 and role = 'owner'";
    assert_eq!(reception.count(sql, &[&logged_in.session.organization_id, &logged_in.user_id]).await, 1);
}

#[tokio::test]
async fn whoever_was_stopped_learns_nothing_by_the_right_password_and_founds_nothing() {
    let reception = Reception::with_ada().await;
    reception.scene.run("update users set disabled_at = now()", &[]).await;
    for change in ["update organizations set status = 'suspended'", "delete from memberships"] {
        reception.scene.run(change, &[]).await;
        let before = reception.count("select count(*) from organizations", &[]).await;
        let refused = reception.log_in(ADA, PASSWORD).await;
        assert!(matches!(refused, Err(Error::Unauthorized)), "{refused:?}");
        assert_eq!(reception.count("select count(*) from organizations", &[]).await, before);
    }
}

#[tokio::test]
async fn whose_only_organization_is_being_deleted_is_sent_the_way_back_once_more() {
    let reception = Reception::with_ada().await;
    reception
        .scene
        .run(
            "update organizations set status = 'deleting', deletion_id = gen_random_uuid(), delete_after = clock_now() + interval '1 day'",
            &[],
        )
        .await;
    let before = reception.mails().await.len();
    assert!(reception.log_in(ADA, "wrong horse").await.is_err());
    assert_eq!(reception.mails().await.len(), before);
    let told = reception.log_in(ADA, PASSWORD).await;
    assert!(matches!(told, Err(Error::Conflict { code: "organization_deleting", .. })), "{told:?}");
    assert!(reception.mails().await.contains(&"organization_deleted Ada@users.test".to_owned()));
    for _ in 0..4 {
        let _ = reception.log_in(ADA, PASSWORD).await;
    }
    assert!(reception.mails().await.len() <= before + 3, "no more than a few an hour");
    // Somebody who only belongs to it can't bring it back.
    reception.scene.run("update memberships set role = 'admin'", &[]).await;
    reception.scene.run("delete from attempt_counts", &[]).await;
    let told = reception.log_in(ADA, PASSWORD).await;
    assert!(matches!(told, Err(Error::Conflict { code: "organizations_suspended", .. })), "{told:?}");
}

#[tokio::test]
async fn what_is_done_to_an_account_is_recorded_in_each_of_its_organizations() {
    let reception = Reception::with_ada().await;
    let logged_in = reception.log_in(ADA, PASSWORD).await.unwrap();
    let (own, also) = (logged_in.session.organization_id, reception.scene.organization);
    let join = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'viewer')";
    reception.scene.run(join, &[&also, &logged_in.user_id]).await;
    let who = (logged_in.user_id, logged_in.session.id);
    let passwords = (PASSWORD, "another horse battery");
    logins::change_password(&reception.entrance(), who, passwords, &from(7)).await.unwrap();
    logins::ask_for_reset(&reception.entrance(), ADA).await.unwrap();
    let token = reception.token(ActionPurpose::ResetPassword).await;
    reception.reset(&token, PASSWORD).await.unwrap();
    let claimed = Claimed {
        issuer: "https://issuer.test".to_owned(),
        subject: "1".to_owned(),
        email: Some(ADA.to_owned()),
        email_is_verified: true,
        first_name: None,
        last_name: None,
    };
    identities::log_in(&reception.entrance(), &claimed, &from(9)).await.unwrap();
    let everywhere = ["user.password_changed request 7", "user.password_reset request 1", "identity.linked request 9"];
    assert_eq!(reception.acts(also).await, everywhere);
    let before = ["organization.created -", "user.email_confirmed request 1", "session.opened request 1"];
    assert_eq!(reception.acts(own).await, [before.as_slice(), &everywhere, &["session.opened request 9"]].concat());
    let named = "select count(*) from audit_log where details::text ilike '%ada%' and action <> 'organization.created'";
    assert_eq!(reception.count(named, &[]).await, 0);
}

#[tokio::test]
async fn an_imported_bcrypt_hash_is_accepted_and_replaced() {
    let reception = Reception::new().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let insert =
        "insert into users (id, email, password_hash, email_verified_at) values (gen_random_uuid(), $1, $2, now())";
    reception.scene.run(insert, &[&ADA, &hash]).await;
    assert!(reception.log_in(ADA, "wrong horse battery").await.is_err());
    reception.log_in(ADA, PASSWORD).await.unwrap();
    let kept: String = reception.scene.rows("select password_hash from users", &[]).await[0].get(0);
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    reception.log_in(ADA, PASSWORD).await.unwrap();
}
