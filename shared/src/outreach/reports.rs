//! Reports: what a campaign's accounting said when everybody in it had come to an end, kept as it was.
//!
//! Whatever is reported of its mails later changes the live numbers of [`super::statistics`] and never the report.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::campaigns::{self, Status};
use super::statistics::{self, Accounting};
use crate::{CampaignId, Error, OrganizationId, Result, Tx};

/// A campaign's report as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// When everybody had come to an end, which is the moment of all its numbers.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub completed_at: DateTime<Utc>,
    /// The accounting of that moment: [`statistics::Statistics`].
    #[serde(flatten)]
    pub accounting: Value,
}

/// Keeps the accounting of a campaign that has just been completed in this transaction, and returns whether it balances:
/// every step's numbers add up to the people enrolled, nobody is still to come, and nobody went past a step without a message. The caller has closed its gate.
pub(crate) async fn keep(tx: &Tx, organization: OrganizationId, campaign: CampaignId) -> Result<bool> {
    let mut accounting = statistics::read(tx, campaign).await?;
    let Accounting { pending, not_reached, .. } = accounting.totals;
    accounting.balanced &= pending == 0 && not_reached.skipped == 0;
    let balanced = accounting.balanced;
    let report = serde_json::to_value(&accounting).map_err(Error::internal)?;
    tx.execute(include_str!("reports/insert.sql"), &[&organization, &campaign, &balanced, &report, &tx.now()]).await?;
    Ok(balanced)
}

/// The report of a campaign.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`not_completed`; `no_report` for one that was completed before there were
/// reports).
pub async fn find(tx: &Tx, campaign: CampaignId) -> Result<Report> {
    let found = campaigns::find(tx, campaign).await?;
    let Some(row) = tx.query_opt(include_str!("reports/find.sql"), &[&campaign]).await? else {
        return Err(match found.status {
            Status::Completed => Error::conflict("no_report", "this campaign was completed before reports were kept"),
            _ => found.conflict("not_completed", "only a campaign in which everybody has come to an end has a report"),
        });
    };
    Ok(Report { campaign_id: campaign, completed_at: row.try_get("completed_at")?, accounting: row.try_get("report")? })
}
