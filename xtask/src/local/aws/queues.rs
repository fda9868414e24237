//! SQS.
#![expect(dead_code, reason = "for the demonstration and the tests of the deployed stack, which come later")]

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Aws;

/// How many messages a queue holds, by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Ready to be received.
    pub(crate) visible: u64,
    /// Being worked on, or waiting to come back.
    pub(crate) in_flight: u64,
    /// Not ready yet.
    pub(crate) delayed: u64,
}

impl Depth {
    /// Whether nothing waits and nothing is under way.
    pub(crate) fn is_empty(self) -> bool {
        self.visible + self.in_flight + self.delayed == 0
    }

    fn from_attributes(attributes: &Value) -> Option<Self> {
        let number = |name| attributes[name].as_str()?.parse().ok();
        Some(Self {
            visible: number("ApproximateNumberOfMessages")?,
            in_flight: number("ApproximateNumberOfMessagesNotVisible")?,
            delayed: number("ApproximateNumberOfMessagesDelayed")?,
        })
    }
}

impl Aws {
    /// How full a queue is; the emulator counts exactly.
    pub(crate) async fn queue_depth(&self, queue_url: &str) -> Result<Depth> {
        let request = json!({"QueueUrl": queue_url, "AttributeNames": ["All"]});
        let answer = self.call("AmazonSQS.GetQueueAttributes", "1.0", &request).await?;
        Depth::from_attributes(&answer["Attributes"]).context("the answer to GetQueueAttributes has no counts")
    }

    /// Puts a message into a queue.
    pub(crate) async fn send_message(&self, queue_url: &str, body: &str) -> Result<()> {
        let request = json!({"QueueUrl": queue_url, "MessageBody": body});
        self.call("AmazonSQS.SendMessage", "1.0", &request).await.map(drop)
    }

    /// Removes all messages of a queue.
    pub(crate) async fn purge_queue(&self, queue_url: &str) -> Result<()> {
        self.call("AmazonSQS.PurgeQueue", "1.0", &json!({"QueueUrl": queue_url})).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_as_text() {
        let attributes = json!({
            "ApproximateNumberOfMessages": "2",
            "ApproximateNumberOfMessagesNotVisible": "1",
            "ApproximateNumberOfMessagesDelayed": "0",
        });
        let depth = Depth::from_attributes(&attributes).unwrap();
        assert_eq!(depth, Depth { visible: 2, in_flight: 1, delayed: 0 });
        assert!(!depth.is_empty());
        assert_eq!(Depth::from_attributes(&json!({})), None);
    }
}
