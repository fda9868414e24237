//! Logging in by an identity provider: an issuer on the loopback interface, and tokens that count and that don't.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_smithy_http_client::tls::TlsContext;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use functions::adapters::provider_host::HttpProviders;
use functions::adapters::webhook_poster::Lookup;
use functions::oidc::ProviderHost;
use futures_util::future::BoxFuture;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::Error;
use shared::platform::webhooks::Reach;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::app::Answer;
use crate::auth::{CONFIDENTIAL, Desk};

/// Signs for the issuer in these tests, and nowhere else.
const SIGNING_KEY: &str = include_str!("../certificates/signing_key.pem");

/// What the issuer has and was asked.
#[derive(Default)]
struct Seen {
    /// The token that a code is exchanged for.
    token: String,
    /// How often each path was asked for.
    asked: HashMap<String, usize>,
    /// The last form.
    form: HashMap<String, String>,
    /// The field `authorization` that came with it.
    authorization: Option<String>,
}

/// An issuer, and a desk that knows it under the name `acme`.
struct Issuer {
    desk: Desk,
    url: String,
    seen: Arc<Mutex<Seen>>,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    /// What it calls us.
    client_id: &'static str,
    /// The machine's time, in seconds since 1970, when the test began.
    now: i64,
}

/// A login that has begun, as its authorization URL has it.
struct Begun {
    query: HashMap<String, String>,
    ticket: String,
}

fn query(text: &str) -> HashMap<String, String> {
    serde_urlencoded::from_str(text).unwrap()
}

impl Issuer {
    async fn new(is_public: bool) -> Self {
        let desk = Desk::new().await;
        let key = PrivatePkcs8KeyDer::from_pem_slice(SIGNING_KEY.as_bytes()).unwrap();
        let rsa = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let seen = Arc::<Mutex<Seen>>::default();
        let keys = keys(&rsa, &ec);
        tokio::spawn(serve(listener, url.clone(), keys, Arc::clone(&seen)));
        let client_id = if is_public { "martlet at acme" } else { CONFIDENTIAL };
        let provider = json!({"name": "acme", "issuer": url, "client_id": client_id});
        let set = "update system_config set value = $1 where category = 'oidc' and key = 'providers'";
        desk.app.scene.run(set, &[&json!([provider]).to_string()]).await;
        let now = desk.app.scene.number("select extract(epoch from now())::bigint", &[]).await;
        Self { desk, url, seen, rsa, ec, now, client_id }
    }

    async fn begin(&self) -> Begun {
        let started = self.desk.sample("oidc_start", &[]).await.expect(200);
        let (page, sent) = started.text("/authorization_url").split_once('?').unwrap();
        assert_eq!(page, format!("{}/authorize", self.url));
        Begun { query: query(sent), ticket: started.text("/ticket").to_owned() }
    }

    /// What counts for a login.
    fn claims(&self, begun: &Begun) -> Value {
        let now = self.now;
        json!({
            "iss": self.url, "sub": "subject-1", "aud": self.client_id, "exp": now + 3_600, "iat": now,
            "nonce": begun.query["nonce"], "email": "ada@users.test", "email_verified": true, "given_name": "Ada",
        })
    }

    fn rs256(&self, claims: &Value) -> String {
        self.signed(&json!({"alg": "RS256", "kid": "rsa"}), claims)
    }

    /// Signed with the RSA key, whatever the header says.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Comes back from the issuer, which exchanges the code for this token.
    async fn come_back(&self, begun: &Begun, token: String) -> Answer {
        self.seen.lock().unwrap().token = token;
        let fill = [("STATE", begun.query["state"].as_str()), ("CODE", "a code"), ("TICKET", begun.ticket.as_str())];
        self.desk.sample("oidc_callback", &fill).await
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn keys(rsa: &RsaKeyPair, ec: &EcdsaKeyPair) -> Value {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let components = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(rsa.public());
    let point = ec.public_key().as_ref();
    json!({"keys": [
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": encode(&components.n), "e": encode(&components.e)},
        {"kty": "RSA", "kid": "encrypts", "use": "enc", "n": encode(&components.n), "e": encode(&components.e)},
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])},
    ]})
}

async fn serve(listener: TcpListener, url: String, keys: Value, seen: Arc<Mutex<Seen>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, url.clone(), keys.clone(), Arc::clone(&seen)));
    }
}

async fn answer(mut stream: TcpStream, url: String, keys: Value, seen: Arc<Mutex<Seen>>) {
    let mut request = Vec::new();
    let (head, length) = loop {
        let mut more = [0; 4096];
        let read = stream.read(&mut more).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        request.extend_from_slice(&more[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| {
                head.lines().find_map(|line| {
                    let (its, value) = line.split_once(':')?;
                    its.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let mut seen = seen.lock().unwrap();
                if length > 0 {
                    seen.form = query(body);
                    seen.authorization = field("authorization");
                }
                break (head.to_owned(), length);
            }
        }
    };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    *seen.lock().unwrap().asked.entry(path.clone()).or_default() += 1;
    let (status, body) = match path.as_str() {
        "/.well-known/openid-configuration" => (
            "200 OK",
            json!({
                "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/keys"),
            })
            .to_string(),
        ),
        "/keys" => ("200 OK", keys.to_string()),
        "/token" if length > 0 => ("200 OK", json!({"id_token": seen.lock().unwrap().token}).to_string()),
        "/elsewhere" => ("302 Found", String::new()),
        "/large" => ("200 OK", "x".repeat(300 << 10)),
        _ => ("404 Not Found", String::new()),
    };
    let location = if status.starts_with("302") { "location: /keys\r\n" } else { "" };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{location}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn whoever_an_identity_provider_knows_is_logged_in() {
    let issuer = Issuer::new(false).await;
    assert_eq!(issuer.desk.sample("providers", &[]).await.expect(200).body, json!({"data": [{"name": "acme"}]}));
    let begun = issuer.begin().await;
    let claims = issuer.claims(&begun);
    let answer = issuer.come_back(&begun, issuer.rs256(&claims)).await.expect(201);
    let me = issuer.desk.sample("me", &[("API_KEY", answer.text("/token"))]).await.expect(200);
    assert_eq!((me.text("/email"), me.text("/first_name")), ("ada@users.test", "Ada"));
    assert_eq!(me.body["has_password"], false);
    {
        let seen = issuer.seen.lock().unwrap();
        let expected = |name: &str, value: &str| assert_eq!(seen.form[name], value, "{name}");
        expected("grant_type", "authorization_code");
        expected("code", "a code");
        expected("redirect_uri", "https://mail.example.test/login/callback/acme");
        assert_eq!(begun.query["redirect_uri"], seen.form["redirect_uri"]);
        assert_eq!(begun.query["scope"], "openid email profile");
        assert_eq!(begun.query["code_challenge_method"], "S256");
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&seen.form["code_verifier"]));
        assert_eq!(begun.query["code_challenge"], challenge);
        let credentials = STANDARD.encode("martlet+with+a+secret:a+secret%3A+100+%25");
        assert_eq!(seen.authorization.as_deref(), Some(format!("Basic {credentials}").as_str()));
        assert!(!seen.form.contains_key("client_secret"));
    }
    // Again, and by another key: the same person.
    let begun = issuer.begin().await;
    let text = unsigned(&json!({"alg": "ES256", "kid": "ec"}), &issuer.claims(&begun));
    let signature = issuer.ec.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
    let again = issuer.come_back(&begun, token).await.expect(201);
    assert_eq!(again.text("/user_id"), answer.text("/user_id"));
    let seen = issuer.seen.lock().unwrap();
    assert_eq!((seen.asked["/.well-known/openid-configuration"], seen.asked["/keys"]), (1, 1), "they are kept");
}

#[tokio::test]
async fn a_public_client_shows_no_secret() {
    let issuer = Issuer::new(true).await;
    let begun = issuer.begin().await;
    let claims = issuer.claims(&begun);
    issuer.come_back(&begun, issuer.rs256(&claims)).await.expect(201);
    let seen = issuer.seen.lock().unwrap();
    assert_eq!((seen.form["client_id"].as_str(), &seen.authorization), ("martlet at acme", &None));
}

#[tokio::test]
async fn forged_expired_foreign_and_replayed_tokens_are_refused() {
    let issuer = Issuer::new(true).await;
    let now = issuer.now;
    let changes = [
        ("exp", json!(now - 120)),
        ("exp", json!("never")),
        ("exp", Value::Null),
        ("iat", json!(now + 36_000)),
        ("nbf", json!(now + 36_000)),
        ("nbf", json!("x")),
        ("iss", json!("https://issuer.test")),
        ("aud", json!("somebody else")),
        ("aud", json!(["martlet at acme", "somebody else"])),
        ("azp", json!("somebody else")),
        ("nonce", json!("of another login")),
        ("nonce", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("x".repeat(256))),
    ];
    for (claim, value) in changes {
        let begun = issuer.begin().await;
        let mut claims = issuer.claims(&begun);
        claims[claim] = value.clone();
        let refused = issuer.come_back(&begun, issuer.rs256(&claims)).await.expect(409);
        assert_eq!(refused.text("/code"), "login_refused", "{claim}: {value}");
    }
    type Forge = fn(&Issuer, &Value) -> String;
    let forgeries: [(&str, Forge); 9] = [
        ("unsigned", |_, claims| format!("{}.", unsigned(&json!({"alg": "none"}), claims))),
        ("another algorithm", |issuer, claims| issuer.signed(&json!({"alg": "RS512", "kid": "rsa"}), claims)),
        ("a MAC", |issuer, claims| issuer.signed(&json!({"alg": "HS256", "kid": "rsa"}), claims)),
        ("another kind of key", |issuer, claims| issuer.signed(&json!({"alg": "ES256", "kid": "ec"}), claims)),
        ("a key for other things", |issuer, claims| issuer.signed(&json!({"alg": "RS256", "kid": "encrypts"}), claims)),
        ("an unknown key", |issuer, claims| issuer.signed(&json!({"alg": "RS256", "kid": "new"}), claims)),
        ("what must be understood", |issuer, claims| {
            issuer.signed(&json!({"alg": "RS256", "kid": "rsa", "crit": ["x"]}), claims)
        }),
        ("other claims", |issuer, claims| {
            let token = issuer.rs256(claims);
            let (text, signature) = token.rsplit_once('.').unwrap();
            let mut other = claims.clone();
            other["sub"] = json!("subject-2");
            let header = text.split('.').next().unwrap();
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(other.to_string()))
        }),
        ("no token", |_, _| "nonsense".to_owned()),
    ];
    for (what, forge) in forgeries {
        let begun = issuer.begin().await;
        let token = forge(&issuer, &issuer.claims(&begun));
        let refused = issuer.come_back(&begun, token).await.expect(409);
        assert_eq!(refused.text("/code"), "login_refused", "{what}");
    }
    assert_eq!(issuer.seen.lock().unwrap().asked["/keys"], 1, "no token makes us ask again and again");
    // A state is used up, whatever came of it; and a token of one login is none of another.
    let (begun, other) = (issuer.begin().await, issuer.begin().await);
    let token = issuer.rs256(&issuer.claims(&begun));
    assert_eq!(issuer.come_back(&other, token.clone()).await.expect(409).text("/code"), "login_refused");
    issuer.come_back(&begun, token.clone()).await.expect(201);
    assert_eq!(issuer.come_back(&begun, token).await.expect(409).text("/code"), "login_not_under_way");
    assert_eq!(issuer.desk.app.scene.number("select count(*) from users", &[]).await, 1);
}

#[tokio::test]
async fn whose_address_is_not_verified_there_or_here_is_refused_with_a_clear_code() {
    let issuer = Issuer::new(true).await;
    for verified in [json!(false), json!("false"), Value::Null] {
        let begun = issuer.begin().await;
        let mut claims = issuer.claims(&begun);
        claims["email_verified"] = verified;
        let refused = issuer.come_back(&begun, issuer.rs256(&claims)).await.expect(409);
        assert_eq!(refused.text("/code"), "email_not_verified");
    }
    issuer.desk.sample("signup", &[]).await.expect(202);
    let begun = issuer.begin().await;
    let refused = issuer.come_back(&begun, issuer.rs256(&issuer.claims(&begun))).await.expect(409);
    assert_eq!(refused.text("/code"), "account_not_confirmed");
    assert_eq!(issuer.desk.app.scene.number("select count(*) from identities", &[]).await, 0);
    issuer.desk.post("/v1/auth/oidc/start", json!({"provider": "unknown"})).await.expect(404);
}

#[tokio::test]
async fn what_came_to_the_page_of_another_provider_is_taken_up_by_nobody() {
    let issuer = Issuer::new(true).await;
    let other = json!([{"name": "acme", "issuer": issuer.url, "client_id": "martlet at acme"},
                       {"name": "other", "issuer": issuer.url, "client_id": "martlet at acme"}]);
    let set = "update system_config set value = $1 where category = 'oidc' and key = 'providers'";
    issuer.desk.app.scene.run(set, &[&other.to_string()]).await;
    let begun = issuer.begin().await;
    let claims = issuer.claims(&begun);
    let body = json!({"provider": "other", "state": begun.query["state"], "code": "a code", "ticket": begun.ticket});
    let mixed_up = issuer.desk.post("/v1/auth/oidc/callback", body).await.expect(409);
    assert_eq!(mixed_up.text("/code"), "login_not_under_way");
    assert_eq!(issuer.seen.lock().unwrap().asked.get("/token"), None, "nobody is shown the code");
    issuer.come_back(&begun, issuer.rs256(&claims)).await.expect(201);
}

/// Leads every name to one address, and counts how often it was asked for one.
#[derive(Debug, Clone)]
struct Leading(IpAddr, Arc<AtomicUsize>);

impl Lookup for Leading {
    fn addresses<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(vec![self.0]) })
    }
}

#[tokio::test]
async fn a_provider_is_asked_where_everybody_can_go_and_nowhere_else() {
    let issuer = Issuer::new(true).await;
    let port = issuer.url.rsplit(':').next().unwrap().to_owned();
    for inside in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"] {
        let lookup = Leading(inside.parse().unwrap(), Arc::default());
        let host = HttpProviders::with(lookup.clone(), TlsContext::default(), Reach::Public);
        for url in [format!("https://issuer.example.com:{port}/keys"), "https://issuer.example.com/keys".to_owned()] {
            let refused = host.get(&url).await;
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{url} at {inside}");
        }
        assert_eq!(lookup.1.load(Ordering::SeqCst), 2);
        // An address in numbers, and plain HTTP, are asked of nobody.
        for url in [
            format!("https://127.0.0.1:{port}/keys"),
            format!("http://issuer.example.com:{port}/keys"),
            issuer.url.clone(),
        ] {
            assert!(host.post(&url, "code=secret".to_owned(), None).await.is_err(), "{url}");
        }
        assert_eq!(lookup.1.load(Ordering::SeqCst), 2);
    }
    assert!(issuer.seen.lock().unwrap().asked.is_empty(), "nothing has come in");
}

#[tokio::test]
async fn a_provider_is_asked_within_bounds_and_its_redirects_are_not_followed() {
    let issuer = Issuer::new(true).await;
    let host = HttpProviders::new(Reach::Loopback);
    assert_eq!(host.get(&format!("{}/elsewhere", issuer.url)).await.unwrap().status, 302);
    assert!(host.get(&format!("{}/large", issuer.url)).await.is_err());
    assert_eq!(issuer.seen.lock().unwrap().asked.get("/keys"), None);
    // One that calls itself by another name is none of ours.
    let set = "update system_config set value = replace(value, '127.0.0.1', 'localhost') where category = 'oidc'";
    issuer.desk.app.scene.run(set, &[]).await;
    issuer.desk.sample("oidc_start", &[]).await.expect(503);
    let set = "update system_config set value = replace(value, 'http://localhost', 'http://issuer.test') where category = 'oidc'";
    issuer.desk.app.scene.run(set, &[]).await;
    issuer.desk.sample("oidc_start", &[]).await.expect(503);
}
