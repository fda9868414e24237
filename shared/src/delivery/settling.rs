//! Settling: what the outcome of a message means for the person it was for.
//!
//! The caller has locked the enrollments. Only an enrollment that has not gone past the message's step moves on, so settling
//! twice does nothing the second time.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::due_times::{Timing, Turn};
use super::messages::MessageKey;
use crate::outreach::settings::CampaignSettings;
use crate::{EnrollmentId, MessageId, OrganizationId, Result, StepId, Tx};

/// How a step ended for somebody who goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The mail was accepted at this time.
    Sent(DateTime<Utc>),
    /// The step has another outcome since this time, and the next one follows.
    Skipped(DateTime<Utc>),
}

impl Ended {
    fn at(self) -> DateTime<Utc> {
        match self {
            Self::Sent(at) | Self::Skipped(at) => at,
        }
    }
}

/// Moves the people on whose step has ended: the next step becomes due, or the sequence is completed.
pub(crate) async fn move_on(tx: &Tx, ended: &BTreeMap<MessageKey, Ended>) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let ids: Vec<MessageId> = ended.keys().map(|key| key.id).collect();
    let mut moves = Moves::default();
    for row in tx.query(include_str!("settling/read_next_steps.sql"), &[&ids]).await? {
        let key = MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("message_id")? };
        if let Some(ended) = ended.get(&key) {
            moves.push(key.organization, &row, *ended)?;
        }
    }
    let Moves { organizations, enrollments, positions, due, sent, ended } = &moves;
    tx.execute(include_str!("settling/move_on.sql"), &[organizations, enrollments, positions, due, sent, ended])
        .await?;
    Ok(())
}

/// The moves as the parallel arrays that the statement takes.
#[derive(Default)]
struct Moves {
    organizations: Vec<OrganizationId>,
    enrollments: Vec<EnrollmentId>,
    positions: Vec<i32>,
    due: Vec<Option<DateTime<Utc>>>,
    sent: Vec<Option<DateTime<Utc>>>,
    ended: Vec<DateTime<Utc>>,
}

impl Moves {
    fn push(&mut self, organization: OrganizationId, row: &Row, ended: Ended) -> Result<()> {
        let due = match row.try_get("next_step_id")? {
            Some(step) => Some(next_due_at(row, step, ended.at())?),
            None => None,
        };
        self.organizations.push(organization);
        self.enrollments.push(row.try_get("enrollment_id")?);
        self.positions.push(row.try_get("position")?);
        self.due.push(due);
        self.sent.push(match ended {
            Ended::Sent(at) => Some(at),
            Ended::Skipped(_) => None,
        });
        self.ended.push(ended.at());
        Ok(())
    }
}

fn next_due_at(row: &Row, step: StepId, ended_at: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let turn = Turn {
        campaign: row.try_get("campaign_id")?,
        enrollment: row.try_get("enrollment_id")?,
        timezone: row.try_get("recipient_timezone")?,
        step,
    };
    let settings = CampaignSettings::from_row(row)?;
    Ok(turn.due_at(Timing::from_row(row)?, ended_at, &settings))
}
