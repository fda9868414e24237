//! A campaign's pool of senders. At activation its people are dealt out to them ([`super::dealing`]), and each stays with one
//! sender.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::campaigns;
use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::{CampaignId, Error, Result, SenderId, Tx};

/// Of a sender among the others of its pool; the same bounds as the column's.
const WEIGHT: std::ops::RangeInclusive<i32> = 1..=100;
/// Senders of one campaign at most.
pub const SENDERS_LIMIT: usize = 100;

/// A sender as far as a campaign is concerned.
#[derive(Debug, Clone, Serialize, JsonSchema)]
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
    /// Its share of the people where they are dealt out by weight.
    pub weight: i32,
    /// From 0 to 100.
    pub health_score: i32,
    /// The IANA time zone in which its days begin.
    pub timezone: String,
}

/// A sender as a pool is given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolMember {
    /// Which.
    pub sender_id: SenderId,
    /// Its share where people are dealt out by weight: 1 to 100.
    #[serde(default = "one")]
    pub weight: i32,
}

fn one() -> i32 {
    1
}

impl From<SenderId> for PoolMember {
    fn from(sender_id: SenderId) -> Self {
        Self { sender_id, weight: one() }
    }
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
            weight: row.try_get("weight")?,
            health_score: row.try_get("health_score")?,
            timezone: row.try_get("timezone")?,
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

/// Replaces the pool of a draft. `field` is the one in which the caller has named the senders.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_draft`), [`Error::Invalid`] for none or more than
/// 100, for one named twice, for one that is not there and for a weight out of range.
pub async fn replace(
    tx: &Tx,
    campaign: CampaignId,
    field: &'static str,
    members: &[PoolMember],
) -> Result<Vec<CampaignSender>> {
    if members.is_empty() {
        return Err(Error::invalid(field, "empty", "this names at least one sender"));
    }
    check(field, members)?;
    campaigns::hold(tx, campaign).await?.require_draft()?;
    tx.execute(include_str!("campaign_senders/delete.sql"), &[&campaign]).await?;
    write(tx, campaign, field, members).await?;
    list(tx, campaign).await
}

/// The pool of a campaign that has just been made; it may still be empty.
///
/// Errors: [`Error::Invalid`] as [`replace`].
pub async fn insert(tx: &Tx, campaign: CampaignId, senders: &[SenderId]) -> Result<()> {
    let members: Vec<PoolMember> = senders.iter().copied().map(PoolMember::from).collect();
    check("sender_ids", &members)?;
    write(tx, campaign, "sender_ids", &members).await
}

async fn write(tx: &Tx, campaign: CampaignId, field: &'static str, members: &[PoolMember]) -> Result<()> {
    let (senders, weights): (Vec<SenderId>, Vec<i32>) =
        members.iter().map(|member| (member.sender_id, member.weight)).unzip();
    let organization = tx.organization()?;
    let sql = include_str!("campaign_senders/insert.sql");
    match tx.execute(sql, &[&organization, &campaign, &senders, &weights]).await {
        Ok(_) => Ok(()),
        Err(error) if violated_constraint(&error) == Some("campaign_senders_sender_fkey") => {
            Err(Error::invalid(field, "not_found", "one of these senders does not exist"))
        }
        Err(error) => Err(error),
    }
}

fn check(field: &'static str, members: &[PoolMember]) -> Result<()> {
    if members.len() > SENDERS_LIMIT {
        let message = format!("this names {SENDERS_LIMIT} senders at most");
        return Err(Error::invalid(field, "too_many", message));
    }
    let mut sorted: Vec<SenderId> = members.iter().map(|member| member.sender_id).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid(field, "duplicate", "a sender is named twice"));
    }
    let mut fields = Fields::default();
    for (n, member) in members.iter().enumerate() {
        fields.number(&format!("{field}.{n}.weight"), member.weight, WEIGHT);
    }
    fields.finish()
}
