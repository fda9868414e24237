//! The account that sends for everybody, as its provider describes it.

pub mod usage;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::breaker::ACCOUNT;
use crate::error::describe;
use crate::{Database, Result};

/// An account that may send keeps that right for longer than anybody looks at a preflight.
const WELL_FOR: Duration = Duration::from_secs(300);
/// Somebody who has just had the account opened will not wait; the provider answers about one such question a second.
const TROUBLED_FOR: Duration = Duration::from_secs(15);

/// What a provider says about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// Whether it writes to everybody. In its sandbox an account writes to verified addresses only.
    pub production: bool,
    /// Whether it sends at all at this moment.
    pub sending: bool,
    /// Whether the provider looks into its bounces and complaints, and may stop it.
    pub under_review: bool,
    /// Mails within any 24 hours; without a bound where there is none.
    pub daily_quota: Option<u64>,
    /// Mails it takes in a second; without a bound where there is none.
    pub mails_per_second: Option<u32>,
    /// What it has sent within the last 24 hours, whoever asked for it.
    pub sent_in_a_day: u64,
}

impl AccountState {
    fn is_well(&self) -> bool {
        self.production && self.sending && !self.under_review
    }
}

/// Keeps what the provider has told, for whoever plans.
pub async fn keep(db: &Database, state: &AccountState) -> Result<()> {
    let tx = db.begin_for(&[]).await?;
    let rate = state.mails_per_second.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX));
    let quota = state.daily_quota.map(|quota| i64::try_from(quota).unwrap_or(i64::MAX));
    let sent = i64::try_from(state.sent_in_a_day).unwrap_or(i64::MAX);
    tx.execute(include_str!("provider_account/keep.sql"), &[&ACCOUNT, &rate, &quota, &sent, &tx.now()]).await?;
    tx.commit().await
}

/// The account at a provider.
pub trait ProviderAccount: Send + Sync {
    /// Asks the provider.
    ///
    /// Errors: whatever kept it from answering.
    fn read(&self) -> BoxFuture<'_, Result<AccountState>>;
}

/// An account whose last answer is remembered: five minutes while all is well, a few seconds otherwise.
pub struct WatchedAccount {
    account: Arc<dyn ProviderAccount>,
    last: Mutex<Option<(Instant, AccountState)>>,
}

impl WatchedAccount {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(account: Arc<dyn ProviderAccount>) -> Self {
        Self { account, last: Mutex::default() }
    }

    /// What is known of it at this moment of the machine: nothing where the provider never answered. What it said last
    /// counts for more than a question without an answer.
    pub async fn state(&self, now: Instant) -> Option<AccountState> {
        match self.news(now).await {
            Some(state) => Some(state),
            None => self.last().map(|(_, state)| state),
        }
    }

    /// What the provider answers, where it is time to ask again.
    pub async fn news(&self, now: Instant) -> Option<AccountState> {
        if let Some((at, state)) = self.last() {
            let lasts = if state.is_well() { WELL_FOR } else { TROUBLED_FOR };
            if now.saturating_duration_since(at) < lasts {
                return None;
            }
        }
        match self.account.read().await {
            Ok(state) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, state.clone()));
                Some(state)
            }
            Err(error) => {
                tracing::warn!(error = describe(&error), "the provider does not tell about its account");
                None
            }
        }
    }

    /// Has the provider asked again: what it answered last could not be kept.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn last(&self) -> Option<(Instant, AccountState)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::Error;

    struct Script(Mutex<VecDeque<Option<AccountState>>>);

    impl ProviderAccount for Script {
        fn read(&self) -> BoxFuture<'_, Result<AccountState>> {
            let next = self.0.lock().unwrap().pop_front().expect("it is asked once too often");
            Box::pin(async move { next.ok_or_else(|| Error::Unavailable("no answer".into())) })
        }
    }

    fn watched(script: impl IntoIterator<Item = Option<AccountState>>) -> WatchedAccount {
        WatchedAccount::new(Arc::new(Script(Mutex::new(script.into_iter().collect()))))
    }

    fn well() -> AccountState {
        AccountState {
            production: true,
            sending: true,
            under_review: false,
            daily_quota: Some(50_000),
            mails_per_second: Some(14),
            sent_in_a_day: 0,
        }
    }

    #[tokio::test]
    async fn an_account_that_is_well_is_asked_about_every_five_minutes() {
        let paused = AccountState { sending: false, ..well() };
        let account = watched([Some(well()), Some(paused.clone()), Some(well())]);
        let start = Instant::now();
        let after = |seconds| account.state(start + Duration::from_secs(seconds));
        assert_eq!(after(0).await, Some(well()));
        assert_eq!(after(299).await, Some(well()));
        assert_eq!(after(300).await, Some(paused.clone()));
        assert_eq!(after(314).await, Some(paused));
        assert_eq!(after(315).await, Some(well()), "trouble is asked about sooner");
    }

    #[tokio::test]
    async fn silence_leaves_what_was_said_last() {
        let sandbox = AccountState { production: false, ..well() };
        let account = watched([None, Some(sandbox.clone()), None, None]);
        let start = Instant::now();
        let after = |seconds| account.state(start + Duration::from_secs(seconds));
        assert_eq!(after(0).await, None, "nothing was ever said");
        assert_eq!(after(1).await, Some(sandbox.clone()), "silence is not remembered");
        assert_eq!(after(60).await, Some(sandbox.clone()));
        assert_eq!(after(61).await, Some(sandbox));
    }

    #[tokio::test]
    async fn an_answer_is_news_once() {
        let account = watched([None, Some(well()), Some(well())]);
        let start = Instant::now();
        let after = |seconds| account.news(start + Duration::from_secs(seconds));
        assert_eq!(after(0).await, None, "silence is none");
        assert_eq!(after(1).await, Some(well()));
        assert_eq!(after(60).await, None, "what it has sent by now would be held against an old sum");
        assert_eq!(after(301).await, Some(well()));
    }
}
