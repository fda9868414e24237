//! Attempts: how often somebody may try to log in, to sign up, or to have a mail sent to an address.
//!
//! Counted before the work is done, so that many at once are no more than many in a row, in fixed windows by the machine's time.
//! Of one account from one address few attempts may fail; of one account from everywhere many, and then whoever was logged in
//! from an address before is let in from there nevertheless: nobody locks somebody else out. What is counted is known by keyed
//! hashes alone.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::config;
use crate::audience::email_address;
use crate::delivery::tokens::KeyRing;
use crate::{Database, Error, Result, Tx};

/// The window of sign-ups and of mails.
const HOUR: Duration = Duration::from_secs(3_600);
/// How long an address is remembered from which somebody was logged in, in seconds.
const REMEMBERED: f64 = 90.0 * 86_400.0;

/// What is counted, by its hash.
type Key = [u8; 32];

/// An attempt to log in that is being counted.
#[derive(Debug, Clone, Copy)]
pub struct LoginAttempt {
    account_and_address: Key,
    account: Key,
    address: Key,
    familiar: Key,
}

impl LoginAttempt {
    /// Of this account, whether or not there is one, from this address.
    #[must_use]
    pub fn of(keys: &KeyRing, email: &str, address: IpAddr) -> Self {
        let (account, network) = (account(keys, email), keys.network_hash(address));
        Self {
            account_and_address: key("login of account and address", &[&account, &network]),
            account: key("login of account", &[&account]),
            address: key("login of address", &[&network]),
            familiar: key("logged in from", &[&account, &network]),
        }
    }

    /// Counts it, in a transaction of its own.
    ///
    /// Errors: [`Error::TooManyAttempts`].
    pub async fn count(&self, db: &Database) -> Result<()> {
        let tx = db.begin_for(&[]).await?;
        let settings = config::read(&tx, "login").await?;
        let window = settings.duration("window")?;
        let counted = take(&tx, &[self.account_and_address, self.account, self.address], window).await?;
        tx.execute(include_str!("attempts/forget.sql"), &[&REMEMBERED]).await?;
        let is_familiar: bool = tx
            .query_one(include_str!("attempts/is_familiar.sql"), &[&self.familiar.as_slice(), &REMEMBERED])
            .await?
            .try_get(0)?;
        tx.commit().await?;
        let limits = [
            (self.account_and_address, settings.number("failures_of_account_and_address")?),
            (self.address, settings.number("failures_of_address")?),
            (self.account, if is_familiar { i64::MAX } else { settings.number("failures_of_account")? }),
        ];
        limits.into_iter().try_for_each(|(key, limit)| counted.check(key, limit))
    }

    /// Forgets the attempts that came before one which succeeded, and remembers whence it came.
    pub async fn succeeded(&self, tx: &Tx) -> Result<()> {
        let Self { account_and_address, account, address, familiar } = self;
        let counted = [account.as_slice(), address.as_slice()];
        let all = [account_and_address.as_slice(), account.as_slice(), address.as_slice()];
        tx.query(include_str!("attempts/lock.sql"), &[&all.as_slice()]).await?;
        tx.execute(
            include_str!("attempts/succeed.sql"),
            &[&account_and_address.as_slice(), &counted.as_slice(), &familiar.as_slice()],
        )
        .await?;
        Ok(())
    }
}

/// Counts a sign-up from an address, in a transaction of its own.
///
/// Errors: [`Error::TooManyAttempts`].
pub async fn count_sign_up(db: &Database, keys: &KeyRing, address: IpAddr) -> Result<()> {
    let tx = db.begin_for(&[]).await?;
    let limit = config::read(&tx, "login").await?.number("sign_ups_of_address")?;
    let key = key("sign-up of address", &[&keys.network_hash(address)]);
    let counted = take(&tx, &[key], HOUR).await?;
    tx.commit().await?;
    counted.check(key, limit)
}

/// Counts a mail with a link that somebody asks for, to be sent to this address of theirs; returns whether it may be. Each purpose
/// counts by itself: whoever uses up one has the owner sent mails of that purpose, and keeps them from no other.
pub async fn may_mail(tx: &Tx, keys: &KeyRing, purpose: &str, email: &str) -> Result<bool> {
    let limit = config::read(tx, "login").await?.number("mails_of_account")?;
    let key = key(&format!("mail to account: {purpose}"), &[&account(keys, email)]);
    Ok(take(tx, &[key], HOUR).await?.check(key, limit).is_ok())
}

/// The hash of an account's address, which stands for no organization. Folded as accounts are found by it: what is no address leads to
/// none, however it is written.
fn account(keys: &KeyRing, email: &str) -> Key {
    let lower = email_address::folded(email.trim());
    keys.address_hash(Uuid::nil(), &lower).map(|hash| hash.hash).unwrap_or_default()
}

/// The parts are hashes of one length each, made with our key.
fn key(what: &str, parts: &[&Key]) -> Key {
    let mut hash = Sha256::new();
    hash.update(what);
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// What was counted: each key with its number in the window, and the seconds until the window ends.
struct Counted(Vec<(Key, i64, i64)>);

impl Counted {
    fn check(&self, key: Key, limit: i64) -> Result<()> {
        match self.0.iter().find(|(its, ..)| *its == key) {
            Some((_, used, rest)) if *used > limit => Err(Error::TooManyAttempts { retry_after: (*rest).max(1) }),
            _ => Ok(()),
        }
    }
}

async fn take(tx: &Tx, keys: &[Key], window: Duration) -> Result<Counted> {
    let hashes: Vec<&[u8]> = keys.iter().map(<[u8; 32]>::as_slice).collect();
    let rows = tx.query(include_str!("attempts/take.sql"), &[&hashes, &window.as_secs_f64()]).await?;
    let counted = rows.iter().map(|row| {
        let hash: Key = row.try_get::<_, &[u8]>(0)?.try_into().map_err(Error::internal)?;
        Ok((hash, row.try_get(1)?, row.try_get(2)?))
    });
    Ok(Counted(counted.collect::<Result<_>>()?))
}
