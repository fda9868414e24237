//! The queues between the functions: waiting until they are empty, and whether something ended up as dead letters.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;

use crate::local::aws::{Aws, Depth, Outputs};

/// The queues in the order in which a mail passes them and its consequences come back.
const NAMES: [&str; 6] = ["Send", "Feedback", "Inbound", "Job", "Import", "Webhook"];
/// How often a queue is looked at that is not empty yet.
const POLL: Duration = Duration::from_millis(15);
/// A batch that failed comes back after its queue's visibility timeout of three minutes; that, and some time to work.
const EMPTY_WITHIN: Duration = Duration::from_secs(240);

/// All queues of a stack.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    aws: Aws,
    queues: Vec<(&'static str, String)>,
    dead: Vec<(&'static str, String)>,
}

impl Queues {
    /// The queues that a template's outputs name.
    pub(super) fn of(aws: &Aws, outputs: &Outputs) -> Result<Self> {
        let url = |name: &str, kind: &str| {
            let key = format!("{name}{kind}Url");
            outputs.get(&key).cloned().with_context(|| format!("template.yaml has no output {key}"))
        };
        let named = |kind: &str| NAMES.into_iter().map(|name| Ok((name, url(name, kind)?))).collect::<Result<Vec<_>>>();
        Ok(Self { aws: aws.clone(), queues: named("Queue")?, dead: named("DeadLetterQueue")? })
    }

    /// Waits until nothing waits and nothing is under way, in any queue, twice in a row: what one function works on may
    /// put something into a queue that was empty when it was looked at.
    ///
    /// # Errors
    ///
    /// Names what is still there at the deadline.
    pub(super) async fn drain(&self) -> Result<()> {
        self.wait_until_empty(&self.queues, 2).await
    }

    /// Waits until the senders have done what was planned; what follows from it may still be under way.
    ///
    /// # Errors
    ///
    /// As [`Queues::drain`].
    pub(super) async fn drain_sending(&self) -> Result<()> {
        self.wait_until_empty(&self.queues[..1], 1).await
    }

    async fn wait_until_empty(&self, queues: &[(&'static str, String)], times: u32) -> Result<()> {
        let began = Instant::now();
        let mut seen = 0;
        while seen < times {
            match self.first_full(queues).await? {
                None => seen += 1,
                Some(full) if began.elapsed() > EMPTY_WITHIN => {
                    bail!("after {} s the queues are not empty: {full}", EMPTY_WITHIN.as_secs());
                }
                Some(_) => {
                    seen = 0;
                    tokio::time::sleep(POLL).await;
                }
            }
        }
        Ok(())
    }

    /// How many dead letters there are.
    pub(super) async fn dead_letters(&self) -> Result<u64> {
        let depths = try_join_all(self.dead.iter().map(|(_, url)| self.aws.queue_depth(url))).await?;
        Ok(depths.iter().map(|depth| depth.visible + depth.in_flight + depth.delayed).sum())
    }

    /// What is in the first queue that is not empty, in words: one is enough to wait for.
    async fn first_full(&self, queues: &[(&'static str, String)]) -> Result<Option<String>> {
        for (name, url) in queues {
            let depth = self.aws.queue_depth(url).await?;
            if !depth.is_empty() {
                return Ok(Some(words(name, depth)));
            }
        }
        Ok(None)
    }
}

fn words(name: &str, depth: Depth) -> String {
    let Depth { visible, in_flight, delayed } = depth;
    format!("{name} holds {visible} waiting, {in_flight} under way, {delayed} delayed")
}
