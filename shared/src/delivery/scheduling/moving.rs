//! People whose stored due time is not the hour at which they may be written to: it is put right when the claim meets them.
//!
//! Due times lie in the window when they are stored. A backlog outlasts its window, a setting is changed, a pause stops the
//! clock of the offsets: rather than computing every row anew then, the few that come up are.

use chrono::{DateTime, Utc};

use crate::delivery::due_times::{Timing, Turn};
use crate::delivery::schedule::SendWindow;
use crate::outreach::settings::CampaignSettings;
use crate::{EnrollmentId, Result, Tx};

/// Whether somebody's hour has come.
pub(super) enum Hour {
    /// A slot from `from` on may be theirs, inside of `window`.
    Due { window: SendWindow, from: DateTime<Utc> },
    /// Not before this instant.
    Later(DateTime<Utc>),
}

/// Decides on somebody whose due time `stored` has come by `until`.
pub(super) fn hour(
    turn: Turn<'_>,
    timing: Timing,
    stored: DateTime<Utc>,
    settings: &CampaignSettings,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Hour {
    let from = match timing {
        Timing::Delay(_) => stored,
        // A pause that is over has put it off: the campaign's clock says to when, its window and jitter to which minute.
        Timing::Offset(reached) => stored.max(turn.due_at(timing, reached, settings)),
    };
    if from > until {
        return Hour::Later(from);
    }
    let window = settings.window_for(turn.timezone);
    if window.is_open(from.max(now)) {
        return Hour::Due { window, from };
    }
    Hour::Later(turn.spread(from.max(now), settings))
}

/// The people to be moved, as the parallel arrays that the statement takes.
#[derive(Default)]
pub(super) struct Later {
    enrollments: Vec<EnrollmentId>,
    due: Vec<DateTime<Utc>>,
}

impl Later {
    pub(super) fn push(&mut self, enrollment: EnrollmentId, due: DateTime<Utc>) {
        self.enrollments.push(enrollment);
        self.due.push(due);
    }

    /// Moves them; the caller has locked their enrollments. Returns how many are out of the way until `until`.
    pub(super) async fn write(&self, tx: &Tx, until: DateTime<Utc>) -> Result<usize> {
        if !self.enrollments.is_empty() {
            tx.execute(include_str!("move_later.sql"), &[&self.enrollments, &self.due]).await?;
        }
        Ok(self.due.iter().filter(|due| **due > until).count())
    }
}
