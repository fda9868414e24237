//! A batch of planned messages: each is checked, claimed and handed to the provider once.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::{self, Letterhead, Mailer};
use shared::{Database, Result};

use super::batch::{self, Batch};

/// What the function holds while it is warm.
pub struct Sender {
    /// Logged in as martlet_sender.
    pub db: Database,
    /// The provider.
    pub mailer: Box<dyn Mailer>,
    /// What mails say about answers and unsubscriptions.
    pub letterhead: Letterhead,
}

/// Delivers a batch. The queue keeps a message only where the database does not hold its outcome.
pub async fn handle(sender: &Sender, event: SqsEvent) -> Result<SqsBatchResponse> {
    let batch = Batch::<MessageKey>::read(event, batch::json);
    let hints: Vec<MessageKey> = batch.contents().copied().collect();
    let delivered = sending::deliver(&sender.db, &*sender.mailer, &sender.letterhead, &hints).await?;
    tracing::info!(counts = ?delivered.counts, unrecorded = delivered.unrecorded.len(), "the batch is delivered");
    shared::fault_points::reach("before_ack");
    Ok(batch.answer(|hint| delivered.unrecorded.contains(hint)))
}
