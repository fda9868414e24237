//! Simulated time: the database's clock and the stand-in's, moved together and set right again at the end.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::Client;

use super::stand_in::StandIn;
use crate::local::clock;
use crate::local::database::Login;

/// How long setting the clocks right may take when everything ends at once.
const RESET_WITHIN: Duration = Duration::from_secs(5);

/// The two clocks of simulated time. Dropping this makes them tell real time again, also after Ctrl-C or a failure.
pub(super) struct SimulatedTime {
    owner: Login,
    database: Client,
    stand_in: StandIn,
    shift_seconds: i64,
}

impl SimulatedTime {
    /// Starts with real time.
    pub(super) async fn real(owner: &Login, stand_in: &StandIn) -> Result<Self> {
        let database = owner.connect().await?;
        let time = Self { owner: owner.clone(), database, stand_in: stand_in.clone(), shift_seconds: 0 };
        time.set().await?;
        Ok(time)
    }

    /// What the clocks show.
    pub(super) fn now(&self) -> DateTime<Utc> {
        real_now() + TimeDelta::seconds(self.shift_seconds)
    }

    /// Moves the clocks forward to an instant, or up to a second beyond it. They never go back.
    pub(super) async fn move_to(&mut self, at: DateTime<Utc>) -> Result<()> {
        let ahead = (at - self.now()).num_milliseconds();
        if ahead <= 0 {
            return Ok(());
        }
        // Whole seconds, since the stand-in counts in them; rounded up, so that what is due at `at` is due.
        self.shift_seconds += ahead.div_euclid(1_000) + i64::from(ahead.rem_euclid(1_000) > 0);
        self.set().await
    }

    /// Sets both clocks. The stand-in's goes first, so that it accepts no mail before the time at which it was planned.
    async fn set(&self) -> Result<()> {
        self.stand_in.set_clock(self.shift_seconds).await?;
        clock::shift(&self.database, TimeDelta::seconds(self.shift_seconds)).await
    }
}

impl Drop for SimulatedTime {
    fn drop(&mut self) {
        let (owner, stand_in) = (self.owner.clone(), self.stand_in.clone());
        // A runtime of its own: the one that this runs on can't be waited for from within, and may be ending.
        let reset = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let both = async {
                    clock::reset(&owner).await?;
                    stand_in.set_clock(0).await
                };
                tokio::time::timeout(RESET_WITHIN, both).await.context("it took too long")?
            })
        });
        if let Ok(Err(error)) = reset.join() {
            // Where the stack itself has ended there is no clock to set; the next start sets it.
            crate::say::note(format_args!("The clocks were not set back to real time: {error:#}"));
        }
    }
}

/// The real time.
#[expect(clippy::disallowed_methods, reason = "simulated time is real time and a shift; this is where they meet")]
fn real_now() -> DateTime<Utc> {
    Utc::now()
}
