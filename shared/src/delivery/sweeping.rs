//! Sweeping: what was lost on the way is found again.
//!
//! A message whose hint was lost is enqueued again, and so is a mail of the installation whose time has come; one that has been `sending` for longer than a function lives becomes
//! `unknown`; an `unknown` that no event has resolved within its grace goes to a person. All of it by the machine's clock.

use futures_util::future::try_join_all;

use super::gates::{self, Gate};
use super::messages::{MessageKey, OutcomeCode};
use super::provider_account::usage;
use super::scheduling::{Hint, SendQueue};
use super::system_mail;
use crate::outreach::reports;
use crate::platform::{config, organizations};
use crate::{CampaignId, Database, OrganizationId, Result};

/// Four times what the sender may take: an attempt this old has nobody who could still record it.
const SENDING_SECONDS: f64 = 120.0;
/// Rows of one run and kind, so that a backlog is worked off over several minutes and multiplies nothing.
const BATCH: i64 = 1_000;

/// Campaigns that one run completes: each is counted from its first person to its last.
const COMPLETED: i64 = 50;

/// What one run has found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    /// Messages enqueued again.
    pub enqueued_again: usize,
    /// Attempts that nobody finished.
    pub now_unknown: u64,
    /// Messages that a person must look at.
    pub now_review: u64,
    /// Campaigns in which everybody has come to an end.
    pub campaigns_completed: usize,
    /// How long the oldest mail has been `unknown` or in `review`, in seconds; 0 where there is none. An alarm looks at it.
    pub oldest_unresolved_seconds: i64,
}

/// Sweeps the organizations that have anything to sweep.
pub async fn sweep(db: &Database, queue: &dyn SendQueue) -> Result<Swept> {
    let Work { organizations, grace, oldest_unresolved_seconds } = work(db).await?;
    if organizations.is_empty() {
        return Ok(Swept { oldest_unresolved_seconds, ..Swept::default() });
    }
    let tx = db.begin_for(&organizations).await?;
    let code = OutcomeCode::NoOutcomeRecorded.name();
    let now_unknown =
        tx.execute(include_str!("sweeping/give_up_sending.sql"), &[&SENDING_SECONDS, &BATCH, &code]).await?;
    let now_review = tx.execute(include_str!("sweeping/ask_a_person.sql"), &[&grace, &BATCH]).await?;
    let rows = tx.query(include_str!("sweeping/enqueue_again.sql"), &[&BATCH]).await?;
    tx.commit().await?;
    let hints: Vec<Hint> = rows
        .iter()
        .map(|row| {
            let message = MessageKey { organization: row.try_get(0)?, id: row.try_get(1)? };
            Ok(Hint { message, delay: std::time::Duration::ZERO })
        })
        .collect::<Result<_>>()?;
    let enqueued: Vec<usize> = try_join_all(hints.chunks(100).map(|hints| queue.enqueue(hints))).await?;
    let enqueued_again = enqueued.iter().sum();
    let campaigns_completed = complete_campaigns(db, &organizations).await?;
    Ok(Swept { enqueued_again, now_unknown, now_review, campaigns_completed, oldest_unresolved_seconds })
}

/// Completes the campaigns in which everybody has come to an end, each in a transaction of its own, since its gate comes before
/// all other locks; with its report.
async fn complete_campaigns(db: &Database, organizations: &[OrganizationId]) -> Result<usize> {
    let tx = db.begin_for(organizations).await?;
    let rows = tx.query(include_str!("sweeping/find_ended.sql"), &[&COMPLETED]).await?;
    tx.commit().await?;
    let mut completed = 0;
    for row in &rows {
        completed += usize::from(complete_campaign(db, row.try_get(0)?, row.try_get(1)?).await?);
    }
    Ok(completed)
}

async fn complete_campaign(db: &Database, organization: OrganizationId, campaign: CampaignId) -> Result<bool> {
    let tx = db.begin_for(&[organization]).await?;
    gates::close(&tx, &[Gate::Campaign(campaign)]).await?;
    let is_completed = tx.execute(include_str!("sweeping/complete_campaign.sql"), &[&campaign, &tx.now()]).await? > 0;
    if is_completed && !reports::keep(&tx, organization, campaign).await? {
        // It shows in the report; whoever reads the log shall know of it before.
        tracing::error!(%organization, %campaign, "the accounting of a completed campaign does not balance");
    }
    tx.commit().await?;
    Ok(is_completed)
}

/// What there is to do.
struct Work {
    organizations: Vec<OrganizationId>,
    /// How long an `unknown` waits for an event, in seconds.
    grace: f64,
    oldest_unresolved_seconds: i64,
}

async fn work(db: &Database) -> Result<Work> {
    let tx = db.begin_for(&[organizations::DEFAULT]).await?;
    // Before it is asked who has work: those that get their slots now are brought to a sender in this run.
    system_mail::give_slots(&tx, tx.now()).await?;
    let grace = config::read(&tx, "sending").await?.duration("unknown_grace")?.as_secs_f64();
    let rows = tx.query(include_str!("sweeping/organizations.sql"), &[&SENDING_SECONDS, &grace]).await?;
    usage::sweep(&tx).await?;
    let oldest = tx.query_one(include_str!("sweeping/oldest_unresolved.sql"), &[]).await?;
    tx.commit().await?;
    let organizations = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    Ok(Work { organizations, grace, oldest_unresolved_seconds: oldest.try_get(0)? })
}
