//! The hook for SNS: what it takes, and above all what it does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use functions::adapters::sns_host::HttpsHost;
use functions::api::ses_events::{NotificationQueue, SesEvents, router};
use functions::events::feedback;
use functions::sns::certificates::Trust;
use functions::sns::topics::Topic;
use functions::sns::{Answer as Found, SnsHost, Verifier};
use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, UnixTime};
use serde_json::{Value, json};
use shared::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::app::{Answer, App, call};

const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:sample";
const CERTIFICATE: &str =
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
const SUBSCRIBE: &str = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:000000000000:sample&Token=2336412f37fb687f5d51e6e2425d1e";
/// Signs for SNS in these tests, and nowhere else.
const SIGNING_KEY: &str = include_str!("../certificates/signing_key.pem");
/// What that key has signed with SHA-1, as ring does not: openssl dgst -sha1 -sign.
const SHA1_SIGNATURE: &str = include_str!("../certificates/sha1_signature.txt");

/// The hosts of SNS, with what they have and what they were asked.
#[derive(Default)]
struct Host {
    has: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    is_away: AtomicBool,
}

impl SnsHost for Host {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(url.to_owned());
            if self.is_away.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("away".into()));
            }
            Ok(self.has.lock().unwrap().get(url).cloned().map_or(Found::Missing, Found::Found))
        })
    }
}

/// A queue in memory.
#[derive(Default)]
struct Queue {
    has: Mutex<Vec<String>>,
    is_away: AtomicBool,
}

impl NotificationQueue for Queue {
    fn put(&self, notification: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("away".into()));
            }
            self.has.lock().unwrap().push(notification);
            Ok(())
        })
    }
}

/// An authority of our own in Amazon's place.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: rustls::pki_types::CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// A certificate for the signing key, made out to `name` for these years.
    fn certify(&self, name: &str, years: (i32, i32)) -> String {
        params(name, years).signed_by(&signing_key(), &self.issuer).unwrap().pem()
    }
}

fn params(name: &str, (from, to): (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn signing_key() -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(SIGNING_KEY, &rcgen::PKCS_RSA_SHA256).unwrap()
}

/// The hook, and what stands around it.
struct Hook {
    host: Arc<Host>,
    queue: Arc<Queue>,
    authority: Authority,
    router: Router,
}

impl Hook {
    /// With a good certificate where SNS keeps it.
    fn new() -> Self {
        let hook = Self::without_certificate();
        hook.keep_certificate(&hook.authority.certify("sns.amazonaws.com", (2026, 2027)));
        hook
    }

    fn without_certificate() -> Self {
        let (host, queue, authority) = (Arc::<Host>::default(), Arc::<Queue>::default(), Authority::new());
        let trust = Trust {
            roots: vec![webpki::anchor_from_trusted_cert(&authority.root).unwrap().to_owned()],
            authorities: Vec::new(),
            // 4 March 2026
            now: || UnixTime::since_unix_epoch(Duration::from_secs(1_772_618_400)),
        };
        let verifier = Verifier::new(vec![Topic::parse(TOPIC).unwrap()], host.clone(), trust);
        let router = router(SesEvents { verifier: verifier.into(), queue: queue.clone() });
        Self { host, queue, authority, router }
    }

    fn keep_certificate(&self, pem: &str) {
        self.host.has.lock().unwrap().insert(CERTIFICATE.to_owned(), pem.as_bytes().to_vec());
    }

    async fn post(&self, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(Method::POST).uri("/hooks/ses");
        let request = request.header("content-type", "text/plain; charset=UTF-8").body(body.into()).unwrap();
        call(self.router.clone(), request).await
    }

    async fn send(&self, envelope: &Value) -> Answer {
        self.post(envelope.to_string()).await
    }

    /// Nothing is queued, and nothing was asked but what is named.
    #[track_caller]
    fn has_only_asked(&self, urls: &[&str]) {
        assert_eq!(*self.host.asked.lock().unwrap(), urls);
        assert_eq!(*self.queue.has.lock().unwrap(), [""; 0]);
    }
}

/// The sample `events/ses_events/<name>.json` with a signature that is right.
fn signed(name: &str) -> Value {
    sample(name, &[("PROVIDER_MESSAGE_ID", "ses-1"), ("MESSAGE_ID", "m"), ("ORGANIZATION_ID", "o")])
}

fn sample(name: &str, fill: &[(&str, &str)]) -> Value {
    let path = format!("{}/../events/ses_events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).unwrap();
    for (placeholder, value) in fill {
        text = text.replace(&format!("${{{placeholder}}}"), value);
    }
    let event: Value = serde_json::from_str(&text).unwrap();
    sign(serde_json::from_str(event["body"].as_str().unwrap()).unwrap())
}

/// Signs as SNS does, written down from its documentation and not from our reader.
fn sign(mut envelope: Value) -> Value {
    let names = if envelope["Type"] == "Notification" {
        &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"][..]
    } else {
        &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    };
    let mut text = String::new();
    for name in names.iter().filter(|name| envelope.get(**name).is_some()) {
        text += &format!("{name}\n{}\n", envelope[*name].as_str().unwrap());
    }
    let key = PrivatePkcs8KeyDer::from_pem_slice(SIGNING_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    envelope["Signature"] = BASE64_STANDARD.encode(signature).into();
    envelope
}

/// What the SHA-1 signature is of.
fn signed_with_sha1() -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "00000000-0000-4000-9000-000000000009",
        "TopicArn": TOPIC,
        "Subject": "Hello",
        "Message": "The first line\nand another",
        "Timestamp": "2026-03-04T10:00:03.000Z",
        "SignatureVersion": "1",
        "Signature": SHA1_SIGNATURE.trim(),
        "SigningCertURL": CERTIFICATE,
    })
}

#[tokio::test]
async fn what_sns_has_signed_is_queued_as_it_came() {
    let hook = Hook::new();
    let body = serde_json::to_string_pretty(&signed("notification")).unwrap();
    for _ in 0..2 {
        hook.post(body.clone()).await.expect(204);
    }
    assert_eq!(
        *hook.queue.has.lock().unwrap(),
        [body.clone(), body],
        "the second is for the feedback function to know"
    );
    assert_eq!(*hook.host.asked.lock().unwrap(), [CERTIFICATE], "the certificate is kept");
}

#[tokio::test]
async fn both_versions_of_the_signature_are_verified() {
    let hook = Hook::new();
    hook.send(&signed_with_sha1()).await.expect(204);
    hook.send(&signed("notification")).await.expect(204);
    assert_eq!(hook.queue.has.lock().unwrap().len(), 2);
    // Each under the other's name.
    for (mut envelope, version) in [(signed_with_sha1(), "2"), (signed("notification"), "1")] {
        envelope["SignatureVersion"] = version.into();
        hook.send(&envelope).await.expect(403);
    }
    assert_eq!(hook.queue.has.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_tampered_field_is_noticed_whichever_it_is() {
    let hook = Hook::new();
    for envelope in [
        signed_with_sha1(),
        signed("notification"),
        signed("subscription_confirmation"),
        signed("unsubscribe_confirmation"),
    ] {
        let is_notification = envelope["Type"] == "Notification";
        for field in ["Message", "MessageId", "Subject", "Timestamp", "Token", "SubscribeURL"] {
            if envelope.get(field).is_none() {
                continue;
            }
            let mut tampered = envelope.clone();
            tampered[field] = format!("{}0", envelope[field].as_str().unwrap()).into();
            hook.send(&tampered).await.expect(403);
        }
        let mut tampered = envelope.clone();
        if is_notification {
            tampered.as_object_mut().unwrap().remove("Subject");
        } else {
            tampered["Type"] = "Notification".into();
        }
        hook.send(&tampered).await.expect(403);
        let mut signature = BASE64_STANDARD.decode(envelope["Signature"].as_str().unwrap()).unwrap();
        signature[7] ^= 1;
        for wrong in [BASE64_STANDARD.encode(&signature), BASE64_STANDARD.encode(&signature[1..]), String::new()] {
            tampered = envelope.clone();
            tampered["Signature"] = wrong.into();
            hook.send(&tampered).await.expect(403);
        }
    }
    hook.has_only_asked(&[CERTIFICATE]);
}

#[tokio::test]
async fn a_foreign_topic_is_refused_before_anything_is_fetched() {
    let hook = Hook::new();
    for name in ["notification", "subscription_confirmation", "unsubscribe_confirmation"] {
        for topic in [
            "arn:aws:sns:eu-central-1:000000000000:samples",
            "arn:aws:sns:eu-central-1:000000000001:sample",
            "arn:aws:sns:us-east-1:000000000000:sample",
            "ARN:aws:sns:eu-central-1:000000000000:sample",
            "",
        ] {
            let mut envelope = signed(name);
            envelope["TopicArn"] = topic.into();
            let refused = hook.send(&sign(envelope)).await.expect(403);
            assert_eq!(refused.headers["content-type"], "application/problem+json");
            assert_eq!(refused.text("/code"), "refused");
        }
    }
    hook.has_only_asked(&[]);
}

#[tokio::test]
async fn a_certificate_that_lies_elsewhere_is_never_fetched() {
    let hook = Hook::new();
    let path = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
    for place in [
        "https://sns.s3-us-west-2.amazonaws.com",
        "https://sns.execute-api.us-east-1.amazonaws.com",
        "https://sns.us-east-1.amazonaws.com",
        "https://sns.eu-central-1.amazonaws.com.",
        "https://SNS.eu-central-1.amazonaws.com",
        "https://evil@sns.eu-central-1.amazonaws.com",
        "https://sns.eu-central-1.amazonaws.com@evil.test",
        "https://sns.eu-central-1.amazonaws.com:443",
        "https://sns.eu-central-1.amazonaws.com/..",
        "https://sns.eu-central-1.amazonaws.com//x",
        "http://sns.eu-central-1.amazonaws.com",
        "https://169.254.169.254",
        "file://",
        "",
    ] {
        let mut envelope = signed("notification");
        envelope["SigningCertURL"] = format!("{place}{path}").into();
        hook.send(&envelope).await.expect(403);
    }
    hook.has_only_asked(&[]);
}

#[tokio::test]
async fn the_chain_the_time_and_the_name_of_the_certificate_are_verified() {
    let hook = Hook::without_certificate();
    let stranger = Authority::new();
    let name = "sns.amazonaws.com";
    let self_signed = params(name, (2026, 2027)).self_signed(&signing_key()).unwrap().pem();
    let mut not_for_servers = params(name, (2026, 2027));
    not_for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    let not_for_servers = not_for_servers.signed_by(&signing_key(), &hook.authority.issuer).unwrap().pem();
    let good = hook.authority.certify(name, (2026, 2027));
    for (what, pem) in [
        ("expired", hook.authority.certify(name, (2024, 2026))),
        ("not yet valid", hook.authority.certify(name, (2027, 2028))),
        ("another name", hook.authority.certify("sqs.amazonaws.com", (2026, 2027))),
        ("another region", hook.authority.certify("sns.us-east-1.amazonaws.com", (2026, 2027))),
        ("a wildcard of nobody", hook.authority.certify("*.evil.test", (2026, 2027))),
        ("self-signed", self_signed),
        ("another root", stranger.certify(name, (2026, 2027))),
        ("another root with it", stranger.certify(name, (2026, 2027)) + &pem(&stranger.root)),
        ("a good one that is not the first", stranger.certify(name, (2026, 2027)) + &good),
        ("for another use", not_for_servers),
        ("the root itself", pem(&hook.authority.root)),
        ("no certificate", SIGNING_KEY.to_owned()),
        ("nothing", String::new()),
        ("noise", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(100)),
    ] {
        hook.keep_certificate(&pem);
        // It lies on SNS's own host, so it is not the sender's fault: SNS shall send it again.
        let answer = hook.send(&signed("notification")).await;
        assert_eq!(answer.status.as_u16(), 503, "{what}");
        assert_eq!(*hook.queue.has.lock().unwrap(), [""; 0], "{what}");
    }
    for name in ["sns.eu-central-1.amazonaws.com", "sns-signing.eu-central-1.amazonaws.com"] {
        let hook = Hook::without_certificate();
        hook.keep_certificate(&hook.authority.certify(name, (2026, 2027)));
        hook.send(&signed("notification")).await.expect(204);
    }
}

fn pem(certificate: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(certificate))
}

#[tokio::test]
async fn sns_is_asked_to_send_again_what_could_not_be_told_and_nothing_else() {
    let hook = Hook::without_certificate();
    hook.send(&signed("notification")).await.expect(403);
    hook.host.is_away.store(true, Ordering::Relaxed);
    let away = hook.send(&signed("notification")).await.expect(503);
    assert_eq!(away.headers["retry-after"], "5");
    hook.host.is_away.store(false, Ordering::Relaxed);
    hook.keep_certificate(&hook.authority.certify("sns.amazonaws.com", (2026, 2027)));
    hook.queue.is_away.store(true, Ordering::Relaxed);
    hook.send(&signed("notification")).await.expect(503);
    hook.queue.is_away.store(false, Ordering::Relaxed);
    hook.send(&signed("notification")).await.expect(204);
    assert_eq!(hook.queue.has.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_subscription_is_confirmed_only_for_our_topic_once_verified() {
    let hook = Hook::new();
    // SNS does not know it, or is away.
    hook.send(&signed("subscription_confirmation")).await.expect(403);
    hook.host.has.lock().unwrap().insert(SUBSCRIBE.to_owned(), b"<ConfirmSubscriptionResponse/>".to_vec());
    hook.send(&signed("subscription_confirmation")).await.expect(204);
    hook.has_only_asked(&[CERTIFICATE, SUBSCRIBE, SUBSCRIBE]);

    // Signed by SNS, yet with an address that does something else: nothing follows it.
    for url in [
        "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe&TopicArn=arn:aws:sns:eu-central-1:000000000000:sample&Token=2336412f37fb687f5d51e6e2425d1e",
        "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:000000000000:other&Token=2336412f37fb687f5d51e6e2425d1e",
        "https://evil.test/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:000000000000:sample&Token=2336412f37fb687f5d51e6e2425d1e",
        "http://169.254.169.254/",
    ] {
        let mut envelope = signed("subscription_confirmation");
        envelope["SubscribeURL"] = url.into();
        hook.send(&sign(envelope)).await.expect(403);
    }
    hook.has_only_asked(&[CERTIFICATE, SUBSCRIBE, SUBSCRIBE]);
}

#[tokio::test]
async fn the_end_of_a_subscription_is_noted_and_not_undone() {
    let hook = Hook::new();
    hook.host.has.lock().unwrap().insert(SUBSCRIBE.to_owned(), Vec::new());
    hook.send(&signed("unsubscribe_confirmation")).await.expect(204);
    hook.has_only_asked(&[CERTIFICATE]);
}

#[tokio::test]
async fn what_is_no_envelope_is_refused_and_so_are_other_methods() {
    let hook = Hook::new();
    let raw = json!({"eventType": "Bounce", "mail": {}, "bounce": {}}).to_string();
    for body in ["", "null", "{", "[1]", "\u{0}", "Type=Notification", &raw] {
        let refused = hook.post(body.to_owned()).await.expect(400);
        assert_eq!(refused.text("/code"), "malformed_request");
    }
    hook.post(vec![b'{', 0xff, b'}']).await.expect(400);
    hook.post(vec![b' '; 600 << 10]).await.expect(413);
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
        let request = Request::builder().method(method).uri("/hooks/ses").body(Body::empty()).unwrap();
        call(hook.router.clone(), request).await.expect(405);
    }
    for path in ["/hooks", "/hooks/", "/hooks/ses/x"] {
        let request = Request::builder().method(Method::POST).uri(path).body(Body::empty()).unwrap();
        call(hook.router.clone(), request).await.expect(404);
    }
    hook.has_only_asked(&[]);
}

#[tokio::test]
async fn an_old_notification_redriven_is_taken_and_counts_once() {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 30).await;
    app.scene.running_campaign(1, &[sender], 1, 100).await;
    app.scene
        .run(
            "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                   recipient, state, slot_day, send_at, expires_at, attempts, provider_message_id)
             select e.organization_id, gen_random_uuid(), 'one', e.id, e.campaign_id, s.id, e.contact_id, e.sender_id,
                    'Person1@People.test', 'sent', current_date, now(), now(), 1, 'ses-1'
               from enrollments e join steps s on s.campaign_id = e.campaign_id and s.position = 1",
            &[],
        )
        .await;
    let message: shared::MessageId = app.scene.rows("select id from messages", &[]).await[0].get(0);
    let fill = [
        ("PROVIDER_MESSAGE_ID", "ses-1"),
        ("MESSAGE_ID", &*message.to_string()),
        ("ORGANIZATION_ID", &*app.scene.organization.to_string()),
    ];
    let hook = Hook::new();
    // Of any age: what lay in a dead-letter queue for a week is as true as ever.
    let mut old = sample("notification", &fill);
    old["Timestamp"] = "2026-01-01T00:00:00.000Z".into();
    let old = sign(old);
    for _ in 0..3 {
        hook.send(&old).await.expect(204);
    }
    let queued = std::mem::take(&mut *hook.queue.has.lock().unwrap());
    assert_eq!(queued.len(), 3);
    for batch in [&queued[..2], &queued[2..]] {
        let mut event = SqsEvent::default();
        for body in batch {
            let mut message = SqsMessage::default();
            message.message_id = Some("one".to_owned());
            message.body = Some(body.clone());
            event.records.push(message);
        }
        let answer = feedback::handle(&app.scene.db.as_role("martlet_feedback"), event).await.unwrap();
        assert!(answer.batch_item_failures.is_empty());
    }
    assert_eq!(app.scene.number("select count(*) from message_events", &[]).await, 1);
    assert_eq!(app.scene.number("select count(*) from messages where delivered_at is not null", &[]).await, 1);
}

/// Answers every connection with this.
async fn serve(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if matches!(stream.read(&mut request).await, Ok(read) if read > 0) {
                    // Whoever has seen enough hangs up.
                    let _ = stream.write_all(&answer).await;
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("http://{address}/x.pem")
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_source_is_read_within_bounds_and_its_redirects_are_not_followed() {
    let host = HttpsHost::new();
    let good = serve(http("200 OK", "", b"a certificate")).await;
    assert_eq!(host.get(&good).await.unwrap(), Found::Found(b"a certificate".to_vec()));
    for status in ["404 Not Found", "403 Forbidden"] {
        assert_eq!(host.get(&serve(http(status, "", b"no")).await).await.unwrap(), Found::Missing);
    }
    for redirect in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let url = serve(http(redirect, &format!("location: {good}\r\n"), b"")).await;
        assert!(matches!(host.get(&url).await, Err(Error::Unavailable(_))), "{redirect}");
    }
    for answer in [
        http("500 Internal Server Error", "", b""),
        http("200 OK", "", &vec![b'x'; 1 << 20]),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec(),
        b"no HTTP".to_vec(),
        Vec::new(),
    ] {
        let url = serve(answer).await;
        assert!(matches!(host.get(&url).await, Err(Error::Unavailable(_))));
    }
}
