//! How often somebody may try.

use shared::Error;

use crate::reception::{ADA, PASSWORD, Reception};

fn is_refused<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::TooManyAttempts { retry_after: 1..=900 }))
}

#[tokio::test]
async fn logins_of_one_account_from_one_address_are_limited_before_anything_is_computed() {
    let reception = Reception::with_ada().await;
    for _ in 0..5 {
        assert!(matches!(reception.log_in(ADA, "wrong horse").await, Err(Error::Unauthorized)));
    }
    let before = reception.hasher.computed();
    assert!(is_refused(&reception.log_in(ADA, PASSWORD).await), "also with the right one");
    assert_eq!(reception.hasher.computed(), before);
    assert!(reception.log_in_from(ADA, PASSWORD, 2).await.is_ok(), "its owner is somewhere else");
    // The window ends.
    reception.scene.run("update attempt_counts set window_start = window_start - interval '16 minutes'", &[]).await;
    assert!(reception.log_in(ADA, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn whether_there_is_an_account_makes_no_difference() {
    let reception = Reception::with_ada().await;
    for email in [ADA, "nobody@users.test"] {
        for _ in 0..5 {
            assert!(matches!(reception.log_in_from(email, "wrong horse", 7).await, Err(Error::Unauthorized)));
        }
        assert!(is_refused(&reception.log_in_from(email, "wrong horse", 7).await), "{email}");
    }
}

#[tokio::test]
async fn nobody_locks_somebody_else_out() {
    let reception = Reception::with_ada().await;
    reception.log_in_from(ADA, PASSWORD, 1).await.unwrap();
    reception.scene.run("update system_config set value = '8' where key = 'failures_of_account'", &[]).await;
    for attacker in 100..110 {
        let _ = reception.log_in_from(ADA, "wrong horse", attacker).await;
    }
    assert!(is_refused(&reception.log_in_from(ADA, "wrong horse", 120).await), "from anywhere else");
    assert!(is_refused(&reception.log_in_from(ADA, PASSWORD, 121).await));
    assert!(reception.log_in_from(ADA, PASSWORD, 1).await.is_ok(), "from where they were logged in before");
}

#[tokio::test]
async fn one_address_may_not_try_everybody() {
    let reception = Reception::new().await;
    reception.scene.run("update system_config set value = '3' where key = 'failures_of_address'", &[]).await;
    for n in 0..3 {
        let email = format!("person{n}@users.test");
        assert!(matches!(reception.log_in(&email, "wrong horse").await, Err(Error::Unauthorized)));
    }
    assert!(is_refused(&reception.log_in("person9@users.test", "wrong horse").await));
}

#[tokio::test]
async fn many_at_once_are_no_more_than_many_in_a_row() {
    let reception = Reception::with_ada().await;
    let before = reception.hasher.computed();
    let pools: Vec<_> = (0..12).map(|_| reception.scene.db.as_role("martlet_identity")).collect();
    let attempts = pools.iter().map(|db| {
        let entrance = shared::platform::logins::Entrance { db, ..reception.entrance() };
        async move {
            let place = crate::reception::from(9);
            shared::platform::logins::log_in(&entrance, ADA, "wrong horse", &place).await.map(drop)
        }
    });
    let outcomes = futures_util::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Unauthorized))).count(), 5);
    assert_eq!(reception.hasher.computed() - before, 5);
}

#[tokio::test]
async fn who_succeeds_has_used_nothing_up() {
    let reception = Reception::with_ada().await;
    for _ in 0..12 {
        assert!(matches!(reception.log_in(ADA, "wrong horse").await, Err(Error::Unauthorized)));
        reception.log_in(ADA, PASSWORD).await.unwrap();
    }
    let kept = "select count(*) from attempt_counts where key_hash is null or length(key_hash) <> 32";
    assert_eq!(reception.count(kept, &[]).await, 0);
}

#[tokio::test]
async fn no_spelling_of_an_address_has_attempts_of_its_own() {
    let reception = Reception::new().await;
    reception.sign_up("kim.iris@users.test", PASSWORD).await.unwrap();
    reception.scene.run("update users set email_verified_at = now()", &[]).await;
    for email in [
        "Kim.Iris@Users.Test",
        " kim.iris@users.test ",
        "KIM.IRIS@USERS.TEST",
        "kIm.iris@users.test",
        "kim.Iris@users.test",
    ] {
        assert!(matches!(reception.log_in(email, "wrong horse").await, Err(Error::Unauthorized)), "{email}");
    }
    assert!(is_refused(&reception.log_in("kim.iris@users.test", PASSWORD).await));
    // Letters that some fold into those of the address: the Kelvin sign, i with and without its dot, letters of full width.
    for email in
        ["\u{212a}im.iris@users.test", "k\u{131}m.iris@users.test", "k\u{130}m.iris@users.test", "ｋim.iris@users.test"]
    {
        assert!(matches!(reception.log_in(email, PASSWORD).await, Err(Error::Unauthorized)), "{email} is nobody's");
    }
}
