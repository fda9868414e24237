//! Imports that were started, or queued themselves for the rest: one hint at a time.

use std::time::{Duration, Instant};

use aws_lambda_events::sqs::SqsEvent;
use shared::Result;
use shared::audience::imports::importing::Importer;

use super::batch;
use crate::adapters::sqs::ImportHint;

/// After this an import queues itself for the rest, long before the function's timeout of three minutes; what the last
/// chunk takes is a small part of the difference.
const WORK: Duration = Duration::from_secs(60);
/// A hint that failed comes again when a connection that was lost holds nothing any more: a minute after its last statement.
pub const RETRY: Duration = Duration::from_secs(75);

/// Goes on with the imports that the event names; the event source brings one at a time.
///
/// Errors: what is not the file's fault, so that the queue delivers the hint again.
pub async fn handle(importer: &Importer, event: SqsEvent) -> Result<()> {
    let deadline = Instant::now() + WORK;
    for message in &event.records {
        let hint: ImportHint = batch::json(message)?;
        let progress = importer.run(hint.organization_id, hint.import_id, deadline).await?;
        tracing::info!(import_id = %hint.import_id, ?progress, "the import's turn is over");
    }
    Ok(())
}
