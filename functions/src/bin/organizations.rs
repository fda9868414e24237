//! Serves `ANY /v1/organizations` and everything below it, `/v1/onboarding` and `/v1/subscription`, and what organizations
//! show to everybody: their logos, the way back from their end, and what whoever is invited does.

use std::sync::Arc;

use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::SqsQueue;
use functions::api::exports::{self, Exports};
use functions::api::invites::{self, Invites};
use functions::api::logos::{self, Logos};
use functions::api::organizations;
use functions::api::restorations::{self, Restorations};
use functions::api::subscriptions::{self, Subscriptions};
use functions::environment::required;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let db = environment.database().await?;
        let store = Arc::new(S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?));
        let queue = Arc::new(SqsQueue::new(&environment.aws, required("JOB_QUEUE_URL")?));
        let keys = Arc::new(environment.token_keys().await?);
        Ok(organizations::router(db.clone())
            .merge(subscriptions::router(Subscriptions { db: db.clone(), keys: keys.clone() }))
            .merge(exports::router(Exports { db: db.clone(), store: store.clone(), queue }))
            .merge(logos::router(Logos { db: db.clone(), keys: keys.clone(), store }))
            .merge(invites::router(Invites { db: db.clone(), keys: keys.clone() }))
            .merge(restorations::router(Restorations { db, keys })))
    })
}
