//! Serves `ANY /v1/admin` and everything below it.

use std::sync::Arc;

use functions::adapters::sqs::SqsDepths;
use functions::api::admin::{Admin, router};
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(router(Admin {
            db: environment.database().await?,
            queues: Arc::new(SqsDepths::new(&environment.aws, &required("QUEUE_URLS")?)?),
        }))
    })
}
