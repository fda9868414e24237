//! Work that is killed.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Stops a future, as a kill does, after it was polled so often; `None` where it was stopped.
pub struct Killed<F> {
    work: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Killed<F> {
    /// The work, and how often it may be polled.
    pub fn after(polls: usize, work: F) -> Self {
        Self { work: Box::pin(work), polls }
    }
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.work.as_mut().poll(context).map(Some)
    }
}
