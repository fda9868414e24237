//! Stopping: what ends a person's way through a campaign also takes back what is queued for them.
//!
//! The caller holds what decides the stop: the contact locked, or the campaign's gate closed. From there on the order is
//! enrollments, messages, counters. Messages that a sender has locked at this moment are skipped: their claim looks at
//! the enrollment after its own locks and sees the stop.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;

use super::limits::{self, Slot};
use super::messages::OutcomeCode;
use crate::{CampaignId, ContactId, EnrollmentId, Error, OrganizationId, Result, Tx};

/// Why somebody's way ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// A person answered.
    Replied,
    /// The address does not exist or refuses for good.
    Bounced,
    /// The person asked for it.
    Unsubscribed,
    /// The person reported a mail as spam.
    Complaint,
    /// The address is suppressed.
    Suppressed,
    /// The provider refused the address.
    AddressFailed,
    /// The campaign was archived.
    Archived,
    /// Somebody took the person out.
    Removed,
}

impl Stop {
    /// The enrollment's status and, where the status does not say it, the reason.
    fn status(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Replied => ("replied", None),
            Self::Bounced => ("bounced", None),
            Self::Unsubscribed => ("unsubscribed", None),
            Self::Complaint => ("stopped", Some("complaint")),
            Self::Suppressed => ("stopped", Some("suppressed")),
            Self::AddressFailed => ("stopped", Some("address_failed")),
            Self::Archived => ("stopped", Some("archived")),
            Self::Removed => ("stopped", Some("removed")),
        }
    }

    /// What the ledger says of the messages taken back.
    pub(crate) fn code(self) -> OutcomeCode {
        match self {
            Self::Replied => OutcomeCode::Replied,
            Self::Bounced => OutcomeCode::Bounced,
            Self::Unsubscribed => OutcomeCode::Unsubscribed,
            Self::Complaint => OutcomeCode::Complaint,
            Self::Suppressed => OutcomeCode::Suppressed,
            Self::AddressFailed => OutcomeCode::AddressFailed,
            Self::Archived => OutcomeCode::Archived,
            Self::Removed => OutcomeCode::Removed,
        }
    }
}

/// Stops these contacts in every campaign. The caller has locked the contacts.
pub async fn stop_contacts(tx: &Tx, contacts: &[(OrganizationId, ContactId)], stop: Stop) -> Result<u64> {
    stop_enrollments(tx, &find_by_contacts(tx, contacts).await?, stop).await
}

/// Whom a stop is about, and in which campaign; in all of them where none is named.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// The person, locked by the caller.
    pub contact: ContactId,
    /// The campaign.
    pub campaign: Option<CampaignId>,
    /// Why.
    pub stop: Stop,
}

/// Stops each of these people in their campaigns; whoever is named twice, for the first reason. The caller has locked the
/// contacts.
pub async fn stop_in_scopes(tx: &Tx, scopes: &[Scope]) -> Result<()> {
    let contacts: Vec<ContactId> = scopes.iter().map(|scope| scope.contact).collect();
    let campaigns: Vec<Option<CampaignId>> = scopes.iter().map(|scope| scope.campaign).collect();
    let rows = tx.query(include_str!("stopping/find_in_scopes.sql"), &[&contacts, &campaigns]).await?;
    let mut found: BTreeMap<(OrganizationId, EnrollmentId), Stop> = BTreeMap::new();
    for row in &rows {
        let number = usize::try_from(row.try_get::<_, i64>("number")?).map_err(Error::internal)?;
        let scope = scopes.get(number - 1).ok_or_else(|| Error::internal("a scope that nobody named"))?;
        found.entry((row.try_get("organization_id")?, row.try_get("id")?)).or_insert(scope.stop);
    }
    let mut by_stop: BTreeMap<Stop, Vec<(OrganizationId, EnrollmentId)>> = BTreeMap::new();
    for (enrollment, stop) in &found {
        by_stop.entry(*stop).or_default().push(*enrollment);
    }
    // All of them before any of their messages, and the counters once at the end: that is the order of locks.
    let (organizations, ids): (Vec<_>, Vec<_>) = found.into_keys().unzip();
    tx.query(include_str!("stopping/lock_enrollments.sql"), &[&organizations, &ids]).await?;
    let mut slots = Vec::new();
    for (stop, found) in by_stop {
        slots.extend(stop_and_collect(tx, &found, stop).await?.1);
    }
    limits::release(tx, &slots).await
}

/// Stops one person in one campaign.
pub async fn stop_enrollment(tx: &Tx, organization: OrganizationId, id: EnrollmentId, stop: Stop) -> Result<u64> {
    stop_enrollments(tx, &[(organization, id)], stop).await
}

/// Stops everybody who is still on the way in `campaign`. The caller has closed the campaign's gate.
pub async fn archive_campaign(tx: &Tx, campaign: CampaignId) -> Result<u64> {
    let found = find(tx, include_str!("stopping/find_by_campaign.sql"), &[&campaign]).await?;
    stop_enrollments(tx, &found, Stop::Archived).await
}

/// Stops contacts that are about to be deleted. The caller has locked them.
pub async fn remove_contacts(tx: &Tx, contacts: &[ContactId]) -> Result<u64> {
    let organization = tx.organization()?;
    let contacts: Vec<_> = contacts.iter().map(|contact| (organization, *contact)).collect();
    stop_contacts(tx, &contacts, Stop::Removed).await
}

/// Stops these enrollments, cancels what is queued for them and gives the slots back; returns how many were on the way.
async fn stop_enrollments(tx: &Tx, found: &[(OrganizationId, EnrollmentId)], stop: Stop) -> Result<u64> {
    let (stopped, slots) = stop_and_collect(tx, found, stop).await?;
    limits::release(tx, &slots).await?;
    Ok(stopped)
}

/// The same, leaving the release of the slots to the caller, who has others to release at the end: counters are locked
/// once and in order.
pub(crate) async fn stop_and_collect(
    tx: &Tx,
    found: &[(OrganizationId, EnrollmentId)],
    stop: Stop,
) -> Result<(u64, Vec<Slot>)> {
    if found.is_empty() {
        return Ok((0, Vec::new()));
    }
    let (organizations, ids): (Vec<_>, Vec<_>) = found.iter().copied().unzip();
    let (status, reason) = stop.status();
    tx.query(include_str!("stopping/lock_enrollments.sql"), &[&organizations, &ids]).await?;
    let stopped = tx
        .execute(include_str!("stopping/stop_enrollments.sql"), &[&organizations, &ids, &status, &reason, &tx.now()])
        .await?;
    let rows =
        tx.query(include_str!("stopping/cancel_messages.sql"), &[&organizations, &ids, &stop.code().name()]).await?;
    let slots = rows.iter().map(Slot::from_row).filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok((stopped, slots))
}

/// The enrollments of these contacts that are still on the way. The caller has locked the contacts.
pub(crate) async fn find_by_contacts(
    tx: &Tx,
    contacts: &[(OrganizationId, ContactId)],
) -> Result<Vec<(OrganizationId, EnrollmentId)>> {
    let (organizations, ids): (Vec<_>, Vec<_>) = contacts.iter().copied().unzip();
    find(tx, include_str!("stopping/find_by_contacts.sql"), &[&organizations, &ids]).await
}

async fn find(tx: &Tx, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<(OrganizationId, EnrollmentId)>> {
    let rows = tx.query(sql, params).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
