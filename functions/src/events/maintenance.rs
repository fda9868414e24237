//! Every hour: what nobody waits for and nobody else does. A step that fails keeps no other from its work, and the next
//! run takes it up again.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shared::audience::deleted_contacts::emptying::{self, Emptied};
use shared::audience::enrichment::{self, EnrichmentQueue};
use shared::audience::imports::{self, ImportQueue};
use shared::delivery::examining::{self, Examined};
use shared::outreach::statistics::folding::{self, Folded};
use shared::platform::idempotency::sweeping::{self, Swept};
use shared::platform::jobs::JobQueue;
use shared::platform::organizations::deleting::{self, Deleted};
use shared::platform::organizations::logos::RemovingStore;
use shared::platform::{jobs, rate_limits, sign_ups, webhooks, workflows};
use shared::{Database, Result};
use tokio::time::Instant;

/// A run ends well before the function's timeout of 300 s; what is left is the next run's.
const LONGEST_RUN: Duration = Duration::from_secs(240);
/// What folding leaves to the steps after it, however much there is to fold.
const LONGEST_FOLDING: Duration = Duration::from_secs(180);

/// What the function holds while it is warm.
pub struct Maintenance {
    /// As martlet_maintenance.
    pub db: Database,
    /// Where the files of organizations lie.
    pub store: Arc<dyn RemovingStore>,
    /// Where jobs wait whose hint was lost.
    pub queue: Arc<dyn JobQueue>,
    /// Where enrichments and verifications wait whose hint was lost.
    pub enrichment_queue: Arc<dyn EnrichmentQueue>,
    /// Where imports wait whose hint was lost.
    pub import_queue: Arc<dyn ImportQueue>,
}

/// What a run has done.
#[derive(Debug, Serialize)]
pub struct Run {
    /// What was folded into the daily counters.
    pub folded: Folded,
    /// How senders and campaigns were found.
    pub examined: Examined,
    /// What was swept of the requests that may be sent twice.
    pub swept: Swept,
    /// What was swept of what had been told elsewhere.
    pub told: webhooks::sweeping::Swept,
    /// What became of jobs that nobody is on.
    pub jobs: jobs::sweeping::Swept,
    /// What became of enrichments and verifications that nobody is on, and of what they left behind.
    pub learning: enrichment::sweeping::Swept,
    /// What became of imports that nobody is on.
    pub imports: imports::sweeping::Swept,
    /// What became of runs that nobody reports of, and of old ones.
    pub runs: workflows::sweeping::Swept,
    /// What was deleted of endpoints.
    pub endpoints: webhooks::deleting::Deleted,
    /// What was taken out of bins.
    pub emptied: Emptied,
    /// What was swept of counts of requests.
    pub counted: rate_limits::sweeping::Swept,
    /// What was swept of sign-ups that nobody has confirmed.
    pub abandoned: sign_ups::sweeping::Swept,
    /// What was deleted of organizations whose time of grace is over.
    pub deleted: Deleted,
}

/// Runs once. What the event says does not matter.
pub async fn handle(maintenance: &Maintenance, _event: serde_json::Value) -> Result<Run> {
    let Maintenance { db, store, queue, enrichment_queue, import_queue } = maintenance;
    let begin = Instant::now();
    let folded = folding::fold(db, begin + LONGEST_FOLDING).await;
    let examined = examining::examine(db, begin + LONGEST_RUN).await;
    let swept = sweeping::sweep(db, begin + LONGEST_RUN).await;
    let told = webhooks::sweeping::sweep(db, begin + LONGEST_RUN).await;
    let counted = rate_limits::sweeping::sweep(db, begin + LONGEST_RUN).await;
    let jobs = jobs::sweeping::sweep(db, queue.as_ref()).await;
    let learning = enrichment::sweeping::sweep(db, enrichment_queue.as_ref(), begin + LONGEST_RUN).await;
    let imports = imports::sweeping::sweep(db, import_queue.as_ref()).await;
    let runs = workflows::sweeping::sweep(db, begin + LONGEST_RUN).await;
    let endpoints = webhooks::deleting::finish(db, begin + LONGEST_RUN).await;
    // Their organizations are among those that are deleted then.
    let abandoned = sign_ups::sweeping::sweep(db, begin + LONGEST_RUN).await;
    // The longest work, for which nobody waits, has what is left of the time.
    let emptied = emptying::empty(db, begin + LONGEST_RUN).await;
    let deleted = deleting::finish(db, store.as_ref(), begin + LONGEST_RUN).await;
    tracing::info!(
        ?folded,
        ?examined,
        ?swept,
        ?told,
        ?jobs,
        ?learning,
        ?imports,
        ?runs,
        ?endpoints,
        ?emptied,
        ?counted,
        ?abandoned,
        ?deleted,
        "the run is over"
    );
    Ok(Run {
        folded: folded?,
        examined: examined?,
        swept: swept?,
        told: told?,
        jobs: jobs?,
        learning: learning?,
        imports: imports?,
        runs: runs?,
        endpoints: endpoints?,
        emptied: emptied?,
        counted: counted?,
        abandoned: abandoned?,
        deleted: deleted?,
    })
}
