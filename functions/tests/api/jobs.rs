use axum::http::Method;
use functions::api::jobs;

use crate::app::App;

#[tokio::test]
async fn jobs_are_listed_and_an_unknown_one_is_not_found() {
    let app = App::new().await;
    let db = app.scene.db.app();
    let page = app.sample(jobs::router(db.clone()), "jobs/list", &[]).await.expect(200);
    assert_eq!(page.body, serde_json::json!({"data": [], "next_cursor": null}));
    assert_eq!(page.headers["x-request-id"], "sample-jobs-list");
    for path in ["/v1/jobs/00000000-0000-7000-8000-000000000000", "/v1/jobs/nonsense"] {
        let missing = app.send(jobs::router(db.clone()), Method::GET, path, None).await.expect(404);
        assert_eq!(missing.text("/code"), "not_found");
    }
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_answered() {
    let app = App::new().await;
    let db = app.scene.db.app();
    for key in [None, Some("mk_live_nonsense"), Some("sk_other"), Some(&*format!("mk_live_{}", "a".repeat(58)))] {
        let refused = app.send_as(jobs::router(db.clone()), Method::GET, "/v1/jobs", None, key).await.expect(401);
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        assert_eq!(refused.text("/code"), "unauthorized");
    }
}

#[tokio::test]
async fn a_job_is_shown_with_its_times() {
    let app = App::new().await;
    let id = shared::JobId::fresh();
    let job = "insert into jobs (organization_id, id, kind, subject_id, state, completed_at)
               values ($1, $2, 'campaign_activation', $2, 'completed', '2026-03-04 10:00:00.123456+00')";
    app.scene.run(job, &[&app.scene.organization, &id]).await;
    let id = id.to_string();
    let shown = app.sample(jobs::router(app.scene.db.app()), "jobs/find", &[("JOB_ID", &id)]).await.expect(200);
    assert_eq!(shown.text("/completed_at"), "2026-03-04T10:00:00.123Z");
}
