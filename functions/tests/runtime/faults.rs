//! The short form of `cargo xtask faults`: a round of some kinds, and each defect.

use std::path::Path;

use testkit::faults::{self, Build, Kind, Options};

#[test]
fn a_build_with_debug_assertions_can_be_stopped() {
    let sender = std::fs::read(env!("CARGO_BIN_EXE_sender")).unwrap();
    // As `cargo xtask package` looks for it, where none may be.
    let name = b"FAULT_POINTS";
    assert_eq!(sender.windows(name.len()).any(|window| window == name), cfg!(debug_assertions));
}

fn build(defect: Option<&str>) -> Build {
    let binaries = Path::new(env!("CARGO_BIN_EXE_sender")).parent().unwrap().to_owned();
    Build { binaries, defect: defect.map(str::to_owned) }
}

async fn nothing_is_violated_by(kinds: &[Kind]) {
    let messages = Kind::ALL.len() * 12;
    let options = Options { messages, seed: 7, kinds: kinds.to_vec(), workers: 1, until_violated: false };
    let report = faults::run(&build(None), &options, &|_| ()).await;
    let violations: Vec<(Kind, &str)> = report.violations().collect();
    assert!(violations.is_empty(), "{violations:#?}");
    for kind in kinds {
        assert!(report.of(*kind).is_some_and(|ledger| ledger.injected > 0), "{kind} was not injected");
    }
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn the_ledger_keeps_its_promise_when_senders_are_killed_and_the_provider_mumbles() {
    nothing_is_violated_by(&[Kind::KillInCall, Kind::KillAfterAccept, Kind::SesAcceptReset, Kind::SesGarbage200]).await;
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn the_ledger_keeps_its_promise_when_queue_and_database_fail() {
    nothing_is_violated_by(&[Kind::DbCutAtCommit, Kind::QueueTriple, Kind::QueueLost10, Kind::EventsShuffled]).await;
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn the_ledger_keeps_its_promise_when_the_database_is_restored_or_migrated() {
    nothing_is_violated_by(&[Kind::DbRestoredOneHour, Kind::MigrateDuringSend]).await;
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn the_ledger_keeps_its_promise_when_two_work_at_once() {
    nothing_is_violated_by(&[Kind::SchedulerTwice, Kind::QueueVisibility, Kind::EnrollTwice]).await;
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn the_ledger_keeps_its_promise_when_processes_stop_where_it_hurts() {
    let kinds = [
        Kind::KillBeforeClaim,
        Kind::KillAfterClaim,
        Kind::KillAfterRecord,
        Kind::KillBeforeAck,
        Kind::KillSchedulerAfterCommit,
        Kind::KillFeedback,
    ];
    nothing_is_violated_by(&kinds).await;
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn the_ledger_keeps_its_promise_when_people_stop_a_mail_that_is_on_its_way() {
    nothing_is_violated_by(&[Kind::RaceUnsubscribe, Kind::RaceSuppress, Kind::RacePause, Kind::RaceReply]).await;
}

#[tokio::test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no points to stop in")]
async fn each_defect_is_found() {
    for (defect, kinds) in faults::DEFECTS {
        let found = faults::find(&build(Some(defect)), 1, kinds).await;
        assert!(found.is_some(), "{defect} was not found with {} seeds", faults::MOST_SEEDS);
    }
}
