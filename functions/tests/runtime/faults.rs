//! The short form of `cargo xtask faults`: a round of some kinds, with the functions as every build has them; and with the build
//! that has points to stop in (`cargo xtask test` runs this file once more with it), the other kinds, and each defect.

use std::path::Path;

use testkit::faults::{self, Build, Kind, Options};

#[test]
fn a_build_that_was_not_asked_for_points_contains_nothing_of_them() {
    let sender = std::fs::read(env!("CARGO_BIN_EXE_sender")).unwrap();
    let name = b"FAULT_POINTS";
    let contains = sender.windows(name.len()).any(|window| window == name);
    assert_eq!(contains, cfg!(fault_points));
}

fn build(defect: Option<&str>) -> Build {
    let binaries = Path::new(env!("CARGO_BIN_EXE_sender")).parent().unwrap().to_owned();
    Build { binaries, has_points: cfg!(fault_points), defect: defect.map(str::to_owned) }
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
async fn the_ledger_keeps_its_promise_when_senders_are_killed_and_the_provider_mumbles() {
    nothing_is_violated_by(&[Kind::KillInCall, Kind::KillAfterAccept, Kind::SesAcceptReset, Kind::SesGarbage200]).await;
}

#[tokio::test]
async fn the_ledger_keeps_its_promise_when_queue_and_database_fail() {
    nothing_is_violated_by(&[Kind::DbCutAtCommit, Kind::QueueTriple, Kind::QueueLost10, Kind::EventsShuffled]).await;
}

#[tokio::test]
async fn the_ledger_keeps_its_promise_when_the_database_is_restored_or_migrated() {
    nothing_is_violated_by(&[Kind::DbRestoredOneHour, Kind::MigrateDuringSend]).await;
}

#[tokio::test]
async fn the_ledger_keeps_its_promise_when_two_work_at_once() {
    nothing_is_violated_by(&[Kind::SchedulerTwice, Kind::QueueVisibility, Kind::EnrollTwice]).await;
}

#[cfg(fault_points)]
#[tokio::test]
async fn the_ledger_keeps_its_promise_when_processes_stop_where_it_hurts() {
    let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| kind.needs_points()).collect();
    nothing_is_violated_by(&kinds).await;
}

#[cfg(fault_points)]
#[tokio::test]
async fn each_defect_is_found() {
    for (defect, kinds) in faults::DEFECTS {
        let found = faults::find(&build(Some(defect)), 1, kinds).await;
        assert!(found.is_some(), "{defect} was not found with {} seeds", faults::MOST_SEEDS);
    }
}
