//! A campaign's pool of senders. At activation its people are dealt out to them in turn, and each stays with one sender.

use serde::Serialize;
use tokio_postgres::Row;

use super::campaigns;
use crate::error::violated_constraint;
use crate::{CampaignId, Error, Result, SenderId, Tx};

/// Senders of one campaign at most.
pub const SENDERS_LIMIT: usize = 100;

/// A sender as far as a campaign is concerned.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignSender {
    /// Its id.
    pub id: SenderId,
    /// Its address.
    pub email: String,
    /// The name beside it.
    pub display_name: Option<String>,
    /// `pending`, `warming`, `active` or `paused`; only warming and active ones send.
    pub status: String,
    /// Mails a day over all its campaigns.
    pub daily_limit: i32,
    /// Seconds between two mails over all its campaigns.
    pub gap_seconds: i32,
    /// Its domain.
    pub domain: String,
    /// Whether the domain is verified.
    pub domain_verified: bool,
}

impl CampaignSender {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            display_name: row.try_get("display_name")?,
            status: row.try_get("status")?,
            daily_limit: row.try_get("daily_limit")?,
            gap_seconds: row.try_get("gap_seconds")?,
            domain: row.try_get("domain")?,
            domain_verified: row.try_get("domain_verified")?,
        })
    }

    /// Whether its status lets it send.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        matches!(self.status.as_str(), "warming" | "active")
    }
}

/// The pool, in the order in which people are dealt out to it.
pub async fn list(tx: &Tx, campaign: CampaignId) -> Result<Vec<CampaignSender>> {
    tx.query(include_str!("campaign_senders/list.sql"), &[&campaign])
        .await?
        .iter()
        .map(CampaignSender::from_row)
        .collect()
}

/// Replaces the pool of a draft.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_draft`), [`Error::Invalid`] for none or more than
/// 100, for one named twice and for one that is not there.
pub async fn replace(tx: &Tx, campaign: CampaignId, senders: &[SenderId]) -> Result<Vec<CampaignSender>> {
    if senders.is_empty() {
        return Err(Error::invalid("sender_ids", "empty", "this names at least one sender"));
    }
    check(senders)?;
    campaigns::hold(tx, campaign).await?.require_draft()?;
    tx.execute(include_str!("campaign_senders/delete.sql"), &[&campaign]).await?;
    insert(tx, campaign, senders).await?;
    list(tx, campaign).await
}

/// The pool of a campaign that has just been made; it may still be empty.
///
/// Errors: [`Error::Invalid`] as [`replace`].
pub async fn insert(tx: &Tx, campaign: CampaignId, senders: &[SenderId]) -> Result<()> {
    check(senders)?;
    match tx.execute(include_str!("campaign_senders/insert.sql"), &[&tx.organization()?, &campaign, &senders]).await {
        Ok(_) => Ok(()),
        Err(error) if violated_constraint(&error) == Some("campaign_senders_sender_fkey") => {
            Err(Error::invalid("sender_ids", "not_found", "one of these senders does not exist"))
        }
        Err(error) => Err(error),
    }
}

fn check(senders: &[SenderId]) -> Result<()> {
    if senders.len() > SENDERS_LIMIT {
        let message = format!("this names {SENDERS_LIMIT} senders at most");
        return Err(Error::invalid("sender_ids", "too_many", message));
    }
    let mut sorted = senders.to_vec();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid("sender_ids", "duplicate", "a sender is named twice"));
    }
    Ok(())
}
