//! The way of a mail through the binaries: the tick plans and enqueues, the sender hands over and records.

use std::path::Path;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::aws_stand_in::MailAnswer;
use testkit::installation::SEND_QUEUE;
use testkit::runtime_api::{Environment, Outcome, events};
use testkit::{Installation, Scene};

const SCHEDULER: &str = env!("CARGO_BIN_EXE_scheduler");
const SENDER: &str = env!("CARGO_BIN_EXE_sender");

async fn scene(people: usize) -> Scene {
    let scene = Scene::new().await;
    let sender = scene.sender(1, 1_000, 0).await;
    let campaign = scene.running_campaign(people, &[sender], 1, 1_000).await;
    scene.run("update campaign_settings set gap_seconds = 0 where campaign_id = $1", &[&campaign.campaign]).await;
    scene
}

async fn start(functions: &Installation<'_>, name: &str, binary: impl AsRef<Path>) -> Environment {
    functions.function(name, binary).start().await
}

/// Runs the scheduler once and returns what it has enqueued.
async fn tick(functions: &Installation<'_>) -> Vec<Value> {
    let scheduler = start(functions, "scheduler", SCHEDULER).await;
    scheduler.invoke(&events::tick()).await.outcome.answer();
    let hints = functions.aws.drain_queue(SEND_QUEUE);
    hints.iter().map(|hint| serde_json::from_str(&hint.body).unwrap()).collect()
}

#[tokio::test]
async fn what_is_due_is_planned_handed_over_once_and_recorded() {
    let scene = scene(12).await;
    let functions = Installation::new(&scene.db).await;
    let hints = tick(&functions).await;
    assert_eq!(hints.len(), 12);
    let sender = start(&functions, "sender", SENDER).await;
    // Each hint comes twice, as a queue may bring it.
    for batch in hints.chunks(10).chain(hints.chunks(10)) {
        let answer = sender.invoke(&events::queue_batch(batch)).await.outcome.answer();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let mails = functions.aws.mails();
    assert_eq!(mails.len(), 12);
    assert!(mails.iter().all(|mail| mail.accepted && mail.tags.contains_key("attempt")), "{mails:#?}");
    assert_eq!(scene.states().await, "sent=12");
}

#[tokio::test]
async fn a_sender_killed_while_the_provider_holds_its_mail_leaves_it_to_be_found_and_is_replaced() {
    let scene = scene(2).await;
    let functions = Installation::new(&scene.db).await;
    let hints = tick(&functions).await;
    functions.aws.answer_next_mails([MailAnswer::AcceptAndHang]);
    let sender = start(&functions, "sender", SENDER).await;
    let event = events::queue_batch(&hints[..1]);
    let invocation = sender.invoke(&event);
    let handed_over = async {
        functions.aws.mail_arrives(1).await;
        sender.kill();
    };
    let (invocation, ()) = futures_util::future::join(invocation, handed_over).await;
    assert!(matches!(invocation.outcome, Outcome::Ended(_)), "{:?}", invocation.outcome);
    assert_eq!(scene.states().await, "scheduled=1 sending=1");
    // The queue brings the hint again, and the one whose outcome nobody knows is not sent again.
    let sender = start(&functions, "sender", SENDER).await;
    sender.invoke(&events::queue_batch(&hints)).await.outcome.answer();
    assert_eq!(functions.aws.mails().len(), 2);
    assert_eq!(scene.states().await, "sending=1 sent=1");
}

#[tokio::test]
async fn several_environments_with_the_same_hints_hand_each_mail_over_once() {
    let scene = scene(10).await;
    let functions = Installation::new(&scene.db).await;
    let event = events::queue_batch(&tick(&functions).await);
    let senders = join_all((0..4).map(|_| start(&functions, "sender", SENDER))).await;
    let invocations = join_all(senders.iter().map(|sender| sender.invoke(&event))).await;
    for invocation in invocations {
        assert_eq!(invocation.outcome.answer(), json!({ "batchItemFailures": [] }));
    }
    assert_eq!(functions.aws.mails().len(), 10);
    assert_eq!(scene.states().await, "sent=10");
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_the_outcome_unknown() {
    let scene = scene(2).await;
    let functions = Installation::new(&scene.db).await;
    let hints = tick(&functions).await;
    functions.aws.answer_next_mails([MailAnswer::AcceptAndBreakOff, MailAnswer::AcceptAndMumble]);
    let sender = start(&functions, "sender", SENDER).await;
    sender.invoke(&events::queue_batch(&hints)).await.outcome.answer();
    assert_eq!(functions.aws.mails().len(), 2);
    assert_eq!(scene.states().await, "unknown=2");
}
