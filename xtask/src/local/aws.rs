//! What xtask asks of AWS's services, as plain HTTP. The emulator takes requests unsigned, so no SDK
//! is needed, which would double what must be compiled before anything starts.

mod queues;
mod stacks;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

pub(crate) use self::queues::Depth;
pub(crate) use self::stacks::Outputs;

/// The longest that a request may take: a little more than the longest function, `migrate`.
const LONGEST_REQUEST: Duration = Duration::from_secs(930);

/// The emulator's services.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    http: reqwest::Client,
    endpoint: String,
}

/// What a function answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// What it returned, or its error.
    pub(crate) payload: String,
    /// The kind of error, if it failed.
    pub(crate) error: Option<String>,
    /// The end of what it logged.
    pub(crate) log: String,
}

impl Aws {
    /// Services at an endpoint as `http://127.0.0.1:4580`.
    pub(crate) fn at(endpoint: &str) -> Result<Self> {
        // A proxy of the developer's network can't reach this machine's loopback interface.
        let http = reqwest::Client::builder().no_proxy().timeout(LONGEST_REQUEST).build()?;
        Ok(Self { http, endpoint: endpoint.into() })
    }

    /// Keeps a secret and returns its ARN.
    pub(crate) async fn create_secret(&self, name: &str, secret: &Value) -> Result<String> {
        let request = json!({"Name": name, "SecretString": secret.to_string()});
        let answer = self.call("secretsmanager.CreateSecret", "1.1", &request).await?;
        answer["ARN"].as_str().map(Into::into).context("the answer to CreateSecret has no ARN")
    }

    /// Runs a function and waits for its answer.
    ///
    /// # Errors
    ///
    /// Fails where there is no such function; an error of the function itself is part of the answer.
    pub(crate) async fn invoke(&self, function: &str, payload: impl Into<reqwest::Body>) -> Result<Invocation> {
        let path = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint);
        let request = self.http.post(path).header("X-Amz-Log-Type", "Tail").body(payload);
        let answer = send("Invoke", request).await?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
        let error = header("X-Amz-Function-Error");
        let log = header("X-Amz-Log-Result").and_then(|log| BASE64_STANDARD.decode(log).ok()).unwrap_or_default();
        Ok(Invocation { error, log: String::from_utf8_lossy(&log).into_owned(), payload: answer.text().await? })
    }

    /// Calls a service of the JSON protocol, whose `version` is 1.0 or 1.1.
    async fn call(&self, target: &str, version: &str, request: &Value) -> Result<Value> {
        let request = self
            .http
            .post(&self.endpoint)
            .header("X-Amz-Target", target)
            .header("Content-Type", format!("application/x-amz-json-{version}"))
            .body(request.to_string());
        let text = send(target, request).await?.text().await?;
        // Some operations answer with nothing.
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }
}

async fn send(operation: &str, request: RequestBuilder) -> Result<Response> {
    let answer = request.send().await.with_context(|| format!("{operation} did not reach the AWS emulator"))?;
    let status = answer.status();
    if !status.is_success() {
        bail!("{operation} was answered with {status}: {}", answer.text().await.unwrap_or_default());
    }
    Ok(answer)
}
