//! Identity providers over HTTP, and the secrets that they know us by.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::BoxFuture;
use shared::{Error, Result};

use super::aws::Aws;
use super::secrets;
use crate::oidc::{Answer, ClientSecrets, ProviderHost};

/// Somebody waits at the other end.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The keys of the largest providers take a few kilobytes.
const MOST_BYTES: usize = 256 << 10;

/// HTTP and HTTPS as the SDK speaks it, without what is the SDK's: no endpoint of the environment, no retries, no redirects.
pub struct HttpProviders {
    connector: Connector,
}

impl HttpProviders {
    /// With the machine's roots.
    #[must_use]
    pub fn new() -> Self {
        Self { connector: Connector::builder().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build() }
    }

    async fn ask(&self, request: HttpRequest) -> Result<Answer> {
        let asked = tokio::time::timeout(TIMEOUT, call(&self.connector, request)).await;
        asked.unwrap_or_else(|_| Err(unavailable("the identity provider has not answered in time")))
    }
}

impl Default for HttpProviders {
    fn default() -> Self {
        Self::new()
    }
}

impl ProviderHost for HttpProviders {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let mut request = HttpRequest::get(url).map_err(Error::internal)?;
            request.headers_mut().insert("accept", "application/json");
            self.ask(request).await
        })
    }

    fn post<'a>(&'a self, url: &'a str, form: String, authorization: Option<String>) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let mut request = HttpRequest::new(SdkBody::from(form));
            request.set_method("POST").map_err(Error::internal)?;
            request.set_uri(url).map_err(Error::internal)?;
            let headers = request.headers_mut();
            headers.insert("content-type", "application/x-www-form-urlencoded");
            headers.insert("accept", "application/json");
            if let Some(authorization) = authorization {
                headers.insert("authorization", authorization);
            }
            self.ask(request).await
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

/// Secrets Manager.
pub struct ManagedSecrets(pub Aws);

impl ClientSecrets for ManagedSecrets {
    fn read<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(secrets::text(&self.0, arn))
    }
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(cause.into())
}
