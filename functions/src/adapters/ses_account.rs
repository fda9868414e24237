//! The SES account: whether it may send, how much, and to whom.

use std::time::Duration;

use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::operation::get_account::GetAccountOutput;
use futures_util::future::BoxFuture;
use shared::delivery::provider_account::{AccountState, ProviderAccount};
use shared::{Error, Result};

use super::aws::Aws;

/// A preflight is worth waiting so long for: without an answer it says that there was none.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The account that the credentials belong to, in their region.
pub struct SesAccount {
    client: aws_sdk_sesv2::Client,
}

impl SesAccount {
    /// A client that asks once.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        let config = aws_sdk_sesv2::config::Builder::from(&aws.config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .build();
        Self { client: aws_sdk_sesv2::Client::from_conf(config) }
    }
}

impl ProviderAccount for SesAccount {
    fn read(&self) -> BoxFuture<'_, Result<AccountState>> {
        Box::pin(async move {
            let answer = self.client.get_account().send().await;
            answer.map(|account| state(&account)).map_err(|error| Error::Unavailable(Box::new(error)))
        })
    }
}

/// The three names of an enforcement are those that SES documents; one that it should add later changes nothing here.
fn state(account: &GetAccountOutput) -> AccountState {
    let enforcement = account.enforcement_status().unwrap_or_default();
    AccountState {
        production: account.production_access_enabled(),
        sending: account.sending_enabled() && enforcement != "SHUTDOWN",
        under_review: enforcement == "PROBATION",
        daily_quota: account.send_quota().and_then(|quota| bounded(quota.max24_hour_send())),
        mails_per_second: account.send_quota().and_then(|quota| rate(quota.max_send_rate())),
        sent_in_a_day: account.send_quota().and_then(|quota| bounded(quota.sent_last24_hours())).unwrap_or_default(),
    }
}

/// SES counts in floating point, and says -1 where there is no bound.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and below 0 is no bound"
)]
fn bounded(quota: f64) -> Option<u64> {
    (quota >= 0.0).then_some(quota as u64)
}

/// Whole mails a second, one at least; of an account without a rate SES says 0 or -1.
fn rate(rate: f64) -> Option<u32> {
    if rate <= 0.0 {
        return None;
    }
    u32::try_from(bounded(rate)?.max(1)).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sesv2::types::SendQuota;

    use super::*;

    fn account(enforcement: &str, quota: f64) -> GetAccountOutput {
        GetAccountOutput::builder()
            .production_access_enabled(true)
            .sending_enabled(true)
            .enforcement_status(enforcement)
            .send_quota(
                SendQuota::builder().max24_hour_send(quota).max_send_rate(14.5).sent_last24_hours(120.0).build(),
            )
            .build()
    }

    #[test]
    fn what_ses_says_of_an_account_is_told_apart() {
        let well = AccountState {
            production: true,
            sending: true,
            under_review: false,
            daily_quota: Some(50_000),
            mails_per_second: Some(14),
            sent_in_a_day: 120,
        };
        assert_eq!(state(&account("HEALTHY", 50_000.0)), well);
        assert_eq!(state(&account("PROBATION", -1.0)), AccountState { under_review: true, daily_quota: None, ..well });
        assert!(!state(&account("SHUTDOWN", 200.0)).sending);
        let new = state(&GetAccountOutput::builder().build());
        assert_eq!((new.production, new.sending, new.daily_quota, new.mails_per_second), (false, false, None, None));
    }
}
