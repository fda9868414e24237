//! SES identities: the domains that the account may send from.

use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::create_email_identity::CreateEmailIdentityError;
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityError;
use aws_sdk_sesv2::types::{DkimAttributes, Tag, VerificationStatus};
use futures_util::future::BoxFuture;
use shared::delivery::domains::{DomainName, Identities, Identity, Status};
use shared::{Error, OrganizationId, Result};

use super::aws::Aws;

/// The tag that says for which organization an identity was made.
const OWNER_TAG: &str = "martlet-organization";

/// The identities of the SES account.
pub struct SesIdentities {
    client: aws_sdk_sesv2::Client,
}

impl SesIdentities {
    /// The account that the credentials belong to.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws_sdk_sesv2::Client::new(&aws.config) }
    }

    async fn get(&self, domain: &DomainName) -> Result<Option<Identity>> {
        match self.client.get_email_identity().email_identity(domain.as_str()).send().await {
            Ok(answer) => {
                let status = status(answer.verified_for_sending_status(), answer.verification_status());
                Ok(Some(Identity {
                    owner: owner(answer.tags()),
                    status,
                    dkim_tokens: tokens(answer.dkim_attributes()),
                }))
            }
            Err(error) if error.as_service_error().is_some_and(GetEmailIdentityError::is_not_found_exception) => {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Identities for SesIdentities {
    fn create<'a>(&'a self, domain: &'a DomainName, owner: OrganizationId) -> BoxFuture<'a, Result<Identity>> {
        Box::pin(async move {
            let tag = Tag::builder().key(OWNER_TAG).value(owner.to_string()).build().map_err(Error::internal)?;
            let request = self.client.create_email_identity().email_identity(domain.as_str()).tags(tag);
            let answer = request.send().await;
            let refused = |is: fn(&CreateEmailIdentityError) -> bool| {
                answer.as_ref().is_err_and(|error| error.as_service_error().is_some_and(is))
            };
            // Made by an earlier request whose answer was lost, by hand, or for another organization.
            if refused(CreateEmailIdentityError::is_already_exists_exception) {
                let known = self.get(domain).await?;
                return known.ok_or_else(|| Error::Unavailable("the identity was deleted a moment ago".into()));
            }
            if refused(CreateEmailIdentityError::is_bad_request_exception) {
                return Err(Error::invalid("name", "refused", "the mail provider does not accept this domain"));
            }
            let answer = answer.map_err(failed)?;
            Ok(Identity {
                owner: Some(owner),
                status: status(answer.verified_for_sending_status(), None),
                dkim_tokens: tokens(answer.dkim_attributes()),
            })
        })
    }

    fn find<'a>(&'a self, domain: &'a DomainName) -> BoxFuture<'a, Result<Option<Identity>>> {
        Box::pin(self.get(domain))
    }
}

fn status(may_send: bool, verification: Option<&VerificationStatus>) -> Status {
    match verification {
        _ if may_send => Status::Verified,
        Some(VerificationStatus::Failed) => Status::Failed,
        _ => Status::Pending,
    }
}

fn owner(tags: &[Tag]) -> Option<OrganizationId> {
    tags.iter().find(|tag| tag.key() == OWNER_TAG)?.value().parse().ok()
}

fn tokens(dkim: Option<&DkimAttributes>) -> Vec<String> {
    dkim.map(|dkim| dkim.tokens().to_vec()).unwrap_or_default()
}

/// A refusal that trying again does not change is a broken environment, such as a missing permission.
fn failed<E, R>(error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let is_final = matches!(error.as_service_error().and_then(ProvideErrorMetadata::code),
        Some(code) if code.starts_with("AccessDenied") || code == "BadRequestException");
    if is_final { Error::internal(error) } else { Error::Unavailable(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sesv2::config::{Credentials, SharedCredentialsProvider};

    use super::*;

    const OWNER: &str = "00000000-0000-7000-8000-000000000001";
    const KNOWN: &str = r#"{"VerifiedForSendingStatus": true, "DkimAttributes": {"Tokens": ["one", "two"]},
        "Tags": [{"Key": "martlet-organization", "Value": "00000000-0000-7000-8000-000000000001"}]}"#;
    const FAILED: &str = r#"{"VerifiedForSendingStatus": false, "VerificationStatus": "FAILED"}"#;
    const PENDING: &str = r#"{"VerifiedForSendingStatus": false, "DkimAttributes": {"Tokens": ["one"]}}"#;

    /// Gives these answers (status, error, body) in order; what was asked is returned when all are given.
    fn provider(answers: Vec<(u16, &'static str, &'static str)>) -> (SesIdentities, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || answers.into_iter().map(|answer| serve(&listener, answer)).collect());
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        (SesIdentities::new(&Aws { config }), asked)
    }

    fn serve(listener: &TcpListener, (status, error, body): (u16, &str, &str)) -> String {
        let mut stream = listener.accept().unwrap().0;
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        // The whole request, or else closing the connection would reset it.
        loop {
            let read = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&request);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
        }
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             x-amzn-errortype: {error}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request).lines().next().unwrap().to_owned()
    }

    fn somebody() -> OrganizationId {
        OrganizationId::fresh()
    }

    fn domain() -> DomainName {
        DomainName::parse("mail.example.com").unwrap()
    }

    #[tokio::test]
    async fn a_new_identity_is_made_by_one_call() {
        let (identities, asked) = provider(vec![(200, "", PENDING)]);
        let owner = somebody();
        let made = identities.create(&domain(), owner).await.unwrap();
        assert_eq!(made, Identity { owner: Some(owner), status: Status::Pending, dkim_tokens: vec!["one".into()] });
        assert_eq!(asked.join().unwrap(), ["POST /v2/email/identities HTTP/1.1"]);
    }

    #[tokio::test]
    async fn an_identity_that_exists_is_read() {
        let (identities, asked) = provider(vec![(400, "AlreadyExistsException", "{}"), (200, "", KNOWN)]);
        let known = identities.create(&domain(), somebody()).await.unwrap();
        let owner = Some(OWNER.parse().unwrap());
        let dkim_tokens = vec!["one".into(), "two".into()];
        assert_eq!(known, Identity { owner, status: Status::Verified, dkim_tokens });
        assert_eq!(
            asked.join().unwrap(),
            ["POST /v2/email/identities HTTP/1.1", "GET /v2/email/identities/mail.example.com HTTP/1.1"]
        );
    }

    #[tokio::test]
    async fn a_missing_a_failed_and_a_refused_identity_are_told_apart() {
        let (identities, asked) = provider(vec![
            (404, "NotFoundException", "{}"),
            (200, "", FAILED),
            (400, "BadRequestException", "{}"),
            (429, "TooManyRequestsException", "{}"),
            (403, "AccessDeniedException", "{}"),
            (500, "", "{}"),
        ]);
        assert_eq!(identities.find(&domain()).await.unwrap(), None);
        assert_eq!(identities.find(&domain()).await.unwrap().unwrap().status, Status::Failed);
        assert!(matches!(identities.create(&domain(), somebody()).await, Err(Error::Invalid(_))));
        assert!(matches!(identities.create(&domain(), somebody()).await, Err(Error::Unavailable(_))));
        assert!(matches!(identities.create(&domain(), somebody()).await, Err(Error::Internal(_))));
        assert!(matches!(identities.find(&domain()).await, Err(Error::Unavailable(_))));
        assert_eq!(asked.join().unwrap().len(), 6);
    }
}
