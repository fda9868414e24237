//! Invoked every minute by EventBridge: plans what is due and finds what was lost.

use functions::adapters::sqs::SqsSendQueue;
use functions::environment::required;
use functions::events::scheduler::{self, Scheduler};

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let queue = SqsSendQueue::new(&environment.aws, required("SEND_QUEUE_URL")?, environment.stage());
            Ok(Scheduler { db: environment.database().await?, queue: Box::new(queue), stage: environment.stage() })
        },
        scheduler::handle,
    )
}
