//! A campaign's funnel: how many mails of each step were sent, delivered, opened, answered, over all days.

use schemars::JsonSchema;
use serde::Serialize;

use super::counters::Counters;
use super::daily::Totals;
use crate::{CampaignId, Result, StepId, Tx};

/// A campaign's counts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Funnel {
    /// Each step, in order.
    pub steps: Vec<StepFunnel>,
    /// The sums over all steps.
    pub totals: Totals,
}

/// The counts of one step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StepFunnel {
    /// The step.
    pub step_id: StepId,
    /// Its place in the sequence.
    pub position: i32,
    /// What people call it.
    pub name: String,
    /// Its counts.
    #[serde(flatten)]
    pub totals: Totals,
}

/// Reads the funnel; without steps for a campaign that has none or is not there.
pub async fn read(tx: &Tx, campaign: CampaignId) -> Result<Funnel> {
    let rows = tx.query(include_str!("funnel/read.sql"), &[&campaign]).await?;
    let mut sum = Counters::default();
    let mut steps = Vec::with_capacity(rows.len());
    for row in &rows {
        let counters = Counters::from_row(row)?;
        sum += counters;
        steps.push(StepFunnel {
            step_id: row.try_get("step_id")?,
            position: row.try_get("position")?,
            name: row.try_get("name")?,
            totals: counters.into(),
        });
    }
    Ok(Funnel { steps, totals: sum.into() })
}
