use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Method;
use functions::api::domains;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::delivery::domains::{DomainName, Identities, Identity, Status};
use shared::{Error, OrganizationId, Result};

use crate::app::{Answer, App};

/// A provider account in memory.
#[derive(Default)]
pub(crate) struct Provider {
    known: Mutex<BTreeMap<String, Identity>>,
    is_away: bool,
}

impl Provider {
    /// Keeps the owner of an identity that there is; a new one is made by hand and has none.
    fn set(&self, name: &str, status: Status) {
        let owner = self.known.lock().unwrap().get(name).and_then(|identity| identity.owner);
        self.put(name, owner, status);
    }

    fn put(&self, name: &str, owner: Option<OrganizationId>, status: Status) {
        let identity = Identity { owner, status, dkim_tokens: vec!["one".into(), "two".into(), "three".into()] };
        self.known.lock().unwrap().insert(name.to_owned(), identity);
    }

    fn names(&self) -> Vec<String> {
        self.known.lock().unwrap().keys().cloned().collect()
    }

    fn get(&self, domain: &DomainName) -> Option<Identity> {
        self.known.lock().unwrap().get(domain.as_str()).cloned()
    }
}

impl Identities for Provider {
    fn create<'a>(&'a self, domain: &'a DomainName, owner: OrganizationId) -> BoxFuture<'a, Result<Identity>> {
        Box::pin(async move {
            if self.is_away {
                return Err(Error::Unavailable("the provider is away".into()));
            }
            if self.get(domain).is_none() {
                self.put(domain.as_str(), Some(owner), Status::Pending);
            }
            self.get(domain).ok_or_else(|| Error::internal("it was made a moment ago"))
        })
    }

    fn find<'a>(&'a self, domain: &'a DomainName) -> BoxFuture<'a, Result<Option<Identity>>> {
        Box::pin(async move { Ok(self.get(domain)) })
    }
}

fn router(app: &App, provider: &Arc<Provider>) -> Router {
    domains::router(app.scene.db.app(), Arc::clone(provider) as Arc<dyn Identities>)
}

async fn create(app: &App, provider: &Arc<Provider>, name: &str) -> Answer {
    app.send(router(app, provider), Method::POST, "/v1/domains", Some(json!({"name": name}))).await
}

#[tokio::test]
async fn a_domain_is_made_verified_listed_and_deleted() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let created = app.sample(router(&app, &provider), "domains/create", &[]).await.expect(201);
    let id = created.text("/id").to_owned();
    assert_eq!(created.headers["location"], format!("/v1/domains/{id}"));
    assert_eq!((created.text("/name"), created.text("/status")), ("mail.example.com", "pending"));
    assert_eq!(
        created.body["dns_records"],
        json!([
            {"type": "CNAME", "name": "one._domainkey.mail.example.com", "value": "one.dkim.amazonses.com", "purpose": "dkim", "required": true},
            {"type": "CNAME", "name": "two._domainkey.mail.example.com", "value": "two.dkim.amazonses.com", "purpose": "dkim", "required": true},
            {"type": "CNAME", "name": "three._domainkey.mail.example.com", "value": "three.dkim.amazonses.com", "purpose": "dkim", "required": true},
            {"type": "TXT", "name": "mail.mail.example.com", "value": "v=spf1 include:amazonses.com ~all", "purpose": "mail_from", "required": false},
            {"type": "TXT", "name": "_dmarc.mail.example.com", "value": "v=DMARC1; p=none;", "purpose": "dmarc", "required": false},
        ])
    );

    let fill = [("DOMAIN_ID", id.as_str())];
    for (status, verified_at) in [
        (Status::Pending, Value::Null),
        (Status::Failed, Value::Null),
        (Status::Verified, json!("2026-03-04T10:00:00.000Z")),
        (Status::Verified, json!("2026-03-04T10:00:00.000Z")),
    ] {
        provider.set("mail.example.com", status);
        let checked = app.sample(router(&app, &provider), "domains/verify", &fill).await.expect(200);
        assert_eq!(checked.text("/status"), status.name());
        assert_eq!(checked.body["verified_at"], verified_at);
        assert_eq!(checked.text("/checked_at"), "2026-03-04T10:00:00.000Z");
    }
    let found = app.sample(router(&app, &provider), "domains/find", &fill).await.expect(200);
    let page = app.sample(router(&app, &provider), "domains/list", &[]).await.expect(200);
    assert_eq!(page.body["data"][0], found.body);
    assert_eq!(page.body["data"][1]["name"], "example.test", "the scene's own");
    app.sample(router(&app, &provider), "domains/delete", &fill).await.expect(204);
    app.sample(router(&app, &provider), "domains/find", &fill).await.expect(404);
    app.sample(router(&app, &provider), "domains/verify", &fill).await.expect(404);
    let acts = "select count(*) from audit_log where action in ('domain.created', 'domain.checked', 'domain.deleted')";
    assert_eq!(app.scene.number(acts, &[]).await, 6);
}

#[tokio::test]
async fn an_identity_that_somebody_deleted_is_made_again() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let path = format!("/v1/domains/{}/verify", app.scene.domain);
    let checked = app.send(router(&app, &provider), Method::POST, &path, None).await.expect(200);
    assert_eq!(checked.text("/status"), "pending");
    assert_eq!(checked.body["verified_at"], Value::Null);
    assert_eq!(provider.names(), ["example.test"]);
}

#[tokio::test]
async fn what_the_provider_knows_from_somebody_else_proves_nothing_about_this_organization() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let other = OrganizationId::fresh();
    // The installation's own domain, made by hand; one that another organization has proved and then deleted here; and one
    // whose records another has published and not asked about yet.
    provider.set("by-hand.example.com", Status::Verified);
    provider.put("given-up.example.com", Some(other), Status::Verified);
    provider.put("published.example.com", Some(other), Status::Pending);
    for name in ["by-hand.example.com", "given-up.example.com", "published.example.com"] {
        let refused = create(&app, &provider, name).await.expect(409);
        assert_eq!(refused.text("/code"), "domain_taken");
    }
    // What is known as its own counts once it is verified here.
    provider.put("mail.example.com", Some(app.scene.organization), Status::Verified);
    let created = create(&app, &provider, "mail.example.com").await.expect(201);
    assert_eq!(created.text("/status"), "pending");
    assert_eq!(created.text("/dns_records/0/name"), "one._domainkey.mail.example.com");
}

#[tokio::test]
async fn what_is_no_domain_never_reaches_the_provider() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    for name in
        ["", "localhost", "a b.test", "a\r\n.test", "a\u{0}.test", "192.0.2.1", "user@people.test", "bücher.test"]
    {
        let refused = create(&app, &provider, name).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), "name");
    }
    for body in [json!({}), json!({"name": null}), json!({"name": "a.test", "status": "verified"})] {
        app.send(router(&app, &provider), Method::POST, "/v1/domains", Some(body)).await.expect(422);
    }
    let twice = create(&app, &provider, "EXAMPLE.test").await.expect(409);
    assert_eq!(twice.text("/code"), "domain_exists");
    assert_eq!(provider.names(), [""; 0]);
}

#[tokio::test]
async fn while_the_provider_is_away_nothing_is_kept() {
    let app = App::new().await;
    let provider = Arc::new(Provider { is_away: true, ..Provider::default() });
    let away = create(&app, &provider, "mail.example.com").await.expect(503);
    assert_eq!(away.text("/code"), "unavailable");
    assert_eq!(app.scene.number("select count(*) from domains", &[]).await, 1);
}

#[tokio::test]
async fn a_domain_is_verified_by_one_organization_alone() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let (other, _) = app.scene.another_organization("globex").await;
    let key = app.scene.api_key_of(other).await;
    // Verified by the other from the beginning: not even made.
    let taken = create(&app, &provider, "globex.test").await.expect(409);
    assert_eq!(taken.text("/code"), "domain_taken");

    // Whoever comes first has it, before and after it is verified.
    let ours = create(&app, &provider, "mail.example.com").await.expect(201).text("/id").to_owned();
    for status in [Status::Pending, Status::Verified] {
        provider.set("mail.example.com", status);
        let body = Some(json!({"name": "mail.example.com"}));
        let theirs = app.send_as(router(&app, &provider), Method::POST, "/v1/domains", body, Some(&key)).await;
        assert_eq!(theirs.expect(409).text("/code"), "domain_taken");
    }
    let path = format!("/v1/domains/{ours}/verify");
    app.send(router(&app, &provider), Method::POST, &path, None).await.expect(200);
    // A row that says otherwise, as an older release may have left it, is not verified either.
    let row = "insert into domains (organization_id, id, name) values ($1, $2, 'mail.example.com')";
    let theirs = shared::DomainId::fresh();
    app.scene.run(row, &[&other, &theirs]).await;
    let path = format!("/v1/domains/{theirs}/verify");
    app.send_as(router(&app, &provider), Method::POST, &path, None, Some(&key)).await.expect(409);
    let verified = "select count(*) from domains where name = 'mail.example.com' and status = 'verified'";
    assert_eq!(app.scene.number(verified, &[]).await, 1);
}

#[tokio::test]
async fn a_domain_with_senders_stays() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let sender = app.scene.sender(1, 10, 0).await;
    let path = format!("/v1/domains/{}", app.scene.domain);
    let used = app.send(router(&app, &provider), Method::DELETE, &path, None).await.expect(409);
    assert_eq!(used.text("/code"), "domain_in_use");
    app.scene.run("delete from senders where id = $1", &[&sender]).await;
    app.send(router(&app, &provider), Method::DELETE, &path, None).await.expect(204);
}
