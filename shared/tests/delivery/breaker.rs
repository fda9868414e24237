//! The circuit breaker of the provider account.

use futures_util::stream::{FuturesUnordered, StreamExt};
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::Answer;

use crate::stage::Stage;

async fn planned(people: usize) -> (Stage, Vec<MessageKey>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(people, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage.queue.drain();
    let messages = stage.messages().await;
    (stage, messages)
}

fn unclear() -> Answer {
    Answer::Unclear("reset".to_owned())
}

async fn breaker(stage: &Stage) -> (String, i32) {
    let rows = stage.scene.rows("select breaker, failures from provider_accounts", &[]).await;
    (rows[0].get(0), rows[0].get(1))
}

async fn open(stage: &Stage) {
    stage.scene.run("update provider_accounts set breaker = 'open', probe_at = now() + interval '1 minute'", &[]).await;
}

async fn let_a_probe_through(stage: &Stage) {
    stage.scene.run("update provider_accounts set probe_at = now()", &[]).await;
}

#[tokio::test]
async fn five_answers_in_a_row_without_an_outcome_open_it() {
    let (stage, messages) = planned(12).await;
    stage.mailer.answer_next((0..5).map(|_| unclear()));
    for message in &messages[..4] {
        stage.deliver(&[*message]).await;
        assert_eq!(breaker(&stage).await.0, "closed");
    }
    stage.deliver(&messages[4..5]).await;
    assert_eq!(breaker(&stage).await.0, "open");
    let delivered = stage.deliver(&messages[5..]).await;
    assert_eq!(delivered.counts.get("postponed"), Some(&7));
    assert_eq!(stage.mailer.handed().len(), 5, "open: nothing is handed over");
    assert_eq!(stage.scene.states().await, "scheduled=7 unknown=5");
    assert_eq!(stage.slots_used("sender").await, 12, "and the slots are kept");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_definite_answer_ends_the_row() {
    let (stage, messages) = planned(12).await;
    stage.mailer.answer_next((0..3).map(|_| unclear()));
    stage.deliver(&messages[..3]).await;
    assert_eq!(breaker(&stage).await, ("closed".to_owned(), 3));
    // Answered in the order of their ids: accepted, unclear, unclear.
    let mut batch = messages[3..6].to_vec();
    batch.sort_unstable();
    stage.mailer.always_answer(batch[1].id, unclear());
    stage.mailer.always_answer(batch[2].id, unclear());
    stage.deliver(&batch).await;
    assert_eq!(breaker(&stage).await, ("closed".to_owned(), 2), "two in a row, not five");
    stage.deliver(&messages[6..7]).await;
    assert_eq!(breaker(&stage).await, ("closed".to_owned(), 0));
}

#[tokio::test]
async fn of_many_workers_one_makes_the_probe_and_its_success_closes_the_breaker() {
    let (stage, messages) = planned(12).await;
    open(&stage).await;
    let_a_probe_through(&stage).await;
    // The probe is answered after the other five have ended: until then the breaker is open to all of them.
    let silence = stage.mailer.fall_silent().await;
    let mut workers: FuturesUnordered<_> = messages.chunks(2).map(|hints| stage.deliver(hints)).collect();
    for _ in 0..5 {
        workers.next().await;
    }
    assert_eq!(breaker(&stage).await.0, "open");
    drop(silence);
    workers.next().await;
    assert_eq!(stage.mailer.handed().len(), 1);
    assert_eq!(breaker(&stage).await.0, "closed");
    assert_eq!(stage.scene.states().await, "scheduled=11 sent=1");
    let soon =
        "select count(*) from messages where state = 'scheduled' and enqueue_again_at <= now() + interval '1 minute'";
    assert_eq!(stage.scene.number(soon, &[]).await, 11, "the others come as soon as the account sends again");
    stage.pass_machine_time().await;
    stage.sweep().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=12");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_probe_without_an_outcome_leaves_the_breaker_open() {
    let (stage, messages) = planned(3).await;
    open(&stage).await;
    let_a_probe_through(&stage).await;
    stage.mailer.answer_next([unclear()]);
    stage.deliver(&messages).await;
    stage.deliver(&messages).await;
    assert_eq!(stage.mailer.handed().len(), 1);
    assert_eq!(breaker(&stage).await.0, "open");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_closed_account_opens_it_at_once() {
    let (stage, messages) = planned(3).await;
    stage.mailer.answer_next([Answer::AccountClosed("SendingPausedException".to_owned())]);
    stage.deliver(&messages[..1]).await;
    assert_eq!(breaker(&stage).await.0, "open");
    stage.deliver(&messages[1..]).await;
    assert_eq!(stage.mailer.handed().len(), 1);
    assert_eq!(stage.scene.states().await, "scheduled=3");
    assert_eq!(stage.slots_used("sender").await, 3);
    stage.check("at the end").await;
}

#[tokio::test]
async fn hints_of_messages_that_may_not_go_use_up_no_probe() {
    let (stage, messages) = planned(4).await;
    stage.deliver(&messages[..1]).await;
    let stopped = "update enrollments set status = 'stopped', stop_reason = 'removed', waiting_message_id = null
                    where id = (select enrollment_id from messages where id = $1)";
    let mut rest = messages[1..].to_vec();
    rest.sort_unstable();
    stage.scene.run(stopped, &[&rest[0].id]).await;
    open(&stage).await;
    let_a_probe_through(&stage).await;
    stage.deliver(&messages[..1]).await;
    stage.deliver(&rest).await;
    assert_eq!(stage.mailer.handed().len(), 2, "the first that may go is the probe");
    assert_eq!(breaker(&stage).await.0, "closed");
}

#[tokio::test]
async fn a_long_outage_does_not_make_the_waits_after_it_long() {
    let (stage, messages) = planned(2).await;
    open(&stage).await;
    stage.scene.run("update messages set enqueue_interval = interval '6 hours'", &[]).await;
    stage.deliver(&messages).await;
    let waits = "select count(*) from messages where enqueue_interval = interval '5 minutes' and enqueue_again_at <= now() + interval '1 minute'";
    assert_eq!(stage.scene.number(waits, &[]).await, 2);
}

#[tokio::test]
async fn while_it_is_open_nothing_more_is_planned() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(10, &[sender], 1, 4).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    assert_eq!(stage.tick().await.granted, 4);
    stage.scene.run("update campaign_settings set daily_limit = 1000", &[]).await;
    open(&stage).await;
    assert_eq!(stage.tick().await.granted, 0, "the others stay due instead of growing too late with a slot");
    let_a_probe_through(&stage).await;
    assert_eq!(stage.tick().await.granted, 0, "four wait to be the probe");
    stage.deliver_queued().await;
    assert_eq!(breaker(&stage).await.0, "closed");
    assert_eq!(stage.tick().await.granted, 6);
    stage.check("at the end").await;
}

#[tokio::test]
async fn where_nothing_is_left_to_probe_with_one_mail_is_planned() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(10, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    open(&stage).await;
    let_a_probe_through(&stage).await;
    assert_eq!(stage.tick().await.granted, 1);
    assert_eq!(stage.tick().await.granted, 0, "one is enough");
    stage.mailer.answer_next([Answer::AccountClosed("SendingPausedException".to_owned())]);
    stage.deliver_queued().await;
    assert_eq!(breaker(&stage).await.0, "open");
    assert_eq!(stage.tick().await.granted, 0, "it is still there for the next probe");
    let_a_probe_through(&stage).await;
    stage.pass_machine_time().await;
    stage.sweep().await;
    stage.deliver_queued().await;
    assert_eq!(breaker(&stage).await.0, "closed");
    assert_eq!(stage.tick().await.granted, 9);
    stage.check("at the end").await;
}

#[tokio::test]
async fn in_a_storm_of_throttles_every_hint_is_acknowledged_and_soon_after_it_everything_is_sent() {
    let (stage, messages) = planned(40).await;
    for message in &messages {
        stage.mailer.always_answer(message.id, Answer::Later("TooManyRequestsException".to_owned()));
    }
    let longest = "select coalesce(max(extract(epoch from enqueue_again_at - now())), 0)::bigint
                     from messages where state = 'scheduled'";
    // Ten minutes of it, a minute a round.
    for round in 0..10 {
        for hints in messages.chunks(10) {
            let delivered = stage.deliver(hints).await;
            assert_eq!(delivered.unrecorded, [], "nothing goes back to the queue, nor to the dead letters");
        }
        assert_eq!(breaker(&stage).await, ("closed".to_owned(), 0), "the account works");
        assert!(stage.scene.number(longest, &[]).await <= 45, "in round {round}");
        stage.pass_machine_time().await;
    }
    assert_eq!(stage.scene.states().await, "scheduled=40");
    assert_eq!(stage.mailer.handed().len(), 400);
    for message in &messages {
        stage.mailer.always_answer(message.id, Answer::Accepted(format!("ses-{}", message.id)));
    }
    // The longest wait and the sweeper's minute are within two.
    stage.sweep().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=40");
    assert_eq!(stage.mailer.accepted().len(), 40);
    stage.check("at the end").await;
}
