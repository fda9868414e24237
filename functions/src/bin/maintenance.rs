//! Invoked every hour by EventBridge: keeps the house.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::environment::required;
use functions::events::maintenance::{self, Maintenance};

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let store = Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?));
            let queue = Arc::new(SqsQueue::new(&environment.aws, required("JOB_QUEUE_URL")?));
            let enrichment_queue = Arc::new(SqsQueue::new(&environment.aws, required("ENRICHMENT_QUEUE_URL")?));
            let import_queue = Arc::new(SqsQueue::new(&environment.aws, required("IMPORT_QUEUE_URL")?));
            let db = environment.database().await?;
            Ok(Maintenance { db, store, queue, enrichment_queue, import_queue })
        },
        maintenance::handle,
    )
}
