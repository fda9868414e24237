//! The way out to webhooks: HTTP to addresses that somebody else has chosen, and never to what only we can reach.
//!
//! A name is looked up once, by the connection that is made to it: if any of its addresses is not the public's, there is no
//! connection, and otherwise it goes to what was checked. So a name that leads elsewhere the next time leads nowhere. Redirects are
//! not followed, no connection is kept, no proxy is asked, and no credentials of ours are near.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::BoxFuture;
use shared::platform::webhooks::dispatching::{Answer, Failure, Post, Poster};
use shared::platform::webhooks::{Reach, Target};
use shared::{Error, Result};

/// Within this an endpoint answers, from the look-up of its name to the end of what is kept of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// As much of an answer as is read.
const MOST_BYTES: usize = 1_024;

/// Looks the addresses of a name up.
pub trait Lookup: fmt::Debug + Clone + Send + Sync + 'static {
    /// All addresses of a host.
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// As the machine looks names up.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// What refuses a name that leads where not everybody can go.
#[derive(Debug, Clone)]
struct Guard<L> {
    lookup: L,
    reach: Reach,
}

/// A name leads where not everybody can go.
#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has an address that is not the public's")
    }
}

impl StdError for NotPublic {}

impl<L: Lookup> ResolveDns for Guard<L> {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let addresses = self.lookup.addresses(name).await.map_err(ResolveDnsError::new)?;
            // One that is not the public's closes them all: which one is taken is not ours to say.
            if addresses.is_empty() || !addresses.iter().all(|address| self.reach.admits(*address)) {
                return Err(ResolveDnsError::new(NotPublic));
            }
            Ok(addresses)
        })
    }
}

/// Connections to what somebody else has named: they go where everybody can go, and are not kept.
pub(super) fn guarded_connector(lookup: impl Lookup, roots: TlsContext, reach: Reach) -> Connector {
    Connector::builder()
        .pool_max_idle_per_host(0)
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(roots)
        .build_with_resolver(Guard { lookup, reach })
}

/// HTTP without what makes it go elsewhere.
pub struct WebhookPoster {
    connector: Connector,
    reach: Reach,
    timeout: Duration,
}

impl WebhookPoster {
    /// With the machine's look-up and roots.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self::with(SystemLookup, TlsContext::default(), reach)
    }

    /// With another look-up, and other roots.
    #[must_use]
    pub fn with(lookup: impl Lookup, roots: TlsContext, reach: Reach) -> Self {
        Self { connector: guarded_connector(lookup, roots, reach), reach, timeout: TIMEOUT }
    }

    /// The same with less patience.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    async fn ask(&self, post: &Post) -> (Result<u16, Failure>, Option<String>) {
        // The rule may have become narrower since the address was taken, and an address in numbers is looked up by nobody.
        let Ok(target) = Target::parse(&post.url, self.reach) else { return (Err(Failure::AddressNotPublic), None) };
        let Ok(request) = request(&target, post) else { return (Err(Failure::AddressNotPublic), None) };
        let until = tokio::time::Instant::now() + self.timeout;
        let mut answer = match tokio::time::timeout_at(until, self.connector.call(request)).await {
            Err(_) => return (Err(Failure::TimedOut), None),
            Ok(Err(error)) if is_refused(&error) => return (Err(Failure::AddressNotPublic), None),
            Ok(Err(_)) => return (Err(Failure::NoConnection), None),
            Ok(Ok(answer)) => answer,
        };
        // The status says what there is to know, whatever becomes of the rest.
        let mut body = Vec::new();
        let _ = tokio::time::timeout_at(until, read(&mut answer, &mut body)).await;
        (Ok(answer.status().as_u16()), Some(String::from_utf8_lossy(&body).into_owned()))
    }
}

impl Poster for WebhookPoster {
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let began = Instant::now();
            let (outcome, body) = self.ask(post).await;
            Answer { outcome, body, took: began.elapsed() }
        })
    }
}

fn request(target: &Target, post: &Post) -> Result<HttpRequest> {
    let mut request = HttpRequest::new(SdkBody::from(post.body.as_str()));
    request.set_method("POST").map_err(Error::internal)?;
    request.set_uri(target.url()).map_err(Error::internal)?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/json");
    headers.insert("user-agent", "Martlet-Webhooks/1");
    headers.insert("webhook-id", post.id.clone());
    headers.insert("webhook-timestamp", post.timestamp.to_string());
    headers.insert("webhook-signature", post.signature.clone());
    Ok(request)
}

/// Reads the beginning of an answer.
async fn read(answer: &mut HttpResponse, into: &mut Vec<u8>) {
    let mut body = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken()));
    while into.len() < MOST_BYTES {
        match body.next().await {
            Some(Ok(more)) => into.extend_from_slice(&more),
            Some(Err(_)) | None => break,
        }
    }
    into.truncate(MOST_BYTES);
}

/// Whether a connection was not made because of where its name leads.
pub(super) fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}
