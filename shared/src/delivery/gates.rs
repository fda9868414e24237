//! Gates: advisory locks on the organizations, campaigns and senders whose state decides whether mail may leave.
//!
//! Whoever lets mail through takes a gate shared and reads the state in a later statement; whoever changes the state takes
//! it exclusively. Row locks on those hot rows would starve a pause behind the claims. Gates come first in the lock order:
//! gates, contacts, enrollments, messages, counters.

use crate::{CampaignId, OrganizationId, Result, SenderId, Tx};

/// What a gate guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// Everything of an organization.
    Organization(OrganizationId),
    /// One campaign.
    Campaign(CampaignId),
    /// One sender.
    Sender(SenderId),
}

impl Gate {
    fn name(self) -> String {
        match self {
            Self::Organization(id) => format!("organization:{id}"),
            Self::Campaign(id) => format!("campaign:{id}"),
            Self::Sender(id) => format!("sender:{id}"),
        }
    }
}

/// What [`pass`] runs, with the names of the gates, for who sends other statements along.
pub(crate) const PASS: &str = include_str!("gates/pass.sql");

/// Takes the gates together with others who let mail through; whoever holds one exclusively is waited for.
pub async fn pass(tx: &Tx, gates: &[Gate]) -> Result<()> {
    tx.query(PASS, &[&names(gates)]).await?;
    Ok(())
}

/// Takes the gates alone: after this nobody lets mail through before this transaction ends.
pub async fn close(tx: &Tx, gates: &[Gate]) -> Result<()> {
    tx.query(include_str!("gates/close.sql"), &[&names(gates)]).await?;
    Ok(())
}

/// The gates as the statements take them.
pub(crate) fn names(gates: &[Gate]) -> Vec<String> {
    gates.iter().map(|gate| gate.name()).collect()
}
