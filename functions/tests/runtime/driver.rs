//! The driver itself: what it makes of a function that fails, ends or hangs, and that nothing is left of it.

use std::time::Duration;

use serde_json::json;
use testkit::runtime_api::{Outcome, events};
use testkit::{Installation, Scene};

#[tokio::test]
async fn an_event_that_a_function_can_not_read_is_its_error_and_the_next_one_is_answered() {
    let scene = Scene::new().await;
    let functions = Installation::new(&scene.db).await;
    let sender = functions.function("sender", env!("CARGO_BIN_EXE_sender")).start().await;
    let outcome = sender.invoke(&json!({ "Records": "none" })).await.outcome;
    assert!(matches!(&outcome, Outcome::Failed(failure) if !failure.error_message.is_empty()), "{outcome:?}");
    let answer = sender.invoke(&events::queue_batch::<()>(&[])).await.outcome.answer();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
}

#[tokio::test]
async fn a_function_that_can_not_start_ends_with_its_reason_in_the_log() {
    let scene = Scene::new().await;
    let functions = Installation::new(&scene.db).await;
    let sender = functions.function("sender", env!("CARGO_BIN_EXE_sender")).variable("REPLY_DOMAIN", "").start().await;
    assert!(sender.ready().await.is_err());
    let outcome = sender.invoke(&events::queue_batch::<()>(&[])).await.outcome;
    assert!(matches!(&outcome, Outcome::Ended(status) if !status.success()), "{outcome:?}");
    assert!(sender.log().contains("REPLY_DOMAIN"), "{}", sender.log());
    assert!(!sender.is_running());
}

#[tokio::test]
async fn a_killed_process_leaves_its_event_to_nobody_and_a_new_one_takes_its_place() {
    let scene = Scene::new().await;
    let functions = Installation::new(&scene.db).await;
    let function = functions.function("sender", env!("CARGO_BIN_EXE_sender"));
    let first = function.start().await;
    first.ready().await.unwrap();
    first.kill();
    assert!(!first.ended().await.success());
    let outcome = first.invoke(&events::queue_batch::<()>(&[])).await.outcome;
    assert!(matches!(outcome, Outcome::Ended(_)), "{outcome:?}");
    // Once more changes nothing.
    first.kill();
    let second = function.start().await;
    second.invoke(&events::queue_batch::<()>(&[])).await.outcome.answer();
}

#[tokio::test]
async fn a_function_that_hangs_is_killed_at_its_timeout() {
    let scene = Scene::new().await;
    let functions = Installation::new(&scene.db).await;
    let key = scene.api_key().await;
    // Whoever holds the lock that it waits for never lets go. A machine that is slow kills it even before it asks for it.
    let owner = scene.db.owner().await;
    owner.batch_execute("begin; lock table contacts in access exclusive mode").await.unwrap();
    let contacts = functions
        .function("contacts", env!("CARGO_BIN_EXE_contacts"))
        .timeout(Duration::from_millis(500))
        .start()
        .await;
    let event = events::http_request("GET", "/v1/contacts", Some(&key), None);
    let outcome = contacts.invoke(&event).await.outcome;
    assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");
    contacts.ended().await;
    assert!(!contacts.is_running());
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_environment() {
    let scene = Scene::new().await;
    let functions = Installation::new(&scene.db).await;
    let sender = functions.function("sender", env!("CARGO_BIN_EXE_sender")).start().await;
    let process = format!("/proc/{}", sender.process_id());
    assert!(sender.is_running());
    drop(sender);
    assert!(!std::path::Path::new(&process).exists());
}
