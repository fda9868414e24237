//! The organization's counts of each day.

use axum::http::Method;
use functions::api::analytics;
use serde_json::{Value, json};
use testkit::scene::CampaignScene;

use crate::app::{Answer, App};

/// What two campaigns have done on two days, half of it folded.
async fn counted() -> (App, CampaignScene, CampaignScene) {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 30).await;
    let first = app.scene.draft_campaign(0, &[sender], 2, 100).await;
    let second = app.scene.draft_campaign(0, &[sender], 1, 100).await;
    for (table, day, campaign, step) in [
        ("daily_stats", "2026-03-02", &first, 0),
        ("daily_stats_deltas", "2026-03-02", &first, 1),
        ("daily_stats_deltas", "2026-03-04", &first, 0),
        ("daily_stats", "2026-03-04", &second, 0),
        ("daily_stats", "2026-01-01", &second, 0),
    ] {
        let insert = format!(
            "insert into {table} (organization_id, day, campaign_id, step_id, sender_id, sent, delivered, opened)
             values ($1, '{day}', $2, $3, $4, 4, 3, 1)"
        );
        app.scene.run(&insert, &[&app.scene.organization, &campaign.campaign, &campaign.steps[step], &sender]).await;
    }
    (app, first, second)
}

async fn get(app: &App, query: &str) -> Answer {
    let path = format!("/v1/analytics/daily{query}");
    app.send(analytics::router(app.scene.db.app()), Method::GET, &path, None).await
}

fn sent(answer: &Answer) -> Vec<(String, i64)> {
    let days = answer.body["days"].as_array().unwrap().iter();
    days.map(|day| (day["day"].as_str().unwrap().to_owned(), day["sent"].as_i64().unwrap()))
        .filter(|(_, sent)| *sent != 0)
        .collect()
}

fn of(days: &[(&str, i64)]) -> Vec<(String, i64)> {
    days.iter().map(|(day, sent)| ((*day).to_owned(), *sent)).collect()
}

#[tokio::test]
async fn every_day_is_there_and_what_is_not_folded_counts_too() {
    let (app, ..) = counted().await;
    let router = analytics::router(app.scene.db.app());
    let answer = app.sample(router, "analytics/daily", &[]).await.expect(200);
    assert_eq!(answer.body["days"].as_array().unwrap().len(), 30);
    assert_eq!((answer.text("/from"), answer.text("/to")), ("2026-02-03", "2026-03-04"));
    assert_eq!(answer.body["days"][0]["sent"], 0);
    assert_eq!(sent(&answer), of(&[("2026-03-02", 8), ("2026-03-04", 8)]));
    let totals = &answer.body["totals"];
    assert_eq!((&totals["sent"], &totals["follow_ups_sent"]), (&json!(16), &json!(4)));
    assert_eq!((&totals["rates"]["delivered"], &totals["rates"]["opened"]), (&json!(0.75), &json!(0.3333)));
    // Without a period, the last thirty days by people's clock.
    assert_eq!(get(&app, "").await.expect(200).body, answer.body);
}

#[tokio::test]
async fn the_counts_are_those_of_what_is_asked_for() {
    let (app, first, second) = counted().await;
    let campaign = get(&app, &format!("?campaign_id={}", first.campaign)).await.expect(200);
    assert_eq!(sent(&campaign), of(&[("2026-03-02", 8), ("2026-03-04", 4)]));
    let step = get(&app, &format!("?step_id={}", first.steps[1])).await.expect(200);
    assert_eq!(sent(&step), of(&[("2026-03-02", 4)]));
    let none = get(&app, &format!("?campaign_id={}&step_id={}", second.campaign, first.steps[1])).await.expect(200);
    assert_eq!(sent(&none), of(&[]));
    assert_eq!(none.body["totals"]["rates"]["opened"], Value::Null);
    let sender = get(&app, &format!("?sender_id={}&from=2026-01-01&to=2026-01-01", first.senders[0])).await.expect(200);
    assert_eq!(sent(&sender), of(&[("2026-01-01", 4)]));
}

#[tokio::test]
async fn a_period_that_cannot_be_shown_is_refused() {
    let (app, ..) = counted().await;
    for (query, code) in [
        ("?from=2026-03-05&to=2026-03-04", "after_end"),
        ("?from=2025-03-03&to=2026-03-04", "too_many_days"),
        ("?from=0001-01-01&to=0001-01-02", "out_of_range"),
    ] {
        assert_eq!(get(&app, query).await.expect(422).text("/errors/0/code"), code, "{query}");
    }
    for query in ["?from=yesterday", "?to=2026-02-30", "?campaign_id=1", "?day=2026-03-04", "?from=%00", "?limit=5"] {
        get(&app, query).await.expect(400);
    }
}

#[tokio::test]
async fn nobody_and_nobody_else_sees_them() {
    let (app, first, _) = counted().await;
    let (other, _) = app.scene.another_organization("other").await;
    let key = app.scene.api_key_of(other).await;
    let router = || analytics::router(app.scene.db.app());
    for path in ["/v1/analytics/daily".to_owned(), format!("/v1/analytics/daily?campaign_id={}", first.campaign)] {
        app.send_as(router(), Method::GET, &path, None, None).await.expect(401);
        let answer = app.send_as(router(), Method::GET, &path, None, Some(&key)).await.expect(200);
        assert_eq!(sent(&answer), of(&[]));
    }
}
