//! Tells organizations elsewhere of what has happened. The queue brings whose turn it is; the database says what there is to tell.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use shared::delivery::tokens::KeyRing;
use shared::platform::webhooks::dispatching::{self, Poster, WebhookQueue};
use shared::{Database, OrganizationId, Result};
use tokio::time::Instant;

use super::batch::{self, Batch};
use crate::adapters::sqs::WebhookHint;

/// No turn begins after this long: one takes as long as an endpoint may take to answer, and a little for the database.
const BUDGET: Duration = Duration::from_secs(45);

/// What the function holds while it is warm.
pub struct Dispatcher {
    /// Logged in as martlet_dispatcher.
    pub db: Database,
    /// What the secrets are stored under.
    pub keys: KeyRing,
    /// The way out.
    pub poster: Arc<dyn Poster>,
    /// Where organizations wait for their next turn.
    pub queue: Arc<dyn WebhookQueue>,
    /// Where workflows reach the API.
    pub public_url: String,
}

/// Handles one event.
///
/// Errors: the queue brings the event again, and after five times to the dead letters.
pub async fn handle(dispatcher: &Dispatcher, event: SqsEvent) -> Result<SqsBatchResponse> {
    let deadline = Instant::now() + BUDGET;
    let batch: Batch<WebhookHint> = Batch::read(event, batch::json);
    let mut organizations: Vec<OrganizationId> = batch.contents().map(|hint| hint.organization_id).collect();
    organizations.sort_unstable();
    organizations.dedup();
    if !organizations.is_empty() {
        let Dispatcher { db, keys, poster, queue, public_url } = dispatcher;
        let (poster, queue) = (&**poster, &**queue);
        let dispatching = dispatching::Dispatcher { db, keys, poster, queue, public_url };
        let dispatched = dispatching.dispatch(&organizations, deadline).await?;
        tracing::info!(?dispatched, "the run is over");
    }
    Ok(batch.answer(|_| false))
}
