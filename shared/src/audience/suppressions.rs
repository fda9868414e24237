//! Addresses that must not be written to. A suppression is keyed by the address: it outlives the contact and its re-import.

use crate::{CampaignId, MessageId, OrganizationId, Result, Tx};

/// Why an address is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It does not exist or refuses for good.
    HardBounce,
    /// Its owner reported a mail as spam.
    Complaint,
    /// Its owner asked for it.
    Unsubscribe,
    /// The organization wants it.
    Manual,
}

impl Reason {
    /// The reason's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Manual => "manual",
        }
    }
}

/// Suppresses an address, everywhere or in one campaign; true when it was not suppressed so before.
///
/// The caller has locked the matching contacts, so that no claim passes between the check and the suppression.
pub async fn add(
    tx: &Tx,
    organization: OrganizationId,
    email_lower: &str,
    campaign: Option<CampaignId>,
    reason: Reason,
    message: Option<MessageId>,
) -> Result<bool> {
    let added = tx
        .execute(
            include_str!("suppressions/insert.sql"),
            &[&organization, &crate::ids::fresh(), &email_lower, &campaign, &reason.name(), &message],
        )
        .await?;
    Ok(added > 0)
}
