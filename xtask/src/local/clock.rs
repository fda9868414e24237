//! Simulated time: every function asks the database's `clock_now()`, whose body only the owner may replace.

use anyhow::{Context, Result};
use chrono::TimeDelta;
use tokio_postgres::Client;

use super::database::{self, Login};

/// Makes people's time differ from real time by `shift`, at once and for everyone. `owner` is a connection of the owner:
/// a new one for each of many shifts would take longer than all that they are for.
pub(crate) async fn shift(owner: &Client, shift: TimeDelta) -> Result<()> {
    replace(owner, &shifted_body(shift)).await
}

/// Makes people's time real again.
pub(crate) async fn reset(owner: &Login) -> Result<()> {
    replace(&owner.connect().await?, "select now()").await
}

async fn replace(owner: &Client, body: &str) -> Result<()> {
    let statement = format!(
        "create or replace function public.clock_now() returns timestamptz language sql stable as $$ {body} $$"
    );
    database::run(owner, &statement).await.context("can't set the simulated time")
}

fn shifted_body(shift: TimeDelta) -> String {
    // A fixed number of seconds is the same at every change of the clocks; '1 day' is not.
    format!("select now() + interval '{} milliseconds'", shift.num_milliseconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shift_is_written_without_days() {
        assert_eq!(shifted_body(TimeDelta::days(2)), "select now() + interval '172800000 milliseconds'");
        assert_eq!(shifted_body(TimeDelta::seconds(-1)), "select now() + interval '-1000 milliseconds'");
    }
}
