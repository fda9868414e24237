use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use functions::api::exports::{self, Exports};
use functions::events::job_runner::{self, JobRunner};
use serde_json::json;
use shared::platform::memberships::Role;
use testkit::{FakeArchiveStore, scene};

use crate::app::App;
use crate::campaigns::Hints;

struct Desk {
    app: App,
    store: Arc<FakeArchiveStore>,
    hints: Arc<Hints>,
    owner: String,
}

impl Desk {
    async fn new() -> Self {
        let app = App::new().await;
        let owner = scene::session(&app.scene.db, app.scene.organization, Role::Owner, false).await;
        Self { app, store: Arc::default(), hints: Arc::default(), owner }
    }

    fn router(&self) -> Router {
        let (store, queue) = (self.store.clone(), self.hints.clone());
        exports::router(Exports { db: self.app.scene.db.app(), store, queue })
    }
}

#[tokio::test]
async fn an_owner_takes_all_data_along() {
    let desk = Desk::new().await;
    let id = desk.app.scene.organization.to_string();
    let fill = [("ORGANIZATION_ID", id.as_str()), ("API_KEY", desk.owner.as_str())];
    let asked = desk.app.sample(desk.router(), "organizations/exports_create", &fill).await.expect(202);
    let (job, location) = (asked.text("/id").to_owned(), asked.headers["location"].to_str().unwrap().to_owned());
    assert_eq!(location, format!("/v1/organizations/{id}/exports/{job}"));
    assert_eq!((asked.text("/kind"), asked.text("/state")), ("organization_export", "pending"));
    let poll =
        async || desk.app.send_as(desk.router(), Method::GET, &location, None, Some(&desk.owner)).await.expect(200);
    assert_eq!(poll().await.body["download_url"], json!(null));
    let runner = JobRunner::new(desk.app.scene.db.app(), desk.hints.clone(), desk.store.clone());
    let text = include_str!("../../../events/job_runner/run.json").replace("${ORGANIZATION_ID}", &id);
    let event = serde_json::from_str(&text.replace("${JOB_ID}", &job)).unwrap();
    job_runner::handle(&runner, event).await.unwrap();
    let done = poll().await;
    assert_eq!(done.text("/state"), "completed");
    assert!(done.text("/download_url").contains(&format!("exports/{id}/{job}.zip")));
    assert!(done.body["progress"].as_i64().unwrap() > 0);
    let acts = "select count(*) from audit_log where action = 'organization.export_opened'";
    assert_eq!(desk.app.scene.number(acts, &[]).await, 1);
}

#[tokio::test]
async fn nobody_but_an_owner_does() {
    let desk = Desk::new().await;
    let path = format!("/v1/organizations/{}/exports", desk.app.scene.organization);
    let admin = scene::session(&desk.app.scene.db, desk.app.scene.organization, Role::Admin, false).await;
    for credentials in [&admin, &desk.app.key] {
        desk.app.send_as(desk.router(), Method::POST, &path, None, Some(credentials)).await.expect(403);
    }
    let (second, _) = desk.app.scene.another_organization("second").await;
    let path = format!("/v1/organizations/{second}/exports");
    desk.app.send_as(desk.router(), Method::POST, &path, None, Some(&desk.owner)).await.expect(404);
    assert_eq!(desk.app.scene.number("select count(*) from jobs", &[]).await, 0);
}
