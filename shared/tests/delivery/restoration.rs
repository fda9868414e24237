//! A database that was restored to an earlier time: nothing that may have left is sent again by itself.

use chrono::Duration;
use shared::Error;
use shared::delivery::feedback::EventKind;
use shared::delivery::messages::MessageKey;
use shared::delivery::restoration::{self, Memory as _, Standing};
use testkit::FakeMemory;
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

impl Stage {
    async fn confirm(&self, memory: &FakeMemory) -> Result<Standing, Error> {
        restoration::confirm(&self.worker("martlet_scheduler"), memory, Duration::zero()).await
    }

    /// So much of the machine's time passes, as far as the confirmation goes.
    async fn age_confirmation(&self, interval: &str) {
        self.scene
            .run(&format!("update ledger_runs set confirmed_at = confirmed_at - interval '{interval}'"), &[])
            .await;
    }

    async fn codes(&self) -> String {
        let sql = "select coalesce(string_agg(distinct concat_ws('/', state, outcome_code), ' '), '') from messages";
        self.scene.rows(sql, &[]).await[0].get(0)
    }
}

/// Two of three people are due, and the third in three hours.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(3, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let later = "update enrollments set next_due_at = clock_now() + interval '3 hours'
                  where contact_id = (select id from contacts where email = 'person3@people.test')";
    stage.scene.run(later, &[]).await;
    stage
}

#[tokio::test]
async fn each_run_counts_one_up_and_is_remembered() {
    let (stage, memory) = (stage().await, FakeMemory::default());
    for runs in 1..=3 {
        assert_eq!(stage.confirm(&memory).await.unwrap(), Standing::default());
        assert_eq!(memory.runs(), Some(runs));
        assert_eq!(stage.scene.number("select runs from ledger_runs", &[]).await, runs);
    }
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=2");
}

#[tokio::test]
async fn what_may_have_left_since_the_backup_waits_for_a_person() {
    let (mut stage, memory) = (stage().await, FakeMemory::default());
    stage.confirm(&memory).await.unwrap();
    let backup = stage.scene.backup().await;
    stage.confirm(&memory).await.unwrap();
    stage.tick().await;
    let hints = stage.queue.drain();
    stage.deliver(&hints).await;
    let sent = stage.messages().await;
    assert_eq!(stage.mailer.handed().len(), 2);
    stage.scene.restore(&backup).await;

    assert_eq!(stage.scene.states().await, "", "it knows nothing of the two");
    let standing = stage.confirm(&memory).await.unwrap();
    assert_eq!(standing, Standing { is_restored: true, held: 2 });
    assert_eq!(stage.codes().await, "review/database_restored");
    assert_eq!(stage.messages().await, sent, "under the ids that stand in the mails");
    assert_eq!((memory.runs(), stage.scene.number("select runs from ledger_runs", &[]).await), (Some(3), 3));
    assert_eq!(stage.scene.number("select count(*) from ledger_runs where restored_at is not null", &[]).await, 1);

    assert_eq!(stage.tick().await.granted, 0);
    stage.deliver(&hints).await;
    stage.sweep().await;
    stage.pass_machine_time().await;
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 2, "nothing goes twice");
    assert_eq!(stage.slots_used("sender").await, 2, "what may have left is counted");
    stage.check("while held").await;

    let delivered = stage.event(sent[0], EventKind::Delivered).await;
    stage.apply(&[delivered]).await;
    assert_eq!(stage.scene.states().await, "review=1 sent=1", "a report that still comes says what became of it");
    assert_eq!(stage.confirm(&memory).await.unwrap(), Standing::default(), "and from now on it is the newest");
    stage.at(wednesday_morning() + Duration::hours(3)).await;
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), 3, "whoever is due after that is written to");
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_was_planned_at_the_backup_is_held_too_and_paused_campaigns_are() {
    let (stage, memory) = (stage().await, FakeMemory::default());
    stage.confirm(&memory).await.unwrap();
    memory.keep(7).await.unwrap();
    stage.tick().await;
    let hints = stage.queue.drain();
    let other = stage.scene.sender(2, 2, 0).await;
    stage.scene.running_campaign(2, &[other], 1, 2).await;
    stage
        .scene
        .run("update campaigns set status = 'paused' where id not in (select campaign_id from messages)", &[])
        .await;
    let standing = stage.confirm(&memory).await.unwrap();
    assert_eq!(standing, Standing { is_restored: true, held: 4 });
    stage.deliver(&hints).await;
    assert_eq!((stage.mailer.handed().len(), stage.scene.states().await.as_str()), (0, "review=4"));
    stage.check("while held").await;
}

#[tokio::test]
async fn a_ledger_that_was_not_confirmed_lately_sends_nothing_and_loses_nothing() {
    let (stage, memory) = (stage().await, FakeMemory::default());
    stage.confirm(&memory).await.unwrap();
    stage.tick().await;
    let hints: Vec<MessageKey> = stage.queue.drain();
    stage.age_confirmation("6 minutes").await;
    memory.make_unreadable(true);
    assert!(matches!(stage.confirm(&memory).await, Err(Error::Unavailable(_))));
    stage.deliver(&hints).await;
    assert_eq!((stage.mailer.handed().len(), stage.scene.states().await.as_str()), (0, "scheduled=2"));
    let later = "update enrollments set next_due_at = clock_now() where next_due_at is not null";
    stage.scene.run(later, &[]).await;
    assert_eq!(stage.tick().await.granted, 0, "nor is anything planned");
    memory.make_unreadable(false);
    stage.confirm(&memory).await.unwrap();
    stage.deliver(&hints).await;
    assert_eq!(stage.scene.states().await, "sent=2");
    assert_eq!(stage.tick().await.granted, 1);
}

#[tokio::test]
async fn of_a_backlog_as_many_are_held_as_may_have_had_their_turn() {
    let (stage, memory) = (Stage::new().await, FakeMemory::default());
    let sender = stage.scene.sender(1, 1_000, 60).await;
    stage.scene.running_campaign(30, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 60", &[]).await;
    stage.confirm(&memory).await.unwrap();
    stage.age_confirmation("10 minutes").await;
    memory.keep(7).await.unwrap();
    let standing = stage.confirm(&memory).await.unwrap();
    assert_eq!(standing, Standing { is_restored: true, held: 12 }, "one a minute, and one at either end");
    let first = "select count(*) from enrollments e join contacts c on c.id = e.contact_id
                  where e.waiting_message_id is not null and e.next_due_at is null";
    assert_eq!(stage.scene.number(first, &[]).await, 12);
    stage.check("while held").await;
}

#[tokio::test]
async fn a_memory_that_can_t_be_written_confirms_nothing_and_holds_nothing_later() {
    let (stage, memory) = (stage().await, FakeMemory::default());
    stage.confirm(&memory).await.unwrap();
    stage.age_confirmation("4 minutes").await;
    memory.make_unwritable(true);
    stage.confirm(&memory).await.unwrap_err();
    assert_eq!(stage.scene.number("select runs from ledger_runs", &[]).await, 2, "it was counted all the same");
    let old = "select count(*) from ledger_runs where confirmed_at < now() - interval '3 minutes'";
    assert_eq!(stage.scene.number(old, &[]).await, 1);
    memory.make_unwritable(false);
    assert_eq!(stage.confirm(&memory).await.unwrap(), Standing::default(), "the database is ahead, never behind");
}
