//! Hints that could not be followed, and when the queue brings them again.
//!
//! A queue keeps a message hidden for six times as long as its function may run, so that nobody gets it while it is still worked on.
//! Whoever has failed and can still say so does not need that: a connection that was lost is there again in a moment. Who was
//! killed says nothing, and the queue's own time holds. What has failed five times lies in the dead letters some ten minutes
//! sooner for it; maintenance brings such work again all the same.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use futures_util::future::{BoxFuture, join_all};
use shared::Result;
use shared::error::describe;

/// The queue that brought a message.
pub trait Hidden: Send + Sync {
    /// Shows the message with this receipt handle again after `delay`, not when its time is up.
    fn show_after<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BoxFuture<'a, Result<()>>;
}

/// Follows the hints of an event; where that fails they come again after this `delay`, the second time after twice as long, and from
/// then on when the queue brings them. Work that a lost connection or a lease still holds is somebody else's to a hint that comes
/// too early, which is the end of that hint: the delay is longer than either.
///
/// Errors: those of `follow`, so that the queue brings the event again, and after five times to the dead letters.
pub async fn follow<Q: Hidden + ?Sized>(
    queue: &Q,
    delay: Duration,
    event: SqsEvent,
    follow: impl AsyncFnOnce(SqsEvent) -> Result<()>,
) -> Result<()> {
    let shown: Vec<(String, Duration)> = event.records.iter().filter_map(|message| soon(message, delay)).collect();
    let followed = follow(event).await;
    if followed.is_err() {
        join_all(shown.iter().map(async |(receipt_handle, delay)| {
            if let Err(error) = queue.show_after(receipt_handle, *delay).await {
                tracing::warn!(error = describe(&error), "the hint comes back when its time is up");
            }
        }))
        .await;
    }
    followed
}

/// The receipt handle of a message, and how soon it is to be tried again; none once it has failed too often for that.
fn soon(message: &SqsMessage, delay: Duration) -> Option<(String, Duration)> {
    let receives: u32 = message.attributes.get("ApproximateReceiveCount")?.parse().ok()?;
    matches!(receives, 1 | 2).then_some((message.receipt_handle.clone()?, delay * receives))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;
    use shared::Error;

    use super::*;

    const DELAY: Duration = Duration::from_secs(75);

    /// A queue that remembers what it was told, and takes nothing where it is out.
    #[derive(Default)]
    struct Told {
        shown: Mutex<Vec<(String, u64)>>,
        is_out: bool,
    }

    impl Hidden for Told {
        fn show_after<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BoxFuture<'a, Result<()>> {
            Box::pin(async move {
                if self.is_out {
                    return Err(Error::internal("the queue is out"));
                }
                self.shown.lock().unwrap().push((receipt_handle.to_owned(), delay.as_secs()));
                Ok(())
            })
        }
    }

    fn received(times: &[&str]) -> SqsEvent {
        let records: Vec<_> = times
            .iter()
            .map(|times| {
                json!({"messageId": "m", "receiptHandle": format!("receipt {times}"), "body": "{}",
                       "attributes": {"ApproximateReceiveCount": times}})
            })
            .collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    #[tokio::test]
    async fn a_hint_that_fails_is_brought_soon_twice_and_then_in_its_time() {
        let queue = Told::default();
        let event = received(&["1", "2", "3", "4", "none"]);
        let failed = follow(&queue, DELAY, event, async |_| Err(Error::internal("the database is out"))).await;
        assert!(failed.is_err());
        let shown = queue.shown.into_inner().unwrap();
        assert_eq!(shown, [("receipt 1".to_owned(), 75), ("receipt 2".to_owned(), 150)]);
    }

    #[tokio::test]
    async fn what_was_followed_is_not_shown_again_and_a_queue_that_is_out_hides_no_error() {
        let queue = Told::default();
        follow(&queue, DELAY, received(&["1"]), async |_| Ok(())).await.unwrap();
        assert!(queue.shown.lock().unwrap().is_empty());
        let queue = Told { is_out: true, ..queue };
        let failed =
            follow(&queue, DELAY, received(&["1"]), async |_| Err(Error::internal("the database is out"))).await;
        assert!(describe(&failed.unwrap_err()).contains("the database is out"));
    }
}
