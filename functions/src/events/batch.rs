//! A batch of queue messages, and which of them the queue shall keep.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use serde::de::DeserializeOwned;
use shared::{Error, Result};

/// A message that could be read, and its receipt.
pub struct Item<T> {
    /// What the message says.
    pub content: T,
    receipt: String,
}

/// A batch as it is worked on.
pub struct Batch<T> {
    /// What could be read.
    pub items: Vec<Item<T>>,
    failed: Vec<String>,
}

impl<T> Batch<T> {
    /// Reads every message. One that can't be read fails alone: after a few tries it lies in the dead-letter queue for a
    /// person to see, and the others are not held up.
    pub fn read(event: SqsEvent, parse: impl Fn(&SqsMessage) -> Result<T>) -> Self {
        let mut batch = Self { items: Vec::new(), failed: Vec::new() };
        for message in event.records {
            let receipt = message.message_id.clone().unwrap_or_default();
            match parse(&message) {
                Ok(content) => batch.items.push(Item { content, receipt }),
                Err(error) => {
                    tracing::error!(message_id = receipt, %error, "a queue message can't be read");
                    batch.failed.push(receipt);
                }
            }
        }
        batch
    }

    /// What the messages say.
    pub fn contents(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.content)
    }

    /// The answer to the queue: everything is done but what `keep` names and what could not be read.
    pub fn answer(self, keep: impl Fn(&T) -> bool) -> SqsBatchResponse {
        let kept = self.items.into_iter().filter(|item| keep(&item.content)).map(|item| item.receipt);
        let failures = self.failed.into_iter().chain(kept).map(|receipt| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = receipt;
            failure
        });
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failures.collect();
        response
    }
}

/// Reads the body of a message as JSON.
pub fn json<T: DeserializeOwned>(message: &SqsMessage) -> Result<T> {
    from_text(message.body.as_deref().unwrap_or_default())
}

/// The error tells where the text is not what it should be, and nothing that the text says.
fn from_text<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let kind = error.classify();
        Error::internal(format!("{kind:?} error at line {} column {}", error.line(), error.column()))
    })
}

/// The text that SNS has wrapped into the body of a message.
fn notification_text(message: &SqsMessage) -> Result<String> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        #[serde(rename = "Message")]
        message: String,
    }
    Ok(json::<Envelope>(message)?.message)
}

/// Reads the JSON that SNS has wrapped into the body of a message.
pub fn notification<T: DeserializeOwned>(message: &SqsMessage) -> Result<T> {
    from_text(&notification_text(message)?)
}

/// Whether SES only says that it may publish here: it does so in plain words when an event destination is made. Only the
/// beginning tells: further on stands what others write, such as a subject.
#[must_use]
pub fn is_greeting(message: &SqsMessage) -> bool {
    notification_text(message).is_ok_and(|text| text.starts_with("Successfully validated SNS topic"))
}
