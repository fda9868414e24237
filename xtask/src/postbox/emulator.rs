//! The calls to the AWS emulator: SQS SendMessage and S3 PutObject, over plain HTTP.
//!
//! The emulator checks no signatures, but it tells the services apart by the credential scope.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Response};
use serde_json::json;

/// How long one call may take; the emulator answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a call is tried in all.
const ATTEMPTS: u32 = 5;

/// The pause after the first failure; it doubles each time, so that all attempts take 3 seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The emulator.
#[derive(Debug, Clone)]
pub(crate) struct Emulator {
    client: Client,
    url: String,
}

impl Emulator {
    /// The emulator at a base URL.
    ///
    /// # Errors
    ///
    /// Fails where the HTTP client cannot be built.
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        // A proxy set in the environment must not come between two loopback addresses.
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned() })
    }

    /// Sends a message to a queue.
    ///
    /// # Errors
    ///
    /// Fails where the emulator has refused it or was out of reach five times.
    pub(crate) async fn send_message(&self, queue_url: &str, body: &str) -> anyhow::Result<()> {
        let request = self
            .client
            .post(format!("{}/", self.url))
            .header(AUTHORIZATION, authorization("sqs"))
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .body(json!({ "QueueUrl": queue_url, "MessageBody": body }).to_string());
        attempt(&request).await.with_context(|| format!("could not send to {queue_url}"))
    }

    /// Stores an object.
    ///
    /// # Errors
    ///
    /// Fails where the emulator has refused it or was out of reach five times.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let request = self
            .client
            .put(format!("{}/{bucket}/{key}", self.url))
            .header(AUTHORIZATION, authorization("s3"))
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header(CONTENT_TYPE, "message/rfc822")
            .body(body);
        attempt(&request).await.with_context(|| format!("could not store {bucket}/{key}"))
    }
}

fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

async fn attempt(request: &reqwest::RequestBuilder) -> anyhow::Result<()> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        if once(request).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    once(request).await
}

async fn once(request: &reqwest::RequestBuilder) -> anyhow::Result<()> {
    let request = request.try_clone().context("the request cannot be repeated")?;
    let response: Response = request.send().await?;
    let status = response.status();
    let body = response.text().await?;
    ensure!(status.is_success(), "{status}: {}", body.chars().take(200).collect::<String>());
    Ok(())
}
