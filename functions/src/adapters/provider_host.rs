//! Identity providers over HTTP, and the secrets that they know us by.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::TlsContext;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use shared::platform::webhooks::{Reach, Target};
use shared::{Error, Result};

use super::aws::Aws;
use super::secrets;
use super::webhook_poster::{Lookup, SystemLookup, guarded_connector};
use crate::oidc::{Answer, ClientSecrets, ProviderHost};

/// Somebody waits at the other end.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The keys of the largest providers take a few kilobytes.
const MOST_BYTES: usize = 256 << 10;

/// HTTP and HTTPS to what a setting and a provider name: by the connections of webhooks, which look a name up once and go to what
/// everybody can reach alone. No retries, no redirects.
pub struct HttpProviders {
    connector: Connector,
    reach: Reach,
}

impl HttpProviders {
    /// With the machine's look-up and roots.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self::with(SystemLookup, TlsContext::default(), reach)
    }

    /// With another look-up, and other roots.
    #[must_use]
    pub fn with(lookup: impl Lookup, roots: TlsContext, reach: Reach) -> Self {
        Self { connector: guarded_connector(lookup, roots, reach), reach }
    }

    async fn ask(&self, url: &str, mut request: HttpRequest) -> Result<Answer> {
        // An address in numbers is looked up by nobody.
        let target = Target::parse(url, self.reach).map_err(unavailable)?;
        request.set_uri(target.url()).map_err(Error::internal)?;
        let asked = tokio::time::timeout(TIMEOUT, call(&self.connector, request)).await;
        asked.unwrap_or_else(|_| Err(unavailable("the identity provider has not answered in time")))
    }
}

impl ProviderHost for HttpProviders {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.headers_mut().insert("accept", "application/json");
            self.ask(url, request).await
        })
    }

    fn post<'a>(&'a self, url: &'a str, form: String, authorization: Option<String>) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let mut request = HttpRequest::new(SdkBody::from(form));
            request.set_method("POST").map_err(Error::internal)?;
            let headers = request.headers_mut();
            headers.insert("content-type", "application/x-www-form-urlencoded");
            headers.insert("accept", "application/json");
            if let Some(authorization) = authorization {
                headers.insert("authorization", authorization);
            }
            self.ask(url, request).await
        })
    }
}

async fn call(connector: &Connector, request: HttpRequest) -> Result<Answer> {
    let mut answer = connector.call(request).await.map_err(unavailable)?;
    let status = answer.status().as_u16();
    let mut stream = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken()));
    let mut body = Vec::new();
    while let Some(more) = stream.next().await {
        body.extend_from_slice(&more.map_err(unavailable)?);
        if body.len() > MOST_BYTES {
            return Err(unavailable("the identity provider has answered with too much"));
        }
    }
    Ok(Answer { status, body })
}

/// The one secret of Secrets Manager that has what we show to providers: a JSON list of clients, each beside its issuer.
pub struct ManagedSecrets {
    /// How to reach AWS.
    pub aws: Aws,
    /// Which secret; none where all clients are public.
    pub arn: Option<String>,
}

/// A client that has a secret, as whoever deploys has written it down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    issuer: String,
    client_id: String,
    client_secret: String,
}

impl ClientSecrets for ManagedSecrets {
    fn find<'a>(&'a self, issuer: &'a str, client_id: &'a str) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let Some(arn) = &self.arn else { return Ok(None) };
            secret_of(&secrets::text(&self.aws, arn).await?, issuer, client_id)
        })
    }
}

fn secret_of(clients: &str, issuer: &str, client_id: &str) -> Result<Option<String>> {
    // What serde says of it could quote a secret.
    let clients: Vec<Client> = serde_json::from_str(clients).map_err(|_| {
        Error::internal("the secret of identity providers is no list of issuer, client_id and client_secret")
    })?;
    let found = clients.into_iter().find(|client| client.issuer == issuer && client.client_id == client_id);
    Ok(found.map(|client| client.client_secret))
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(cause.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_its_issuer_and_its_client_alone() {
        let clients = r#"[{"issuer": "https://a.test", "client_id": "one", "client_secret": "first"},
                          {"issuer": "https://b.test", "client_id": "one", "client_secret": "second"}]"#;
        let found = |issuer, client| secret_of(clients, issuer, client).unwrap();
        assert_eq!(found("https://a.test", "one").as_deref(), Some("first"));
        assert_eq!(found("https://b.test", "one").as_deref(), Some("second"));
        for (issuer, client) in [("https://a.test", "two"), ("https://evil.test", "one"), ("https://a.test/", "one")] {
            assert_eq!(found(issuer, client), None, "{issuer} {client}");
        }
        for broken in [r#"{"current": 1, "key_1": "a key of tokens"}"#, r#"{"username": "u", "password": "p"}"#, "text"]
        {
            let error = secret_of(broken, "https://a.test", "one").unwrap_err();
            assert!(!shared::error::describe(&error).contains("key_1"), "{error:?}");
        }
    }
}
