//! The hosts of SNS over HTTPS: certificates, and the addresses that confirm a subscription.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::BoxFuture;
use shared::{Error, Result};

use crate::sns::{Answer, SnsHost};

/// Within the 15 seconds after which SNS gives up on us.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A certificate has about two kilobytes, the answer to a confirmation less.
const MOST_BYTES: usize = 32 << 10;

/// HTTPS as the SDK speaks it, without what is the SDK's: no endpoint of the environment, no retries, no redirects.
pub struct HttpsHost {
    connector: Connector,
}

impl HttpsHost {
    /// With the machine's roots: what comes is checked against our own.
    #[must_use]
    pub fn new() -> Self {
        Self { connector: Connector::builder().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build() }
    }
}

impl Default for HttpsHost {
    fn default() -> Self {
        Self::new()
    }
}

impl SnsHost for HttpsHost {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let asked = tokio::time::timeout(TIMEOUT, ask(&self.connector, url)).await;
            asked.unwrap_or_else(|_| Err(unavailable("SNS has not answered in time")))
        })
    }
}

async fn ask(connector: &Connector, url: &str) -> Result<Answer> {
    let request = HttpRequest::get(url).map_err(Error::internal)?;
    let mut answer = connector.call(request).await.map_err(unavailable)?;
    match answer.status().as_u16() {
        200 => {}
        400 | 403 | 404 | 410 => return Ok(Answer::Missing),
        // A redirect among them: where it leads nobody has checked.
        other => return Err(unavailable(format!("SNS has answered {other}"))),
    }
    let mut body = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken()));
    let mut bytes = Vec::new();
    while let Some(more) = body.next().await {
        bytes.extend_from_slice(&more.map_err(unavailable)?);
        if bytes.len() > MOST_BYTES {
            return Err(unavailable("SNS has answered with more than a certificate has"));
        }
    }
    Ok(Answer::Found(bytes))
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(cause.into())
}
