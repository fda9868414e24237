//! Every minute: what is due gets its slots and is enqueued; what was lost is found again.

use std::time::Duration;

use serde::Serialize;
use shared::db::Stage;
use shared::delivery::provider_account::{self, WatchedAccount};
use shared::delivery::restoration::{self, Memory, Standing};
use shared::delivery::scheduling::{self, Planned, SendQueue};
use shared::delivery::sweeping::{self, Swept};
use shared::platform::lifecycle_mails::{self, sending::Kept};
use shared::platform::webhooks::dispatching::{self, WebhookQueue};
use shared::{Database, Result};
use tokio::time::Instant;

/// A run ends well before the next one begins and before the function's timeout of 55 s.
const LONGEST_RUN: Duration = Duration::from_secs(45);

/// What the function holds while it is warm.
pub struct Scheduler {
    /// Logged in as martlet_scheduler.
    pub db: Database,
    /// Where planned messages wait.
    pub queue: Box<dyn SendQueue>,
    /// Where organizations wait that have something to tell elsewhere.
    pub webhooks: Box<dyn WebhookQueue>,
    /// The provider account whose bounds are planned by.
    pub account: WatchedAccount,
    /// What is remembered of the ledger outside of the database.
    pub memory: Box<dyn Memory>,
    /// Decides how far ahead is planned.
    pub stage: Stage,
}

/// What a run has done.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Whether the database had been restored, and what is held because of that.
    pub standing: Standing,
    /// What was planned.
    pub planned: Planned,
    /// What was found again.
    pub swept: Swept,
    /// Which mails of the first days were handed over, and which trials looked at.
    pub kept: Kept,
    /// Organizations that have something to tell elsewhere.
    pub telling: usize,
}

/// Runs once. What the event says does not matter: a retried event can be hours old, so time is the database's.
pub async fn handle(scheduler: &Scheduler, _event: serde_json::Value) -> Result<Run> {
    let Scheduler { db, queue, webhooks, account, memory, stage } = scheduler;
    let deadline = Instant::now() + LONGEST_RUN;
    let horizon = scheduling::horizon(*stage);
    // Before anything is planned: nothing is, by a ledger that was not confirmed lately.
    let standing = restoration::confirm(db, &**memory, horizon).await;
    // By a ledger that may have lost what was sent, nothing new is planned.
    let kept = match &standing {
        Ok(_) => lifecycle_mails::sending::keep(db, deadline).await,
        Err(_) => Ok(Kept::default()),
    };
    let told = keep_account(db, account, *stage).await;
    let planned = scheduling::enqueue_due(db, &**queue, horizon, deadline).await;
    // What went wrong with one does not keep the other from its work.
    let swept = sweeping::sweep(db, &**queue).await;
    let telling = dispatching::enqueue_due(db, &**webhooks).await;
    let (planned, swept, (), standing, kept, telling) = (planned?, swept?, told?, standing?, kept?, telling?);
    // A filter in template.yaml makes a metric of the field, so it stands by itself, as a number.
    let oldest_unresolved_seconds = swept.oldest_unresolved_seconds;
    tracing::info!(?planned, ?swept, ?kept, oldest_unresolved_seconds, "the run is over");
    Ok(Run { standing, planned, swept, kept, telling })
}

/// Keeps what the provider tells of its account, when it has told it: what we have sent since then is counted by ourselves. On
/// the local stack people's time stands still between two steps, and a rate by the second would let nothing pass.
async fn keep_account(db: &Database, account: &WatchedAccount, stage: Stage) -> Result<()> {
    let Some(mut state) = account.news(Instant::now()).await else { return Ok(()) };
    if stage == Stage::Local {
        state.mails_per_second = None;
    }
    provider_account::keep(db, &state).await.inspect_err(|_| account.forget())
}
