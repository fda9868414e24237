//! Serves `ANY /v1/campaigns` and everything below it.

use std::sync::Arc;

use functions::adapters::ses_account::SesAccount;
use functions::adapters::sqs::SqsQueue;
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let queue = SqsQueue::new(&environment.aws, required("JOB_QUEUE_URL")?);
        let account = SesAccount::new(&environment.aws);
        Ok(functions::api::campaigns::router(environment.database().await?, Arc::new(queue), Arc::new(account)))
    })
}
