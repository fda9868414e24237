//! Every sample of these resources, sent by nobody and by somebody else: a new route is covered by its sample.

use std::sync::Arc;

use axum::Router;
use functions::api::imports::Imports;
use functions::api::{audit, domains, imports, lists, organizations, senders};
use serde_json::Value;
use shared::{ApiKeyId, ImportId};
use testkit::{FakeImportQueue, FakeObjectStore};

use crate::app::App;
use crate::domains::Provider;

const RESOURCES: [&str; 8] =
    ["organizations", "contacts", "lists", "domains", "senders", "suppressions", "imports", "audit"];

fn router(app: &App) -> Router {
    let db = app.scene.db.app();
    crate::contacts::router(app)
        .merge(organizations::router(db.clone()))
        .merge(audit::router(db.clone()))
        .merge(lists::router(db.clone()))
        .merge(senders::router(db.clone()))
        .merge(crate::suppressions::router(app))
        .merge(imports::router(Imports {
            db: db.clone(),
            store: Arc::<FakeObjectStore>::default(),
            queue: Arc::<FakeImportQueue>::default(),
        }))
        .merge(domains::router(db, Arc::<Provider>::default()))
}

/// The samples as `contacts/create`, with whether they name something by its id.
fn samples() -> Vec<(String, bool)> {
    let mut samples = Vec::new();
    for resource in RESOURCES {
        let folder = format!("{}/../events/{resource}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let event: Value = serde_json::from_str(&text).unwrap();
            let names_one = event["rawPath"].as_str().unwrap().contains("${");
            samples.push((format!("{resource}/{}", path.file_stem().unwrap().to_str().unwrap()), names_one));
        }
    }
    samples.sort();
    assert!(samples.len() >= 25, "{samples:?}");
    samples
}

/// Everything that an organization has, but its keys, whose last use is noted.
async fn everything(app: &App) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "contacts",
        "lists",
        "list_members",
        "domains",
        "senders",
        "suppressions",
        "import_batches",
        "enrollments",
        "messages",
        "audit_log",
    ] {
        let sql = format!("select t::text from {table} t where organization_id = $1 order by 1");
        let rows = app.scene.rows(&sql, &[&app.scene.organization]).await;
        all.extend(rows.iter().map(|row| format!("{table} {}", row.get::<_, String>(0))));
    }
    all
}

#[tokio::test]
async fn nobody_and_nobody_else_reaches_what_an_organization_has() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 10, 0).await.to_string();
    let scene = app.scene.draft_campaign(2, &[sender.parse().unwrap()], 1, 10).await;
    let (contact, list, domain) = (scene.contacts[0].to_string(), scene.list.to_string(), app.scene.domain.to_string());
    let import = ImportId::fresh().to_string();
    let file = format!(
        "insert into import_batches (organization_id, id, file_name, object_key) values ('{}', '{import}', 'a.csv', 'uploads/a')",
        app.scene.organization
    );
    app.scene.run(&file, &[]).await;
    let suppression = shared::SuppressionId::fresh().to_string();
    let row = format!(
        "insert into suppressions (organization_id, id, email_lower, reason) values ('{}', '{suppression}', 'ada@people.test', 'manual')",
        app.scene.organization
    );
    app.scene.run(&row, &[]).await;
    let organization = app.scene.organization.to_string();
    let key: ApiKeyId = app.scene.rows("select id from api_keys", &[]).await[0].get(0);
    let key = key.to_string();
    let ids = [
        ("ORGANIZATION_ID", organization.as_str()),
        ("KEY_ID", key.as_str()),
        ("SUPPRESSION_ID", suppression.as_str()),
        ("CONTACT_ID", contact.as_str()),
        ("LIST_ID", list.as_str()),
        ("DOMAIN_ID", domain.as_str()),
        ("SENDER_ID", sender.as_str()),
        ("IMPORT_ID", import.as_str()),
    ];
    let (other, _) = app.scene.another_organization("globex").await;
    let theirs = app.scene.api_key_of(other).await;
    let before = everything(&app).await;

    for (name, names_one) in samples() {
        for key in ["", "mk_live_nonsense"] {
            let fill = [ids.as_slice(), &[("API_KEY", key)]].concat();
            let answer = app.sample(router(&app), &name, &fill).await;
            assert_eq!(answer.status.as_u16(), 401, "{name}: {}", answer.body);
        }
        let fill = [ids.as_slice(), &[("API_KEY", theirs.as_str())]].concat();
        let answer = app.sample(router(&app), &name, &fill).await;
        let shown = answer.body.to_string();
        if names_one {
            assert_eq!(answer.status.as_u16(), 404, "{name}: {shown}");
        }
        for (_, id) in ids {
            assert!(!shown.contains(id), "{name}: {shown}");
        }
    }
    assert_eq!(everything(&app).await, before);

    // The same ids in a query and in a body.
    let contacts = router(&app);
    let path = format!("/v1/contacts?list_id={list}");
    let listed = app.send_as(contacts, axum::http::Method::GET, &path, None, Some(&theirs)).await.expect(200);
    assert_eq!(listed.body["data"], serde_json::json!([]));
}
