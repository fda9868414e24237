//! Invoked every minute by EventBridge: plans what is due and finds what was lost.

use std::sync::Arc;

use functions::adapters::ledger_memory::S3Memory;
use functions::adapters::object_store::S3Store;
use functions::adapters::ses_account::SesAccount;
use functions::adapters::sqs::{SqsQueue, SqsSendQueue};
use functions::environment::required;
use functions::events::scheduler::{self, Scheduler};
use shared::delivery::provider_account::WatchedAccount;

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let queue = SqsSendQueue::new(&environment.aws, required("SEND_QUEUE_URL")?, environment.stage());
            let account = WatchedAccount::new(Arc::new(SesAccount::new(&environment.aws)));
            let memory = S3Memory::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?));
            let (db, stage) = (environment.database().await?, environment.stage());
            let webhooks = SqsQueue::new(&environment.aws, required("WEBHOOK_QUEUE_URL")?);
            let (queue, webhooks) = (Box::new(queue), Box::new(webhooks));
            Ok(Scheduler { db, queue, webhooks, account, memory: Box::new(memory), stage })
        },
        scheduler::handle,
    )
}
