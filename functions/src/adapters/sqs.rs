//! SQS: queues of hints, and of what SNS notifies. A hint holds ids alone; the database is the truth.

use std::time::Duration;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use futures_util::future::{BoxFuture, join, join_all, try_join_all};
use serde::Serialize;
use shared::audience::enrichment::{EnrichmentQueue, Work};
use shared::audience::imports::ImportQueue;
use shared::db::Stage;
use shared::delivery::scheduling::{Hint, SendQueue};
use shared::error::describe;
use shared::platform::administration::health::{Queue, Queues};
use shared::platform::jobs::JobQueue;
use shared::platform::webhooks::dispatching::WebhookQueue;
use shared::{Error, ImportId, JobId, OrganizationId, Result};

use super::aws::Aws;
use crate::api::ses_events::NotificationQueue;
use crate::events::hints::Hidden;

/// SQS takes ten messages a call.
const BATCH: usize = 10;
/// SQS delays a message by fifteen minutes at most; ours are spaced within the scheduler's horizon.
const LONGEST_DELAY_SECONDS: u64 = 900;

/// One queue.
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(aws: &Aws, url: String) -> Self {
        Self { client: aws_sdk_sqs::Client::new(&aws.config), url }
    }

    async fn send(&self, hint: &impl Serialize) -> Result<()> {
        self.send_text(serde_json::to_string(hint).map_err(Error::internal)?).await
    }

    async fn send_text(&self, body: String) -> Result<()> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .map_err(|error| Error::Unavailable(Box::new(error)))?;
        Ok(())
    }
}

impl NotificationQueue for SqsQueue {
    fn put(&self, notification: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.send_text(notification))
    }
}

impl Hidden for SqsQueue {
    fn show_after<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let seconds = i32::try_from(delay.as_secs()).map_err(Error::internal)?;
            let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt_handle);
            call.visibility_timeout(seconds).send().await.map_err(|error| Error::Unavailable(Box::new(error)))?;
            Ok(())
        })
    }
}

/// What the queue of jobs holds.
#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize)]
pub struct JobHint {
    /// Whose job.
    pub organization_id: OrganizationId,
    /// The job.
    pub job_id: JobId,
}

impl JobQueue for SqsQueue {
    fn enqueue(&self, organization: OrganizationId, job: JobId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.send(&JobHint { organization_id: organization, job_id: job }).await })
    }
}

/// What the queue of imports holds.
#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize)]
pub struct ImportHint {
    /// Whose import.
    pub organization_id: OrganizationId,
    /// The import.
    pub import_id: ImportId,
}

impl ImportQueue for SqsQueue {
    fn enqueue(&self, organization: OrganizationId, import: ImportId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.send(&ImportHint { organization_id: organization, import_id: import }).await })
    }
}

/// What the queue of enrichment holds.
#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize)]
pub struct EnrichmentHint {
    /// Whose work.
    pub organization_id: OrganizationId,
    /// Which job.
    #[serde(flatten)]
    pub work: Work,
}

impl EnrichmentQueue for SqsQueue {
    fn enqueue(&self, organization: OrganizationId, work: Work, delay: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let hint = EnrichmentHint { organization_id: organization, work };
            // Rounded up: a hint that comes a moment too early finds nothing to do but to queue itself again.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            let delay = i32::try_from(seconds.min(LONGEST_DELAY_SECONDS)).unwrap_or_default();
            self.client
                .send_message()
                .queue_url(&self.url)
                .message_body(serde_json::to_string(&hint).map_err(Error::internal)?)
                .delay_seconds(delay)
                .send()
                .await
                .map_err(|error| Error::Unavailable(Box::new(error)))?;
            Ok(())
        })
    }
}

/// What the queue of webhooks holds.
#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize)]
pub struct WebhookHint {
    /// Who has something to tell.
    pub organization_id: OrganizationId,
}

impl SqsQueue {
    async fn send_webhook_hints(&self, organizations: &[OrganizationId], delay: Duration) -> Result<()> {
        let delay = i32::try_from(delay.as_secs().min(LONGEST_DELAY_SECONDS)).unwrap_or_default();
        let entries = organizations
            .iter()
            .enumerate()
            .map(|(n, organization)| {
                let hint = WebhookHint { organization_id: *organization };
                SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_body(serde_json::to_string(&hint).map_err(Error::internal)?)
                    .delay_seconds(delay)
                    .build()
                    .map_err(Error::internal)
            })
            .collect::<Result<Vec<_>>>()?;
        let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        // What is not taken is found by the scheduler.
        call.send().await.map_err(|error| Error::Unavailable(Box::new(error)))?;
        Ok(())
    }
}

impl WebhookQueue for SqsQueue {
    fn enqueue<'a>(&'a self, organizations: &'a [OrganizationId], delay: Duration) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            try_join_all(organizations.chunks(BATCH).map(|batch| self.send_webhook_hints(batch, delay))).await?;
            Ok(())
        })
    }
}

/// The queue of messages to send. On the local stack nothing is delayed: its time stands still between two steps.
pub struct SqsSendQueue {
    queue: SqsQueue,
    stage: Stage,
}

impl SqsSendQueue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(aws: &Aws, url: String, stage: Stage) -> Self {
        Self { queue: SqsQueue::new(aws, url), stage }
    }

    fn delay(&self, hint: &Hint) -> i32 {
        match self.stage {
            Stage::Local => 0,
            Stage::Deployed => i32::try_from(hint.delay.as_secs().min(LONGEST_DELAY_SECONDS)).unwrap_or_default(),
        }
    }

    async fn send_batch(&self, hints: &[Hint]) -> Result<usize> {
        let entries = hints
            .iter()
            .enumerate()
            .map(|(n, hint)| {
                SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_body(serde_json::to_string(&hint.message).map_err(Error::internal)?)
                    .delay_seconds(self.delay(hint))
                    .build()
                    .map_err(Error::internal)
            })
            .collect::<Result<Vec<_>>>()?;
        let answer = self
            .queue
            .client
            .send_message_batch()
            .queue_url(&self.queue.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| Error::Unavailable(Box::new(error)))?;
        Ok(answer.successful.len())
    }
}

impl SendQueue for SqsSendQueue {
    fn enqueue<'a>(&'a self, hints: &'a [Hint]) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            let taken = try_join_all(hints.chunks(BATCH).map(|batch| self.send_batch(batch))).await?;
            Ok(taken.into_iter().sum())
        })
    }
}

/// What the queues of the installation hold.
pub struct SqsDepths {
    client: aws_sdk_sqs::Client,
    /// Names and addresses.
    queues: Vec<(String, String)>,
}

/// What follows a queue's name in that of its dead letters.
const DEAD_LETTERS: &str = "_dead_letters";

impl SqsDepths {
    /// The queues of a text such as `send=https://…,send_dead_letters=https://…`.
    ///
    /// Errors: [`Error::Internal`] for a text of another form.
    pub fn new(aws: &Aws, queues: &str) -> Result<Self> {
        let pair = |pair: &str| {
            let (name, url) = pair.split_once('=')?;
            Some((name.trim().to_owned(), url.trim().to_owned()))
        };
        let queues: Option<Vec<_>> = queues.split(',').map(pair).collect();
        let queues = queues.ok_or_else(|| Error::internal("the queues are not written as name=url,name=url"))?;
        Ok(Self { client: aws_sdk_sqs::Client::new(&aws.config), queues })
    }

    /// Waiting, in flight and delayed.
    async fn numbers(&self, url: &str) -> Result<[i64; 3]> {
        let attributes = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let asked = Some(attributes.to_vec());
        let answer = self.client.get_queue_attributes().queue_url(url).set_attribute_names(asked).send().await;
        let answer = answer.map_err(|error| Error::Unavailable(Box::new(error)))?;
        let mut numbers = [0; 3];
        for (number, attribute) in numbers.iter_mut().zip(&attributes) {
            let text = answer.attributes().and_then(|attributes| attributes.get(attribute));
            let text = text.ok_or_else(|| Error::internal("a queue does not tell what it holds"))?;
            *number = text.parse().map_err(Error::internal)?;
        }
        Ok(numbers)
    }

    /// The same of the queue of that name; `None` for one that does not answer, or is none.
    async fn known(&self, name: &str) -> Option<[i64; 3]> {
        let (_, url) = self.queues.iter().find(|(known, _)| known == name)?;
        let numbers = self.numbers(url).await;
        numbers.inspect_err(|error| tracing::warn!(name, error = describe(error), "a queue does not answer")).ok()
    }

    async fn depth(&self, name: &str) -> Queue {
        let dead_letters = format!("{name}{DEAD_LETTERS}");
        let (numbers, dead) = join(self.known(name), self.known(&dead_letters)).await;
        Queue {
            name: name.to_owned(),
            waiting: numbers.map(|[waiting, _, _]| waiting),
            in_flight: numbers.map(|[_, in_flight, _]| in_flight),
            delayed: numbers.map(|[_, _, delayed]| delayed),
            // Whoever looks at one of them has not taken it up.
            dead_letters: dead.map(|[waiting, in_flight, _]| waiting + in_flight),
        }
    }
}

impl Queues for SqsDepths {
    fn depths(&self) -> BoxFuture<'_, Vec<Queue>> {
        let names = self.queues.iter().map(|(name, _)| name.as_str()).filter(|name| !name.ends_with(DEAD_LETTERS));
        Box::pin(join_all(names.map(|name| self.depth(name))))
    }
}
