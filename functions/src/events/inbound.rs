//! Mail received by SES: kept in the bucket, announced through SNS into a queue.

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::delivery::inbound::{self, Incoming};
use shared::delivery::tokens::KeyRing;
use shared::{Database, Error, Result};

use super::batch::{self, Batch};
use crate::adapters::object_store::S3Store;

/// Of a larger mail only the beginning is read, which has the headers and the answer; SES takes up to 40 MB.
const MAIL_BYTES: u64 = 4 << 20;

/// What the function holds while it is warm.
pub struct Inbound {
    /// Logged in as martlet_inbound.
    pub db: Database,
    /// Where SES keeps the mails.
    pub store: Arc<S3Store>,
    /// Opens reply tokens.
    pub keys: KeyRing,
}

/// A mail as SES announces it (receipt notification with an S3 action).
#[derive(Deserialize)]
struct Notification {
    mail: Mail,
    receipt: Receipt,
}

#[derive(Deserialize)]
struct Mail {
    timestamp: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Receipt {
    recipients: Vec<String>,
    action: Action,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "objectKey")]
    object_key: String,
}

/// Takes in the mails that a batch announces.
pub async fn handle(inbound: &Inbound, event: SqsEvent) -> Result<SqsBatchResponse> {
    let batch = Batch::<Option<Notification>>::read(event, |message| {
        if batch::is_greeting(message) { Ok(None) } else { batch::notification(message).map(Some) }
    });
    for notification in batch.contents().flatten() {
        take(inbound, notification).await?;
    }
    Ok(batch.answer(|_| false))
}

async fn take(inbound: &Inbound, Notification { mail, receipt }: &Notification) -> Result<()> {
    let key = &receipt.action.object_key;
    let Some(raw) = inbound.store.read_start(key, MAIL_BYTES).await? else {
        return Err(Error::internal("a received mail is not in the bucket"));
    };
    let incoming =
        Incoming { recipients: &receipt.recipients, raw: &raw, object_key: key, received_at: mail.timestamp };
    let taken = inbound::take(&inbound.db, &inbound.keys, &incoming).await?;
    tracing::info!(?taken, object_key = key, "a received mail is taken in");
    Ok(())
}
