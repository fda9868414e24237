//! SES: one attempt per call, and what its answers mean.

use std::time::Duration;

use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::{SendEmailError, SendEmailOutput};
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, MessageTag, RawMessage};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use futures_util::future::BoxFuture;
use shared::delivery::messages::OutcomeCode;
use shared::delivery::sending::{Answer, Mail, Mailer};

use super::aws::Aws;

/// Well below the function's timeout of 30 s, so that an attempt always ends before its function does.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is not there in this time has not carried a byte of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A pooled connection that the server has dropped would make `unknown` out of nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// The provider account.
pub struct Ses {
    client: aws_sdk_sesv2::Client,
    configuration_set: String,
}

impl Ses {
    /// A client that never retries by itself: SendEmail has no idempotency key, and a retry after a lost answer is a
    /// second mail.
    #[must_use]
    pub fn new(aws: &Aws, configuration_set: String) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = aws_sdk_sesv2::config::Builder::from(&aws.ses_config())
            .http_client(http)
            .retry_config(retries())
            .timeout_config(timeouts)
            .build();
        Self { client: aws_sdk_sesv2::Client::from_conf(config), configuration_set }
    }
}

/// None: a retry within the SDK is a second mail that the ledger knows nothing of. A run of faults may have the SDK retry, as it does
/// by default, to see whether that is found.
fn retries() -> RetryConfig {
    if shared::fault_points::defect("sdk_retries") { RetryConfig::standard() } else { RetryConfig::disabled() }
}

impl Mailer for Ses {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Ok(raw) = RawMessage::builder().data(Blob::new(mail.raw.as_slice())).build() else {
                return refused(OutcomeCode::NotComposable, "the mail is empty");
            };
            let answer = self
                .client
                .send_email()
                .from_email_address(&mail.from)
                .destination(Destination::builder().to_addresses(&mail.to).build())
                .content(EmailContent::builder().raw(raw).build())
                .configuration_set_name(&self.configuration_set)
                .set_email_tags(Some(tags(mail)))
                .send()
                .await;
            classify(answer)
        })
    }
}

/// What every event of this mail will carry. A tag without a value is not built, and ids always have one.
fn tags(mail: &Mail) -> Vec<MessageTag> {
    [
        ("message_id", mail.message.id.to_string()),
        ("organization_id", mail.message.organization.to_string()),
        ("attempt", mail.attempt.to_string()),
    ]
    .into_iter()
    .filter_map(|(name, value)| MessageTag::builder().name(name).value(value).build().ok())
    .collect()
}

/// Only what is certain is said to be certain: everything that may have reached SES and came back without its clear word
/// is [`Answer::Unclear`].
fn classify(answer: Result<SendEmailOutput, SdkError<SendEmailError>>) -> Answer {
    let error = match answer {
        Ok(output) => {
            return match output.message_id {
                Some(id) if !id.is_empty() => Answer::Accepted(id),
                _ => Answer::Unclear("an answer without a message id".to_owned()),
            };
        }
        Err(error) => error,
    };
    match &error {
        // Nothing was built, so nothing has left.
        SdkError::ConstructionFailure(_) => refused(OutcomeCode::NotSendable, &describe(&error)),
        // No connection, so no byte of the request has left.
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|error| failed_to_connect(error)) =>
        {
            Answer::Later("no connection to the provider".to_owned())
        }
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let error = context.err();
            by_code(status, error.code().unwrap_or_default(), error.message().unwrap_or_default())
        }
        _ => Answer::Unclear(describe(&error)),
    }
}

/// The errors that the documentation of SendEmail names, and what HTTP says of the others.
fn by_code(status: u16, code: &str, message: &str) -> Answer {
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    match code {
        "AccountSuspendedException" | "SendingPausedException" => Answer::AccountClosed(code.to_owned()),
        "LimitExceededException" => Answer::AccountClosed(code.to_owned()),
        "TooManyRequestsException" | "Throttling" | "ThrottlingException" if says("daily message quota") => {
            Answer::AccountClosed("daily quota".to_owned())
        }
        "TooManyRequestsException" | "Throttling" | "ThrottlingException" => Answer::Later(code.to_owned()),
        _ if status == 429 => Answer::Later("429".to_owned()),
        // Our credentials, rights or configuration set: no mail of anybody would be accepted, and none is at fault.
        "NotFoundException" => Answer::AccountClosed(code.to_owned()),
        _ if matches!(status, 401 | 403) => Answer::AccountClosed(format!("HTTP {status} {code}")),
        _ if (400..500).contains(&status) => Answer::Refused {
            code: if code.is_empty() { format!("http_{status}") } else { code.to_owned() },
            detail: message.to_owned(),
            address_at_fault: code == "MessageRejected" && says("address") && !says("not verified"),
        },
        _ => Answer::Unclear(format!("HTTP {status} {code}")),
    }
}

/// Whether the connection itself could not be made (name, TCP, TLS), which the client tells only in words.
fn failed_to_connect(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if ["(Connect)", "tcp connect error", "dns error", "HTTP connect timeout"]
            .iter()
            .any(|sign| text.contains(sign))
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn refused(code: OutcomeCode, detail: &str) -> Answer {
    Answer::Refused { code: code.name().to_owned(), detail: detail.to_owned(), address_at_fault: false }
}

fn describe(error: &SdkError<SendEmailError>) -> String {
    shared::error::describe(error)
}
