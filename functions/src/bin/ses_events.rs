//! Serves `POST /hooks/ses`, for SNS.

use std::sync::Arc;

use functions::adapters::sns_host::HttpsHost;
use functions::adapters::sqs::SqsQueue;
use functions::api::ses_events::{SesEvents, router};
use functions::environment::required;
use functions::sns::Verifier;
use functions::sns::certificates::Trust;
use functions::sns::topics::Topic;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let topic = Topic::parse(&required("SES_TOPIC_ARN")?)?;
        let queue = SqsQueue::new(&environment.aws, required("FEEDBACK_QUEUE_URL")?);
        Ok(router(SesEvents {
            verifier: Verifier::new(vec![topic], Arc::new(HttpsHost::new()), Trust::amazon()).into(),
            queue: Arc::new(queue),
        }))
    })
}
