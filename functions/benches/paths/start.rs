//! An API function against a bare one with one prepared query: warm, at its first answer, and in memory.

use std::time::{Duration, Instant};

use serde_json::Value;
use shared::db::Config;
use testkit::installation::Installation;
use testkit::runtime_api::{Environment, Function, events};
use testkit::{Scene, TestDb};

use crate::rounds::{Figure, Target, middle, progress, times};
use crate::{Options, echo};

/// Warm invocations of each function in a round.
const INVOCATIONS: usize = 200;
/// Starts of each function in a round.
const STARTS: usize = 5;
const MEMORY_MEGABYTES: f64 = 25.0;

pub(crate) async fn measure(options: &Options) -> Vec<Figure> {
    let scene = Scene::new().await;
    let contact = scene.contacts(1).await[0];
    let event = events::http_request("GET", &format!("/v1/contacts/{contact}"), Some(&scene.api_key().await), None);
    let functions = Installation::new(&scene.db).await;
    let ours = functions.function("contacts", env!("CARGO_BIN_EXE_contacts"));
    let bare = bare(&scene.db);
    let (ours_warm, bare_warm) = (ours.start().await, bare.start().await);
    // What is prepared and cached by the first is not the warm path.
    warm(&ours_warm, &event).await;
    warm(&bare_warm, &event).await;
    let (mut warm_ratios, mut first_ratios, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let mut shown = Vec::new();
    for round in 1..=options.rounds {
        let (bare_time, our_time) = (warm(&bare_warm, &event).await, warm(&ours_warm, &event).await);
        let (mut bare_first, mut our_first) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            bare_first.push(first(&bare, &event).await);
            our_first.push(first(&ours, &event).await);
        }
        let (bare_first, our_first) = (middle(&bare_first), middle(&our_first));
        progress(&format!(
            "start, round {round}: warm {bare_time:.2?} and {our_time:.2?}, first {bare_first:.2?} and {our_first:.2?}"
        ));
        warm_ratios.push(times(our_time, bare_time));
        first_ratios.push(times(our_first, bare_first));
        memory.push(megabytes(&ours_warm) / MEMORY_MEGABYTES);
        shown.push((our_time, our_first));
    }
    let warm_note = format!("{:.2?} a request", middle(&shown.iter().map(|(warm, _)| *warm).collect::<Vec<_>>()));
    let first_note = format!("{:.1?}", middle(&shown.iter().map(|(_, first)| *first).collect::<Vec<_>>()));
    let memory_note = format!("{:.1} MiB, and {:.1} of the bare one", megabytes(&ours_warm), megabytes(&bare_warm));
    vec![
        Figure::new("start", "a warm request beside a bare function's", Target::AtMost(2.0), warm_ratios)
            .note(warm_note),
        Figure::new("start.first", "first answer after the start", Target::AtMost(3.0), first_ratios).note(first_note),
        Figure::new("start.memory", "peak memory beside 25 MiB", Target::AtMost(1.0), memory).note(memory_note),
    ]
}

fn bare(db: &TestDb) -> Function {
    let Config { host, port, dbname, user, password, .. } = db.config("martlet_app");
    let program = std::env::current_exe().unwrap();
    Function::new("bare", program)
        .argument(echo::ARGUMENT)
        .variable(echo::DATABASE, format!("host={host} port={port} dbname={dbname} user={user} password={password}"))
}

/// The median time of warm invocations.
async fn warm(environment: &Environment, event: &Value) -> Duration {
    let mut took = Vec::with_capacity(INVOCATIONS);
    for _ in 0..INVOCATIONS {
        let invocation = environment.invoke(event).await;
        assert_eq!(invocation.outcome.answer()["statusCode"], 200);
        took.push(invocation.took);
    }
    middle(&took)
}

/// From the start of the process to its first answer.
async fn first(function: &Function, event: &Value) -> Duration {
    let begun = Instant::now();
    let environment = function.start().await;
    assert_eq!(environment.invoke(event).await.outcome.answer()["statusCode"], 200);
    begun.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn megabytes(environment: &Environment) -> f64 {
    environment.peak_memory().unwrap() as f64 / f64::from(1 << 20)
}
