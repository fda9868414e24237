//! What is told elsewhere arrives there, signed, and goes nowhere that not everybody can reach.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use functions::adapters::webhook_poster::{Lookup, WebhookPoster};
use functions::events::dispatcher::{self, Dispatcher};
use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use shared::platform::webhooks::Reach;
use shared::platform::webhooks::deliveries;
use shared::platform::webhooks::dispatching::{Failure, Post, Poster as _};
use shared::platform::webhooks::endpoints::{self, NewEndpoint};
use shared::platform::webhooks::secrets::Secret;
use standardwebhooks::Webhook;
use testkit::{FakeWebhookQueue, Scene};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::samples::sample;

/// Longer than any machine takes, for what is not about time.
const PATIENT: Duration = Duration::from_secs(120);

/// A request that came in.
#[derive(Debug, Clone)]
struct Received {
    line: String,
    headers: HashMap<String, String>,
    body: String,
}

impl Received {
    fn parse(head: &str, body: &[u8]) -> Self {
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { line, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn is_believed(&self, secret: &str) -> bool {
        Webhook::new(secret).unwrap().verify(self.body.as_bytes(), &(&self.headers).try_into().unwrap()).is_ok()
    }

    fn with(&self, header: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.insert(header.to_owned(), value.to_owned());
        changed
    }
}

/// The length of a request whose head is complete, and where its body begins.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
    let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().unwrap();
    Some((head + 4 + length, head + 4))
}

/// Somebody who is called on this machine, and answers as they were told.
struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    async fn answering(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Received>>>::default());
        let kept = received.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let (end, start) = loop {
                    match whole(&bytes) {
                        Some((end, start)) if bytes.len() >= end => break (end, start),
                        _ => assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request breaks off"),
                    }
                };
                let head = std::str::from_utf8(&bytes[..start - 4]).unwrap();
                kept.lock().unwrap().push(Received::parse(head, &bytes[start..end]));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, received }
    }

    fn url(&self) -> String {
        format!("http://localhost:{}/hook?a=b", self.address.port())
    }

    fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn post(url: &str) -> Post {
    Post {
        url: url.to_owned(),
        id: "msg_1".to_owned(),
        timestamp: 1_700_000_000,
        signature: "v1,none".to_owned(),
        body: "{}".to_owned(),
    }
}

/// Names that lead elsewhere each time they are asked for.
#[derive(Debug, Clone)]
struct Rebinding {
    answers: Arc<Vec<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Rebinding {
    fn to(answers: &[&[&str]]) -> Self {
        let addresses = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Self { answers: Arc::new(answers.iter().map(addresses).collect()), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lookup for Rebinding {
    fn addresses<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let time = self.asked.fetch_add(1, Ordering::SeqCst);
            Ok(self.answers[time.min(self.answers.len() - 1)].clone())
        })
    }
}

#[tokio::test]
async fn outgoing_http_resolves_once_pins_the_address_and_refuses_private_ranges_and_redirects() {
    let receiver = Receiver::answering(response("302 Found", "location: /elsewhere\r\n", "")).await;
    let name = Rebinding::to(&[&["127.0.0.1"], &["10.0.0.1"], &["127.0.0.1", "169.254.169.254"], &[], &["127.0.0.1"]]);
    let poster = WebhookPoster::with(name.clone(), TlsContext::default(), Reach::Loopback).with_timeout(PATIENT);
    // Asked for once, and connected to what was checked. The redirect is told, and leads nowhere.
    assert_eq!(poster.post(&post(&receiver.url())).await.outcome, Ok(302));
    assert_eq!((name.asked(), receiver.take().len()), (1, 1));
    // The next time the name leads elsewhere, or also elsewhere, or nowhere.
    for time in 2..=4 {
        assert_eq!(poster.post(&post(&receiver.url())).await.outcome, Err(Failure::AddressNotPublic), "time {time}");
        assert_eq!((name.asked(), receiver.take().len()), (time, 0));
    }
    // No connection was kept from the first time, and none of the refusals is remembered.
    assert_eq!(poster.post(&post(&receiver.url())).await.outcome, Ok(302));
    assert_eq!((name.asked(), receiver.take().len()), (5, 1));

    // Deployed, nothing of this machine is reached, whatever it is called; nor is anybody asked where numbers lead.
    let name = Rebinding::to(&[&["127.0.0.1"]]);
    let poster = WebhookPoster::with(name.clone(), TlsContext::default(), Reach::Public).with_timeout(PATIENT);
    let port = receiver.address.port();
    for url in [
        receiver.url(),
        format!("http://hooks.example.com:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        assert_eq!(poster.post(&post(&url)).await.outcome, Err(Failure::AddressNotPublic), "{url}");
    }
    assert_eq!(name.asked(), 0);
    let named = format!("https://hooks.example.com:{port}/");
    assert_eq!(poster.post(&post(&named)).await.outcome, Err(Failure::AddressNotPublic));
    assert_eq!((name.asked(), receiver.take().len()), (1, 0));
}

#[tokio::test]
async fn an_answer_is_read_to_its_first_kilobyte_and_waited_for_for_a_time() {
    let receiver = Receiver::answering(response("500 Oh", "", &"x".repeat(100_000))).await;
    let poster = WebhookPoster::new(Reach::Loopback).with_timeout(PATIENT);
    let answer = poster.post(&post(&receiver.url())).await;
    assert_eq!((answer.outcome, answer.body.unwrap().len()), (Ok(500), 1_024));
    let [received] = receiver.take().try_into().unwrap();
    assert_eq!(received.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(received.headers["content-type"], "application/json");

    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    let poster = WebhookPoster::new(Reach::Loopback).with_timeout(Duration::from_millis(50));
    assert_eq!(poster.post(&post(&url)).await.outcome, Err(Failure::TimedOut));
    // And nobody is there at all.
    drop(silent);
    let poster = WebhookPoster::new(Reach::Loopback).with_timeout(PATIENT);
    assert_eq!(poster.post(&post(&url)).await.outcome, Err(Failure::NoConnection));
}

/// A server with a certificate for `name`, which answers one request with 204; with the authority that has signed it, as PEM.
fn serve_tls(name: &str) -> (SocketAddr, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), Ok(mut tls)) = (stream, rustls::ServerConnection::new(Arc::new(config.clone())))
            else {
                return;
            };
            let mut stream = rustls::Stream::new(&mut tls, &mut stream);
            let mut bytes = Vec::new();
            let mut part = [0; 4_096];
            while whole(&bytes).is_none_or(|(end, _)| bytes.len() < end) {
                match stream.read(&mut part) {
                    Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
                    // Whoever does not trust us goes away.
                    _ => break,
                }
            }
            let _ = stream.write_all(response("204 No Content", "", "").as_bytes());
        }
    });
    (address, authority.pem())
}

#[tokio::test]
async fn the_certificate_of_an_endpoint_is_verified_with_its_name() {
    let url = |address: SocketAddr| format!("https://localhost:{}/", address.port());
    let trusting = |pem: String| {
        let store = TrustStore::empty().with_pem_certificate(pem);
        let roots = TlsContext::builder().with_trust_store(store).build().unwrap();
        WebhookPoster::with(Rebinding::to(&[&["127.0.0.1"]]), roots, Reach::Loopback).with_timeout(PATIENT)
    };
    let (address, authority) = serve_tls("localhost");
    assert_eq!(trusting(authority.clone()).post(&post(&url(address))).await.outcome, Ok(204));
    let (other_name, its_authority) = serve_tls("hooks.example.com");
    assert_eq!(trusting(its_authority).post(&post(&url(other_name))).await.outcome, Err(Failure::NoConnection));
    let (untrusted, _) = serve_tls("localhost");
    assert_eq!(trusting(authority).post(&post(&url(untrusted))).await.outcome, Err(Failure::NoConnection));
}

/// The dispatcher function with its real way out, and an endpoint on this machine.
struct Told {
    scene: Scene,
    dispatcher: Dispatcher,
    queue: Arc<FakeWebhookQueue>,
    receiver: Receiver,
    endpoint: shared::WebhookEndpointId,
    secret: Secret,
}

impl Told {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let receiver = Receiver::answering(response("204 No Content", "", "")).await;
        let queue = Arc::new(FakeWebhookQueue::default());
        let dispatcher = Dispatcher {
            db: scene.db.as_role("martlet_dispatcher"),
            keys: testkit::key_ring(),
            poster: Arc::new(WebhookPoster::new(Reach::Loopback).with_timeout(PATIENT)),
            queue: queue.clone(),
            public_url: "https://mail.example.test".to_owned(),
        };
        let new = NewEndpoint { url: receiver.url(), event_types: None, description: None };
        let tx = scene.db.app().begin(scene.organization).await.unwrap();
        let (endpoint, secret) = endpoints::create(&tx, &dispatcher.keys, Reach::Loopback, &new).await.unwrap();
        tx.commit().await.unwrap();
        Self { endpoint: endpoint.id, secret, scene, dispatcher, queue, receiver }
    }

    /// Sends a test through the function, and returns what has arrived.
    async fn test(&self) -> Received {
        let tx = self.scene.db.app().begin(self.scene.organization).await.unwrap();
        deliveries::test(&tx, self.endpoint).await.unwrap();
        tx.commit().await.unwrap();
        let organization = self.scene.organization.to_string();
        let event = sample("dispatcher/tell", &[("ORGANIZATION_ID", &organization)]);
        let answer = dispatcher::handle(&self.dispatcher, event).await.unwrap();
        assert!(answer.batch_item_failures.is_empty() && self.queue.drain().is_empty());
        self.receiver.take().pop().unwrap()
    }
}

#[tokio::test]
async fn standard_webhooks_are_verified_by_a_library_that_we_did_not_write_with_either_secret() {
    let told = Told::new().await;
    let first = told.secret.text();
    let received = told.test().await;
    let body: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(body["type"], "webhook.test");
    assert!(received.is_believed(&first));
    // Tampered with, old, for another call, or of somebody else it is refused.
    let tampered = Received { body: received.body.replace("test", "text"), ..received.clone() };
    let sent_at: i64 = received.headers["webhook-timestamp"].parse().unwrap();
    assert!(!tampered.is_believed(&first));
    assert!(!received.with("webhook-timestamp", &(sent_at - 301).to_string()).is_believed(&first));
    assert!(!received.with("webhook-id", "another").is_believed(&first));
    assert!(!received.is_believed(&Secret::fresh().unwrap().text()));

    let tx = told.scene.db.app().begin(told.scene.organization).await.unwrap();
    let (_, second) = endpoints::rotate_secret(&tx, &told.dispatcher.keys, told.endpoint).await.unwrap();
    tx.commit().await.unwrap();
    let received = told.test().await;
    assert!(received.is_believed(&first) && received.is_believed(&second.text()));
    let signatures = received.headers["webhook-signature"].split(' ').count();
    assert_eq!(signatures, 2);
}

#[tokio::test]
async fn a_hint_that_names_nobody_does_nothing_and_one_that_can_not_be_read_stays() {
    let told = Told::new().await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    let event = sample("dispatcher/tell", &[("ORGANIZATION_ID", nobody)]);
    assert!(dispatcher::handle(&told.dispatcher, event).await.unwrap().batch_item_failures.is_empty());
    let event = sample("dispatcher/tell", &[("ORGANIZATION_ID", "nonsense")]);
    assert_eq!(dispatcher::handle(&told.dispatcher, event).await.unwrap().batch_item_failures.len(), 1);
    assert!(told.receiver.take().is_empty());
}
