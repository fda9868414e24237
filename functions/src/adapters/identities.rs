//! SES identities: the domains that the account may send from.

use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::create_email_identity::CreateEmailIdentityError;
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityError;
use aws_sdk_sesv2::operation::put_email_identity_mail_from_attributes::PutEmailIdentityMailFromAttributesError;
use aws_sdk_sesv2::types::{
    BehaviorOnMxFailure, DkimAttributes, DkimStatus, MailFromAttributes, MailFromDomainStatus, Tag, VerificationStatus,
};
use futures_util::future::BoxFuture;
use shared::delivery::domains::records::State;
use shared::delivery::domains::{Dkim, DomainName, Identities, Identity, MailFrom, Status};
use shared::error::describe;
use shared::{Error, OrganizationId, Result};

use super::aws::Aws;

/// The tag that says for which organization an identity was made.
const OWNER_TAG: &str = "martlet-organization";
/// Where SES publishes the keys of Easy DKIM, unless it says otherwise.
const DKIM_ZONE: &str = "dkim.amazonses.com";

/// The identities of the SES account.
pub struct SesIdentities {
    client: aws_sdk_sesv2::Client,
    /// Takes the bounces of MAIL FROM domains in this region.
    exchange: String,
}

impl SesIdentities {
    /// The account that the credentials belong to.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        // Without a region no call of the client succeeds.
        let region = aws.config.region().map(AsRef::as_ref).unwrap_or_default();
        Self {
            client: aws_sdk_sesv2::Client::new(&aws.ses_config()),
            exchange: format!("feedback-smtp.{region}.amazonses.com"),
        }
    }

    async fn get(&self, domain: &DomainName) -> Result<Option<Identity>> {
        match self.client.get_email_identity().email_identity(domain.as_str()).send().await {
            Ok(answer) => {
                let status = status(answer.verified_for_sending_status(), answer.verification_status());
                Ok(Some(Identity {
                    owner: owner(answer.tags()),
                    status,
                    dkim: dkim(answer.dkim_attributes()),
                    mail_from: answer.mail_from_attributes().and_then(|known| self.mail_from(known)),
                }))
            }
            Err(error) if error.as_service_error().is_some_and(GetEmailIdentityError::is_not_found_exception) => {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Where none was chosen SES says how it would behave and no more.
    fn mail_from(&self, known: &MailFromAttributes) -> Option<MailFrom> {
        let state = match known.mail_from_domain_status() {
            MailFromDomainStatus::Success => State::Found,
            MailFromDomainStatus::Pending => State::Missing,
            MailFromDomainStatus::TemporaryFailure => State::Lost,
            MailFromDomainStatus::Failed => State::Failed,
            _ => State::Unknown,
        };
        let domain = known.mail_from_domain().to_owned();
        (!domain.is_empty()).then(|| MailFrom { domain, exchange: self.exchange.clone(), state })
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
                dkim: dkim(answer.dkim_attributes()),
                mail_from: None,
            })
        })
    }

    fn find<'a>(&'a self, domain: &'a DomainName) -> BoxFuture<'a, Result<Option<Identity>>> {
        Box::pin(self.get(domain))
    }

    fn set_mail_from<'a>(&'a self, domain: &'a DomainName, name: &'a str) -> BoxFuture<'a, Result<Option<MailFrom>>> {
        Box::pin(async move {
            let request = self
                .client
                .put_email_identity_mail_from_attributes()
                .email_identity(domain.as_str())
                .mail_from_domain(name)
                .behavior_on_mx_failure(BehaviorOnMxFailure::UseDefaultValue);
            match request.send().await {
                Ok(_) => {
                    let exchange = self.exchange.clone();
                    Ok(Some(MailFrom { domain: name.to_owned(), exchange, state: State::Missing }))
                }
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(PutEmailIdentityMailFromAttributesError::is_bad_request_exception) =>
                {
                    tracing::warn!(error = describe(&error), "SES does not accept a MAIL FROM domain");
                    Ok(None)
                }
                Err(error) => Err(failed(error)),
            }
        })
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

fn dkim(known: Option<&DkimAttributes>) -> Dkim {
    let state = match known.and_then(DkimAttributes::status) {
        Some(DkimStatus::Success) => State::Found,
        // It begins by itself once the identity is made.
        Some(DkimStatus::Pending | DkimStatus::NotStarted) => State::Missing,
        Some(DkimStatus::TemporaryFailure) => State::Lost,
        Some(DkimStatus::Failed) => State::Failed,
        _ => State::Unknown,
    };
    let zone = known.and_then(DkimAttributes::signing_hosted_zone).unwrap_or(DKIM_ZONE).to_owned();
    Dkim { tokens: known.map(|known| known.tokens().to_vec()).unwrap_or_default(), zone, state }
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
    const KNOWN: &str = r#"{"IdentityType": "DOMAIN", "FeedbackForwardingStatus": true, "VerifiedForSendingStatus": true,
        "VerificationStatus": "SUCCESS",
        "DkimAttributes": {"SigningEnabled": true, "Status": "SUCCESS", "Tokens": ["one", "two"],
            "SigningHostedZone": "dkim.eu-central-1.amazonses.com", "SigningAttributesOrigin": "AWS_SES"},
        "MailFromAttributes": {"MailFromDomain": "bounces.mail.example.com", "MailFromDomainStatus": "SUCCESS",
            "BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
        "Policies": {}, "Tags": [{"Key": "martlet-organization", "Value": "00000000-0000-7000-8000-000000000001"}]}"#;
    const FAILED: &str = r#"{"VerifiedForSendingStatus": false, "VerificationStatus": "FAILED",
        "DkimAttributes": {"Status": "FAILED", "Tokens": ["one"]},
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"}}"#;
    const PENDING: &str =
        r#"{"VerifiedForSendingStatus": false, "DkimAttributes": {"Status": "PENDING", "Tokens": ["one"]}}"#;

    fn dkim_of(tokens: &[&str], zone: &str, state: State) -> Dkim {
        Dkim { tokens: tokens.iter().map(ToString::to_string).collect(), zone: zone.to_owned(), state }
    }

    fn mail_from_of(domain: &str, state: State) -> MailFrom {
        let exchange = "feedback-smtp.eu-central-1.amazonses.com".to_owned();
        MailFrom { domain: domain.to_owned(), exchange, state }
    }

    /// Gives these answers (status, error, body) in order; what was asked is returned when all are given.
    fn provider(answers: Vec<(u16, &'static str, &'static str)>) -> (SesIdentities, JoinHandle<Vec<String>>) {
        let (identities, asked) = provider_heard(answers);
        let lines =
            move || asked.join().unwrap().iter().map(|whole| whole.lines().next().unwrap().to_owned()).collect();
        (identities, std::thread::spawn(lines))
    }

    /// The same, with whole requests.
    fn provider_heard(answers: Vec<(u16, &'static str, &'static str)>) -> (SesIdentities, JoinHandle<Vec<String>>) {
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
        String::from_utf8_lossy(&request).into_owned()
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
        let dkim = dkim_of(&["one"], "dkim.amazonses.com", State::Missing);
        assert_eq!(made, Identity { owner: Some(owner), status: Status::Pending, dkim, mail_from: None });
        assert_eq!(asked.join().unwrap(), ["POST /v2/email/identities HTTP/1.1"]);
    }

    #[tokio::test]
    async fn an_identity_that_exists_is_read() {
        let (identities, asked) = provider(vec![(400, "AlreadyExistsException", "{}"), (200, "", KNOWN)]);
        let known = identities.create(&domain(), somebody()).await.unwrap();
        let owner = Some(OWNER.parse().unwrap());
        let dkim = dkim_of(&["one", "two"], "dkim.eu-central-1.amazonses.com", State::Found);
        let mail_from = Some(mail_from_of("bounces.mail.example.com", State::Found));
        assert_eq!(known, Identity { owner, status: Status::Verified, dkim, mail_from });
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
        let dkim = dkim_of(&["one"], "dkim.amazonses.com", State::Failed);
        let failed = Identity { owner: None, status: Status::Failed, dkim, mail_from: None };
        assert_eq!(identities.find(&domain()).await.unwrap(), Some(failed));
        assert!(matches!(identities.create(&domain(), somebody()).await, Err(Error::Invalid(_))));
        assert!(matches!(identities.create(&domain(), somebody()).await, Err(Error::Unavailable(_))));
        assert!(matches!(identities.create(&domain(), somebody()).await, Err(Error::Internal(_))));
        assert!(matches!(identities.find(&domain()).await, Err(Error::Unavailable(_))));
        assert_eq!(asked.join().unwrap().len(), 6);
    }

    #[tokio::test]
    async fn what_ses_says_of_each_record_is_told_apart() {
        let states = [
            (("SUCCESS", State::Found), ("SUCCESS", State::Found)),
            (("PENDING", State::Missing), ("PENDING", State::Missing)),
            (("NOT_STARTED", State::Missing), ("PENDING", State::Missing)),
            (("TEMPORARY_FAILURE", State::Lost), ("TEMPORARY_FAILURE", State::Lost)),
            (("FAILED", State::Failed), ("FAILED", State::Failed)),
            (("SOMETHING_NEW", State::Unknown), ("SOMETHING_NEW", State::Unknown)),
        ];
        for ((dkim_status, keys), (mail_from_status, exchange)) in states {
            let body = format!(
                r#"{{"VerifiedForSendingStatus": true, "DkimAttributes": {{"Status": "{dkim_status}"}},
                    "MailFromAttributes": {{"MailFromDomain": "a.mail.example.com", "MailFromDomainStatus": "{mail_from_status}",
                                            "BehaviorOnMxFailure": "USE_DEFAULT_VALUE"}}}}"#
            );
            let (identities, asked) = provider(vec![(200, "", body.leak())]);
            let known = identities.find(&domain()).await.unwrap().unwrap();
            assert_eq!(known.dkim.state, keys, "{dkim_status}");
            assert_eq!(known.mail_from, Some(mail_from_of("a.mail.example.com", exchange)), "{mail_from_status}");
            asked.join().unwrap();
        }
    }

    #[tokio::test]
    async fn a_mail_from_domain_is_set_so_that_sending_works_without_its_record() {
        let (identities, asked) = provider_heard(vec![
            (200, "", "{}"),
            (400, "BadRequestException", "{}"),
            (429, "TooManyRequestsException", "{}"),
            (403, "AccessDeniedException", "{}"),
        ]);
        let name = "mail.mail.example.com";
        let set = identities.set_mail_from(&domain(), name).await.unwrap();
        assert_eq!(set, Some(mail_from_of(name, State::Missing)));
        assert_eq!(identities.set_mail_from(&domain(), name).await.unwrap(), None);
        assert!(matches!(identities.set_mail_from(&domain(), name).await, Err(Error::Unavailable(_))));
        assert!(matches!(identities.set_mail_from(&domain(), name).await, Err(Error::Internal(_))));
        let asked = asked.join().unwrap();
        let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("PUT /v2/email/identities/mail.example.com/mail-from HTTP/1.1"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, serde_json::json!({"MailFromDomain": name, "BehaviorOnMxFailure": "USE_DEFAULT_VALUE"}));
    }
}
