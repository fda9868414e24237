//! When somebody's next step is due: a delay after the previous mail, or an offset from the campaign's start, moved into the
//! window by the clock that counts for that person, and spread by the campaign's jitter.
//!
//! The jitter is a share of the time there is, made of the ids of campaign, person and step: computed again it is the same.
//! It never makes anything earlier, and never leads out of the opening.

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use super::schedule::{StepDelay, due_after};
use crate::outreach::settings::CampaignSettings;
use crate::{CampaignId, EnrollmentId, Error, Result, StepId};

/// What a step's due time counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// The end of the step before, or the activation for the first one.
    Delay(StepDelay),
    /// The start of the campaign: this is when its [`OffsetClock`] reaches the step's offset.
    Offset(DateTime<Utc>),
}

impl Timing {
    /// Reads the columns `timing`, `delay_days`, `delay_hours` and `start_offset_ms` of a step, and those of the clock.
    ///
    /// Errors: [`Error::Internal`] for a row that no request could have written.
    pub fn from_row(row: &Row) -> Result<Self> {
        match row.try_get("timing")? {
            "delay" => {
                let (days, hours): (i32, i32) = (row.try_get("delay_days")?, row.try_get("delay_hours")?);
                Ok(Self::Delay(StepDelay { days: days.unsigned_abs(), hours: hours.unsigned_abs() }))
            }
            "offset" => {
                let offset = Duration::milliseconds(row.try_get("start_offset_ms")?);
                Ok(Self::Offset(OffsetClock::from_row(row)?.reaches(offset)))
            }
            other => Err(Error::internal(format!("a step's timing is {other}"))),
        }
    }
}

/// The clock of a campaign's offsets: it begins with the activation and stands still while the campaign is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetClock {
    /// When the campaign was activated.
    pub started_at: DateTime<Utc>,
    /// Total of the pauses that are over.
    pub paused: Duration,
}

impl OffsetClock {
    /// Reads the columns `started_at` and `paused_seconds` of a campaign that has been activated.
    ///
    /// Errors: [`Error::Internal`] for one that has not.
    pub fn from_row(row: &Row) -> Result<Self> {
        let paused = Duration::try_seconds(row.try_get("paused_seconds")?);
        Ok(Self {
            started_at: row.try_get("started_at")?,
            paused: paused.ok_or_else(|| Error::internal("a campaign was paused for longer than time lasts"))?,
        })
    }

    /// The first instant at which now − started − paused ≥ offset, if the campaign is not paused again before.
    #[must_use]
    pub fn reaches(&self, offset: Duration) -> DateTime<Utc> {
        let after = self.paused.checked_add(&offset).unwrap_or(Duration::MAX);
        self.started_at.checked_add_signed(after).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// A person before a step.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The campaign.
    pub campaign: CampaignId,
    /// The person's way through it.
    pub enrollment: EnrollmentId,
    /// The person's own zone, where one is known.
    pub timezone: Option<&'a str>,
    /// The step.
    pub step: StepId,
}

impl Turn<'_> {
    /// When the step is due, if what it follows ended at `previous`: the step before, or the activation.
    #[must_use]
    pub fn due_at(self, timing: Timing, previous: DateTime<Utc>, settings: &CampaignSettings) -> DateTime<Utc> {
        let due = match timing {
            Timing::Delay(delay) => due_after(previous, delay, &settings.window_for(self.timezone)),
            Timing::Offset(reached) => reached.max(previous),
        };
        self.spread(due, settings)
    }

    /// The instant itself or the next opening of the person's window, with the jitter on top.
    #[must_use]
    pub fn spread(self, due: DateTime<Utc>, settings: &CampaignSettings) -> DateTime<Utc> {
        settings.window_for(self.timezone).spread(due, settings.jitter(), self.share())
    }

    /// What nobody can guess from a neighbour's, and everybody finds again.
    fn share(self) -> u64 {
        let mut hash = Sha256::new();
        for id in [self.campaign.0, self.enrollment.0, self.step.0] {
            hash.update(id.as_bytes());
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |share, byte| share << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests;
