//! Runs long work chunk by chunk, driven by the queue of jobs.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::environment::required;
use functions::events::hints;
use functions::events::job_runner::{JobRunner, RETRY, handle};

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let queue = Arc::new(SqsQueue::new(&environment.aws, required("JOB_QUEUE_URL")?));
            let archives = S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?);
            Ok((JobRunner::new(environment.database().await?, queue.clone(), Arc::new(archives)), queue))
        },
        async |(runner, queue), event| {
            hints::follow(&**queue, RETRY, event, async |event| handle(runner, event).await).await
        },
    )
}
