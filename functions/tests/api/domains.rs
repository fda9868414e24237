use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Method;
use functions::api::domains;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::delivery::domains::records::State;
use shared::delivery::domains::{Dkim, DomainName, Identities, Identity, MailFrom, Status};
use shared::{Error, OrganizationId, Result};

use crate::app::{Answer, App};

/// A provider account in memory.
#[derive(Default)]
pub(crate) struct Provider {
    known: Mutex<BTreeMap<String, Identity>>,
    /// How often it was asked to set a MAIL FROM domain.
    mail_from_set: AtomicU32,
    is_away: bool,
    sets_no_mail_from: AtomicBool,
}

impl Provider {
    /// Keeps the owner and the MAIL FROM domain of an identity that there is; a new one is made by hand and has neither.
    fn set(&self, name: &str, status: Status) {
        let known = self.known.lock().unwrap().get(name).cloned();
        let (owner, mail_from) = known.map(|identity| (identity.owner, identity.mail_from)).unwrap_or_default();
        self.put(name, owner, status);
        self.change(name, |identity| identity.mail_from = mail_from);
    }

    fn put(&self, name: &str, owner: Option<OrganizationId>, status: Status) {
        let state = match status {
            Status::Pending => State::Missing,
            Status::Verified => State::Found,
            Status::Failed => State::Failed,
        };
        let tokens = vec!["one".into(), "two".into(), "three".into()];
        let dkim = Dkim { tokens, zone: "dkim.amazonses.com".into(), state };
        let identity = Identity { owner, status, dkim, mail_from: None };
        self.known.lock().unwrap().insert(name.to_owned(), identity);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Identity)) {
        change(self.known.lock().unwrap().get_mut(name).unwrap());
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

    fn set_mail_from<'a>(&'a self, domain: &'a DomainName, name: &'a str) -> BoxFuture<'a, Result<Option<MailFrom>>> {
        Box::pin(async move {
            if self.sets_no_mail_from.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("not at this moment".into()));
            }
            self.mail_from_set.fetch_add(1, Ordering::Relaxed);
            let exchange = "feedback-smtp.eu-central-1.amazonses.com".to_owned();
            let mail_from = Some(MailFrom { domain: name.to_owned(), exchange, state: State::Missing });
            self.change(domain.as_str(), |identity| identity.mail_from.clone_from(&mail_from));
            Ok(mail_from)
        })
    }
}

/// The states of the records by purpose and type, in their order and each once.
fn states(domain: &Answer) -> Vec<String> {
    let records = domain.body["dns_records"].as_array().unwrap().iter();
    let mut states: Vec<String> = records
        .map(|record| ["purpose", "type", "state"].map(|field| record[field].as_str().unwrap()).join(" "))
        .collect();
    states.dedup();
    states
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
    let missing = "Not found yet. Publish it as it stands here, and verify again later.";
    let key = |token: &str| {
        json!({"type": "CNAME", "name": format!("{token}._domainkey.mail.example.com"), "value": format!("{token}.dkim.amazonses.com"),
               "purpose": "dkim", "required": true, "state": "missing", "note": missing})
    };
    let exchange = json!({"type": "MX", "name": "mail.mail.example.com", "value": "10 feedback-smtp.eu-central-1.amazonses.com",
                          "purpose": "mail_from", "required": false, "state": "missing", "note": missing});
    let records = created.body["dns_records"].as_array().unwrap();
    assert_eq!(records[..4], [key("one"), key("two"), key("three"), exchange]);
    let optional: Vec<[&str; 5]> = records[4..]
        .iter()
        .map(|record| {
            assert_eq!((&record["required"], record["note"].is_string()), (&json!(false), true));
            ["type", "name", "value", "purpose", "state"].map(|field| record[field].as_str().unwrap())
        })
        .collect();
    let expected = [
        ["TXT", "mail.mail.example.com", "v=spf1 include:amazonses.com ~all", "mail_from", "unknown"],
        ["TXT", "_dmarc.mail.example.com", "v=DMARC1; p=none;", "dmarc", "unknown"],
    ];
    assert_eq!((optional.as_slice(), &created.body["advice"]), (expected.as_slice(), &Value::Null));

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
    assert_eq!(found.body["dns_records"][0]["state"], "found");
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
async fn each_record_has_the_state_of_the_last_look() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let name = "mail.example.com";
    let id = create(&app, &provider, name).await.expect(201).text("/id").to_owned();
    let fill = [("DOMAIN_ID", id.as_str())];
    for (keys, exchange, status, advice) in [
        (State::Missing, State::Missing, Status::Pending, None),
        (State::Found, State::Missing, Status::Verified, None),
        (State::Found, State::Found, Status::Verified, None),
        (State::Lost, State::Lost, Status::Verified, Some("could not read the DKIM records")),
        (State::Failed, State::Failed, Status::Failed, Some("has given up")),
        (State::Unknown, State::Unknown, Status::Pending, None),
    ] {
        provider.change(name, |identity| {
            (identity.status, identity.dkim.state) = (status, keys);
            identity.mail_from.as_mut().unwrap().state = exchange;
        });
        let checked = app.sample(router(&app, &provider), "domains/verify", &fill).await.expect(200);
        let [keys, exchange] = [keys, exchange].map(|state| json!(state).as_str().unwrap().to_owned());
        let expected = [
            format!("dkim CNAME {keys}"),
            format!("mail_from MX {exchange}"),
            "mail_from TXT unknown".into(),
            "dmarc TXT unknown".into(),
        ];
        assert_eq!(states(&checked), expected);
        let told = checked.body["advice"].as_str();
        assert_eq!(told.is_some(), advice.is_some(), "{told:?}");
        assert!(told.unwrap_or_default().contains(advice.unwrap_or_default()), "{told:?}");
        let found = app.sample(router(&app, &provider), "domains/find", &fill).await.expect(200);
        assert_eq!(found.body, checked.body);
    }
}

#[tokio::test]
async fn a_mail_from_domain_is_set_once_and_again_only_when_the_provider_has_given_up() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let name = "mail.example.com";
    let set = || provider.mail_from_set.load(Ordering::Relaxed);
    let id = create(&app, &provider, name).await.expect(201).text("/id").to_owned();
    assert_eq!(set(), 1);
    let path = format!("/v1/domains/{id}/verify");
    let verify = async || app.send(router(&app, &provider), Method::POST, &path, None).await.expect(200);
    for state in [State::Missing, State::Found, State::Lost, State::Unknown] {
        provider.change(name, |identity| identity.mail_from.as_mut().unwrap().state = state);
        verify().await;
        assert_eq!(set(), 1, "{state:?}");
    }
    // One that was chosen by hand is kept, and looked for again.
    provider.change(name, |identity| {
        let mail_from = identity.mail_from.as_mut().unwrap();
        (mail_from.domain, mail_from.state) = ("bounces.mail.example.com".to_owned(), State::Failed);
    });
    let checked = verify().await;
    assert_eq!((set(), checked.text("/dns_records/3/name")), (2, "bounces.mail.example.com"));
    assert_eq!(checked.text("/dns_records/3/state"), "failed");
    assert_eq!(verify().await.text("/dns_records/3/state"), "missing");

    // What belongs to somebody else is not touched.
    provider.put("theirs.example.com", Some(OrganizationId::fresh()), Status::Verified);
    create(&app, &provider, "theirs.example.com").await.expect(409);
    assert_eq!(set(), 2);
}

#[tokio::test]
async fn a_provider_that_fails_halfway_loses_nothing() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    provider.sets_no_mail_from.store(true, Ordering::Relaxed);
    let away = create(&app, &provider, "mail.example.com").await.expect(503);
    assert_eq!(away.text("/code"), "unavailable");
    assert_eq!(app.scene.number("select count(*) from domains where name = 'mail.example.com'", &[]).await, 0);
    // The identity is there; the same request finds it and goes on.
    provider.sets_no_mail_from.store(false, Ordering::Relaxed);
    let id = create(&app, &provider, "mail.example.com").await.expect(201).text("/id").to_owned();
    // What was known before stays as it was.
    provider.change("mail.example.com", |identity| identity.mail_from = None);
    provider.sets_no_mail_from.store(true, Ordering::Relaxed);
    let before = app.send(router(&app, &provider), Method::GET, &format!("/v1/domains/{id}"), None).await.expect(200);
    app.send(router(&app, &provider), Method::POST, &format!("/v1/domains/{id}/verify"), None).await.expect(503);
    let after = app.send(router(&app, &provider), Method::GET, &format!("/v1/domains/{id}"), None).await.expect(200);
    assert_eq!(before.body, after.body);
}

#[tokio::test]
async fn records_that_an_older_release_has_kept_are_unknown_until_they_are_verified_again() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let old = json!([{"type": "CNAME", "name": "one._domainkey.example.test", "value": "one.dkim.amazonses.com",
                      "purpose": "dkim", "required": true}]);
    app.scene.run("update domains set dns_records = $1 where name = 'example.test'", &[&old]).await;
    provider.put("example.test", Some(app.scene.organization), Status::Verified);
    let path = format!("/v1/domains/{}", app.scene.domain);
    let found = app.send(router(&app, &provider), Method::GET, &path, None).await.expect(200);
    assert_eq!((states(&found), &found.body["advice"]), (vec!["dkim CNAME unknown".to_owned()], &Value::Null));
    let checked = app.send(router(&app, &provider), Method::POST, &format!("{path}/verify"), None).await.expect(200);
    assert_eq!(states(&checked)[..2], ["dkim CNAME found", "mail_from MX missing"]);
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

#[tokio::test]
async fn a_domain_has_a_limit_of_its_own_or_none() {
    let app = App::new().await;
    let provider = Arc::<Provider>::default();
    let id = app.scene.domain.to_string();
    let changed = app.sample(router(&app, &provider), "domains/update", &[("DOMAIN_ID", &id)]).await.expect(200);
    assert_eq!((&changed.body["daily_limit"], changed.text("/status")), (&json!(2000), "verified"));
    let path = format!("/v1/domains/{id}");
    let patch =
        async |path: &str, body: Value| app.send(router(&app, &provider), Method::PATCH, path, Some(body)).await;
    assert_eq!(patch(&path, json!({})).await.expect(200).body["daily_limit"], 2000, "absent is not null");
    assert_eq!(patch(&path, json!({"daily_limit": null})).await.expect(200).body["daily_limit"], Value::Null);
    for body in [json!({"daily_limit": -1}), json!({"daily_limit": 10_000_001}), json!({"daily_limit": "many"})] {
        let refused = patch(&path, body).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), "daily_limit");
    }
    patch(&path, json!({"name": "other.test"})).await.expect(422);
    let (_, domain) = app.scene.another_organization("other").await;
    patch(&format!("/v1/domains/{domain}"), json!({"daily_limit": 1})).await.expect(404);
    app.send_as(router(&app, &provider), Method::PATCH, &path, Some(json!({"daily_limit": 1})), None).await.expect(401);
    let unlimited = "select count(*) from domains where daily_limit is null";
    assert_eq!(app.scene.number(unlimited, &[]).await, 2, "the other's as well");
    assert_eq!(app.scene.number("select count(*) from audit_log where action = 'domain.updated'", &[]).await, 3);
}
