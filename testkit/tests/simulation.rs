//! The simulator. Alone in its process, since it makes every id follow from a seed.

use serde_json::json;
use testkit::simulation::{Options, simulate};

#[tokio::test]
async fn a_simulation_keeps_every_rule_and_comes_to_the_same_for_a_seed() {
    let options = Options { seed: 7, people: 120, steps: 3, days: 12 };
    let first = simulate(options).await;
    assert_eq!(first.violations.total(), 0, "{}", first.table());
    assert_eq!(first.status, "completed", "{}", first.table());
    let sums = |of: fn(&testkit::simulation::Day) -> i64| first.days.iter().map(of).sum::<i64>();
    let [sent, opened, replied] = [sums(|day| day.sent), sums(|day| day.opened), sums(|day| day.replied)];
    assert!(sent > 300 && opened > 60 && replied > 0, "{}", first.table());
    assert_eq!(first.statistics.totals.sent, sent);

    let again = simulate(options).await;
    assert_eq!(json!(first).to_string(), json!(again).to_string());

    let other = simulate(Options { seed: 8, ..options }).await;
    assert_eq!(other.violations.total(), 0, "{}", other.table());
    assert_ne!(first.digest, other.digest);
}
