//! Reads imported files, chunk by chunk, as the queue of imports asks for it.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::environment::required;
use functions::events::hints;
use functions::events::importer::{RETRY, handle};
use shared::audience::imports::Pace;
use shared::audience::imports::importing::Importer;

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let queue = Arc::new(SqsQueue::new(&environment.aws, required("IMPORT_QUEUE_URL")?));
            let importer = Importer {
                db: environment.database().await?,
                store: Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?)),
                queue: queue.clone(),
                pace: Pace::default(),
            };
            Ok((importer, queue))
        },
        async |(importer, queue), event| {
            hints::follow(&**queue, RETRY, event, async |event| handle(importer, event).await).await
        },
    )
}
