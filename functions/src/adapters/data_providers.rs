//! Providers of data about people and mailboxes, and text models, over HTTP: by the connections of webhooks, which look a name up
//! once and go to what everybody can reach alone. No retries, no redirects.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::TlsContext;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use shared::audience::providers::{ANSWER_MAXIMUM, Asker, NoReply, Question, Reply};
use shared::platform::webhooks::{Reach, Target};
use shared::{Error, Result};

use super::aws::Aws;
use super::secrets;
use super::webhook_poster::{Lookup, SystemLookup, guarded_connector};

/// What this installation shows to a provider, as whoever deploys has written it down.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The provider's name in the setting.
    provider: String,
    /// Where alone it is shown, as `https://api.example.com`.
    origin: String,
    /// The header that it goes into.
    header: String,
    /// All of the header's value.
    value: String,
}

/// Reads a secret: a JSON list of credentials, each beside the origin that it is for.
///
/// Errors: [`Error::Internal`], which quotes nothing.
pub fn credentials(text: &str) -> Result<Vec<Credential>> {
    let broken = "the secret of providers is no list of provider, origin, header and value";
    let credentials: Vec<Credential> = serde_json::from_str(text).map_err(|_| Error::internal(broken))?;
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_value = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if credentials.iter().all(|credential| is_token(&credential.header) && is_value(&credential.value)) {
        Ok(credentials)
    } else {
        Err(Error::internal(broken))
    }
}

/// Reads the secret under an ARN; without one there is nothing to show.
pub async fn read_credentials(aws: &Aws, arn: Option<&str>) -> Result<Vec<Credential>> {
    match arn {
        Some(arn) => credentials(&secrets::text(aws, arn).await?),
        None => Ok(Vec::new()),
    }
}

/// HTTP to providers.
pub struct HttpAsker {
    connector: Connector,
    reach: Reach,
    credentials: Vec<Credential>,
}

impl HttpAsker {
    /// With the machine's look-up and roots.
    #[must_use]
    pub fn new(reach: Reach, credentials: Vec<Credential>) -> Self {
        Self::with(SystemLookup, TlsContext::default(), reach, credentials)
    }

    /// With another look-up, and other roots.
    #[must_use]
    pub fn with(lookup: impl Lookup, roots: TlsContext, reach: Reach, credentials: Vec<Credential>) -> Self {
        Self { connector: guarded_connector(lookup, roots, reach), reach, credentials }
    }

    async fn send(&self, question: &Question) -> Result<Reply, NoReply> {
        // An address in numbers is looked up by nobody, and a setting may have been written when the reach was wider.
        let target = Target::parse(&question.url, self.reach).map_err(|_| NoReply::AddressNotPublic)?;
        let request = self.request(question, target.url()).map_err(|_| NoReply::AddressNotPublic)?;
        let mut answer = match self.connector.call(request).await {
            Ok(answer) => answer,
            Err(error) if super::webhook_poster::is_refused(&error) => return Err(NoReply::AddressNotPublic),
            Err(_) => return Err(NoReply::NoConnection),
        };
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let body = read(&mut answer).await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Reply { status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    fn request(&self, question: &Question, url: &str) -> Result<HttpRequest> {
        let body = question.body.as_ref();
        let mut request = HttpRequest::new(body.map_or_else(SdkBody::empty, |body| SdkBody::from(body.to_string())));
        request.set_method(if body.is_some() { "POST" } else { "GET" }).map_err(Error::internal)?;
        request.set_uri(url).map_err(Error::internal)?;
        let headers = request.headers_mut();
        headers.insert("accept", "application/json");
        headers.insert("user-agent", "Martlet/1");
        if body.is_some() {
            headers.insert("content-type", "application/json");
        }
        let ours = self.credentials.iter().filter(|credential| credential.provider == question.provider);
        for credential in ours.filter(|credential| is_at(url, &credential.origin)) {
            headers.insert(credential.header.to_ascii_lowercase(), credential.value.clone());
        }
        Ok(request)
    }
}

impl Asker for HttpAsker {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Reply, NoReply>> {
        Box::pin(async move {
            let asked = tokio::time::timeout(question.timeout, self.send(question)).await;
            asked.unwrap_or(Err(NoReply::TimedOut))
        })
    }
}

/// Whether a URL is below an origin: the same scheme, host and port, to the letter.
fn is_at(url: &str, origin: &str) -> bool {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    url.strip_prefix(origin.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

async fn read(answer: &mut HttpResponse) -> Result<Vec<u8>, NoReply> {
    let mut stream = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken()));
    let mut body = Vec::new();
    while let Some(more) = stream.next().await {
        body.extend_from_slice(&more.map_err(|_| NoReply::TimedOut)?);
        if body.len() > ANSWER_MAXIMUM {
            return Err(NoReply::TooLong);
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asker() -> HttpAsker {
        let secret = json!([{"provider": "acme", "origin": "https://api.acme.test", "header": "Authorization", "value": "Bearer one"},
                            {"provider": "other", "origin": "https://api.other.test:8443", "header": "x-key", "value": "two"}]);
        HttpAsker::new(Reach::Public, credentials(&secret.to_string()).unwrap())
    }

    fn shown(provider: &str, url: &str) -> Option<String> {
        let question = Question {
            provider: provider.to_owned(),
            url: url.to_owned(),
            body: None,
            timeout: Duration::from_secs(1),
        };
        let request = asker().request(&question, url).unwrap();
        request.headers().get("authorization").or(request.headers().get("x-key")).map(str::to_owned)
    }

    #[test]
    fn a_credential_is_shown_to_its_provider_at_its_origin_alone() {
        assert_eq!(shown("acme", "https://api.acme.test/v1?of=a").as_deref(), Some("Bearer one"));
        assert_eq!(shown("other", "https://api.other.test:8443/").as_deref(), Some("two"));
        for (provider, url) in [
            ("acme", "https://api.acme.test.evil.test/"),
            ("acme", "https://api.acme.test:8443/"),
            ("acme", "http://api.acme.test/"),
            ("other", "https://api.acme.test/"),
            ("nobody", "https://api.acme.test/"),
        ] {
            assert_eq!(shown(provider, url), None, "{provider} {url}");
        }
    }

    #[test]
    fn a_broken_secret_is_not_quoted() {
        for broken in [
            r#"{"current": 1, "key_1": "a key"}"#,
            r#"[{"provider": "a", "origin": "b", "header": "x key", "value": "a key"}]"#,
            "[{\"provider\": \"a\", \"origin\": \"b\", \"header\": \"x\", \"value\": \"a key\\r\\nhost: b\"}]",
        ] {
            let Err(error) = credentials(broken) else { panic!("{broken}") };
            assert!(!shared::error::describe(&error).contains("a key"), "{error:?}");
        }
    }
}
